"""Answers that are a place: how they are read, and how right they are.

What else stands in an answer counts differently for those who ask, so there are three readers.
Figures go by the first box, as whoever draws an answer does; a training that scores its own answers
takes one box and no second; and a reward that is to be hard to fool takes nothing beside the place.
"""

from __future__ import annotations

from collections.abc import Callable

from vlm_helpers.boxes import Box, Point, Polygon, iou, parse, write

FORM = "pocket-llava"  # in which places are written: another of vlm_helpers.boxes.FORMATS, perhaps

Shape = Box | Point | Polygon


def first_box(answer: str) -> Box | None:
    """The first box of an answer."""
    return next(iter(parse(answer, FORM).boxes), None)


def one_box(answer: str) -> Box | None:
    """The box of an answer that has one and no second."""
    found = parse(answer, FORM).boxes
    return found[0] if len(found) == 1 else None


def whole(answer: str) -> Shape | None:
    """The box, point or outline that an answer is, where nothing else stands in it."""
    shapes = parse(answer, FORM).shapes
    alone = len(shapes) == 1 and write(shapes, FORM) == "".join(answer.split())
    return shapes[0] if alone else None


def overlap(answer: str, truth: str, read: Callable[[str], Shape | None]) -> float:
    """The IoU of the boxes that `read` finds in an answer and in the truth; 0 for no box.

    Where the truth is no box ("none", "yes", "red"), 1 for the same text, letter for letter.
    """
    right = read(truth)
    if not isinstance(right, Box):
        return float(answer == truth)
    box = read(answer)
    return iou(box, right) if isinstance(box, Box) else 0.0


def is_right(answer: str, truth: str) -> bool:
    """Whether an answer is the truth, letter for letter; where that is a box, at IoU 0.5."""
    return overlap(answer, truth, first_box) >= 0.5
