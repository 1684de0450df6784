"""`RowError`: what is wrong with a row of a data set."""

from __future__ import annotations

from typing import Any


class RowError(ValueError):
    """A row that cannot be trained on.

    Attributes:
        row: its number, counted from 0, in what was given.
        why: what is wrong and what to do about it, without the number.
        name: its `id`, where it has one.
    """

    def __init__(self, row: int, why: str, name: Any = None):
        name = name.item() if hasattr(name, "item") else name  # numpy's
        self.row, self.why, self.name = row, why, name
        super().__init__(f"Row {row:,}{'' if name is None else f' (id {name!r})'}: {why}")
