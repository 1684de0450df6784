"""MMMU's rules, and MMMU-Pro's and lmms-eval's variants of them.

Sources: `mmmu/utils/eval_utils.py` and `mmmu-pro/evaluate.py` of github.com/MMMU-Benchmark/MMMU at
bb0b95a (May 2025, Apache-2.0); `tasks/_task_utils/mmmu_mcq_utils.py` of lmms-eval 0.7.3 (MIT).

A letter is sought in one form after the other; the first form that is found decides, and of several
letters in it the one whose last mention stands last. Only if no form is there and the answer has
more than five words is an option's own text sought. None means that the rule draws a letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vlm_helpers.evaluation.rules._given import text, truths

BRACKETS, SPACES, BEFORE_SPACE, BEFORE_STOP = "({})", " {} ", "{} ", "{}."


def mmmu(answer: str, options: Mapping[str, str]) -> str | None:
    """Forms: `(A)`, then ` A `. "A. James Irvine" has neither, nor has "B" with a line break."""
    return _last_mention(answer, options, (BRACKETS, SPACES))


def lmms_eval(answer: str, options: Mapping[str, str]) -> str | None:
    """Forms: `(A)`, `A `, `A.`. "A " is also found in "DNA is"; but of several letters the last is
    told by ` A `, so that where none stands alone it is the first in the alphabet.
    """
    return _last_mention(answer, options, (BRACKETS, BEFORE_SPACE, BEFORE_STOP))


def mmmu_pro(answer: str, options: Mapping[str, str]) -> str | None:
    """The only letter of an option after the last "Answer:", else as lmms-eval does.

    Any capital counts, within words too: "Answer: Because" is B.
    """
    before, mark, end = answer.rpartition("Answer:")
    letters = [letter for letter in options if letter in end]
    return letters[0] if mark and len(letters) == 1 else lmms_eval(answer, options)


def _last_mention(answer: str, options: Mapping[str, str], forms: Sequence[str]) -> str | None:
    for mark in ",.!?;:'":  # one after the other: of "B.'" the stop stays
        answer = answer.strip(mark)
    answer = f" {answer} "
    for form in forms:
        found = [letter for letter in options if form.format(letter) in answer]
        if found:
            told_by = BRACKETS if form == BRACKETS else SPACES
            return max(found, key=lambda letter: answer.rfind(told_by.format(letter)))
    if len(answer.split()) <= 5:
        return None
    answer = answer.lower()
    found = [letter for letter in options if options[letter].lower() in answer]
    return max(found, key=lambda letter: answer.rfind(options[letter].lower()), default=None)


KEYS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
NUMBERS = (
    r"-?\b\d{1,3}(?:,\d{3})+\b",  # 1,500
    r"-?\d+(?:\.\d+)?[eE][+-]?\d+",  # 1.5e3
    r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
)


def mmmu_open(answer: str, truth: Any) -> bool:
    """MMMU's rule for open questions: a number equal to two decimals, or the truth within a text.

    What counts of the answer is what follows its key words (" is ", "so " and their like, within
    words too), line by line. Its sentences are split where a capital follows, after everything was
    put in small letters: never.
    """
    right = [part for one in truths(truth) for part in _normal(one)]
    parts = _key_parts(text("The answer", answer))
    parts += [number for part in parts for form in NUMBERS for number in re.findall(form, part)]
    said = [normal for part in parts for normal in _normal(part)]
    return any(
        one in right if isinstance(one, float) else
        any(isinstance(other, str) and other in one for other in right)
        for one in said
    )  # fmt: skip


def _key_parts(answer: str) -> list[str]:
    answer = answer.strip().strip(".").lower()
    lines, found = answer.split("\n"), []
    for number, line in enumerate(lines, 1):
        keys = (*KEYS, "=") if number == len(lines) else KEYS
        ends = [line.split(key)[-1].strip() for key in keys if key in line]
        # An empty end gives way to whatever comes next, as the shortest otherwise does to none.
        shortest = ""
        for end in ends:
            if not shortest or len(end) < len(shortest):
                shortest = end
        if shortest and shortest not in (":", ",", ".", "!", "?", ";", "'"):
            found.append(shortest)
    return found or [answer]


def _normal(part: str) -> list[str | float]:
    """A number to two decimals, or the text in small letters; a single character has a space."""
    part = part.strip()
    try:
        return [round(float(part.replace(",", "")), 2)]
    except ValueError:
        part = part.lower()
        return [f" {part}", f"{part} "] if len(part) == 1 else [part]
