"""The notebooks as they are stored, and the tool that runs and lints them."""

import base64
import io
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns
from PIL import Image

from tools import notebooks
from vlm_helpers import exercises, scenes

ROOT = Path(__file__).resolve().parent.parent
SANITIZE = ROOT / "tests" / "sanitize.cfg"

# --- the course's own notebooks -------------------------------------------------------------------


@pytest.mark.parametrize("path", notebooks.find(), ids=lambda path: path.name)
def test_stored_notebook_has_no_problems(path):
    assert notebooks.problems(path) == []


def test_the_folder_holds_notebooks_and_nothing_else():
    assert notebooks.find()
    assert notebooks.strays() == []


@pytest.mark.parametrize("name", exercises.names())
def test_exercise_stands_in_its_notebook(name):
    """Each exercise is checked in its notebook, which states the difficulty the registry has."""
    exercise = exercises.get(name)
    module = name.partition(".")[0]
    (path,) = (p for p in notebooks.find() if p.stem.partition("_")[2] == module)
    notebook = nbformat.read(path, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert any(re.search(rf'exercises\.check\(\s*"{name}"', source) for source in code)
    text = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert exercise.effort in text.lower()
    assert exercise.title in text


@pytest.mark.parametrize("path", notebooks.find(), ids=lambda path: path.name)
def test_notebook_names_only_exercises_that_exist(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for name in re.findall(r'exercises\.(?:check|hint|solution)\(\s*"([^"]+)"', cell.source):
            assert name in exercises.names()


# --- the lint -------------------------------------------------------------------------------------

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQMAAAAl21bKAAAAA1BMVEUAAACn"
    "ej3aAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def good_notebook():
    """A notebook that breaks no rule; each test below breaks one thing in it."""
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# A title\n\nYou will be able to lint.\n\n[Sources](#References)"),
            new_code_cell("%pip install -q nothing\nimport math", execution_count=1),
            new_markdown_cell(
                "## A section\n\nSee [the other one](01_other.ipynb#A-section)\nand [a page](https://example.org/home/)."
            ),
            new_code_cell(
                "draw()",
                execution_count=2,
                outputs=[
                    new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"}),
                    new_output("stream", name="stdout", text="0.97 of 12\n"),
                ],
            ),
            new_markdown_cell("*Figure:* one grey dot in the middle of nothing at all.\n\nSo?"),
            new_code_cell(
                "on_gpu()",
                execution_count=3,
                metadata={"tags": ["gpu"]},
                outputs=[
                    new_output(
                        "stream", name="stdout", text="Skipped: this cell needs a CUDA device.\n"
                    )
                ],
            ),
            new_markdown_cell("```python\n# no title\n```\n\n## References\n\n- None."),
        ]
    )
    notebooks.tidy(notebook)
    return notebook


def problems_of(notebook, folder):
    (folder / "01_other.ipynb").touch()
    path = folder / "00_this.ipynb"
    nbformat.write(notebook, path)
    return notebooks.problems(path)


def test_good_notebook_passes(tmp_path):
    assert problems_of(good_notebook(), tmp_path) == []


def test_torch_may_come_after_the_package(tmp_path):
    notebook = good_notebook()
    notebook.cells[1].source += "\nimport vlm_helpers as vh\nimport torch"
    notebook.cells[3].source = "from transformers import AutoModel"
    assert problems_of(notebook, tmp_path) == []


def test_lists_may_be_numbered_and_years_stand_within_a_line(tmp_path):
    notebook = good_notebook()
    notebook.cells[2].source += "\n\n1. One,\n   in 2018.\n2. two.\n\n7. Seven.\n\nSince\n1. One."
    assert problems_of(notebook, tmp_path) == []


def _source(cell, source):
    def break_it(notebook):
        notebook.cells[cell].source = source

    return break_it


def _append(cell, text):
    def break_it(notebook):
        notebook.cells[cell].source += text

    return break_it


def _output(output):
    def break_it(notebook):
        notebook.cells[1].outputs = [output]

    return break_it


def _text(text, name="stdout"):
    return _output(new_output("stream", name=name, text=text))


def _html(html):
    return _output(new_output("display_data", {"text/html": html}))


def _counts(*counts):
    def break_it(notebook):
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for cell, count in zip(code, counts, strict=True):
            cell.execution_count = count

    return break_it


def _tags(cell, *tags):
    def break_it(notebook):
        notebook.cells[cell].metadata["tags"] = list(tags)

    return break_it


def _set(*keys, value):
    def break_it(notebook):
        target = notebook
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value

    return break_it


def _drop(cell):
    def break_it(notebook):
        del notebook.cells[cell]

    return break_it


_ERROR = new_output("error", ename="ValueError", evalue="no", traceback=["no"])

BROKEN = [
    ("not run", _counts(None, None, None), "cell 1 is stored without having run"),
    ("one not run", _counts(1, None, 2), "cell 3 is stored without having run"),
    ("out of order", _counts(1, 3, 2), "the cells are numbered [1, 3, 2]"),
    ("not clean", _counts(4, 5, 6), "the cells are numbered [4, 5, 6]"),
    ("empty cell", _source(1, "\n"), "cell 1 is empty"),
    ("other kernel", _set("metadata", "kernelspec", "name", value="mine"), "kernel is 'mine'"),
    ("same id twice", _set("cells", 0, "id", value="x y"), "not a valid notebook"),
    ("error", _output(_ERROR), "cell 1 is stored with an error"),
    ("may raise", _tags(1, "raises-exception"), "cell 1 is tagged raises-exception"),
    ("stderr", _text("FutureWarning: soon\n", "stderr"), "stderr: 'FutureWarning: soon'"),
    ("home", _text("saved in /home/ann/x"), "cell 1 has a path of one machine in its output"),
    ("temporary", _html("<p>/tmp/x</p>"), "path of one machine in its output: '/tmp/'"),
    ("mac", _source(3, "open('/Users/ann/x')"), "path of one machine in its text: '/Users/'"),
    ("windows", _text("C:\\Users\\ann"), "path of one machine in its output: 'C:\\\\Users'"),
    ("root", _source(4, "*Figure:* it lies in /root/x, which nobody has."), "'/root/'"),
    ("long cell", _source(1, "x = 1\n" * 26), "cell 1 has 26 lines of code"),
    ("large outputs", _text("x" * 300_001), "its outputs take 300,"),
    ("large notebook", _append(2, "x " * 600_001), "it takes 1,20"),
    ("widget state", _set("metadata", "widgets", value={"state": {}}), "widget state"),
    ("timing", _set("cells", 1, "metadata", "execution", value={"a": "b"}), "when it was run"),
    ("attachment", _set("cells", 0, "attachments", value={"a.png": {"image/png": PIXEL}}), "attac"),
    ("unknown tag", _tags(1, "gqu"), "the tag 'gqu', which means nothing"),
    ("marker", _source(1, "# NBVAL_IGNORE_OUTPUT\nx"), "instructs nbval in a comment"),
    ("claims a run", _tags(3, "hub"), "cell 3 is tagged hub"),
    ("shell", _source(3, "!false"), "cell 3 uses what is no Python"),
    ("shell in set-up", _source(1, "!pip install nothing"), "cell 1 uses what is no Python"),
    ("shell output", _source(3, "x = !ls"), "cell 3 uses what is no Python"),
    ("bash", _source(3, "%%bash\nfalse"), "cell 3 uses what is no Python"),
    ("magic", _source(3, "%nothing"), "cell 3 uses what is no Python"),
    ("late pip", _source(3, "%pip install nothing"), "cell 3 uses what is no Python"),
    ("help", _source(3, "draw?"), "cell 3 uses what is no Python"),
    ("no python", _source(3, "draw("), "cell 3 is no Python"),
    ("asserts time", _source(3, "import time\nassert time.time() < 9"), "cell 3 asserts how long"),
    ("torch first", _source(1, "import torch\nimport vlm_helpers"), "cell 1 imports torch before"),
    ("torch alone", _source(3, "from torch.nn import Linear"), "cell 3 imports torch before"),
    ("no figure text", _source(4, "So?"), "cell 3 shows a picture, and no '*Figure:*"),
    ("short figure text", _source(4, "*Figure:* a dot."), "cell 3 shows a picture"),
    ("no cell after", _drop(4), "cell 3 shows a picture"),
    ("html image", _html('<img src="x">'), "an <img> without alternative text"),
    ("no file", _append(2, " [x](../nowhere.md)"), "does not exist: ../nowhere.md"),
    ("no html file", _append(2, ' <a href="nowhere.md">x</a>'), "does not exist: nowhere.md"),
    ("no reference", _append(2, "\n\n[x]: nowhere.md"), "does not exist: nowhere.md"),
    ("no heading", _append(2, " [x](#Nothing)"), "heading that does not exist: #Nothing"),
    ("remote picture", _append(2, " ![a dot](https://x.org/y.png)"), "from elsewhere"),
    ("badge", _append(2, " [![a dot](https://x.org/y.svg)](01_other.ipynb)"), "from elsewhere"),
    ("remote img", _append(2, ' <img alt="x" src="https://x.org/y.png">'), "from elsewhere"),
    ("picture without alt", _append(2, " ![](01_other.ipynb)"), "without alternative text"),
    ("year as a list", _append(6, "\n- A. B,\n  2018."), "cell 6 has a line that begins"),
    ("two titles", _append(2, "\n\n# Another"), "has titles in cells [0, 2]"),
    ("no title", _source(0, "You will be able to do it"), "has titles in cells []"),
    ("no goals", _source(0, "# A title"), "You will be able to"),
    ("no references", _append(6, "\n\n## Bye"), "ends with the section 'Bye'"),
]


@pytest.mark.parametrize(
    ("break_it", "says"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN]
)
def test_broken_notebook_is_caught(break_it, says, tmp_path):
    notebook = good_notebook()
    break_it(notebook)
    assert any(says in problem for problem in problems_of(notebook, tmp_path))


def test_every_rule_is_broken_by_one_of_them(tmp_path):
    (tmp_path / "01_other.ipynb").touch()
    fired = set()
    for _, break_it, _ in BROKEN:
        notebook = good_notebook()
        break_it(notebook)
        fired |= {r for r in notebooks.RULES if list(r(notebook, tmp_path / "00_this.ipynb"))}
    assert fired == set(notebooks.RULES)


def test_what_is_no_notebook_is_said_to_be_none(tmp_path):
    path = tmp_path / "00_x.ipynb"
    path.write_text("{")
    assert "not a notebook" in notebooks.problems(path)[0]


def test_strays_are_found(tmp_path):
    for name in ("00_good.ipynb", "model.bin", "draft.ipynb", ".hidden"):
        (tmp_path / name).touch()
    assert notebooks.strays(tmp_path) == ["draft.ipynb", "model.bin"]


def test_notes_tell_the_house_style():
    notes = list(notebooks.notes(good_notebook()))
    assert any("words" in note for note in notes)
    assert any("1.3 Markdown cells to a code cell" in note for note in notes)


def test_command_line_lints(tmp_path, capsys):
    assert problems_of(good_notebook(), tmp_path) == []
    assert notebooks.main(["lint", str(tmp_path / "00_this.ipynb")]) == 0
    (tmp_path / "stray.txt").touch()
    assert notebooks.main(["lint", str(tmp_path / "00_this.ipynb")]) == 1
    assert "stray.txt does not belong" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="neither a notebook nor a folder"):
        notebooks.main(["lint", str(tmp_path / "nowhere.ipynb")])


# --- running --------------------------------------------------------------------------------------


@pytest.fixture
def no_process_is_left():
    """A kernel that lives on holds the memory of all that its notebook loaded."""
    before = psutil.Process().children()
    yield
    assert psutil.Process().children() == before


def small_notebook(*sources):
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    notebook.metadata.widgets = {"state": {}}
    return notebook


def test_execute_stores_outputs_and_nothing_that_varies(tmp_path, no_process_is_left):
    path = tmp_path / "00_x.ipynb"
    (tmp_path / "beside.txt").write_text("read in the notebook's folder")
    notebook = small_notebook("print(open('beside.txt').read())", "print(1); print(2)\n6 * 7")
    nbformat.write(notebook, path)
    notebooks.execute(path)
    first = path.read_bytes()
    stored = nbformat.read(path, as_version=4)
    assert [cell.id for cell in stored.cells] == [cell.id for cell in notebook.cells]
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert stored.cells[0].outputs[0].text == "read in the notebook's folder\n"
    assert stored.cells[1].outputs[0].text == "1\n2\n"
    assert stored.cells[1].outputs[1].data["text/plain"] == "42"
    assert "widgets" not in stored.metadata
    assert all("execution" not in cell.metadata for cell in stored.cells)
    notebooks.execute(path)
    assert path.read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00_x.ipynb", "beside.txt"]


def test_stored_pictures_are_light_and_look_the_same():
    drawn = np.asarray(scenes.sample(3, "test").image.resize((96, 96)).resize((384, 384)))
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "png")
    before = base64.b64encode(file.getvalue()).decode()
    after = notebooks.lighter(before)
    assert len(after) < 0.7 * len(before)
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(after))).convert("RGB"))
    assert np.abs(seen.astype(int) - drawn).mean() < 3
    assert notebooks.lighter(after) == after


def as_png(pixels):
    file = io.BytesIO()
    Image.fromarray(np.uint8(pixels)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def pixels_of(encoded):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"), dtype=int)


def test_stored_gradients_stay_smooth():
    """In 256 colours fog gets hard edges, and shows shapes that are not there."""
    colors = np.random.default_rng(0).integers(0, 256, (5, 5, 3))
    fog = np.asarray(Image.fromarray(np.uint8(colors)).resize((192, 192)))
    beside = np.full((192, 600, 3), 255)  # in a figure it is one panel of several
    beside[:, :192] = fog
    for drawn in (fog, beside):
        before = as_png(drawn)
        after = notebooks.lighter(before)
        assert np.array_equal(pixels_of(after), drawn)
        assert len(after) <= len(before)
        assert notebooks.lighter(after) == after


def test_stored_flat_figures_have_a_palette():
    flat = np.full((300, 400, 3), 255)
    for i in range(40):
        flat[20:280, 10 * i : 10 * i + 6] = (6 * i, 200 - 3 * i, 90)
    after = notebooks.lighter(as_png(flat))
    assert Image.open(io.BytesIO(base64.b64decode(after))).mode == "P"
    assert np.array_equal(pixels_of(after), flat)


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path, no_process_is_left):
    path = tmp_path / "00_x.ipynb"
    nbformat.write(small_notebook("x = 1", "1 / 0"), path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.execute(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["00_x.ipynb"]


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "00_x.ipynb"
    path.write_text("before")

    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(nbformat, "write", full)
    with pytest.raises(OSError, match="disk full"):
        notebooks.store(good_notebook(), path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["00_x.ipynb"]


# --- nbval under our conftest ---------------------------------------------------------------------


def nbval(folder, cells, *options, **environment):
    """What nbval says of a notebook, as `make test` runs it: ("PASSED" …, one a cell), its text."""
    shutil.copytree(ROOT / "tools", folder / "tools")
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "tests").mkdir()
    shutil.copy(SANITIZE, folder / "tests")
    nbformat.write(new_notebook(cells=cells), folder / "x.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--nbval"]
    command += ["--nbval-sanitize-with", "tests/sanitize.cfg", "--color=no", "x.ipynb"]
    command += ["-p", "tools.processor", *options]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    out = subprocess.run(
        command, cwd=folder, env={**inherited, **environment}, capture_output=True, text=True
    ).stdout
    found = re.findall(r"^(PASSED|FAILED) x\.ipynb::Cell (\d+)", out, flags=re.M)
    return [outcome for outcome, _ in sorted(found, key=lambda pair: int(pair[1]))], out


def printed(source, text, count, *tags):
    output = new_output("stream", name="stdout", text=text)
    metadata = {"tags": list(tags)}
    return new_code_cell(source, execution_count=count, outputs=[output], metadata=metadata)


def test_nbval_fails_where_outputs_are_missing_or_differ(tmp_path):
    """Cells that need the Hub are compared, too, where there is none: that is, unless asked for."""
    cells = [
        printed("print('same in 12.5 ms')", "same in 9 ms\n", 1),
        printed("print('new')", "old\n", 2),
        new_code_cell("print('never run')"),
        printed("print('Skipped: no hub.')", "Skipped: no hub.\n", 3, "hub"),
        printed("print('an answer')", "Skipped: no hub.\n", 4, "hub"),
    ]
    found, out = nbval(tmp_path, cells, "-n", "1")
    assert found == ["PASSED", "FAILED", "FAILED", "PASSED", "FAILED"]
    assert "Cell outputs differ" in out
    assert "Cell 2 is stored without having run" in out
    # A notebook counts once, with its kernel, and all is more than that: pytest's own processes.
    (minutes,), (seconds,) = (
        re.findall(pattern, out, flags=re.M)
        for pattern in (r"processor time: (\S+) minutes", r"^ +(\S+) s  x\.ipynb$")
    )
    assert 0.2 < float(seconds) < 60 * float(minutes) + 3


def test_nbval_does_not_compare_tagged_cells_where_they_can_run(tmp_path):
    cells = [
        printed("print('an answer')", "Skipped: no hub.\n", 1, "real-checkpoint"),
        printed("print('an answer')", "Skipped: no hub.\n", 2),
    ]
    with socket.create_server(("127.0.0.1", 0)) as hub:
        address = f"http://127.0.0.1:{hub.getsockname()[1]}"
        found, _ = nbval(tmp_path, cells, HF_HUB_OFFLINE="0", HF_ENDPOINT=address)
    assert found == ["PASSED", "FAILED"]


# --- sanitize.cfg ---------------------------------------------------------------------------------


def sanitized(text):
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("an answer: 12.3 ms", "an answer: 8 ms"),
        ("prefill 0.41 s, decode 3 s", "prefill 1.4 s, decode 12.25 s"),
        ("31 tokens/s", "7.5 tokens/s"),
        ("31 answers a second", "7.5 answers a second"),
        ("the cache is 3.1 times faster", "the cache is 12 times faster"),
        ("2.4x slower", "9x slower"),
        ("417 MB resident", "1.2 GB resident"),
        ("2 CPU cores and 23.4 GB of memory", "16 CPU cores and 128 GB of memory"),
        ("on cpu", "on cuda:0"),
        ("<object at 0x7f3a5c0d1e80>", "<object at 0x10a5c0d1e>"),
        ("torch 2.13.0+cpu", "torch 2.11.0"),
        ("Python: 3.11.4", "Python: 3.14.0rc1"),
        ("  7%|▋         | 7/100 [00:01<00:13]", " 93%|█████████▎| 93/100 [00:09<00:01]"),
        ('<table id="T_3fa2c">', '<table id="T_00abc">'),
    ],
)
def test_what_machines_differ_in_is_not_compared(one, other):
    assert sanitized(one) == sanitized(other) != one


@pytest.mark.parametrize(
    "text",
    [
        "6 stars, 2 squares, 1 moon",
        "accuracy 0.97 (majority answer 0.21)",
        "[1, 64, 192]",
        "a T4 has 16 GB",
        "12.5 MB of weights",
        "torch.float32",
        "3 times 4",
        "5 tokens",
        "2 more",
        "level 3, step 4",
    ],
)
def test_facts_are_compared(text):
    assert sanitized(text) == text


def test_every_pattern_of_the_file_is_read():
    text = SANITIZE.read_text()
    assert len(get_sanitize_patterns(text)) == len(re.findall(r"^\[", text, flags=re.M))
