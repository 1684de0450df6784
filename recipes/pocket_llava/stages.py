"""The stages of the training, in order. Each one says what is drawn and what learns."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from recipes import loop
from recipes.pocket_llava.packing import Mixture


@dataclass(frozen=True)
class Stage(loop.Stage):
    """A stage of `pocket-llava`, whose parts are "vision", "projector" and "decoder".

    Attributes:
        mixture: what is drawn.
        grey: share of pictures in shades of grey, in a stage without questions.
        afresh: parts that start this stage from random weights again.
    """

    mixture: Mixture
    _: KW_ONLY
    grey: float = 0.0
    afresh: tuple[str, ...] = ()


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
    Stage("see", 3200, 32, {"vision": 1.5e-3}, Mixture({}), dense=1.0, decay=900),
    # projector and decoder learn to say what is there; the tower rests
    Stage(
        "describe", 1000, 16, {"projector": 1.5e-3, "decoder": 1.5e-3},
        Mixture({**CAPTIONS, "listing": 6}, objects=(1, 2, 3)),
    ),
    # every question, first in small scenes, where it is plain which object is meant
    Stage(
        "bind", 1800, 16, {"projector": 1.5e-3, "decoder": 1.5e-3},
        Mixture(EVERYTHING, objects=(1, 2, 2, 3, 3)),
    ),
    # all scenes, everything learns, and more of what comes last: counts, digits, letters
    Stage(
        "instruct", 2350, 16, {"vision": 3e-4, "projector": 1e-3, "decoder": 1e-3},
        Mixture({**EVERYTHING, **LATE}), dense=0.2, decay=1250,
    ),
    # A tower that saw red circles and no blue ones takes the colour for a part of the shape: on
    # colour-shape pairs it never saw it names the colour (0.99 of patches) and not the shape
    # (0.69). Without colours it must go by the outline.
    Stage("outlines", 2400, 32, {"vision": 5e-4}, Mixture({}), dense=1.0, grey=0.5, decay=1000),
    Stage(
        "finish", 3000, 16, {"vision": 2e-4, "projector": 8e-4, "decoder": 8e-4},
        Mixture({**EVERYTHING, **LATE, "number": 3.0, "choice": 6.0}), dense=0.2, decay=2000,
        save_as="pocket-llava",
    ),
    # what the course's notebook on training starts from: the tower is finished, projector and
    # decoder are new and see captions only
    Stage(
        "align", 1500, 16, {"projector": 1.2e-3, "decoder": 1.2e-3}, Mixture(CAPTIONS),
        decay=800, afresh=("projector", "decoder"), save_as="pocket-llava-base",
    ),
)  # fmt: skip
