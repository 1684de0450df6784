"""A ranking: a dot and its interval for each name, in rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_helpers.figures._style import INK, PALETTE, WIDTH, subplots

_ROW, _AROUND = 0.34, 0.9  # inches
_MARKERS = "osD^v"


def ranking(tables: Any, *, label: str = "rating", level: tuple[str, float] | None = None) -> None:
    """Dots with their intervals, a row for each name, the first at the top.

    Args:
        tables: a DataFrame, or several by what they are: their index holds the names, the first
            column what is drawn, `low` and `high` its interval where there is one. Rows stand in
            the order of the first table, and a name that another one lacks has no dot of it.
        label: of the axis.
        level: the name and the place of a line to compare with.
    Raises:
        ValueError: there is nothing to draw.
    """
    tables = dict(tables) if isinstance(tables, Mapping) else {"": tables}
    if not any(len(table) for table in tables.values()):
        raise ValueError("There is nothing to draw: no table has a row.")
    names = list(dict.fromkeys(name for table in tables.values() for name in table.index))
    row = _ROW * max(1.0, 0.45 * len(tables))
    with subplots(1, 1, (WIDTH, _AROUND + row * len(names))) as (_, (ax,)):
        for number, (series, table) in enumerate(tables.items()):
            offset = 0.7 * ((number + 0.5) / len(tables) - 0.5)
            y = [names.index(name) + offset for name in table.index]
            x = table.iloc[:, 0].to_numpy(float)
            errors = None
            if {"low", "high"} <= set(table.columns):
                errors = [x - table["low"].to_numpy(float), table["high"].to_numpy(float) - x]
            ax.errorbar(
                x, y, xerr=errors, fmt=_MARKERS[number % len(_MARKERS)], markersize=5,
                color=PALETTE[number % len(PALETTE)], elinewidth=1.6, label=series,
            )  # fmt: skip
        if level:
            ax.axvline(level[1], color=INK, linewidth=1, linestyle=(0, (4, 3)))
            ax.annotate(
                level[0], (level[1], 0), (4, 4), xycoords=("data", "axes fraction"),
                textcoords="offset points", fontsize=8.5, color=INK,
            )  # fmt: skip
        ax.set_yticks(range(len(names)), [str(name) for name in names])
        ax.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
        ax.grid(axis="y", color="#EEEEEE")
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        if len(tables) > 1:
            ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(tables))
