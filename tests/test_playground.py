"""The playground: what it takes from Python is in step, its JavaScript gives what PyTorch gives.

The tests of the JavaScript itself stand in `tests/playground/` and run in node.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlm_helpers as vh
from recipes.playground import PAGES, SHOWN_PAGES, WORLD, file_of, prompt, the_world
from tools.playground import MODELS, PAGE, build, server

ROOT = Path(__file__).parents[1]


def node() -> str:
    """The path of node, of a version that has a test runner; skips where there is none."""
    found = shutil.which("node")
    version = found and subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    if not version or int(re.match(r"v(\d+)", version)[1]) < 18:
        pytest.skip("The playground's JavaScript is tested in node 18 or later, and none is here.")
    return found


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("tests/playground/*.test.mjs")), ids=lambda f: f.stem
)
def test_in_node(file):
    environment = {**os.environ, "NODE_OPTIONS": ""}
    done = subprocess.run(
        [node(), "--test", "--test-reporter=tap", str(file)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = int(re.search(r"^# pass (\d+)$", done.stdout, re.M)[1])
    assert passed >= file.read_text(encoding="utf-8").count("\ntest(") > 0


def test_the_page_knows_the_world_as_the_package_does():
    """`python -m recipes.playground` writes it anew."""
    written = json.loads(WORLD.read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(the_world(vh.load())))


def test_pages_are_those_of_the_package_but_for_the_last_bit():
    """`python -m recipes.playground` draws them anew."""
    assert {path.name for path in PAGES.iterdir()} == {file_of(p) for p in SHOWN_PAGES.values()}
    for page in SHOWN_PAGES.values():
        with Image.open(PAGES / file_of(page)) as stored:
            assert stored.mode == "RGB" and stored.size == page.size
            apart = np.abs(np.asarray(stored).astype(int) - np.asarray(page.image))
        assert apart.max() <= 2, page.key


def test_both_models_are_asked_in_the_same_form_and_their_weight_is_told():
    second = vh.load("pocket-llava-next")
    assert prompt(second) == json.loads(WORLD.read_text(encoding="utf-8"))["prompt"]
    size = sum(path.stat().st_size for path in MODELS[1].iterdir())
    assert f"too ({size / 1e6:.0f} MB)" in (PAGE / "index.html").read_text(encoding="utf-8")


def test_the_folder_holds_all_that_the_page_asks_for_and_is_served_with_its_types(tmp_path):
    folder = build(tmp_path / "playground")
    serving = server(folder, 0)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{serving.server_port}/"
    types = {"html": "text/html", "mjs": "text/javascript", "css": "text/css"}
    types |= {"json": "application/json", "ttf": "font/ttf", "png": "image/png"}
    try:
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            name = path.relative_to(folder).as_posix()
            with urllib.request.urlopen(address + name) as answer:
                assert answer.read() == path.read_bytes(), name
                wanted = types.get(path.suffix[1:], "application/octet-stream")
                assert answer.headers["Content-Type"] == wanted, name
    finally:
        serving.shutdown()
        serving.server_close()
    code = {path.name: path.read_text("utf-8") for path in folder.glob("*.mjs")}
    asked = re.findall(r'(?:from|new URL\(|fetch\() ?"([\w./-]+)"', "".join(code.values()))
    asked += re.findall(r'(?:href|src)="([\w./-]+)"', (folder / "index.html").read_text("utf-8"))
    asked += re.findall(r"url\(([\w./-]+)\)", (folder / "style.css").read_text("utf-8"))
    files = re.search(r"FILES = \[(.*)\]", code["model.mjs"])[1]
    models = re.search(r'FIRST = "(.*)", NEXT = "(.*)";', code["app.mjs"]).groups()
    asked += [f"{model}/{name}" for model in models for name in re.findall(r'"([^"]+)"', files)]
    asked += [f"pages/{page['file']}" for page in json.loads(WORLD.read_text("utf-8"))["pages"]]
    assert len(asked) > 15 and [name for name in asked if not (folder / name).is_file()] == []


def test_the_page_asks_no_other_host_and_no_file_is_nobody_s():
    names = []
    for path in filter(Path.is_file, PAGE.iterdir()):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|[\"'(]//", text), path.name
        names.append(path.name)
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'") and set(re.findall(r"-src ([^;]+)", policy)) <= {
        "'none'", "'self'", "'self' data:",
    }  # fmt: skip
    for name in names:  # the page names the first, and these the others
        others = "".join((PAGE / other).read_text("utf-8") for other in names if other != name)
        assert name == "index.html" or name in others, f"nothing uses {name}"


def test_the_page_leads_to_the_notebooks_that_explain_it(tmp_path):
    named = re.findall(r'data-page="([^"]+)"', (PAGE / "index.html").read_text(encoding="utf-8"))
    assert "README.md" in named and len(named) > 4
    assert [name for name in named if not (ROOT / name).is_file()] == []
    for where, wanted in (lambda name: f"../{name}", named), (None, []):
        page = (build(tmp_path, where) / "index.html").read_text(encoding="utf-8")
        linked = re.findall(r'<a href="\.\./([^"]+)" target="_top">', page)
        assert linked == wanted and "data-page" not in page and "Notebook 02" in page


def test_the_page_s_own_source_is_never_written_over(tmp_path):
    for folder in (PAGE, PAGE / "inside"):
        with pytest.raises(ValueError, match="name a folder elsewhere"):
            build(folder)
    (tmp_path / "mine.txt").write_text("mine")
    build(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
