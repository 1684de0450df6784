"""What can be scored without a model, to be set beside every score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vlm_helpers.evaluation._quiz import (
    Score,
    exact,
    judged,
    numbered,
    rules_of,
    without_pictures,
)
from vlm_helpers.evaluation.rules._given import texts


def floors(
    items: Iterable[Mapping[str, Any]], score: Score = exact, *, by: str | None = "skill"
) -> Any:
    """The scores of two answerers that look at nothing, for each group of items.

    majority: gives the commonest right answer of the group every time.
    any candidate: picks at random among the answers that something in the picture would give (the
        colours of all its objects, say). It is the mean over all of them, so nothing is drawn.

    Args:
        items: as for `quiz`. Only those with `candidates` count for the second floor.
        score: as for `quiz`.
        by: the column that makes the groups; None for one row for all.
    Returns:
        A pandas DataFrame, a row for each group, with the columns `majority`, `any candidate` (NaN
        where no item has candidates), and `n`.
    Raises:
        TypeError, ValueError: as `quiz` does, for no items, too.
    """
    import pandas as pd

    rules = rules_of(score)

    def scored(answer: str, item: Mapping[str, Any]) -> float:
        return next(iter(judged(answer, item, rules).values()))[1]

    groups: dict[Any, list[dict]] = defaultdict(list)
    for item in numbered(without_pictures(items), {}):
        # A long list of items with all of its pictures may not fit.
        item = {name: value for name, value in item.items() if name not in ("image", "images")}
        groups["all" if by is None else item.get(by)].append(item)
    if not groups:
        raise ValueError("There is no item to answer: the set is empty.")
    rows = {}
    for name, group in groups.items():
        commonest = Counter(item["answer"] for item in group).most_common(1)[0][0]
        chances = [_chance(item, scored) for item in group if _candidates(item)]
        rows[name] = {
            "majority": sum(scored(commonest, item) for item in group) / len(group),
            "any candidate": sum(chances) / len(chances) if chances else float("nan"),
            "n": len(group),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def _candidates(item: Mapping[str, Any]) -> list[str]:
    several = item.get("candidates")
    none = several is None or (hasattr(several, "__len__") and not len(several))
    return [] if none else texts(f"candidates of item {item['id']!r}", several)


def _chance(item: Mapping[str, Any], scored: Callable[[str, Mapping], float]) -> float:
    candidates = _candidates(item)
    return sum(scored(candidate, item) for candidate in candidates) / len(candidates)
