"""What does a pocket model score on each pocket benchmark, and what of it without looking?

Every stored item is asked as it is, about grey pictures of the same size (`blind`), and as text
alone (`text`, as MMStar asks); each is scored by the benchmark's own rule. The floors look at
nothing: the commonest right answer of the skill (`majority`), and a random one of the candidates
(`candidate`; empty where answers are free, of all or of some). `circular`, of pocket-mmbench only:
how many are right in every rotation of their options. Each line is a skill of a benchmark, and
holds counts: every answer is right or wrong.

MMMU's rule draws a letter where it finds none; here that depends on the answer alone, so there is
one seed: decoding is greedy, and the items are stored. Other items of the same benchmark are a seed
away (`vh.evaluation.benchmark(name, seed=1)`).
"""

from __future__ import annotations

from collections import defaultdict

import vlm_helpers as vh

MODELS = ("pocket-llava", "pocket-llava-next")
MOST = {"max_new_tokens": 24}


def settings():
    names = vh.evaluation.benchmarks().index
    return [{"model": model, "benchmark": name} for model in MODELS for name in names]


def run(model: str, benchmark: str):
    vlm = vh.load(model, device="cpu", dtype="float32")
    exam = vh.evaluation.benchmark(benchmark)
    quiz = vh.evaluation.quiz
    runs = {
        "right": quiz(vlm, exam, score=exam.score, **MOST),
        "blind": vh.evaluation.blind(vlm, exam, score=exam.score, **MOST),
        "text": quiz(vlm, exam.without_pictures(), score=exam.score, **MOST),
    }
    if benchmark == "pocket-mmbench":
        runs["circular"] = vh.evaluation.circular_eval(vlm, exam, rule=exam.score.name, **MOST).run
    floors = vh.evaluation.floors(exam, exam.score)
    tables = {name: one.by() for name, one in runs.items()}
    free = defaultdict(bool)
    for item in exam.without_pictures():
        free[item["skill"]] |= not item.get("candidates")
    rows = []
    for skill in floors.index:
        n = int(floors.loc[skill, "n"])
        candidate = floors.loc[skill, "any candidate"] * n
        rows.append(
            {
                "skill": skill,
                "n": n,
                **{name: round(table.loc[skill, "score"] * n) for name, table in tables.items()},
                "majority": round(floors.loc[skill, "majority"] * n),
                "candidate": None if free[skill] else round(candidate, 1),
            }
        )
    return rows
