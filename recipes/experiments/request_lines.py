"""What the line that asks for a letter does to a score, and where the letters then fall.

pocket-llava is asked questions with four options, under the request that it was trained on, under
two that benchmarks use, and under none but the line break before it. Each question is asked in all
four turns (CircularEval), so that the right answer stands equally often at each letter. Letters are
read by VLMEvalKit's rule. Blind: the same with grey pictures. The model is not trained here, so
there is no seed to vary but that of the pictures: three sets that share none.
"""

from __future__ import annotations

import functools
import itertools

import vlm_helpers as vh

REQUESTS = {
    "its own": "Answer with the letter.",
    "VLMEvalKit, Qwen": "Answer with the option letter only.",
    "lmms-eval, LLaVA": "Answer with the option's letter from the given choices directly.",
    "a line break": "",
}
QUESTIONS = 24  # in a set, each asked four times
FIRST_SEEDS = (50_000, 60_000, 70_000)


def settings() -> list[dict]:
    return [
        {"request": name, "first_seed": seed, "blind": blind}
        for blind in (False, True)
        for name in REQUESTS
        for seed in FIRST_SEEDS
        if not blind or name in ("its own", "a line break")
    ]


def questions(first_seed: int, n: int, request: str) -> list[dict]:
    """The first `n` multiple-choice questions with four options, and `request` after them."""
    exam = vh.evaluation.exam(vh.scenes, "choice", 3 * n, first_seed=first_seed)
    items = itertools.islice((item for item in exam if len(item["options"]) == 4), n)
    own = "\n" + REQUESTS["its own"]
    return [
        {**item, "question": item["question"].removesuffix(own) + "\n" + request} for item in items
    ]


@functools.cache
def _model():
    return vh.load()


def run(request: str, first_seed: int, blind: bool) -> dict:
    items = questions(first_seed, QUESTIONS, REQUESTS[request])
    circular = vh.evaluation.circular_eval(_model(), items, grey=blind)
    letters = circular.by_letter()
    return {
        "turns": len(circular.turns),
        "turns right": int(circular.turns.scores.sum()),
        "questions": len(circular.run),
        "all right": int(circular.run.scores.sum()),
        **{f"right at {letter}": round(letters.loc[letter, "right"], 4) for letter in "ABCD"},
        **{f"taken {letter}": round(letters.loc[letter, "taken"], 4) for letter in "ABCD"},
    }
