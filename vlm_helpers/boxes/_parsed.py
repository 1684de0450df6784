"""What parsing gives, and the tools that all formats share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from vlm_helpers.boxes._shapes import Box, Point, Polygon

_SHOWN = 60  # characters of a dropped text that are kept


class Dropped(NamedTuple):
    """A piece of a model's output that was no box, and why."""

    text: str
    why: str


@dataclass
class Parsed:
    """What stood in a model's output.

    Attributes:
        boxes, points, polygons: what was well-formed, in the order of the text.
        dropped: what was not, and why.
    """

    boxes: list[Box] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    polygons: list[Polygon] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def drop(self, text: object, why: str) -> None:
        shown = str(text)
        self.dropped.append(Dropped(shown[:_SHOWN] + "…" * (len(shown) > _SHOWN), why))

    def add_box(
        self, corners: Iterable[float], label: str | None, text: object, *, beyond: bool = False
    ) -> None:
        """A box from fractions, or a reason why it is none. `beyond`: it may reach out a little."""
        x0, y0, x1, y1 = corners
        if not beyond and (min(x0, y0, x1, y1) < 0 or max(x0, y0, x1, y1) > 1):
            self.drop(text, "outside of the picture")
        elif x1 < x0 or y1 < y0:
            self.drop(text, "corners exchanged")
        else:
            self.boxes.append(Box(x0, y0, x1, y1, label))

    def add_point(self, x: float, y: float, label: str | None, text: object) -> None:
        if min(x, y) < 0 or max(x, y) > 1:
            self.drop(text, "outside of the picture")
        else:
            self.points.append(Point(x, y, label))


def name(text: str | None) -> str | None:
    """A label without white space around it; None where nothing is left."""
    return (text or "").strip() or None


def cell(value: float, bins: int) -> int:
    """The bin of a fraction, out of `bins`; 1 belongs to the last one."""
    return min(max(int(value * bins), 0), bins - 1)


def rounded(value: float, most: int) -> int:
    """The nearest whole number to a fraction of `most`, from 0 to `most`."""
    return min(max(round(value * most), 0), most)
