"""pocket-mmbench: multiple choice in ten of MMBench's ability classes, half shapes, half pages.

MMBench: Liu et al. 2023 (arxiv.org/abs/2307.06281). A block holds one question of each class; five
are about the same scene, two about the same things.
"""

from __future__ import annotations

from typing import Any

from vlm_helpers import pages, scenes
from vlm_helpers._draws import Draws
from vlm_helpers._questions import LETTERS
from vlm_helpers.evaluation.pocket import _made as made

Asked = tuple[str, str, list[str]]  # question, right option, wrong options: the first ones count

FINE, ACROSS = "finegrained_perception (instance-level)", "finegrained_perception (cross-instance)"


# --- about a scene with a sign and some shapes ----------------------------------------------------


def attribute(scene, draws: Draws) -> Asked | None:
    skill, values = draws.pick((("color", tuple(scenes.COLORS)), ("shape", scenes.SHAPES)))
    question = made.asked(scene, draws, skill)
    if question is None:
        return None
    here = draws.shuffled([getattr(thing, skill) for thing in scene.objects])
    return question.text, question.answer, [*here[:2], *draws.shuffled(values)]


def comparison(scene, draws: Draws) -> Asked | None:
    question = made.asked(scene, draws, "compare", lambda question: question.objects)
    if question is None:
        return None
    names = [f"the {thing.name}" for thing in question.objects]
    wrong = names if question.answer in names else ["yes", "no"]
    return question.text, question.answer, wrong


def counting(scene, draws: Draws) -> Asked | None:
    question = made.asked(scene, draws, "count")
    if question is None:
        return None
    few = [str(n) for n in range(7)]
    near = sorted(draws.shuffled(few), key=lambda n: abs(int(n) - int(question.answer)) > 2)
    return question.text, question.answer, near


def side(scene, draws: Draws) -> Asked | None:
    question = made.asked(scene, draws, "relation")
    return question and (question.text, question.answer, list(question.candidates))


def sign(scene, draws: Draws) -> Asked | None:
    question = made.asked(scene, draws, scene.sign.kind)
    if question is None:
        return None
    wrong = draws.shuffled(scenes.WORDS)
    if scene.sign.kind == "number":
        wrong = made.numbers_near(draws, question.answer)
    return question.text, question.answer, wrong


# --- about pages ----------------------------------------------------------------------------------


def theme(page, draws: Draws) -> Asked | None:
    question = made.asked(page, draws, "theme")
    return question and (question.text, question.answer, draws.shuffled(question.candidates))


def property_of(page, draws: Draws) -> Asked | None:
    """Which thing here can fly, and the like: the one that can, among those that are there."""
    names = list(dict.fromkeys(page.fields["things"]))
    question = made.asked(page, draws, "knowledge", lambda q: q.answer in names and len(names) > 2)
    return question and (question.text, question.answer, draws.shuffled(names))


def chart(page, draws: Draws) -> Asked | None:
    question = made.asked(page, draws, "largest", lambda q: len(q.candidates) > 2)
    return question and (question.text, question.answer, draws.shuffled(question.candidates))


def eater(page, draws: Draws) -> Asked | None:
    """Of a food chain: what eats what, or what comes before it."""
    if page.fields["kind"] != "food chain":
        return None
    return _neighbor(page, draws, draws.pick(("leads_to", "comes_before")))


def next_step(page, draws: Draws) -> Asked | None:
    """Of steps and cycles: what comes next."""
    return _neighbor(page, draws, "leads_to") if page.fields["kind"] in ("steps", "cycle") else None


def _neighbor(page, draws: Draws, skill: str) -> Asked | None:
    question = made.asked(page, draws, skill)
    if question is None:
        return None
    return question.text, question.answer, made.other_labels(draws, page, question.text)


def pages_of(*kinds: str):
    return lambda draws: made.page(draws, kinds)


# What is drawn, and for each class of questions about it: MMBench's name, the class above, a maker.
DRAWN = (
    (
        lambda draws: made.scene(draws, sign=True, n_objects=3 + draws.below(3)),
        (
            ("attribute_recognition", FINE, attribute),
            ("attribute_comparison", ACROSS, comparison),
            ("object_localization", FINE, counting),
            ("spatial_relationship", ACROSS, side),
            ("ocr", FINE, sign),
        ),
    ),
    (
        pages_of("things"),
        (
            ("image_scene", "coarse_perception", theme),
            ("physical_property_reasoning", "attribute_reasoning", property_of),
        ),
    ),
    (
        pages_of("bars", "lines", "pie"),
        (("structuralized_imagetext_understanding", "logic_reasoning", chart),),
    ),
    (pages_of("diagram"), (("nature_relation", "relation_reasoning", eater),)),
    (pages_of("diagram"), (("future_prediction", "logic_reasoning", next_step),)),
)  # fmt: skip


def block(draws: Draws) -> list[dict[str, Any]]:
    rows = []
    for draw, classes in DRAWN:

        def attempt(draws: Draws, draw=draw, classes=classes):
            subject = draw(draws)
            found = []
            for category, above, make in classes:
                asked = make(subject, draws)
                if asked is None:
                    return None
                found.append(_row(subject, asked, category, above, draws))
            return found

        rows += made.first(draws, attempt)
    return rows


def _row(subject, asked: Asked, category: str, above: str, draws: Draws) -> dict[str, Any]:
    question, right, wrong = asked
    options = made.options(draws, right, wrong)
    lettered = dict(zip(LETTERS, [*options, None, None]))
    return {
        "question": question,
        "hint": None,
        "answer": LETTERS[options.index(right)],
        **lettered,
        "category": category,
        "image": subject,
        "source": "pages" if isinstance(subject, pages.Page) else "scenes",
        "L2-category": above,
        "comment": None,
        "split": "dev",
    }
