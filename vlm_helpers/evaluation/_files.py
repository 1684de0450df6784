"""A run on disk: JSON Lines, the settings first and then an answer a line, written as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORMAT = 1  # rises when a file of before can no longer be gone on with


def _head(settings: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "settings": {name: repr(settings[name]) for name in sorted(settings)}}


def resumed(path: Path, settings: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    """The answers that the file holds already, by id; none if it is not there yet.

    A last line that a kill left half written is cut off; everything else stays as it is.

    Raises:
        ValueError: the file holds something else, or a run with other settings.
    """
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    remedy = "give another file as out, or move this one away"
    try:
        head, *rows = [json.loads(line) for line in whole.decode().splitlines()] or [None]
        done = {row["id"]: row for row in rows}
        wanted = _head(settings)
        if head is not None and (head["format"], *head) != (FORMAT, *wanted):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} holds no run of this version that can be gone on with: {remedy}."
        ) from None
    if head is not None and head != wanted:
        raise ValueError(
            f"{path} holds a run with the settings {head['settings']}, and this one has "
            f"{wanted['settings']}: {remedy}."
        )
    if len(whole) < len(data):
        with path.open("rb+") as file:
            file.truncate(len(whole))
    return done


@contextmanager
def appending(
    path: str | Path | None, settings: dict[str, Any]
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that adds a row to the file, and has it there before it returns."""
    if path is None:
        yield lambda row: None
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:

        def write(row: dict[str, Any]) -> None:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()

        if not file.tell():
            write(_head(settings))
        yield write
