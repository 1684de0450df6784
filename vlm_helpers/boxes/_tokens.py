"""Formats that write boxes as special tokens: KOSMOS-2, PaliGemma, Florence-2, pocket-llava."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_helpers.boxes._parsed import INSIDE, Parsed, cell, name, numbers_of
from vlm_helpers.boxes._shapes import Box, Point, Polygon

_KOSMOS = 32
_KOSMOS_TAG = re.compile(
    rf"<phrase>(?P<phrase>{INSIDE})</phrase>|<(?P<tag>/?object|/delimiter_of_multi_objects/)>"
    r"|<patch_index_(?P<index>\d{1,9})>|(?P<part><patch_index_?\d*>?)"
)


def parse_kosmos(text: str, size: object) -> Parsed:
    """`<phrase>dog</phrase><object>…</object>` with two cells of the grid for each box."""
    found, phrase, indices, inside = Parsed(), None, [], False
    end = 0

    def flush(where: str) -> None:
        if len(indices) == 2:
            _kosmos_box(found, indices, phrase)
        elif inside:
            shown = _patches(indices) or where
            found.drop(shown, f"{len(indices)} patch indices instead of two")
        indices.clear()

    for match in _KOSMOS_TAG.finditer(text):
        if match["phrase"] is not None:
            flush(text[end : match.end()])
            phrase = name(match["phrase"])
        elif match["part"]:
            found.drop(match.group(), "a patch index that is not complete")
        elif match["index"] is not None:
            if inside:
                indices.append(int(match["index"]))
            else:
                found.drop(match.group(), "a patch index outside of <object>")
        elif match["tag"] == "object":
            flush(text[end : match.end()])
            inside = True
        else:
            flush(text[end : match.end()])
            if match["tag"] == "/object":
                inside, phrase = False, None
        end = match.end()
    if inside:
        found.drop(text[-60:], "<object> is not closed")
    return found


def _patches(indices: Sequence[int]) -> str:
    return "".join(f"<patch_index_{i:04d}>" for i in indices)


def _kosmos_box(found: Parsed, indices: Sequence[int], phrase: str | None) -> None:
    first, last = indices
    shown = _patches(indices)
    if max(indices) >= _KOSMOS**2:
        found.drop(shown, f"a patch index of {_KOSMOS**2} or more")
        return
    (y0, x0), (y1, x1) = divmod(first, _KOSMOS), divmod(last, _KOSMOS)
    # Corners are the middles of the two cells; in one row, column or cell, their outer edges.
    low, high = (0, 1) if x0 == x1 or y0 == y1 else (0.5, 0.5)
    corners = (x0 + low, y0 + low, x1 + high, y1 + high)
    found.add([v / _KOSMOS for v in corners], phrase, shown)


def write_kosmos(boxes: Sequence[Box], size: object) -> str:
    return "".join(_kosmos_text(box) for box in boxes)


def _kosmos_text(box: Box) -> str:
    x0, y0 = cell(box.x0, _KOSMOS), cell(box.y0, _KOSMOS)
    # ceil - 1, so that a box that ends at the edge of a cell does not take the next one
    x1, y1 = (max(-int(-v * _KOSMOS // 1) - 1, low) for v, low in ((box.x1, x0), (box.y1, y0)))
    x1, y1 = min(x1, _KOSMOS - 1), min(y1, _KOSMOS - 1)
    pair = _patches([y * _KOSMOS + x for x, y in ((x0, y0), (x1, y1))])
    phrase = f"<phrase>{box.label}</phrase>" if box.label else ""
    return f"{phrase}<object>{pair}</object>"


_PALI = re.compile(
    r"(?P<locs>(?:<loc\d{4}>\s*)+)|(?P<seg>(?:<seg\d{3}>\s*)+)|(?P<part><(?:loc|seg)\w*>?)"
    r"|(?P<end>;|</?[a-z]\w*>?)"
)
_PALI_NUMBER = re.compile(r"\d+")


def parse_paligemma(text: str, size: object) -> Parsed:
    """Four location tokens are a box; the label after them ends at a `;` or at any other token.

    In 1024ths, as supervision and others read them. The authors' own code for masks multiplies by
    1023: a thousandth of the picture apart, which is less than the model errs.
    """
    found, waiting, start = Parsed(), None, 0

    def flush(end: int) -> None:
        if waiting is not None:
            found.add(waiting[0], name(text[start:end]), waiting[1])

    for match in _PALI.finditer(text):
        if match["seg"]:  # belongs to the box before it, and its label comes after
            _pali_mask(found, match["seg"])
        else:
            flush(match.start())
            waiting = _pali_boxes(found, match["locs"]) if match["locs"] else None
        if match["part"]:
            found.drop(match.group(), "neither <loc0000> nor <seg000>: four digits or three")
        start = match.end()
    flush(len(text))
    return found


def _pali_boxes(found: Parsed, locs: str) -> tuple[tuple, str] | None:
    """Fours of tokens are boxes. The last one is given back, for its label is still to come."""
    values = [int(v) for v in _PALI_NUMBER.findall(locs)]
    fours = [values[i : i + 4] for i in range(0, len(values), 4)]
    last = None
    for four in fours:
        if last:
            found.add(last[0], None, last[1])
        last, shown = None, "".join(f"<loc{v:04d}>" for v in four)
        if len(four) < 4:
            found.drop(shown, f"{len(four)} location tokens instead of four")
        elif max(four) > 1023:
            found.drop(shown, "a location over 1023")
        else:
            y0, x0, y1, x1 = (v / 1024 for v in four)
            last = ((x0, y0, x1, y1), shown)
    return last


def _pali_mask(found: Parsed, segs: str) -> None:
    values = [int(v) for v in _PALI_NUMBER.findall(segs)]
    if len(values) != 16:
        found.drop(segs, "a mask has 16 segmentation tokens")
    elif max(values) > 127:
        found.drop(segs, "a segmentation token over 127")


def write_paligemma(boxes: Sequence[Box], size: object) -> str:
    def one(box: Box) -> str:
        places = (box.y0, box.x0, box.y1, box.x1)
        tokens = "".join(f"<loc{min(max(round(v * 1024), 0), 1023):04d}>" for v in places)
        return f"{tokens} {box.label}" if box.label else tokens

    return " ; ".join(map(one, boxes))


_FLORENCE = re.compile(
    r"(?P<locs>(?:<loc_\d{1,4}>\s*)+)|(?P<part><loc_?\d*>?)|(?P<poly></?poly>)|</?[a-z]{1,8}>"
)
_FLORENCE_LOC = re.compile(r"<loc_(\d{1,4})>")
# What transformers' processor expects of each task; without one, the tokens decide.
FLORENCE_TASKS = {
    "<OD>": "boxes",
    "<DENSE_REGION_CAPTION>": "boxes",
    "<CAPTION_TO_PHRASE_GROUNDING>": "boxes",
    "<REGION_PROPOSAL>": "boxes",
    "<OPEN_VOCABULARY_DETECTION>": "boxes",  # or outlines, which stand inside of <poly>
    "<OCR_WITH_REGION>": "quads",
    "<REFERRING_EXPRESSION_SEGMENTATION>": "outlines",
    "<REGION_TO_SEGMENTATION>": "outlines",
} | dict.fromkeys(  # these ask for texts, which may end in the box that they are about
    ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>", "<REGION_TO_OCR>", "<CAPTION>",
     "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>", "<OCR>"), "boxes",
)  # fmt: skip


def parse_florence(text: str, size: object, task: str | None = None) -> Parsed:
    """Runs of location tokens; without a `task` four are a box, eight may be a quad box."""
    found, label, end, in_poly = Parsed(), None, 0, False
    kind = FLORENCE_TASKS.get(task)
    for match in _FLORENCE.finditer(text):
        between = name(text[end : match.start()])
        end = match.end()
        if between:
            label = between
        if match["poly"]:
            in_poly = match["poly"] == "<poly>"
        elif match["part"]:
            found.drop(match.group(), "not a location: <loc_0> to <loc_999>")
        elif match["locs"]:
            values = [int(v) for v in _FLORENCE_LOC.findall(match["locs"])]
            if max(values) > 1000:
                found.drop(match["locs"], "a location over 999")
                continue
            # There is no <loc_1000>, but models that were tuned on such texts write it at the edge.
            places = [min((v + 0.5) / 1000, 1.0) for v in values]
            # <sep> stands between outlines of one thing
            beside = text.startswith("<sep>", end) or text.endswith("<sep>", 0, match.start())
            shape = "outlines" if in_poly or (beside and not kind) else kind
            _florence(found, places, label, match["locs"], shape)
    return found


def _florence(found: Parsed, places: list, label: str | None, text: str, kind: str | None) -> None:
    kind = kind or _florence_kind(places)
    if kind == "outlines":
        if len(places) < 6:
            found.drop(text, "an outline of less than three corners")
            return
        if len(places) % 2:
            found.drop(text, "half a corner at the end of an outline")
        found.add(places[: len(places) // 2 * 2], label, text)
        return
    step = 8 if kind == "quads" else 4
    whole = len(places) // step * step
    for i in range(0, whole, step):
        found.add(places[i : i + step], label, text)
    if rest := len(places) - whole:
        wanted = "too many" if whole else f"instead of {'eight' if step == 8 else 'four'}"
        found.drop(text, f"{rest} location tokens {wanted}")


def _florence_kind(places: list) -> str:
    """What a run of tokens is by its looks: boxes, the last one cut short or not, are in order."""
    if len(places) < 6 or _in_order(places):
        return "boxes"
    if len(places) == 8:
        return "quads"
    return "outlines" if len(places) % 4 else "boxes"


def _in_order(places: list) -> bool:
    """Whether all fours have their lower right corner second, as an outline's seldom have."""
    fours = [places[i : i + 4] for i in range(0, len(places) // 4 * 4, 4)]
    return all(x0 <= x1 and y0 <= y1 for x0, y0, x1, y1 in fours)


def write_florence(shapes: Sequence[Box | Polygon], size: object, task: str | None = None) -> str:
    """Boxes as four tokens; outlines inside of <poly>, quad boxes as eight tokens where asked."""

    def one(shape: Box | Polygon) -> str:
        tokens = "".join(f"<loc_{cell(v, 1000)}>" for v in numbers_of(shape))
        if isinstance(shape, Polygon) and FLORENCE_TASKS.get(task) != "quads":
            tokens = f"<poly>{tokens}</poly>"
        return (shape.label or "") + tokens

    return "".join(map(one, shapes))


_POCKET = re.compile(r"(?P<locs>(?:<loc_\d{2}>\s*)+)|<loc_?\d*>?")
_POCKET_LOC = re.compile(r"<loc_(\d{2})>")


def parse_pocket(text: str, size: object) -> Parsed:
    """Two tokens are a point, four a box, six or more an outline."""
    found, end = Parsed(), 0
    for match in _POCKET.finditer(text):
        label = name(text[end : match.start()].lstrip(" ,.;:"))
        end = match.end()
        if match["locs"] is None:
            found.drop(match.group(), "not a location: <loc_00> to <loc_63>")
            continue
        values = [int(v) for v in _POCKET_LOC.findall(match["locs"])]
        if max(values) > 63:
            found.drop(match["locs"], "a location over 63")
            continue
        places = [(v + 0.5) / 64 for v in values]
        if len(places) % 2:
            found.drop(match["locs"], f"{len(places)} location tokens are no point, box or outline")
        else:
            found.add(places, label, match["locs"])
    return found


def write_pocket(shapes: Sequence[Box | Point | Polygon], size: object) -> str:
    def one(shape: Box | Point | Polygon) -> str:
        tokens = "".join(f"<loc_{cell(v, 64):02d}>" for v in numbers_of(shape))
        return f"{shape.label} {tokens}" if shape.label else tokens

    return ", ".join(map(one, shapes))
