"""Collect the course's packages for other kinds of machine: for a room without Wi-Fi.

    python -m tools.wheels linux-3.12 mac-3.13 windows-3.11

A kind is a system and a Python. `make wheels` collects what the machine that it runs on needs;
this adds the builds of others to wheels/, at the versions that constraints.txt pins. For `mac` they
are those of Apple silicon, for the others of x86-64; for Linux, torch comes from the CPU index.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"

# What markers ask for, and the platform tags of builds that run there.
SYSTEMS = {
    "linux": (
        {"sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"},
        [*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 16, -1)), "manylinux2014_x86_64"],
    ),
    "mac": (
        {"sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"},
        ["macosx_14_0_arm64"],
    ),
    "windows": (
        {"sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64"},
        ["win_amd64"],
    ),
}
LATEST = 99  # the last number of a Python's version, where its latest release is meant
# To build the course's own package where there is no network to fetch it.
ALSO = ["editables"]


def split(kind: str) -> tuple[str, str]:
    """A kind's system and Python. Raises ValueError for what is neither, naming the kinds."""
    system, _, python = kind.partition("-")
    if system not in SYSTEMS or not re.fullmatch(r"3\.\d+", python):
        raise ValueError(
            f"{kind!r} is no kind of machine: write {', '.join(SYSTEMS)} and a Python, as in "
            "windows-3.12."
        )
    return system, python


def pins(kind: str, micro: int = LATEST) -> list[str]:
    """What a machine of this kind installs, of constraints.txt: all but the gpu extra's own.

    `micro` is the last number of its Python's version: 0 for the first release.
    """
    system, python = split(kind)
    full = f"{python}.{micro}"
    target = {**SYSTEMS[system][0], "python_version": python, "python_full_version": full}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    gpu = {canonicalize_name(Requirement(x).name) for x in project["optional-dependencies"]["gpu"]}
    found = []
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            wanted = not pin.marker or pin.marker.evaluate(target)
            if wanted and canonicalize_name(pin.name) not in gpu:
                found.append(f"{pin.name}{pin.specifier}")
    return found


def command(
    kind: str, folder: Path, requirements: list[str], *more: str, micro: int = LATEST
) -> list[str]:
    """pip's command line that brings builds for this kind into `folder`, and nothing but them."""
    system, python = split(kind)
    platforms = [word for tag in SYSTEMS[system][1] for word in ("--platform", tag)]
    return [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"),
        *("--dest", str(folder), "--no-deps", "--only-binary", ":all:"),
        *("--python-version", f"{python}.{micro}"),  # 3.11 alone would be 3.11.0 to pip
        *platforms,
        *more,
        *requirements,
    ]


def collect(kind: str, folder: Path) -> None:
    """Bring what a machine of this kind installs into `folder`.

    Raises subprocess.CalledProcessError where pip finds no build; pip has said which.
    """
    latest = pins(kind)
    torch = [pin for pin in latest if pin.startswith("torch==")]
    index = ["--index-url", CPU_INDEX] if kind.startswith("linux") else []
    rest = [pin for pin in latest if pin not in torch] + ALSO
    calls = [command(kind, folder, torch, *index), command(kind, folder, rest)]
    if first := [pin for pin in pins(kind, 0) if pin not in latest]:  # pip takes one version a call
        calls.append(command(kind, folder, first, micro=0))
    for call in calls:
        subprocess.run(call, check=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.wheels", description=__doc__.splitlines()[0]
    )
    parser.add_argument("kinds", nargs="+", metavar="KIND", help="such as windows-3.12")
    kinds = parser.parse_args(arguments).kinds
    try:
        for kind in kinds:
            split(kind)
        for kind in kinds:
            print(f"Collecting the packages for {kind} in wheels/.", flush=True)
            collect(kind, ROOT / "wheels")
    except ValueError as error:
        raise SystemExit(str(error)) from None
    except subprocess.CalledProcessError:
        raise SystemExit(f"Not all packages for {kind} were collected: see above.") from None


if __name__ == "__main__":
    main()
