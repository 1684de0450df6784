"""`python -m recipes.benchmark`: that it measures what it says. No test depends on speed."""

import functools
import re
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import nbformat
import psutil
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from recipes import benchmark, collator_speed


def notebook(path, source):
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    return path


HOLD = """
x = b"x" * 300_000_000
print("held", flush=True)
input()
"""
CHILD = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {HOLD!r}])
"""


@pytest.mark.parametrize("source", [HOLD, CHILD], ids=["itself", "its child"])
def test_memory_at_the_peak_is_that_of_a_process_and_its_children(source):
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        memory = benchmark.PeakMemory(process.pid)
        assert process.stdout.readline() == "held\n"
        for _ in range(6000):  # until it has looked again, or a minute long
            if memory.peak > 300e6:
                break
            time.sleep(0.01)
        process.communicate("let go")
    assert 300e6 < memory.stop() < 450e6


def test_measuring_leaves_the_notebook_as_it_is(tmp_path):
    path = notebook(tmp_path / "x.ipynb", "print(1)")
    before = path.read_bytes()
    _, peak = benchmark.measure_notebook(path)
    assert peak > 20e6  # a kernel's
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.ipynb"]


def test_a_notebook_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        benchmark.measure_notebook(notebook(tmp_path / "x.ipynb", "1 / 0"))
    assert not any(isinstance(thread, benchmark.PeakMemory) for thread in threading.enumerate())


def test_another_program_computes_while_a_core_is_busy():
    with benchmark.busy_core() as program:
        for _ in range(6000):
            if psutil.Process(program.pid).cpu_times().user > 0.1:
                break
            time.sleep(0.01)
        assert psutil.Process(program.pid).cpu_times().user > 0.1
    assert program.returncode


def test_report_of_the_model_is_printed_and_written(tmp_path, capsys, monkeypatch):
    """With one picture, and one measurement in both columns: what is tested is no speed."""
    starts = dict.fromkeys(benchmark.STARTS, "print('started')")
    small = {"PICTURES": 1, "ROUNDS": 1, "STARTS": starts, "busy_core": nullcontext}
    for name, value in small.items():
        monkeypatch.setattr(benchmark, name, value)
    monkeypatch.setattr(benchmark, "measure_model", functools.cache(benchmark.measure_model))
    monkeypatch.setattr(collator_speed, "ROUNDS", 1)
    out = tmp_path / "benchmark.md"
    benchmark.main(["--skip-notebooks", "--out", str(out)])
    text = capsys.readouterr().out
    assert text.strip() == out.read_text(encoding="utf-8").strip()
    figure = r"[\d.,]+ (?:ms|s|MB)"
    rows = dict(re.findall(rf"^\| (.+) \| {figure} \| ({figure}) \|$", text, flags=re.M))
    assert len(rows) == 2 + 10  # of the models the same rows
    assert text.count("\n| memory at the peak | ") == 2
    assert float(rows["memory at the peak"].split()[0].replace(",", "")) > 100
    assert f"Python {sys.version.split()[0]}" in text
    assert "notebook |" not in text
    ratios = dict(re.findall(r"^\| (.+) \| \d+ \| (\d\.\d\d) \|$", text, flags=re.M))
    assert ratios["AnswerCollator"] == "1.00" and len(ratios) == 3


def test_a_folder_that_does_not_exist_is_said_before_anything_is_measured(tmp_path):
    with pytest.raises(SystemExit, match="There is no folder"):
        benchmark.main(["--out", str(tmp_path / "nowhere" / "benchmark.md")])


def test_table_is_markdown():
    text = benchmark.table(("what", "time"), [("a", "1 s"), ("b", "2 s")])
    assert text == "| what | time |\n| --- | ---: |\n| a | 1 s |\n| b | 2 s |"


def test_the_docs_tell_of_every_notebook_and_none_is_too_large_for_binder():
    text = (benchmark.ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"^\| (\S+\.ipynb) \| [\d.]+ s \| ([\d,]+) MB \|$", text, flags=re.M))
    assert sorted(found) == sorted(p.name for p in (benchmark.ROOT / "notebooks").glob("*.ipynb"))
    assert all(int(size.replace(",", "")) < 1500 for size in found.values()), found
