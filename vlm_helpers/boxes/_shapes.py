"""Boxes, points and outlines in one frame: fractions of the picture, x to the right, y down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vlm_helpers._words import as_number


def _number(what: str, value: Any) -> float:
    """Anything that is a number, numpy's and torch's scalars among them."""
    number = as_number(value)
    if number is None or not math.isfinite(number):
        raise ValueError(f"{what} needs finite numbers, not {value!r}.")
    return number


def size_of(image_size: Any, what: str = "image_size") -> tuple[int, int]:
    """(width, height) in pixels; raises `ValueError` for anything else."""
    try:
        width, height = image_size
        if width >= 1 and height >= 1:
            return width, height
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{what} must be (width, height) in pixels, not {image_size!r}.")


def _to_edge(value: float) -> float:
    return min(max(value, 0.0), 1.0)


@dataclass(frozen=True)
class Box:
    """A box in fractions of the picture: 0 is its left or upper edge, 1 its right or lower one.

    Attributes:
        x0, y0: the upper left corner.
        x1, y1: the lower right corner; not left of x0, and not above y0.
        label: what is in it, or None.
        score: a confidence, or None; `average_precision` ranks by it.

    The corners may be of any kind of number, numpy's and torch's too; they are kept as floats.

    Raises `ValueError` where a number is not finite, or the corners are exchanged. Numbers outside
    of 0 to 1 are allowed: a box may reach beyond the picture. See `clipped`.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    label: str | None = None
    score: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("x0", "y0", "x1", "y1"):
            object.__setattr__(self, name, _number("A box", getattr(self, name)))
        if self.x1 < self.x0 or self.y1 < self.y0:
            raise ValueError(
                f"The corners of the box {self.corners} are exchanged: x0 <= x1 and y0 <= y1."
            )

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) in fractions of the picture."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def area(self) -> float:
        """As a share of the picture."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def center(self) -> Point:
        """The point in its middle, with its label."""
        return Point((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2, self.label)

    def clipped(self) -> Box:
        """The part inside the picture."""
        return Box(*map(_to_edge, self.corners), self.label, score=self.score)

    def to_pixels(self, image_size: Sequence[int]) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels of a picture of `image_size` = (width, height)."""
        width, height = size_of(image_size)
        return self.x0 * width, self.y0 * height, self.x1 * width, self.y1 * height

    @classmethod
    def from_pixels(
        cls, corners: Sequence[float], image_size: Sequence[int], label: str | None = None
    ) -> Box:
        """A box from (left, top, right, bottom) in pixels of a picture of `image_size`."""
        width, height = size_of(image_size)
        x0, y0, x1, y1 = corners
        return cls(x0 / width, y0 / height, x1 / width, y1 / height, label)


@dataclass(frozen=True)
class Point:
    """A place in fractions of the picture, x to the right and y down.

    Numbers may be of any kind, and outside of 0 to 1. Raises `ValueError` where one is not finite.
    """

    x: float
    y: float
    label: str | None = None

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            object.__setattr__(self, name, _number("A point", getattr(self, name)))

    def clipped(self) -> Point:
        """The nearest place inside the picture."""
        return Point(_to_edge(self.x), _to_edge(self.y), self.label)

    def to_pixels(self, image_size: Sequence[int]) -> tuple[float, float]:
        """(x, y) in pixels of a picture of `image_size` = (width, height)."""
        width, height = size_of(image_size)
        return self.x * width, self.y * height


@dataclass(frozen=True)
class Polygon:
    """An outline: its corners in order, (x, y) in fractions of the picture; it closes itself.

    Raises `ValueError` where there are fewer than three corners, or a number is not finite.
    """

    points: tuple[tuple[float, float], ...]
    label: str | None = None

    def __post_init__(self) -> None:
        if len(self.points) < 3:
            raise ValueError(f"An outline needs three corners or more, not {len(self.points)}.")
        points = tuple(tuple(_number("An outline", v) for v in point) for point in self.points)
        object.__setattr__(self, "points", points)

    def clipped(self) -> Polygon:
        """With every corner that is outside of the picture moved to its edge."""
        points = tuple((_to_edge(x), _to_edge(y)) for x, y in self.points)
        return Polygon(points, self.label)

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        xs, ys = zip(*self.points)
        return Box(min(xs), min(ys), max(xs), max(ys), self.label)

    def to_pixels(self, image_size: Sequence[int]) -> list[tuple[float, float]]:
        """Its corners in pixels of a picture of `image_size` = (width, height)."""
        width, height = size_of(image_size)
        return [(x * width, y * height) for x, y in self.points]
