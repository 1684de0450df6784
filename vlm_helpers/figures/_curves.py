"""Learning curves: how losses and scores change from step to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vlm_helpers._words import whole_number
from vlm_helpers.figures._style import GREY, INK, PALETTE, WIDTH, subplots

Points = Sequence[tuple[float, float]]  # (step, value), in order

_MANY = 30  # points from which on a line is smoothed


def curves(
    panels: Mapping[str, Mapping[str, Points]],
    *,
    levels: Mapping[str, Mapping[str, float]] | None = None,
    steps: int | None = None,
    done: int | None = None,
) -> None:
    """Curves over training steps, one panel beside the other.

    `panels`: for each panel, by the label of its axis, its series: a name, and (step, value) pairs
    in order. A series has one colour in all panels. One of 30 points or more is drawn as the mean
    of each point and its neighbours, a tenth of the series in all, over the pale values themselves.
    `levels`: for a panel, named dashed lines to compare with, such as the score of guessing.
    `steps`: where the axis of steps ends; by default with the last point. `done`: draw a bar that
    says how many of `steps` are done; it needs `steps`.

    A panel whose label begins with "share", "accuracy" or "F1" goes from 0 to 1, others start at 0.

    Raises `ValueError` where there is no panel, for levels of a panel that is not there, and for
    `steps` and `done` that do not go together.
    """
    if not panels:
        raise ValueError("There is nothing to draw: panels is empty.")
    levels = levels or {}
    if unknown := [name for name in levels if name not in panels]:
        raise ValueError(f"levels has {unknown[0]!r}; the panels are {', '.join(panels)}.")
    if steps is not None:
        whole_number("steps", steps, 1)
    if done is not None:
        if steps is None:
            raise ValueError("done says how many of steps are done: give steps too.")
        whole_number("done", done, 0, steps)
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    paint = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    with subplots(1, len(panels), (WIDTH, 3.2)) as (figure, axes):
        for ax, (label, series) in zip(axes, panels.items()):
            for name, value in levels.get(label, {}).items():
                ax.axhline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)))
                ax.annotate(
                    name, (1, value), (4, 0), xycoords=("axes fraction", "data"), va="center",
                    textcoords="offset points", fontsize=8.5, color=INK,
                )  # fmt: skip
            for name, points in series.items():
                _draw(ax, name, points, paint[name])
            ax.set(xlabel="step", ylabel=label, xlim=(0, steps))
            if label.startswith(("share", "accuracy", "F1")):
                ax.set_ylim(-0.02, 1.02)
            else:
                ax.set_ylim(bottom=0)
            ax.tick_params(labelsize=9)
            if len(series) > 1:
                ax.legend(frameon=False, fontsize=8.5, labelspacing=0.3)
        if done is not None:
            _draw_bar(figure, done, steps)


def _draw(ax, name: str, points: Points, color: str) -> None:
    import numpy as np

    if not len(points):
        ax.plot([], [], color=color, label=name)
        return
    x, y = np.asarray(points, float).T
    if len(x) < _MANY:
        # whole markers at the ends of the axes too
        ax.plot(
            x, y, color=color, marker="o", markersize=4, linewidth=1.6, label=name, clip_on=False
        )
        return
    ax.plot(x, y, color=color, alpha=0.25, linewidth=1)
    near = max(1, len(y) // 20)
    means = [y[max(0, i - near) : i + near + 1].mean() for i in range(len(y))]
    ax.plot(x, means, color=color, linewidth=1.8, label=name)


def _draw_bar(figure, done: int, steps: int) -> None:
    from matplotlib.patches import Rectangle

    figure.get_layout_engine().set(rect=(0, 0, 1, 0.91))
    share = done / steps
    for width, color in ((1.0, GREY), (share, PALETTE[0])):
        corner, size = (0.02, 0.945), (0.7 * width, 0.03)
        figure.add_artist(Rectangle(corner, *size, color=color, linewidth=0))
    figure.text(0.74, 0.96, f"step {done:,} of {steps:,}", va="center", fontsize=9)
