"""A run on disk: JSON Lines. The settings come first, then an answer a line, as each is there; the
last line of a run that came to its end says how many items it has.

Processes that share a run write a part each, beside its file; the last to go on with it joins them.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 2  # rises when a file of before can no longer be gone on with
START = b'{"format": '  # of the first line, which a kill may leave half written, too
REMEDY = "give another file as out, or move this one away"


@dataclass(frozen=True)
class Contents:
    """What a run's file holds.

    Attributes:
        head: the settings' line; None where not even that was written.
        rows: the answers, in the order of the items.
        items: how many items the run has; None where it did not come to its end.
        torn: whether something follows the last whole line, which a kill left half written.
    """

    head: dict[str, Any] | None
    rows: list[dict[str, Any]]
    items: int | None
    torn: bool


def as_path(name: str, path: Any) -> Path:
    """`path`, the argument of that name, as a `Path`."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name} is of type {type(path).__name__}: it must be a file's path.")
    return Path(path)


def read(path: Path) -> Contents:
    """What the file holds. It is left as it is.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it holds something else, or a run of another version; the line is named.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: a run is kept in a file.")
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}: a run is kept by quiz(…, out={path.name!r})."
        )
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    head, rows, items = None, {}, None
    if not whole and not START.startswith(data[: len(START)]):
        raise ValueError(f"{path} is no run of answers. The file was left as it is.")
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            entry = json.loads(line)
            if number == 1:
                head = {"format": entry["format"], "settings": dict(entry["settings"])}
            elif entry == head:
                continue  # of a second process that began at the same moment
            elif set(entry) == {"items"}:
                items = entry["items"]
            else:
                like = next(iter(rows.values()), None)
                row = _checked({name: entry[name] for name in COLUMNS}, like)
                rows[row["id"]], items = row, None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            if head and head["format"] != FORMAT:
                break
            what = "is no run of answers" if number == 1 else "is damaged"
            raise ValueError(
                f"{path} {what}: line {number} is not what `quiz` writes. The file was left as it "
                "is."
            ) from None
    if head and head["format"] != FORMAT:
        raise ValueError(
            f"{path} holds a run of another version of vlm_helpers (format {head['format']!r}, "
            f"here {FORMAT}): read it with that one, or {REMEDY}."
        )
    ordered = sorted(rows.values(), key=lambda row: row["number"])
    if items != len(rows):  # none was noted yet, or lines have been taken out since
        items = None
    return Contents(head, ordered, items, whole < len(data))


# Of each answer; `rules` holds, by each rule's name, what it took from the answer, and the score.
COLUMNS = ("number", "id", "skill", "question", "truth", "answer", "rules", "seconds")


def _checked(row: dict[str, Any], like: dict[str, Any] | None) -> dict[str, Any]:
    """The row, if what is done with it later can be done. Raises `TypeError`, `ValueError`.

    `like` is another row of the run, which was scored by the same rules.
    """
    kinds = {
        "number": int, "id": str | int, "skill": str | int | None, "question": str,
        "truth": str, "answer": str, "seconds": float | int,
    }  # fmt: skip
    if not all(isinstance(row[name], kind) for name, kind in kinds.items()) or not row["rules"]:
        raise ValueError
    if like and row["rules"].keys() != like["rules"].keys():
        raise ValueError
    for taken, score in row["rules"].values():
        if not isinstance(taken, str | None) or not math.isfinite(score):
            raise ValueError
    return row


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """A file that cannot be written is told in a sentence."""
    try:
        yield
    except OSError as error:
        raise type(error)(
            f"{path} cannot be written ({error.strerror}): make room for it, or name another file. "
            "What it holds already stays."
        ) from error


def opened(path: Path) -> io.FileIO:
    """The file, to `append` to. Its folder is made where there is none.

    What a kill left half written at its end is cut off.
    """
    with _said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
        return file


def append(file: io.FileIO, *entries: dict[str, Any]) -> None:
    """Has the entries, a line each, at the file's end before it returns; or raises, and has none.

    They are written in one go, so that what two processes write does not mix.
    """
    lines = (json.dumps(entry, ensure_ascii=False, default=str) + "\n" for entry in entries)
    # A lone surrogate, which an answer may hold, is written as it is, and read by `json`.
    left, end = "".join(lines).encode(errors="surrogatepass"), file.seek(0, os.SEEK_END)
    try:
        with _said(Path(file.name)):
            while left:  # a full disk takes a part first
                left = left[file.write(left) :]
    except OSError:
        with suppress(OSError):
            file.truncate(end)
        raise


def parts(path: Path) -> list[Path]:
    """The parts that processes have left beside the file of their run."""
    return sorted(path.parent.glob(f"{path.name}.*.part"))


class File:
    """The file of one run, or nothing where there is none, to be gone on with.

    Args:
        path: None for a run that is not kept.
        settings: what must be the same for the run to go on.
        process, processes: which of how many this is.
    """

    def __init__(
        self,
        path: str | Path | None,
        settings: dict[str, Any],
        process: int = 0,
        processes: int = 1,
    ):
        self.path = None if path is None else as_path("out", path)
        self.head = {
            "format": FORMAT, "settings": {name: repr(settings[name]) for name in sorted(settings)}
        }  # fmt: skip
        self.own = self.path
        if self.path and processes > 1:
            self.own = self.path.with_name(f"{self.path.name}.{process}.part")

    def answers(self) -> dict[Any, dict[str, Any]]:
        """The rows that are there already, by id, those of parts too.

        Raises:
            ValueError: a file holds something else, or a run with other settings.
        """
        if self.path is None:
            return {}
        found = {}
        for path in [self.path, *parts(self.path)]:
            if path.exists():
                found |= {row["id"]: row for row in self._read(path).rows}
        return found

    def _read(self, path: Path) -> Contents:
        contents = read(path)
        if contents.head not in (None, self.head):
            raise ValueError(
                f"{path} holds a run with the settings {contents.head['settings']}, and this one "
                f"has {self.head['settings']}: {REMEDY}. (`Run.load` reads it; `rescored` scores "
                "its answers by other rules.)"
            )
        return contents

    @contextmanager
    def appending(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """A function that adds a row to the own file, and has it there before it returns."""
        if self.own is None:
            yield lambda row: None
            return
        if self.own.exists():
            self._read(self.own)  # what is no run, or another one, stays as it is
        with opened(self.own) as file:

            def write(entry: dict[str, Any]) -> None:  # the head comes with the first of them
                append(file, *(() if file.seek(0, os.SEEK_END) else (self.head,)), entry)

            yield write

    def finish(self, rows: list[dict[str, Any]]) -> None:
        """Has all rows in the one file, says that they are all, and removes the parts."""
        if self.path is None:
            return
        self.own = self.path
        contents = self._read(self.path) if self.path.exists() else None
        there = {row["id"] for row in contents.rows} if contents else set()
        missing = [row for row in rows if row["id"] not in there]
        if missing or contents is None or contents.items is None:
            with self.appending() as write:
                for row in missing:
                    write({name: row[name] for name in COLUMNS})
                write({"items": len(there) + len(missing)})
        for part in parts(self.path):
            part.unlink()
