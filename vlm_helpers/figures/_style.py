"""What the figures share: colours, sizes, and a figure in the course's style."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vlm_helpers._words import whole_number

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


@contextmanager
def subplots(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (WIDTH, 3.2), **options: Any
) -> Iterator[tuple[Any, list]]:
    """A new pyplot figure and its axes, row by row, to be drawn on in the course's style.

        with vh.figures.subplots(1, 2, sharey=True) as (figure, (left, right)):
            left.plot(losses)

    The style holds inside the `with`, and matplotlib's settings are then as they were. `size`:
    width and height in inches. `options`: what `Figure.subplots` takes besides, such as `sharey`.
    Raises `ValueError` for `rows` or `columns` below 1.
    """
    import matplotlib
    from matplotlib import pyplot as plt

    rows, columns = whole_number("rows", rows, 1), whole_number("columns", columns, 1)
    # Before the style: the first figure loads the backend, and what that sets is to stay set.
    figure = plt.figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    with matplotlib.rc_context(_STYLE):
        yield figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def once(figure: Any) -> Any:
    """The figure, for Jupyter to show once, though its cell may end with it.

    Jupyter shows every figure that pyplot has open when a cell is done, and besides what the cell
    returns: there, and only there, an open figure says nothing.
    """
    from matplotlib import pyplot as plt

    def show() -> None:
        from IPython import get_ipython
        from IPython.display import display

        returning = getattr(getattr(get_ipython(), "displayhook", None), "msg", None)
        if returning and plt.fignum_exists(figure.number):
            return
        del figure._ipython_display_
        display(figure)
        figure._ipython_display_ = show

    figure._ipython_display_ = show
    return figure


def columns_of(wanted: int | None, number: int, most: int) -> int:
    """How many of `number` panels stand in a row: `wanted`, by default up to `most`."""
    return min(most if wanted is None else whole_number("columns", wanted, 1), number)


def token_name(tokenizer: Any, token_id: int) -> str:
    """A token as people read it: byte-level and SentencePiece vocabularies mark spaces apart."""
    token = str(tokenizer.convert_ids_to_tokens(int(token_id)))
    return token.replace("Ġ", "␣").replace("▁", "␣").replace("Ċ", "\\n").replace("\n", "\\n")


def wrap(text: str, inches: float) -> str:
    """The text in lines of so many inches, at the size of the figures' texts."""
    across = max(8, int(inches * _CHARACTERS))
    lines = [textwrap.wrap(line, across) or [""] for line in str(text).split("\n")]
    return "\n".join(line for wrapped in lines for line in wrapped)
