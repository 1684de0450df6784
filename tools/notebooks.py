"""Run the notebooks and lint them: what keeps them true besides nbval.

    python -m tools.notebooks execute [paths]   run each in a clean kernel and store its outputs
    python -m tools.notebooks lint [paths]      say what is wrong with them as they are stored

Paths are notebooks or folders, by default `notebooks/`. Both exit with status 1 if anything is
wrong. `execute` replaces a notebook only once it has run to its end.

The rules are the functions below under "The rules", each with its reason; a broken one fails, and
so the tests fail. What the house style only aims at (the mix of text and code, the length) comes
out of `lint` as a note, and fails nothing. Three conventions that a writer must know:

Figures. JupyterLab gives a picture in a cell's output no alternative text. So the Markdown cell
    right after a code cell whose output is a picture holds a paragraph that begins `*Figure:*` and
    says, in a sentence of 30 characters or more, what is to be seen.
Tags. A cell that needs what not every machine has is tagged `gpu` (a CUDA device), `hub` (the
    Hugging Face Hub) or `real-checkpoint` (a model other than the one shipped). Where it cannot
    run, it prints one sentence that begins `Skipped:` and says what it would need; that is what is
    stored. Where it can, nbval runs it and does not compare its output (see `conftest.py`).
    `nbval-ignore-output` alone is for output that no two runs share, a measurement for instance,
    and that no pattern in `sanitize.cfg` covers.
Errors. A cell that shows an exception catches it and prints it: no stored output is an error.
"""

from __future__ import annotations

import argparse
import ast
import base64
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
from nbformat import NotebookNode
from PIL import Image

from tools import clocks

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"

HARDWARE_TAGS = {"gpu", "hub", "real-checkpoint"}
KNOWN_TAGS = HARDWARE_TAGS | {"nbval-ignore-output"}

# What loads torch when it is imported.
LOAD_TORCH = {"accelerate", "peft", "torch", "transformers", "trl"}
_IMPORTS = (ast.Import, ast.ImportFrom)

MAX_CELL_LINES = 25
MAX_OUTPUT_BYTES = 300_000
MAX_NOTEBOOK_BYTES = 1_200_000

# A palette shows where more than this share of the pixels is off by more than this, of 255: then
# it draws hard edges into what is smooth.
VISIBLE_SHARE, VISIBLE_ERROR = 0.05, 8

# --- running --------------------------------------------------------------------------------------


def run(
    notebook: NotebookNode, folder: Path, timeout: int = 600, started: Callable | None = None
) -> None:
    """Run a notebook from top to bottom in a new kernel of this very environment, in `folder`.

    Outputs replace those stored in `notebook`. Nothing is downloaded, unless HF_HUB_OFFLINE=0 asks
    for it. `started(kernel manager)` is called once the kernel runs. Raises nbclient's
    CellExecutionError at the first cell that fails.
    """
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    # nbval's own way to start a kernel of the environment that the tests run in.
    from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

    manager = AsyncKernelManager(
        kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()
    )
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=timeout,
        record_timing=False,
        store_widget_state=True,  # nbclient needs it for Output widgets; `tidy` takes it out
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    if started:
        client.on_notebook_start = lambda **_: started(manager)
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    # The kernel's own log, not what cells print: nbval leaves it out, too. A client that is given
    # its manager lets the kernel live on, unless it is told not to.
    client.execute(stderr=subprocess.DEVNULL, env={**offline, **os.environ}, cleanup_kc=True)


def tidy(notebook: NotebookNode) -> None:
    """Take out what differs between runs and machines though nothing has changed."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    for _, output in _outputs(notebook):
        if "image/png" in _data(output):
            output.data["image/png"] = lighter(output.data["image/png"])


def lighter(encoded: str) -> str:
    """A base64 PNG in 256 colours, where that is smaller and looks the same: a third of the size.

    Every clone carries every figure, and GitHub stops rendering a notebook that grows too large.
    Pictures of many smooth colours keep them all: dithering saves little there, and shows as grain.
    """
    picture, small = Image.open(io.BytesIO(base64.b64decode(encoded))), io.BytesIO()
    if picture.mode == "P":
        return encoded
    full = picture.convert("RGB")
    colors = full.quantize(256, dither=Image.Dither.NONE)
    off = np.abs(np.asarray(full, dtype=int) - np.asarray(colors.convert("RGB"))).max(axis=2)
    shows = (off > VISIBLE_ERROR).mean() > VISIBLE_SHARE
    (full if shows else colors).save(small, "png", optimize=True)
    return min(base64.b64encode(small.getvalue()).decode(), encoded.strip(), key=len)


def store(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".ipynb", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            nbformat.write(notebook, file)
        os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def execute(path: Path, timeout: int = 600) -> None:
    """Run the notebook at `path` in its folder and store it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    run(notebook, path.parent, timeout)
    tidy(notebook)
    store(notebook, path)


# --- the rules ------------------------------------------------------------------------------------

# A rule takes a notebook and its path and yields what breaks it; "cell 3" is the fourth cell.
Rule = Callable[[NotebookNode, Path], Iterable[str]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def _cells(notebook: NotebookNode, kind: str) -> Iterator[tuple[int, NotebookNode]]:
    return ((i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == kind)


def _code(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    return _cells(notebook, "code")


def _outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    return ((i, output) for i, cell in _code(notebook) for output in cell.outputs)


def _data(output: NotebookNode) -> dict:
    return output.get("data", {})


def _texts(output: NotebookNode) -> Iterator[str]:
    """Everything in an output that is text, not pixels."""
    yield output.get("text", "")
    for kind, value in _data(output).items():
        if not kind.startswith("image/") or kind == "image/svg+xml":
            yield value if isinstance(value, str) else json.dumps(value)


def _is_picture(output: NotebookNode) -> bool:
    return any(kind.startswith("image/") for kind in _data(output))


def _prose(cell: NotebookNode) -> str:
    """A Markdown cell without its code: `#` begins a comment there, and links are no links."""
    without_blocks = re.sub(r"^(```|~~~).*?^\1[ \t]*$", "", cell.source, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", without_blocks)


def _headings(notebook: NotebookNode) -> list[tuple[int, int, str]]:
    """(cell, level, text) of every heading."""
    return [
        (i, len(marks), text.strip())
        for i, cell in _cells(notebook, "markdown")
        for marks, text in re.findall(r"^(#{1,6})[ \t]+(.+)$", _prose(cell), flags=re.M)
    ]


@rule
def is_valid(notebook, path):
    """A notebook that breaks nbformat's schema opens in one front end and not in the next."""
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {str(error).splitlines()[0]}"
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"the kernel is {kernel!r}, which other machines need not have: use 'python3'"


@rule
def is_run_in_order(notebook, path):
    """nbval passes a notebook without outputs, and cells run in any order."""
    counts = []
    for i, cell in _code(notebook):
        if not cell.source.strip():
            yield f"cell {i} is empty"
        elif cell.execution_count is None:
            yield f"cell {i} is stored without having run"
        else:
            counts.append(cell.execution_count)
    if counts != list(range(1, len(counts) + 1)):
        yield f"not run from top to bottom in a clean kernel: the cells are numbered {counts}"


@rule
def has_no_errors(notebook, path):
    """nbval passes a `raises-exception` cell that does not raise; readers stumble over errors."""
    for i, cell in _code(notebook):
        if any(output.output_type == "error" for output in cell.outputs):
            yield f"cell {i} is stored with an error: catch it in the cell and print it"
        if "raises-exception" in cell.metadata.get("tags", []):
            yield f"cell {i} is tagged raises-exception: catch the error in the cell and print it"


@rule
def has_no_stderr(notebook, path):
    """Warnings, progress bars, and tracebacks of threads, which fail no cell."""
    for i, output in _outputs(notebook):
        if output.get("name") == "stderr":
            first = output.text.strip().splitlines()[:1]
            yield f"cell {i} wrote to stderr: {''.join(first)[:80]!r}"


@rule
def has_no_machine_paths(notebook, path):
    """A path of the machine that ran it is wrong on the reader's."""
    path_of_one = r"/(?:home|root|tmp|work|Users|private)/|\b[A-Za-z]:\\+Users"
    for i, cell in enumerate(notebook.cells):
        texts = [text for output in cell.get("outputs", []) for text in _texts(output)]
        if found := re.search(path_of_one, " ".join(texts)):
            yield f"cell {i} has a path of one machine in its output: {found.group()!r}"
        # In what was written by hand, a web address may well go on with /home/.
        if found := re.search(rf"(?<![\w.-])(?:{path_of_one})", cell.source):
            yield f"cell {i} has a path of one machine in its text: {found.group()!r}"


@rule
def has_short_cells(notebook, path):
    for i, cell in _code(notebook):
        lines = len(cell.source.strip().splitlines())
        if lines > MAX_CELL_LINES:
            yield f"cell {i} has {lines} lines of code, over {MAX_CELL_LINES}"


@rule
def is_small(notebook, path):
    """GitHub stops rendering large notebooks, and every clone carries every version."""
    outputs = sum(len(json.dumps(output)) for _, output in _outputs(notebook))
    if outputs > MAX_OUTPUT_BYTES:
        yield f"its outputs take {outputs:,} bytes, over {MAX_OUTPUT_BYTES:,}"
    whole = len(json.dumps(notebook))
    if whole > MAX_NOTEBOOK_BYTES:
        yield f"it takes {whole:,} bytes, over {MAX_NOTEBOOK_BYTES:,}"


@rule
def has_no_leftovers(notebook, path):
    """Widget state breaks GitHub's preview; times of execution change with every run."""
    if "widgets" in notebook.metadata:
        yield "widget state is stored (metadata.widgets)"
    for i, cell in enumerate(notebook.cells):
        if "execution" in cell.metadata:
            yield f"cell {i} stores when it was run (metadata.execution)"
        if cell.get("attachments"):
            yield f"cell {i} has a file attached: draw the figure in a cell, or link to a file"


@rule
def has_known_tags(notebook, path):
    """A mistyped tag does nothing, silently."""
    for i, cell in enumerate(notebook.cells):
        for tag in set(cell.metadata.get("tags", [])) - KNOWN_TAGS - {"raises-exception"}:
            yield f"cell {i} has the tag {tag!r}, which means nothing here"
        if re.search(r"^\s*#\s*(NBVAL_|PYTEST_VALIDATE)", cell.source, flags=re.M):
            yield f"cell {i} instructs nbval in a comment, before the reader's eyes: use a tag"


@rule
def says_what_it_skips(notebook, path):
    """What needs a machine that others lack is stored as the sentence that says so."""
    for i, cell in _code(notebook):
        if HARDWARE_TAGS & set(cell.metadata.get("tags", [])):
            said = "".join(output.get("text", "") for output in cell.outputs)
            if not re.fullmatch(r"Skipped: .{20,}\n?", said):
                tags = ", ".join(cell.metadata.tags)
                yield f"cell {i} is tagged {tags}, but not stored as one line 'Skipped: …'"


def _python(cell: NotebookNode) -> str:
    """A code cell as Python: what IPython makes of `!`, `%` and `?` are calls."""
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(cell.source)


@rule
def asserts_no_duration(notebook, path):
    """On a busy machine everything takes longer, by any factor: see `tools/clocks.py`."""
    code, lines = "", []  # of all cells, since one may assert what another has measured
    for i, cell in _code(notebook):
        code += _python(cell)
        lines += [i] * (code.count("\n") - len(lines))
    try:
        for line in clocks.asserted(code):
            yield f"cell {lines[line - 1]} asserts how long something takes: show it, or count work"
    except SyntaxError:
        pass  # the next rule says so


@rule
def runs_python_only(notebook, path):
    """A failing `!command` or `%magic` fails no cell. Only `%pip` is let by, in the first one."""
    is_first = True
    for i, cell in _code(notebook):
        try:
            tree = ast.parse(_python(cell))
        except SyntaxError as error:
            yield f"cell {i} is no Python: {error.msg}"
            continue
        for node in ast.walk(tree):
            # What IPython makes of !, %, %% and ? is a method call on get_ipython().
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "get_ipython()"
            ):
                what = [
                    node.func.attr,
                    *(a.value for a in node.args if isinstance(a, ast.Constant)),
                ]
                if not (is_first and what[:2] == ["run_line_magic", "pip"]):
                    yield f"cell {i} uses what is no Python and may fail silently: {what[:2]}"
        is_first = False


@rule
def imports_torch_after_the_package(notebook, path):
    """The package sets how torch's threads wait for each other, which torch reads only once."""
    for i, cell in _code(notebook):
        try:
            nodes = [n for n in ast.walk(ast.parse(_python(cell))) if isinstance(n, _IMPORTS)]
        except SyntaxError:
            continue  # the rule before says so
        for node in sorted(nodes, key=lambda node: node.lineno):
            plain = isinstance(node, ast.Import)
            whole = [alias.name for alias in node.names] if plain else [node.module or ""]
            names = {name.partition(".")[0] for name in whole}
            if "vlm_helpers" in names:
                return
            if early := sorted(names & LOAD_TORCH):
                yield f"cell {i} imports {early[0]} before vlm_helpers, so threads may spin"
                return


@rule
def describes_its_figures(notebook, path):
    """Not everybody sees them: see "Figures" above."""
    for i, cell in _code(notebook):
        if any(_is_picture(output) for output in cell.outputs):
            after = notebook.cells[i + 1] if i + 1 < len(notebook.cells) else None
            text = after.source if after and after.cell_type == "markdown" else ""
            if not re.search(r"^\*Figure:\* .{30,}", text, flags=re.M):
                yield f"cell {i} shows a picture, and no '*Figure:* …' paragraph follows it"
        for output in cell.outputs:
            for tag in re.findall(r"<img\b[^>]*>", _data(output).get("text/html", "")):
                if not re.search(r"\balt\s*=\s*([\"']).+?\1", tag):
                    yield f"cell {i} puts out an <img> without alternative text"


_LINK = re.compile(r"(!?)\[((?:[^\[\]]|!?\[[^\]]*\]\([^)]*\))*)\]\(\s*<?([^\s)>]+)>?[^)]*\)")
_HTML_LINK = re.compile(r"<(a|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"']([^\"']+)", flags=re.I)
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", flags=re.M)


def _links(text: str) -> Iterator[tuple[bool, str, str]]:
    """(is a picture, alternative text or label, target) of every link in Markdown."""
    for mark, label, target in _LINK.findall(text):
        yield bool(mark), label, target
        yield from _links(label)  # a picture inside a link
    for tag, target in _HTML_LINK.findall(text):
        yield tag.lower() == "img", "", target
    for target in _REFERENCE.findall(text):
        yield False, "", target


@rule
def has_working_links(notebook, path):
    """Links to files and headings that exist; pictures of our own, with alternative text."""
    # JupyterLab keeps capitals in a heading's anchor, GitHub does not.
    anchors = {re.sub(r"\s", "-", text) for _, _, text in _headings(notebook)}
    anchors |= {re.sub(r"[^\w-]", "", anchor.lower()) for anchor in anchors}
    for i, cell in _cells(notebook, "markdown"):
        for is_picture, label, target in _links(_prose(cell)):
            remote = re.match(r"[a-z][a-z0-9+.-]*:|//", target, flags=re.I)
            if is_picture and remote:
                yield f"cell {i} shows a picture from elsewhere, which may vanish: {target}"
            if is_picture and not label.strip():
                yield f"cell {i} shows a picture without alternative text: {target}"
            file, _, anchor = target.partition("#")
            if remote:
                continue
            if file and not (path.parent / unquote(file)).exists():
                yield f"cell {i} links to a file that does not exist: {file}"
            elif not file and unquote(anchor) not in anchors:
                yield f"cell {i} links to a heading that does not exist: #{anchor}"


@rule
def wraps_into_no_list(notebook, path):
    """JupyterLab begins a list where a line that goes on with a sentence begins with "2018."."""
    for i, cell in _cells(notebook, "markdown"):
        above, last = "", 0
        for line in _prose(cell).splitlines():
            if number := re.match(r"\s*(\d+)[.)](\s|$)", line):
                begun, last = last, int(number[1])
                if above.strip() and last not in (1, begun + 1):
                    yield f"cell {i} has a line that begins with {number[1]}., as a list does"
            above = line


@rule
def has_the_house_form(notebook, path):
    """One title, what the reader will be able to do, and references at the end."""
    headings = _headings(notebook)
    titles = [i for i, level, _ in headings if level == 1]
    if titles != [0]:
        yield f"it needs one title (#), in cell 0, and has titles in cells {titles}"
    if headings and not headings[-1][2].startswith("References"):
        yield f"it ends with the section {headings[-1][2]!r}, not with 'References'"
    if not any("You will be able to" in cell.source for cell in notebook.cells[:3]):
        yield "none of its first three cells says 'You will be able to'"


# --- notes, files, and the command line -----------------------------------------------------------


def notes(notebook: NotebookNode) -> Iterator[str]:
    """Where a notebook is off what the house style aims at."""
    code = [cell.source.strip() for _, cell in _code(notebook)]
    prose = [cell.source for _, cell in _cells(notebook, "markdown")]
    words = sum(len(text.split()) for text in prose)
    if not 1200 <= words <= 2000:
        yield f"{words} words; 1,200 to 2,000 read well"
    ratio = len(prose) / max(1, len(code))
    if not 1.5 <= ratio <= 2.5:
        yield f"{ratio:.1f} Markdown cells to a code cell; 1.5 to 2.5 read well"
    lengths = [len(text.splitlines()) for text in code]
    if lengths and statistics.median(lengths) > 8:
        yield f"the median code cell has {statistics.median(lengths):.0f} lines; up to 8 read well"


def problems(path: Path) -> list[str]:
    """What is wrong with the notebook stored at `path`; an empty list if nothing is."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises whatever it stumbles over
        return [f"not a notebook: {str(error).splitlines()[0] if str(error) else error!r}"]
    return [problem for rule in RULES for problem in rule(notebook, path)]


def strays(folder: Path = FOLDER) -> list[str]:
    """Files that do not belong among the notebooks: all but `NN_name.ipynb`.

    Hidden ones, such as JupyterLab's own, do not count.
    """
    return [
        entry.name
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith(".") and not re.fullmatch(r"\d\d_\w+\.ipynb", entry.name)
    ]


def find(paths: Iterable[str | Path] = ()) -> list[Path]:
    """The notebooks at `paths` (files or folders), by default those of the course."""
    if not paths:
        return sorted(FOLDER.glob("*.ipynb"))
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(path.glob("*.ipynb"))
        elif path.suffix == ".ipynb" and path.is_file():
            found.append(path)
        else:
            raise SystemExit(f"{path} is neither a notebook nor a folder.")
    return found


def _execute_all(paths: list[Path], timeout: int) -> int:
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    failed = 0
    for path in paths:
        print(f"{path.name} …", end=" ", flush=True)
        try:
            execute(path, timeout)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed += 1
            print(f"failed, left as it was\n{error}")
        else:
            print("run and stored")
    return failed


def _lint_all(paths: list[Path]) -> int:
    failed = 0
    for folder in sorted({path.parent for path in paths}):
        for name in strays(folder):
            failed += 1
            print(f"{folder.name}: {name} does not belong among the notebooks")
    for path in paths:
        found = problems(path)
        failed += bool(found)
        print(f"{path.name}: {'nothing wrong' if not found else f'{len(found)} wrong'}")
        print(*(f"  - {problem}" for problem in found), sep="\n", end="\n" if found else "")
        if not found:
            print(*(f"  note: {n}" for n in notes(nbformat.read(path, 4))), sep="\n")
    return failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.notebooks", description=__doc__.split("\n")[0]
    )
    parser.add_argument("what", choices=["execute", "lint"])
    parser.add_argument("paths", nargs="*", help="notebooks or folders; by default notebooks/")
    parser.add_argument("--timeout", type=int, default=600, help="seconds a cell may take")
    options = parser.parse_args(arguments)
    paths = find(options.paths)
    if not paths:
        raise SystemExit("There are no notebooks there.")
    failed = _execute_all(paths, options.timeout) if options.what == "execute" else _lint_all(paths)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
