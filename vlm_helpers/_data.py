"""Where the files of `data/` lie: beside the package in a checkout, in `_data/` once installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def data_file(name: str) -> Path:
    """The path of `data/NAME`. Raises `FileNotFoundError` where the package came without it."""
    places = [_PACKAGE / "_data" / name, _PACKAGE.parent / "data" / name]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"The course's file {name} is missing: neither {places[0]} nor {places[1]} is there. "
        "Install the package again, or get a whole copy of the repository."
    )
