"""What a kind of page has to bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlm_helpers._draws import Draws
from vlm_helpers.pages._canvas import Canvas

UNSEEN = "unseen_styles"  # the split of held-out fonts, layouts and drawing styles
SPLITS = ("train", "validation", "test", UNSEEN)
# (width, height) of all pages: tiles of 96 pixels, two to nine, so that a model which cuts
# pictures into such tiles sees a page as it was drawn.
TILE = 96
SIZES = tuple(
    (TILE * columns, TILE * rows) for columns in range(1, 5) for rows in range(1, 5)
    if 1 < columns * rows <= 9
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of page.

    Attributes:
        name: as in `KINDS`.
        facts: (draws, split) -> what the page says: a dict of texts, lists and dicts, every text as
            it will be printed.
        draw: (facts, draws, split) -> the page. Its draws are other ones than those of the facts:
            so a page with one fact changed keeps its look.
        skills: for each skill a function (page, draws) -> `Question`, or its parts (text, answer[,
            objects[, candidates]]), or None.
        paper: whether it may be turned, folded and noisy.
        blanks: whether a text of the facts may be empty.
    """

    name: str
    facts: Callable[[Draws, str], dict]
    draw: Callable[[dict, Draws, str], Canvas]
    skills: dict[str, Callable]
    paper: bool = False
    blanks: bool = True
