"""pocket-ai2d: multiple choice about what the arrows of a diagram say.

AI2D: Kembhavi et al. 2016 (arxiv.org/abs/1603.07396). A block holds two questions about a diagram;
where it has too few boxes for four options, labels of another one are among them.
"""

from __future__ import annotations

from typing import Any

from vlm_helpers._draws import Draws
from vlm_helpers.evaluation.pocket import _made as made

SKILLS = ("leads_to", "comes_before", "two_steps", "branch", "start_or_end", "count")


def block(draws: Draws) -> list[dict[str, Any]]:
    return made.first(draws, _about_diagram)


def _about_diagram(draws: Draws) -> list[dict[str, Any]] | None:
    page = made.page(draws, "diagram")
    rows: list[dict[str, Any]] = []
    for skill in draws.shuffled(SKILLS):
        question = made.asked(page, draws, skill)
        if question is None:
            continue
        if skill == "count":
            wrong = made.numbers_near(draws, question.answer)
        else:
            wrong = made.other_labels(draws, page, question.text)
        options = made.options(draws, question.answer, wrong)
        right = str(options.index(question.answer))
        rows.append({"question": question.text, "options": options, "answer": right, "image": page})
        if len(rows) == 2:
            return rows
    return None
