"""The playground: what it takes from Python is in step, its JavaScript gives what PyTorch gives.

The tests of the JavaScript itself stand in `tests/playground/` and run in node.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import vlm_helpers as vh
from recipes.playground import WORLD, the_world

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
