"""Figures that several notebooks draw: pictures side by side, token probabilities, spans.

    vh.figures.show(pictures, titles)                    pictures with a text under each
    vh.figures.next_tokens(probabilities, tokenizer)     bars of the likeliest tokens, step by step
    vh.figures.spans({"with cache": [("prefill", 8.1), ("decode", 2.2), …]}, unit="ms")

Each draws a new pyplot figure and returns nothing: Jupyter shows it once, below what the cell
prints; elsewhere `plt.show()` does. Until then `plt.gcf()` is that figure, to change or to save.
Nothing is changed in matplotlib's settings.
"""

from vlm_helpers.figures._pictures import show
from vlm_helpers.figures._spans import spans
from vlm_helpers.figures._style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILION,
)
from vlm_helpers.figures._tokens import next_tokens

__all__ = [
    "BLUE", "GREEN", "GREY", "INK", "ORANGE", "PALETTE", "PURPLE", "SKY", "VERMILION",
    "next_tokens", "show", "spans",
]  # fmt: skip
