"""Where the files of `data/` lie: beside the package in a checkout, in `_data/` once installed."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def data_file(name: str) -> Path:
    """The path of `data/NAME`, a file or folder that ships with the course.

    Raises:
        FileNotFoundError: the package came without it; the message says what brings it back.
    """
    places = [PACKAGE / "_data" / name, PACKAGE.parent / "data" / name]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(
        f"{name} is missing, though it ships with the course: neither {places[0]} nor {places[1]} "
        f"is there; {restore()}."
    )


def restore() -> str:
    """What brings back the files of `data/`, as the end of a sentence."""
    root = PACKAGE.parent
    if (root / ".git").exists():
        return f"run `git checkout -- data` in {root}"
    return "install vlm-helpers again, or get a whole copy of the repository"
