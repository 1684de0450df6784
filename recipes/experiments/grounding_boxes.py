"""Where do boxes lie that miss, and does the model know which of its boxes are wrong?

"Locate the …", with one question a picture; in some the thing is absent. Of the things that are
there: how many boxes are right (IoU of 0.5 or more), overlap the thing but less than that, lie on
another object instead (IoU of 0.5 or more with it), or elsewhere, and how often it says "none".

Then average precision at IoU 0.5, with the boxes in the order of the probability that the model
gave to the four tokens (`ap`), in random order (`ap_random`, the mean of 30), and with all right
boxes first (`ap_best`): what an order could gain lies between the last two. Boxes of absent things
count as wrong there.

Pictures: "shapes", pocket-llava's; "unseen pairs", the same with pairs of colour and shape that it
never saw; and "things", about which pocket-llava-next is asked.
"""

from __future__ import annotations

import functools
import itertools
from statistics import fmean

import numpy as np

import vlm_helpers as vh
from recipes.experiments import _asking
from recipes.places import first_box

EACH = 150  # pictures, a question each
SETS = {"shapes": 5, "unseen pairs": 5, "things": 3}
SAMPLES = {
    "shapes": functools.partial(vh.scenes.sample, split="test"),
    "unseen pairs": functools.partial(vh.scenes.sample, split="unseen_pairs"),
    "things": functools.partial(vh.pages.sample, split="test", kind="things"),
}
PLACES = ("right", "overlaps", "other", "elsewhere", "none")


def settings() -> list[dict]:
    return [
        {"pictures": pictures, "first_seed": 20_000 + 10_000 * number}
        for pictures, sets in SETS.items()
        for number in range(sets)
    ]


def where(box: vh.boxes.Box | None, true: list[vh.boxes.Box], others: list[vh.boxes.Box]) -> str:
    """Where a box lies: `true` are those of what it is to be about, `others` all others."""
    if box is None:
        return "none"
    if any(vh.boxes.iou(box, one) >= 0.5 for one in true):
        return "right"
    if any(vh.boxes.iou(box, other) >= 0.5 for other in others):
        return "other"
    return "overlaps" if any(vh.boxes.iou(box, one) > 0 for one in true) else "elsewhere"


def _boxes(picture) -> list[vh.boxes.Box]:
    """Those of all that is to be seen in it."""
    if isinstance(picture, vh.pages.Page):
        return [vh.boxes.Box(*element.box) for element in picture.elements]
    signs = [picture.sign] if picture.sign else []
    return [vh.boxes.Box(*thing.box) for thing in (*picture.objects, *signs)]


def run(pictures: str, first_seed: int) -> dict:
    pairs = []
    for seed in itertools.count(first_seed):
        if len(pairs) == EACH:
            break
        picture = SAMPLES[pictures](seed)
        pairs += [(picture, question) for question in picture.questions(["locate"])]
    vlm = _asking.model("pocket-llava-next" if pictures == "things" else "pocket-llava")
    shown = _asking.Shown([picture.image for picture, _ in pairs], vlm)
    said, sure = zip(*shown.ask([(i, q.text) for i, (_, q) in enumerate(pairs)], first=4))
    boxes = [first_box(answer) for answer in said]
    truth = [first_box(q.answer) for _, q in pairs]

    places = []
    for (picture, _), box, true in zip(pairs, boxes, truth):
        if true:
            others = [one for one in _boxes(picture) if vh.boxes.iou(one, true) < 0.5]
            places.append(where(box, [true], others))

    def ap(scores) -> float:
        ranked = [
            [vh.boxes.Box(*box.corners, score=float(score))] if box else []
            for box, score in zip(boxes, scores)
        ]
        return vh.boxes.average_precision(ranked, [[box] if box else [] for box in truth])

    right = [bool(b and t and vh.boxes.iou(b, t) >= 0.5) for b, t in zip(boxes, truth)]
    dice = np.random.default_rng(0)
    return {
        "there": len(places),
        **{place: places.count(place) for place in PLACES},
        "absent": EACH - len(places),
        "absent_boxed": sum(b is not None and t is None for b, t in zip(boxes, truth)),
        "ap": ap(sure),
        "ap_random": fmean(ap(dice.random(EACH)) for _ in range(30)),
        "ap_best": ap(right),
    }
