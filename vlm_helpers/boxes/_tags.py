"""Formats of the Qwen-VL kind, with numbers between tags, each a row of facts (`Tags`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from vlm_helpers.boxes import _json
from vlm_helpers.boxes._parsed import (
    FOUR,
    INSIDE,
    Parsed,
    are_fractions,
    by_label,
    name,
    numbers_in,
    numbers_of,
)
from vlm_helpers.boxes._shapes import Box, Point, Polygon
from vlm_helpers.boxes._texts import CLICK

_PAIR = r"\(\s*\d+\s*,\s*\d+\s*\)"
_BARE = rf"{_PAIR}\s*,\s*{_PAIR}|\[\s*{FOUR}\s*\]"
_PHRASE = re.compile(r"[.,;:\]>]")  # what may stand before a noun phrase
_ROW = re.compile(r"\[([^\[\]]*)\]")
_COUNTS = {"box": (4, "four"), "quad": (8, "eight"), "point": (2, "two")}


class Tags(NamedTuple):
    """How a format writes places.

    `ref`: the tags around a label. `box`, `quad`, `point`: those around numbers; two numbers
    between the tags of a box are a point. `pair`, `join`: how pairs of numbers are written.
    `scale`: what the far edge of the picture is. `most`: the largest number that is written.
    `brackets`: each box has brackets of its own, and all of a label share their tags. `after`: the
    label comes after its box, then this text; corners may come in any order. `bare`: brackets are
    read without tags too, for decoding leaves these out, and fractions, and JSON. `clicks`: points
    are read as UI-TARS writes them. `outlines`: boxes of four corners are read, as outlines.
    """

    ref: tuple[str, str]
    box: tuple[str, str]
    pair: str = "{} {}"
    join: str = " "
    scale: int = 1000
    most: int = 1000
    quad: tuple[str, str] | None = None
    point: tuple[str, str] | None = None
    brackets: bool = False
    after: str = ""
    bare: bool = False
    clicks: bool = False
    outlines: bool = False


_REF, _BOX, _QUAD = ("<ref>", "</ref>"), ("<box>", "</box>"), ("<quad>", "</quad>")
_REF2 = ("<|object_ref_start|>", "<|object_ref_end|>")
_BOX2, _QUAD2 = ("<|box_start|>", "<|box_end|>"), ("<|quad_start|>", "<|quad_end|>")
QWEN = Tags(_REF, _BOX, "({},{})", ",", most=999, quad=_QUAD)
QWEN2 = Tags(_REF2, _BOX2, "({},{})", ",", most=999, quad=_QUAD2, clicks=True)
INTERNVL = Tags(_REF, _BOX, "{}, {}", ", ", brackets=True, bare=True)
MINICPM = Tags(_REF, _BOX, quad=_QUAD, point=("<point>", "</point>"), outlines=True)
DEEPSEEK = Tags(
    ("<|ref|>", "<|/ref|>"), ("<|det|>", "<|/det|>"), "{}, {}", ", ", 999, 999, brackets=True
)
MINERU = Tags(("<|ref_start|>", "<|ref_end|>"), _BOX2, after="<|rotate_up|>")


@cache
def _pattern(tags: Tags) -> re.Pattern:
    """A label; numbers between one of the pairs of tags, closed or not; and numbers without any."""
    pieces = [rf"{re.escape(tags.ref[0])}(?P<ref>{INSIDE}){re.escape(tags.ref[1])}"]
    for kind in _COUNTS:
        if pair := getattr(tags, kind):
            start, end = map(re.escape, pair)
            pieces.append(rf"(?P<{kind}>{start}[^<]*)(?P<{kind}_end>{end})?")
    if tags.clicks:
        pieces.append(f"(?P<click>{CLICK})")
    return re.compile("|".join([*pieces, _BARE]))


def parse(text: str, size: object, tags: Tags) -> Parsed:
    if tags.bare and tags.box[0] not in text and "{" in text:
        return _json.parse(text, None, _json.INTERNVL)
    found, label, waiting, end = Parsed(), None, [], 0
    for match in _pattern(tags).finditer(text):
        kind = match.lastgroup.partition("_")[0] if match.lastgroup else None
        if kind == "ref":
            label = name(match["ref"])
        elif kind is None and tags.bare and match.group().startswith("["):
            # as in dog[[…: a single bracket may stand in any sentence
            words = text[end : match.start()] if text.endswith("[", 0, match.start()) else ""
            label = name(_PHRASE.split(words.rstrip("[ "))[-1]) or label
            waiting = [(numbers_in(match.group()), match.group())]
        elif kind is None:
            found.drop(match.group(), _UNTAGGED)
        elif kind == "click":
            waiting = [(numbers_in(match.group()), match.group())]
        else:
            waiting += _numbers(found, match, kind, tags)
        if waiting and (kind == "ref" or not tags.after):
            _add(found, waiting, label, tags)
            waiting = []
        end = match.end()
    _add(found, waiting, None, tags)
    return found


_UNTAGGED = "numbers outside of the format's tags: was the text decoded without special tokens?"


def _numbers(found: Parsed, match: re.Match, kind: str, tags: Tags) -> list[tuple[list, str]]:
    """The numbers of each shape between two tags, and where they stood."""
    inside, closed = match[kind].removeprefix(getattr(tags, kind)[0]), match[f"{kind}_end"]
    rows = [(inside, match.group())]
    if tags.brackets:
        rows = [(row, row) for row in _ROW.findall(inside)]
        if not rows:
            found.drop(match.group(), "no row of four numbers")
        elif not closed:
            rest = inside.rpartition("]")[2]
            found.drop(rest or match.group(), f"{tags.box[0]} is not closed")
    elif not closed or (kind == "quad" and not tags.outlines):
        rows = []
        found.drop(
            match.group(), f"the {kind} is not closed" if not closed else "a box of four corners"
        )
    given = []
    for row, shown in rows:
        values, (step, word) = numbers_in(row), _COUNTS[kind]
        if len(values) == 2 and not tags.brackets:
            step = 2
        if not values or len(values) % step or (tags.brackets and len(values) > step):
            found.drop(shown, f"{len(values)} numbers instead of {word}")
        else:
            given += [(values[i : i + step], shown) for i in range(0, len(values), step)]
    return given


def _add(found: Parsed, given: Sequence[tuple], label: str | None, tags: Tags) -> None:
    for values, shown in given:
        whole = (1, 1) if tags.bare and are_fractions(values) else (tags.scale, tags.scale)
        if tags.after and len(values) == 4:  # MinerU's own code puts corners in order
            (x0, x1), (y0, y1) = sorted(values[::2]), sorted(values[1::2])
            found.add([x0, y0, x1, y1], label, shown, whole, out=0)
        else:
            found.add(values, label, shown, whole)


def write(shapes: Sequence[Box | Point | Polygon], size: object, tags: Tags) -> str:
    """A label holds until the next one, so that a shape without has an empty one before it."""

    def numbers(shape: Box | Point | Polygon) -> str:
        values = [min(round(v * tags.scale), tags.most) for v in numbers_of(shape)]
        return tags.join.join(tags.pair.format(*xy) for xy in zip(values[::2], values[1::2]))

    def tagged(shape: Box | Point | Polygon) -> str:
        pair = {Box: tags.box, Point: tags.point or tags.box, Polygon: tags.quad}[type(shape)]
        return numbers(shape).join(pair)

    pieces: list[str] = []
    for label, group in by_label(shapes):
        ref = (label or "").join(tags.ref)
        if tags.after:
            pieces += [tagged(shape) + ref + tags.after for shape in group]
            continue
        if label or pieces:
            pieces.append(ref)
        if tags.brackets:
            pieces.append(f"[{', '.join(f'[{numbers(s)}]' for s in group)}]".join(tags.box))
        else:
            pieces += map(tagged, group)
    return "".join(pieces)
