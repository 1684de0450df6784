"""Formats that write boxes as special tokens: KOSMOS-2, PaliGemma, Florence-2, pocket-llava."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_helpers.boxes._parsed import Parsed, cell, name
from vlm_helpers.boxes._shapes import Box, Point, Polygon

_KOSMOS = 32
_KOSMOS_TAG = re.compile(
    r"<phrase>(?P<phrase>[^<]{0,500})</phrase>|<(?P<tag>/?object|/delimiter_of_multi_objects/)>"
    r"|<patch_index_(?P<index>\d{1,5})>"
)


def parse_kosmos(text: str, image_size: object) -> Parsed:
    found, phrase, indices, inside = Parsed(), None, [], False
    end = 0

    def flush(where: str) -> None:
        if len(indices) == 2:
            _kosmos_box(found, indices, phrase)
        elif indices:
            found.drop(where, f"{len(indices)} patch indices instead of two")
        indices.clear()

    for match in _KOSMOS_TAG.finditer(text):
        if match["phrase"] is not None:
            flush(text[end : match.end()])
            phrase = name(match["phrase"])
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
    if inside and indices:
        found.drop(text[-60:], "<object> is not closed")
    return found


def _kosmos_box(found: Parsed, indices: Sequence[int], phrase: str | None) -> None:
    first, last = indices
    shown = "".join(f"<patch_index_{i:04d}>" for i in indices)
    if max(indices) >= _KOSMOS**2:
        found.drop(shown, f"a patch index of {_KOSMOS**2} or more")
        return
    (y0, x0), (y1, x1) = divmod(first, _KOSMOS), divmod(last, _KOSMOS)
    # Corners are the middles of the two cells; in one row, column or cell, their outer edges.
    low, high = (0, 1) if x0 == x1 or y0 == y1 else (0.5, 0.5)
    corners = (x0 + low, y0 + low, x1 + high, y1 + high)
    found.add_box([v / _KOSMOS for v in corners], phrase, shown)


def write_kosmos(boxes: Sequence[Box], image_size: object) -> str:
    return "".join(_kosmos_text(box) for box in boxes)


def _kosmos_text(box: Box) -> str:
    x0, y0 = cell(box.x0, _KOSMOS), cell(box.y0, _KOSMOS)
    # ceil - 1, so that a box that ends at the edge of a cell does not take the next one
    x1, y1 = (max(-int(-v * _KOSMOS // 1) - 1, low) for v, low in ((box.x1, x0), (box.y1, y0)))
    x1, y1 = min(x1, _KOSMOS - 1), min(y1, _KOSMOS - 1)
    pair = "".join(f"<patch_index_{y * _KOSMOS + x:04d}>" for x, y in ((x0, y0), (x1, y1)))
    phrase = f"<phrase>{box.label}</phrase>" if box.label else ""
    return f"{phrase}<object>{pair}</object>"


_PALI = re.compile(r"(?P<locs>(?:<loc\d{4}>){1,64})|(?P<seg>(?:<seg\d{3}>)+)|(?P<end>;|<eos>)")
_PALI_LOC = re.compile(r"<loc(\d{4})>")


def parse_paligemma(text: str, image_size: object) -> Parsed:
    found, waiting, start = Parsed(), None, 0

    def flush(end: int) -> None:
        if waiting is not None:
            found.add_box(waiting[0], name(text[start:end]), waiting[1])

    for match in _PALI.finditer(text):
        if match["locs"] is not None:
            flush(match.start())
            waiting = None
            values = [int(v) for v in _PALI_LOC.findall(match["locs"])]
            if len(values) != 4:
                found.drop(match["locs"], f"{len(values)} location tokens instead of four")
            elif max(values) > 1023:
                found.drop(match["locs"], "a location over 1023")
            else:
                y0, x0, y1, x1 = (v / 1024 for v in values)
                waiting = ((x0, y0, x1, y1), match["locs"])
        elif match["seg"] is not None:
            if match["seg"].count("<seg") != 16:
                found.drop(match["seg"], "a mask has 16 segmentation tokens")
        else:
            flush(match.start())
            waiting = None
        start = match.end()
    flush(len(text))
    return found


def write_paligemma(boxes: Sequence[Box], image_size: object) -> str:
    def one(box: Box) -> str:
        places = (box.y0, box.x0, box.y1, box.x1)
        tokens = "".join(f"<loc{min(max(round(v * 1024), 0), 1023):04d}>" for v in places)
        return f"{tokens} {box.label}" if box.label else tokens

    return " ; ".join(map(one, boxes))


_FLORENCE = re.compile(
    r"(?P<locs>(?:<loc_\d{1,4}>)+)|(?P<poly></?poly>)|(?P<sep><sep>)|(?P<other></?[a-z]{1,8}>)"
)
_FLORENCE_LOC = re.compile(r"<loc_(\d{1,4})>")


def parse_florence(text: str, image_size: object) -> Parsed:
    """Four tokens are a box, eight a box of four corners; more, or inside <poly>, are outlines."""
    found, label, end, in_poly = Parsed(), None, 0, False
    for match in _FLORENCE.finditer(text):
        between = name(text[end : match.start()])
        end = match.end()
        if between:
            label = between
        if match["poly"]:
            in_poly = match["poly"] == "<poly>"
        elif match["locs"]:
            values = [int(v) for v in _FLORENCE_LOC.findall(match["locs"])]
            if max(values) > 999:
                found.drop(match["locs"], "a location over 999")
                continue
            places = [(v + 0.5) / 1000 for v in values]
            _florence(found, places, label, match["locs"], in_poly)
    return found


def _florence(found: Parsed, places: list, label: str | None, text: str, in_poly: bool) -> None:
    if in_poly or (len(places) >= 6 and len(places) % 4):
        if len(places) < 6:
            found.drop(text, "an outline of less than three corners")
            return
        if len(places) % 2:
            found.drop(text, "half a corner at the end of an outline")
        _outline(found, places, label)
    elif len(places) == 8 and not _two_boxes(places):
        _outline(found, places, label)
    else:
        whole = len(places) // 4 * 4
        for i in range(0, whole, 4):
            found.add_box(places[i : i + 4], label, text)
        if whole < len(places):
            found.drop(text, f"{len(places) % 4} location tokens too many")


def _two_boxes(places: list) -> bool:
    """Eight numbers may be two boxes: both pairs of corners in order, which a quad's are not."""
    a, b = places[:4], places[4:]
    return a[0] < a[2] and a[1] < a[3] and b[0] < b[2] and b[1] < b[3]


def _outline(found: Parsed, places: list, label: str | None) -> None:
    found.polygons.append(Polygon(tuple(zip(places[0::2], places[1::2])), label))


def write_florence(boxes: Sequence[Box], image_size: object) -> str:
    def one(box: Box) -> str:
        return (box.label or "") + "".join(f"<loc_{cell(v, 1000)}>" for v in box.corners)

    return "".join(map(one, boxes))


_POCKET = re.compile(r"(?P<locs>(?:<loc_\d{2}>)+)")
_POCKET_LOC = re.compile(r"<loc_(\d{2})>")


def parse_pocket(text: str, image_size: object) -> Parsed:
    """Two tokens are a point, four a box, six or more an outline."""
    found, end = Parsed(), 0
    for match in _POCKET.finditer(text):
        label = name(text[end : match.start()].strip(" ,.;:"))
        end = match.end()
        values = [int(v) for v in _POCKET_LOC.findall(match["locs"])]
        if max(values) > 63:
            found.drop(match["locs"], "a location over 63")
            continue
        places = [(v + 0.5) / 64 for v in values]
        if len(places) == 2:
            found.add_point(*places, label, match["locs"])
        elif len(places) == 4:
            found.add_box(places, label, match["locs"])
        elif len(places) >= 6 and len(places) % 2 == 0:
            _outline(found, places, label)
        else:
            found.drop(match["locs"], f"{len(places)} location tokens are no point, box or outline")
    return found


def write_pocket(shapes: Sequence[Box | Point | Polygon], image_size: object) -> str:
    def one(shape: Box | Point | Polygon) -> str:
        if isinstance(shape, Box):
            places = shape.corners
        elif isinstance(shape, Point):
            places = (shape.x, shape.y)
        else:
            places = tuple(v for point in shape.points for v in point)
        tokens = "".join(f"<loc_{cell(v, 64):02d}>" for v in places)
        return f"{shape.label} {tokens}" if shape.label else tokens

    return ", ".join(map(one, shapes))
