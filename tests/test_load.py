"""`python -m recipes.load`: that it measures what it says. No test depends on speed."""

import re
import threading

import pytest
from nbclient.exceptions import CellExecutionError

from recipes import load
from tests.test_benchmark import notebook

# Runs through only if another one runs at the same time, and then holds memory for a second.
TOGETHER = """
import os, pathlib, time
pathlib.Path(str(os.getpid())).touch()
for _ in range(6_000):
    if len([p for p in pathlib.Path().iterdir() if p.name.isdigit()]) == 2:
        break
    time.sleep(0.01)
else:
    raise RuntimeError("alone")
held = bytearray(os.urandom(1)) * 200_000_000
sum(range(10_000_000))
time.sleep(2)
"""


def test_learners_run_at_once_and_their_memory_is_added_up(tmp_path):
    path = notebook(tmp_path / "x.ipynb", TOGETHER)
    before = path.read_bytes()
    found = load.measure(2, path)
    assert 400e6 < found.memory < 700e6  # twice what a cell holds, and two kernels
    assert 0 < found.processor < found.wall * 64
    assert path.read_bytes() == before


def test_a_notebook_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        load.measure(2, notebook(tmp_path / "x.ipynb", "1 / 0"))
    assert not any(isinstance(thread, load.Watch) for thread in threading.enumerate())


def loads(*pairs):
    return [load.Load(n, int(gib * load.GIB), 36.0, 50.0 * n) for n, gib in pairs]


def test_what_is_shared_is_told_from_what_each_takes():
    once, each = load.line(loads((1, 0.75), (2, 1.25), (5, 2.75)))
    assert (once / load.GIB, each / load.GIB) == pytest.approx((0.25, 0.5))


def test_report_gives_a_row_a_number_and_a_line_through_several():
    text = load.report(loads((1, 0.75), (4, 2.25)), load.NOTEBOOK)
    assert "| 4 | 2.25 GiB | 0.56 GiB | 36 s | 200 s |" in text
    assert "0.25 + 0.50 N GiB" in text
    assert "N GiB" not in load.report(loads((2, 1.25)), load.NOTEBOOK)


@pytest.mark.parametrize(
    "arguments, words",
    [(["0"], "0 learners"), (["1", "--notebook", "no.ipynb"], "no notebook no.ipynb")],
)
def test_what_cannot_be_measured_is_refused(arguments, words, monkeypatch):
    monkeypatch.setattr(load, "measure", lambda *_: pytest.fail("measured"))
    with pytest.raises(SystemExit, match=re.escape(words)):
        load.main(arguments)
