"""Where do pocket-llava-next's answers about bar charts lie, if they are wrong?

The value of a bar, asked about charts of the split "test", then about grey pictures of the same
size. `truth` and `said` are shares of the highest number on the axis (`said` is empty where the
answer is no number), so that charts of other axes can be compared; `others` are the values of all
other bars, in the same measure. `printed` says whether values stand at the bars, `right` whether
the answer is right: within 5 %. Three sets of other charts.
"""

from __future__ import annotations

import vlm_helpers as vh
from recipes.experiments import _asking

EACH = 30  # questions in a set
SETS = (80_000, 81_000, 82_000)  # first seeds
number = vh.evaluation.written_number


def settings() -> list[dict]:
    return [{"picture": p, "first_seed": seed} for p in ("page", "grey") for seed in SETS]


def score(answer: str, item: dict) -> float:
    return vh.evaluation.relaxed_accuracy(answer, item["answer"], read=number)


def highest(page) -> float:
    """The highest number on the axis."""
    return max(number(element.text) for element in page.elements if element.role == "tick")


def run(picture: str, first_seed: int) -> list[dict]:
    exam = vh.evaluation.exam(vh.pages, "value", EACH, first_seed=first_seed, kind="bars")
    vlm = _asking.model("pocket-llava-next")
    ask = vh.evaluation.blind if picture == "grey" else vh.evaluation.quiz
    answers = ask(vlm, exam, score=score, batch_size=6, max_new_tokens=16)
    rows = []
    for (page, question), one in zip(exam.pairs, answers.rows):
        top, said = highest(page), number(one["answer"])
        others = list(question.candidates)
        others.remove(question.answer)
        rows.append({
            "seed": page.seed, "right": int(one["score"]),
            "printed": int(any(element.role == "value" for element in page.elements)),
            "truth": round(float(question.answer) / top, 4),
            "said": None if said is None else round(said / top, 4),
            "others": " ".join(f"{float(value) / top:.4g}" for value in others),
        })  # fmt: skip
    return rows
