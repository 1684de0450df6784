"""The stages of the training, in order. Each one says what is drawn and what learns."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace

from recipes import loop


@dataclass(frozen=True)
class Stage(loop.Stage):
    """A stage of `pocket-llava-next`; its parts are "vision", "heads", "projector" and "decoder".

    Attributes:
        draws: what is drawn, by weight: "snippets", "strips", "pages", "few", "things", "scenes";
            for a stage that trains the tower alone, how many tiles of each kind ("text",
            "pages", "things", "shapes").
        align: so many steps of `align.align` before it begins.
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

    def times(self, factor: int) -> Stage:
        draws = {kind: factor * share for kind, share in self.draws.items()}
        return replace(super().times(factor), draws=draws)


LOOKED_AT = {
    "list": 3, "name": 3, "caption": 2, "locate": 2, "count": 1.5, "theme": 0.3,
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
        "read", 4400, 54, {"vision": 3e-3, "heads": 2e-3},
        {"text": 40, "pages": 6, "things": 5, "shapes": 3}, near=1.0, plain=0.75,
        warm=40, decay=1800,
    ),
    # the decoder learns to look where a picture costs least: a tile of text, few things; many small
    # updates do more than few large ones
    Stage(
        "look", 12000, 6, {"projector": 1e-3, "decoder": 1e-3},
        {"snippets": 6, "few": 3, "scenes": 1.5}, room=200, align=400, warm=60, weights=LOOKED_AT,
    ),
    # the same on pictures of many tiles
    Stage(
        "widen", 6000, 6, {"projector": 1e-3, "decoder": 1e-3},
        {"few": 1, "things": 3, "strips": 4, "scenes": 2}, lines=5, room=240, warm=60,
        weights=LOOKED_AT,
    ),
    Stage(
        "transcribe", 2500, 6, {"projector": 1e-3, "decoder": 1e-3},
        {"strips": 4, "pages": 4, "scenes": 2}, lines=8, read=0.8, warm=30,
    ),
    Stage(
        "ask", 8000, 6, {"vision": 2e-4, "heads": 5e-4, "projector": 8e-4, "decoder": 8e-4},
        {"strips": 1, "pages": 7, "scenes": 2},
        dense=0.2, lines=8, read=0.35, save_as="asked",
    ),
    Stage(
        "finish", 3000, 6, {"vision": 1.5e-4, "heads": 5e-4, "projector": 6e-4, "decoder": 6e-4},
        {"strips": 1, "pages": 7, "scenes": 2},
        dense=0.2, lines=8, read=0.2, decay=2600, save_as="pocket-llava-next",
    ),
)  # fmt: skip
