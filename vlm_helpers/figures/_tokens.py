"""Bars for the likeliest next tokens, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_helpers._words import count, whole_number
from vlm_helpers.figures._style import (
    BLUE,
    GREY,
    VERMILION,
    WIDTH,
    columns_of,
    subplots,
    token_name,
)


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
    instance what the model expects without the picture; the likeliest are then those of either.
    `labels`: what bars and diamonds are, for the legend that goes with `beside`. In a token's name,
    ␣ stands for a space.

    Raises `ValueError` where the shapes do not go together.
    """
    import numpy as np

    values = _matrix(probabilities, "probabilities")
    steps, vocabulary = values.shape
    others = None if beside is None else _matrix(beside, "beside")
    if others is not None and others.shape != values.shape:
        raise ValueError(
            f"beside is {list(others.shape)}, and probabilities are {list(values.shape)}: they "
            "must be of the same steps and vocabulary."
        )
    ranked = values if others is None else np.maximum(values, others)
    taken = values.argmax(axis=1) if chosen is None else [int(i) for i in chosen]
    names = [f"step {i + 1}" for i in range(steps)] if titles is None else list(titles)
    for what, given in (("chosen ids", taken), ("titles", names)):
        if len(given) != steps:
            raise ValueError(f"{count(steps, 'step')} came with {len(given)} {what}: one each.")
    top = min(whole_number("top", top, 1), vocabulary)
    columns = columns_of(columns, steps, columns)
    rows = -(-steps // columns)
    height = rows * (0.24 * top + 0.42) + (0.65 if others is not None else 0.3)
    size = (WIDTH * max(columns, 2) / max(columns, 4), height)
    with subplots(rows, columns, size) as (figure, grid):
        figure.get_layout_engine().set(wspace=0.12)  # a long token stays clear of its neighbour
        for ax in grid[steps:]:
            ax.set_axis_off()
        for step, ax in enumerate(grid[:steps]):
            ids = [i for i in ranked[step].argsort()[::-1][:top] if ranked[step, i] > 0]
            if taken[step] not in ids:
                ids[top - 1 :] = [taken[step]]
            _token_bars(ax, values[step], ids, [token_name(tokenizer, i) for i in ids], taken[step])
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
    ax.set_yticks(range(len(ids)), names, family="monospace", fontsize=8.5)
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 1.46), xticks=[0, 0.5, 1])
    ax.set_xticklabels(["0", "0.5", "1"])
    ax.spines["bottom"].set_bounds(0, 1)


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


def _short(probability: float) -> str:
    return f"{probability:.2f}" if probability >= 0.005 else "<.01"
