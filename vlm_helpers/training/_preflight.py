"""`preflight`: every row of a data set, collated once before training, and all faults at once."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vlm_helpers._words import count
from vlm_helpers.collators import AnswerCollator, RowError, end_tokens

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
        tokens: of each row, image tokens included.
        learnt: of each row, those with a label.
        shortened: the numbers of the rows that lose turns to the collator's `max_length`.
        warnings: sentences about what is no fault of a row and may still spoil the training.
    """

    tokens: list[int]
    learnt: list[int]
    warnings: list[str] = field(default_factory=list)
    shortened: list[int] = field(default_factory=list)

    @property
    def longest(self) -> int:
        """The number of the row with the most tokens, counted from 0."""
        return max(range(len(self.tokens)), key=self.tokens.__getitem__)

    def __str__(self) -> str:
        lines = [
            f"{count(len(self.tokens), 'row')} can be trained on.",
            f"tokens a row: {min(self.tokens):,} to {max(self.tokens):,}, in the middle "
            f"{statistics.median_low(self.tokens):,}; the longest is row {self.longest:,}",
            f"learnt: {sum(self.learnt):,} of {sum(self.tokens):,} tokens "
            f"({sum(self.learnt) / sum(self.tokens):.1%})",
        ]
        return "\n".join([*lines, *(f"Warning: {warning}" for warning in self.warnings)])


def preflight(
    rows: Iterable[dict[str, Any]],
    collator: Callable[[list[dict]], dict[str, Any]],
    *,
    progress: bool = True,
) -> Preflight:
    """Collates every row by itself, so that no fault is left for the middle of a long training.

    `rows`: a list, a `datasets.Dataset`, or an iterable one. `collator`: the one of the training,
    an `AnswerCollator` best, because it says what is wrong in one sentence. `progress`: a bar.

    Returns a `Preflight`, whose text says how long the rows are and how much of them is learnt.

    Raises `PreflightError` with the faults of all rows, and `ValueError` if there is no row.
    """
    from tqdm.auto import tqdm

    faults: list[RowError] = []
    tokens, learnt, shortened, stops = [], [], [], 0
    enders = _enders(collator)
    number = 0
    bar = tqdm(total=_length(rows), disable=not progress, unit="row", desc="Pre-flight")
    with bar:
        for number, fetch in enumerate(_fetchers(rows), start=1):
            row = None
            try:
                row = fetch()
                if isinstance(collator, AnswerCollator):
                    batch, (dropped,) = collator.collate([row])
                else:
                    batch, dropped = collator([row]), 0
            except Exception as error:  # a pass over all rows ends at none of them
                name = row.get("id") if hasattr(row, "get") else None
                why = error.why if isinstance(error, RowError) else _in_words(error, row)
                fault = RowError(number - 1, why, name)
                fault.__cause__ = error
                faults.append(fault)
            else:
                labels = batch["labels"][0]
                wanted = labels[labels != -100].tolist()
                tokens.append(int(batch["attention_mask"][0].sum()))
                learnt.append(len(wanted))
                stops += not enders.isdisjoint(wanted)
                if dropped:
                    shortened.append(number - 1)
            bar.update()
    if not number:
        raise ValueError("There is no row to train on: the data set is empty.")
    if faults:
        raise PreflightError(faults, number)
    warnings = [*_too_long(shortened, collator), *_endless(enders, stops, number)]
    return Preflight(tokens, learnt, warnings, shortened)


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
    if hasattr(rows, "decode"):  # an IterableDataset ends at a picture that it cannot open
        rows = rows.decode(False)
    for row in rows:
        yield lambda row=row: row


def _in_words(error: Exception, row: Any) -> str:
    text = str(error).strip() or type(error).__name__
    text = text.splitlines()[0].rstrip(".")
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


def _too_long(rows: list[int], collator: Any) -> list[str]:
    if not rows:
        return []
    one = len(rows) == 1
    return [
        f"{count(len(rows), 'row')} {'has' if one else 'have'} more than "
        f"{count(collator.max_length, 'token')} (max_length) and {'loses its' if one else 'lose'} "
        f"first turns: {'row' if one else 'rows'} {_first(rows)}."
    ]


def _endless(enders: set[int], stops: int, rows: int) -> list[str]:
    if not enders or stops == rows:
        return []
    return [
        f"{'no answer ends' if not stops else f'{rows - stops:,} rows have no answer that ends'} "
        "with a special token, so the model would not learn to stop: mend the chat template, which "
        "must write one after each answer."
    ]
