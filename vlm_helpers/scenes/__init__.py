"""Pictures with known truth: coloured shapes and printed signs, drawn from a seed.

`sample(seed)` gives a `Scene`: its picture, the objects in it with their boxes and outlines,
captions, questions with answers, and training rows. Everything depends on the seed alone, on
every machine. It needs Pillow and numpy, nothing else.
"""

from vlm_helpers._draws import Draws
from vlm_helpers._questions import (
    N_LOCATIONS,
    Question,
    location_tokens,
    multiple_choice,
    to_messages,
)
from vlm_helpers.scenes._language import SKILLS, ask, follow_ups
from vlm_helpers.scenes._scene import Scene, sample
from vlm_helpers.scenes.world import (
    COLORS,
    HELD_OUT_SHAPES,
    PICTURE_SIZE,
    SHAPES,
    SIZES,
    SPLITS,
    UNSEEN_PAIRS,
    WORDS,
    SceneObject,
    Sign,
)

__all__ = [
    "COLORS",
    "Draws",
    "HELD_OUT_SHAPES",
    "N_LOCATIONS",
    "PICTURE_SIZE",
    "SHAPES",
    "SIZES",
    "SKILLS",
    "SPLITS",
    "UNSEEN_PAIRS",
    "WORDS",
    "Question",
    "Scene",
    "SceneObject",
    "Sign",
    "ask",
    "follow_ups",
    "location_tokens",
    "multiple_choice",
    "sample",
    "to_messages",
]
