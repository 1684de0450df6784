"""Pairs of answers before training: what is wrong with one, and what all of them teach together."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vlm_helpers._words import as_number, count, first_line, plain, within
from vlm_helpers.collators import RowError
from vlm_helpers.conversations import answer, marks, read_pair
from vlm_helpers.evaluation import interval

ONE_SIDED = 0.6  # a rule that chooses right more often than this, beyond chance, is learnt
SHORT = 3  # words that an answer may have whose frequency is counted
FEWEST = 10  # pairs that are enough to speak of a set

Judge = Callable[[dict[str, Any], str], float]


@dataclass(frozen=True)
class Pair:
    """What is kept of a row of preferences.

    Attributes:
        row: its number.
        prompt: a digest of its prompt and pictures, as the model gets them.
        answers: (chosen, rejected), as they are compared: `plain`.
        tokens: how many tokens each has, with its end token.
        judged: whether a judge or a truth says that the chosen one is better; None: equally good.
        known: whether there was a judge or a truth.
        alike: how little the two differ, in words; "" where they differ well.
        echo: whether an answer contains the question.
        pictures: how many.
    """

    row: int
    prompt: str
    answers: tuple[str, str]
    tokens: tuple[int, int]
    judged: bool | None
    known: bool
    alike: str
    echo: bool
    pictures: int


def pair(number: int, row: dict, batch: dict, collator: Any, ends: set[int], judge: Judge | None):
    """The `Pair` of a row that was collated alone.

    `ends`: the tokens that can end an answer. Raises `RowError` for a pair that teaches nothing.
    """
    ids, learnt = batch["input_ids"], batch["completion_mask"].bool()
    chosen, rejected = ([*ids[i][learnt[i]].tolist()] for i in (0, 1))
    _check_tokens(chosen, rejected, ends, ids.shape[1], getattr(collator, "max_length", None))
    try:
        talks = read_pair(row, marks(collator.processor))
    except (TypeError, ValueError) as error:
        raise _fault(within(str(error))) from error
    texts = [answer(talk) for talk in talks]
    better, known = _judged(row, texts, judge)
    question = ""
    if talks[0].messages:
        asked = talks[0].messages[talks[0].prompt - 1]["content"]
        question = "".join(part.get("text", "") for part in asked).strip().casefold()
    seen = hashlib.sha1(ids[0][~learnt[0] & batch["attention_mask"][0].bool()].numpy().tobytes())
    for name in sorted(set(batch) - {"input_ids", "attention_mask", "completion_mask"}):
        half = batch[name][: len(batch[name]) // 2]  # pictures, first those of the chosen
        seen.update(half.numpy().tobytes())
    return Pair(
        number, seen.hexdigest(), tuple(map(plain, texts)), (len(chosen), len(rejected)), better,
        known, _alike(*texts),
        len(question.split()) > 1 and any(question in text.casefold() for text in texts),
        len(talks[0].pictures),
    )  # fmt: skip


def _fault(why: str) -> RowError:
    return RowError(0, why)  # `preflight` gives it its number


def _check_tokens(
    chosen: list[int], rejected: list[int], ends: set[int], length: int, limit: int | None
) -> None:
    by = f"max_length={limit}" if limit and length >= limit else "the chat template or max_length"
    remedy = "raise max_length (None is no limit), make the pictures smaller, or drop the row."
    for name, tokens in (("chosen", chosen), ("rejected", rejected)):
        if not tokens:
            raise _fault(
                f"nothing is left of its {name} answer, because {by} cuts it off, and the loss "
                f"would stay at {math.log(2):.4f}: {remedy}"
            )
    if chosen == rejected:
        raise _fault(
            "its two answers are the same tokens, so neither can be preferred: mend one, raise "
            "max_length if it cuts them, or drop the row."
        )
    ended = [not ends or tokens[-1] in ends or not ends.isdisjoint(tokens[-3:])
             for tokens in (chosen, rejected)]  # fmt: skip
    if limit and length >= limit and not all(ended):
        raise _fault(f"max_length={limit} cuts an answer before its end: {remedy}")
    if ended[0] != ended[1]:
        one, other = ("chosen", "rejected") if ended[1] else ("rejected", "chosen")
        raise _fault(
            f"its {one} answer has no end token and the {other} one has, so the pair would teach "
            "when to stop, not what to say: end both alike."
        )


def _judged(row: dict, texts: list[str], judge: Judge | None) -> tuple[bool | None, bool]:
    truth = row.get("truth")
    if judge is None:
        if isinstance(truth, bool) or not isinstance(truth, str | int):
            return True, False
        scores = [plain(text) == plain(str(truth)) for text in texts]
        by = f"its truth is {truth!r}"
    else:
        try:
            scores = [judge(row, text) for text in texts]
        except Exception as error:
            raise _fault(
                f"the judge fails on it ({type(error).__name__}: {first_line(error).rstrip('.')}): "
                "a judge takes the row and an answer, and returns a number."
            ) from error
        given, scores = scores, [as_number(score, truth=True) for score in scores]
        for value, score in zip(given, scores):
            if score is None or math.isnan(score):
                raise _fault(
                    f"the judge gives no number for it, but {value!r:.40}: mend the judge."
                )
        by = f"the judge gives it {scores[0]:g} and the rejected one {scores[1]:g}"
    if scores[1] > scores[0]:
        raise _fault(
            f"its chosen answer is the worse one ({by}): exchange chosen and rejected, or drop the "
            "row."
        )
    return (None if scores[0] == scores[1] else True), True


def _alike(one: str, other: str) -> str:
    one, other = one.strip().casefold(), other.strip().casefold()
    if one == other:
        return "case"
    # One letter may be written in several ways: as one character, or as a letter and its accent.
    one, other = (unicodedata.normalize("NFKC", text) for text in (one, other))
    if one == other:
        return "how their letters are encoded"
    if "".join(filter(str.isalnum, one)) == "".join(filter(str.isalnum, other)):
        return "punctuation or spaces"
    if one.startswith(other) or other.startswith(one):
        return "length"
    return ""


def opposed(pairs: list[Pair]) -> list[RowError]:
    """A fault for each pair that prefers the opposite of an earlier one."""
    first: dict[tuple, int] = {}
    faults = []
    for one in pairs:
        other = first.get((one.prompt, one.answers[::-1]))
        if other is not None:
            why = (
                f"it prefers the opposite of row {other:,}, for the same prompt and pictures: keep "
                "the one that is right, and drop the other."
            )
            faults.append(RowError(one.row, why))
        else:
            first.setdefault((one.prompt, one.answers), one.row)
    return faults


def warnings(pairs: list[Pair], named: Callable[[list[int]], str]) -> list[str]:
    """Sentences about what is no fault of a pair and may still be what the model learns.

    `named`: the first of some rows, in words.
    """
    found = []

    def about(rows: list[int], text: str) -> None:
        if rows:
            where = f"{'row' if len(rows) == 1 else 'rows'} {named(rows)}"
            found.append(f"{count(len(rows), 'pair')} {text} ({where}).")

    for kind in ("case", "how their letters are encoded", "punctuation or spaces"):
        about(
            [one.row for one in pairs if one.alike == kind],
            f"with answers that differ in {kind} alone, which is then what is learnt: mend or drop",
        )
    about(
        [one.row for one in pairs if one.alike == "length"],
        "with one answer that is the beginning of the other, so that only its length is learnt: "
        "mend or drop",
    )
    about(
        [one.row for one in pairs if one.echo],
        "with the question repeated within an answer: take it out",
    )
    about(
        [one.row for one in pairs if one.judged is None],
        "with answers that are equally good by the truth or the judge: mend or drop",
    )
    bare = [one.row for one in pairs if not one.pictures]
    if len(bare) < len(pairs):
        about(bare, "without a picture, while others have one: check whether theirs was lost")
    seen: set[tuple] = set()
    again = []
    for one in pairs:
        key = (one.prompt, one.answers)
        if key in seen:
            again.append(one.row)
        seen.add(key)
    about(again, "that are there before, with the same prompt and pictures: drop one of each")
    return found + _one_sided(pairs)


def _one_sided(pairs: list[Pair]) -> list[str]:
    found = []
    for name, sign in (("longer", 1), ("shorter", -1)):
        differ = [sign * (a - b) > 0 for a, b in (one.tokens for one in pairs) if a != b]
        if _too_often(differ):
            found.append(
                f"the chosen answer is the {name} one in {sum(differ) / len(differ):.0%} of the "
                f"{len(differ):,} pairs that differ in tokens, and DPO learns length from that: "
                "make pairs of both kinds."
            )
    sides: dict[str, list[bool]] = {}
    for one in pairs:
        for chosen, text in zip((True, False), one.answers):
            if len(text.split()) <= SHORT:
                sides.setdefault(text, []).append(chosen)
    for text, chosen in sorted(sides.items(), key=lambda item: -len(item[1])):
        for name, wins in (("chosen", chosen), ("rejected", [not win for win in chosen])):
            if _too_often(wins):
                found.append(
                    f"{text!r} is the {name} one in {sum(wins)} of the {len(wins)} pairs that have "
                    "it as an answer, which can be learnt without looking: balance them."
                )
    return found[:5]


def _too_often(wins: list[bool]) -> bool:
    return len(wins) >= FEWEST and interval(wins)[0] > ONE_SIDED
