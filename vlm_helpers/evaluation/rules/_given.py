"""What the rules are given, checked: texts, options with their letters, right answers."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vlm_helpers._words import did_you_mean


def text(name: str, value: Any) -> str:
    """`value`, which must be a text; `name` begins the sentence that says so."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}: it must be text.")
    return value


def texts(name: str, values: Any) -> list[str]:
    """`values`, which must be a list of at least one text, as a list."""
    values = values.tolist() if hasattr(values, "tolist") else values  # a column of Parquet's
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise TypeError(f"{name} is of type {type(values).__name__}: it must be a list of texts.")
    if not values:
        raise ValueError(f"{name} is an empty list: it needs at least one text.")
    return [text(f"{name}[{n}]", value) for n, value in enumerate(values)]


def lettered(options: Any) -> dict[str, str]:
    """The options by letter: of a list, A is the first; of a mapping, its keys are the letters."""
    if isinstance(options, Mapping):
        letters = list(options)
        if not all(isinstance(name, str) and name in LETTERS for name in letters):
            raise ValueError(f"The options' letters are capitals from A to Z, not {letters}.")
        return dict(zip(letters, texts("options", list(options.values()))))
    if isinstance(options, str):
        raise TypeError(
            "options is a text: it must be a list of texts (MMMU's column becomes one with "
            "ast.literal_eval)."
        )
    values = texts("options", options)
    if len(values) > len(LETTERS):
        raise ValueError(f"There are {len(values)} options, and letters for {len(LETTERS)} only.")
    return dict(zip(LETTERS, values))


LETTERS = tuple(string.ascii_uppercase)


def truths(truth: Any) -> list[str]:
    """The right answers in a text, a list of texts, or an item with `answers` or `answer`."""
    if isinstance(truth, Mapping):
        several = truth.get("answers")
        truth = truth.get("answer") if several is None else several
    if truth is None:
        raise TypeError("The right answer is missing: give a text, or a list of texts.")
    return [truth] if isinstance(truth, str) else texts("truth", truth)


def known(kind: str, rule: Any, rules: Iterable[str]) -> str:
    """`rule`, which must be one of `rules`."""
    rules = list(rules)
    if rule not in rules:
        raise ValueError(f"There is no {kind} {rule!r}; {did_you_mean(rule, rules)}")
    return rule
