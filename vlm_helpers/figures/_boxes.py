"""A picture with boxes, points and outlines on it, each with its label on a chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_helpers.boxes import Box, Parsed, Point, Polygon
from vlm_helpers.figures._pictures import one_each, opened, side_by_side
from vlm_helpers.figures._style import (
    BLUE,
    DPI,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH,
    columns_of,
    once,
)

_COLORS = (VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY)
_LIGHT = (ORANGE, SKY)  # white letters are hard to read on these
_SMALL, _LARGE = 7.5, 9.0  # points of a label, in figures up to 3.4 inches wide and over
_NARROW = 3.4  # inches

Shape = Box | Point | Polygon


def boxes(
    images: Any,
    shapes: Parsed | Sequence[Shape] | Sequence[Parsed | Sequence[Shape]],
    titles: str | Sequence[str] | None = None,
    columns: int | None = None,
    *,
    colors: Sequence[str] | None = None,
) -> Any:
    """Boxes, points and outlines on a picture, or on each of several side by side.

    `images`: a picture or a list of them; a picture is anything that `vh.pictures.to_rgb` opens. A
    large one is drawn large. `shapes`: of `vh.boxes`, in fractions of the picture, or what
    `vh.boxes.parse` gave; for several pictures a list of that for each. Their labels go on chips
    beside them, inside the picture and off other chips and objects where there is room; one that is
    longer than the picture is wide is cut short. `titles`: a text under each picture. `columns`:
    pictures in a row, by default up to 3. `colors`: of the first shape of each picture, the second,
    …; by default one for each label, and one for each shape without a label, from a palette that
    every common colour vision tells apart.

    Returns the figure, which Jupyter shows once. Raises `ValueError` where there is no picture, or
    the numbers of pictures, lists and titles differ.
    """
    pictures = opened(images)
    lists = [_listed(s) for s in (shapes if isinstance(images, list | tuple) else [shapes])]
    one_each(pictures, "list", lists)
    columns = columns_of(columns, len(pictures), 3)
    tallest = max(picture.height / picture.width for picture in pictures)
    wanted = max(picture.width for picture in pictures) / DPI
    across = max(_NARROW, min(wanted, WIDTH / max(tallest, 1)))
    across = min(WIDTH, across * columns) / columns
    by_label: dict[str | None, str] = {}
    with side_by_side(pictures, titles, columns, across) as (figure, axes):
        for ax, picture, found in zip(axes, pictures, lists):
            aspect, inches = picture.height / picture.width, across - 0.1
            ax.imshow(picture, extent=(0, 1, 1, 0), aspect=aspect)
            ax.set(xlim=(0, 1), ylim=(1, 0))
            chosen = [_color(j, s, colors, by_label) for j, s in enumerate(found)]
            _draw(ax, found, chosen, inches, inches * aspect)
    return once(figure)


def _listed(shapes: Parsed | Sequence[Shape]) -> list[Shape]:
    return list(shapes.shapes if isinstance(shapes, Parsed) else shapes)


def _color(i: int, shape: Shape, colors: Sequence[str] | None, by_label: dict) -> str:
    if colors or not shape.label:
        return (colors or _COLORS)[i % len(colors or _COLORS)]
    return by_label.setdefault(shape.label, _COLORS[len(by_label) % len(_COLORS)])


def _draw(ax: Any, shapes: list[Shape], colors: Sequence[str], wide: float, high: float) -> None:
    from matplotlib.patches import Polygon as Outline
    from matplotlib.patches import Rectangle

    points = _SMALL if wide <= _NARROW else _LARGE
    for shape, color in zip(shapes, colors):
        if isinstance(shape, Box):
            place, size = (shape.x0, shape.y0), (shape.x1 - shape.x0, shape.y1 - shape.y0)
            ax.add_patch(Rectangle(place, *size, fill=False, edgecolor="white", linewidth=3.5))
            ax.add_patch(Rectangle(place, *size, fill=False, edgecolor=color, linewidth=2))
        elif isinstance(shape, Point):
            ax.plot(shape.x, shape.y, "o", color=color, markersize=9, markeredgecolor="white",
                    markeredgewidth=1.5, clip_on=False)  # fmt: skip
        else:
            ax.add_patch(Outline(shape.points, facecolor=color + "40", edgecolor="white", lw=3.5))
            ax.add_patch(Outline(shape.points, fill=False, edgecolor=color, linewidth=2))
    labelled = [i for i, shape in enumerate(shapes) if shape.label]
    texts = [_shortened(shapes[i].label, points, wide - 0.2) for i in labelled]
    sizes = [((_width(text, points) + 0.08) / wide, (points + 4.4) / 72 / high) for text in texts]
    spots = _spots([_around(shape) for shape in shapes], labelled, sizes)
    for i, text, (x0, y0, x1, y1) in zip(labelled, texts, spots):
        ax.text(
            (x0 + x1) / 2, (y0 + y1) / 2, text, color=INK if colors[i] in _LIGHT else "white",
            fontsize=points, ha="center", va="center", weight="bold", parse_math=False,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": colors[i], "edgecolor": "white",
                  "linewidth": 0.6},
        )  # fmt: skip


def _width(text: str, points: float) -> float:
    """The inches that a bold text takes; letters that the font may lack count as wide ones."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    plain = "".join(letter if letter.isascii() else "m" for letter in text) or " "
    path = TextPath((0, 0), plain, size=points, prop=FontProperties(weight="bold"))
    return path.get_extents().width / 72 if plain.strip() else 0.0


def _shortened(label: str, points: float, inches: float) -> str:
    text = label.replace("\n", " ")
    if _width(text, points) <= inches:
        return text
    most = max(int(len(text) * inches / _width(text, points)) - 1, 1)
    return text[:most].rstrip() + "…"


def _around(shape: Shape) -> tuple[float, float, float, float]:
    if isinstance(shape, Point):
        return shape.x - 0.02, shape.y - 0.02, shape.x + 0.02, shape.y + 0.02
    return (shape if isinstance(shape, Box) else shape.box).corners


def _spots(around: list[tuple], labelled: list[int], sizes: list[tuple]) -> list[tuple]:
    """Where chips cover least, other chips least of all: each in turn, and then once more."""
    spots: list[tuple] = [(2, 2, 2, 2)] * len(labelled)  # outside of the picture for now
    for _ in range(2):
        for n, (i, (width, height)) in enumerate(zip(labelled, sizes)):
            others = spots[:n] + spots[n + 1 :]

            def cost(spot: tuple, others: list = others) -> float:
                return sum(_shared(spot, box) for box in around) + 20 * sum(
                    _shared(spot, chip) for chip in others
                )

            spots[n] = min(_places(around[i], width, height), key=cost)
    return spots


def _places(around: tuple, width: float, height: float) -> list[tuple]:
    """Where a chip can be, the best first: above or below its shape, beside it, inside, farther."""
    (x0, y0, x1, y1), gap = around, height * 0.2
    lefts, tops = (x0, x1 - width, (x0 + x1 - width) / 2), (y0, y1 - height)
    corners = [(x, y) for y in (y0 - height - gap, y1 + gap) for x in lefts]
    corners += [(x, y) for x in (x1 + gap, x0 - width - gap) for y in tops]
    corners += [(x, y) for y in tops for x in lefts]
    corners += [(x, y) for y in (y0 - 2 * (height + gap), y1 + height + 2 * gap) for x in lefts]
    spots = []
    for x, y in corners:
        x = min(max(x, 0.005), max(1 - width - 0.005, 0.0))
        y = min(max(y, 0.005), 1 - height - 0.005)
        spots.append((x, y, x + width, y + height))
    return spots


def _shared(one: tuple, other: tuple) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)
