"""The stages of the training, in order. Each one says what is drawn and what learns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: as on the command line.
        steps: updates, all workers together.
        batch: pictures in an update.
        draws: what is drawn, by weight: "strips", "pages", "scenes"; for a stage that trains the
            tower alone, how many tiles of each kind ("text", "pages", "things", "shapes").
        learns: learning rates of "vision", "heads", "projector" and "decoder"; a part not named is
            frozen.
        dense: weight of the patch labels' loss.
        lines: a strip shows up to so many lines.
        read: share of pages whose whole text is asked for.
        room: tokens for questions and answers beside a picture.
        easy: so many steps with plain print at first; it gets harder over `harder` more.
        decay: the last so many steps, over which the rates fall linearly to zero.
        save_as: the checkpoint that the stage ends in, where it is one to look at.
    """

    name: str
    steps: int
    batch: int
    draws: dict[str, float]
    learns: dict[str, float]
    dense: float = 0.0
    lines: int = 0
    read: float = 0.0
    room: int = 320
    easy: int = 0
    harder: int = 0
    decay: int = 0
    weights: dict[str, float] = field(default_factory=dict)  # of a page's skills; others have 1
    save_as: str | None = None


STAGES = (
    # the tower learns to read, and to tell 350 things apart, from labels on every patch
    Stage(
        "see", 6000, 30, {"text": 10, "pages": 9, "things": 8, "shapes": 3},
        {"vision": 6e-4, "heads": 2e-3}, dense=1.0, easy=400, harder=1200, decay=1500,
    ),
    # the decoder learns to look: what stands on a strip, word for word; the tower rests
    Stage(
        "spell", 2500, 12, {"strips": 8, "scenes": 2}, {"projector": 1e-3, "decoder": 1e-3},
        lines=3, room=96,
    ),
    Stage(
        "transcribe", 2500, 6, {"strips": 4, "pages": 4, "scenes": 2},
        {"projector": 1e-3, "decoder": 1e-3}, lines=8, read=0.8,
    ),
    Stage(
        "ask", 8000, 6, {"strips": 1, "pages": 7, "scenes": 2},
        {"vision": 2e-4, "heads": 5e-4, "projector": 8e-4, "decoder": 8e-4},
        dense=0.2, lines=8, read=0.35, save_as="asked",
    ),
    Stage(
        "finish", 3000, 6, {"strips": 1, "pages": 7, "scenes": 2},
        {"vision": 1.5e-4, "heads": 5e-4, "projector": 6e-4, "decoder": 6e-4},
        dense=0.2, lines=8, read=0.2, decay=2600, save_as="pocket-llava-next",
    ),
)  # fmt: skip
