"""Words for people: what is wrong with an argument, which name was meant, how many there are.

For the package's own use. Every check gives back the value in Python's own type.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any


def did_you_mean(given: object, known: Iterable[str], most: int = 3) -> str:
    """The end of a sentence about an unknown name: the nearest of `known`, or else all of them.

        f"There is no split {name!r}; {did_you_mean(name, SPLITS)}"

    Upper and lower case are alike.
    """
    known = list(dict.fromkeys(known))
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(given).lower(), lower, n=most, cutoff=0.6)
    if near:
        return f"did you mean {listed([repr(lower[name]) for name in near], 'or')}?"
    return f"there {'is' if len(known) == 1 else 'are'} {listed([repr(name) for name in known])}."


def article(words: str) -> str:
    """The words with "a" or "an" before them."""
    vowel = words[0].lower() in "aeiou" and not words.startswith("uni")
    return f"{'an' if vowel else 'a'} {words}"


def choice(name: str, value: Any, known: Iterable[Any]) -> Any:
    """`value`, which must be one of `known`; `name` is the argument's. Raises `ValueError`."""
    known = tuple(known)
    if not any(value is one or (type(value) is type(one) and value == one) for one in known):
        raise ValueError(f"{name} must be {listed(map(repr, known), 'or')}, not {_shown(value)}.")
    return value


def several(name: str, value: Any) -> list:
    """`value` as a list: a text alone is a list of one. `name` is the argument's.

    What is in the list is not looked at. Raises `TypeError`.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a text or a list of texts, not {_shown(value)}.")
    return list(value)


def whole_number(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """`value` as an int: an integer of Python, numpy or torch, not True, nor 2.0.

    `name` is the argument's. Raises `ValueError` with the limits that were set, or, where any
    whole number would do, `TypeError`.
    """
    number = None
    if not _is_bool(value):
        try:
            number = value.__index__()
        except (AttributeError, TypeError):
            pass  # an array of several, for instance
    if number is None or (
        least is not None and not least <= number <= (number if most is None else most)
    ):
        limits = "" if least is None else f" from {least} {'up' if most is None else f'to {most}'}"
        kind = TypeError if least is None else ValueError
        raise kind(f"{name} must be a whole number{limits}, not {_shown(value)}.")
    return number


def number(name: str, value: Any, *, above: float | None = None, finite: bool = True) -> float:
    """`value` as a float: a number of Python, numpy or torch, with or without gradients.

    `name` is the argument's; `above` goes with `finite`. Raises `ValueError`, or, where any number
    would do (`finite=False`), `TypeError`.
    """
    found = as_number(value)
    if found is None or (
        finite and not (math.isfinite(found) and (above is None or found > above))
    ):
        kind, what = (ValueError, "a finite number") if finite else (TypeError, "a number")
        what = what if above is None else f"a number above {above:g}"
        raise kind(f"{name} must be {what}, not {_shown(value)}.")
    return found


def as_number(value: Any, *, truth: bool = False) -> float | None:
    """What `number` takes, as a float; None for everything else, such as text.

    `truth`: whether True and False, of any library too, are 1 and 0; else they are none.
    """
    if isinstance(value, str | bytes) or (_is_bool(value) and not truth):
        return None
    try:
        # A tensor's `item` says nothing of gradients, its `float` warns.
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"a value of type {type(value).__name__}"


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or "bool" in str(getattr(value, "dtype", ""))


def plain(text: str) -> str:
    """A text as answers are compared: without case, space around it, and a full stop at its end."""
    return text.strip().removesuffix(".").strip().casefold()


def count(number: int, noun: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(parts: Iterable[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    parts = list(parts)
    return f" {last} ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def first_line(error: BaseException) -> str:
    """The first line of an error's text as the end of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".!:") + "."


def within(sentence: str) -> str:
    """A sentence that goes on after a colon: its first letter is small."""
    word = sentence.split(" ", 1)[0]
    return sentence[:1].lower() + sentence[1:] if word[1:].islower() or len(word) == 1 else sentence
