"""Exercises of notebook 04, grounding."""

import math
from collections.abc import Callable, Iterable, Sequence

from vlm_helpers import boxes as vh_boxes
from vlm_helpers._words import as_number
from vlm_helpers.boxes import Box
from vlm_helpers.exercises._engine import Exercise, Wrong, call_each, one_number

# --- grounding.parse ------------------------------------------------------------------------------


def parse(text):
    import re

    boxes = []
    for run in re.findall(r"(?:<loc_\d\d>)+", text):
        places = [(int(number) + 0.5) / 64 for number in re.findall(r"\d\d", run)]
        if len(places) == 4:  # two tokens are a point, six or more an outline
            boxes.append(tuple(places))
    return boxes


_TEXTS = (
    "a red star <loc_00><loc_16><loc_31><loc_63>",
    "<loc_02><loc_04><loc_08><loc_12>, <loc_20><loc_21><loc_40><loc_42>",
    "none",
    "at <loc_05><loc_06>, not <loc_01><loc_02><loc_03>; but <loc_10><loc_11><loc_12><loc_13>",
    "a triangle <loc_10><loc_12><loc_30><loc_14><loc_20><loc_40>",
)


def _numbers(value) -> list:
    what = "a list of boxes, each of four numbers (x0, y0, x1, y1); an empty list where there is"
    return [_several(box, f"{what} none") for box in _listed(value, f"{what} none")]


def _listed(value, what: str) -> list:
    try:
        return list(value)
    except TypeError:
        raise Wrong(f"Return {what}.") from None


def _several(value, what: str) -> tuple[float, ...]:
    try:
        return tuple(float(v) for v in _listed(value, what))
    except (TypeError, ValueError):
        raise Wrong(f"Return {what}.") from None


def _close(one: Sequence, other: Sequence) -> bool:
    return len(one) == len(other) and all(
        len(a) == len(b) and all(math.isclose(x, y, abs_tol=1e-6) for x, y in zip(a, b))
        for a, b in zip(one, other)
    )


_PARSE_MISTAKES: tuple[tuple[Callable, str], ...] = (
    (
        lambda box: [v * 64 - 0.5 for v in box],
        "Your numbers are those of the tokens: divide by 64 to get fractions of the picture.",
    ),
    (
        lambda box: [v - 0.5 / 64 for v in box],
        "You give the left and upper edge of each cell. A token stands for its middle: add 0.5 "
        "before you divide.",
    ),
    (
        lambda box: [(v * 64 - 0.5) / 63 for v in box],
        "You divide by 63: there are 64 cells, from 0 to 63.",
    ),
    (
        lambda box: (box[1], box[0], box[3], box[2]),
        "x and y are exchanged: this model writes x first.",
    ),
    (
        lambda box: (box[0], box[1], box[2] - box[0], box[3] - box[1]),
        "Your last two numbers are width and height: give the lower right corner.",
    ),
    (
        lambda box: (box[0], box[2], box[1], box[3]),
        "Both x come first in your boxes: the order is x0, y0, x1, y1, corner by corner.",
    ),
    (
        lambda box: [round(v, 2) for v in box],
        "Your numbers are rounded: give them as they are.",
    ),
)


def examine_parse(answer, texts) -> None:
    answers = call_each(
        answer, [(text,) for text in texts], "where there is no box, return an empty list."
    )
    for text, found in zip(texts, answers):
        want = parse(text)
        got = _numbers(found)
        if _close(got, want):
            continue
        for mistake, diagnosis in _PARSE_MISTAKES:
            if want and _close(got, [tuple(mistake(box)) for box in want]):
                raise Wrong(diagnosis)
        if len(got) != len(want):
            many = "is 1 box" if len(want) == 1 else f"are {len(want)} boxes"
            raise Wrong(
                f"In {text!r} there {many}, and you find {len(got)}. A box is a run "
                "of exactly four location tokens."
            )
        raise Wrong(f"In {text!r} you read {got}; right is {want}.")


# --- grounding.iou --------------------------------------------------------------------------------


def iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


_CLOSE = 1e-6  # float32 has seven digits
_PAIRS = (
    ((0.0, 0.0, 0.2, 0.2), (0.1, 0.1, 0.3, 0.3)),
    ((0.1, 0.1, 0.5, 0.9), (0.1, 0.1, 0.5, 0.9)),
    ((0.0, 0.0, 0.2, 0.4), (0.6, 0.7, 0.9, 0.9)),
    ((0.0, 0.0, 0.4, 0.4), (0.1, 0.5, 0.3, 0.9)),
    ((0.0, 0.0, 0.8, 0.8), (0.2, 0.2, 0.4, 0.4)),
    ((0.2, 0.2, 0.4, 0.4), (0.1, 0.1, 0.5, 0.9)),
)


def _area(box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _sides(one, other) -> tuple[float, float]:
    """Width and height of the overlap; negative where the boxes are apart."""
    return min(one[2], other[2]) - max(one[0], other[0]), (
        min(one[3], other[3]) - max(one[1], other[1])
    )


def _shared(one, other) -> float:
    width, height = _sides(one, other)
    return max(width, 0) * max(height, 0)


def _around(one, other) -> float:
    return (max(one[2], other[2]) - min(one[0], other[0])) * (
        max(one[3], other[3]) - min(one[1], other[1])
    )


def _with(shared: Callable, area: Callable = _area) -> Callable:
    """IoU with another idea of what the intersection is, or an area."""

    def wrong(one, other) -> float:
        overlap = shared(one, other)
        return overlap / (area(one) + area(other) - overlap)

    return wrong


def _product(one, other) -> float:
    width, height = _sides(one, other)
    return width * height


def _in_pixels(one, other) -> float:
    width, height = _sides(one, other)
    return max(width + 1, 0) * max(height + 1, 0)


def _of_sizes(one, other) -> float:
    """As if the last two numbers of a box were its width and height."""
    corners = [(x, y, x + width, y + height) for x, y, width, height in (one, other)]
    return iou(*corners)


_APART = (
    "Boxes that do not overlap have an intersection of 0. Where they are apart both sides are "
    "negative, and their product is not: take `max(side, 0)` of each"
)
_IOU_MISTAKES: tuple[tuple[Callable, str], ...] = (
    (_with(_product), f"{_APART}."),
    (_with(lambda a, b: max(_product(a, b), 0)), f"{_APART}, not of their product."),
    (_with(lambda a, b: abs(_product(a, b))), f"{_APART}; `abs` makes an overlap of a distance."),
    (
        lambda a, b: _shared(a, b) / (_area(a) + _area(b)),
        "You divide by the sum of both areas, which counts the intersection twice: subtract it "
        "once.",
    ),
    (
        lambda a, b: 2 * _shared(a, b) / (_area(a) + _area(b)),
        "This is Dice, twice the intersection over the sum of both areas. IoU divides the "
        "intersection by the union, which has it only once.",
    ),
    (
        lambda a, b: _shared(a, b) / _around(a, b),
        "You divide by the box around both, which holds corners that neither covers: the union is "
        "both areas, less the intersection.",
    ),
    (
        lambda a, b: iou(a, b) - 1 + (_area(a) + _area(b) - _shared(a, b)) / _around(a, b),
        "This is the generalized IoU, which takes off what the box around both leaves empty. Stop "
        "before that.",
    ),
    (_shared, "This is the intersection: divide it by the union."),
    (lambda a, b: _area(a) + _area(b) - _shared(a, b), "This is the union: it goes below."),
    (
        lambda a, b: _shared(a, b) / min(_area(a), _area(b)),
        "You divide by the smaller box: a small box inside of a large one would be perfect. Divide "
        "by the union.",
    ),
    (
        lambda a, b: _shared(a, b) / max(_area(a), _area(b)),
        "You divide by the larger box: divide by the union, which is larger than either.",
    ),
    (
        lambda a, b: _shared(a, b) / _area(a),
        "You divide by the area of one of the boxes, the first: divide by the union of both.",
    ),
    (
        lambda a, b: _shared(a, b) / _area(b),
        "You divide by the area of one of the boxes, the second: divide by the union of both.",
    ),
    (lambda a, b: 1 - iou(a, b), "This is 1 - IoU, a distance: equal boxes should have 1."),
    (lambda a, b: 100 * iou(a, b), "This is IoU in per cent: give a share, from 0 to 1."),
    (
        _with(_in_pixels, lambda box: (box[2] - box[0] + 1) * (box[3] - box[1] + 1)),
        "You add 1 to each side, as was done for whole pixels: these are fractions, without gaps.",
    ),
    (
        _of_sizes,
        "You take the last two numbers for width and height: they are the lower right corner.",
    ),
)


def examine_iou(answer, pairs) -> None:
    answers = call_each(answer, pairs, "return 0 for boxes that do not overlap.")
    got = [one_number(value) for value in answers]
    want = [iou(*pair) for pair in pairs]
    right = [math.isclose(a, b, abs_tol=_CLOSE) for a, b in zip(got, want)]
    if all(right):
        return
    for mistake, diagnosis in _IOU_MISTAKES:
        if all(math.isclose(a, mistake(*p), abs_tol=_CLOSE) for a, p in zip(got, pairs)):
            raise Wrong(diagnosis)
    at = right.index(False)
    raise Wrong(f"For {pairs[at][0]} and {pairs[at][1]} you get {got[at]:.3g}, not {want[at]:.3g}.")


# --- grounding.resize -----------------------------------------------------------------------------


def to_photo(box, photo, seen):
    across, down = photo[0] / seen[0], photo[1] / seen[1]
    x0, y0, x1, y1 = box
    return x0 * across, y0 * down, x1 * across, y1 * down


_ROUNDED = 0.51  # of a pixel: whole pixels are as right
_RESIZED = (  # box, (width, height) of the photo, and of what the model saw
    ((700, 300, 1100, 700), (1920, 1080), (1316, 728)),
    ((300, 400, 440, 650), (640, 960), (448, 672)),
    ((20, 30, 80, 50), (60, 30), (112, 56)),
)

_RESIZE_MISTAKES: tuple[tuple[Callable, str], ...] = (
    (
        lambda b, p, s: b,
        "These are still pixels of what the model saw: divide by that size, multiply by the "
        "photo's.",
    ),
    (
        lambda b, p, s: [int(v) for v in to_photo(b, p, s)],
        "You cut off what is behind the point: round, or keep it.",
    ),
    (
        lambda b, p, s: to_photo(b, s, p),
        "You go the wrong way: the box comes in pixels of what the model saw, and must become "
        "pixels of the photo.",
    ),
    (
        lambda b, p, s: [v * p[0] / s[0] for v in b],
        "You scale x and y alike, by the widths: y goes by the heights, for the sides are rounded "
        "each for itself.",
    ),
    (
        lambda b, p, s: [v * p[1] / s[1] for v in b],
        "You scale x and y alike, by the heights: x goes by the widths, for the sides are rounded "
        "each for itself.",
    ),
    (
        lambda b, p, s: to_photo(b, p[::-1], s[::-1]),
        "You take the sizes for (height, width): they are (width, height).",
    ),
    (
        lambda b, p, s: to_photo(b, (1, 1), s),
        "These are fractions of the picture: multiply by the photo's width and height.",
    ),
    (
        lambda b, p, s: to_photo(b, p, (1000, 1000)),
        "You read the numbers as thousandths: this model counts pixels of what it saw.",
    ),
    (
        lambda b, p, s: _as_size(b),
        "You give width and height, and nothing is scaled: scale all four, and give two corners.",
    ),
    (
        lambda b, p, s: _as_size(to_photo(b, p, s)),
        "Your last two numbers are width and height: give the lower right corner.",
    ),
    (
        lambda b, p, s: [v + (p[i % 2] - s[i % 2]) / 2 for i, v in enumerate(b)],
        "You move the box, as if the photo had been padded or cropped: it was scaled.",
    ),
)


def _as_size(box: Sequence) -> tuple:
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def examine_resize(answer, cases) -> None:
    answers = call_each(answer, cases, "every box has its place in the photo.")
    what = "four numbers: x0, y0, x1, y1, in pixels of the photo"
    got = [_several(value, what) for value in answers]
    if any(len(box) != 4 for box in got):
        raise Wrong(f"Return {what}.")
    want = [to_photo(*case) for case in cases]

    def same(others: Iterable[Sequence]) -> bool:
        return all(
            abs(a - b) <= _ROUNDED for one, other in zip(got, others) for a, b in zip(one, other)
        )

    if same(want):
        return
    for mistake, diagnosis in _RESIZE_MISTAKES:
        if same(mistake(*case) for case in cases):
            raise Wrong(diagnosis)
    at = next(i for i in range(len(got)) if not math.isclose(math.dist(got[i], want[i]), 0))
    box, photo, seen = cases[at]
    raise Wrong(
        f"For {box} in a photo of {photo} that was seen in {seen} you get "
        f"{tuple(round(v, 1) for v in got[at])}, not {tuple(round(v, 1) for v in want[at])}."
    )


# --- grounding.precision_recall -------------------------------------------------------------------


def precision_recall(predicted, truth):
    from vlm_helpers.boxes import iou

    free, hits = list(truth), 0
    for box in predicted:
        best = max(free, key=lambda other: iou(box, other), default=None)
        if best is not None and iou(box, best) >= 0.5:
            free.remove(best)  # an object is found once
            hits += 1
    return hits / len(predicted), hits / len(truth)


def _square(x: float, y: float, side: float = 0.2) -> Box:
    return Box(x, y, x + side, y + side)


_FOUND = (  # predicted boxes, true boxes
    (
        (_square(0.1, 0.1), _square(0.12, 0.1), _square(0.7, 0.7)),  # the same thing twice
        (_square(0.1, 0.1), _square(0.4, 0.4)),
    ),
    (
        (_square(0.6, 0.1), _square(0.1, 0.11)),  # right, in another order
        (_square(0.1, 0.1), _square(0.6, 0.1), _square(0.1, 0.6), _square(0.6, 0.6)),
    ),
    (
        (_square(0.1, 0.1), _square(0.7, 0.1), _square(0.3, 0.5), _square(0.0, 0.7)),
        (_square(0.2, 0.1), _square(0.72, 0.1)),  # an IoU of a third is none
    ),
    ((_square(0.52, 0.5),), (_square(0.5, 0.5), _square(0.54, 0.5))),  # one box on two things
)


def _hits(predicted, truth, threshold: float = 0.5) -> int:
    return len(vh_boxes.match(predicted, truth, threshold))


def _touched(boxes, others, threshold: float = 0.5) -> int:
    """How many of the boxes lie on any of the others, whether that is taken or not."""
    return sum(any(vh_boxes.iou(box, o) >= threshold for o in others) for box in boxes)


def _in_order(predicted, truth) -> int:
    return sum(vh_boxes.iou(p, t) >= 0.5 for p, t in zip(predicted, truth))


def _shares(count: Callable, other: Callable | None = None) -> Callable:
    """Precision and recall with another idea of what a hit is."""

    def wrong(p, t) -> tuple:
        return count(p, t) / len(p), (other(p, t) if other else count(p, t)) / len(t)

    return wrong


def _f1(p, t) -> float:
    return 2 * _hits(p, t) / (len(p) + len(t))


_SCORE_MISTAKES: tuple[tuple[Callable, str], ...] = (
    (
        lambda p, t: precision_recall(p, t)[::-1],
        "These are recall and precision: precision comes first, and divides by what was predicted.",
    ),
    (
        _shares(_touched),
        "In the first case two boxes lie on one object, and you count two hits: an object is found "
        "once, and the second box is wrong.",
    ),
    (
        _shares(_touched, lambda p, t: _touched(t, p)),
        "Nothing is matched: in the first case two boxes lie on one object, in the last one box on "
        "two objects. Match one to one, so that each counts once.",
    ),
    (
        _shares(_touched, _hits),
        "Your recall is right, but two boxes on one object both count for your precision: match "
        "one to one, so that the second is wrong.",
    ),
    (
        _shares(lambda p, t: _touched(t, p)),
        "In the last case one box lies on two objects, and you count two hits: a box finds one "
        "object.",
    ),
    (
        _shares(_hits, lambda p, t: _touched(t, p)),
        "Your precision is right, but in the last case one box lies on two objects, and both count "
        "for your recall: a box finds one object.",
    ),
    (
        _shares(_in_order),
        "You compare the first box with the first object, the second with the second: the model "
        "may name them in any order.",
    ),
    (
        _shares(lambda p, t: _hits(p, t, 1e-6)),
        "You count every box that touches an object: a hit has an IoU of at least 0.5.",
    ),
    (
        _shares(lambda p, t: _touched(p, t, 1e-6)),
        "You count every box that touches an object, and objects twice: a hit has an IoU of at "
        "least 0.5, and each object is found once.",
    ),
    (
        lambda p, t: (_hits(p, t) / (len(p) + len(t) - _hits(p, t)),) * 2,
        "You divide by boxes and objects together: precision divides by the boxes, recall by the "
        "objects.",
    ),
    (
        lambda p, t: (_hits(p, t) / len(p),) * 2,
        "Your precision is right; recall divides by the number of objects, not of boxes.",
    ),
    (
        lambda p, t: (_hits(p, t) / len(t),) * 2,
        "Your recall is right; precision divides by the number of boxes, not of objects.",
    ),
    (lambda p, t: (_hits(p, t),) * 2, "These are the hits: divide them."),
    (
        lambda p, t: [100 * share for share in precision_recall(p, t)],
        "These are per cent: give shares, from 0 to 1.",
    ),
)


def examine_precision_recall(answer, cases) -> None:
    answers = call_each(answer, cases, "where nothing is right, both are 0.")
    if all(as_number(value) is not None for value in answers):
        if all(math.isclose(as_number(v), _f1(*case)) for v, case in zip(answers, cases)):
            raise Wrong("This is F1, which is made of both: return precision and recall.")
        raise Wrong("Return two numbers, precision and recall: yours is one.")
    what = "two numbers: precision, then recall"
    got = [_several(value, what) for value in answers]
    if any(len(pair) != 2 for pair in got):
        raise Wrong(f"Return {what}.")
    want = [precision_recall(*case) for case in cases]
    if _close(got, want):
        return
    for mistake, diagnosis in _SCORE_MISTAKES:
        if _close(got, [tuple(mistake(*case)) for case in cases]):
            raise Wrong(diagnosis)
    at = next(i for i in range(len(got)) if not _close([got[i]], [want[i]]))
    predicted, truth = cases[at]
    raise Wrong(
        f"For the boxes {[box.corners for box in predicted]} and the objects "
        f"{[box.corners for box in truth]} you get {got[at][0]:.3g} and {got[at][1]:.3g}, not "
        f"{want[at][0]:.3g} and {want[at][1]:.3g}."
    )


EXERCISES = (
    Exercise(
        name="grounding.parse",
        title="Read boxes from a text",
        difficulty=2,
        minutes=10,
        takeaway="Every run of four tokens is a box, and what is no box is left alone.",
        hints=(
            r"`re.findall(r'(?:<loc_\d\d>)+', text)` gives the runs of location tokens.",
            "Token n stands for the middle of its cell: (n + 0.5) / 64.",
        ),
        solved=parse,
        materials=lambda: _TEXTS,
        examine=examine_parse,
    ),
    Exercise(
        name="grounding.iou",
        title="Intersection over union",
        difficulty=2,
        minutes=8,
        takeaway="It is the same both ways round, on a picture of any size, and 0 without overlap.",
        hints=(
            "The intersection reaches from the larger x0 to the smaller x1, and so for y.",
            "The union is both areas, less the intersection that they share.",
        ),
        solved=iou,
        materials=lambda: _PAIRS,
        examine=examine_iou,
    ),
    Exercise(
        name="grounding.resize",
        title="Back to the photo",
        difficulty=1,
        minutes=5,
        takeaway="This is what `vh.boxes.parse(..., resized=...)` does, before it gives fractions.",
        hints=(
            "Divide by the size that the model saw, multiply by the size of the photo.",
            "Widths for x, heights for y: both sizes are (width, height).",
        ),
        solved=to_photo,
        materials=lambda: _RESIZED,
        examine=examine_resize,
    ),
    Exercise(
        name="grounding.precision_recall",
        title="Precision and recall",
        difficulty=3,
        minutes=12,
        takeaway="One object, one hit: `vh.boxes.precision_recall` does it over many pictures.",
        hints=(
            "Keep a list of the objects that are still free: one that is found leaves it.",
            "Precision is hits / len(predicted), recall is hits / len(truth).",
        ),
        solved=precision_recall,
        materials=lambda: _FOUND,
        examine=examine_precision_recall,
    ),
)
