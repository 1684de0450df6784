"""The course for many on one server: what a JupyterHub has to know about it.

For The Littlest JupyterHub: the course lies in /srv/vlm-course, and this file, or a link to it, in
/opt/tljh/config/jupyterhub_config.d/. For any other hub, `load_subconfig` this file from the hub's
own configuration. Who may log in, what starts a server, and how much memory it may take, stay with
the hub. docs/teaching.md has the commands.
"""

import os
from pathlib import Path

c = get_config()  # noqa: F821  JupyterHub defines it

COURSE = Path(os.environ.get("VLM_COURSE", "/srv/vlm-course"))

# Each server begins by giving its owner notebooks of their own (see there); the rest is shared.
c.Spawner.cmd = [str(COURSE / "deploy" / "start"), "jupyterhub-singleuser"]
c.Spawner.default_url = "/lab/tree/vlm-course/notebooks/00_welcome.ipynb"
# JupyterLab asks nobody for news, nor the learner whether it may.
c.Spawner.args = [f"--LabApp.app_settings_dir={COURSE / 'deploy' / 'lab'}"]

c.Spawner.environment = {
    # With more learners than cores, one thread each; and nothing is fetched from anywhere.
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

# Thirty people click at once, and a server takes a while to start where the cores are few.
c.JupyterHub.concurrent_spawn_limit = 10
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300
