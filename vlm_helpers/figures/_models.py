"""Models of a catalog: how large they are, and how large a picture they take in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from vlm_helpers._words import count
from vlm_helpers.figures._style import BLUE, INK, ORANGE, VERMILION, WIDTH, subplots

if TYPE_CHECKING:
    import pandas

Box = tuple[float, float, float, float]  # left, low, right, high in pixels

# The licence by colour and by shape: one of the two is enough to tell them apart.
_LICENSES = {
    "yes": ("commercial use", BLUE, "o"),
    "conditions": ("under conditions", ORANGE, "s"),
    "no": ("no commercial use", VERMILION, "^"),
    "?": ("not known", INK, "x"),
}
_HEIGHT = 6.4
_TEXT = 8
_RADIUS = 5  # pixels around a marker
_GAP = 2.5  # pixels to keep free around a label
# Where a label may stand, nearest first: to the right and left, above and below, then further off.
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.7), (-0.8, 0.7), (0.8, -0.7), (-0.8, -0.7))
_DISTANCES = tuple(range(8, 130, 5))
_NEAR = 13  # pixels; a label further off gets a line to its marker


def models(table: pandas.DataFrame) -> None:
    """Size against image resolution, both on log scales, licences by colour and marker.

    `table`: rows of `vh.catalog.table()`, or any with the columns `parameters` (billions), `side`
    (pixels along one side of the square with as many pixels) and `commercial`, named by their
    index. Rows without size or resolution cannot be drawn: a line below the plot says which.

    Raises `ValueError` where a column is missing or nothing is left to draw.
    """
    for column in ("parameters", "side", "commercial"):
        if column not in table.columns:
            raise ValueError(f"The table has no column {column!r}: take one of vh.catalog.table().")
    known = table.dropna(subset=["parameters", "side"])
    if not len(known):
        raise ValueError("There is nothing to draw: no row has both a size and a resolution.")
    missing = [str(name) for name in table.index if name not in set(known.index)]
    with subplots(1, 1, (WIDTH, _HEIGHT)) as (figure, (ax,)):
        _axes(ax, known)
        shown = [key for key in _LICENSES if (known["commercial"] == key).any()]
        for key in shown:
            rows = known[known["commercial"] == key]
            label, color, marker = _LICENSES[key]
            ax.scatter(rows["parameters"], rows["side"], s=30, c=color, marker=marker, label=label)
        figure.legend(loc="outside upper center", ncols=len(shown), frameon=False)
        if missing:
            figure.supxlabel(
                f"{count(len(missing), 'model')} of unknown resolution or size left out: "
                f"{', '.join(missing)}",
                fontsize=_TEXT,
            )
        _labels(figure, ax, known)


def _axes(ax: Any, known: pandas.DataFrame) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.set(xscale="log", yscale="log")
    for axis, values, ticks, form in (
        (ax.xaxis, known["parameters"], _ticks(0.001, 1000), "{:g}B"),
        (ax.yaxis, known["side"], [2**n for n in range(4, 16)], "{:g}"),
    ):
        low, high = values.min() / 1.7, values.max() * 1.7
        (ax.set_xlim if axis is ax.xaxis else ax.set_ylim)(low, high)
        inside = [tick for tick in ticks if low <= tick <= high]
        axis.set_major_locator(FixedLocator(inside))
        axis.set_minor_locator(NullLocator())
        names = (f"{1000 * t:g}M" if t < 1 and "B" in form else form.format(t) for t in inside)
        axis.set_ticklabels(list(names))
    ax.tick_params(labelsize=9)
    ax.set_xlabel("parameters")
    ax.set_ylabel("pixels of the largest picture taken in (as the side of a square)")
    ax.grid(True, color="#EEEEEE", linewidth=0.8)
    ax.set_axisbelow(True)


def _ticks(low: float, high: float) -> list[float]:
    ticks, tick = [], low
    while tick <= high:
        ticks += [tick, 3 * tick]
        tick *= 10
    return ticks


def _labels(figure: Any, ax: Any, known: pandas.DataFrame) -> None:
    """Names beside the markers, none over another, nor over a marker, nor beyond the axes.

    Models that stand on the same spot share a label, a line each.
    """
    figure.canvas.draw()  # the layout is settled now, and pixels mean something
    renderer = figure.canvas.get_renderer()
    names: dict[tuple[float, float], list[str]] = {}
    for name, size, side in zip(known.index, known["parameters"], known["side"]):
        names.setdefault((size, side), []).append(str(name))
    points = [tuple(point) for point in ax.transData.transform(list(names))]
    taken = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in points]
    frame = ax.get_window_extent(renderer)
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    # Those with the most neighbours choose first: they have the fewest places.
    crowd = [sum(abs(x - u) < 90 and abs(y - v) < 40 for u, v in points) for x, y in points]
    order = sorted(range(len(points)), key=lambda i: -crowd[i])
    spots = list(names)
    for index in order:
        text = ax.annotate(
            "\n".join(names[spots[index]]), spots[index], (0, 0), textcoords="offset pixels",
            fontsize=_TEXT, ha="center", va="center", color=INK, linespacing=1.1,
        )  # fmt: skip
        text.set_in_layout(False)
        extent = text.get_window_extent(renderer)
        offset, box, distance = _place(points[index], (extent.width, extent.height), taken, inside)
        text.set_position(offset)
        taken.append(box)
        if distance > _NEAR:
            _line(ax, points[index], box)


def _place(
    point: tuple[float, float], size: tuple[float, float], taken: list[Box], inside: Box
) -> tuple[tuple[float, float], Box, int]:
    """Offset, rectangle and distance of the first free place; of the last tried if none is."""
    (x, y), (width, height) = point, size
    for distance in _DISTANCES:
        for right, up in _DIRECTIONS:
            # The label's own half, so that the distance is to its edge.
            dx = right * distance + math.copysign(width / 2, right) * (right != 0)
            dy = up * distance + math.copysign(height / 2, up) * (up != 0)
            left, low = x + dx - width / 2 - _GAP, y + dy - height / 2 - _GAP
            box = (left, low, left + width + 2 * _GAP, low + height + 2 * _GAP)
            within = box[0] >= inside[0] and box[1] >= inside[1]
            within = within and box[2] <= inside[2] and box[3] <= inside[3]
            if within and not any(_overlap(box, other) for other in taken):
                return (dx, dy), box, distance
    return (dx, dy), box, distance


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _line(ax: Any, point: tuple[float, float], box: Box) -> None:
    """From the marker to the nearest point of the label's rectangle."""
    near = (min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3]))
    ends = ax.transData.inverted().transform([point, near])
    (line,) = ax.plot(*ends.T, color="#AAAAAA", linewidth=0.6, zorder=1)
    line.set_in_layout(False)
