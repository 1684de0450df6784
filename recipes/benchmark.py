"""Measure what taking the course costs on this machine, and print it as Markdown tables.

    python -m recipes.benchmark                            # everything: some minutes
    python -m recipes.benchmark --skip-notebooks           # the model and the collator alone
    python -m recipes.benchmark --out docs/benchmark.md    # also write it to a file

The embedded model runs in a process of its own on one thread, so that the figures do not hang on
how many cores there are; the notebooks run as they are, each in a new kernel, and are not stored.
Nothing else should be running. Memory is what the operating system counts as resident, at its
peak, of a process and all its children.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from recipes import collator_speed

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "transformers", "numpy", "jupyterlab", "ipykernel")
SHORT = ("color", "shape", "size", "count", "exists", "relation")
MEGABYTE = 1e6


class PeakMemory(threading.Thread):
    """Watches a process and its children until `stop`, which returns the peak in bytes."""

    def __init__(self, pid: int, every: float = 0.02):
        super().__init__(daemon=True)
        self.pid, self.every, self.peak = pid, every, 0
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        import psutil

        while not self._stopped.wait(self.every):
            try:
                process = psutil.Process(self.pid)
                family = [process, *process.children(recursive=True)]
                total = sum(member.memory_info().rss for member in family)
            except psutil.Error:  # one of them has just ended
                continue
            self.peak = max(self.peak, total, _own_peak(self.pid))

    def stop(self) -> int:
        self._stopped.set()
        self.join()
        return self.peak


def _own_peak(pid: int) -> int:
    """The peak of one process as Linux keeps it, which no sampling misses; 0 elsewhere."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == "VmHWM:"), 0)


# --- the embedded model, in a process of its own --------------------------------------------------


def child() -> None:
    """Load the model and ask it; a line of JSON after the first answer, one at the end."""
    seconds, last = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[name], last = now - last, now

    import vlm_helpers as vh

    lap("import")
    import torch
    import transformers  # noqa: F401

    lap("libraries")
    vlm = vh.load("pocket-llava", device="cpu")
    lap("load")
    image = vh.scenes.sample(0, "test").image
    lap("draw")
    vlm.ask(image, "What is in the picture?")
    lap("answer")
    print(json.dumps(seconds), flush=True)

    torch.set_num_threads(1)
    answers, captions = [], []
    for seed in range(1, 21):
        scene = vh.scenes.sample(seed, "test")
        scene.image  # noqa: B018  (drawn now, so that drawing is not measured)
        for question in scene.questions(SHORT):
            answers.append(_seconds(lambda s=scene, q=question: vlm.ask(s.image, q.text)))
        captions.append(_seconds(lambda s=scene: vlm.ask(s.image, "What is in the picture?")))
    again = _seconds(lambda: vh.load("pocket-llava", device="cpu"))
    print(json.dumps({"answers": answers, "captions": captions, "again": again}), flush=True)


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def measure_model() -> list[tuple[str, str]]:
    """Rows (what, figure) about the embedded model."""
    command = [sys.executable, "-c", "from recipes.benchmark import child; child()"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        memory = PeakMemory(process.pid)
        first = process.stdout.readline()
        whole = time.perf_counter() - began
        rest = process.stdout.read()
        peak = memory.stop()
    if process.returncode:
        raise SystemExit("The embedded model could not be measured; the error stands above.")
    cold, warm = json.loads(first), json.loads(rest)
    answers, captions = warm["answers"], warm["captions"]
    return [
        ("`import vlm_helpers`", _time(cold["import"])),
        ("import torch and transformers", _time(cold["libraries"])),
        ("`vh.load()`, the first time", _time(cold["load"])),
        ("`vh.load()`, again", _time(warm["again"])),
        ("the first answer, a caption", _time(cold["answer"])),
        ("from starting Python to the first answer", _time(whole)),
        (f"a short answer, median of {len(answers)}", _time(statistics.median(answers))),
        ("the slowest of them", _time(max(answers))),
        (f"a caption, median of {len(captions)}", _time(statistics.median(captions))),
        ("memory at the peak", _size(peak)),
    ]


# --- the notebooks --------------------------------------------------------------------------------


def measure_notebook(path: Path) -> tuple[float, int]:
    """(seconds, bytes at the peak) of running a notebook; the file is left as it is.

    Raises nbclient's CellExecutionError where a cell fails.
    """
    import nbformat

    from tools.notebooks import run

    watching: list[PeakMemory] = []
    began = time.perf_counter()
    try:
        run(
            nbformat.read(path, as_version=4),
            path.parent,
            started=lambda kernel: watching.append(PeakMemory(kernel.provisioner.pid)),
        )
        seconds = time.perf_counter() - began
    finally:
        peak = max((memory.stop() for memory in watching), default=0)
    return seconds, peak


# --- the report -----------------------------------------------------------------------------------


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _size(amount: float) -> str:
    return f"{amount / MEGABYTE:,.0f} MB"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; every column after the first is aligned to the right."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Processor, cores, memory and versions, in a sentence or two."""
    import psutil

    system = f"{platform.system()} on {_processor()}"
    size = f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB of memory"
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{package} {version(package)}" for package in PACKAGES]
    return f"{system}, {size}. {', '.join(versions)}."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def report(notebooks: list[Path]) -> str:
    """Everything measured, as Markdown."""
    parts = [
        "# What the course costs to run",
        "Written by `python -m recipes.benchmark --out docs/benchmark.md`; run it to have the "
        f"figures of your own machine. These are from {time.strftime('%B %Y')}: {machine()}",
        "## The embedded model\n\nOn one thread, in a new process.",
        table(("what", "measured"), measure_model()),
        "## The collator\n\nEight pictures of 640 × 480 to 336 × 336, on one thread.",
        table(
            ("what", "rows a second", "ratio"), collator_speed.table_rows(collator_speed.measure())
        ),
    ]
    rows = []
    for path in notebooks:
        print(f"{path.name} …", file=sys.stderr)
        seconds, peak = measure_notebook(path)
        rows.append((path.name, _time(seconds), _size(peak)))
    if rows:
        parts.append("## The notebooks\n\nEach from top to bottom in a new kernel.")
        parts.append(table(("notebook", "time", "memory at the peak"), rows))
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.benchmark", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--skip-notebooks", action="store_true", help="measure all but the notebooks"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the report to FILE")
    options = parser.parse_args(arguments)
    if options.out and not options.out.parent.is_dir():
        raise SystemExit(f"There is no folder {options.out.parent} to write {options.out.name} in.")
    notebooks = [] if options.skip_notebooks else sorted((ROOT / "notebooks").glob("*.ipynb"))
    text = report(notebooks)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
