"""A score that says what it took from an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A score for `quiz`, with a name, which keeps what it took from each answer.

    Attributes:
        name: what files and tables call it.
        judge: `(answer, item) -> (taken, score)`: what it took from the answer (a letter, yes or
            no, a number as it is compared; None where it found nothing), and how right that is.
    """

    name: str
    judge: Callable[[str, Mapping[str, Any]], tuple[str | None, float]]

    def __call__(self, answer: str, item: Mapping[str, Any]) -> float:
        """The score alone."""
        return self.judge(answer, item)[1]
