"""`quiz`: a set of questions put to a model, each answer kept with its score."""

from __future__ import annotations

import itertools
import math
import operator
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vlm_helpers._words import as_number, choice, count, did_you_mean, plain, whole_number
from vlm_helpers.evaluation._files import File, as_path, read
from vlm_helpers.evaluation._statistics import interval
from vlm_helpers.evaluation.rules import Rule
from vlm_helpers.pictures import to_rgb

Score = Callable[[str, Mapping[str, Any]], float]

# Of each answer, in a table; a row has `rules` besides.
KEPT = ("id", "skill", "question", "truth", "answer", "extracted", "score", "seconds")
AHEAD = 8  # batches that are sorted by length together, so that little is padding


def exact(answer: str, item: Mapping[str, Any]) -> bool:
    """Whether the answer is the right one, letter for letter but for case, ends and a full stop."""
    return plain(answer) == plain(item["answer"])


@dataclass(frozen=True)
class Run:
    """The answers to a set of questions.

    Attributes:
        rows: a dict for each item: `id`, `skill`, `question`, `truth`, `answer`, `seconds` (its
            share of its batch), `extracted` and `score` (what the rule took from the answer, and
            how right that is), and `rules`: the same two for each rule, by its name.
    """

    rows: list[dict[str, Any]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """A run that `quiz` has kept in a file, in the order of its items. The file stays as it is.

        A run that did not come to its end is read as far as it came, with a warning.

        Raises:
            FileNotFoundError, TypeError, ValueError: there is no such file, it holds something else
                or a run of another version, or no answer yet.
        """
        contents = read(as_path("path", path))
        if not contents.rows:
            raise ValueError(f"{path} holds no answer yet.")
        if contents.items is None:
            torn = "; its last line is half written and is left out" if contents.torn else ""
            warnings.warn(
                f"{path} holds {count(len(contents.rows), 'answer')} of a run that did not come to "
                f"its end{torn}: quiz(…, out={Path(path).name!r}) goes on with it.",
                stacklevel=2,
            )
        return cls([_row(row) for row in contents.rows])

    @property
    def scores(self) -> np.ndarray:
        """The score of each item, [items]."""
        return np.array([row["score"] for row in self.rows], float)

    @property
    def score(self) -> float:
        """The mean score: of right and wrong, the share that is right."""
        return float(self.scores.mean())

    @property
    def rules(self) -> list[str]:
        """The names of the rules that it was scored by."""
        return list(self.rows[0].get("rules", ())) if self.rows else []

    def under(self, rule: str) -> Run:
        """The same answers with the scores of another of its `rules`.

        Raises:
            ValueError: for one that the run was not scored by.
        """
        if rule not in self.rules:
            raise ValueError(
                f"This run has no scores by {rule!r}; {did_you_mean(rule, self.rules)} `rescored` "
                "gives it others."
            )
        return Run([_row(row, rule) for row in self.rows])

    def rescored(
        self, items: Iterable[Mapping[str, Any]], score: Score | Mapping[str, Score]
    ) -> Run:
        """The same answers scored anew. Nothing is asked.

        Args:
            items: those that the run is over: rules look at their options and other columns.
            score: as for `quiz`.
        Raises:
            ValueError: for an item that the run has no answer to, or an answer without its item.
        """
        rules, left, rows = rules_of(score), {row["id"]: row for row in self.rows}, []
        for item in numbered(without_pictures(items), {}):
            row = _answered(item, left)
            if row is None:
                raise ValueError(f"The run has no answer to the item {item['id']!r}.")
            del left[item["id"]]
            rows.append(_row({**row, "rules": judged(row["answer"], item, rules)}))
        if left:
            raise ValueError(
                f"The run has answers to {count(len(left), 'item')} that are not given here, such "
                f"as {next(iter(left))!r}."
            )
        return Run(rows)

    @property
    def table(self) -> Any:
        """The rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=KEPT)

    def by(self, column: str = "skill") -> Any:
        """The mean score of each group, as a DataFrame with `score`, `low`, `high` and `n`.

        `low` and `high` are its 95 % interval. The groups stand in the order of the items; items
        without a skill are a group too.

        Raises:
            ValueError: for a column that the table does not have.
        """
        import pandas as pd

        column = choice("column", column, KEPT)
        groups = self.table.groupby(column, sort=False, dropna=False)["score"]
        rows = {
            name: (s.mean(), *interval(s.to_numpy()), len(s))
            for name, s in groups
        }  # fmt: skip
        columns = ["score", "low", "high", "n"]
        return pd.DataFrame.from_dict(rows, "index", columns=columns).rename_axis(column)

    def __str__(self) -> str:
        low, high = interval(self.scores)
        return f"{self.score:.3f} ({low:.3f} to {high:.3f}), {len(self)} items"


def _row(row: dict[str, Any], rule: str | None = None) -> dict[str, Any]:
    """A row with the score of one of its rules, by default of the first."""
    extracted, score = row["rules"][rule or next(iter(row["rules"]))]
    kept = {name: value for name, value in row.items() if name != "number"}
    return {**kept, "extracted": extracted, "score": score}


def quiz(
    vlm: Any,
    items: Iterable[Mapping[str, Any]],
    *,
    score: Score | Mapping[str, Score] = exact,
    batch_size: int = 32,
    out: str | Path | None = None,
    progress: bool = False,
    grey: bool = False,
    accelerator: Any = None,
    **generate: Any,
) -> Run:
    """Asks every item, scores every answer, and keeps both.

    Args:
        vlm: a `VLM`, or any function `(pictures, questions) -> answers`; `pictures` holds a list of
            pictures for each question.
        items: dicts with `question`, `answer`, a picture in `image` or several in `images`, or
            none; `id` (else its number), `skill` and `candidates` where they are known. An iterator
            is read as it goes, so that a set need not fit into memory.
        score: `(answer, item) -> float`, 1 for right and 0 for wrong, or anything between; a
            `Rule`, which also says what it took from the answer; or several by name, of which the
            first is the run's own.
        batch_size: questions that are asked together.
        out: a JSON Lines file to keep the run in, a line for each answer as soon as it is there.
            Where it exists, the run goes on: what it holds is not asked again. `Run.load` reads it.
        progress: show a bar.
        grey: put a plain grey picture of the same size in place of each; see `blind`.
        accelerator: accelerate's `PartialState` or `Accelerator`, in a script that `accelerate
            launch` starts and that ends with its `destroy_process_group()`: each process asks its
            share of the batches, and all return the whole run. With `out`, all see one folder.
        generate: passed on to `vlm.ask`, such as `max_new_tokens=8`.
    Returns:
        The `Run`, its rows in the order of the items.
    Raises:
        TypeError, ValueError: for an item that cannot be asked (its number is named), an answer
            that is not text, a score that is no number, or a file that holds another run.
    """
    from tqdm.auto import tqdm

    batch_size = whole_number("batch_size", batch_size, least=1)
    ask = getattr(vlm, "ask", vlm)
    if not callable(ask):
        raise TypeError(
            "What is asked is a VLM, or a function (pictures, questions) -> answers, not a "
            f"{type(vlm).__name__}."
        )
    rules = rules_of(score)
    options = generate if ask is vlm else {"batch_size": batch_size, **generate}
    names = list(rules) if isinstance(score, Mapping) else next(iter(rules))
    settings = {"model": _name(vlm), "score": names, "blind": grey, **generate}
    process, processes = 0, 1
    if accelerator is not None:
        process, processes = accelerator.process_index, accelerator.num_processes
    file = File(out, settings, process, processes)
    done = file.answers()
    if processes > 1:
        accelerator.wait_for_everyone()  # nobody writes while another still reads what was there
    order: dict[Any, int] = {}
    total = operator.length_hint(items) or None
    # A set that can be indexed is gone through without its pictures: they are drawn or opened for
    # those items that this process asks.
    plan = without_pictures(items) if total and hasattr(items, "__getitem__") else items
    with file.appending() as write, tqdm(total=total, disable=not progress or process > 0) as bar:
        for number, batch in enumerate(_batches(plan, batch_size, order)):
            waiting = [item for item in batch if not _answered(item, done)]
            if waiting and number % processes == process:
                if plan is not items:
                    waiting = [{**items[order[i["id"]]], "id": i["id"]} for i in waiting]
                for row in _asked(ask, waiting, rules, options, grey):
                    done[row["id"]] = {"number": order[row["id"]], **row}
                    write(done[row["id"]])
            bar.update(len(batch))
    if not order:
        raise ValueError("There is no item to ask: the set is empty.")
    if processes > 1:
        from accelerate.utils import gather_object

        done = {row["id"]: row for row in gather_object(list(done.values()))}
    rows = [done[name] for name in order]
    if process == 0:
        file.finish(rows)
    if processes > 1:
        accelerator.wait_for_everyone()
    return Run([_row(row) for row in rows])


def blind(vlm: Any, items: Iterable[Mapping[str, Any]], **options: Any) -> Run:
    """`quiz`, with every picture replaced by plain grey of the same size; `options` as there.

    What a model still gets right it owes to luck, or to what the question gives away.
    """
    return quiz(vlm, items, grey=True, **options)


def without_pictures(items: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The same items for what needs no pictures: where the set can, none is drawn or opened."""
    if hasattr(items, "without_pictures"):
        return items.without_pictures()
    if hasattr(items, "remove_columns"):  # a set of `datasets`
        return items.remove_columns({"image", "images"} & set(items.column_names or ()))
    return items


def _name(thing: Any) -> str:
    """A name by which a file tells one model, or one score, from another."""
    card = getattr(thing, "card", None)
    if card is not None:
        return " + ".join(filter(None, (card.name, card.adapter)))
    if isinstance(thing, Rule):
        return thing.name
    return getattr(thing, "__name__", type(thing).__name__)


def rules_of(score: Score | Mapping[str, Score]) -> dict[str, Score]:
    rules = dict(score) if isinstance(score, Mapping) else {_name(score): score}
    for name, rule in rules.items():
        if not callable(rule) or not isinstance(name, str):
            raise TypeError(
                f"score is {score!r}: it must be a function (answer, item) -> float, such as "
                "by_rule('mmmu'), or several of them by name."
            )
    if not rules:
        raise ValueError("score names no rule: give at least one.")
    return rules


def judged(
    answer: str, item: Mapping[str, Any], rules: Mapping[str, Score]
) -> dict[str, tuple[str | None, float]]:
    """What each rule takes from the answer, and its score."""
    judged = {}
    for name, rule in rules.items():
        taken, value = (
            rule.judge(answer, item) if isinstance(rule, Rule) else (None, rule(answer, item))
        )
        number = as_number(value, truth=True)
        if number is None or not math.isfinite(number):
            raise TypeError(
                f"{name!r} scores the answer to item {item['id']!r} as {value!r:.60}: a score is a "
                "finite number, 1 for right and 0 for wrong."
            )
        judged[name] = [None if taken is None else str(taken), number]
    return judged


def _answered(item: Mapping[str, Any], done: Mapping[Any, dict[str, Any]]) -> dict[str, Any] | None:
    """The row of an item that was answered before."""
    row = done.get(item["id"])
    if row and (row["question"], row["truth"]) != (item["question"], item["answer"]):
        raise ValueError(
            f"This run has another question under the id {item['id']!r}, or another right answer: "
            "it belongs to another set of items."
        )
    return row


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
            what = f"of type {type(item[name]).__name__}" if name in item else "missing"
            columns = ", ".join(map(repr, item)) or "none"
            raise ValueError(
                f"The {name} of item {number} is {what}: it must be a text in the column "
                f"{name!r} (the item's columns: {columns})."
            )
    item = dict(item)
    for name in ("id", "skill"):
        value = item.get(name)
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, str | int | None) or isinstance(value, bool):
            raise TypeError(
                f"The {name} of item {number} is of type {type(value).__name__}: it must be a text "
                "or a whole number."
            )
        if name in item:
            item[name] = value
    return item


def pictures_of(item: Mapping[str, Any]) -> list[Any]:
    found = item.get("images")
    if found is None:
        found = item.get("image")
    if found is None:
        return []
    return list(found) if isinstance(found, (list, tuple)) else [found]


def iterated(items: Any) -> Iterator[Any]:
    """What goes through the items. Raises `TypeError` where nothing does."""
    if not isinstance(items, Iterable) and not hasattr(items, "__getitem__"):
        raise TypeError(
            f"items is of type {type(items).__name__}: it must be a list of dicts, or a data set."
        )
    return iter(items)


def numbered(items: Iterable[Mapping[str, Any]], order: dict[Any, int]) -> Iterator[dict[str, Any]]:
    """The items, each with its id; `order` notes the ids and their numbers."""
    for number, item in enumerate(iterated(items)):
        item = checked(number, item)
        if item.get("id") is None:
            item["id"] = number
        if item["id"] in order:
            raise ValueError(
                f"Item {number} has the id {item['id']!r} of another one: ids must differ."
            )
        order[item["id"]] = number
        yield item


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while chunk := list(itertools.islice(items, size)):
        yield chunk


def _batches(
    items: Iterable[Mapping[str, Any]], size: int, order: dict[Any, int]
) -> Iterator[list[dict[str, Any]]]:
    """Items that are asked together: always the same ones, whatever was answered before."""
    for chunk in _chunks(numbered(items, order), size * AHEAD):
        chunk.sort(key=lambda item: len(item["question"]))
        yield from _chunks(chunk, size)


def _asked(
    ask: Callable[..., Any],
    batch: list[dict[str, Any]],
    rules: Mapping[str, Score],
    options: dict[str, Any],
    grey: bool,
) -> Iterator[dict[str, Any]]:
    pictures = [pictures_of(item) for item in batch]
    if grey:
        pictures = [[_grey(one) for one in several] for several in pictures]
    started = time.perf_counter()
    answers = ask(pictures, [item["question"] for item in batch], **options)
    seconds = (time.perf_counter() - started) / len(batch)
    # A set or a dict of them has no order, or that of something else.
    if isinstance(answers, str | Set | Mapping) or not isinstance(answers, Iterable):
        raise TypeError(
            f"{count(len(batch), 'question')} got one {type(answers).__name__}: what is asked must "
            "give a list of texts, one for each question."
        )
    answers = list(answers)
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
            "rules": judged(answer, item, rules),
            "seconds": round(seconds, 4),
        }
