"""`quiz`: a set of questions put to a model, each answer kept with its score."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vlm_helpers._words import whole_number
from vlm_helpers.evaluation._files import appending, resumed
from vlm_helpers.evaluation._statistics import interval
from vlm_helpers.pictures import to_rgb

Score = Callable[[str, Mapping[str, Any]], float]

KEPT = ("id", "skill", "question", "truth", "answer", "score", "seconds")  # of each answer
AHEAD = 8  # batches that are sorted by length together, so that little is padding


def exact(answer: str, item: Mapping[str, Any]) -> bool:
    """Whether the answer is the right one, letter for letter but for case, ends and a full stop."""
    return _plain(answer) == _plain(item["answer"])


def _plain(text: str) -> str:
    return text.strip().removesuffix(".").strip().casefold()


@dataclass(frozen=True)
class Run:
    """The answers to a set of questions.

    Attributes:
        rows: a dict for each item: `id`, `skill`, `question`, `truth`, `answer`, `score`, `seconds`
            (its share of its batch).
    """

    rows: list[dict[str, Any]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def scores(self) -> np.ndarray:
        """The score of each item, [items]."""
        return np.array([row["score"] for row in self.rows], float)

    @property
    def score(self) -> float:
        """The mean score: of right and wrong, the share that is right."""
        return float(self.scores.mean())

    @property
    def table(self) -> Any:
        """The rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=KEPT)

    def by(self, column: str = "skill") -> Any:
        """The mean score of each group, as a DataFrame with `score`, `low`, `high` and `n`.

        `low` and `high` are its 95 % interval. The groups stand in the order of the items.
        """
        import pandas as pd

        groups = self.table.groupby(column, sort=False)["score"]
        rows = {
            name: (s.mean(), *interval(s.to_numpy()), len(s))
            for name, s in groups
        }  # fmt: skip
        columns = ["score", "low", "high", "n"]
        return pd.DataFrame.from_dict(rows, "index", columns=columns).rename_axis(column)

    def __str__(self) -> str:
        low, high = interval(self.scores)
        return f"{self.score:.3f} ({low:.3f} to {high:.3f}), {len(self)} items"


def quiz(
    vlm: Any,
    items: Iterable[Mapping[str, Any]],
    *,
    score: Score = exact,
    batch_size: int = 32,
    out: str | Path | None = None,
    progress: bool = False,
    grey: bool = False,
    **generate: Any,
) -> Run:
    """Asks every item, scores every answer, and keeps both.

    Args:
        vlm: a `VLM`, or any function `(pictures, questions) -> answers`; `pictures` holds a list of
            pictures for each question.
        items: dicts with `question`, `answer`, a picture in `image` or several in `images`, or
            none; `id` (else its number), `skill` and `candidates` where they are known. An iterator
            is read as it goes, so that a set need not fit into memory.
        score: `(answer, item) -> float`, 1 for right and 0 for wrong, or anything between.
        batch_size: questions that are asked together.
        out: a JSON Lines file to keep the run in, a line for each answer as soon as it is there.
            Where it exists, the run goes on: what it holds is not asked again.
        progress: show a bar.
        grey: put a plain grey picture of the same size in place of each; see `blind`.
        generate: passed on to `vlm.ask`, such as `max_new_tokens=8`.
    Returns:
        The `Run`, its rows in the order of the items.
    Raises:
        TypeError, ValueError: for an item that cannot be asked (its number is named), an answer
            that is not text, or a file that holds another run.
    """
    from tqdm.auto import tqdm

    batch_size = whole_number("batch_size", batch_size, least=1)
    ask = getattr(vlm, "ask", vlm)
    if not callable(ask):
        raise TypeError(
            "What is asked is a VLM, or a function (pictures, questions) -> answers, not a "
            f"{type(vlm).__name__}."
        )
    options = generate if ask is vlm else {"batch_size": batch_size, **generate}
    settings = {"model": _name(vlm), "score": _name(score), "blind": grey, **generate}
    done = {} if out is None else resumed(Path(out), settings)
    order: list[Any] = []
    total = len(items) if isinstance(items, Sequence) else None
    with appending(out, settings) as write, tqdm(total=total, disable=not progress) as bar:
        for chunk in _chunks(_numbered(items, order), batch_size * AHEAD):
            waiting = [item for item in chunk if not _answered(item, done)]
            bar.update(len(chunk) - len(waiting))
            waiting.sort(key=lambda item: len(item["question"]))
            for batch in _chunks(waiting, batch_size):
                for row in _asked(ask, batch, score, options, grey):
                    done[row["id"]] = row
                    write(row)
                bar.update(len(batch))
    if not order:
        raise ValueError("There is no item to ask: the set is empty.")
    return Run([done[name] for name in order])


def blind(vlm: Any, items: Iterable[Mapping[str, Any]], **options: Any) -> Run:
    """`quiz`, with every picture replaced by plain grey of the same size; `options` as there.

    What a model still gets right it owes to luck, or to what the question gives away.
    """
    return quiz(vlm, items, grey=True, **options)


def _name(thing: Any) -> str:
    """A name by which a file tells one model, or one score, from another."""
    card = getattr(thing, "card", None)
    if card is not None:
        return " + ".join(filter(None, (card.name, card.adapter)))
    return getattr(thing, "__name__", type(thing).__name__)


def _answered(item: Mapping[str, Any], done: Mapping[Any, Mapping[str, Any]]) -> bool:
    row = done.get(item["id"])
    if row is None:
        return False
    if (row["question"], row["truth"]) != (item["question"], item["answer"]):
        raise ValueError(
            f"The file of this run has another question under the id {item['id']!r}: it belongs "
            "to another set of items, so give another file as out."
        )
    return True


def _grey(picture: Any) -> Image.Image:
    return Image.new("RGB", to_rgb(picture).size, (128, 128, 128))


def checked(number: int, item: Mapping[str, Any]) -> dict[str, Any]:
    """The item as a dict. Raises unless it is one, with a question and an answer that are text."""
    if not isinstance(item, Mapping):
        raise TypeError(
            f"Item {number} is of type {type(item).__name__}: an item is a dict with 'question', "
            "'answer' and 'image'."
        )
    for name in ("question", "answer"):
        if not isinstance(item.get(name), str):
            what = f"as {type(item[name]).__name__}" if name in item else "missing"
            columns = ", ".join(map(repr, item)) or "none"
            raise ValueError(
                f"The {name} of item {number} is {what}: it must be a text in the column "
                f"{name!r} (the item's columns: {columns})."
            )
    return dict(item)


def _pictures(item: Mapping[str, Any]) -> list[Any]:
    found = item.get("images")
    if found is None:
        found = item.get("image")
    if found is None:
        return []
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _numbered(items: Iterable[Mapping[str, Any]], order: list[Any]) -> Iterator[dict[str, Any]]:
    seen = set()
    for number, item in enumerate(items):
        item = checked(number, item)
        name = item.get("id")
        item["id"] = number if name is None else name
        if item["id"] in seen:
            raise ValueError(f"Item {number} has the id {name!r} of another one: ids must differ.")
        seen.add(item["id"])
        order.append(item["id"])
        yield item


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while chunk := list(itertools.islice(items, size)):
        yield chunk


def _asked(
    ask: Callable[..., Any],
    batch: list[dict[str, Any]],
    score: Score,
    options: dict[str, Any],
    grey: bool,
) -> Iterator[dict[str, Any]]:
    pictures = [_pictures(item) for item in batch]
    if grey:
        pictures = [[_grey(one) for one in several] for several in pictures]
    started = time.perf_counter()
    answers = ask(pictures, [item["question"] for item in batch], **options)
    seconds = (time.perf_counter() - started) / len(batch)
    if len(answers) != len(batch):
        raise ValueError(f"{len(batch)} questions got {len(answers)} answers.")
    for item, answer in zip(batch, answers):
        if not isinstance(answer, str):
            raise TypeError(
                f"The answer to item {item['id']!r} is of type {type(answer).__name__}: it must be "
                "text."
            )
        yield {
            "id": item["id"],
            "skill": item.get("skill"),
            "question": item["question"],
            "truth": item["answer"],
            "answer": answer,
            "score": float(score(answer, item)),
            "seconds": round(seconds, 4),
        }
