"""Measure what taking the course costs on this machine, and print it as Markdown tables.

    python -m recipes.benchmark                            # everything: some minutes
    python -m recipes.benchmark --skip-notebooks           # the model and the collator alone
    python -m recipes.benchmark --out docs/benchmark.md    # also write it to a file

The embedded models run in processes of their own, as a reader has them, once while the machine is
idle and once while another program keeps one core busy, as browsers do, and other people's programs
on a shared machine. The notebooks run as they are, each in a new kernel, and are not stored.
Nothing else should be running. Memory is what the operating system counts as resident, at its peak,
of a process and all its children.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from recipes import collator_speed

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "transformers", "numpy", "jupyterlab", "ipykernel")
PICTURES = 20  # that the model is asked about
ROUNDS = 3  # of what is measured from the start of a process
QUESTION, READ = "What is in the picture?", "Read the page."
# Whole processes: what anybody pays who loads a model with transformers, and our first answer.
AUTO, ANSWER = "import of transformers' Auto classes", "from starting Python to the first answer"
STARTS = {
    AUTO: "from transformers import AutoModelForImageTextToText, AutoProcessor",
    ANSWER: "import vlm_helpers as vh\n"
    f"vh.load().ask(vh.scenes.sample(0, 'test').image, {QUESTION!r})",
}
SHORT = ("color", "shape", "size", "count", "exists", "relation")
SHORT_OF_PAGES = ("total", "field", "cell", "line", "value", "click", "ticked", "leads_to", "name")
SIDE = 192  # pixels of a page that is cut into four tiles
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


# --- the embedded model, in processes of its own -------------------------------------------------


@contextmanager
def busy_core() -> Iterator[subprocess.Popen]:
    """Another program, of the same priority, which computes all the while."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as program:
        try:
            yield program
        finally:
            program.kill()


def drawn(model: str, pictures: int) -> tuple[list, list, str]:
    """So many pictures of a model's world, short questions about them, and what asks for a long
    answer."""
    import vlm_helpers as vh

    if model == "pocket-llava":
        found, skills, long = (
            [vh.scenes.sample(i, "test") for i in range(pictures)],
            SHORT,
            QUESTION,
        )
    else:
        pages = (vh.pages.sample(seed, "test") for seed in itertools.count())
        square = (page for page in pages if page.size == (SIDE, SIDE) and page.text)
        found, skills, long = [*itertools.islice(square, pictures)], SHORT_OF_PAGES, READ
    images = [one.image for one in found]
    asked = [(i, q.text) for i, one in zip(images, found) for q in one.questions(skills)]
    return images, asked, long


def child(model: str, pictures: int) -> None:
    """Load a model and ask it about so many pictures; prints the seconds as a line of JSON."""
    seconds, last = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[name], last = now - last, now

    import vlm_helpers as vh

    lap("`import vlm_helpers`")
    import torch  # noqa: F401
    import transformers  # noqa: F401

    lap("import of torch and transformers")
    vlm = vh.load(model, device="cpu")
    lap("`vh.load()`, the first time")
    images, asked, long = drawn(model, pictures)  # now, so that drawing is not measured
    lap("drawing")
    vlm.ask(images[0], long)
    lap("the first answer, a long one")
    vh.load(model, device="cpu")
    lap("`vh.load()`, again")
    del seconds["drawing"]

    answers = [_seconds(lambda i=i, q=q: vlm.ask(i, q)) for i, q in asked]
    longer = [_seconds(lambda i=i: vlm.ask(i, long)) for i in images]
    batch = [list(part) for part in zip(*asked[:32])]
    seconds |= {
        "a short answer, median": statistics.median(answers),
        "the slowest of them": max(answers),
        "a long answer, median": statistics.median(longer),
        "32 short answers in batches": _seconds(lambda: vlm.ask(*batch)),
    }
    print(json.dumps(seconds))


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _python(code: str) -> tuple[str, int]:
    """(what a new Python prints that runs `code` offline, its memory in bytes at the peak)."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        memory = PeakMemory(process.pid)
        printed = process.stdout.read()
        peak = memory.stop()
    if process.returncode:
        raise SystemExit("The embedded model could not be measured; the error stands above.")
    return printed, peak


def measure_starts() -> dict[str, str]:
    """What a reader waits for at the very beginning, and the time."""
    starts = {name: [] for name in STARTS}
    for _ in range(ROUNDS):
        for name, code in STARTS.items():
            starts[name].append(_seconds(lambda code=code: _python(code)))
    whole = {name: statistics.median(times) for name, times in starts.items()}
    return {
        **{name: _time(seconds) for name, seconds in whole.items()},
        "the last two, as a ratio": f"{whole[ANSWER] / whole[AUTO]:.2f}",
    }


def measure_model(model: str) -> dict[str, str]:
    """What was measured about an embedded model, and the figure."""
    printed, peak = _python(f"from recipes.benchmark import child; child({model!r}, {PICTURES})")
    return {
        **{name: _time(seconds) for name, seconds in json.loads(printed).items()},
        "memory at the peak": _size(peak),
    }


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

    def idle_and_busy(measure: Callable[..., dict[str, str]], *arguments: str) -> str:
        idle = measure(*arguments)
        with busy_core():
            busy = measure(*arguments)
        rows = [(name, figure, busy[name]) for name, figure in idle.items()]
        return table(("what", "idle", "one core busy"), rows)

    parts = [
        "# What the course costs to run",
        "Written by `python -m recipes.benchmark --out docs/benchmark.md`; run it to have the "
        f"figures of your own machine. These are from {time.strftime('%B %Y')}: {machine()}",
        "## The embedded models\n\nIn new processes, with the threads that the package chooses.",
        idle_and_busy(measure_starts),
        "`pocket-llava`, asked about scenes; a long answer is a caption.",
        idle_and_busy(measure_model, "pocket-llava"),
        "`pocket-llava-next`, asked about pages of four tiles; a long answer is the whole page.",
        idle_and_busy(measure_model, "pocket-llava-next"),
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
