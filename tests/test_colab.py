"""Completing an installation under a running session: what fits stays, what is missing comes."""

import subprocess
import sys
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from tools import colab as replica
from vlm_helpers import colab

ROOT = Path(__file__).resolve().parent.parent

RANGES = ["numpy>=2.0,<3", "torch>=2.11,<3", "pillow>=11", 'trl>=1.16,<2; extra == "training"']


@pytest.fixture
def session(monkeypatch):
    """Versions on disk and in memory, to be changed; pip only writes down how it was called."""
    disk = {"numpy": "2.1.0", "torch": "2.11.0+cu128", "pillow": "11.3.0"}
    session = SimpleNamespace(disk=disk, calls=[], comes={}, fails=False)

    def pip(command, **options):
        kept = open(command[command.index("-c") + 1]).read().splitlines()
        session.calls.append((kept, command[command.index("-c") + 2 :]))
        disk.update(session.comes)
        return SimpleNamespace(returncode=session.fails, stderr="ERROR: no network")

    def version(name):
        if name not in disk:
            raise colab.metadata.PackageNotFoundError(name)
        return disk[name]

    monkeypatch.setattr(colab.metadata, "requires", lambda name: RANGES)
    monkeypatch.setattr(colab.metadata, "version", version)
    monkeypatch.setattr(colab.subprocess, "run", pip)
    for name in ("numpy", "torch", "PIL", "trl", "datasets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    session.load = lambda name, version: monkeypatch.setitem(
        sys.modules, name, SimpleNamespace(__version__=version)
    )
    return session


def test_what_is_there_stays(session):
    session.load("numpy", "2.1.0")
    colab.complete()
    assert session.calls == []


def test_only_what_is_missing_comes_and_numpy_and_torch_are_held(session, capsys):
    del session.disk["pillow"]
    colab.complete("training")
    kept, asked = session.calls[0]
    assert kept == ["numpy==2.1.0", "torch==2.11.0+cu128"]
    assert [item.rstrip("<>=.,0123456789") for item in asked] == ["pillow", "trl"]
    assert capsys.readouterr().out.startswith("Installing pillow>=11, trl")


def test_what_is_too_old_comes_anew(session):
    session.disk["pillow"] = "10.4.0"
    colab.complete()
    assert session.calls[0][1] == ["pillow>=11"]


def test_torchao_that_peft_refuses_comes_anew_for_training_alone(session):
    session.disk |= {"torchao": "0.10.0", "trl": "1.16.0"}
    colab.complete()
    assert session.calls == []
    colab.complete("training")
    assert session.calls[0][1] == ["torchao>=0.16"]
    session.disk["torchao"] = "0.16.0"
    colab.complete("training")
    assert len(session.calls) == 1


@pytest.mark.parametrize("installed", ["0.10.0", "0.15.9", "0.16.0"])
def test_peft_refuses_what_is_replaced_and_takes_what_stays(monkeypatch, installed):
    from peft import import_utils

    (range_,) = map(Requirement, colab.REFUSED_IF_OLD["training"])
    monkeypatch.setattr(import_utils.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(import_utils.importlib_metadata, "version", lambda name: installed)
    look = import_utils.is_torchao_available.__wrapped__  # it remembers its first answer
    stays = range_.specifier.contains(installed)
    with nullcontext() if stays else pytest.raises(ImportError, match="incompatible .* torchao"):
        assert look()


@pytest.mark.parametrize("name, version", [("numpy", "3.0.1"), ("torch", "2.10.0+cpu")])
def test_unfitting_numpy_and_torch_are_named_and_left(session, name, version):
    session.disk[name] = version
    with pytest.raises(ImportError, match=rf"^{name} {version[:5]}.* the course needs {name}[<>]"):
        colab.complete("training")
    assert session.calls == []


@pytest.mark.parametrize("module, name", [("numpy", "numpy"), ("PIL", "pillow")])
def test_what_was_replaced_before_asks_for_a_restart(session, module, name):
    session.load(module, "1.9")
    with pytest.raises(ImportError, match=f"loaded {name}, another .* Restart session"):
        colab.complete()
    assert session.calls == []


def test_what_is_replaced_now_asks_for_a_restart(session):
    """pip may bring along a newer version of what our ranges do not even name."""
    session.disk["datasets"], session.comes = "4.0.0", {"datasets": "5.2.0", "trl": "1.16.0"}
    session.load("datasets", "4.0.0")
    with pytest.raises(ImportError, match="loaded datasets, another"):
        colab.complete("training")
    colab.metadata.requires("vlm-helpers")
    session.load("datasets", "5.2.0")
    colab.complete("training")  # after the restart
    assert len(session.calls) == 1


def test_pip_that_fails_says_why(session):
    session.fails = True
    with pytest.raises(RuntimeError, match="trl.* beside numpy==2.1.0 and .*: ERROR: no network"):
        colab.complete("training")


def test_the_environment_of_these_tests_is_complete(monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    colab.complete("training")


@pytest.mark.parametrize("name, extras", [("00_welcome", ""), ("08_fine_tuning", '"training"')])
def test_replica_runs_the_set_up_cell_of_a_course_with_an_address(name, extras):
    before, *cells, versions = replica.as_on_colab(ROOT / "notebooks" / f"{name}.ipynb").cells
    assert before.source == "import google.colab, numpy, PIL, psutil, requests"
    set_up = next(cell.source for cell in cells if cell.cell_type == "code")
    assert f'%pip install -q --no-deps "vlm-helpers @ git+{ROOT.as_uri()}"\n' in set_up
    assert f"    colab.complete({extras})\n" in set_up
    exec(versions.source, {})


def test_replica_takes_back_what_a_notebook_before_installed(monkeypatch):
    """pip would leave it: what ran would be an older course, and beside TRL already."""
    done = []

    def execute(**_):
        done.append("run")
        raise EOFError

    monkeypatch.setattr(
        replica.subprocess, "run", lambda command, check: done.append(" ".join(command[4:]))
    )
    monkeypatch.setattr(
        replica, "NotebookClient", lambda *_, **__: SimpleNamespace(execute=execute)
    )
    with pytest.raises(EOFError):
        replica.run(ROOT / "notebooks" / "00_welcome.ipynb", "python")
    image = f"install --quiet --no-deps -r {ROOT / 'tools' / 'colab.txt'}"
    assert done == ["uninstall --quiet --yes vlm-helpers trl", image, "run"]


def test_what_training_adds_on_colab_is_taken_back():
    """Of what TRL brings, all but itself is in the replica's list, and so comes back by that."""
    listed = [line.partition("==") for line in (ROOT / "tools" / "colab.txt").open()]
    names = {name for name, _, _ in listed}
    needed = {
        Requirement(line).name.replace("_", "-")
        for name in ("trl", "datasets")
        for line in metadata.requires(name)
        if "extra ==" not in line
    }
    assert "trl" not in names and needed <= names
