"""A picture with boxes, points and outlines on it, each with its label on a chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_helpers.boxes import Box, Parsed, Point, Polygon
from vlm_helpers.figures._style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    WIDTH,
    columns_of,
    drawing,
    number_of,
    wrap,
)
from vlm_helpers.pictures import to_rgb

_COLORS = (VERMILION, BLUE, GREEN, PURPLE, ORANGE)
_CHIP = 7.5  # points
_CHARACTER = 0.6 * _CHIP / 72  # inches, about
_HEIGHT = 0.165  # inches

Shape = Box | Point | Polygon


def boxes(
    images: Any,
    shapes: Parsed | Sequence[Shape] | Sequence[Parsed | Sequence[Shape]],
    titles: str | Sequence[str] | None = None,
    columns: int | None = None,
    *,
    colors: Sequence[str] | None = None,
) -> None:
    """Boxes, points and outlines on a picture, or on each of several side by side.

    `images`: a picture or a list of them; a picture is anything that `pictures.to_rgb` opens.
    `shapes`: of `vh.boxes`, in fractions of the picture, or what `vh.boxes.parse` gave; for several
    pictures a list of that for each. Their labels go on chips beside them, inside the picture and
    off the objects where there is room; one that is longer than the picture is wide is cut short.
    `titles`: a text under each picture. `columns`: pictures in a row, by default up to 3. `colors`:
    of the first shape of each picture, the second, …; by default a palette that every common colour
    vision tells apart.

    Raises `ValueError` where there is no picture, or the numbers of pictures, lists and titles
    differ.
    """
    several = isinstance(images, list | tuple)
    pictures = [to_rgb(image) for image in (images if several else [images])]
    if not pictures:
        raise ValueError("There is no picture to draw on: give one, or a list of them.")
    lists = [_listed(found) for found in shapes] if several else [_listed(shapes)]
    texts = [titles] if isinstance(titles, str) else list(titles or [])
    for what, given in (("list", lists), ("title", texts)):
        if len(given) != len(pictures) and (given or what == "list"):
            raise ValueError(
                f"{number_of(len(pictures), 'picture')} came with {number_of(len(given), what)}: "
                "one each."
            )
    columns = columns_of(columns, len(pictures), 3)
    across = min(WIDTH, 3.4 * columns) / columns
    rows = -(-len(pictures) // columns)
    wrapped = [wrap(text, across) for text in texts]
    tallest = max(picture.height / picture.width for picture in pictures)
    below = max((text.count("\n") + 2 for text in wrapped), default=0.4) * 0.18
    size = (across * columns, rows * (tallest * (across - 0.1) + below))
    with drawing(rows, columns, size) as (_, grid):
        for ax in grid[len(pictures) :]:
            ax.set_axis_off()
        for i, (ax, picture) in enumerate(zip(grid, pictures)):
            ax.imshow(picture, extent=(0, 1, 1, 0), aspect=picture.height / picture.width)
            ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0))
            ax.spines[:].set(visible=True, color=GREY)
            if wrapped:
                ax.set_xlabel(wrapped[i])
            inches = across - 0.1
            _draw(ax, lists[i], colors or _COLORS, inches, inches * picture.height / picture.width)


def _listed(shapes: Parsed | Sequence[Shape]) -> list[Shape]:
    return list(shapes.shapes if isinstance(shapes, Parsed) else shapes)


def _draw(ax: Any, shapes: list[Shape], colors: Sequence[str], wide: float, high: float) -> None:
    from matplotlib.patches import Polygon as Outline
    from matplotlib.patches import Rectangle

    around = [_around(shape) for shape in shapes]
    taken = list(around)
    for i, shape in enumerate(shapes):
        color = colors[i % len(colors)]
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
        if shape.label:
            text = _shortened(shape.label, int((wide - 0.2) / _CHARACTER))
            width = (len(text) * _CHARACTER + 0.1) / wide
            spot = _spot(around[i], width, _HEIGHT / high, taken)
            taken.append(spot)
            ax.text(
                (spot[0] + spot[2]) / 2, (spot[1] + spot[3]) / 2, text, color="white",
                fontsize=_CHIP, ha="center", va="center", weight="bold", parse_math=False,
                bbox={"boxstyle": "square,pad=0.25", "facecolor": color, "edgecolor": "white",
                      "linewidth": 0.6},
            )  # fmt: skip


def _shortened(label: str, most: int) -> str:
    return label if len(label) <= most else label[: max(most - 1, 1)].rstrip() + "…"


def _around(shape: Shape) -> tuple[float, float, float, float]:
    if isinstance(shape, Point):
        return shape.x - 0.02, shape.y - 0.02, shape.x + 0.02, shape.y + 0.02
    return (shape if isinstance(shape, Box) else shape.box).corners


def _spot(around: tuple, width: float, height: float, taken: list) -> tuple:
    """Where a chip covers least: above, below, right or left of its shape, inside the picture."""
    x0, y0, x1, y1 = around
    gap = height * 0.25
    corners = [
        (x0, y0 - height - gap), (x1 - width, y0 - height - gap), (x0, y1 + gap),
        (x1 - width, y1 + gap), (x1 + gap, y0), (x0 - width - gap, y0), (x1 + gap, y1 - height),
        (x0 - width - gap, y1 - height), (x0, y0),
    ]  # fmt: skip

    def cost(place: tuple) -> float:
        covered = sum(_shared(place, other) for other in taken)
        return covered / (width * height)

    spots = []
    for x, y in corners:
        x = min(max(x, 0.005), max(1 - width - 0.005, 0.0))
        y = min(max(y, 0.005), 1 - height - 0.005)
        spots.append((x, y, x + width, y + height))
    return min(spots, key=cost)


def _shared(one: tuple, other: tuple) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)
