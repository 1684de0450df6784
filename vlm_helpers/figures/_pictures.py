"""Pictures side by side, each with its text below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from PIL.Image import Image

from vlm_helpers._words import count
from vlm_helpers.figures._style import GREY, INK, WIDTH, columns_of, subplots, wrap
from vlm_helpers.pictures import to_rgb


def show(
    images: Any,
    titles: str | Sequence[str] | None = None,
    columns: int | None = None,
    *,
    width: float | None = None,
) -> None:
    """Pictures side by side, each with its text below.

    `images`: a picture or a list of them; a picture is anything that `pictures.to_rgb` opens.
    `titles`: a text for each; long ones are wrapped. `columns`: pictures in a row, by default up
    to 4. `width`: of the whole figure in inches, by default what the pictures need, up to 8.

    Raises `ValueError` where the numbers of pictures and titles differ, or there is no picture,
    and what `to_rgb` raises.
    """
    pictures = opened(images)
    columns = columns_of(columns, len(pictures), 4)
    width = width or min(WIDTH, 3.2 * columns)
    with side_by_side(pictures, titles, columns, width / columns) as (_, axes):
        for ax, picture in zip(axes, pictures):
            ax.imshow(picture)


def opened(images: Any) -> list[Image]:
    """A picture, or a list of them, as a list of RGB pictures. Raises `ValueError` for none."""
    several = isinstance(images, list | tuple)
    pictures = [to_rgb(image) for image in (images if several else [images])]
    if not pictures:
        raise ValueError("There is no picture to show: give one, or a list of them.")
    return pictures


def one_each(pictures: Sequence, what: str, found: Sequence) -> None:
    """Raises `ValueError` unless there are as many as there are pictures."""
    if len(found) != len(pictures):
        raise ValueError(
            f"{count(len(pictures), 'picture')} came with {count(len(found), what)}: one each."
        )


@contextmanager
def side_by_side(
    pictures: Sequence[Image], titles: str | Sequence[str] | None, columns: int, across: float
) -> Iterator[tuple[Any, list]]:
    """A figure, and the axes of each picture, `across` inches wide, with its title below.

    The pictures themselves are still to be drawn.
    """
    texts = [titles] if isinstance(titles, str) else list(titles or [])
    if texts:
        one_each(pictures, "title", texts)
    wrapped = [wrap(text, across) for text in texts]
    rows = [range(i, min(i + columns, len(pictures))) for i in range(0, len(pictures), columns)]
    # Each row is as high as its highest picture and its longest text.
    heights = [
        max(pictures[i].height / pictures[i].width for i in row) * (across - 0.1)
        + max((wrapped[i].count("\n") + 2 for i in row if wrapped), default=0.4) * 0.18
        for row in rows
    ]
    size, ratios = (across * columns, sum(heights)), {"height_ratios": heights}
    with subplots(len(rows), columns, size, gridspec_kw=ratios) as (figure, grid):
        for ax in grid[len(pictures) :]:
            ax.set_axis_off()
        axes = grid[: len(pictures)]
        yield figure, axes
        for i, ax in enumerate(axes):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color=GREY)
            if wrapped:
                ax.set_xlabel(wrapped[i], color=INK)
