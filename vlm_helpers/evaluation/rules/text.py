"""How far an answer's text is from the right one: ANLS, and errors by character and by word.

Sources: ANLS, `api/metrics.py` of lmms-eval 0.7.3 (MIT), which goes back by way of Qwen-VL to the
script of the Robust Reading Competition (ST-VQA, Biten et al. 2019, arxiv.org/abs/1905.13648;
DocVQA); error rates, jiwer 4.0.0 (Apache-2.0) with its default transformations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vlm_helpers._words import number
from vlm_helpers.evaluation.rules._given import text, texts, truths


def distance(a: Sequence, b: Sequence) -> int:
    """Levenshtein's: how many elements must be put in, left out or changed."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def anls(answer: str, truth: Any, threshold: float = 0.5) -> float:
    """The similarity to the nearest truth, from 0 to 1; below the threshold it is 0.

    Edits are counted whatever the case and the spaces, but over the longer text with its spaces:
    many of them in the answer make it better.
    """
    answer, threshold = text("The answer", answer), number("threshold", threshold)
    near = 0.0
    for one in truths(truth):
        edits = distance(_plain(one), _plain(answer))
        near = max(near, 1 - edits / (max(len(one.upper()), len(answer.upper())) or 1))
    return near if near >= threshold else 0.0


def _plain(one: str) -> str:
    return " ".join(one.strip().lower().split())


def cer(answers: Any, right: Any) -> float:
    """The character error rate: edits over the characters of the truths, of all answers together.

    0 is best, and it can exceed 1. Case counts, spaces at the ends do not.

    Args:
        answers, right: a text each, or lists of texts of the same length.
    """
    return _error_rate(answers, right, str.strip)


def wer(answers: Any, right: Any) -> float:
    """The word error rate: as `cer`, in words, which are what stands between spaces."""
    return _error_rate(answers, right, _words)


def _words(one: str) -> list[str]:
    # Only spaces are joined and split at; a line break belongs to a word.
    return [word for word in re.sub(r"\s\s+", " ", one).strip().split(" ") if word]


def _error_rate(answers, right, units) -> float:
    answers, right = (
        [one] if isinstance(one, str) else texts(name, one)
        for name, one in (("answers", answers), ("right", right))
    )
    if len(answers) != len(right):
        raise ValueError(f"There are {len(answers)} answers to {len(right)} right ones.")
    pairs = [(units(answer), units(one)) for answer, one in zip(answers, right)]
    edits = sum(distance(answer, one) for answer, one in pairs)
    total = sum(len(one) for _, one in pairs)
    return edits / total if total else float(edits)
