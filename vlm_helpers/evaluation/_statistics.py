"""How much a score means: intervals, and the comparison of two runs over the same items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from vlm_helpers._words import number

if TYPE_CHECKING:
    from vlm_helpers.evaluation._quiz import Run

EXCHANGES = 5_000  # of the two runs' scores at random, for scores between right and wrong


def interval(
    right: float | Sequence[float], n: int | None = None, level: float = 0.95
) -> tuple[float, float]:
    """The interval in which the true share lies with probability `level`, as (low, high).

    Args:
        right: how many of `n` are right; or, without `n`, the score of each item. If these are all
            0 or 1, the interval is Wilson's (1927), which holds for small `n` and near 0 and 1;
            else it is the mean, plus and minus its standard error times the normal quantile.
        n: how many were asked.
        level: between 0 and 1.
    Raises:
        TypeError, ValueError: for scores that are no numbers, for no items, for more right than
            asked, or a level outside of 0 to 1.
    """
    if not 0 < number("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1, as 0.95 does, not {level!r}.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    if n is None:
        scores = _numbers(right)
        n = scores.size
        if n and not np.isin(scores, (0, 1)).all():
            half = z * scores.std(ddof=1) / math.sqrt(n) if n > 1 else math.inf
            return float(scores.mean() - half), float(scores.mean() + half)
        right = float(scores.sum())
    right, n = number("right", right, finite=False), number("n", n)
    if n < 1 or not 0 <= right <= n:
        raise ValueError(
            f"{right:g} right of {n:g} is no share: give 0 to n right of at least one."
        )
    share = right / n
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = ((middle + side * half) / (1 + z**2 / n) for side in (-1, 1))
    # the formula's own ends there, which rounding may miss by 1e-18
    return 0.0 if right == 0 else low, 1.0 if right == n else high


def _numbers(scores: Any) -> np.ndarray:
    try:
        found = np.asarray(scores, float)
    except (TypeError, ValueError):
        found = np.array(0.0)  # nor is a single number a list of scores
    if not found.ndim:
        raise TypeError(
            f"The scores are of type {type(scores).__name__}: give a list of numbers, or how many "
            "are right and, as n, of how many."
        )
    if not np.isfinite(found).all():
        raise ValueError("One of the scores is no finite number: leave it out.")
    return found


@dataclass(frozen=True)
class Comparison:
    """Two runs over the same items, the first minus the second.

    Attributes:
        difference: of the mean scores.
        low, high: its 95 % interval, from the differences item by item.
        p: how often runs of equal worth would differ at least as much, on these items.
        better, worse: on how many items the first run scores more, and less.
        n: how many items there are.
    """

    difference: float
    low: float
    high: float
    p: float
    better: int
    worse: int
    n: int

    def __str__(self) -> str:
        return (
            f"{self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f}), p = {self.p:.2g}: "
            f"better on {self.better}, worse on {self.worse} of {self.n} items"
        )


def rows_of(run: Run) -> list[dict]:
    """The rows of what must be a run. Raises `TypeError`."""
    rows = getattr(run, "rows", None)
    if not isinstance(rows, list):
        raise TypeError(
            f"A run is what `quiz` or `Run.load` gives, not something of type {type(run).__name__}."
        )
    return rows


def paired(one: Run, other: Run) -> Comparison:
    """Whether one run is better than another on the same items.

    Two models mostly fail on the same hard items, so that two separate intervals say too little:
    only the items count on which they differ. Of right and wrong this is McNemar's test (1947) in
    its exact form, and the interval has half an item added to each cell (Agresti and Min 2005); of
    finer scores, a test by exchanging the two runs' scores at random.

    Raises:
        ValueError: where the runs are not over the same items; it says by how much, and names one.
    """
    mine, theirs = ({row["id"]: row for row in rows_of(run)} for run in (one, other))
    if not mine and not theirs:
        raise ValueError("The two runs hold no items: there is nothing to compare.")
    stray = [name for name in (*mine, *theirs) if (name in mine) != (name in theirs)]
    changed = [
        name
        for name in mine
        if name in theirs
        and any(mine[name].get(key) != theirs[name].get(key) for key in ("question", "truth"))
    ]
    if stray or changed:
        what = f"{stray[0]!r} is in one of them only" if stray else (
            f"under the id {changed[0]!r} they have other questions or other right answers"
        )  # fmt: skip
        same = len(mine.keys() & theirs.keys()) - len(changed)
        raise ValueError(
            f"The two runs are not over the same items: {what} (the first has {len(mine)} items, "
            f"the second {len(theirs)}, and {same} are the same). Ask both models the same items."
        )
    scores = (_numbers([of[name]["score"] for name in mine]) for of in (mine, theirs))
    differences = np.subtract(*scores)
    n, better, worse = len(mine), int((differences > 0).sum()), int((differences < 0).sum())
    if np.isin(differences, (-1, 0, 1)).all():
        share = (better - worse) / (n + 2)
        spread = ((better + worse + 1) - (better - worse) ** 2 / (n + 2)) / (n + 2) ** 2
        middle, error, p = share, math.sqrt(spread), _mcnemar(better, worse)
    else:
        middle = differences.mean()
        error = differences.std(ddof=1) / math.sqrt(n) if n > 1 else math.inf
        p = _exchanged(differences)
    z = NormalDist().inv_cdf(0.975)
    low, high = float(middle - z * error), float(middle + z * error)
    return Comparison(float(differences.mean()), low, high, p, better, worse, n)


@dataclass(frozen=True)
class GainAndLeakage:
    """MMStar's two numbers of a model on a benchmark.

    Attributes:
        gain: the score with pictures minus that without: what looking is worth.
        over_base: the score without pictures minus that of the base.
    """

    gain: Comparison
    over_base: Comparison

    @property
    def leakage(self) -> float:
        """What the model knows more of the questions than its base, unseen: never below 0."""
        return max(0.0, self.over_base.difference)

    def __str__(self) -> str:
        gain, base = self.gain, self.over_base
        return (
            f"gain {gain.difference:.3f} ({gain.low:.3f} to {gain.high:.3f}), leakage "
            f"{self.leakage:.3f} ({max(0.0, base.low):.3f} to {max(0.0, base.high):.3f}), "
            f"{gain.n} items"
        )


def gain_and_leakage(with_pictures: Run, without: Run, base: Run) -> GainAndLeakage:
    """Multi-modal gain and multi-modal leakage, as MMStar defines them.

    The gain is S_v - S_wv, the leakage max(0, S_wv - S_t): the model's score with pictures, its
    score without, and that of the language model it was made of, before it saw any picture (Chen et
    al. 2024, arxiv.org/abs/2403.20330).

    Args:
        with_pictures, without: runs of the same model over the same items. MMStar asks without any
            picture (`items.without_pictures()`), not with grey ones as `blind` does.
        base: a run over the same items as text. The pocket models were made of no language model:
            what stands in for it has to be said with the number (`docs/benchmarks.md`).
    Raises:
        ValueError: where the runs are not over the same items.
    """
    return GainAndLeakage(paired(with_pictures, without), paired(without, base))


def _mcnemar(better: int, worse: int) -> float:
    n, k = better + worse, min(better, worse)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


def _exchanged(differences: np.ndarray) -> float:
    dice = np.random.default_rng(0)
    observed = abs(differences.sum()) - 1e-12
    sums = (differences @ dice.choice((-1, 1), differences.size) for _ in range(EXCHANGES))
    return (sum(abs(total) >= observed for total in sums) + 1) / (EXCHANGES + 1)
