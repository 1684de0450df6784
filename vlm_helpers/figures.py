"""Figures that several notebooks draw: pictures side by side, token probabilities, spans.

    vh.figures.show(pictures, titles)                    pictures with a text under each
    vh.figures.next_tokens(probabilities, tokenizer)     bars of the likeliest tokens, step by step
    vh.figures.spans({"with cache": [("prefill", 8.1), ("decode", 2.2), …]}, unit="ms")

Each draws a new pyplot figure and returns nothing: Jupyter shows it once, below what the cell
prints; elsewhere `plt.show()` does. Until then `plt.gcf()` is that figure, to change or to save.
Nothing is changed in matplotlib's settings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vlm_helpers.loading import to_rgb

# Okabe and Ito, "Color Universal Design" (2008): told apart with every common colour vision.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
SKY, VERMILION, PURPLE = "#56B4E9", "#D55E00", "#CC79A7"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
GREY = "#C4C4C4"  # what is there, but is not the point
INK = "#333333"

WIDTH = 8.0  # inches; with DPI the width of JupyterLab's text column
DPI = 100
_CHARACTERS = 12.5  # an inch of text holds, at the size below

_STYLE = {
    "axes.facecolor": "white",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 10,
    "legend.fontsize": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#888888",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.parse_math": False,  # an answer may hold a $
}


def show(
    images: Any,
    titles: str | Sequence[str] | None = None,
    columns: int | None = None,
    *,
    width: float | None = None,
) -> None:
    """Pictures side by side, each with its text below.

    `images`: a picture or a list of them; a picture is anything that `loading.to_rgb` opens.
    `titles`: a text for each; long ones are wrapped. `columns`: pictures in a row, by default up
    to 4. `width`: of the whole figure in inches, by default what the pictures need, up to 8.

    Raises `ValueError` where the numbers of pictures and titles differ, or there is no picture,
    and what `to_rgb` raises.
    """
    several = isinstance(images, list | tuple)
    pictures = [to_rgb(image) for image in (images if several else [images])]
    texts = [titles] if isinstance(titles, str) else list(titles or [])
    if not pictures:
        raise ValueError("There is no picture to show: images is empty.")
    if texts and len(texts) != len(pictures):
        raise ValueError(
            f"{_n(len(pictures), 'picture')} came with {_n(len(texts), 'title')}: one text each."
        )
    columns = _columns(columns, len(pictures), 4)
    width = width or min(WIDTH, 3.2 * columns)
    across = width / columns
    wrapped = [_wrap(text, across) for text in texts]
    rows = [range(i, min(i + columns, len(pictures))) for i in range(0, len(pictures), columns)]
    # Each row is as high as its highest picture and its longest text.
    heights = [
        max(pictures[i].height / pictures[i].width for i in row) * (across - 0.1)
        + max((wrapped[i].count("\n") + 2 for i in row if wrapped), default=0.4) * 0.18
        for row in rows
    ]
    ratios = {"height_ratios": heights}
    with _drawing(len(rows), columns, (width, sum(heights)), gridspec_kw=ratios) as (_, grid):
        for ax in grid[len(pictures) :]:
            ax.set_axis_off()
        for i, (ax, picture) in enumerate(zip(grid, pictures)):
            ax.imshow(picture)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color=GREY)
            if wrapped:
                ax.set_xlabel(wrapped[i], color=INK)


def next_tokens(
    probabilities: Any,
    tokenizer: Any,
    chosen: Sequence[int] | None = None,
    *,
    top: int = 5,
    titles: Sequence[str] | None = None,
    beside: Any = None,
    labels: tuple[str, str] = ("probability", "beside"),
    columns: int = 4,
) -> None:
    """One panel a step, with bars for the likeliest next tokens.

    `probabilities`: [steps, vocabulary], an array or a tensor of numbers from 0 to 1; tokens of
    probability 0 are left out. `chosen`: the id taken at each step, by default the likeliest; its
    bar is coloured, and drawn even where it is not among the `top`. `titles`: one a step, by
    default "step 1", …
    `beside`: a second [steps, vocabulary], drawn as a diamond on the bar of the same token, for
    instance what the model expects without the picture. `labels`: what bars and diamonds are, for
    the legend that goes with `beside`. In a token's name, ␣ stands for a space.

    Raises `ValueError` where the shapes do not go together.
    """
    values = _matrix(probabilities, "probabilities")
    steps, vocabulary = values.shape
    others = None if beside is None else _matrix(beside, "beside")
    if others is not None and others.shape != values.shape:
        raise ValueError(
            f"beside is {list(others.shape)}, and probabilities are {list(values.shape)}: they "
            "must be of the same steps and vocabulary."
        )
    taken = values.argmax(axis=1) if chosen is None else [int(i) for i in chosen]
    names = [f"step {i + 1}" for i in range(steps)] if titles is None else list(titles)
    for what, given in (("chosen ids", taken), ("titles", names)):
        if len(given) != steps:
            raise ValueError(f"{_n(steps, 'step')} came with {len(given)} {what}: one each.")
    if top < 1:
        raise ValueError(f"top must be 1 or more, not {top}.")
    top = min(top, vocabulary)
    columns = _columns(columns, steps, columns)
    rows = -(-steps // columns)
    height = rows * (0.24 * top + 0.42) + (0.65 if others is not None else 0.3)
    size = (WIDTH * max(columns, 2) / max(columns, 4), height)
    with _drawing(rows, columns, size) as (figure, grid):
        for ax in grid[steps:]:
            ax.set_axis_off()
        for step, ax in enumerate(grid[:steps]):
            ids = [i for i in values[step].argsort()[::-1][:top] if values[step, i] > 0]
            if taken[step] not in ids:
                ids[top - 1 :] = [taken[step]]
            _token_bars(ax, values[step], ids, [_name(tokenizer, i) for i in ids], taken[step])
            ax.set_ylim(top - 0.4, -0.6)
            ax.set_title(names[step], loc="left", fontweight="bold")
            if others is not None:
                ax.plot(
                    [float(others[step, i]) for i in ids], range(len(ids)), "D", markersize=5,
                    color=VERMILION, markeredgecolor="white", clip_on=False, zorder=3,
                )  # fmt: skip
        if others is not None:
            marks = [grid[0].patches[0], grid[0].lines[0]]
            figure.legend(marks, labels, loc="outside lower center", ncols=2, frameon=False)


def _token_bars(ax: Any, values: Any, ids: list, names: list[str], taken: int) -> None:
    lengths = [float(values[i]) for i in ids]
    colors = [BLUE if i == taken else GREY for i in ids]
    ax.barh(range(len(ids)), lengths, color=colors, height=0.72)
    for y, length in enumerate(lengths):
        ax.text(1.46, y, _short(length), va="center", ha="right", fontsize=8.5)
    ax.set_yticks(range(len(ids)), names, family="monospace")
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 1.46), xticks=[0, 0.5, 1])
    ax.set_xticklabels(["0", "0.5", "1"])
    ax.spines["bottom"].set_bounds(0, 1)


def spans(
    rows: Mapping[str, Sequence[tuple[str, float]]],
    unit: str,
    *,
    colors: Mapping[str, str] | None = None,
    totals: bool = True,
) -> None:
    """One bar a row, made of spans laid end to end: times, or runs of tokens.

    `rows`: for each row's name its spans, (kind, length) in order, lengths in `unit`. A kind has
    one colour everywhere, from `colors` or in order from `PALETTE`. `totals`: write each row's
    sum at its end.

    Raises `ValueError` for a length below 0, and where there is nothing to draw.
    """
    if not any(rows.values()):
        raise ValueError("There is nothing to draw: rows holds no spans.")
    for name, row in rows.items():
        if bad := [length for _, length in row if not length >= 0]:  # NaN among them
            raise ValueError(f"{name!r} has a span of {bad[0]} {unit}: lengths start at 0.")
    from matplotlib.patches import Patch

    kinds = list(dict.fromkeys(kind for row in rows.values() for kind, _ in row))
    paint = {kind: PALETTE[i % len(PALETTE)] for i, kind in enumerate(kinds)} | dict(colors or {})
    longest = max(sum(length for _, length in row) for row in rows.values())
    with _drawing(1, 1, (WIDTH, 0.5 * len(rows) + 0.95)) as (figure, (ax,)):
        for y, row in enumerate(rows.values()):
            left = 0.0
            for kind, length in row:
                ax.barh(y, length, 0.6, left, color=paint[kind], edgecolor="white", linewidth=0.8)
                left += length
            if totals:
                ax.text(left + 0.01 * longest, y, f"{left:,.0f} {unit}", va="center")
        room = longest * (1.12 if totals else 1)
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, room), xlabel=unit)
        ax.set_yticks(range(len(rows)), list(rows))
        ax.tick_params(axis="y", length=0)
        ax.tick_params(axis="x", labelsize=9)  # these ticks are made when the figure is drawn
        figure.legend(
            handles=[Patch(color=paint[kind], label=kind) for kind in kinds],
            loc="outside upper center", ncols=len(kinds), frameon=False,
        )  # fmt: skip


# --- what they share ------------------------------------------------------------------------------


@contextmanager
def _drawing(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> Iterator[tuple[Any, list]]:
    """A new figure and its axes row by row, to be drawn on in the course's style."""
    import matplotlib
    from matplotlib import pyplot as plt

    # Before the style: the first figure loads the backend, and what that sets is to stay set.
    figure = plt.figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    with matplotlib.rc_context(_STYLE):
        yield figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def _columns(wanted: int | None, number: int, most: int) -> int:
    if wanted is not None and wanted < 1:
        raise ValueError(f"columns must be 1 or more, not {wanted}.")
    return min(wanted or most, number)


def _matrix(values: Any, name: str) -> Any:
    import numpy as np

    if hasattr(values, "detach"):  # a tensor, perhaps on a GPU, in bfloat16 or with a gradient
        values = values.detach().cpu().float()
    array = np.asarray(values, dtype=float)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must be [steps, vocabulary]; their shape is {list(array.shape)}.")
    if array.min() < 0 or array.max() > 1.001:
        raise ValueError(f"{name} must be from 0 to 1: take the softmax of the logits first.")
    return array


def _name(tokenizer: Any, token_id: int) -> str:
    """A token as people read it: byte-level and SentencePiece vocabularies mark spaces apart."""
    token = str(tokenizer.convert_ids_to_tokens(int(token_id)))
    return token.replace("Ġ", "␣").replace("▁", "␣").replace("Ċ", "\\n").replace("\n", "\\n")


def _short(probability: float) -> str:
    return f"{probability:.2f}" if probability >= 0.005 else "<.01"


def _wrap(text: str, inches: float) -> str:
    across = max(8, int(inches * _CHARACTERS))
    lines = [textwrap.wrap(line, across) or [""] for line in str(text).split("\n")]
    return "\n".join(line for wrapped in lines for line in wrapped)


def _n(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
