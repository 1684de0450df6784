"""What parsing gives, and the tools that all formats share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from vlm_helpers.boxes._shapes import Box, Point, Polygon

_SHOWN = 60  # characters of a dropped text that are kept
# A regex for what stands between two tags: a < that opens no tag may be among it.
INSIDE = r"[^<]*(?:<(?![a-z/|])[^<]*)*"


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

    @property
    def shapes(self) -> list[Box | Point | Polygon]:
        """All that was well-formed, kind by kind."""
        return [*self.boxes, *self.points, *self.polygons]

    def drop(self, text: str, why: str) -> None:
        self.dropped.append(Dropped(text[:_SHOWN] + "…" * (len(text) > _SHOWN), why))

    def add_box(self, corners: Iterable[float], label: str | None, text: str) -> None:
        """A box from fractions, or a reason why it is none."""
        x0, y0, x1, y1 = corners
        if why := _no_place(x0, y0, x1, y1):
            self.drop(text, why)
        elif x1 < x0 or y1 < y0:
            self.drop(text, "corners exchanged")
        else:
            self.boxes.append(Box(x0, y0, x1, y1, label))

    def add_point(self, x: float, y: float, label: str | None, text: str) -> None:
        """A point from fractions, or a reason why it is none."""
        if why := _no_place(x, y):
            self.drop(text, why)
        else:
            self.points.append(Point(x, y, label))


def _no_place(*values: float) -> str | None:
    """Why fractions are no place in the picture."""
    if any(map(math.isnan, values)):
        return "NaN is no place"
    if min(values) < 0 or max(values) > 1:
        return "outside of the picture"
    return None


def numbers_of(shape: Box | Point | Polygon) -> tuple[float, ...]:
    """The numbers of a shape in a row, x first."""
    if isinstance(shape, Box):
        return shape.corners
    if isinstance(shape, Point):
        return shape.x, shape.y
    return tuple(v for point in shape.points for v in point)


def name(text: str | None) -> str | None:
    """A label without white space around it; None where nothing is left."""
    return (text or "").strip() or None


def cell(value: float, bins: int) -> int:
    """The bin of a fraction, out of `bins`; 1 belongs to the last one."""
    return min(max(int(value * bins), 0), bins - 1)


def rounded(value: float, most: int) -> int:
    """The nearest whole number to a fraction of `most`, from 0 to `most`."""
    return min(max(round(value * most), 0), most)
