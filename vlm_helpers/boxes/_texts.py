"""Formats that write boxes as numbers in a text: Qwen-VL, Qwen2-VL, CogVLM, DeepSeek-VL2, Fuyu."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_helpers.boxes._parsed import INSIDE, Parsed, name, rounded
from vlm_helpers.boxes._shapes import Box

_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")
_FOUR = r"\s*,\s*".join([r"-?\d+(?:\.\d*)?"] * 4)
_UNTAGGED = "numbers outside of the format's tags: was the text decoded without special tokens?"


def _numbers(text: str) -> list[float]:
    return [float(v) for v in _NUMBER.findall(text)]


def _tags(reference: str, box: str, quad: str) -> re.Pattern:
    """A reference with its text; a box, closed or not; a box of four corners; and numbers bare."""
    open_ref, close_ref = (re.escape(t) for t in reference.split("…"))
    open_box, close_box = (re.escape(t) for t in box.split("…"))
    open_quad, close_quad = (re.escape(t) for t in quad.split("…"))
    return re.compile(
        rf"{open_ref}(?P<ref>{INSIDE}){close_ref}"
        rf"|{open_box}(?P<box>[^<]*)(?P<closed>{close_box})?"
        rf"|(?P<quad>{open_quad})[^<]*(?:{close_quad})?"
        r"|\(\s*\d+\s*,\s*\d+\s*\)\s*,\s*\(\s*\d+\s*,\s*\d+\s*\)"
    )


_QWEN_TAGS = ("<ref>…</ref>", "<box>…</box>")
_QWEN2_TAGS = ("<|object_ref_start|>…<|object_ref_end|>", "<|box_start|>…<|box_end|>")
_QWEN = _tags(*_QWEN_TAGS, "<quad>…</quad>")
_QWEN2 = _tags(*_QWEN2_TAGS, "<|quad_start|>…<|quad_end|>")


def _in_tags(pattern: re.Pattern, text: str, scale: int) -> Parsed:
    found, label = Parsed(), None
    for match in pattern.finditer(text):
        if match["ref"] is not None:
            label = name(match["ref"])
        elif match["box"] is not None:
            _tagged_box(found, match, label, scale)
        else:
            found.drop(match.group(), "a box of four corners" if match["quad"] else _UNTAGGED)
    return found


def _tagged_box(found: Parsed, match: re.Match, label: str | None, scale: int) -> None:
    values = _numbers(match["box"])
    if not match["closed"]:
        found.drop(match.group(), "the box is not closed")
    elif len(values) % 4 or not values:
        found.drop(match.group(), f"{len(values)} numbers instead of four")
    else:
        for i in range(0, len(values), 4):
            found.add_box((v / scale for v in values[i : i + 4]), label, match.group())


def _write_in_tags(boxes: Sequence[Box], reference: str, tags: str) -> str:
    """A label holds until the next one, so that a box without has an empty one before it."""
    pieces, current = [], None
    for box in boxes:
        x0, y0, x1, y1 = (min(rounded(v, 1000), 999) for v in box.corners)
        if box.label or current:
            pieces.append(reference.replace("…", box.label or ""))
        pieces.append(tags.replace("…", f"({x0},{y0}),({x1},{y1})"))
        current = box.label
    return "".join(pieces)


def parse_qwen(text: str, image_size: object) -> Parsed:
    return _in_tags(_QWEN, text, 1000)


def write_qwen(boxes: Sequence[Box], image_size: object) -> str:
    return _write_in_tags(boxes, *_QWEN_TAGS)


def parse_qwen2(text: str, image_size: object) -> Parsed:
    return _in_tags(_QWEN2, text, 1000)


def write_qwen2(boxes: Sequence[Box], image_size: object) -> str:
    return _write_in_tags(boxes, *_QWEN2_TAGS)


_COG = re.compile(
    r"\[\[+(?P<boxes>[\d,;.\s-]*(?:\](?:\s*[,;])?\s*\[(?!\[)[\d,;.\s-]*)*)(?P<closed>\]{0,2})"
)
_COG_NEXT = re.compile(r";|\](?:\s*[,;])?\s*\[")  # some write ],[ between two boxes


def parse_cogvlm(text: str, image_size: object) -> Parsed:
    found, end = Parsed(), 0
    for match in _COG.finditer(text):
        # the noun phrase stands right before, after the last comma or full stop
        label = name(re.split(r"[.,;:\]]", text[end : match.start()])[-1])
        end = match.end()
        pieces = _COG_NEXT.split(match["boxes"])
        if not match["closed"]:
            found.drop(f"[[{pieces.pop()}", "the brackets are not closed")
        elif match["closed"] == "]":
            found.drop(match.group(), "the second bracket is not closed; its boxes were read")
        for piece in pieces:
            values = _numbers(piece)
            if len(values) != 4:
                found.drop(piece, f"{len(values)} numbers instead of four")
            else:
                found.add_box((v / 1000 for v in values), label, piece)
    return found


def _by_label(boxes: Sequence[Box]) -> list[tuple[str | None, list[Box]]]:
    """Boxes with one label after another together, as models write them."""
    groups: list[tuple[str | None, list[Box]]] = []
    for box in boxes:
        if not groups or groups[-1][0] != box.label:
            groups.append((box.label, []))
        groups[-1][1].append(box)
    return groups


def write_cogvlm(boxes: Sequence[Box], image_size: object) -> str:
    def corners(box: Box) -> str:
        return ",".join(f"{min(rounded(v, 1000), 999):03d}" for v in box.corners)

    return ", ".join(
        (f"{label} " if label else "") + f"[[{';'.join(map(corners, group))}]]"
        for label, group in _by_label(boxes)
    )


_DEEPSEEK = re.compile(
    rf"<\|ref\|>(?P<ref>{INSIDE})<\|/ref\|>|<\|det\|>(?P<det>[^<]*)(?P<closed><\|/det\|>)?"
    rf"|\[\s*{_FOUR}\s*\]"
)
_ROW = re.compile(r"\[([^\[\]]*)\]")


def parse_deepseek(text: str, image_size: object) -> Parsed:
    found, label = Parsed(), None
    for match in _DEEPSEEK.finditer(text):
        if match["ref"] is not None:
            label = name(match["ref"])
        elif match["det"] is not None:
            _rows(found, match, label)
        else:
            found.drop(match.group(), _UNTAGGED)
    return found


def _rows(found: Parsed, match: re.Match, label: str | None) -> None:
    rows = _ROW.findall(match["det"])
    if not rows:
        found.drop(match.group(), "no row of four numbers")
    for row in rows:
        values = _numbers(row)
        if len(values) == 4:
            found.add_box((v / 999 for v in values), label, row)
        else:
            found.drop(row, f"{len(values)} numbers instead of four")
    if rows and not match["closed"]:
        rest = match["det"].rpartition("]")[2]
        found.drop(rest or match.group(), "<|det|> is not closed")


def write_deepseek(boxes: Sequence[Box], image_size: object) -> str:
    """A label holds until the next one, so that a box without has an empty one before it."""
    pieces = []
    for i, (label, group) in enumerate(_by_label(boxes)):
        if label or i:
            pieces.append(f"<|ref|>{label or ''}<|/ref|>")
        rows = [[rounded(v, 999) for v in box.corners] for box in group]
        pieces.append(f"<|det|>{rows}<|/det|>")
    return "".join(pieces)


_FUYU_OPEN = {"<box>": 4, "<0x00>": 4, "<point>": 2, "<0x02>": 2}
_FUYU_CLOSE = {"<box>": "</box>", "<0x00>": "<0x01>", "<point>": "</point>", "<0x02>": "<0x03>"}
_FUYU = re.compile(
    r"(?P<open><box>|<point>|<0x0[02]>)(?P<inside>[^<]*)(?P<close></box>|</point>|<0x0[13]>)?"
    r"|(?P<stray></box>|</point>|<0x0[13]>)"
)
_FUYU_LIMIT = (1920, 1080)


def _fuyu_scale(image_size: tuple[int, int]) -> float:
    """By how much the processor shrinks a picture that is larger than 1920 x 1080."""
    width, height = image_size
    return min(1.0, _FUYU_LIMIT[0] / width, _FUYU_LIMIT[1] / height)


def parse_fuyu(text: str, image_size: tuple[int, int]) -> Parsed:
    """`<box>` is in pixels of the picture, raw tokens `<0x00>…` in half of what the model saw."""
    found, end = Parsed(), 0
    for match in _FUYU.finditer(text):
        label = name(text[end : match.start()])
        end = match.end()
        if match["stray"]:
            found.drop(match.group(), "nothing that this could close")
        else:
            _fuyu(found, match, label, image_size)
    return found


def _fuyu(found: Parsed, match: re.Match, label: str | None, image_size: tuple[int, int]) -> None:
    opened, closed = match["open"], match["close"]
    values, (width, height) = _numbers(match["inside"]), image_size
    if closed is None:
        found.drop(match.group(), "it is not closed")
    elif closed != _FUYU_CLOSE[opened]:
        found.drop(match.group(), f"opened by {opened}, but closed by {closed}")
    elif len(values) != _FUYU_OPEN[opened]:
        wanted = {4: "four", 2: "two"}[_FUYU_OPEN[opened]]
        found.drop(match.group(), f"{len(values)} numbers instead of {wanted}")
    else:
        if opened.startswith("<0x"):
            values = [2 * v / _fuyu_scale(image_size) for v in values]
        if len(values) == 2:
            found.add_point(values[0] / width, values[1] / height, label, match.group())
        else:
            top, left, bottom, right = values
            places = (left / width, top / height, right / width, bottom / height)
            found.add_box(places, label, match.group())


def write_fuyu(boxes: Sequence[Box], image_size: tuple[int, int]) -> str:
    def one(box: Box) -> str:
        x0, y0, x1, y1 = (round(v) for v in box.to_pixels(image_size))
        return f"{box.label or ''}<box>{y0}, {x0}, {y1}, {x1}</box>"

    return "".join(map(one, boxes))
