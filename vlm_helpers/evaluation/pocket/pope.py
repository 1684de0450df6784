"""pocket-pope: is this there? Half of it is, in three settings of what is not.

POPE: Li et al. 2023 (arxiv.org/abs/2305.10355). A block holds three pairs of questions about a
picture, one a setting, each pair a yes and a no; blocks with shapes and with things take turns, as
the draws will. Of things, "random" asks for any that is not there, "popular" for one of the
commonest of all pictures, "adversarial" for one that mostly stands with those that are. Among
shapes none is commoner than others, as all are drawn alike: "popular" takes the commonest shape of
the picture in another colour, "adversarial" a colour and a shape that are both there, apart.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from vlm_helpers import scenes
from vlm_helpers._draws import Draws
from vlm_helpers._words import article
from vlm_helpers.evaluation.pocket import _made as made

SETTINGS = ("random", "popular", "adversarial")


def block(draws: Draws) -> list[dict[str, Any]]:
    about = _about_shapes if draws.chance(0.5) else _about_things
    return made.first(draws, about)


def _about_things(draws: Draws) -> list[dict[str, Any]] | None:
    page, rows = made.page(draws, "things"), []
    for setting in SETTINGS:
        for answer in ("yes", "no"):
            asked = [row["question"] for row in rows]
            question = made.asked(
                page, draws, f"exists_{setting}",
                lambda q, answer=answer, asked=asked: q.answer == answer and q.text not in asked,
            )  # fmt: skip
            if question is None:
                return None
            rows.append(_row(page, question.text, answer, setting))
    return rows


def _about_shapes(draws: Draws) -> list[dict[str, Any]] | None:
    scene = made.scene(draws, n_objects=3 + draws.below(3))
    here = {(thing.color, thing.shape) for thing in scene.objects}
    absent = [
        (color, shape)
        for shape in scenes.SHAPES
        for color in scenes.COLORS
        if (color, shape) not in here and (shape, color) not in scenes.UNSEEN_PAIRS
    ]
    commonest = Counter(thing.shape for thing in scene.objects).most_common(1)[0][0]
    colors, shapes = zip(*here)
    wrong = {
        "random": absent,
        "popular": [pair for pair in absent if pair[1] == commonest],
        "adversarial": [pair for pair in absent if pair[0] in colors and pair[1] in shapes],
    }
    rows, asked = [], set()
    there = draws.shuffled([(thing.color, thing.shape) for thing in scene.objects])
    for number, setting in enumerate(SETTINGS):
        for answer, pairs in (("yes", there[number:]), ("no", draws.shuffled(wrong[setting]))):
            pair = next((pair for pair in pairs if pair not in asked), None)
            if pair is None:
                return None
            asked.add(pair)
            name = article(" ".join(pair))
            rows.append(_row(scene, f"Is there {name} in the picture?", answer, setting))
    return rows


def _row(subject, question: str, answer: str, setting: str) -> dict[str, Any]:
    return {
        "question": question,
        "answer": answer,
        "image_source": subject.key,
        "image": subject,
        "category": setting,
    }
