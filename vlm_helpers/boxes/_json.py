"""Formats that write places as JSON or Python literals, each a row of facts (`Rows`)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from vlm_helpers._words import as_number
from vlm_helpers.boxes._literals import is_number, objects
from vlm_helpers.boxes._parsed import (
    INSIDE,
    Parsed,
    are_fractions,
    name,
    number,
    numbers_in,
    numbers_of,
)
from vlm_helpers.boxes._shapes import Box, Point
from vlm_helpers.boxes._texts import CLICK, points_in

_BROKEN = "part of the object is neither JSON nor Python; the rest of it was read"
# Where models put a label, the best first: they do not always keep to the key that they were given.
# Any other key with one of these words in it comes after them.
_LABELS = (
    "label", "classname", "class", "category", "categoryname", "name", "textcontent", "text",
    "content", "description", "object", "objectname", "element", "phrase", "caption", "title",
    "type", "ref", "labels", "categoryid", "classid",
)  # fmt: skip
_LIKE_LABELS = re.compile("label|class|category")
_SCORES = ("score", "confidence", "conf", "probability", "prob")
_LIKE_SCORES = re.compile("score|confidence|probability")
# A label that stands before an object, between the tags of the Qwen-VL kind.
_REF = re.compile(rf"<(?:ref|\|ref\||\|object_ref_start\|)>({INSIDE})<")
_CALL = re.compile(r"pyautogui\.\w+\(\s*(?:x\s*=\s*)?([\d.]+)\s*,\s*(?:y\s*=\s*)?([\d.]+)")
_PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%)?")


class Rows(NamedTuple):
    """How a format writes places.

    `box`, `point`: the key of a list of numbers, or a tuple of keys with a number each; the first
    is written, all are read. `scale`: what the far edge of the picture is written as; None for
    pixels. `digits`: after the decimal point; None for all. `y_first`: the order of each pair.
    `sized`: width and height in place of the far corner. `pairs`: a bare list of two numbers is a
    point. `fractions`: these are read as such. `answer`: tags around the answer; where they are,
    no other numbers are read. `calls`: pyautogui's calls are points. `more`: points are read as
    Molmo and UI-TARS write them too, in this frame. `form`: the text around the objects; "" for a
    Markdown fence.
    """

    box: tuple[Any, ...]
    point: tuple[Any, ...] = ()
    scale: float | None = 1000
    digits: int | None = 0
    y_first: bool = False
    sized: bool = False
    pairs: bool = False
    fractions: bool = False
    answer: tuple[str, str] | None = None
    calls: bool = False
    more: bool = False
    form: str = ""


# A key does not tell the order of axes. Whatever key Qwen's models choose, they put x first; other
# keys of Gemini have been seen with either order, and are not read.
_BOX = ("bbox_2d", "bbox", "box_2d", "box", "bounding_box")
_POINT = ("point_2d", "point", "coordinate")
# Further ends of a swipe or drag, beside "coordinate".
_ENDS = ("coordinate2", "start_coordinate", "end_coordinate")
QWEN25 = Rows(_BOX, _POINT, None, more=True)
QWEN3 = Rows(_BOX, _POINT)
INTERNVL = Rows(_BOX, _POINT, fractions=True)
GLM = Rows(_BOX, _POINT, pairs=True, answer=("<|begin_of_box|>", "<|end_of_box|>"))
KIMI = Rows(_BOX, _POINT, 1, 3, calls=True)
GEMINI = Rows(("box_2d",), ("point",), y_first=True)
MOONDREAM = Rows(
    (("x_min", "y_min", "x_max", "y_max"),), (("x", "y"),), 1, None, form='{{"objects": {}}}'
)
COCO = Rows(("bbox",), (), None, 2, sized=True, form="{}")


def parse(text: str, size: tuple[int, int] | None, rows: Rows) -> Parsed:
    """Objects with numbers under the format's keys; a bare list of four numbers is a box.

    One without a label of its own has the one between tags before it, if there is any.
    """
    found = Parsed()
    scale = size if rows.scale is None else (rows.scale, rows.scale)
    keys = {k for key in rows.box + rows.point for k in ([key] if isinstance(key, str) else key)}
    if rows.more:
        for match in re.finditer(CLICK, text):
            found.add(numbers_in(match.group()), None, match.group(), scale)
        text = re.sub(CLICK, "", text)
        for values, label, shown in points_in(text, found):
            found.add(values, label, shown, scale)
    text = _answer(text, rows.answer)
    refs = [(match.start(), name(match[1])) for match in _REF.finditer(text)]
    before = None
    for row in objects(text, keys, found):
        while refs and refs[0][0] < row.start:
            before = refs.pop(0)[1]
        label = score = None
        if isinstance(row.value, list):
            count = 2 if rows.pairs and len(row.value) == 2 else 4
            given = [("a list outside of any object", row.value, count)]
        else:
            plain = _plain(row.value)
            label, score = _label(plain), _score(plain)
            given = [*_under(row.value, rows.box, 4), *_under(row.value, rows.point, 2)]
            for end in _ENDS if "coordinate" in rows.point else ():
                given += _under(row.value, [end], 2)
            given = [one for one in given if one[1] is not None] or given
        whole = [g for g in given if isinstance(g[1], list) and _are_numbers(g[1], g[2])]
        for key, _, count in (g for g in given if g not in whole):
            found.drop(row.text, f"{key}: not {'four' if count == 4 else 'two'} numbers")
        if whole and row.broken:
            found.drop(row.text, _BROKEN)
        for _, values, _ in whole:
            if rows.y_first:
                values = [values[i ^ 1] for i in range(len(values))]
            if rows.sized:
                x, y, width, height = values
                values = [x, y, x + width, y + height]
                # Pixels of COCO have decimals, so that small ones are no fractions.
                values = [float(v) / scale[i % 2] for i, v in enumerate(values)]
            whole = (1, 1) if rows.sized or (rows.fractions and are_fractions(values)) else scale
            found.add(values, label or before, row.text, whole, score=score)
    for call in _CALL.finditer(text) if rows.calls else ():
        if all(value.count(".") <= 1 and value != "." for value in call.groups()):
            found.add([number(value) for value in call.groups()], None, call.group())
    return found


def _answer(text: str, tags: tuple[str, str] | None) -> str:
    """The text with no brackets but those between the tags, of any kind made square; without tags
    as it is."""
    if not tags or tags[0] not in text:
        return text
    square, none = str.maketrans("(<)>", "[[]]"), str.maketrans("[{", "  ")
    before, *parts = text.split(tags[0])
    pieces = [before.translate(none)]
    for part in parts:
        inside, _, after = part.partition(tags[1])
        if "[" not in inside and "{" not in inside:
            inside = f"[{inside.translate(square)}]"
        pieces += [inside, after.translate(none)]
    return "\n".join(pieces)


def _under(row: dict, keys: Sequence, count: int) -> list[tuple[str, Any, int]]:
    """(key, value, how many numbers it should have) of the first key that has a value."""
    there = []
    for key in keys:
        if isinstance(key, str):
            if key in row:
                there.append((key, row[key], count))
        elif any(k in row for k in key):
            there.append((", ".join(key), [row.get(k) for k in key], count))
    return sorted(there, key=lambda one: one[1] is None)[:1]


def _are_numbers(values: list, count: int) -> bool:
    return len(values) == count and all(map(is_number, values))


def _plain(row: dict) -> dict:
    """With keys of small letters alone: `Class Name`, `className` and `class_name` are one."""
    return {re.sub(r"[\W_]", "", key).lower(): row[key] for key in reversed(row)}


def _values(row: dict, keys: Sequence[str], like: re.Pattern) -> Iterator[Any]:
    yield from (row[key] for key in keys if key in row)
    yield from (row[key] for key in row if key not in keys and like.search(key))


def _label(row: dict) -> str | None:
    """The first text or number under a key for labels; a list of them with commas."""
    for value in _values(row, _LABELS, _LIKE_LABELS):
        parts = value if isinstance(value, list) else [value]
        words = [str(p) for p in parts if isinstance(p, str) or is_number(p)]
        if label := name(", ".join(filter(str.strip, words))):
            return label
    return None


def _score(row: dict) -> float | None:
    """A confidence: a number, or a text such as "0.9" or "90%"."""
    value = next((v for v in _values(row, _SCORES, _LIKE_SCORES) if v is not None), None)
    if isinstance(value, str):
        percent = _PERCENT.fullmatch(value.strip())
        value = percent and float(percent[1]) / (100 if percent[2] else 1)
    score = as_number(value)
    return score if score is not None and math.isfinite(score) else None


def write(shapes: Sequence[Box | Point], size: tuple[int, int] | None, rows: Rows) -> str:
    width, height = size if rows.scale is None else (rows.scale, rows.scale)
    written = []
    for shape in shapes:
        places = numbers_of(shape)
        values = [v * (height if i % 2 else width) for i, v in enumerate(places)]
        if rows.sized:
            values[2:] = values[2] - values[0], values[3] - values[1]
        if rows.digits is not None:
            values = [round(v, rows.digits or None) for v in values]
        if rows.y_first:
            values = [values[i ^ 1] for i in range(len(values))]
        key = (rows.box if isinstance(shape, Box) else rows.point)[0]
        row: dict[str, Any] = {key: values} if isinstance(key, str) else dict(zip(key, values))
        if shape.label:
            row["label"] = shape.label
        if rows is COCO and shape.score is not None:
            row["score"] = shape.score
        written.append(json.dumps(row, ensure_ascii=False))
    if not rows.form:
        return "```json\n[\n" + ",\n".join(f"\t{row}" for row in written) + "\n]\n```"
    form = rows.form
    if rows is MOONDREAM and shapes and all(isinstance(s, Point) for s in shapes):
        form = form.replace("objects", "points")
    return form.format(f"[{', '.join(written)}]")
