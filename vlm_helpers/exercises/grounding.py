"""Exercises of notebook 04, grounding."""

import math
import re
from collections.abc import Callable, Sequence

from vlm_helpers.exercises._engine import Exercise, Wrong, call, call_each, one_number

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
    try:
        return [tuple(float(v) for v in box) for box in value]
    except (TypeError, ValueError):
        raise Wrong(
            "Return a list of boxes, each of four numbers (x0, y0, x1, y1); an empty list where "
            "there is none."
        ) from None


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


# --- grounding.convert ----------------------------------------------------------------------------


def to_paligemma(box):
    x0, y0, x1, y1 = (min(round(value * 1024), 1023) for value in box)
    return f"<loc{y0:04d}><loc{x0:04d}><loc{y1:04d}><loc{x1:04d}>"


def _as_its_authors_scale(box):
    """big_vision's own code multiplies by 1023: a thousandth apart, and as right."""
    x0, y0, x1, y1 = (round(value * 1023) for value in box)
    return f"<loc{y0:04d}><loc{x0:04d}><loc{y1:04d}><loc{x1:04d}>"


_BOXES = ((0.25, 0.5, 0.75, 0.875), (0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 1.0, 1.0))


def examine_convert(answer, boxes) -> None:
    for box in boxes:
        want = to_paligemma(box)
        got = call(answer, box)
        if not isinstance(got, str):
            raise Wrong(f"Return the text of four tokens; this is of type {type(got).__name__}.")
        if got in (want, _as_its_authors_scale(box)):
            continue
        numbers = [int(n) for n in re.findall(r"<loc(\d{1,6})>", got)]
        if len(numbers) != 4:
            raise Wrong(f"{got!r} holds {len(numbers)} tokens of the form <loc0123>: write four.")
        if any(len(n) != 4 for n in re.findall(r"<loc(\d+)>", got)):
            raise Wrong("A number has four digits, with zeros in front: `{value:04d}`.")
        if max(numbers) > 1023:
            raise Wrong(
                f"There is no token <loc{max(numbers)}>: the last one is <loc1023>, so cut off at "
                "1023."
            )
        y0, x0, y1, x1 = (int(n) for n in re.findall(r"\d{4}", want))
        if numbers == [y0, x0, y1, x1]:
            raise Wrong(
                "The four tokens are right, but they are all there is to write: no space or comma "
                "between them, and nothing around them."
            )
        if numbers == [x0, y0, x1, y1]:
            raise Wrong("PaliGemma writes y first: y0, x0, y1, x1.")
        if numbers == [y0, y1, x0, x1]:
            raise Wrong("Both y come first in your text: the order is y0, x0, y1, x1.")
        if max(abs(a - b) for a, b in zip(numbers, (y0, x0, y1, x1))) <= 1:
            raise Wrong("The last digit is off: round to the nearest number, do not cut off.")
        if all(abs(n - v * 1000) <= 1 for n, v in zip(numbers, (box[1], box[0], box[3], box[2]))):
            raise Wrong("You count in thousandths: PaliGemma counts in 1024ths.")
        raise Wrong(f"For {box} you write {got}; right is {want}.")


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
        name="grounding.convert",
        title="Write a box for PaliGemma",
        difficulty=1,
        minutes=5,
        takeaway="y first, 1024 cells, four digits: three conventions in one line. PaliGemma's own "
        "code multiplies by 1023, others by 1024: a thousandth apart, and this check takes both.",
        hints=(
            "`round(value * 1024)`, and never more than 1023.",
            "The order is y0, x0, y1, x1; `{value:04d}` writes four digits.",
        ),
        solved=to_paligemma,
        materials=lambda: _BOXES,
        examine=examine_convert,
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
)
