"""A table of shares as a map of colours, with the numbers on it."""

from __future__ import annotations

import math
from typing import Any

from vlm_helpers.figures._style import INK, WIDTH, subplots

_ROW, _HEAD = 0.36, 0.75  # inches
_DARK = 0.55  # of the range: above it the colour is dark, and the number on it white


def matrix(table: Any, *, low: float = 0.0, high: float = 1.0, digits: int = 2) -> None:
    """Draws a pandas DataFrame of numbers: pale is `low`, dark is `high`. Empty cells stay empty.

    Args:
        table: its index and columns are written beside the cells.
        low, high: the values at the ends of the colours; 0 and 1 for shares.
        digits: after the decimal point.
    """
    values = table.to_numpy(float)
    size = (WIDTH, _HEAD + _ROW * len(values))
    with subplots(1, 1, size) as (_, (ax,)):
        ax.imshow(values, cmap="Blues", vmin=low, vmax=high, aspect="auto")
        for y, x in ((y, x) for y in range(values.shape[0]) for x in range(values.shape[1])):
            value = values[y, x]
            if not math.isnan(value):
                dark = value > low + _DARK * (high - low)
                ax.text(
                    x, y, f"{value:.{digits}f}", ha="center", va="center", fontsize=9,
                    color="white" if dark else INK,
                )  # fmt: skip
        ax.set_xticks(range(values.shape[1]), [str(name) for name in table.columns])
        ax.set_yticks(range(values.shape[0]), [str(name) for name in table.index])
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
