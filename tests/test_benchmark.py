"""`python -m recipes.benchmark`: that it measures what it says. No test depends on speed."""

import re
import sys
import threading

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from recipes import benchmark


def notebook(path, source):
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    return path


def test_memory_of_a_notebook_is_that_of_its_kernel_and_children(tmp_path):
    """300 MB, held for a moment by the kernel or by a process that it starts, are in the peak."""
    hold = "import time; x = b'x' * 300_000_000; time.sleep(0.3)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    _, idle = benchmark.measure_notebook(notebook(tmp_path / "idle.ipynb", "pass"))
    for source in (hold, child):
        seconds, peak = benchmark.measure_notebook(notebook(tmp_path / "x.ipynb", source))
        assert seconds > 0.3
        assert 280e6 < peak - idle < 450e6


def test_measuring_leaves_the_notebook_as_it_is(tmp_path):
    path = notebook(tmp_path / "x.ipynb", "print(1)")
    before = path.read_bytes()
    benchmark.measure_notebook(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.ipynb"]


def test_a_notebook_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        benchmark.measure_notebook(notebook(tmp_path / "x.ipynb", "1 / 0"))
    assert not any(isinstance(thread, benchmark.PeakMemory) for thread in threading.enumerate())


def test_report_of_the_model_is_printed_and_written(tmp_path, capsys):
    out = tmp_path / "benchmark.md"
    benchmark.main(["--skip-notebooks", "--out", str(out)])
    text = capsys.readouterr().out
    assert text.strip() == out.read_text(encoding="utf-8").strip()
    rows = dict(re.findall(r"^\| (.+) \| ([\d.,]+ (?:ms|s|MB)) \|$", text, flags=re.M))
    assert len(rows) == 10
    assert float(rows["memory at the peak"].split()[0].replace(",", "")) > 100
    assert f"Python {sys.version.split()[0]}" in text
    assert "notebook |" not in text
    ratios = dict(re.findall(r"^\| (.+) \| \d+ \| (\d\.\d\d) \|$", text, flags=re.M))
    assert ratios.pop("AnswerCollator") == "1.00"
    assert all(0.3 < float(ratio) < 3 for ratio in ratios.values()) and len(ratios) == 2


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
