"""How a multiple-choice question is put: as the pocket models learnt it."""

from __future__ import annotations

from collections.abc import Iterable

from vlm_helpers.evaluation.rules._given import LETTERS

REQUEST = "Answer with the letter."


def option_lines(options: Iterable[str]) -> str:
    """A line for each option: "A. red"."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options))


def with_options(question: str, options: Iterable[str], request: str = REQUEST) -> str:
    """The question, its options, and the request, each on lines of its own."""
    return "\n".join(filter(None, (question, option_lines(options), request)))
