"""`preflight`: every row of a data set, collated once before training, and all faults at once."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tqdm.auto import tqdm

from vlm_helpers._words import count, first_line, listed, whole_number
from vlm_helpers.collators import AnswerCollator, RowError, end_tokens
from vlm_helpers.training import _pairs
from vlm_helpers.training._pairs import Judge, Pair

_SHOWN = 20  # kinds of faults that a message lists
_NUMBERS = 5  # rows that it names of each


class PreflightError(ValueError):
    """Rows that cannot be trained on.

    Attributes:
        faults: a `RowError` for each, in the order of the rows.
        rows: how many rows there were in all.
    """

    def __init__(self, faults: list[RowError], rows: int):
        self.faults, self.rows = faults, rows
        kinds: dict[str, list[RowError]] = {}
        for fault in faults:
            kinds.setdefault(fault.why, []).append(fault)
        lines = [f"{_named(same)}: {why}" for why, same in list(kinds.items())[:_SHOWN]]
        if len(kinds) > _SHOWN:
            lines.append(f"… and {len(kinds) - _SHOWN:,} kinds of faults more: see .faults.")
        head = f"{len(faults):,} of {count(rows, 'row')} cannot be trained on."
        super().__init__("\n  ".join([head, *lines]))


def _named(same: list[RowError]) -> str:
    if len(same) == 1:
        return str(same[0]).split(": ", 1)[0]
    return f"Rows {_first([fault.row for fault in same])} ({len(same):,} in all)"


def _first(rows: list[int]) -> str:
    numbers = ", ".join(f"{row:,}" for row in rows[:_NUMBERS])
    return f"{numbers}{', …' if len(rows) > _NUMBERS else ''}"


@dataclass(frozen=True)
class Preflight:
    """What a data set without a fault is like.

    Attributes:
        tokens: of each row, image tokens included; of a pair, with its longer answer.
        learnt: of each row, those with a label; of a pair, those of both answers.
        shortened: the numbers of the rows that lose turns to `max_length`, the collator's.
        endless: the numbers of the rows without an answer that ends with a special token.
        pairs: of rows of preferences, what was found in each; else empty.
    """

    tokens: list[int]
    learnt: list[int]
    shortened: list[int]
    endless: list[int]
    max_length: int | None = None
    pairs: list[Pair] = field(default_factory=list)

    @property
    def opposed(self) -> list[RowError]:
        """A fault for each pair that prefers the opposite of an earlier one.

        `preflight` has raised those of its own rows: this is for rows that were looked at in parts.
        """
        return _pairs.opposed(self.pairs)

    @property
    def longest(self) -> int:
        """The number of the row with the most tokens, counted from 0."""
        return max(range(len(self.tokens)), key=self.tokens.__getitem__)

    @property
    def warnings(self) -> list[str]:
        """Sentences about what is no fault of a row and may still spoil the training."""
        found = []
        if self.shortened:
            one = len(self.shortened) == 1
            found.append(
                f"{count(len(self.shortened), 'row')} {'has' if one else 'have'} more than "
                f"{count(self.max_length, 'token')} (max_length) and "
                f"{'loses its' if one else 'lose'} first turns: {'row' if one else 'rows'} "
                f"{_first(self.shortened)}."
            )
        if self.endless:
            every = len(self.endless) == len(self.tokens)
            who = "no answer ends" if every else (
                f"{len(self.endless):,} rows have no answer that ends"
            )  # fmt: skip
            found.append(
                f"{who} with a special token, so the model would not learn to stop: mend the chat "
                "template, which must write one after each answer."
            )
        return found + _pairs.warnings(self.pairs, _first)

    def __str__(self) -> str:
        lines = [
            f"{count(len(self.tokens), 'row')} can be trained on.",
            f"tokens a row: {min(self.tokens):,} to {max(self.tokens):,}, in the middle "
            f"{statistics.median_low(self.tokens):,}; the longest is row {self.longest:,}",
        ]
        if self.pairs:
            checked = sum(pair.known for pair in self.pairs)
            lines += [
                f"compared: {sum(self.learnt):,} tokens of two answers to each prompt",
                f"the better answer is known of {checked:,} of them, from a column 'truth' or a "
                "judge; without one a pair that is swapped looks like any other",
            ]
        elif sum(self.learnt):
            lines.append(
                f"learnt: {sum(self.learnt):,} of {sum(self.tokens):,} tokens "
                f"({sum(self.learnt) / sum(self.tokens):.1%})"
            )
        return "\n".join([*lines, *(f"Warning: {warning}" for warning in self.warnings)])

    def __add__(self, others: Preflight) -> Preflight:
        """That of these rows and of the ones that follow them."""
        return Preflight(
            self.tokens + others.tokens,
            self.learnt + others.learnt,
            self.shortened + others.shortened,
            self.endless + others.endless,
            self.max_length,
            self.pairs + others.pairs,
        )


def preflight(
    rows: Iterable[dict[str, Any]],
    collator: Callable[[list[dict]], dict[str, Any]],
    *,
    progress: bool = True,
    first: int = 0,
    judge: Judge | None = None,
) -> Preflight:
    """Collates every row by itself, so that no fault is left for the middle of a long training.

    `rows`: a list, a `datasets.Dataset`, or an iterable one. `collator`: the one of the training,
    an `AnswerCollator` or a `PreferenceCollator` best, because it says what is wrong in one
    sentence. `progress`: a bar. `first`: the number of the first row, where `rows` are a part of a
    data set. `judge`: of preferences, a function of the row and an answer that says how good it is,
    as a number; by default whether it is the text in the row's column `truth`, where it has one.
    Which of two answers is the right one can be seen in no other way.

    Returns a `Preflight`, whose text says how long the rows are and how much of them is learnt.

    Raises `PreflightError` with the faults of all rows, `ValueError` if there is no row, and
    `TypeError` for what is no list of rows. A stream that breaks off at a row ends there.
    """
    _check_rows(rows)
    first = whole_number("first", first, least=0)
    for name, function in (("collator", collator), ("judge", judge or collator)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, not a {type(function).__name__}.")
    faults: list[RowError] = []
    tokens, learnt, shortened, endless, pairs = [], [], [], [], []
    enders = _enders(collator)
    number = first
    bar = tqdm(total=_length(rows), disable=not progress, unit="row", desc="Pre-flight")
    with bar:
        for number, fetch in enumerate(_fetchers(rows), start=first + 1):
            row = None
            try:
                row = fetch()
                if isinstance(collator, AnswerCollator):
                    batch, (dropped,) = collator.collate([row])
                else:  # TRL's collators change their rows
                    batch, dropped = collator([dict(row) if isinstance(row, Mapping) else row]), 0
                if "completion_mask" in batch:
                    pairs.append(_pairs.pair(number - 1, row, batch, collator, enders, judge))
            except Exception as error:  # a pass over all rows ends at none of them
                name = row.get("id") if hasattr(row, "get") else None
                why = error.why if isinstance(error, RowError) else _in_words(error, row)
                fault = RowError(number - 1, why, name)
                fault.__cause__ = error
                faults.append(fault)
            else:
                wanted = _wanted(batch)
                tokens.append(int(batch["attention_mask"].sum(1).max()))
                learnt.append(len(wanted))
                if enders and enders.isdisjoint(wanted):
                    endless.append(number - 1)
                if dropped:
                    shortened.append(number - 1)
            bar.update()
    if number == first:
        raise ValueError("There is no row to train on: the data set is empty.")
    faults = sorted([*faults, *_pairs.opposed(pairs)], key=lambda fault: fault.row)
    if faults:
        raise PreflightError(faults, number - first)
    max_length = getattr(collator, "max_length", None)
    return Preflight(tokens, learnt, shortened, endless, max_length, pairs)


def _wanted(batch: dict[str, Any]) -> list[int]:
    """The tokens of a row's batch that are learnt, or compared."""
    if "completion_mask" in batch:
        return batch["input_ids"][batch["completion_mask"].bool()].tolist()
    labels = batch["labels"][0]
    return labels[labels != -100].tolist()


def _check_rows(rows: Any) -> None:
    kind = type(rows).__name__
    if isinstance(rows, Mapping):
        remedy = "put the row into a list"
        if all(hasattr(part, "features") for part in rows.values()):
            splits = listed([f"rows[{name!r}]" for name in rows], "or")
            remedy = f"give one of its splits, {splits}"
        raise TypeError(f"The rows must be a list or a data set, not a {kind}: {remedy}.")
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        raise TypeError(f"The rows must be a list of dicts, not a {kind}: rows.to_dict('records').")
    form = rows.format["type"] if isinstance(getattr(rows, "format", None), dict) else None
    if form not in (None, "python", "custom"):
        raise TypeError(
            f"The data set gives its rows in the form {form!r}, and they must be plain dicts: "
            "rows.with_format(None)."
        )
    if isinstance(rows, Iterator):
        raise TypeError(
            f"The rows can be read only once, as a {kind}, and the training needs them again: give "
            "a list or a data set, list(rows)."
        )
    if isinstance(rows, str) or not hasattr(rows, "__iter__"):
        raise TypeError(
            f"The rows must be a list or a data set, not a {kind}: load it first, for instance "
            "with datasets.load_dataset."
        )


def _length(rows: Any) -> int | None:
    try:
        return len(rows)
    except TypeError:  # a data set that is streamed
        return None


def _fetchers(rows: Any) -> Iterator[Callable[[], dict]]:
    """One function a row, for fetching one may fail: a data set opens its pictures then."""
    if hasattr(rows, "__getitem__") and (length := _length(rows)) is not None:
        for i in range(length):
            yield lambda i=i: rows[i]
        return
    if hasattr(rows, "decode") and rows.features:
        # An IterableDataset ends at a picture that it cannot open; after `map` it has no features.
        rows = rows.cast(as_stored(rows.features))
    stream = iter(rows)
    while True:
        try:
            row = next(stream)
        except StopIteration:
            return
        except Exception as error:
            yield partial(_broken_off, error)
            return
        yield partial(lambda row: row, row)


def as_stored(features: Any) -> Any:
    """The columns of a data set (`rows.features`), with pictures as their files hold them.

    A damaged picture is then a fault of its row. All else is decoded as ever, JSON too, as which
    `datasets` keeps messages whose parts differ.
    """
    if isinstance(features, dict):
        return type(features)({name: as_stored(column) for name, column in features.items()})
    if hasattr(features, "feature"):  # a list of them
        return replace(features, feature=as_stored(features.feature))
    if getattr(features, "decode", False) and type(features).__name__ != "Json":
        return replace(features, decode=False)
    return features


def _broken_off(error: Exception) -> None:
    raise RowError(
        0,
        f"it cannot be read ({first_line(error).rstrip('.')}), and the stream ends there: replace "
        "its picture or file, and check the rows after it.",
    ) from error


def _in_words(error: Exception, row: Any) -> str:
    text = first_line(error).rstrip(".")
    text = re.sub(r"<(\S+)[^<>]* at 0x[0-9a-f]+>", r"\1", text)  # an address tells nobody anything
    if row is None:
        return f"it cannot be read ({text}): replace its picture or file, or drop the row."
    return f"the collator refuses it ({type(error).__name__}: {text})."


def _enders(collator: Any) -> set[int]:
    """The tokens that can end an answer; none for a collator without a processor."""
    processor = getattr(collator, "processor", None)
    if getattr(processor, "tokenizer", None) is None:
        return set()
    names = end_tokens(processor, getattr(collator, "image_token", None))
    return set(processor.tokenizer.convert_tokens_to_ids([*names]))
