"""`RowError`: what is wrong with a row of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jinja2 import TemplateError

from vlm_helpers._words import within


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


@contextmanager
def of_row(i: int, row: Any) -> Iterator[None]:
    """What is wrong in here is wrong with this row."""
    try:
        yield
    except (TemplateError, TypeError, ValueError, OSError) as error:
        name = row.get("id") if hasattr(row, "get") else None
        raise RowError(i, within(str(error)), name) from error


def check_batch(rows: Any) -> None:
    if isinstance(rows, Mapping) or not hasattr(rows, "__len__") or not len(rows):
        given = "a dict: put the row into a list" if isinstance(rows, Mapping) else "none"
        raise ValueError(f"A batch is a list of one row or more, not {given}.")
