"""Prompts as coloured text: who wrote which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_helpers.figures._style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, WIDTH, subplots

# kinds of pieces as `vh.prompts.pieces` names them, and two for what a loss is made of
_COLORS = {
    "system": SKY,
    "user": BLUE,
    "picture": ORANGE,
    "assistant": GREEN,
    "special": PURPLE,
    "format": GREY,
    "learnt": GREEN,
    "not learnt": GREY,
}
_FONT = 8.0  # points; a character of a monospaced font is 0.602 of it wide
_CHARACTER = 0.602 * _FONT / 72  # inches
_LINE = 0.185  # inches
_LONGEST = 48  # characters of a system text that are shown


def prompt_strips(prompts: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Prompts one below the other, each piece on the colour of its kind.

    `prompts`: by title, the pieces of a prompt as (kind, text), such as `vh.prompts.pieces` gives;
    kinds are "system", "user", "picture", "assistant", "special", "format", "learnt" and
    "not learnt". Line breaks show as ⏎, and long system texts are shortened.

    Raises `ValueError` for a kind that has no colour, or nothing to draw.
    """
    across = int(WIDTH / _CHARACTER) - 1
    blocks = {title: _lines(pieces, across) for title, pieces in prompts.items()}
    if not blocks:
        raise ValueError("There is no prompt to draw: prompts is empty.")
    kinds = dict.fromkeys(kind for pieces in prompts.values() for kind, _ in pieces)
    height = sum(len(lines) + 1.5 for lines in blocks.values()) * _LINE + 0.3
    with subplots(1, 1, (WIDTH, height)) as (figure, (ax,)):
        ax.set(xlim=(0, across + 1), ylim=(height - 0.3, 0))
        ax.set_axis_off()
        y = 0.0
        for title, lines in blocks.items():
            ax.text(0, y + _LINE / 2, title, weight="bold", va="center", fontsize=9)
            y += _LINE
            for line in lines:
                _draw(ax, line, y)
                y += _LINE
            y += _LINE / 2
        marks = [ax.bar(0, 0, color=_COLORS[kind], alpha=0.45) for kind in kinds]
        figure.legend(marks, list(kinds), loc="outside lower center", ncols=6, frameon=False)


def _lines(pieces: Sequence[tuple[str, str]], across: int) -> list[list[tuple[str, str]]]:
    """Runs of characters of one kind, broken into lines."""
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0
    for kind, text in pieces:
        if kind not in _COLORS:
            raise ValueError(f"There is no colour for pieces of kind {kind!r}: use {[*_COLORS]}.")
        if kind == "system" and len(text) > _LONGEST:
            text = text[:_LONGEST].rstrip() + " …"
        for character in text:
            shown = {"\n": "⏎", "｜": "|"}.get(character, character)  # the font has no ｜
            if used == across:
                lines.append([])
                used = 0
            if lines[-1] and lines[-1][-1][0] == kind:
                lines[-1][-1] = (kind, lines[-1][-1][1] + shown)
            else:
                lines[-1].append((kind, shown))
            used += 1
            if character == "\n":
                lines.append([])
                used = 0
    return [line for line in lines if line]


def _draw(ax: Any, line: list[tuple[str, str]], y: float) -> None:
    from matplotlib.patches import Rectangle

    x = 0
    for kind, text in line:
        place = (x, y + 0.015)
        ax.add_patch(
            Rectangle(place, len(text), _LINE - 0.03, color=_COLORS[kind], alpha=0.45, linewidth=0)
        )
        for i, character in enumerate(text):
            ax.text(
                x + i + 0.5, y + _LINE / 2, character, family="monospace", fontsize=_FONT,
                ha="center", va="center",
            )  # fmt: skip
        x += len(text)
