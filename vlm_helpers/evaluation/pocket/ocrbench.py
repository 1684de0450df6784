"""pocket-ocrbench: reading signs, screens and documents, with lists of accepted answers.

OCRBench: Liu et al. 2023 (arxiv.org/abs/2305.07895). A block holds one question of each of six of
its types; their names are OCRBench's own, which its tools count by.
"""

from __future__ import annotations

import re
from typing import Any

from vlm_helpers._draws import Draws
from vlm_helpers.evaluation.pocket import _made as made

ON_SCREENS = ("button", "chosen", "selected", "tab", "entry")
LEAST = 2  # characters: a single one is found in nearly every answer


def block(draws: Draws) -> list[dict[str, Any]]:
    rows = [
        made.first(draws, lambda draws: _sign(draws, "word", "Regular Text Recognition")),
        made.first(draws, lambda draws: _sign(draws, "number", "Digit String Recognition")),
        made.first(draws, _code),
        made.first(draws, lambda d: _asked(d, "screen", ON_SCREENS, "Scene Text-centric VQA")),
        made.first(draws, lambda d: _asked(d, ("form", "letter"), ("field",), "Doc-oriented VQA")),
        made.first(
            draws,
            lambda d: _asked(d, ("receipt", "invoice"), ("field",), "Key Information Extraction"),
        ),
    ]
    return rows


def _sign(draws: Draws, kind: str, type_: str) -> dict[str, Any] | None:
    scene = made.scene(draws, sign=True)
    if scene.sign.kind != kind or len(scene.sign.text) < LEAST:
        return None
    question = made.asked(scene, draws, kind)
    return question and _row(scene, question, type_)


def _code(draws: Draws) -> dict[str, Any] | None:
    """A code that no word and no sum gives away."""
    page = made.page(draws, ("receipt", "invoice"))
    found = page.fields.get("number", "")
    question = made.asked(page, draws, "field", lambda question: question.answer == found)
    return question and _row(page, question, "Non-Semantic Text Recognition")


def _asked(draws: Draws, kinds, skills, type_: str) -> dict[str, Any] | None:
    page = made.page(draws, kinds)
    question = made.asked(page, draws, draws.pick(skills), lambda q: len(q.answer) >= LEAST)
    return question and _row(page, question, type_)


def _row(subject, question, type_: str) -> dict[str, Any]:
    return {
        "dataset": f"pages, {subject.kind}" if hasattr(subject, "kind") else "scenes",
        "question": question.text,
        "question_type": type_,
        "answer": accepted(question.answer),
        "image": subject,
    }


def accepted(answer: str) -> list[str]:
    """As it is printed; an amount also without its currency."""
    bare = re.fullmatch(r"(-?)(?:[A-Z]{3}|[$€£])? ?(\d+[.,]\d\d)(?: ?(?:[A-Z]{3}|[$€£]))?", answer)
    return list(dict.fromkeys([answer, bare[1] + bare[2]] if bare else [answer]))
