"""Pictures with known truth that can be read: documents, charts, screens, diagrams and things.

`sample(seed)` gives a `Page`: its picture, everything that is printed on it with boxes, its fields,
questions with answers, and training rows. Everything but the last bit of a pixel depends on the
seed alone, on every machine. It needs Pillow and numpy; only charts of the split "unseen_styles"
need matplotlib.
"""

from vlm_helpers._questions import Question, location_tokens
from vlm_helpers.pages._kind import SIZES, SPLITS
from vlm_helpers.pages._page import KINDS, SKILLS, Characters, Element, Page, picture_of, sample
from vlm_helpers.pages._things import likely_absent

__all__ = [
    "KINDS",
    "SIZES",
    "SKILLS",
    "SPLITS",
    "Characters",
    "Element",
    "Page",
    "Question",
    "likely_absent",
    "location_tokens",
    "picture_of",
    "sample",
]
