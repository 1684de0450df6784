"""Measure what learners cost a server that all of them work on, and print it as a Markdown table.

    python -m recipes.load                # notebook 00 by one, two and four learners at once
    python -m recipes.load 1 2 4 8        # by so many
    python -m recipes.load 1 4 --notebook notebooks/08_fine_tuning.ipynb

Each learner has a kernel of their own; all begin at the same moment and run from the first cell to
the last without a pause: the worst that a class can do to its server. The notebook is not stored.

Memory is what the system calls PSS, looked at every second: a page that n processes share, such
as torch's code, counts as 1/n for each, so that the sum over all learners is what they take
together; other programs from the same environment would take part of it off. The processor's time
is that of the kernels. Both hardly depend on what else the machine does; the time on the wall does.
Linux only: no other system tells how much is shared.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recipes.benchmark import ROOT, machine, table

NOTEBOOK = ROOT / "notebooks" / "00_welcome.ipynb"
GIB = 2**30


@dataclass
class Load:
    """What `learners` took: bytes all together at their peak, and seconds each, the mean."""

    learners: int
    memory: int
    processor: float
    wall: float


class Watch(threading.Thread):
    """Adds up the memory of processes, and keeps the processor time of each, until `stop`."""

    def __init__(self, every: float = 1):
        super().__init__(daemon=True)
        self.every, self.pids, self.memory = every, [], 0
        self.processor: dict[int, float] = {}
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stopped.wait(self.every):
            self.look()

    def look(self) -> None:
        import psutil

        memory = 0
        for pid in list(self.pids):
            try:
                kernel = psutil.Process(pid)
                family = [kernel, *kernel.children(recursive=True)]
                memory += sum(process.memory_full_info().pss for process in family)
                self.processor[pid] = sum(kernel.cpu_times()[:4])  # with children that ended
            except psutil.Error:  # this learner is done
                continue
        self.memory = max(self.memory, memory)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def measure(learners: int, path: Path = NOTEBOOK) -> Load:
    """Have so many learners run the notebook at `path` at once.

    Raises nbclient's CellExecutionError where a cell fails.
    """
    import nbformat

    from tools.notebooks import run

    watch, began = Watch(), time.perf_counter()

    def learn(_) -> float:
        notebook = nbformat.read(path, as_version=4)
        run(notebook, path.parent, started=lambda kernel: watch.pids.append(kernel.provisioner.pid))
        return time.perf_counter() - began

    try:
        with ThreadPoolExecutor(learners) as pool:
            wall = list(pool.map(learn, range(learners)))
    finally:
        watch.stop()
    processor = sum(watch.processor.values()) / learners
    return Load(learners, watch.memory, processor, sum(wall) / learners)


def line(loads: list[Load]) -> tuple[float, float]:
    """(bytes that are there once, bytes a learner): the straight line through what was measured."""
    import numpy as np

    slope, once = np.polyfit([x.learners for x in loads], [x.memory for x in loads], 1)
    return once, slope


def report(loads: list[Load], path: Path) -> str:
    """What was measured, and what follows for other numbers of learners, as Markdown."""
    rows = [
        (
            str(x.learners),
            f"{x.memory / GIB:.2f} GiB",
            f"{x.memory / GIB / x.learners:.2f} GiB",
            f"{x.processor:.0f} s",
            f"{x.wall:.0f} s",
        )
        for x in loads
    ]
    head = (
        "learners",
        "memory at the peak",
        "of it a learner",
        "processor a learner",
        "on the wall",
    )
    parts = [f"{path.name}, {time.strftime('%d %B %Y')}: {machine()}", table(head, rows)]
    if len(loads) > 1:
        once, each = line(loads)
        parts.append(
            f"Memory of N learners: {once / GIB:.2f} + {each / GIB:.2f} N GiB, without the system "
            "and Jupyter's own."
        )
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.load", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "learners", nargs="*", type=int, default=[1, 2, 4], help="how many at once; several numbers"
    )
    parser.add_argument("--notebook", type=Path, default=NOTEBOOK, metavar="FILE")
    options = parser.parse_args(arguments)
    if sys.platform != "linux":
        raise SystemExit("What processes share is told by Linux alone: measure on the server.")
    if min(options.learners) < 1:
        raise SystemExit(f"{min(options.learners)} learners cannot be measured: give 1 or more.")
    if not options.notebook.is_file():
        raise SystemExit(f"There is no notebook {options.notebook}.")
    loads = []
    for learners in options.learners:
        print(f"{learners} at once …", file=sys.stderr)
        loads.append(measure(learners, options.notebook))
    print(report(loads, options.notebook))


if __name__ == "__main__":
    main()
