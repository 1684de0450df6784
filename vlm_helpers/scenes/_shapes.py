"""The outlines of the shapes, as polygons in a unit frame: x right, y down, centre (0, 0)."""

from __future__ import annotations

import math
from functools import cache

Points = tuple[tuple[float, float], ...]


def _around(n: int, start: float = -90.0, radius=lambda i: 1.0) -> Points:
    angles = (math.radians(start + 360 * i / n) for i in range(n))
    return tuple((radius(i) * math.cos(a), radius(i) * math.sin(a)) for i, a in enumerate(angles))


def _heart(n: int) -> Points:
    points = []
    for i in range(n):
        t = 2 * math.pi * i / n
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 16.5, -(y + 2.5) / 15.5))
    return tuple(points)


def _moon(n: int) -> Points:
    """A disc, open to the right, with a smaller disc cut out of it."""
    half = n // 2
    rim = [math.radians(50 + 260 * i / half) for i in range(half + 1)]
    outer = [(math.cos(a), math.sin(a)) for a in rim]
    (tip_x, tip_y), center = outer[0], 0.5
    radius, start = math.hypot(tip_x - center, tip_y), math.atan2(-tip_y, tip_x - center)
    turns = [start - (2 * math.pi + 2 * start) * i / half for i in range(1, half)]
    inner = [(center + radius * math.cos(a), radius * math.sin(a)) for a in turns]
    return tuple((x + 0.15, y) for x, y in outer + inner)


_ARM = 0.36
_CORNERS = {
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "triangle": ((0.0, -0.95), (0.98, 0.8), (-0.98, 0.8)),
    "star": _around(10, radius=lambda i: 1.05 if i % 2 == 0 else 0.45),
    "diamond": ((0.0, -1.05), (0.72, 0.0), (0.0, 1.05), (-0.72, 0.0)),
    "cross": (
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ),
}  # fmt: skip
_CURVES = {"circle": (_around, 48), "heart": (_heart, 48), "moon": (_moon, 40)}


@cache
def outline(shape: str, fine: bool = True) -> Points:
    """The polygon of `shape`: the one that is drawn, or (not fine) one of at most 12 points.

    The short one is what a model is asked to write as an outline.
    """
    if shape in _CORNERS:
        return _CORNERS[shape]
    curve, points = _CURVES[shape]
    return curve(points if fine else 12)
