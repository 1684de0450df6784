"""What the course needs and Colab lacks, installed without swapping what a session has loaded.

The set-up cell of each notebook installs the package alone on Colab, and `complete` the rest. A
session that has imported numpy or torch keeps using what it has in memory while pip replaces the
files: the next import then mixes two versions, and fails far from its cause. So versions are
compared with what is loaded, what fits is left alone, and numpy and torch always are.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import invalidate_caches, metadata
from pathlib import Path

from packaging.requirements import Requirement

KEPT = ("numpy", "torch")  # much of what Colab has is built for this very numpy, this very torch
# Nobody here needs it; but peft, which puts on adapters, refuses an older one wherever it finds it.
REFUSED_IF_OLD = {"training": ("torchao>=0.16",)}
_MODULES = {"huggingface-hub": "huggingface_hub", "ipython": "IPython", "pillow": "PIL"}


def complete(*extras: str) -> None:
    """Install what the package and its `extras`, such as "training", need and is not here.

    With "training" a torchao that is here and older than peft takes is replaced, too: Colab's is.
    Raises ImportError, and says what to do, where numpy or torch is one that the course cannot
    use, or where something was replaced after the session had loaded it: no cell below would be
    sure to work. Raises RuntimeError where pip fails.
    """
    ranges = _ranges(extras)
    here = {range_.name: _installed(range_.name) for range_ in ranges}
    _refuse_replaced(name for name, version in here.items() if _loaded(name) not in (None, version))
    missing = []
    for range_ in ranges:
        version = here[range_.name]
        if version and range_.specifier.contains(version, prereleases=True):
            continue
        if version and range_.name in KEPT:
            raise ImportError(
                f"{range_.name} {version} is here, and the course needs {range_}. Another would "
                "break what is built on this one: choose a runtime version that has it, in Runtime "
                "> Change runtime type."
            )
        missing.append(f"{range_.name}{range_.specifier}")
    if missing:
        tops = {name for name in sys.modules if "." not in name}
        before = {name: version for name in tops if (version := _installed(name))}
        _install(missing)
        _refuse_replaced(name for name, version in before.items() if _installed(name) != version)


def _ranges(extras: tuple[str, ...]) -> list[Requirement]:
    """What the package says that it needs, on this machine and with these extras, and what would
    be refused here."""
    ranges = [Requirement(line) for line in metadata.requires("vlm-helpers") or []]
    wanted = [{"extra": extra} for extra in ("", *extras)]
    needed = [r for r in ranges if not r.marker or any(map(r.marker.evaluate, wanted))]
    refused = [Requirement(line) for extra in extras for line in REFUSED_IF_OLD.get(extra, ())]
    return [*needed, *(r for r in refused if _installed(r.name))]


def _installed(name: str) -> str | None:
    """The version on disk."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _loaded(name: str) -> str | None:
    """The version in memory."""
    return getattr(sys.modules.get(_MODULES.get(name, name)), "__version__", None)


def _refuse_replaced(names: Iterable[str]) -> None:
    if replaced := sorted(names):
        raise ImportError(
            f"Since this session loaded {', '.join(replaced)}, another version was installed. "
            "Choose Runtime > Restart session, and run this cell again."
        )


def _install(missing: list[str]) -> None:
    print(f"Installing {', '.join(missing)}")
    here = [f"{name}=={version}" for name in KEPT if (version := _installed(name))]
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"
        kept.write_text("\n".join(here))
        command = [sys.executable, "-m", "pip", "install", "-q", "-c", str(kept), *missing]
        done = subprocess.run(command, capture_output=True, text=True)
    invalidate_caches()
    if done.returncode:
        raise RuntimeError(
            f"pip could not install {', '.join(missing)} beside {' and '.join(here)}: "
            f"{done.stderr.strip()[-500:]}"
        )
