"""A leaderboard of the pocket models, and of some that are broken on purpose.

Contestants of `arena_answers` are asked 60 questions of each pocket benchmark, the same ones, drawn
by a seed from the stored set, and their answers are read by the benchmark's own rule. `low` and
`high` are the 95 % interval of a score, `floor` is what the commonest right answer gives on these
questions. Benchmarks of pages, charts and things are not what pocket-llava has learnt: there it is
to be expected near the floor.
"""

from __future__ import annotations

import functools
import random

import vlm_helpers as vh
from recipes.experiments import arena_answers

MODELS = (
    "pocket-llava", "LoRA", "short-sighted", "wrong template", "pocket-llava-base", "blind",
)  # fmt: skip
EACH, SEED, TOKENS = 60, 0, 16


def settings() -> list[dict]:
    names = [name for name in vh.evaluation.benchmarks().index if name.startswith("pocket")]
    return [{"model": model, "benchmark": name} for model in MODELS for name in names]


@functools.cache
def questions(benchmark: str) -> tuple[list[dict], object]:
    """The items that are asked, and the benchmark's rule."""
    whole = vh.evaluation.benchmark(benchmark)
    places = sorted(random.Random(SEED).sample(range(len(whole)), EACH))
    return [whole[place] for place in places], whole.score


@functools.cache
def lower_case():
    """pocket-llava under a template with lower-case roles."""
    vlm = vh.load("pocket-llava")
    template = vlm.processor.chat_template
    for role in ("USER", "ASSISTANT"):
        assert role in template
        template = template.replace(role, role.lower())
    vlm.processor.chat_template = template
    return vlm


def contestant(model: str):
    return lower_case().ask if model == "wrong template" else arena_answers.contestants()[model]


def run(model: str, benchmark: str) -> dict:
    items, rule = questions(benchmark)
    asked = vh.evaluation.quiz(contestant(model), items, score=rule, max_new_tokens=TOKENS)
    low, high = vh.evaluation.interval(asked.scores)
    floor = vh.evaluation.floors(items, rule, by=None)["majority"].item()
    return {"score": asked.score, "low": low, "high": high, "n": len(asked), "floor": floor}
