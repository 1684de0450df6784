"""The notebooks as readers have them: `make lab`, a browser, *Run All Cells*, every widget moved.

A copy of the tree is served, from build/browser/tree, so that the stored notebooks stay as they
are. There the run notebooks stay, and beside it, in build/browser/lab, each one's screenshots.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from functools import partial

import pytest

from conftest import KEPT, ROOT, opened

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
SHOTS = KEPT / "lab"
NOT_COPIED = shutil.ignore_patterns(".*", "build", "dist", "runs", "wheels", "__pycache__")

# Where the notebook that is seen has its cells, and its scroll bar.
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
CELLS = f"{PANEL} .jp-CodeCell"
PROMPTS = f"[...document.querySelectorAll('{CELLS} > .jp-Cell-inputWrapper .jp-InputPrompt')]"
# What a cell's widgets show, their controls left out: texts, pictures, and what cells print.
SHOWN = """cell => [...cell.querySelectorAll(
    '.widget-html-content, .jp-OutputArea-child .jp-OutputArea-child, img, canvas')]
  .map(e => e.src ?? (e.toDataURL ? e.toDataURL() : e.innerHTML)).join('|')"""


class Lab:
    """The server that `make lab` starts, in a copy of the tree and with a home of its own."""

    def __init__(self):
        self.tree, self.token = KEPT / "tree", secrets.token_hex(16)
        shutil.rmtree(self.tree, ignore_errors=True)
        shutil.copytree(ROOT, self.tree, ignore=NOT_COPIED)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        home = self.tree / "home"
        home.mkdir()
        environment = {key: value for key, value in os.environ.items() if "JUPYTER" not in key}
        environment |= {"HOME": str(home), "PYTHONPATH": str(self.tree), "HF_HUB_OFFLINE": "1"}
        venv = ROOT / ".venv"  # already set up, and this is not its folder: READY says so
        options = f"--no-browser --ServerApp.port={self.port} --ServerApp.port_retries=0"
        options += f" --IdentityProvider.token={self.token}"
        self.log = (KEPT / "lab.log").open("w+")
        self.process = subprocess.Popen(
            ["make", "lab", f"VENV={venv}", f"READY={venv}", f"LAB_ARGS={options}"],
            cwd=self.tree, env=environment, stdout=self.log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def address(self, path):
        return f"http://127.0.0.1:{self.port}/{path}?token={self.token}"

    def api(self, path, method="GET"):
        request = urllib.request.Request(self.address(f"api/{path}"), method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def wait(self):
        while self.process.poll() is None:
            try:
                return self.api("status")
            except OSError:
                time.sleep(0.5)
        pytest.fail(f"make lab ended:\n{(KEPT / 'lab.log').read_text()[-3000:]}")

    def stop_kernels(self):
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


@pytest.fixture(scope="module")
def lab():
    SHOTS.mkdir(parents=True, exist_ok=True)
    lab = Lab()
    try:
        lab.wait()
        yield lab
        lab.stop_kernels()
    finally:
        lab.stop()


@pytest.mark.parametrize("name", NOTEBOOKS, ids=lambda name: name.removesuffix(".ipynb"))
def test_a_reader_runs(name, lab, chromium):
    lab.stop_kernels()
    for old in SHOTS.glob(f"{name[:2]}_*.png"):
        old.unlink()
    with opened(chromium, viewport={"width": 1280, "height": 1400}) as page:
        first = name == NOTEBOOKS[0]  # the one that `make lab` opens by itself
        page.goto(lab.address("" if first else f"lab/tree/notebooks/{name}") + "&reset")
        page.locator(f"{PANEL} [data-status=idle]").first.wait_for()
        page.get_by_role("tab", name=name).wait_for()
        page.screenshot(path=SHOTS / f"{name[:2]}_opened.png")
        choose(page, "Edit", "Clear Outputs of All Cells")
        choose(page, "Run", "Run All Cells")
        page.wait_for_function(
            f"""() => {{
              const prompts = {PROMPTS}.map(e => e.textContent);
              const error = '[data-mime-type="application/vnd.jupyter.error"]';
              return !prompts.some(text => text.includes('*'))
                && (prompts.every(text => /\\d/.test(text))
                  || document.querySelector(`{PANEL} ${{error}}`));
            }}""",
            timeout=3_600_000,
        )
        moved = move_widgets(page, name)
        assert page.locator(".Toastify__toast").all_inner_texts() == [], "the page asks or tells"
        if "choosing" in name:  # each of the arena's four votes counts
            kept = "4 votes so far, kept in runs/arena.jsonl."
            page.locator(".widget-html-content").get_by_text(kept).wait_for()
        look(page, name)
        wide = page.evaluate(
            f"""() => [...document.querySelectorAll('{PANEL} .jp-OutputArea-output')]
              .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText.slice(0, 80))"""
        )
        with page.expect_response(
            lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url
        ):
            choose(page, "File", "Save Notebook")
        check(json.loads((lab.tree / "notebooks" / name).read_text("utf-8")), moved)
        assert wide == [], "outputs wider than their place"


def choose(page, menu, entry):
    page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
    page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()


def settled(page):
    page.locator(f"{PANEL} .jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()


def move_widgets(page, name):
    """Moves every control of every widget, and waits each time for another output; how many."""
    moved = 0
    for cell in page.locator(CELLS).filter(has=page.locator(".jupyter-widgets")).all():
        cell.scroll_into_view_if_needed()
        unknown = ".jupyter-widgets :is(textarea, input:not([type=text], [type=checkbox]))"
        assert cell.locator(unknown).count() == 0, f"{name}: a control that nothing here moves"

        def change(act, cell=cell):
            nonlocal moved
            before = cell.evaluate(SHOWN)
            act()
            arguments = [cell.element_handle(), before]
            page.wait_for_function(f"([cell, before]) => ({SHOWN})(cell) !== before", arg=arguments)
            settled(page)
            moved += 1

        for slider in cell.get_by_role("slider").all():
            change(partial(slider.press, "ArrowRight"))
        for field in cell.locator(".jupyter-widgets input[type=text]").all():
            change(partial(field.fill, "How many objects are there?"))
        for box in cell.locator(".jupyter-widgets input[type=checkbox]").all():
            change(box.click)
        for menu in cell.locator(".jupyter-widgets select").all():
            other = menu.evaluate("e => (e.selectedIndex + 1) % e.options.length")
            change(partial(menu.select_option, index=other))
        press_all(cell.locator("button.jupyter-button").all(), change)
    return moved


def press_all(buttons, change):
    """Each button once; one that is disabled becomes free by pressing another, as in the arena."""
    left = list(buttons)
    while left:
        button = next((each for each in left if each.is_enabled()), None)
        if button is None:
            change(next(each for each in buttons if each.is_enabled()).click)
        else:
            change(button.click)
            left.remove(button)


def look(page, name):
    """Keeps the notebook in pictures, from its first cell to its last."""
    scroller, top, number = page.locator(f"{PANEL} .jp-WindowedPanel-outer"), 0, 1
    while True:
        scroller.evaluate("(e, top) => e.scrollTo(0, top)", top)
        page.wait_for_timeout(200)
        scroller.screenshot(path=SHOTS / f"{name[:2]}_{number:02}.png")
        height, whole = scroller.evaluate("e => [e.clientHeight, e.scrollHeight]")
        top, number = top + height, number + 1
        if top >= whole:
            return


def check(notebook, moved):
    """Of a notebook as JupyterLab saved it: all ran in order, nothing failed or went to stderr."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and cell["source"]]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    failed = [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert failed == []
    written = any("widgets." in "".join(cell["source"]) for cell in cells)
    assert (moved > 0) == written, f"{moved} controls of widgets were moved"
