"""Spans laid end to end: where the time goes, or what a sequence is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vlm_helpers.figures._style import PALETTE, WIDTH, subplots


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
    with subplots(1, 1, (WIDTH, 0.5 * len(rows) + 0.95)) as (figure, (ax,)):
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
