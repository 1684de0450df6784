"""`python -m tools.wheels`: for each kind of machine, what it installs, and nothing else."""

import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_setup import CORE, CPU_INDEX, EXTRAS, TORCH, makefile_value
from tools import wheels

KINDS = ["linux-3.11", "linux-3.14", "mac-3.13", "windows-3.12"]


def names(kind, **options):
    return {canonicalize_name(Requirement(pin).name) for pin in wheels.pins(kind, **options)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gets_what_make_installs_and_nothing_for_gpus(kind):
    extras = makefile_value("EXTRAS").split(",")
    wanted = {canonicalize_name(r.name) for r in [*CORE, *(r for e in extras for r in EXTRAS[e])]}
    assert wanted <= names(kind)
    assert not {canonicalize_name(r.name) for r in EXTRAS["gpu"]} & names(kind)
    assert len(wheels.pins(kind)) == len(names(kind))  # one version of each


def test_what_one_system_or_python_needs_goes_there_alone():
    assert {"colorama", "pywinpty"} <= names("windows-3.12") - names("linux-3.12")
    assert {"pexpect", "ptyprocess"} <= names("mac-3.12") - names("windows-3.12")
    assert "appnope" in names("mac-3.12") - names("linux-3.12")
    assert "overrides" in names("linux-3.11") - names("linux-3.12")


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(
        wheels.subprocess, "run", lambda command, check: made.append(" ".join(command))
    )
    return made


def test_torch_comes_from_the_cpu_index_for_linux_alone(calls):
    for kind in KINDS:
        wheels.collect(kind, Path("there"))
    for call in calls:
        assert "--dest there --no-deps --only-binary :all:" in call
        assert (CPU_INDEX in call) == ("manylinux" in call and f"torch=={TORCH}" in call)
    assert sum(f" torch=={TORCH}" in call for call in calls) == len(KINDS)


def test_early_releases_of_a_python_get_their_own_pins_in_a_call_of_their_own(calls):
    """Debian 12 has Python 3.11.2; pip refuses two versions of one package in one call."""
    wheels.collect("linux-3.11", Path("there"))
    both = [set(re.findall(r" (\S+)==", call)) for call in calls]
    assert len(calls) == 3 and both[2] and both[2] <= both[1]
    assert ["--python-version 3.11.0 " in call for call in calls] == [False, False, True]
    wheels.collect("linux-3.12", Path("there"))
    assert len(calls) == 5


@pytest.mark.parametrize("kind", ["beos-3.12", "linux", "linux-2.7", "mac-3", "windows-3.12.4"])
def test_what_is_no_kind_of_machine_is_refused_before_anything_is_fetched(kind, calls):
    with pytest.raises(SystemExit, match=f"'{kind}' is no kind.*windows-3.12"):
        wheels.main(["linux-3.12", kind])
    assert calls == []


def test_where_pip_finds_no_build_one_sentence_says_which_kind(monkeypatch):
    def fail(command, check):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(wheels.subprocess, "run", fail)
    with pytest.raises(SystemExit, match="Not all packages for mac-3.12 were collected"):
        wheels.main(["mac-3.12"])
