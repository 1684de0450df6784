"""What can be scored without a model, to be set beside every score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vlm_helpers.evaluation._quiz import Score, checked, exact, without_pictures


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
    """
    import pandas as pd

    groups: dict[Any, list[dict]] = defaultdict(list)
    for number, item in enumerate(without_pictures(items)):
        item = checked(number, item)
        # A long list of items with all of its pictures may not fit.
        item = {name: value for name, value in item.items() if name not in ("image", "images")}
        groups["all" if by is None else item.get(by)].append(item)
    rows = {}
    for name, group in groups.items():
        commonest = Counter(item["answer"] for item in group).most_common(1)[0][0]
        chances = [_chance(item, score) for item in group if item.get("candidates")]
        rows[name] = {
            "majority": sum(float(score(commonest, item)) for item in group) / len(group),
            "any candidate": sum(chances) / len(chances) if chances else float("nan"),
            "n": len(group),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def _chance(item: Mapping[str, Any], score: Callable[[str, Mapping], float]) -> float:
    candidates = item["candidates"]
    return sum(float(score(candidate, item)) for candidate in candidates) / len(candidates)
