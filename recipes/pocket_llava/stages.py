"""The stages of the training, in order. Each one says what is drawn and what learns."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.pocket_llava.packing import Mixture


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: as on the command line.
        steps: updates, all workers together.
        batch: pictures in an update.
        mixture: what is drawn.
        learns: learning rates of "vision", "projector" and "decoder"; a part not named is frozen.
        dense: weight of the patch-label loss.
        grey: share of pictures in shades of grey, in a stage without questions.
        decay: the last so many steps, over which the rates fall linearly to zero.
        afresh: parts that start this stage from random weights again.
        save_as: the checkpoint that the stage ends in, where it is one that ships.
    """

    name: str
    steps: int
    batch: int
    mixture: Mixture
    learns: dict[str, float]
    dense: float = 0.0
    grey: float = 0.0
    decay: int = 0
    afresh: tuple[str, ...] = ()
    save_as: str | None = None


CAPTIONS = {"caption": 3, "detailed_caption": 2, "grounded_caption": 3}
EVERYTHING = {
    "caption": 1.2, "detailed_caption": 0.8, "grounded_caption": 1.2, "listing": 2.0,
    "color": 1.2, "shape": 1.0, "size": 0.8, "count": 2.0, "exists": 1.5,
    "relation": 2.2, "relation_yes_no": 1.8, "compare": 1.2, "number": 1.5, "word": 1.5,
    "locate": 1.8, "locate_all": 1.5, "point": 0.6, "outline": 0.7, "region": 0.7,
    "choice": 2.5, "conversation": 0.6,
}  # fmt: skip
LATE = {
    "grounded_caption": 1.5, "listing": 1.5, "count": 2.5, "relation": 1.8, "compare": 1.5,
    "number": 2.0, "locate_all": 1.8, "choice": 4.0,
}  # fmt: skip

STAGES = (
    # the tower learns to see from labels on every patch, before there is any language
    Stage("see", 3200, 32, Mixture({}), {"vision": 1.5e-3}, dense=1.0, decay=900),
    # projector and decoder learn to say what is there; the tower rests
    Stage(
        "describe", 1000, 16, Mixture({**CAPTIONS, "listing": 6}, objects=(1, 2, 3)),
        {"projector": 1.5e-3, "decoder": 1.5e-3},
    ),
    # every question, first in small scenes, where it is plain which object is meant
    Stage(
        "bind", 1800, 16, Mixture(EVERYTHING, objects=(1, 2, 2, 3, 3)),
        {"projector": 1.5e-3, "decoder": 1.5e-3},
    ),
    # all scenes, everything learns, and more of what comes last: counts, digits, letters
    Stage(
        "instruct", 2350, 16, Mixture({**EVERYTHING, **LATE}),
        {"vision": 3e-4, "projector": 1e-3, "decoder": 1e-3}, dense=0.2, decay=1250,
    ),
    # A tower that saw red circles and no blue ones takes the colour for a part of the shape: on
    # colour-shape pairs it never saw it names the colour (0.99 of patches) and not the shape
    # (0.69). Without colours it must go by the outline.
    Stage("outlines", 2400, 32, Mixture({}), {"vision": 5e-4}, dense=1.0, grey=0.5, decay=1000),
    Stage(
        "finish", 3000, 16, Mixture({**EVERYTHING, **LATE, "number": 3.0, "choice": 6.0}),
        {"vision": 2e-4, "projector": 8e-4, "decoder": 8e-4}, dense=0.2, decay=2000,
        save_as="pocket-llava",
    ),
    # what the course's notebook on training starts from: the tower is finished, projector and
    # decoder are new and see captions only
    Stage(
        "align", 1500, 16, Mixture(CAPTIONS), {"projector": 1.2e-3, "decoder": 1.2e-3},
        decay=800, afresh=("projector", "decoder"), save_as="pocket-llava-base",
    ),
)  # fmt: skip
