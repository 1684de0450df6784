"""Figures that several notebooks draw: pictures side by side, token probabilities, spans.

    vh.figures.show(pictures, titles)                    pictures with a text under each
    vh.figures.next_tokens(probabilities, tokenizer)     bars of the likeliest tokens, step by step
    vh.figures.boxes(picture, parsed.boxes)              boxes, points and outlines on pictures
    vh.figures.curves({"loss": {"stage one": points}})   losses and scores over training steps
    vh.figures.families(["llava-1.5", "fuyu"])           how models are put together, as diagrams
    vh.figures.sequences({"fuyu": places})               where pictures stand among the words
    vh.figures.models(vh.catalog.table())                size and image resolution of real models
    vh.figures.prompt_strips({"yi-vl": pieces})          prompts, coloured by who wrote what
    vh.figures.matrix(table)                             shares in a table, as a map of colours
    vh.figures.ranking(table)                            ratings or scores with their intervals
    vh.figures.spans({"with cache": [("prefill", 8.1), ("decode", 2.2), …]}, unit="ms")

and `vh.figures.subplots`, an empty one in the same style, for what a single notebook draws.

Each draws a new pyplot figure: Jupyter shows it once, below what the cell prints; elsewhere
`plt.show()` does. Until then `plt.gcf()` is that figure, to change or to save; `boxes` returns it.
Nothing is changed in matplotlib's settings.
"""

from vlm_helpers.figures._architecture import families, sequences
from vlm_helpers.figures._boxes import boxes
from vlm_helpers.figures._curves import curves
from vlm_helpers.figures._matrix import matrix
from vlm_helpers.figures._models import models
from vlm_helpers.figures._pictures import show
from vlm_helpers.figures._prompts import prompt_strips
from vlm_helpers.figures._ranking import ranking
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
    subplots,
)
from vlm_helpers.figures._tokens import next_tokens

__all__ = [
    "BLUE", "GREEN", "GREY", "INK", "ORANGE", "PALETTE", "PURPLE", "SKY", "VERMILION",
    "boxes", "curves", "families", "matrix", "models", "next_tokens", "prompt_strips", "ranking",
    "sequences", "show", "spans", "subplots",
]  # fmt: skip
