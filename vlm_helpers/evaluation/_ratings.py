"""Strengths from votes between two answers: Bradley and Terry's model, and style control.

Bradley and Terry (1952): contestant i is preferred to j with the odds of 10 to the power of
(rating of i - rating of j) / 400. The ratings here are the likeliest ones, as on Arena's boards,
where ties and "both bad" count as half a vote for each too (github.com/lmarena/arena-rank,
`default_outcome_map`). As there, intervals come from the sandwich estimator (White 1982), since
ties are no coin tosses, which is what the plain information matrix would take them for.

Style control (lmsys.org/blog/2024-08-28-style-control): the odds may also depend on how the two
answers look, such as on their lengths. What is left to the ratings is what style does not explain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from vlm_helpers._words import as_number, did_you_mean, listed, number

VOTES = {"A": 1.0, "B": 0.0, "tie": 0.5, "both bad": 0.5}  # what of the vote A gets

POINTS = 400 / math.log(10)  # rating points of a log-odds of 1
MEAN = 1000.0
_Z = NormalDist().inv_cdf(0.975)
_STEPS, _SMALL = 100, 1e-9

Style = Mapping[str, Callable[[str], float]]


@dataclass(frozen=True)
class Difference:
    """How far one contestant is above another.

    Attributes:
        difference: in rating points.
        low, high: its 95 % interval.
        chance: how often the first is preferred, ties as halves.
    """

    difference: float
    low: float
    high: float
    chance: float

    def __str__(self) -> str:
        return (
            f"{self.difference:+.0f} ({self.low:+.0f} to {self.high:+.0f}) points, preferred in "
            f"{self.chance:.0%} of votes"
        )


@dataclass(frozen=True)
class Ratings:
    """What votes say of the contestants.

    Attributes:
        table: a DataFrame with a row a contestant, the strongest first: `rating`, whose mean is
            1000, `low` and `high`, its 95 % interval, `rank`, and how many `votes` were cast on
            it, `won`, `tied` and `lost`. The rank counts those that are better for certain: whose
            `difference` has an interval above 0.
        style: a DataFrame with a row for each covariate of style control: its `effect`, in rating
            points given to an answer that has all of it against one that has none, `low`, `high`.
    """

    table: Any
    style: Any
    _names: list[str] = field(repr=False)
    _strengths: np.ndarray = field(repr=False)  # log-odds
    _covariance: np.ndarray = field(repr=False)

    def difference(self, one: str, other: str) -> Difference:
        """How far one contestant is above the other.

        Two intervals in the table may overlap though this one excludes 0: what moves both
        contestants alike makes those wide, and is not in here.

        Raises:
            ValueError: for a contestant on whom there is no vote.
        """
        for name in (one, other):
            if name not in self._names:
                raise ValueError(f"There is no vote on {name!r}; {did_you_mean(name, self._names)}")
        return self._apart(self._names.index(one), self._names.index(other))

    def _apart(self, i: int, j: int) -> Difference:
        gap = self._strengths[i] - self._strengths[j]
        c = self._covariance
        half = _Z * math.sqrt(max(0.0, c[i, i] + c[j, j] - 2 * c[i, j]))
        points = (POINTS * value for value in (gap, gap - half, gap + half))
        return Difference(*map(float, points), float(_chance(gap)))


def bradley_terry(
    votes: Iterable[Mapping[str, Any]], *, style: Style | None = None, prior: float = 0.0
) -> Ratings:
    """Ratings of contestants from votes between two of them, with 95 % intervals.

    Args:
        votes: dicts, or the rows of a DataFrame, with two names in `a` and `b`, and in `vote` "A",
            "B", "tie" or "both bad"; the last two count as half a vote for each.
        style: covariates to control for: names, and functions of an answer that give a number from
            0 up, such as its words, or whether it has something. The votes then need `answer_a` and
            `answer_b`. What counts is the share (of A - of B) / (of A + of B), as on Arena's board,
            but neither centred nor scaled, so that the sides can be swapped and an effect means the
            same in every set.
        prior: how many imagined votes each contestant has besides, half of them won, against one
            of rating 1000; and each style, between equals of whom one has all of it. With 0 the
            ratings are the likeliest; with 1 or more they are finite from the first vote on.
    Raises:
        TypeError, ValueError: for a vote that is none (its number is named), votes that cannot be
            put on one scale, and a style that cannot be told from the contestants.
    """
    prior = number("prior", prior)
    if prior < 0:
        raise ValueError(f"prior must not be negative: it is {prior:g}.")
    if hasattr(votes, "to_dict"):
        votes = votes.to_dict("records")
    if not isinstance(votes, Iterable):
        raise TypeError(f"votes is of type {type(votes).__name__}: it must be a list of votes.")
    votes = [checked_vote(i, vote) for i, vote in enumerate(votes)]
    if not votes:
        raise ValueError("There is no vote yet, so there is nothing to rate.")
    names = list(dict.fromkeys(vote[side] for vote in votes for side in "ab"))
    number_of = {name: i for i, name in enumerate(names)}
    pairs = np.array([[number_of[vote[side]] for side in "ab"] for vote in votes])
    shares = np.array([VOTES[vote["vote"]] for vote in votes])
    if not prior:
        _check_one_scale(names, pairs, shares)
    looks = _looks(votes, style or {})

    # Log-odds = rows @ (strengths of all but the last, effects): the strengths sum up to zero.
    k, n = len(names), len(votes)
    basis = np.vstack([np.eye(k - 1), -np.ones(k - 1)])  # [contestants, free strengths]
    rows = np.hstack([basis[pairs[:, 0]] - basis[pairs[:, 1]], looks])
    _check_told_apart(rows, k - 1, list(style or {}))
    turn = np.zeros((k + looks.shape[1], rows.shape[1]))  # from what is free to all there is
    turn[:k, : k - 1] = basis
    turn[k:, k - 1 :] = np.eye(looks.shape[1])
    weights = np.ones(n)
    if prior:
        rows = np.vstack([rows, turn, turn])
        shares = np.concatenate([shares, np.ones(len(turn)), np.zeros(len(turn))])
        weights = np.concatenate([weights, np.full(2 * len(turn), prior / 2)])
    found, covariance = _likeliest(rows, shares, weights)
    found, covariance = turn @ found, turn @ covariance @ turn.T
    return _ratings(names, pairs, shares[:n], found, covariance, list(style or {}))


def checked_vote(position: int, vote: Mapping[str, Any]) -> Mapping[str, Any]:
    """The vote. Raises unless it names two contestants and one of the four votes."""
    if not isinstance(vote, Mapping):
        raise TypeError(
            f"Vote {position} is of type {type(vote).__name__}: a vote is a dict with 'a', 'b' and "
            "'vote'."
        )
    for side in "ab":
        if not isinstance(vote.get(side), str):
            raise ValueError(
                f"Vote {position} has no name in {side!r}, but {vote.get(side)!r}: 'a' and 'b' "
                "name the contestants."
            )
    if vote["a"] == vote["b"]:
        raise ValueError(f"Vote {position} is between {vote['a']!r} and itself: it needs two.")
    if vote.get("vote") not in tuple(VOTES):
        raise ValueError(
            f"Vote {position} is {vote.get('vote')!r}: it must be {listed(map(repr, VOTES), 'or')}."
        )
    return vote


def _looks(votes: list[Mapping[str, Any]], style: Style) -> np.ndarray:
    """The covariates of style, [votes, covariates], from -1 (only B has it) to 1 (only A)."""
    if not isinstance(style, Mapping) or not all(map(callable, style.values())):
        raise TypeError("style must be a dict of functions of an answer by their names.")
    looks = np.zeros((len(votes), len(style)))
    for column, (name, measure) in enumerate(style.items()):
        for i, vote in enumerate(votes):
            found = []
            for side in ("answer_a", "answer_b"):
                if not isinstance(vote.get(side), str):
                    raise ValueError(
                        f"Vote {i} has no text in {side!r}: style control needs both answers."
                    )
                value = measure(vote[side])
                value = as_number(value, truth=True)
                if value is None or not 0 <= value < math.inf:
                    raise ValueError(
                        f"The style {name!r} of an answer must be a number from 0 up, not {value!r}"
                        f" (vote {i}, {side!r})."
                    )
                found.append(value)
            if sum(found):
                looks[i, column] = (found[0] - found[1]) / sum(found)
    return looks


def _check_one_scale(names: list[str], pairs: np.ndarray, shares: np.ndarray) -> None:
    """Raises unless the likeliest strengths are finite and can be compared (Ford 1957).

    They are where whoever is chosen, of any two groups, the first has got something of a vote
    against the second.
    """
    k = len(names)
    reached = np.eye(k, dtype=bool)  # [i, j]: i got something against j, or against one who did
    reached[pairs[shares > 0, 0], pairs[shares > 0, 1]] = True
    reached[pairs[shares < 1, 1], pairs[shares < 1, 0]] = True
    joined = reached | reached.T
    for _ in range(k.bit_length()):
        reached, joined = reached @ reached, joined @ joined
    if reached.all():
        return
    remedy = "Vote on, leave one side out, or set prior=1"
    if not joined.all():
        apart = [name for name, near in zip(names, joined[0]) if not near]
        raise ValueError(
            f"No vote joins {listed(map(repr, apart))} to {names[0]!r}, so they cannot be put on "
            f"one scale. {remedy}."
        )
    # A group that nobody outside got anything against, or that got nothing against anybody outside.
    groups = {tuple(np.flatnonzero(row & column)) for row, column in zip(reached, reached.T)}
    unbeaten = {group: not np.delete(reached[:, group[0]], group).any() for group in groups}
    beaten = {group: not np.delete(reached[group[0]], group).any() for group in groups}
    group = min((g for g in groups if unbeaten[g] or beaten[g]), key=lambda g: (len(g), g))
    verb = "lost or tied" if unbeaten[group] else "won or tied"
    who = listed(repr(names[i]) for i in group)
    raise ValueError(
        f"{who} {'has' if len(group) == 1 else 'have'} never {verb} a vote against another"
        f"{'' if len(group) == 1 else ' than these'}, so no rating is too "
        f"{'high' if unbeaten[group] else 'low'}. {remedy}."
    )


def _check_told_apart(rows: np.ndarray, strengths: int, style: list[str]) -> None:
    """Raises where a covariate says no more than who is who, or than the others do."""
    for column, name in enumerate(style, strengths + 1):
        if np.linalg.matrix_rank(rows[:, :column]) < column - (
            strengths - np.linalg.matrix_rank(rows[:, :strengths])
        ):
            raise ValueError(
                f"The style {name!r} cannot be told from who the contestants are: each has the "
                "same of it in all votes, or all have. Leave it out."
            )


def _chance(log_odds: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * log_odds))


def _likeliest(
    rows: np.ndarray, shares: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression by Newton's method, and the sandwich estimate of its covariance."""

    def likelihood(found: np.ndarray) -> float:
        odds = rows @ found
        return float(weights @ (shares * odds - np.logaddexp(0, odds)))

    found = np.zeros(rows.shape[1])
    now = likelihood(found)
    for _ in range(_STEPS):
        chance = _chance(rows @ found)
        bread = rows.T @ (rows * (weights * chance * (1 - chance))[:, None])
        try:
            step = np.linalg.solve(bread, rows.T @ (weights * (shares - chance)))
        except np.linalg.LinAlgError:
            break
        while (then := likelihood(found + step)) < now - 1e-12 * abs(now):
            step /= 2
        found, now = found + step, then
        if np.abs(step).max(initial=0) < _SMALL:
            inverse = np.linalg.inv(bread)
            meat = rows.T @ (rows * (weights * (shares - chance) ** 2)[:, None])
            return found, inverse @ meat @ inverse
    raise ValueError(
        "No finite ratings and effects of style fit these votes: a style decides all of them that "
        "the contestants leave open. Vote on, leave a style out, or set prior=1."
    )


def _ratings(names, pairs, shares, found, covariance, style) -> Ratings:
    import pandas as pd

    k = len(names)
    error = _Z * np.sqrt(np.diag(covariance).clip(0))
    low, high = POINTS * (found - error), POINTS * (found + error)
    count = {"votes": shares >= 0, "tied": shares == 0.5}
    sides = {
        "won": (shares == 1, shares == 0),
        "lost": (shares == 0, shares == 1),
        **{name: (rows, rows) for name, rows in count.items()},
    }
    counted = {
        name: sum(
            np.bincount(pairs[rows, side], minlength=k)
            for side, rows in enumerate(both)
        )
        for name, both in sides.items()
    }  # fmt: skip
    table = pd.DataFrame(
        {
            "rating": MEAN + POINTS * found[:k],
            "low": MEAN + low[:k],
            "high": MEAN + high[:k],
            "rank": 0,
            **{name: counted[name] for name in ("votes", "won", "tied", "lost")},
        },
        index=pd.Index(names, name="contestant"),
    )
    effects = {"effect": POINTS * found[k:], "low": low[k:], "high": high[k:]}
    ratings = Ratings(
        table=table.sort_values("rating", ascending=False, kind="stable"),
        style=pd.DataFrame(effects, index=pd.Index(style, name="style")),
        _names=names,
        _strengths=found[:k],
        _covariance=covariance[:k, :k],
    )
    ratings.table["rank"] = [
        1 + sum(ratings.difference(other, name).low > 0 for other in names if other != name)
        for name in ratings.table.index
    ]
    return ratings
