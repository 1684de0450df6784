"""How families of models are put together, and where a picture stands in their input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from vlm_helpers import zoo
from vlm_helpers.figures._style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, WIDTH, subplots

_SMALL = 8.0
_HEIGHT = 1.06  # inches a family
_MIDDLE = 0.42  # where a row's blocks stand, of its height


def families(names: Sequence[str], picture_size: tuple[int, int] = (640, 480)) -> None:
    """A diagram a family of `vh.zoo`, one below the other: encoder, connector, input, decoder.

    `names`: as in `zoo.names()`. `picture_size`: width and height in pixels of the picture whose
    tokens are counted under the input.

    Raises `ValueError` where a name is not in the zoo.
    """
    found = [zoo.get(name) for name in names]
    with subplots(1, 1, (WIDTH, _HEIGHT * len(found))) as (_, (ax,)):
        ax.set(xlim=(0, 100), ylim=(0, len(found)))
        ax.set_axis_off()
        for row, family in enumerate(found):
            bottom = len(found) - 1 - row
            tokens = zoo.tokens_per_picture(family.name, *picture_size)
            _family(ax, family, tokens, bottom + _MIDDLE)
            if row:
                ax.axhline(bottom + 1, color=GREY, linewidth=0.6)
            ax.text(0, bottom + 0.95, family.title, weight="bold", va="top", fontsize=10)


def _family(ax: Any, family: zoo.Family, tokens: int, y: float) -> None:
    _picture(ax, 0.5, y, patches=not family.encoders)
    start = 7.5
    if family.encoders:
        height = 0.6 / len(family.encoders)
        for i, encoder in enumerate(family.encoders):
            middle = y + (i - (len(family.encoders) - 1) / 2) * -(height + 0.03)
            flat = len(family.encoders) > 1
            _block(
                ax, 10.5, 26, middle, height, encoder.replace("\n", ", " if flat else "\n"), BLUE
            )
            _arrow(ax, start, 10.5, y, middle)
            _arrow(ax, 36.5, 40, middle, y)
    else:
        _arrow(ax, start, 40, y)
        ax.text(23, y + 0.05, "no encoder", ha="center", va="bottom", fontsize=_SMALL)
    _block(ax, 40, 17, y, 0.6, family.connector, ORANGE)
    _arrow(ax, 57, 60.5, y)
    _input(ax, 60.5, y, tokens)
    _arrow(ax, 77, 80.5, y)
    if family.name == "cogvlm":
        words, expert = family.decoder.split("\n+ ")
        _block(ax, 80.5, 19, y + 0.16, 0.28, words, GREEN)
        _block(ax, 80.5, 19, y - 0.16, 0.28, expert, PURPLE)
    else:
        _block(ax, 80.5, 19, y, 0.6, family.decoder, GREEN)


def _block(ax: Any, x: float, width: float, y: float, height: float, text: str, color: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=0.06"
    ax.add_patch(
        FancyBboxPatch(
            (x, y - height / 2), width, height, boxstyle=shape, mutation_aspect=1,
            facecolor=color + "2E", edgecolor=color, linewidth=1.2,
        )
    )  # fmt: skip
    ax.text(x + width / 2, y, text, ha="center", va="center", fontsize=_SMALL, linespacing=1.15)


def _arrow(ax: Any, x0: float, x1: float, y0: float, y1: float | None = None) -> None:
    ax.annotate(
        "", (x1, y0 if y1 is None else y1), (x0, y0),
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 0.9, "mutation_scale": 8,
                    "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip


def _picture(ax: Any, x: float, y: float, *, patches: bool) -> None:
    from matplotlib.patches import Polygon, Rectangle

    ax.add_patch(Rectangle((x, y - 0.26), 7, 0.52, facecolor="white", edgecolor=INK, linewidth=1))
    hill = [(x + 0.6, y - 0.22), (x + 3, y + 0.08), (x + 4.4, y - 0.08), (x + 6.4, y - 0.22)]
    ax.add_patch(Polygon(hill, color=GREY))
    ax.plot(x + 5.1, y + 0.12, "o", color=ORANGE, markersize=5)
    for i in (1, 2, 3) if patches else ():
        ax.plot([x + 1.75 * i] * 2, [y - 0.26, y + 0.26], color=INK, linewidth=0.6)
        ax.plot([x, x + 7], [y - 0.26 + 0.13 * i] * 2, color=INK, linewidth=0.6)


def _input(ax: Any, x: float, y: float, tokens: int) -> None:
    """Places of the input: the picture's first, then words; the three dots stand for the rest."""
    from matplotlib.patches import Rectangle

    for i in range(9):
        if i == 4:
            ax.text(x + 1.83 * i + 0.9, y, "…", ha="center", va="center", fontsize=_SMALL)
            continue
        color = ORANGE if i < 6 else GREY
        place = (x + 1.83 * i + 0.2, y - 0.1)
        ax.add_patch(Rectangle(place, 1.5, 0.2, facecolor=color, edgecolor="white"))
    ax.text(x + 5.5, y - 0.15, f"{tokens:,} tokens", ha="center", va="top", fontsize=_SMALL)
    ax.text(x + 13.8, y - 0.15, "words", ha="center", va="top", fontsize=_SMALL)


def sequences(places: Mapping[str, Any], *, numbers: bool = True) -> None:
    """Strips of tokens, one a row: the picture's in orange, the words' in grey.

    `places`: by name, which tokens of a sequence stand for a picture, as bools [tokens].
    `numbers`: the number of tokens of each colour at the end of each row.

    Raises `ValueError` where there is no sequence, or an empty one.
    """
    rows = {name: [bool(value) for value in values] for name, values in places.items()}
    if not rows or not all(rows.values()):
        raise ValueError("There is nothing to draw: every sequence needs at least one token.")
    longest = max(map(len, rows.values()))
    with subplots(1, 1, (WIDTH, 0.34 * len(rows) + 0.85)) as (_, (ax,)):
        for y, values in enumerate(rows.values()):
            x = 0
            for there, run in groupby(values):
                length = len(list(run))
                ax.barh(y, length, left=x, color=ORANGE if there else GREY, height=0.62)
                x += length
            if numbers:
                pictures = sum(values)
                text = f"{pictures:,} + {len(values) - pictures:,}"
                ax.text(x + longest * 0.01, y, text, va="center", fontsize=_SMALL)
        ax.set_yticks(range(len(rows)), list(rows))
        ax.tick_params(axis="y", length=0)
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, longest * (1.14 if numbers else 1)))
        ax.set_xlabel("position in the sequence")
        marks = [ax.barh(0, 0, color=color) for color in (ORANGE, GREY)]
        ax.legend(
            marks, ["the picture's tokens", "words"], ncols=2, frameon=False,
            loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1,
        )  # fmt: skip
