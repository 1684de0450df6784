"""A run on disk: JSON Lines. The settings come first, then an answer a line, as each is there; the
last line of a run that came to its end says how many items it has.

Processes that share a run write a part each, beside its file; the last to go on with it joins them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 2  # rises when a file of before can no longer be gone on with
REMEDY = "give another file as out, or move this one away"


@dataclass(frozen=True)
class Contents:
    """What a run's file holds.

    Attributes:
        head: the settings' line; None where not even that was written.
        rows: the answers, in the order of the items.
        items: how many items the run has; None where it did not come to its end.
        whole: the bytes up to the end of the last line; what follows, a kill left half written.
    """

    head: dict[str, Any] | None
    rows: list[dict[str, Any]]
    items: int | None
    whole: int
    torn: bool


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
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            entry = json.loads(line)
            if number == 1:
                head = {"format": entry["format"], "settings": dict(entry["settings"])}
            elif set(entry) == {"items"}:
                items = entry["items"]
            else:
                row = _checked({name: entry[name] for name in COLUMNS})
                rows[row["id"]], items = row, None
        except (ValueError, KeyError, TypeError, AttributeError):
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
    return Contents(head, ordered, items, whole, whole < len(data))


# Of each answer; `rules` holds, by each rule's name, what it took from the answer, and the score.
COLUMNS = ("number", "id", "skill", "question", "truth", "answer", "rules", "seconds")


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """The row, if what is done with it later can be done. Raises `TypeError`, `ValueError`."""
    kinds = {"number": int, "id": str | int, "question": str, "truth": str, "answer": str}
    if not all(isinstance(row[name], kind) for name, kind in kinds.items()) or not row["rules"]:
        raise ValueError
    for _, score in row["rules"].values():
        float(score)
    return row


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
        self.path = None if path is None else Path(path)
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
        """A function that adds a row to the own file, and has it there before it returns.

        What a kill left half written at its end is cut off first.
        """
        if self.own is None:
            yield lambda row: None
            return
        self.own.parent.mkdir(parents=True, exist_ok=True)
        if self.own.exists():
            contents = self._read(self.own)
            if contents.torn:
                with self.own.open("rb+") as file:
                    file.truncate(contents.whole)
        # A lone surrogate, which an answer may hold, is written as it is, and read by `json`.
        with self.own.open("a", encoding="utf-8", errors="surrogatepass") as file:

            def write(entry: dict[str, Any]) -> None:
                file.write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")
                file.flush()

            if not file.tell():
                write(self.head)
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
