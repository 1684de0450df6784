"""For classes: deploy/, what a server for many learners starts from, and docs/teaching.md."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
START = ROOT / "deploy" / "start"
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no JupyterHub runs on Windows")


class Learner:
    """Somebody with a home, whose server prints its arguments instead of serving."""

    def __init__(self, home: Path):
        self.home, self.notebooks = home, home / "vlm-course" / "notebooks"

    def start(self, *, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess:
        command = [
            str(START),
            sys.executable,
            "-c",
            "import sys; print(sys.argv[1:])",
            "two  words",
        ]
        env = {"HOME": str(self.home), "PATH": path}
        return subprocess.run(command, cwd=self.home, env=env, capture_output=True, text=True)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.notebooks.iterdir())


@pytest.fixture
def learner(tmp_path):
    home = tmp_path / "wörter und mehr"
    home.mkdir()
    return Learner(home)


def test_a_learner_gets_notebooks_to_write_in_and_the_server_its_arguments(learner):
    result = learner.start()
    assert (result.stdout, result.stderr) == ("['two  words']\n", "")
    assert learner.names() == NOTEBOOKS
    for name in NOTEBOOKS:
        copy = learner.notebooks / name
        assert not copy.is_symlink() and copy.stat().st_mode & 0o200
        assert copy.read_bytes() == (ROOT / "notebooks" / name).read_bytes()


def test_what_notebooks_link_to_is_shared(learner):
    learner.start()
    for name in ("data", "docs", "recipes", "README.md"):
        link = learner.notebooks / ".." / name
        assert link.is_symlink() and link.resolve() == ROOT / name


def test_a_second_start_keeps_what_was_written_and_brings_back_what_was_deleted(learner):
    learner.start()
    written, deleted = NOTEBOOKS[:2]
    (learner.notebooks / written).write_text("mine")
    (learner.notebooks / deleted).unlink()
    assert learner.start().stderr == ""
    assert (learner.notebooks / written).read_text() == "mine"
    assert learner.names() == NOTEBOOKS


def test_a_full_disk_leaves_no_half_notebook_and_the_server_starts(learner, tmp_path):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    # Writes half of the file and then fails, as `install` does where the disk is full.
    (bin_ / "install").write_text('#!/bin/sh\necho half > "$4"\nexit 1\n')
    (bin_ / "install").chmod(0o755)
    result = learner.start(path=f"{bin_}{os.pathsep}{os.environ['PATH']}")
    assert result.stdout == "['two  words']\n"
    assert "not all notebooks could be copied" in result.stderr
    assert learner.names() == []


def test_the_hub_starts_what_is_there(monkeypatch):
    monkeypatch.setenv("VLM_COURSE", str(ROOT))
    c = SimpleNamespace(Spawner=SimpleNamespace(), JupyterHub=SimpleNamespace())
    source = (ROOT / "deploy" / "jupyterhub_config.py").read_text(encoding="utf-8")
    exec(source, {"get_config": lambda: c})
    assert c.Spawner.cmd == [str(START), "jupyterhub-singleuser"] and shutil.which(START)
    assert c.Spawner.default_url.removeprefix("/lab/tree/vlm-course/notebooks/") in NOTEBOOKS


TEACHING = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")


def test_plans_count_with_the_times_that_the_notebooks_name():
    rows = re.findall(
        r"\(\.\./notebooks/(\S+)\) \| (\d+) min \| (\d+) \| (\d+) \| (\d+) min", TEACHING
    )
    assert len(rows) >= 8
    for name, alone, talk, exercises, in_class in rows:
        text = (ROOT / "notebooks" / name).read_text(encoding="utf-8")
        assert f"**Time:** {alone} minutes" in text, name
        minutes = re.findall(r"about (\d+) minutes?\*", text)
        assert sum(map(int, minutes)) == int(exercises), name
        assert abs(int(talk) + int(exercises) - int(in_class)) <= 2.5, name


def test_pages_and_files_that_teachers_are_sent_to_are_there():
    linked = re.findall(r"\]\((?!https?://)([^)#]+)\)", TEACHING)
    assert linked and [link for link in linked if not (ROOT / "docs" / link).exists()] == []
    plans = TEACHING.partition("## Three plans")[2].partition("## What to say")[0]
    titles = re.findall(r'"([^"]+)"', plans.replace(',"', '"'))
    texts = [(ROOT / "notebooks" / name).read_text(encoding="utf-8") for name in NOTEBOOKS]
    headings = "\n".join(line for text in texts for line in text.splitlines() if "## " in line)
    assert titles and [title for title in titles if title not in headings] == []
