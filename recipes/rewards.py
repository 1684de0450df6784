"""Rewards for `recipes.preferences grpo` and `trl grpo`, by their dotted names.

Each reads an answer as a whole: whatever else stands there, before or behind, it earns nothing. A
row's `truth` is the right answer as text, as `pages` and `scenes` give it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from vlm_helpers.boxes import Box, Point, iou, parse, pointing_accuracy, write

FORM = "pocket-llava"  # in which a place is written: another of vlm_helpers.boxes.FORMATS, perhaps


def said(completions: list[list[dict]]) -> list[str]:
    """The answers, without the space around them."""
    return [completion[0]["content"].strip() for completion in completions]


def exact(completions: list[list[dict]], truth: list[str], **columns: Any) -> list[float]:
    """1 for an answer that is the row's `truth`, but for case and the space around it; else 0."""
    return [
        float(one.casefold() == other.strip().casefold())
        for one, other in zip(said(completions), truth)
    ]


def count(completions: list[list[dict]], truth: list[str | int], **columns: Any) -> list[float]:
    """1 for the whole number that `truth` is, in digits, with a full stop or without; else 0."""
    right = [whole(str(one)) for one in truth]
    if None in right:
        raise ValueError(f"The truth {truth[right.index(None)]!r} is no whole number in digits.")
    return [float(whole(one) == other) for one, other in zip(said(completions), right)]


def overlap(completions: list[list[dict]], truth: list[str], **columns: Any) -> list[float]:
    """The IoU of the one box with the `truth`'s; where that is "none", 1 for "none"."""
    right = [one if one == "none" else place(one) for one in truth]
    if wrong := [t for t, r in zip(truth, right) if r != "none" and not isinstance(r, Box)]:
        raise ValueError(
            f'The truth {wrong[0]!r} is neither one box in the form {FORM} nor "none".'
        )
    found = []
    for one, other in zip(said(completions), right):
        box = place(one)
        if other == "none":
            found.append(float(one == other))
        else:
            found.append(iou(box, other) if isinstance(box, Box) else 0.0)
    return found


def click(completions: list[list[dict]], box: list[Sequence[float]], **columns: Any) -> list[float]:
    """1 for one point within the row's `box`, (x0, y0, x1, y1) in fractions of the picture; else 0.

    The edge belongs to the box: (0, 0, 1, 1) is the whole picture.
    """
    points = [place(one) for one in said(completions)]
    return [
        pointing_accuracy([point if isinstance(point, Point) else None], [element(corners)])
        for point, corners in zip(points, box)
    ]


def fields(completions: list[list[dict]], truth: list[str], **columns: Any) -> list[float]:
    """The share of the `truth`'s fields that a JSON object has right; both are texts.

    A field that the truth does not have counts as one more that is wrong. Numbers, texts, true and
    null are told apart: 1 is neither 1.0 nor "1". 0 for anything but one object, for a key given
    twice, and for NaN.
    """
    right = [as_object(one) for one in truth]
    if wrong := [one for one, found in zip(truth, right) if not found]:
        raise ValueError(f"The truth {wrong[0]!r:.80} is no JSON object with a field.")
    return [share(as_object(one) or {}, other) for one, other in zip(said(completions), right)]


# --- reading one answer ---------------------------------------------------------------------------


def whole(text: str) -> int | None:
    """The whole number that a text is."""
    return int(text.strip(".")) if re.fullmatch(r"(0|[1-9][0-9]{0,8})\.?", text) else None


def place(text: str) -> Box | Point | Any | None:
    """The one box, point or outline that a text is, in the form `FORM`."""
    shapes = parse(text, FORM).shapes
    alone = len(shapes) == 1 and write(shapes, FORM) == "".join(text.split())
    return shapes[0] if alone else None


def element(corners: Any) -> Box:
    """The box of a row."""
    try:
        x0, y0, x1, y1 = corners
        if min(x0, y0) >= 0 and max(x1, y1) <= 1:
            return Box(x0, y0, x1, y1)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"The box {corners!r:.80} is no (x0, y0, x1, y1) in fractions of the picture.")


def as_object(text: str) -> dict[str, str] | None:
    """The fields of the JSON object that a text is, each value as JSON in one form of many."""

    def told(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        pairs = list(pairs)
        if len(dict(pairs)) < len(pairs):
            raise ValueError("A key stands twice.")
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON.")

    try:
        found = json.loads(text, object_pairs_hook=told, parse_constant=refuse)
        if not isinstance(found, dict):
            return None
        return {key: json.dumps(value, sort_keys=True) for key, value in found.items()}
    except (ValueError, RecursionError):
        return None


def share(found: dict[str, str], right: dict[str, str]) -> float:
    """How many of the fields of either agree."""
    agreed = sum(found.get(key) == value for key, value in right.items())
    return agreed / len(found.keys() | right.keys())
