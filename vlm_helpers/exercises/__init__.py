"""Exercises that check themselves: `check`, `hint` and `solution`, each by the exercise's name.

    vh.exercises.check("inference.greedy_loop", greedy)   # right, what is wrong, or not attempted
    vh.exercises.hint("inference.greedy_loop")
    vh.exercises.solution("inference.greedy_loop")

One module here for each notebook; its `EXERCISES` lists what that notebook asks. An exercise is
named "module.exercise". A new one needs nothing but its entry there: the tests walk the list.
"""

import importlib
import inspect
from typing import Any

from vlm_helpers._words import did_you_mean, whole_number
from vlm_helpers.exercises._engine import Exercise, Prose, Result, Source, judge

__all__ = ["Exercise", "Result", "check", "get", "hint", "names", "solution"]

# In reading order of the notebooks.
MODULES = (
    "welcome", "architecture", "inference", "prompt_templates", "grounding",
    "documents_charts_and_screens", "choosing_and_evaluating", "training", "fine_tuning",
    "preferences_and_rewards", "shipping",
)  # fmt: skip


def check(name: str, answer: Any) -> Result:
    """Check an answer to the exercise called `name`.

    Returns a `Result`, true if the answer is right. Its `status` is "right", "wrong" or
    "not attempted" (the answer is None, `...` or unchanged, or a function that does nothing yet);
    its `message` says what is wrong. A wrong answer never raises.

    Raises:
        ValueError: no exercise has that name; the message names the nearest, or all.
    """
    return judge(get(name), answer)


def hint(name: str, number: int = 1) -> str:
    """The `number`-th hint (from 1) to the exercise called `name`.

    Raises:
        ValueError: no exercise has that name, or it has no such hint.
    """
    hints = get(name).hints
    number = whole_number(f"the hint of {name}", number, 1, len(hints))
    more = f' (Next: `vh.exercises.hint("{name}", {number + 1})`)' if number < len(hints) else ""
    return Prose(f"Hint {number} of {len(hints)}: {hints[number - 1]}{more}")


def solution(name: str) -> str:
    """The source of a solution to the exercise called `name`: the very code that the tests run.

    Raises:
        ValueError: no exercise has that name.
    """
    return Source(inspect.getsource(get(name).solved))


def names() -> list[str]:
    """The names of all exercises, in reading order."""
    return [exercise.name for module in MODULES for exercise in _load(module)]


def get(name: str) -> Exercise:
    """The exercise called `name`: its title, difficulty, minutes, hints and solution.

    Raises:
        ValueError: no exercise has that name; the message names the nearest, or all.
    """
    module = str(name).partition(".")[0]
    for exercise in _load(module) if module in MODULES else ():
        if exercise.name == name:
            return exercise
    raise ValueError(f"There is no exercise {name!r}; {did_you_mean(name, names())}")


def _load(module: str) -> tuple[Exercise, ...]:
    return importlib.import_module(f"{__name__}.{module}").EXERCISES
