"""Does an arena find the best, how many votes does that take, and what does the voters' taste do?

The answers are real, those of `arena_answers`; the voters are simulated, so that their taste is
known. A voter shown answers A and B to one question feels TASTE times (A is right - B is right),
plus what the answers' looks are worth to this voter, plus chance (logistic). Above TIE it is a vote
for A, below -TIE one for B; between them it is "tie" if an answer is right, else "both bad".

Four kinds of voters: "fair" ones see nothing but what is right; those who "like length" give LIKES
for each doubling of the words; those who "like bold" give it for bold type. To those, length is
worth less the more there is, but not in the form that style control takes it in: the remedy is not
made to measure. It is for the fourth, who "like shares": (A's words - B's) / (A's + B's). Every two
contestants meet equally often, on either side, and questions come again only when all have been
asked.

Style control learns what a style does from contestants that change theirs. For length that is,
above all, the one that is chatty at times; in four settings the arena is `without` it.

Rated by `bradley_terry`, plainly and with style control for words and bold type, with an imagined
vote each (`prior=1`) so that short runs have ratings too. Each line is a contestant after so many
votes, over 50 sets of votes. `limit` is the rating that many votes lead to (each two contestants
10 times on each question and side); `rating` and `spread` are mean and standard deviation;
`covered` is the share of intervals that hold the limit; `apart` is the share of sets that put the
contestant above `next` (the next one in the limit of fair voters) with an interval of the
difference above 0, and `wrong` that of sets which put it below in that way.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

import vlm_helpers as vh

VOTES = (100, 200, 400, 800, 1600, 3200)
SETS, PRIOR = 50, 1.0
TASTE, TIE = 2.0, 0.7
LIKES = {
    "fair": {},
    "like length": {"doublings": 0.5},
    "like bold": {"bold": 1.5},
    "like shares": {"share": 1.5},
}
STYLE = {"words": lambda answer: len(answer.split()), "bold": lambda answer: "**" in answer}
CHANGES = "short-sighted, at times chatty"
IN_THE_END = 10  # votes on each two contestants, question and side


def settings() -> list[dict]:
    voters = ("fair", "like length", "like bold")
    grid = list(itertools.product(("nobody",), voters, (False, True), VOTES))
    grid += itertools.product((CHANGES,), ("fair", "like length"), (False, True), VOTES[-1:])
    grid += itertools.product(("nobody",), ("like shares",), (False, True), VOTES[-1:])
    columns = ("without", "voters", "style_control", "votes")
    return [dict(zip(columns, one)) for one in grid]


class Answers:
    """The stored answers, and what there is to like in them: arrays [contestants, items]."""

    def __init__(self, without: str):
        table = vh.evaluation.experiment("arena_answers").fillna({"answer": ""})
        table = table[table["contestant"] != without]
        self.names = list(dict.fromkeys(table["contestant"]))
        self.texts = table.pivot(index="contestant", columns="item", values="answer")
        self.texts = self.texts.loc[self.names].to_numpy()
        right = table.pivot(index="contestant", columns="item", values="right")
        self.right = right.loc[self.names].to_numpy(float)
        self.words = np.vectorize(STYLE["words"])(self.texts)
        self.bold = np.vectorize(STYLE["bold"])(self.texts).astype(float)

    def looks(self, kind: str, a, b, items):
        """How much more there is to like in A's answers than in B's."""
        if kind == "bold":
            return self.bold[a, items] - self.bold[b, items]
        one, other = self.words[a, items], self.words[b, items]
        if kind == "doublings":
            return np.log2(1 + one) - np.log2(1 + other)
        return (one - other) / np.maximum(one + other, 1)

    def voted(self, voters: str, a, b, items, dice) -> list[dict]:
        """Votes on contestants `a` and `b` (numbers) by voters of a kind."""
        felt = TASTE * (self.right[a, items] - self.right[b, items])
        for look, weight in LIKES[voters].items():
            felt += weight * self.looks(look, a, b, items)
        felt += dice.logistic(size=len(felt))
        good = self.right[a, items] + self.right[b, items] > 0
        kinds = np.where(np.abs(felt) < TIE, np.where(good, "tie", "both bad"), "")
        kinds = np.where(kinds == "", np.where(felt > 0, "A", "B"), kinds)
        return [
            {
                "a": self.names[i],
                "b": self.names[j],
                "vote": str(kind),
                "answer_a": self.texts[i, item],
                "answer_b": self.texts[j, item],
            }
            for i, j, item, kind in zip(a, b, items, kinds)
        ]

    def some(self, voters: str, votes: int, seed: int) -> list[dict]:
        dice = np.random.default_rng([list(LIKES).index(voters), votes, seed])
        pairs = np.array(list(itertools.permutations(range(len(self.names)), 2)))
        a, b = pairs[_rounds(len(pairs), votes, dice)].T
        return self.voted(voters, a, b, _rounds(self.right.shape[1], votes, dice), dice)

    def many(self, voters: str) -> list[dict]:
        pairs = list(itertools.permutations(range(len(self.names)), 2))
        grid = itertools.product(pairs, range(self.right.shape[1]), range(IN_THE_END))
        a, b, items = np.array([(*pair, item) for pair, item, _ in grid]).T
        return self.voted(voters, a, b, items, np.random.default_rng(0))


def _rounds(n: int, length: int, dice) -> np.ndarray:
    """Numbers below n: all of them in some order, then all in another, and so on."""
    return np.concatenate([dice.permutation(n) for _ in range(-(-length // n))])[:length]


def rated(votes: list[dict], control: bool):
    return vh.evaluation.bradley_terry(votes, style=STYLE if control else None, prior=PRIOR)


answers = functools.cache(Answers)


@functools.cache
def limit(without: str, voters: str, control: bool):
    """The ratings, by contestant, that many votes lead to."""
    return rated(answers(without).many(voters), control).table["rating"]


def run(without: str, voters: str, style_control: bool, votes: int) -> list[dict]:
    order = list(limit(without, "fair", False).index)
    ends = limit(without, voters, style_control)
    found = [
        rated(answers(without).some(voters, votes, seed), style_control) for seed in range(SETS)
    ]  # fmt: skip
    rows = []
    for name, after in itertools.zip_longest(order, order[1:]):
        lines = [one.table.loc[name] for one in found]
        inside = [line["low"] <= ends[name] <= line["high"] for line in lines]
        row = {
            "contestant": name,
            "limit": float(ends[name]),
            "rating": float(np.mean([line["rating"] for line in lines])),
            "spread": float(np.std([line["rating"] for line in lines], ddof=1)),
            "covered": float(np.mean(inside)),
        }
        if after:
            gaps = [one.difference(name, after) for one in found]
            row["next"] = after
            row["apart"] = float(np.mean([gap.low > 0 for gap in gaps]))
            row["wrong"] = float(np.mean([gap.high < 0 for gap in gaps]))
        rows.append(row)
    return rows
