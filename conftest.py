"""Rules for every test and every notebook cell that pytest collects.

It stands here, above `tests/` and `notebooks/`, because pytest applies a conftest.py to the files
below it only.
"""

import functools
import os
import socket
from urllib.parse import urlsplit

import hypothesis
import pytest
from nbval.plugin import IPyNbCell

from tools.notebooks import HARDWARE_TAGS

# Run by `make browser`, which has an environment of its own.
collect_ignore = ["tests/browser"]

# Set here, before the libraries that read them are imported anywhere; kernels and other child
# processes inherit them. Nothing is downloaded, unless somebody asks for it with HF_HUB_OFFLINE=0;
# and each of pytest's workers keeps to one core, since there are as many workers as cores.
for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# No test fails because it took long: on a busy machine everything does.
hypothesis.settings.register_profile(
    "course", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("course")


@functools.cache
def has(tag: str) -> bool:
    """Whether this machine has what cells with one of `HARDWARE_TAGS` need."""
    if tag == "gpu":
        import torch

        return torch.cuda.is_available()
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    hub = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        port = hub.port or (443 if hub.scheme == "https" else 80)
        socket.create_connection((hub.hostname, port), timeout=3).close()
    except OSError:
        return False
    return True


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, IPyNbCell):
            tags = HARDWARE_TAGS & set(item.cell.metadata.get("tags", []))
            # The stored output says that the cell was skipped. Where it may run, run it, and do
            # not compare; where it cannot, it must print that very sentence.
            if any(map(has, tags)):
                item.options["check"] = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    # nbval compares nothing in a cell that was stored without having run, and passes it.
    if isinstance(item, IPyNbCell) and item.cell.execution_count is None:
        pytest.fail(
            f"{item.path.name}, {item.name} is stored without having run: "
            f"python -m tools.notebooks execute {item.path.name}",
            pytrace=False,
        )
