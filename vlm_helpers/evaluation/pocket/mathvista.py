"""pocket-mathvista: reading charts, counting, and adding up, by free answer or multiple choice.

MathVista: Lu et al. 2023 (arxiv.org/abs/2310.02255). A block holds four questions about a chart,
one about shapes, one about a receipt.
"""

from __future__ import annotations

from typing import Any

from vlm_helpers._draws import Draws
from vlm_helpers.evaluation._prompt import with_options
from vlm_helpers.evaluation.pocket import _made as made

CONTEXTS = {"bars": "bar chart", "lines": "line plot", "receipt": "document image"}
CHART = ("value", "difference", "largest", "compare")


def block(draws: Draws) -> list[dict[str, Any]]:
    rows = made.first(draws, _about_chart)
    rows.append(made.first(draws, _about_shapes))
    rows.append(_about_receipt(draws))
    return rows


def _about_chart(draws: Draws) -> list[dict[str, Any]] | None:
    page = made.page(draws, ("bars", "lines"))
    rows = []
    for skill in CHART:
        question = made.asked(page, draws, skill)
        if question is None:
            return None
        right, choices, skills = question.answer, None, ["statistical reasoning"]
        if skill == "largest":
            choices = made.options(draws, right, draws.shuffled(question.candidates))
        elif skill == "compare":
            choices = ["Yes", "No"]
            right = right.capitalize()
        elif skill == "difference":
            skills.append("arithmetic reasoning")
        rows.append(_row(page, question.text, right, choices, skills))
    return rows


def _about_shapes(draws: Draws) -> dict[str, Any] | None:
    scene = made.scene(draws, n_objects=4 + draws.below(3), sign=False)
    question = made.asked(scene, draws, "count")
    return question and _row(scene, question.text, question.answer, None, ["numeric commonsense"])


def _about_receipt(draws: Draws) -> dict[str, Any]:
    page = made.page(draws, "receipt")
    prices = [item["price"] for item in page.fields["items"]]
    total = str(sum(map(made.cents, prices)) / 100)  # as MathVista's rule writes it: 12.5, 3.0
    unit = next((sign for sign in "$€£" if sign in page.fields["total"]), None)
    text = "What do the prices of all items come to together?"
    return _row(page, text, total, None, ["arithmetic reasoning"], unit, precision=2.0)


def _row(subject, question, right, choices, skills, unit=None, precision=1.0) -> dict[str, Any]:
    about_scene = not hasattr(subject, "kind")
    if unit:
        question = f"{question} (Unit: {unit})"
    width, height = subject.image.size if about_scene else subject.size
    kind = "text" if choices else "float" if "." in right else "integer"
    return {
        "question": question,
        "decoded_image": subject,
        "choices": choices,
        "unit": unit,
        "precision": precision if kind == "float" else None,
        "answer": right,
        "question_type": "multi_choice" if choices else "free_form",
        "answer_type": kind,
        "metadata": {
            "category": "math-targeted-vqa",
            "context": "synthetic scene" if about_scene else CONTEXTS[subject.kind],
            "grade": "daily life",
            "img_height": height,
            "img_width": width,
            "language": "english",
            "skills": skills,
            "source": "scenes" if about_scene else f"pages, {subject.kind}",
            "split": "testmini",
            "task": "visual question answering" if about_scene else "figure question answering",
        },
        "query": with_options(question, choices) if choices else question,
    }
