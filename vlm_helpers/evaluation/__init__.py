"""Asking a model a whole set of questions, and saying how much the score means.

    items = vh.evaluation.exam(vh.scenes, ["color", "count"], 100)
    run = vh.evaluation.quiz(vlm, items)
    run.by("skill")                              # share right, its interval, how many were asked
    vh.evaluation.floors(items)                  # what nobody needs a model for
    vh.evaluation.blind(vlm, items).by("skill")  # the same questions about grey pictures
    vh.evaluation.bradley_terry(votes).table     # ratings from votes on pairs of answers
    vh.evaluation.extract("So it is (B).", ["red", "blue"], rule="mmmu")  # as a benchmark reads it

    exam = vh.evaluation.benchmark("pocket-mmbench", seed=7)  # a benchmark that nobody has seen
    vh.evaluation.quiz(vlm, exam, score=exam.score, out="runs/mmbench.jsonl")

An item is a dict: `question`, `answer`, a picture in `image` or several in `images`, and what else
it may have: `id`, `skill`, `candidates`, and `options` where the answer is a letter. A row of a
`datasets` data set with these columns is one.
"""

from vlm_helpers.evaluation._arena import Arena, Pair, votes
from vlm_helpers.evaluation._benchmarks import Benchmark, benchmark, benchmarks
from vlm_helpers.evaluation._circular import Circular, all_right, circular_eval, rotations
from vlm_helpers.evaluation._exam import Exam, exam
from vlm_helpers.evaluation._experiments import experiment
from vlm_helpers.evaluation._floors import floors
from vlm_helpers.evaluation._pope import pope
from vlm_helpers.evaluation._quiz import Run, blind, exact, quiz
from vlm_helpers.evaluation._ratings import VOTES, Difference, Ratings, bradley_terry
from vlm_helpers.evaluation._statistics import (
    Comparison,
    GainAndLeakage,
    gain_and_leakage,
    interval,
    paired,
)
from vlm_helpers.evaluation.rules import (
    RULES,
    JsonAnswer,
    Letter,
    Rule,
    anls,
    by_rule,
    cer,
    cider,
    extract,
    json_answer,
    mathvista,
    mmmu_open,
    ocrbench,
    read_json,
    relaxed_accuracy,
    vqa_accuracy,
    wer,
    written_number,
    yes_or_no,
)

__all__ = [
    "RULES",
    "VOTES",
    "Arena",
    "Benchmark",
    "Circular",
    "Comparison",
    "Difference",
    "Exam",
    "GainAndLeakage",
    "JsonAnswer",
    "Letter",
    "Pair",
    "Ratings",
    "Rule",
    "Run",
    "all_right",
    "anls",
    "benchmark",
    "benchmarks",
    "blind",
    "bradley_terry",
    "by_rule",
    "cer",
    "cider",
    "circular_eval",
    "exact",
    "exam",
    "experiment",
    "extract",
    "floors",
    "gain_and_leakage",
    "interval",
    "json_answer",
    "mathvista",
    "mmmu_open",
    "ocrbench",
    "paired",
    "pope",
    "quiz",
    "read_json",
    "relaxed_accuracy",
    "rotations",
    "votes",
    "vqa_accuracy",
    "wer",
    "written_number",
    "yes_or_no",
]
