"""Where do boxes lie that miss, and does the model know which of its boxes are wrong?

"Locate the …", with one question a picture; in some the thing is absent. Of the things that are
there: how many boxes are right (IoU of 0.5 or more), overlap the thing but less than that, lie on
another object instead (IoU of 0.5 or more with it), or elsewhere, and how often it says "none".

Then average precision at IoU 0.5, with the boxes in the order of the probability that the model
gave to the four tokens (`ap`), in random order (`ap_random`, the mean of 30), and with all right
boxes first (`ap_best`): what an order could gain lies between the last two. Boxes of absent things
count as wrong there.

Pictures: clean ones; clean ones with pairs of colour and shape that the model never saw; and
blurred ones, a damage that is ours.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np

import vlm_helpers as vh
from recipes.experiments import _grounding
from recipes.places import first_box

EACH = 150  # pictures, a question each
PLACES = ("right", "overlaps", "other", "elsewhere", "none")


def settings() -> list[dict]:
    return [
        {"pictures": pictures, "first_seed": seed}
        for seed in _grounding.FIRST_SEEDS
        for pictures in _grounding.PICTURES
    ]


def where(box: vh.boxes.Box | None, truth: vh.boxes.Box, others: list[vh.boxes.Box]) -> str:
    if box is None:
        return "none"
    if vh.boxes.iou(box, truth) >= 0.5:
        return "right"
    if any(vh.boxes.iou(box, other) >= 0.5 for other in others):
        return "other"
    return "overlaps" if vh.boxes.iou(box, truth) > 0 else "elsewhere"


def run(pictures: str, first_seed: int) -> dict:
    pairs = []
    for scene in _grounding.scenes(pictures, first_seed):
        if len(pairs) == EACH:
            break
        pairs += [(scene, question) for question in scene.questions(["locate"])]
    shown = _grounding.Shown([_grounding.seen(scene.image, pictures) for scene, _ in pairs])
    said, sure = zip(*shown.ask([(i, q.text) for i, (_, q) in enumerate(pairs)], first=4))
    boxes = [first_box(answer) for answer in said]
    truth = [first_box(q.answer) for _, q in pairs]

    places = []
    for (scene, _), box, true in zip(pairs, boxes, truth):
        if true:
            all_of_it = [*scene.objects, scene.sign] if scene.sign else scene.objects
            around = [vh.boxes.Box(*thing.box) for thing in all_of_it]
            places.append(where(box, true, [b for b in around if vh.boxes.iou(b, true) < 0.5]))

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
