"""Formats with a grammar of their own, in plain text: CogVLM, Fuyu, Molmo and Molmo 2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vlm_helpers.boxes._parsed import NUMBER, Parsed, by_label, name, number, numbers_in
from vlm_helpers.boxes._shapes import Box, Point

_COG = re.compile(
    r"\[\[+(?P<boxes>[\d,;.\s-]*(?:\](?:\s*[,;])?\s*\[(?!\[)[\d,;.\s-]*)*)(?P<closed>\]{0,2})"
)
_COG_NEXT = re.compile(r";|\](?:\s*[,;])?\s*\[")  # some write ],[ between two boxes


def parse_cogvlm(text: str, size: object) -> Parsed:
    """`dog [[x0,y0,x1,y1;x0,y0,x1,y1]]`, in thousandths: the boxes of a label share brackets."""
    found, end = Parsed(), 0
    for match in _COG.finditer(text):
        # the noun phrase stands right before, after the last comma or full stop; an action of
        # CogAgent, CLICK(box=[[…, has none
        label = name(re.split(r"[.,;:\]]|\w\(box=$", text[end : match.start()])[-1])
        end = match.end()
        pieces = _COG_NEXT.split(match["boxes"])
        if not match["closed"]:
            found.drop(f"[[{pieces.pop()}", "the brackets are not closed")
        elif match["closed"] == "]":
            found.drop(match.group(), "the second bracket is not closed; its boxes were read")
        for piece in pieces:
            values = numbers_in(piece)
            if len(values) != 4:
                found.drop(piece, f"{len(values)} numbers instead of four")
            else:
                found.add(values, label, piece, (1000, 1000))
    return found


def write_cogvlm(boxes: Sequence[Box], size: object) -> str:
    def corners(box: Box) -> str:
        return ",".join(f"{min(round(v * 1000), 999):03d}" for v in box.corners)

    return ", ".join(
        (f"{label} " if label else "") + f"[[{';'.join(map(corners, group))}]]"
        for label, group in by_label(boxes)
    )


_FUYU_CLOSE = {"<box>": "</box>", "<0x00>": "<0x01>", "<point>": "</point>", "<0x02>": "<0x03>"}
_FUYU = re.compile(
    r"(?P<open><box>|<point>|<0x0[02]>)(?P<inside>[^<]*)(?P<close></box>|</point>|<0x0[13]>)?"
    r"|(?P<stray></box>|</point>|<0x0[13]>)"
)
_FUYU_PLAIN = re.compile(r"[\d\s,.-]*")
_FUYU_LIMIT = (1920, 1080)
_BYTES = {chr(i): f"<0x0{i}>" for i in range(5)}  # decoded, the tokens are control characters


def parse_fuyu(text: str, size: tuple[int, int]) -> Parsed:
    """`<box>` is in pixels of the picture, raw tokens `<0x00>…` in half of what the model saw."""
    found, end = Parsed(), 0
    text = text.translate(str.maketrans(_BYTES)).rpartition("<0x04>")[2]  # begins the answer
    for match in _FUYU.finditer(text):
        label = name(text[end : match.start()])
        end = match.end()
        if match["stray"]:
            found.drop(match.group(), "nothing that this could close")
        else:
            _fuyu(found, match, label, size)
    return found


def _fuyu(found: Parsed, match: re.Match, label: str | None, size: tuple[int, int]) -> None:
    opened, closed, inside = match["open"], match["close"], match["inside"]
    values, count = numbers_in(inside), 4 if opened in ("<box>", "<0x00>") else 2
    if closed is None:
        found.drop(match.group(), "it is not closed")
    elif closed != _FUYU_CLOSE[opened]:
        found.drop(match.group(), f"opened by {opened}, but closed by {closed}")
    elif not _FUYU_PLAIN.fullmatch(inside):
        found.drop(match.group(), "something else than numbers and commas")
    elif len(values) == 1 and len(inside.strip()) > count:
        found.drop(match.group(), "the digits run together: decode its tokens one by one")
    elif len(values) != count:
        word = "four" if count == 4 else "two"
        found.drop(match.group(), f"{len(values)} numbers instead of {word}")
    else:
        share = 1.0
        if opened.startswith("<0x"):  # half of what the model saw, at most 1920 x 1080
            share = min(1.0, *(most / side for most, side in zip(_FUYU_LIMIT, size))) / 2
        values = [values[i ^ 1] for i in range(count)]
        found.add(values, label, match.group(), [side * share for side in size])


def write_fuyu(boxes: Sequence[Box], size: tuple[int, int]) -> str:
    def one(box: Box) -> str:
        x0, y0, x1, y1 = (round(v) for v in box.to_pixels(size))
        return f"{box.label or ''}<box>{y0}, {x0}, {y1}, {x1}</box>"

    return "".join(map(one, boxes))


_MOLMO = re.compile(
    r"<(?P<tag>points?|tracks)\b(?P<facts>[^<>]*)(?P<open>>)?(?:(?P<inside>[^<]*)</(?P=tag)>)?"
)
_MOLMO_XY = re.compile(r'\bx\d*="\s*(-?\d+(?:\.\d*)?)"\s+y\d*="\s*(-?\d+(?:\.\d*)?)"')
_MOLMO_ALT = re.compile(r'\balt="([^"]*)"')
_MOLMO_COORDS = re.compile(r'\bcoords="([^"]*)"?')


def points_in(text: str, found: Parsed) -> Iterator[tuple[list[float], str | None, str]]:
    """x and y of `<point x="…" y="…" alt="…">`, and of `<points x1="…" y1="…" x2=…>` for several;
    the label; and where they stood. What is incomplete is dropped."""
    for match in _MOLMO.finditer(text):
        places = _MOLMO_XY.findall(match["facts"])
        if not places or not match["open"]:
            found.drop(match.group(), "no x and y" if match["open"] else "the tag is not closed")
        for place in places:
            yield [number(value) for value in place], _molmo_label(match), match.group()


# A place in an action of UI-TARS, click(start_box='(1,2)') or click(point='<point>1 2</point>'),
# with its tags or without: two numbers for a point, four for a box.
CLICK = (
    r"(?:_box|point)\s*=\s*['\"](?:\s*(?:<\|box_start\|>|<point>))?(?:\s*[(\[])?\s*"
    + r"[\s,]+".join([NUMBER] * 2)
    + rf"(?:[\s,]+{NUMBER}[\s,]+{NUMBER})?\s*[)\]<'\"]"
)


def parse_molmo(text: str, size: object) -> Parsed:
    """In per cent."""
    found = Parsed()
    for values, label, shown in points_in(text, found):
        # Ai2's own code takes a number over 100 for no answer; half a per cent is one
        found.add([value / 100 for value in values], label, shown, out=0)
    return found


def _molmo_label(match: re.Match) -> str | None:
    alt = _MOLMO_ALT.search(match["facts"])
    return name(alt[1]) if alt else name(match["inside"])


def write_molmo(points: Sequence[Point], size: object) -> str:
    def one(label: str | None, group: Sequence[Point]) -> str:
        several = len(group) > 1
        tag, word = ("points" if several else "point"), label or ""
        places = " ".join(
            f'x{n}="{100 * p.x:.1f}" y{n}="{100 * p.y:.1f}"'
            for p, n in zip(group, range(1, len(group) + 1) if several else [""])
        )
        return f'<{tag} {places} alt="{word}">{word}</{tag}>'

    return " ".join(one(label, group) for label, group in by_label(points))


def parse_molmo2(text: str, size: object) -> Parsed:
    """`coords="1 1 213 435 2 300 400"`: a picture, then number, x and y of each point in it.

    Pictures (or times of a video) are separated by tabs, commas, colons or semicolons. What is not
    in the first one is dropped, for a picture is all that the places of a `Parsed` can be in.
    """
    found = Parsed()
    for match in _MOLMO.finditer(text):
        coords = _MOLMO_COORDS.search(match["facts"])
        if not coords or not match["open"]:
            found.drop(match.group(), "no coords" if match["open"] else "the tag is not closed")
            continue
        first = None
        for group in re.split(r"[\t:,;]", coords[1]):
            picture, *values = numbers_in(group) or [None]
            first = picture if first is None else first
            if picture != first:
                found.drop(group.strip(), f"in picture {picture:g}: only those of one are read")
                continue
            if len(values) % 3 or not values:
                found.drop(group.strip(), "not three numbers a point: its number, x and y")
            for i in range(0, len(values) - 2, 3):
                place = values[i + 1 : i + 3]
                found.add(place, _molmo_label(match), match.group(), (1000, 1000), out=0)
    return found


def write_molmo2(points: Sequence[Point], size: object) -> str:
    def one(label: str | None, group: Sequence[Point]) -> str:
        places = " ".join(
            f"{n} {round(1000 * p.x):03d} {round(1000 * p.y):03d}"
            for n, p in enumerate(group, start=1)
        )
        return f'<points coords="1 {places}">{label or ""}</points>'

    return " ".join(one(label, group) for label, group in by_label(points))
