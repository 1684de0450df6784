"""An arena: two contestants answer the same question, and somebody says which answer is better."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from vlm_helpers._draws import Draws
from vlm_helpers._words import choice, did_you_mean, listed
from vlm_helpers.evaluation._files import append, opened
from vlm_helpers.evaluation._quiz import checked, pictures_of, without_pictures
from vlm_helpers.evaluation._ratings import VOTES, Ratings, bradley_terry, checked_vote
from vlm_helpers.pictures import to_rgb

HEAD = {"votes of an arena": 1}  # rises when a file of before can no longer be read
LIVE_PRIOR = 1.0  # so that whoever has lost the first vote is rated already


@dataclass(frozen=True)
class Pair:
    """Two answers to one question, to be voted on. Who gave them is not shown with it.

    Attributes:
        number: how many votes were there before.
        position: of the item in its set.
        question: what both were asked.
        pictures: about what.
        answer_a, answer_b: what the two say.
        a, b: their names.
    """

    number: int
    position: int
    question: str
    pictures: list[Any] = field(repr=False)
    answer_a: str
    answer_b: str
    a: str = field(repr=False)
    b: str = field(repr=False)


def votes(path: str | Path) -> list[dict[str, Any]]:
    """The votes of a file that an arena has written, in order.

    A last line that a kill left half written is passed over; the file stays as it is.

    Raises:
        ValueError: the file holds something else, or a line that is no vote; it is named.
    """
    path = Path(path)
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    remedy = "Give another file as votes, or move this one away"
    found = []
    for number, line in enumerate(whole.splitlines()):
        try:
            row = json.loads(line)
            if number and row != HEAD:  # one more is of an arena that began at the same moment
                found.append(dict(checked_vote(number - 1, row)))
        except (ValueError, TypeError):
            row = None
        if row is None or (number == 0 and row != HEAD):
            what = f"no vote in line {number + 1}" if number else "no votes of an arena"
            raise ValueError(f"{path} holds {what}, and is left as it is. {remedy}.")
    if not whole and not json.dumps(HEAD).encode().startswith(data):
        raise ValueError(f"{path} holds no votes of an arena, and is left as it is. {remedy}.")
    return found


class Arena:
    """Pairs of answers, fairly drawn, and the votes on them, kept on disk as they come.

        arena = Arena({"pocket-llava": vlm, "blind": blind}, items, votes="votes.jsonl")
        pair = arena.next()
        arena.vote(pair, "A")
        arena.ratings().table

    Every two contestants meet equally often, each as often on the left as on the right, and no
    question comes again before all have been asked; within that, chance decides, by `seed` and the
    votes so far alone. So what comes next can't be changed by asking again.

    Args:
        contestants: two or more, by name: each a `VLM`, or a function
            `(pictures, questions) -> answers`, as for `quiz`.
        items: dicts with `question`, `answer` and a picture, as for `quiz`.
        votes: a JSON Lines file to keep the votes in, each as soon as it is cast. Where it exists,
            the arena goes on from it: contestants may have come, but none may have left.
        seed: of the draw.
    Raises:
        TypeError, ValueError: for contestants or items that cannot meet, and for a file that
            belongs to another arena. The file stays as it is.
    """

    def __init__(
        self,
        contestants: Mapping[str, Any],
        items: Iterable[Mapping[str, Any]],
        *,
        votes: str | Path | None = None,
        seed: int = 0,
    ):
        if not isinstance(contestants, Mapping):
            raise TypeError(
                "contestants must be a dict of VLMs or functions by their names, not a "
                f"{type(contestants).__name__}."
            )
        self.contestants = {name: _asker(name, who) for name, who in contestants.items()}
        if len(self.contestants) < 2:
            raise ValueError(
                f"An arena needs two contestants or more, and this one has "
                f"{listed(map(repr, self.contestants)) or 'none'}."
            )
        if not isinstance(items, Iterable):
            raise TypeError(
                f"items is of type {type(items).__name__}: it must be a list of dicts, or a data "
                "set."
            )
        self.items = items if isinstance(items, Sequence) else list(items)
        if not len(self.items):
            raise ValueError("There is no question to ask: the set of items is empty.")
        self.seed, self.path = seed, None if votes is None else Path(votes)
        self.votes: list[dict[str, Any]] = []
        self._answers: dict[tuple[str, int], str] = {}
        self._failed = 0
        if self.path is not None and self.path.exists():
            self._go_on()

    def _go_on(self) -> None:
        found = votes(self.path)
        asked = without_pictures(self.items)
        remedy = "Give another file as votes, or the contestants and items that it was made with"
        for vote in found:
            for side in "ab":
                if vote[side] not in self.contestants:
                    raise ValueError(
                        f"{self.path} holds votes on {vote[side]!r}, who is no contestant here: "
                        f"{did_you_mean(vote[side], self.contestants)} {remedy}."
                    )
            position = vote.get("item")
            if not isinstance(position, int) or not 0 <= position < len(self.items):
                raise ValueError(
                    f"{self.path} holds votes on an item {position!r}, and there are "
                    f"{len(self.items)} here. {remedy}."
                )
            if asked[position]["question"] != vote.get("question"):
                raise ValueError(
                    f"{self.path} has another question for item {position}, so it belongs to "
                    f"another set of items. {remedy}."
                )
        self.votes = found

    def next(self) -> Pair:
        """The pair to vote on now; it stays the same until it is voted on.

        Raises:
            TypeError: for an answer that is no text; and what `vlm_helpers.pictures` raises for a
                picture that cannot be read. Then another pair comes next.
        """
        draw = Draws(f"arena/{self.seed}/{len(self.votes)}/{self._failed}")
        met = Counter(frozenset((vote["a"], vote["b"])) for vote in self.votes)
        two = draw.pick(
            _least(combinations(self.contestants, 2), lambda pair: met[frozenset(pair)])
        )
        left = Counter(vote["a"] for vote in self.votes if {vote["a"], vote["b"]} == set(two))
        a = draw.pick(_least(two, left.__getitem__))
        b = two[two[0] == a]
        shown = Counter(vote["item"] for vote in self.votes)
        position = draw.pick(_least(range(len(self.items)), shown.__getitem__))
        item = checked(position, self.items[position])
        question = item["question"]
        try:
            pictures = [to_rgb(picture) for picture in pictures_of(item)]
            answers = [self._answer(name, position, question, pictures) for name in (a, b)]
        except Exception:
            self._failed += 1
            raise
        return Pair(len(self.votes), position, question, pictures, *answers, a, b)

    def _answer(self, name: str, position: int, question: str, pictures: list[Any]) -> str:
        if (name, position) not in self._answers:
            answers = self.contestants[name]([pictures], [question])
            given = [] if isinstance(answers, str | Mapping) else answers
            given = list(given) if isinstance(given, Iterable) else []
            if len(given) != 1 or not isinstance(given[0], str):
                raise TypeError(
                    f"The contestant {name!r} did not answer item {position} with a list of one "
                    f"text, but with {answers!r:.80}."
                )
            self._answers[name, position] = str(given[0])
        return self._answers[name, position]

    def vote(self, pair: Pair, vote: str) -> dict[str, Any]:
        """Counts and keeps a vote: "A", "B", "tie" or "both bad". Gives what was kept.

        Raises:
            ValueError: for another vote, or a pair that is voted on already.
            OSError: it cannot be written; then it is not counted either.
        """
        choice("vote", vote, VOTES)
        if pair.number != len(self.votes):
            raise ValueError("This pair is voted on already: ask for the next one.")
        cast = {
            "a": pair.a,
            "b": pair.b,
            "vote": vote,
            "item": pair.position,
            "question": pair.question,
            "answer_a": pair.answer_a,
            "answer_b": pair.answer_b,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        if self.path is not None:
            self._write(cast)
        self.votes.append(cast)
        return cast

    def _write(self, cast: dict[str, Any]) -> None:
        with opened(self.path) as file:
            append(file, *([cast] if file.tell() else [HEAD, *self.votes, cast]))

    def ratings(self, *, prior: float = LIVE_PRIOR, **options: Any) -> Ratings:
        """`bradley_terry` of the votes so far, by default with one imagined vote a contestant."""
        return bradley_terry(self.votes, prior=prior, **options)


def _asker(name: Any, who: Any) -> Callable[..., Any]:
    if not isinstance(name, str) or not name:
        raise TypeError(f"A contestant's name must be a text, not {name!r}.")
    ask = getattr(who, "ask", who)
    if not callable(ask):
        raise TypeError(
            f"The contestant {name!r} is of type {type(who).__name__}: it must be a VLM, or a "
            "function (pictures, questions) -> answers."
        )
    return ask


def _least(these: Iterable[Any], key: Callable[[Any], int]) -> list[Any]:
    these = list(these)
    least = min(map(key, these))
    return [one for one in these if key(one) == least]
