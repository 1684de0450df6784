"""POPE: whether a model says that things are there which are not.

Li et al. 2023 (arxiv.org/abs/2305.10355); figures as in `evaluate.py` of
github.com/AoiDragon/POPE at 08d957b (August 2025, MIT).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from vlm_helpers._words import choice
from vlm_helpers.evaluation._quiz import KEPT, Run
from vlm_helpers.evaluation._statistics import interval, rows_of
from vlm_helpers.evaluation.rules import yes_or_no


def pope(run: Run, *, rule: str = "pope", by: str = "skill") -> Any:
    """POPE's figures of a run over questions that are answered by yes or no, a row a setting.

    Its three settings differ in what is asked for and is not there: anything (random), what is
    common (popular), what mostly stands beside something that is there (adversarial).

    Args:
        rule: how an answer is read, as for `yes_or_no`. One that it cannot read is wrong, and
            counts as neither yes nor no; under "pope" there is none.
        by: the column that tells the settings.
    Returns:
        A pandas DataFrame with `accuracy` and its interval `low` to `high`; `precision`, `recall`
        and `f1` of yes (0 where nothing is); `yes ratio`, of the answers; `unread`, the share that
        the rule cannot read; the floors `always yes` and `always yes f1`; and `n`.
    Raises:
        ValueError: for a right answer that is neither yes nor no, or a rule or a column that does
            not exist.
    """
    import pandas as pd

    by, groups = choice("by", by, KEPT), defaultdict(list)
    for row in rows_of(run):
        truth = row["truth"].strip().lower()
        if truth not in ("yes", "no"):
            raise ValueError(
                f"The right answer to item {row['id']!r} is {row['truth']!r}: POPE needs questions "
                "that are answered by yes or no."
            )
        groups[row[by]].append((truth, yes_or_no(row["answer"], rule)))
    table = {name: _figures(pairs) for name, pairs in groups.items()}
    return pd.DataFrame.from_dict(table, orient="index").rename_axis(by)


def _figures(pairs: list[tuple[str, str | None]]) -> dict[str, float]:
    n = len(pairs)
    right = [truth == said for truth, said in pairs]
    low, high = interval(right)
    precision, recall, f1 = _of_yes(pairs)
    always = [(truth, "yes") for truth, _ in pairs]
    return {
        "accuracy": sum(right) / n, "low": low, "high": high,
        "precision": precision, "recall": recall, "f1": f1,
        "yes ratio": sum(said == "yes" for _, said in pairs) / n,
        "unread": sum(said is None for _, said in pairs) / n,
        "always yes": sum(truth == "yes" for truth, _ in pairs) / n,
        "always yes f1": _of_yes(always)[2],
        "n": n,
    }  # fmt: skip


def _of_yes(pairs: list[tuple[str, str | None]]) -> tuple[float, float, float]:
    both = sum(truth == said == "yes" for truth, said in pairs)
    if not both:
        return 0.0, 0.0, 0.0
    precision = both / sum(said == "yes" for _, said in pairs)
    recall = both / sum(truth == "yes" for truth, _ in pairs)
    return precision, recall, 2 * precision * recall / (precision + recall)
