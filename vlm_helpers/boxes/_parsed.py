"""What parsing gives, and the tools that all formats share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vlm_helpers.boxes._shapes import Box, Point, Polygon

_SHOWN = 60  # characters of a dropped text that are kept
_OUT = 0.25  # how far beyond the picture a side may lie that is cut off at its edge
_FRACTIONS = "fractions, where numbers up to {:g} are due: is this another format, such as kimi-vl?"
# A regex for what stands between two tags: a < that opens no tag may be among it.
INSIDE = r"[^<]*(?:<(?![a-z/|])[^<]*)*"
NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)"
FOUR = r"\s*,\s*".join([NUMBER] * 4)


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
        """Note that a piece of the output was not read, cut to its first 60 characters, and why."""
        self.dropped.append(Dropped(text[:_SHOWN] + "…" * (len(text) > _SHOWN), why))

    def add(
        self,
        values: Sequence[float],
        label: str | None,
        text: str,
        scale: Sequence[float] = (1, 1),
        *,
        score: float | None = None,
        out: float = _OUT,
    ) -> None:
        """Add a point of two numbers, a box of four or an outline of more, x first; or drop them.

        `scale`: the numbers of the lower right corner of the picture. `out`: how far beyond the
        picture, in fractions of it, a side may lie to be moved to the edge.
        """
        places = [value / scale[i % 2] for i, value in enumerate(values)]
        if scale[0] > 1 and are_fractions(values):
            self.drop(text, _FRACTIONS.format(max(scale)))
        elif why := _no_place(places, out):
            self.drop(text, why)
        elif len(places) == 2:
            self.points.append(Point(*places, label).clipped())
        elif len(places) == 4:
            self.boxes.append(Box(*places, label, score=score).clipped())
        else:
            self.polygons.append(Polygon(tuple(zip(places[0::2], places[1::2])), label).clipped())


def _no_place(places: Sequence[float], out: float) -> str | None:
    """Why fractions are not a place in the picture; None where they are."""
    if any(map(math.isnan, places)):
        return "NaN is no place"
    if min(places) < -out or max(places) > 1 + out:
        return "outside of the picture, or in another frame"
    for low, high in zip(places[:2], places[2:]) if len(places) == 4 else ():
        if high < low:
            return "corners exchanged"
        if low < high <= 0 or 1 <= low < high:
            return "outside of the picture"
    return None


def are_fractions(values: Sequence[float]) -> bool:
    """Whether numbers were written as fractions: one has a decimal point, and none is far from
    the range of 0 to 1."""
    near = all(-_OUT <= v <= 1 + _OUT for v in values)
    return near and any(isinstance(v, float) for v in values)


def number(text: str) -> float:
    """A number as it was written: an int without a decimal point, unless it is huge."""
    return int(text) if len(text) < 16 and text.lstrip("+-").isdigit() else float(text)


def numbers_in(text: str) -> list[float]:
    """All numbers of a text."""
    return [number(piece) for piece in re.findall(NUMBER, text)]


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


def by_label(shapes: Sequence) -> list[tuple[str | None, list]]:
    """Shapes with one label after another together, as models write them."""
    groups: list[tuple[str | None, list]] = []
    for shape in shapes:
        if not groups or groups[-1][0] != shape.label:
            groups.append((shape.label, []))
        groups[-1][1].append(shape)
    return groups


def cell(value: float, bins: int) -> int:
    """The bin of a fraction, out of `bins`; 1 belongs to the last one."""
    return min(max(int(value * bins), 0), bins - 1)
