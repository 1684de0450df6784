"""Rewards for `recipes.preferences grpo` and `trl grpo`, by their dotted names.

Each reads an answer as a whole: whatever else stands there, before or behind, it earns nothing. A
row's `truth` is the right answer as text, as `pages` and `scenes` give it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from recipes import places
from vlm_helpers.boxes import Box, Point, pointing_accuracy
from vlm_helpers.evaluation import read_json


def said(completions: list[list[dict]]) -> list[str]:
    """The answers, without the space around them."""
    return [completion[0]["content"].strip() for completion in completions]


def exact(completions: list[list[dict]], truth: list[str], **columns: Any) -> list[float]:
    """1 for an answer that is the row's `truth`, but for case and the space around it; else 0."""
    return [
        float(one.casefold() == other.strip().casefold())
        for one, other in zip(said(completions), texts(truth))
    ]


def count(completions: list[list[dict]], truth: list[str | int], **columns: Any) -> list[float]:
    """1 for the whole number that `truth` is, in digits, with a full stop or without; else 0."""
    right = [number(str(one)) for one in truth]
    if None in right:
        raise ValueError(f"The truth {truth[right.index(None)]!r} is no whole number in digits.")
    return [float(number(one) == other) for one, other in zip(said(completions), right)]


def overlap(completions: list[list[dict]], truth: list[str], **columns: Any) -> list[float]:
    """The IoU of the one box with the `truth`'s; where that is "none", 1 for "none"."""
    for right in texts(truth):
        if right != "none" and not isinstance(places.whole(right), Box):
            raise ValueError(
                f'The truth {right!r} is neither one box in the form {places.FORM} nor "none".'
            )
    return [
        places.overlap(one, other, places.whole) for one, other in zip(said(completions), truth)
    ]


def click(completions: list[list[dict]], box: list[Sequence[float]], **columns: Any) -> list[float]:
    """1 for one point within the row's `box`, (x0, y0, x1, y1) in fractions of the picture; else 0.

    The edge belongs to the box: (0, 0, 1, 1) is the whole picture.
    """
    points = [places.whole(one) for one in said(completions)]
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
    right = [as_object(one) for one in texts(truth)]
    if wrong := [one for one, found in zip(truth, right) if not found]:
        raise ValueError(f"The truth {wrong[0]!r:.80} is no JSON object with a field.")
    return [share(as_object(one) or {}, other) for one, other in zip(said(completions), right)]


# --- reading --------------------------------------------------------------------------------------


def texts(truth: Sequence[Any]) -> list[str]:
    """The truths, all of them texts."""
    if wrong := [one for one in truth if not isinstance(one, str)]:
        raise ValueError(f"The truth {wrong[0]!r:.80} is no text.")
    return list(truth)


def number(text: str) -> int | None:
    """The whole number that a text is."""
    return int(text.strip(".")) if re.fullmatch(r"(0|[1-9][0-9]{0,8})\.?", text) else None


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
    try:
        found = read_json(text)
        if not isinstance(found, dict):
            return None
        return {key: json.dumps(value, sort_keys=True) for key, value in found.items()}
    except (ValueError, RecursionError):
        return None


def share(found: dict[str, str], right: dict[str, str]) -> float:
    """How many of the fields of either agree."""
    agreed = sum(found.get(key) == value for key, value in right.items())
    return agreed / len(found.keys() | right.keys())
