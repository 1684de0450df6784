"""Exercises of notebook 05, documents, charts and screens."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from vlm_helpers.evaluation.rules.text import distance
from vlm_helpers.exercises._engine import Exercise, NotAttempted, Wrong, call, call_each, one_number

# --- documents_charts_and_screens.tiles -----------------------------------------------------------


def cut(picture, grids, side):
    from PIL import Image

    def kept(grid):  # how many of its pixels survive: enlarging makes none
        scale = min(grid[0] * side / picture.width, grid[1] * side / picture.height)
        shown = int(picture.width * scale) * int(picture.height * scale)
        return min(shown, picture.width * picture.height)

    columns, rows = max(grids, key=lambda grid: (kept(grid), -grid[0] * grid[1]))
    scale = min(columns * side / picture.width, rows * side / picture.height)
    fitted = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    canvas = Image.new("RGB", (columns * side, rows * side))
    canvas.paste(fitted, ((canvas.width - fitted.width) // 2, (canvas.height - fitted.height) // 2))
    overview = picture.resize((side, side))
    return [overview] + [
        canvas.crop((x, y, x + side, y + side))
        for y in range(0, canvas.height, side)
        for x in range(0, canvas.width, side)
    ]


_SIDE = 32
_UP_TO_NINE = tuple((c, r) for c in range(1, 5) for r in range(1, 5) if c * r <= 9)
# (width, height) of a picture, and the grids there are for it
_CUTS = (
    ((64, 96), _UP_TO_NINE),
    ((40, 40), _UP_TO_NINE),
    ((128, 30), _UP_TO_NINE),
    ((50, 100), ((1, 1), (2, 2), (3, 3))),
    ((200, 100), ((2, 2), (2, 1), (1, 4))),
    ((32, 64), ((3, 3), (1, 2), (2, 2))),
)


def _pictures() -> list[tuple[Image.Image, tuple, int]]:
    """Red runs to the right, green down, and blue in blocks: every place looks different."""
    made = []
    for (width, height), grids in _CUTS:
        y, x = np.mgrid[0:height, 0:width]
        blue = 255 * ((4 * x // width + 4 * y // height) % 2)
        channels = (40 + 215 * x / width, 40 + 215 * y / height, blue)
        made.append((Image.fromarray(np.stack(channels, -1).astype(np.uint8)), grids, _SIDE))
    return made


def _cut(
    picture, grids, side, *, choose=None, down=False, corner=False, stretch=False, over="whole"
):
    """`cut` with a fault to order."""
    columns, rows = (choose or _best)(picture.size, grids, side)
    room = (columns * side, rows * side)
    scale = min(room[0] / picture.width, room[1] / picture.height)
    size = room if stretch else tuple(max(1, round(v * scale)) for v in picture.size)
    canvas = Image.new("RGB", room)
    at = (0, 0) if corner else tuple((a - b) // 2 for a, b in zip(room, size))
    canvas.paste(picture.resize(size), at)
    places = [(c, r) for r in range(rows) for c in range(columns)]
    places = sorted(places) if down else places
    tiles = [
        canvas.crop((c * side, r * side, (c + 1) * side, (r + 1) * side)) for c, r in places
    ]  # fmt: skip
    whole = picture.resize((side, side))
    if over == "fitted":
        scale = side / max(picture.size)
        size = tuple(max(1, round(v * scale)) for v in picture.size)
        whole = Image.new("RGB", (side, side))
        whole.paste(picture.resize(size), tuple((side - v) // 2 for v in size))
    return {"none": tiles, "last": [*tiles, whole]}.get(over, [whole, *tiles])


def _kept(size, grid, side, *, enlarged=False) -> int:
    scale = min(grid[0] * side / size[0], grid[1] * side / size[1])
    shown = int(size[0] * scale) * int(size[1] * scale)
    return shown if enlarged else min(shown, size[0] * size[1])


def _best(size, grids, side) -> tuple[int, int]:
    return max(grids, key=lambda grid: (_kept(size, grid, side), -grid[0] * grid[1]))


def _nearest_form(size, grids, side):
    return min(grids, key=lambda grid: abs(math.log(grid[0] / grid[1] * size[1] / size[0])))


_CUT_MISTAKES: tuple[tuple[dict, str], ...] = (
    ({"over": "none"}, "The overview is missing: the whole picture, as one tile, comes first."),
    ({"over": "last"}, "The overview comes last in your list: LLaVA-NeXT puts it first."),
    (
        {"over": "fitted"},
        "Your overview keeps the picture's proportions. LLaVA-NeXT's does not: it is resized to "
        "(side, side), whatever that does to it.",
    ),
    (
        {"down": True},
        "Your tiles go down first: they come row by row, as one reads.",
    ),
    (
        {"corner": True},
        "The fitted picture stands in the upper left corner: it belongs in the middle, with as "
        "much black on either side.",
    ),
    (
        {"stretch": True},
        "You stretch the picture to fill the grid: it keeps its proportions, and what is left is "
        "black.",
    ),
    (
        {"choose": lambda size, grids, side: max(grids, key=lambda g: g[0] * g[1])},
        "You take the grid with most tiles. More tiles than pixels show nothing new: enlarged "
        "pixels do not count.",
    ),
    (
        {"choose": lambda size, grids, side: max(
            grids, key=lambda g: (_kept(size, g, side, enlarged=True), -g[0] * g[1]))},
        "You count pixels that come from enlarging: a grid keeps at most the picture's own, "
        "`min(shown, width * height)`.",
    ),
    (
        {"choose": _nearest_form},
        "You go by the proportions alone: the grid that keeps most of the picture's pixels wins, "
        "whatever its form.",
    ),
    (
        {"choose": lambda size, grids, side: max(
            grids, key=lambda g: (_kept(size, g, side), g[0] * g[1]))},
        "Several grids keep all the pixels: take the one that wastes least, with fewest tiles.",
    ),
    (
        {"choose": lambda size, grids, side: max(grids, key=lambda g: _kept(size, g, side))},
        "Several grids keep as many pixels: take the one that wastes least, with fewest tiles, not "
        "the first of them.",
    ),
    (
        {"choose": lambda size, grids, side: _best(size[::-1], grids, side)},
        "You choose the grid for a picture on its side: a grid is (columns, rows), a PIL picture's "
        "`size` is (width, height).",
    ),
)  # fmt: skip


def _arrays(tiles, side: int) -> list[np.ndarray]:
    """The tiles as arrays; raises `Wrong` where they are no tiles."""
    if isinstance(tiles, str | bytes | dict) or not hasattr(tiles, "__iter__"):
        raise Wrong("Return a list of tiles, the overview first.")
    arrays = []
    for number, tile in enumerate(tiles):
        if isinstance(tile, Image.Image):
            tile = tile.convert("RGB")
        array = np.asarray(tile)
        if array.dtype == object or array.ndim != 3 or array.shape[-1] != 3:
            raise Wrong(f"Tile {number} is no RGB picture: cut with `canvas.crop(box)`.")
        if array.shape[:2] != (side, side):
            height, width = array.shape[:2]
            raise Wrong(f"Tile {number} has {width} x {height} pixels; each has {side} x {side}.")
        arrays.append(array.astype(float))
    if arrays and max(array.max() for array in arrays) <= 1:
        raise Wrong("Your tiles' values run to 1: leave the pixels as they are, from 0 to 255.")
    return arrays


def _alike(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Whether the tiles are the same but for the way of resizing."""
    return len(one) == len(other) and all(
        np.abs(a - b).mean() < 12 for a, b in zip(one, other)
    )  # fmt: skip


def examine_cut(answer, pictures) -> None:
    found = [
        _arrays(call(answer, picture.copy(), list(grids), side), side)
        for picture, grids, side in pictures
    ]
    right = [_arrays(cut(*case), _SIDE) for case in pictures]
    if all(map(_alike, found, right)):
        return
    for fault, diagnosis in _CUT_MISTAKES:
        made = (_arrays(_cut(*case, **fault), _SIDE) for case in pictures)
        if all(map(_alike, found, made)):
            raise Wrong(diagnosis)
    for (picture, grids, side), tiles, want in zip(pictures, found, right):
        what = f"A picture of {picture.width} x {picture.height} in tiles of {side}"
        if len(tiles) != len(want):
            columns, rows = _best(picture.size, grids, side)
            raise Wrong(
                f"{what}: you give {len(tiles)} tiles; right are {len(want)}, an overview and "
                f"{columns} x {rows}."
            )
        for number, (one, other) in enumerate(zip(tiles, want)):
            if not _alike([one], [other]):
                raise Wrong(
                    f"{what}: the number of tiles is right, but tile {number} shows something else."
                )


# --- documents_charts_and_screens.anls ------------------------------------------------------------


def anls(answer, truths, distance):
    best = 0
    for truth in truths:
        one, other = answer.strip().lower(), truth.strip().lower()
        similarity = 1 - distance(one, other) / max(len(one), len(other), 1)
        best = max(best, similarity)
    return best if best >= 0.5 else 0.0


_READ = (
    ("12.40", ["12.40"]),
    ("12.48", ["12.40"]),
    ("Corner Shop", ["corner shop"]),
    ("  total 7 ", ["total 7"]),
    ("Valencia", ["Vienna", "Valenzia"]),
    ("Valenzia, Vine Street", ["Valencia, Vine Street", "Vine Street"]),
    ("3 May", ["3 May 24"]),
    ("March 3rd, 2024", ["March 3rd"]),
    ("17", ["41"]),
    ("Denver", ["Trier"]),
    ("", ["none"]),
    ("seven", ["seventh"]),
)


def _anls(answer, truths, distance, *, case=False, ends=False, over=max, many=max, rule=None):
    """`anls` with a fault to order."""
    scores = []
    for truth in truths:
        one, other = (t if ends else t.strip() for t in (answer, truth))
        one, other = (t if case else t.lower() for t in (one, other))
        scores.append(1 - distance(one, other) / max(over(len(one), len(other)), 1))
    score = many(scores)
    return rule(score) if rule else score if score >= 0.5 else 0.0


_ANLS_MISTAKES: tuple[tuple[Callable, str], ...] = (
    (
        partial(_anls, rule=lambda score: score),
        "You have no threshold: a similarity below 0.5 counts as 0, for an answer that far off is "
        "another one, not a slip.",
    ),
    (
        partial(_anls, rule=lambda score: float(score >= 0.5)),
        "You give 1 from the threshold on: above it the score is the similarity itself.",
    ),
    (
        partial(_anls, rule=lambda score: float(score == 1)),
        "You score exact answers only: one wrong character in five still earns 0.8.",
    ),
    (
        partial(_anls, rule=lambda score: score if score < 0.5 else 0.0),
        "Your threshold is the wrong way round: it is similarities *below* 0.5 that count as 0.",
    ),
    (
        partial(_anls, rule=lambda score: 1 - score),
        "You return the distance: similarity is 1 minus it.",
    ),
    (
        partial(_anls, case=True),
        "Case does not count in ANLS: compare both in lower case.",
    ),
    (
        partial(_anls, ends=True),
        "Spaces at the ends do not count: `strip` both.",
    ),
    (
        partial(_anls, over=lambda one, other: other),
        "You divide by the length of the truth: divide by that of the longer text, so that the "
        "result lies between 0 and 1.",
    ),
    (
        partial(_anls, over=lambda one, other: one),
        "You divide by the length of the answer: divide by that of the longer text.",
    ),
    (
        partial(_anls, over=lambda one, other: one + other),
        "You divide by both lengths together: divide by that of the longer text.",
    ),
    (
        partial(_anls, many=lambda scores: sum(scores) / len(scores)),
        "You average over the truths: any of them will do, so the best one counts.",
    ),
    (
        partial(_anls, many=lambda scores: scores[0]),
        "You look at the first truth only: the best one counts.",
    ),
    (
        partial(_anls, many=min),
        "You take the worst of the truths: the best one counts.",
    ),
)


def examine_anls(answer, cases) -> None:
    answers = call_each(
        answer,
        [(text, list(truths), distance) for text, truths in cases],
        "an answer that is too far off scores 0.0.",
    )
    got = [one_number(value) for value in answers]
    want = [anls(text, truths, distance) for text, truths in cases]
    if np.allclose(got, want, atol=1e-6):
        return
    for mistake, diagnosis in _ANLS_MISTAKES:
        if np.allclose(got, [mistake(*case, distance) for case in cases], atol=1e-6):
            raise Wrong(diagnosis)
    (text, truths), mine, right = next(
        case for case in zip(cases, got, want) if not math.isclose(*case[1:], abs_tol=1e-6)
    )
    raise Wrong(
        f"For the answer {text!r} and the truths {truths} you give {mine:g}, not {right:g}."
    )


# --- documents_charts_and_screens.repair ----------------------------------------------------------


def read_json(text):
    import json

    text = text[text.find("{") :] if "{" in text else ""
    for end in range(len(text), 0, -1):  # cut back until the rest makes sense
        if text[end - 1] not in '"]},':  # the end of a number that is cut off is not known
            continue
        part, brackets, quoted, skip = text[:end].rstrip(","), [], False, False
        for c in part:
            if skip or c == "\\":
                skip = not skip
            elif c == '"':
                quoted = not quoted
            elif c in "{[" and not quoted:
                brackets.append("}" if c == "{" else "]")
            elif c in "}]" and not quoted and brackets:
                brackets.pop()
        try:
            return json.loads(part + "".join(reversed(brackets)))
        except json.JSONDecodeError:
            continue
    return {}


# what the model writes, what can be had of it, and what to say to those who get it wrong
_REPLIES: tuple[tuple[str, dict, str], ...] = (
    ('{"shop": "Corner", "total": "7.20"}', {"shop": "Corner", "total": "7.20"},
     "This is JSON as it stands: try `json.loads` first."),
    ('```json\n{"total": "7.20"}\n```', {"total": "7.20"},
     "It stands between fences: begin at the first brace, and end at its partner."),
    ('Here it is: {"total": "7.20"} Is there anything else?', {"total": "7.20"},
     "There are words around the object: begin at the first brace, and end at its partner."),
    ('{"shop": "Corner", "total": "7.20",}', {"shop": "Corner", "total": "7.20"},
     "There is a comma before the last brace: JSON forbids what Python allows."),
    ('{"shop": "Corner", "total": "7.', {"shop": "Corner"},
     "It is cut off within a text: what came before is whole, the total is not."),
    ('{"shop": "Corner", "total"', {"shop": "Corner"},
     "It is cut off after a key: a key without a value goes."),
    ('{"shop": "Corner", "count": 1', {"shop": "Corner"},
     "It is cut off within a number: 1 may have been about to become 12, so it goes."),
    ('{"count": 12, "shop": "Cor', {"count": 12},
     "The number is whole, for a comma follows it; the shop is not."),
    ('{"items": [{"name": "Tea", "price": "2.00"}, {"name": "Mil',
     {"items": [{"name": "Tea", "price": "2.00"}, {}]},
     "It is cut off within a list: keep its whole pairs, and close what is open. What is left of "
     "the second item is {} or nothing."),
    ('{"shop": "Tea, {hot}", "note": "a, }"}', {"shop": "Tea, {hot}", "note": "a, }"},
     "This is JSON as it stands. Brackets and commas within quotes are text."),
    ('{"note": "say \\"hi\\"", "total": "7.20", "ti', {"note": 'say "hi"', "total": "7.20"},
     'A quote after a backslash is part of the text: \\" does not end it.'),
    ('{"open": true, "tax": null, "x', {"open": True, "tax": None},
     "`true` and `null` are JSON's words for True and None, and are whole here."),
    ("I cannot read the receipt.", {}, "There is no object in it: return {}."),
)  # fmt: skip


def _without_empty(value):
    """Lists without what is left of an item that was cut off."""
    if isinstance(value, dict):
        return {key: _without_empty(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_empty(part) for part in value if part != {}]
    return value


def examine_repair(answer, replies) -> None:
    because = {
        "Expecting|Extra data|Unterminated|Invalid control": "Not every answer is JSON: catch "
        "`json.JSONDecodeError`.",
    }
    right = 0
    for text, want, diagnosis in replies:
        try:
            got = call(answer, text, because=because)
        except NotAttempted:
            if not right and text == replies[0][0]:
                raise
            got = None
        if isinstance(got, str):
            raise Wrong("Return the object, as a dict, not its text: `json.loads` makes it one.")
        if not isinstance(got, dict) or _without_empty(got) != _without_empty(want):
            raise Wrong(
                f"Of {len(replies)} answers you read {right}, then comes {text!r}. {diagnosis} You "
                f"give {got!r}."
            )
        right += 1


# --- the exercises --------------------------------------------------------------------------------

EXERCISES = (
    Exercise(
        name="documents_charts_and_screens.tiles",
        title="Cut a picture as LLaVA-NeXT does",
        difficulty=3,
        minutes=15,
        takeaway="What the processor does to every page: choose by pixels kept, fit, pad, cut.",
        hints=(
            "Three steps: choose the grid; fit the picture into it, in the middle of a black "
            "canvas; cut that row by row. The overview needs none of them: "
            "`picture.resize((side, side))`.",
            "A grid of (columns, rows) has columns * side by rows * side pixels. The picture fits "
            "at the scale `min(grid_width / width, grid_height / height)`, and keeps "
            "`min(shown, width * height)` pixels, where `shown` is what it covers then.",
            "`max(grids, key=lambda grid: (kept(grid), -grid[0] * grid[1]))` prefers, of those "
            "that keep most, the smallest. Then `Image.new`, `paste`, and `crop((x, y, x + side, "
            "y + side))` with y in the outer loop.",
        ),
        solved=cut,
        materials=_pictures,
        examine=examine_cut,
    ),
    Exercise(
        name="documents_charts_and_screens.anls",
        title="Score a reading by ANLS",
        difficulty=2,
        minutes=8,
        takeaway="A slip costs its share, another answer costs all: that is what the threshold is "
        "for.",
        hints=(
            "Similarity is 1 minus edits over the length of the longer text, both stripped and in "
            "lower case.",
            "Take the best over all truths, and return it if it is at least 0.5, else 0.0. An "
            "empty text has length 0: divide by at least 1.",
        ),
        solved=anls,
        materials=lambda: _READ,
        examine=examine_anls,
    ),
    Exercise(
        name="documents_charts_and_screens.repair",
        title="Read JSON that is not quite JSON",
        difficulty=4,
        minutes=20,
        takeaway="Nothing was invented on the way: what was cut off is left out. Whether what is "
        "left is *right* is another question.",
        hints=(
            "Begin at the first `{`. If the rest is JSON, you are done; if not, cut characters off "
            "its end, one at a time, until it can be closed.",
            "To close it, walk through it and keep a list of the brackets that are open; skip what "
            "stands between quotes, and mind that a backslash takes the next character's meaning.",
            "Never end within a number: stop only after a quote, a bracket, or a comma (which you "
            "leave out).",
        ),
        solved=read_json,
        materials=lambda: _REPLIES,
        examine=examine_repair,
    ),
)
