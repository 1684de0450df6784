"""The stages of the training, in order. Each one says what is drawn and what learns."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

from recipes import loop


@dataclass(frozen=True)
class Stage(loop.Stage):
    """A stage of `pocket-llava-next`; its parts are "vision", "heads", "projector" and "decoder".

    Attributes:
        draws: what is drawn, by weight: "snippets", "strips", "pages" (of every kind), "charts",
            "tables", "screens", "diagrams", "few", "things" (most of them shrunk), "whole" (things,
            none shrunk), "scenes"; for a stage that trains the tower alone, how many tiles of each
            kind ("text", "pages", "things", "shapes").
        align: so many steps of `align.align` before it begins, which puts the decoder of
            `pocket-llava` behind the tower.
        near: weight of staying near what the tower was when the stage began, on tiles without
            print; of the labels only the letters count then.
        plain: share of printed sheets in four fonts, sharp and straight.
        lines: a strip shows up to so many lines.
        read: share of pages whose whole text is asked for.
        room: tokens for questions and answers beside a picture.
        easy: so many steps with plain print at first; it gets harder over `harder` more.
        weights: of a page's skills; others have 1.
    """

    draws: dict[str, float]
    _: KW_ONLY
    align: int = 0
    near: float = 0.0
    plain: float = 0.0
    lines: int = 0
    read: float = 0.0
    room: int = 320
    easy: int = 0
    harder: int = 0
    weights: dict[str, float] = field(default_factory=dict)


LANGUAGE = {"projector": 1e-3, "decoder": 1e-3}
LOOKED_AT = {
    "list": 3, "name": 3, "caption": 2, "locate": 2, "count": 1.5, "theme": 0.3,
}  # fmt: skip
ASKED = {
    "name": 2, "locate": 2.5, "click": 2.5, "value": 2.5, "line": 2, "cell": 3, "field": 3,
    "total": 2, "price": 2, "largest": 2, "compare": 1.5, "ticked": 1.5, "tab": 2, "leads_to": 2,
    "group": 1.5, "exists_random": 1.5, "exists_popular": 1.5, "exists_adversarial": 2,
    "json": 0.5, "markdown": 0.5, "read": 0.3, "theme": 0.5, "count_lines": 0.7, "stamp": 0.5,
    "grounded_caption": 0.7, "list": 0.7, "caption": 0.7,
}  # fmt: skip
PAGES = {"strips": 1.5, "pages": 6, "whole": 2, "things": 1, "few": 0.7, "scenes": 1.8}
WEAK = {"charts": 6, "diagrams": 2, "screens": 2, "tables": 1.5}
ASKED_AGAIN = ASKED | {
    "value": 4, "largest": 3, "compare": 3, "click": 4, "ticked": 3, "tab": 3, "leads_to": 4,
    "cell": 4, "exists_random": 3, "locate": 3,
}  # fmt: skip

STAGES = (
    # the tower learns to read, and to tell 350 things apart, from labels on every patch
    Stage(
        "see", 5000, 30, {"vision": 1.5e-3, "heads": 2e-3},
        {"text": 14, "pages": 9, "things": 5, "shapes": 2},
        dense=1.0, easy=400, harder=1200, decay=2600,
    ),
    # small print in many fonts wants larger batches and smaller steps
    Stage(
        "sharpen", 3832, 48, {"vision": 7e-4, "heads": 1e-3},
        {"text": 24, "pages": 14, "things": 8, "shapes": 2},
        dense=1.0, warm=50,
    ),
    # print alone, in large steps; what the tower sees of things and shapes is held fast
    Stage(
        "read", 2347, 54, {"vision": 3e-3, "heads": 2e-3},
        {"text": 40, "pages": 6, "things": 5, "shapes": 3}, near=1.0, plain=0.75, warm=40,
    ),
    # everything at once: the tower gains, the decoder does not
    Stage(
        "together", 1622, 96,
        {"vision": 1.2e-3, "heads": 2e-3, "projector": 1.5e-3, "decoder": 1.5e-3}, PAGES,
        dense=0.3, lines=8, read=0.3, warm=60, decay=1040, weights=ASKED,
    ),
    # another decoder learns to look where a picture costs least: a tile of text, few things; many
    # small updates do more than few large ones
    Stage(
        "glance", 4892, 8, LANGUAGE, {"snippets": 6, "few": 3, "scenes": 1.5},
        room=208, align=400, warm=60, weights=LOOKED_AT,
    ),
    Stage(
        "look", 13300, 12, LANGUAGE, {"snippets": 6, "few": 3, "scenes": 1.5},
        room=208, warm=100, weights=LOOKED_AT,
    ),
    # the same on pictures of many tiles
    Stage(
        "widen", 14000, 12, LANGUAGE,
        {"snippets": 1, "few": 2, "things": 3, "strips": 4, "scenes": 2}, lines=6, room=256,
        warm=100, weights=LOOKED_AT,
    ),
    Stage(
        "transcribe", 9300, 12, LANGUAGE,
        {"strips": 3, "pages": 4, "whole": 2, "few": 1, "scenes": 2}, lines=8, read=0.7,
        warm=100, weights=ASKED,
    ),
    Stage(
        "ask", 19500, 12, {"vision": 3e-4, "heads": 5e-4} | LANGUAGE, PAGES,
        dense=0.2, lines=8, read=0.3, warm=100, decay=14000, weights=ASKED,
        save_as="pocket-llava-next",
    ),
    # not run to its end yet; ran so far: the README. What the card finds weak is asked more often
    Stage(
        "again", 30000, 12,
        {"vision": 1.5e-4, "heads": 5e-4, "projector": 5e-4, "decoder": 5e-4}, PAGES | WEAK,
        dense=0.2, lines=8, read=0.3, warm=200, decay=30000, weights=ASKED_AGAIN,
        save_as="pocket-llava-next",
    ),
)  # fmt: skip
