"""Formats that write boxes as numbers in a text: Qwen-VL, Qwen2-VL, CogVLM, DeepSeek-VL2, Fuyu."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_helpers.boxes._parsed import Parsed, name, rounded
from vlm_helpers.boxes._shapes import Box

_NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,6})?")


def _tags(reference: str, box: str) -> re.Pattern:
    """Either a reference with its text, or a box with what stands in it, closed or not."""
    open_ref, close_ref = (re.escape(t) for t in reference.split("…"))
    open_box, close_box = (re.escape(t) for t in box.split("…"))
    return re.compile(
        rf"{open_ref}(?P<ref>[^<]{{0,500}}){close_ref}"
        rf"|{open_box}(?P<box>[^<]{{0,2000}})(?P<closed>{close_box})?"
    )


_QWEN = _tags("<ref>…</ref>", "<box>…</box>")
_QWEN2 = _tags("<|object_ref_start|>…<|object_ref_end|>", "<|box_start|>…<|box_end|>")


def _in_tags(pattern: re.Pattern, text: str, scale: int) -> Parsed:
    found, label = Parsed(), None
    for match in pattern.finditer(text):
        if match["ref"] is not None:
            label = name(match["ref"])
            continue
        values = [float(v) for v in _NUMBER.findall(match["box"])]
        if not match["closed"]:
            found.drop(match.group(), "the box is not closed")
        elif len(values) % 4 or not values:
            found.drop(match.group(), f"{len(values)} numbers instead of four")
        else:
            for i in range(0, len(values), 4):
                found.add_box((v / scale for v in values[i : i + 4]), label, match.group())
    return found


def parse_qwen(text: str, image_size: object) -> Parsed:
    return _in_tags(_QWEN, text, 1000)


def write_qwen(boxes: Sequence[Box], image_size: object) -> str:
    def one(box: Box) -> str:
        x0, y0, x1, y1 = (min(rounded(v, 1000), 999) for v in box.corners)
        reference = f"<ref>{box.label}</ref>" if box.label else ""
        return f"{reference}<box>({x0},{y0}),({x1},{y1})</box>"

    return "".join(map(one, boxes))


def parse_qwen2(text: str, image_size: object) -> Parsed:
    return _in_tags(_QWEN2, text, 1000)


def write_qwen2(boxes: Sequence[Box], image_size: object) -> str:
    def one(box: Box) -> str:
        x0, y0, x1, y1 = (min(rounded(v, 1000), 999) for v in box.corners)
        label = f"<|object_ref_start|>{box.label}<|object_ref_end|>" if box.label else ""
        return f"{label}<|box_start|>({x0},{y0}),({x1},{y1})<|box_end|>"

    return "".join(map(one, boxes))


_COG = re.compile(r"\[\[(?P<boxes>[\d,;.\s-]{0,2000})(?P<closed>\]\])?")


def parse_cogvlm(text: str, image_size: object) -> Parsed:
    found, end = Parsed(), 0
    for match in _COG.finditer(text):
        # the noun phrase stands right before, after the last comma or full stop
        label = name(re.split(r"[.,;:\]]", text[max(end, match.start() - 200) : match.start()])[-1])
        end = match.end()
        if not match["closed"]:
            found.drop(match.group(), "the brackets are not closed")
            continue
        for piece in match["boxes"].split(";"):
            values = [float(v) for v in _NUMBER.findall(piece)]
            if len(values) != 4:
                found.drop(piece, f"{len(values)} numbers instead of four")
            else:
                found.add_box((v / 1000 for v in values), label, piece)
    return found


def write_cogvlm(boxes: Sequence[Box], image_size: object) -> str:
    """Boxes with one label after another go into one pair of brackets, as the model writes them."""
    pieces: list[list] = []
    for box in boxes:
        corners = ",".join(f"{min(rounded(v, 1000), 999):03d}" for v in box.corners)
        if pieces and pieces[-1][0] == box.label:
            pieces[-1][1].append(corners)
        else:
            pieces.append([box.label, [corners]])
    return ", ".join(
        (f"{label} " if label else "") + f"[[{';'.join(corners)}]]" for label, corners in pieces
    )


_DEEPSEEK = re.compile(
    r"<\|ref\|>(?P<ref>[^<]{0,500})<\|/ref\|>"
    r"|<\|det\|>(?P<det>[^<]{0,4000})(?P<closed><\|/det\|>)?"
)
_ROW = re.compile(r"\[([^\[\]]{0,200})\]")


def parse_deepseek(text: str, image_size: object) -> Parsed:
    found, label = Parsed(), None
    for match in _DEEPSEEK.finditer(text):
        if match["ref"] is not None:
            label = name(match["ref"])
            continue
        rows = _ROW.findall(match["det"])
        if not rows:
            found.drop(match.group(), "no row of four numbers")
        for row in rows:
            values = [float(v) for v in _NUMBER.findall(row)]
            if len(values) == 4:
                found.add_box((v / 999 for v in values), label, row)
            else:
                found.drop(row, f"{len(values)} numbers instead of four")
        if rows and not match["closed"]:
            rest = match["det"].rpartition("]")[2]
            found.drop(rest or match.group(), "<|det|> is not closed")
    return found


def write_deepseek(boxes: Sequence[Box], image_size: object) -> str:
    pieces: list[list] = []
    for box in boxes:
        row = [rounded(v, 999) for v in box.corners]
        if pieces and pieces[-1][0] == box.label:
            pieces[-1][1].append(row)
        else:
            pieces.append([box.label, [row]])
    return "".join(
        (f"<|ref|>{label}<|/ref|>" if label else "") + f"<|det|>{rows}<|/det|>"
        for label, rows in pieces
    )


_FUYU = re.compile(
    r"<(?P<kind>box|point)>(?P<inside>[^<]{0,200})(?P<closed></(?:box|point)>)?"
    r"|<0x00>(?P<tokens>(?:\s?\d{1,5}){1,8})\s?(?P<end><0x01>)?"
)
_FUYU_LIMIT = (1920, 1080)


def _fuyu_scale(image_size: tuple[int, int]) -> float:
    """By how much the processor shrinks a picture that is larger than 1920 x 1080."""
    width, height = image_size
    return min(1.0, _FUYU_LIMIT[0] / width, _FUYU_LIMIT[1] / height)


def parse_fuyu(text: str, image_size: tuple[int, int]) -> Parsed:
    """`<box>` is in pixels of the picture, raw tokens `<0x00>…` in half of what the model saw."""
    found, end = Parsed(), 0
    width, height = image_size
    for match in _FUYU.finditer(text):
        label = name(text[max(end, match.start() - 200) : match.start()])
        end = match.end()
        raw = match["tokens"] is not None
        values = [float(v) for v in _NUMBER.findall(match["tokens"] if raw else match["inside"])]
        if not (match["end"] if raw else match["closed"]):
            found.drop(match.group(), "it is not closed")
            continue
        if raw:
            values = [2 * v / _fuyu_scale(image_size) for v in values]
        if len(values) == 4 and match["kind"] != "point":
            top, left, bottom, right = values
            places = (left / width, top / height, right / width, bottom / height)
            found.add_box(places, label, match.group())
        elif len(values) == 2 and match["kind"] != "box":
            found.add_point(values[0] / width, values[1] / height, label, match.group())
        else:
            found.drop(match.group(), f"{len(values)} numbers instead of four")
    return found


def write_fuyu(boxes: Sequence[Box], image_size: tuple[int, int]) -> str:
    def one(box: Box) -> str:
        x0, y0, x1, y1 = (round(v) for v in box.to_pixels(image_size))
        return f"{box.label or ''}<box>{y0}, {x0}, {y1}, {x1}</box>"

    return "".join(map(one, boxes))
