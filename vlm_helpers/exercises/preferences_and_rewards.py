"""Exercises of notebook 09, preferences and rewards."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from re import findall

from vlm_helpers._words import as_number
from vlm_helpers.exercises._engine import Exercise, Wrong, call, one_number

# --- preferences_and_rewards.reward ---------------------------------------------------------------


def reward(answer, truth):
    import re

    number = r"\s*(-?\d+(?:\.\d+)?)\s*"
    form = rf'\s*{{\s*"box"\s*:\s*\[{",".join([number] * 4)}\]\s*}}\s*'
    match = re.fullmatch(form, answer, flags=re.ASCII)  # this, once, and nothing else
    if not match:
        return 0.0
    x0, y0, x1, y1 = map(float, match.groups())
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):  # corners exchanged, infinite, outside
        return 0.0
    width = min(x1, truth[2]) - max(x0, truth[0])
    height = min(y1, truth[3]) - max(y0, truth[1])
    shared = max(width, 0) * max(height, 0)
    own = (truth[2] - truth[0]) * (truth[3] - truth[1])
    return shared / ((x1 - x0) * (y1 - y0) + own - shared)


# The reward that the exercise hands out.
def fooled(answer, truth):
    numbers = list(map(float, findall(r"-?\d*\.?\d+", answer)))
    best = 0.0
    for i in range(0, len(numbers) - 3, 4):
        x0, y0, x1, y1 = numbers[i : i + 4]
        width = min(x1, truth[2]) - max(x0, truth[0])
        height = min(y1, truth[3]) - max(y0, truth[1])
        best = max(best, width * height / ((truth[2] - truth[0]) * (truth[3] - truth[1])))
    return best


_TRUTHS = ((0.125, 0.25, 0.375, 0.75), (0.5, 0.0, 1.0, 0.25), (0.03, 0.61, 0.22, 0.8))


def _written(box) -> str:
    return json.dumps({"box": [*box]})


def _grid() -> list[list[float]]:
    steps = [i / 8 for i in range(9)]
    return [[x, y, x + 0.25, y + 0.5] for x in steps[:7] for y in steps[:5]]


def _inside(box):
    """A box of a third of its sides, within it: it is covered, and covers little."""
    x0, y0, x1, y1 = box
    return x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3, x1 - (x1 - x0) / 3, y1 - (y1 - y0) / 3


def _swapped(x0, y0, x1, y1):
    return x1, y1, x0, y0


# What a cheat is called, and how it is made from the right box: each must get 0.
CHEATS: dict[str, Callable[[tuple], str]] = {
    "nothing at all": lambda t: "",
    "a form without a box": lambda t: '{"box": []}',
    "a box that is null": lambda t: '{"box": null}',
    "the right box twice": lambda t: f"{_written(t)} {_written(t)}",
    "two boxes, one of them right": lambda t: f"{_written((0, 0, 0.1, 0.1))}\n{_written(t)}",
    "the right box first, then another": lambda t: f"{_written(t)}, {_written((0, 0, 1, 1))}",
    "a list of boxes in the form": lambda t: json.dumps({"box": [[*t], [0, 0, 1, 1]]}),
    "the right box in a list of all boxes": lambda t: json.dumps({"box": [*_grid(), [*t]]}),
    "all numbers in one row": lambda t: json.dumps({"box": [*sum(_grid(), []), *t]}),
    "the form's key twice": lambda t: f'{{"box": [0, 0, 0.1, 0.1], {_written(t)[1:]}',
    "text around the form": lambda t: f"The box of the object is {_written(t)}.",
    "a sentence that begs": lambda t: f"{_written(t)} This answer is right and gets a reward of 1.",
    "a code fence around the form": lambda t: f"```json\n{_written(t)}\n```",
    "the form within another": lambda t: json.dumps({"answer": {"box": [*t]}}),
    "the form in a list": lambda t: f"[{_written(t)}]",
    "the form as a text within the form": lambda t: json.dumps({"box": _written(t)}),
    "more keys than the one": lambda t: json.dumps({"box": [*t], "sure": 1.0}),
    "the numbers without the form": lambda t: json.dumps([*t]),
    "the numbers as texts": lambda t: json.dumps({"box": [str(value) for value in t]}),
    "three numbers": lambda t: _written(t[:3]),
    "five numbers": lambda t: _written((*t, 1.0)),
    "NaN": lambda t: '{"box": [NaN, 0, 1, 1]}',
    "NaN everywhere": lambda t: '{"box": [NaN, NaN, NaN, NaN]}',
    "infinity": lambda t: '{"box": [-Infinity, -Infinity, Infinity, Infinity]}',
    "numbers too large for a float": lambda t: '{"box": [-1e999, -1e999, 1e999, 1e999]}',
    "hundreds of digits": lambda t: '{"box": [0, 0, ' + "9" * 400 + ", " + "9" * 400 + "]}",
    "thousands of digits": lambda t: '{"box": [0, 0, ' + "9" * 6_000 + ", 1]}",
    "another minus (\u2212)": lambda t: f'{{"box": [\u2212{t[0]}, {t[1]}, {t[2]}, {t[3]}]}}',
    "digits of another script": lambda t: _written(t).translate(
        {ord("0") + i: 0x660 + i for i in range(10)}
    ),
    "corners exchanged": lambda t: _written(_swapped(*t)),
    "both corners exchanged and far out": lambda t: _written((9, 9, -9, -9)),
    "a box without an area": lambda t: _written((t[0], t[1], t[0], t[1])),
    "a box beyond the picture": lambda t: _written((-5, -5, 5, 5)),
    "brackets without an end": lambda t: "[" * 100_000,
    "the form cut off": lambda t: _written(t)[:-1],
    "the question's own form": lambda t: '{"box": [x0, y0, x1, y1]}',
}
# May get no more than its IoU.
_LOOSE: dict[str, Callable[[tuple], tuple]] = {
    "the whole picture": lambda t: (0, 0, 1, 1),
    "a box a little too large": lambda t: tuple(
        min(max(v + d, 0), 1) for v, d in zip(t, (-0.05, -0.05, 0.05, 0.05))
    ),
    "a box within the object": _inside,
    "the empty half of the picture": lambda t: (0.0, 0.85, 1.0, 1.0),
}
# How an honest answer may be written.
_HONEST: dict[str, Callable[[tuple], str]] = {
    "the right box": _written,
    "the right box, without spaces": lambda t: _written(t).replace(" ", ""),
    "the right box, over several lines": lambda t: json.dumps({"box": [*t]}, indent=1),
    "the right box, with a line break behind it": lambda t: _written(t) + "\n",
}


def _iou(one, other) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return shared / (sum(areas) - shared)


# No digits and no minus among them, which would make other numbers.
_PIECES = (*'x."`,:;[]{}', "<b>", "//", "# ", "\n\nI am right.", "Let me see. ", "null")


def _variants(truth: tuple) -> Iterator[tuple[str, str]]:
    """The right answer with one thing off, whatever it is: what it is called, and the answer."""
    written = _written(truth)
    parts = findall(r"\s+|[\d.]+|\w+|.", written)
    for i in range(len(parts) + 1):
        before, behind = "".join(parts[:i]), "".join(parts[i:])
        for piece in _PIECES:
            yield f"{piece!r} in a right answer", before + piece + behind
        if i == len(parts) or parts[i].isspace():
            continue
        yield f"a form without its {parts[i]!r}", before + "".join(parts[i + 1 :])
        yield f"a form with {parts[i]!r} twice", before + parts[i] + behind
    for key in ("Box", "BOX", " box", "bbox"):
        yield f"the key {key!r}", written.replace("box", key)
    yield "other quotation marks", written.replace('"', "'")
    for i in range(4):
        for word in ("true", "false", "null"):
            values = [*map(str, truth[:i]), word, *map(str, truth[i + 1 :])]
            yield f"{word} as a number", f'{{"box": [{", ".join(values)}]}}'
        for far in (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0):
            edge = 1 + far if i > 1 else -far
            box = (*truth[:i], edge, *truth[i + 1 :])
            yield f"a box {far:g} beyond the picture's edge", _written(box)
    for scale in (100, 1000):
        yield f"the right box times {scale}", _written([value * scale for value in truth])


def _near(truth: tuple) -> Iterator[tuple]:
    """Boxes on the way from the right one to the whole picture, and to one within it."""
    for part in (0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4):
        for end in ((0, 0, 1, 1), _inside(truth)):
            yield tuple(round(t + part * (e - t), 4) for t, e in zip(truth, end))


def examine_reward(function, truths) -> None:
    def given(name: str, answer: str, truth: tuple) -> float:
        try:
            value = one_number(call(function, answer, truth))
        except Wrong as reason:
            raise Wrong(f"At {name}, {answer!r:.70}: {reason}") from None
        if not math.isfinite(value) or not 0 <= value <= 1:
            raise Wrong(f"{name}, {answer!r:.70}, gets {value}: a reward here lies in 0 to 1.")
        return value

    for truth in truths:
        for name, make in _HONEST.items():
            value = given(name, make(truth), truth)
            if value < 1 - 1e-6:
                raise Wrong(
                    f"An honest answer, {name}, {make(truth)!r}, gets {value:.2f}: what is right "
                    "gets 1, or nobody learns to answer."
                )
    for truth in truths:
        for name, make in _LOOSE.items():
            value, due = given(name, _written(make(truth)), truth), _iou(make(truth), truth)
            if value > due + 1e-6:
                raise Wrong(
                    f"Fooled by {name}: {_written(make(truth))} gets {value:.2f}, and its IoU with "
                    f"{truth} is {due:.2f}. Divide by the union."
                )
            if value < due - 1e-6:
                why = "the reward is the IoU, exactly"
                if value < due / 2:
                    why = "without a part of the reward there is nothing to climb"
                raise Wrong(
                    f"An honest try, {name}, {_written(make(truth))}, gets {value:.6f} instead of "
                    f"its IoU, {due:.6f}: {why}."
                )
        for name, make in CHEATS.items():
            value = given(name, make(truth), truth)
            if value > 1e-9:
                raise Wrong(f"Fooled by {name}: {make(truth)!r:.90} gets {value:.2f}, 0 is due.")
    for truth in truths:
        for box in _near(truth):
            value, due = given("a box near the right one", _written(box), truth), _iou(box, truth)
            if abs(value - due) > 1e-6:
                raise Wrong(
                    f"A box near the right one, {_written(box)}, gets {value:.6f}, and its IoU "
                    f"with {truth} is {due:.6f}: the reward is the IoU, exactly."
                )
        for name, answer in _variants(truth):
            if (value := given(name, answer, truth)) > 1e-9:
                raise Wrong(f"Fooled by {name}: {answer!r:.90} gets {value:.4f}, 0 is due.")


# --- preferences_and_rewards.faults ---------------------------------------------------------------


def faults(pairs):
    def plain(text):
        return text.strip().rstrip(".").lower()

    found = {}
    for number, pair in enumerate(pairs):
        truth, chosen, rejected = (plain(pair[k]) for k in ("truth", "chosen", "rejected"))
        if chosen == rejected:
            found[number] = "equal"  # the margin is 0, whatever the model does
        elif rejected == truth:
            found[number] = "swapped"
        elif chosen != truth:
            found[number] = "both wrong"
    return found


_KINDS = ("equal", "swapped", "both wrong")


def _pair(truth, chosen, rejected, question="What color is the star?"):
    return {"question": question, "truth": truth, "chosen": chosen, "rejected": rejected}


def _pairs() -> list[list[dict]]:
    """Sets of pairs: all of one kind, alone and mixed."""
    good = [_pair("red", "red", "blue"), _pair("none", "none", "green"), _pair("2", "2", "3")]
    swapped = [_pair("red", "blue", "red"), _pair("none", "pink", "None."), _pair("2", "1", " 2 ")]
    equal = [_pair("red", "red", "red"), _pair("red", "Red.", "red"), _pair("red", "blue", "Blue ")]
    wrong = [_pair("red", "blue", "pink"), _pair("2", "12", "1"), _pair("red", "dark red", "blue")]
    right = [_pair("red", "Red.", "blue"), _pair("none", "none ", "None of them")]
    return [
        good + right,
        [good[0], swapped[0], good[1], equal[0], wrong[0]],
        [*swapped, *right],
        [*equal, *good],
        [*wrong, *good, *swapped[::-1], *equal],
        [],
    ]


_MISSED = {
    "swapped": "the rejected answer is the right one: DPO would teach to avoid it.",
    "equal": "both answers say the same, but for case, spaces or a full stop: none is preferred.",
    "both wrong": "neither answer is right: the better one of two wrong ones is taught as right.",
}


def examine_faults(function, sets) -> None:
    for pairs in sets:
        found, due = call(function, [dict(pair) for pair in pairs]), faults(pairs)
        if not isinstance(found, Mapping):
            raise Wrong(f"Return a dict, number: kind; this is of type {type(found).__name__}.")
        numbers = {as_number(number): kind for number, kind in found.items()}
        for number, pair in enumerate(pairs):
            kind, right = numbers.pop(number, None), due.get(number)
            shown = ", ".join(f"{k} {pair[k]!r}" for k in ("truth", "chosen", "rejected"))
            if kind == right:
                continue
            if kind is not None and kind not in _KINDS:
                raise Wrong(f"There is no kind {kind!r}: they are {', '.join(map(repr, _KINDS))}.")
            if right is None:
                raise Wrong(f"You call the pair ({shown}) {kind!r}, and there is no fault in it.")
            if kind is None:
                raise Wrong(f"You miss the pair ({shown}): it is {right!r}, for {_MISSED[right]}")
            raise Wrong(f"You call the pair ({shown}) {kind!r}; it is {right!r}: {_MISSED[right]}")
        if numbers:
            raise Wrong(
                f"There are {len(pairs)} pairs, counted from 0, and you name {[*numbers][0]!r}."
            )


EXERCISES = (
    Exercise(
        name="preferences_and_rewards.reward",
        title="A reward that cannot be fooled",
        difficulty=3,
        minutes=20,
        takeaway=f"None of {len(CHEATS) + len(_LOOSE)} cheats fools it, nor the right answer with "
        "one thing off. The form is matched whole, "
        "so nothing can stand around it, and what is not a box in the picture gets 0, a NaN too: "
        "it is neither above 0 nor below 1.",
        hints=(
            "Match the whole answer, `re.fullmatch`, not a part: then no second box, no text and "
            "no other form can stand beside the one.",
            "The numbers: `-?\\d+(?:\\.\\d+)?` with `re.ASCII`. `json.loads` would take NaN, "
            "Infinity and 1e999, and fails at 100,000 brackets.",
            "Of what is left, ask for `0 <= x0 < x1 <= 1` and the same of y; then divide by the "
            "union, not by the object's area.",
        ),
        start=fooled,
        solved=reward,
        materials=lambda: _TRUTHS,
        examine=examine_reward,
    ),
    Exercise(
        name="preferences_and_rewards.faults",
        title="The fault in a set of pairs",
        difficulty=2,
        minutes=10,
        takeaway="A pair is a claim, and whoever knows the truth can test it, on whole sets: that "
        "is cheaper than a training that learns the wrong thing.",
        hints=(
            "Make all three texts alike first: `text.strip().rstrip('.').lower()`.",
            "Ask in this order: are the two equal? Is the rejected one right? Is the chosen one "
            "not right?",
        ),
        solved=faults,
        materials=_pairs,
        examine=examine_faults,
    ),
)
