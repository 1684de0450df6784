"""Training scripts in processes of their own, and what their runs leave: for their tests."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from recipes.sft_checkpoints import is_whole

ROOT = Path(__file__).parents[1]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def together(config, *options):
    """What starts a module in several processes, and has them come to an end in good order."""
    return [sys.executable, "-m", "accelerate.commands.launch", "--config_file",
            f"recipes/accelerate/{config}.yaml", *options, "-m", "tests.to_its_end"]  # fmt: skip


def run(words):
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def run_and_kill(words, checkpoint):
    """Starts a script, and kills it once the checkpoint is whole, before it has come to its end."""
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (checkpoint.exists() and is_whole(checkpoint)) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it had not come to its end


def logged(output, name="loss"):
    last = max(Path(output).glob("checkpoint-*"), key=lambda folder: int(folder.name[11:]))
    log = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return [entry[name] for entry in log if name in entry]


def assert_same_adapter(one, other, atol):
    mine, others = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    assert mine.keys() == others.keys()
    assert all(torch.allclose(mine[name], others[name], atol=atol) for name in mine)
