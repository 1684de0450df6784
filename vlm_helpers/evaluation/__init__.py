"""Asking a model a whole set of questions, and saying how much the score means.

    items = vh.evaluation.exam(vh.scenes, ["color", "count"], 100)
    run = vh.evaluation.quiz(vlm, items)
    run.by("skill")                              # share right, its interval, how many were asked
    vh.evaluation.floors(items)                  # what nobody needs a model for
    vh.evaluation.blind(vlm, items).by("skill")  # the same questions about grey pictures

An item is a dict: `question`, `answer`, a picture in `image` or several in `images`, and what else
it may have: `id`, `skill`, `candidates`. A row of a `datasets` data set with these columns is one.
"""

from vlm_helpers.evaluation._exam import Exam, exam
from vlm_helpers.evaluation._experiments import experiment
from vlm_helpers.evaluation._floors import floors
from vlm_helpers.evaluation._quiz import Run, blind, exact, quiz
from vlm_helpers.evaluation._statistics import Comparison, interval, paired

__all__ = [
    "Comparison",
    "Exam",
    "Run",
    "blind",
    "exact",
    "exam",
    "experiment",
    "floors",
    "interval",
    "paired",
    "quiz",
]
