"""torch's threads on a machine that is busy with something else as well.

torch shares its work out to one OpenMP thread a core, and while these wait for each other, they
spin. That is quickest on an idle machine. With a browser open, thirty kernels on a server, or on
Binder, the thread that is waited for has no core, because the others spin on it: the pocket model
then takes not 0.9 s but 7 s for 32 questions beside one busy program, and minutes beside several.
So they are told to sleep while they wait. Every OpenMP library reads that from the environment when
it is loaded, which is why it is set here, before torch is imported; child processes inherit it. A
policy that is set already stays.

Where torch was imported first, it is too late for that: then small models, which gain nothing from
a second thread, answer on one (`one_for_small`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 50e6  # parameters
POLICIES = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}

spinning = "torch" in sys.modules and not POLICIES & set(os.environ)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_CHANGING = threading.Lock()
_inside, _threads = 0, 0


@contextmanager
def one_for_small(parameters: float, device: str) -> Iterator[None]:
    """One thread for a small model on the CPU, if torch's threads spin; then as many as before."""
    if not spinning or device != "cpu" or parameters > SMALL:
        yield
        return
    import torch

    global _inside, _threads
    with _CHANGING:
        if not _inside:
            _threads = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)  # for this thread, and for those that torch has not met yet
    try:
        yield
    finally:
        with _CHANGING:
            _inside -= 1
            torch.set_num_threads(_threads)
