"""MathVista: what was extracted becomes an option or a number of the right kind.

Source: `evaluation/extract_answer.py` and `evaluation/calculate_score.py` of
github.com/lupantech/MathVista at 53d5258 (September 2025, CC BY-SA 4.0). There a language model
takes the answer out of the response where the quick rules do not; here the response itself
stands for what it would give.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vlm_helpers._words import choice, whole_number
from vlm_helpers.evaluation.rules._given import text, truths
from vlm_helpers.evaluation.rules.text import distance


def option(answer: str, options: Mapping[str, str]) -> str:
    """The letter in brackets, the letter alone, or else the option nearest by Levenshtein.

    So there is always one: of an empty answer, the shortest option, and of "b" whatever is short.
    """
    if answer not in options.values():
        answer = _quick(answer)
    answer = answer.strip()
    brackets = re.search(r"\(([a-zA-Z])\)", answer)
    if brackets:
        answer = brackets[1].upper()
    if answer in options:
        return answer
    return min(options, key=lambda letter: distance(answer, options[letter]))


def mathvista(answer: str, truth: Any, kind: str = "integer", precision: int = 1) -> bool:
    """Whether a free answer is the right number or list, compared as text.

    An integer is cut, not rounded ("2.9" is 2); a float is rounded to `precision` decimals; a list
    must be written the same. A unit, a thousands separator or a full stop makes a number wrong.

    Args:
        kind: "integer", "float" or "list", the data set's `answer_type`.
    """
    return free(answer, kind, precision) in truths(truth)


def free(answer: str, kind: str, precision: int = 1) -> str | None:
    """The text that a free answer is compared as; None where it is no number of that kind."""
    kind = choice("kind", kind, ("integer", "float", "list"))
    precision = whole_number("precision", precision, least=0)
    said = _quick(text("The answer", answer))
    try:
        if kind == "integer":
            return str(int(float(said)))
        return str(round(float(said), precision)) if kind == "float" else said
    except (ValueError, OverflowError):
        return None


def _quick(answer: str) -> str:
    found = re.search(r'The answer is "(.*)"\.', answer)
    return found[1] if found else answer
