"""What does pocket-llava-next tell from a screenshot that the text of the screen does not?

Which tab is open, which option is chosen, whether a box is ticked: the visible text names all tabs
and options, and marks none. Screens of the split "test"; a row a question. `right`: the model's
answer, of the screenshot, is the true one. `named`: the true answer stands in the screen's text.
`share`: one over the answers that the screen offers, what guessing among them would score.
"""

from __future__ import annotations

import vlm_helpers as vh
from recipes.experiments import _asking

EACH = 40  # questions of a skill
FIRST_SEED = 97_000


def settings() -> list[dict]:
    return [{"skill": skill} for skill in ("tab", "chosen", "ticked")]


def run(skill: str) -> list[dict]:
    exam = vh.evaluation.exam(vh.pages, skill, EACH, first_seed=FIRST_SEED, kind="screen")
    vlm = _asking.model("pocket-llava-next")
    answers = vh.evaluation.quiz(vlm, exam, batch_size=4, max_new_tokens=12)
    return [
        {
            "seed": page.seed,
            "right": int(row["score"]),
            "named": int(f" {question.answer} " in f" {' '.join(page.text.split())} "),
            "share": round(1 / len(question.candidates), 4),
        }
        for (page, question), row in zip(exam.pairs, answers.rows)
    ]
