"""CircularEval: each question is asked once for every place that its right answer can stand at.

MMBench's rule (Liu et al. 2023, arxiv.org/abs/2307.06281), in the form of VLMEvalKit at e8e78f0
(August 2026, Apache-2.0; `vlmeval/tools.py` and `mcq_circular_eval`): the options move up by one
from turn to turn, and the index of turn i is that of the question plus i million.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vlm_helpers._words import listed
from vlm_helpers.evaluation._prompt import REQUEST, option_lines, with_options
from vlm_helpers.evaluation._quiz import Run, checked, iterated, quiz
from vlm_helpers.evaluation.rules import by_rule
from vlm_helpers.evaluation.rules._given import LETTERS, lettered, text

MILLION = 10**6


@dataclass(frozen=True)
class Circular:
    """What CircularEval found.

    Attributes:
        run: a row an item, scored 1 where every turn is right. Its `answer` holds the letters taken
            turn by turn, "-" for none.
        turns: all turns, each scored on its own: what is reported without CircularEval.
    """

    run: Run
    turns: Run

    def by_letter(self) -> Any:
        """Position bias: a DataFrame with a row a letter.

        Its columns: `right`, the share right where the right answer stands at this letter; `stands`
        and `taken`, how often the right answer stands there and how often the model takes it.
        """
        import pandas as pd

        truths = [row["truth"] for row in self.turns.rows]
        scores = defaultdict(list)
        for truth, score in zip(truths, self.turns.scores):
            scores[truth].append(score)
        taken, n = Counter(row["extracted"] for row in self.turns.rows), len(truths)
        rows = {
            letter: (sum(s) / len(s), len(s) / n, taken[letter] / n)
            for letter, s in sorted(scores.items())
        }  # fmt: skip
        columns = ["right", "stands", "taken"]
        return pd.DataFrame.from_dict(rows, "index", columns=columns).rename_axis("letter")


def rotations(
    items: Iterable[Mapping[str, Any]], request: str = REQUEST
) -> Iterator[dict[str, Any]]:
    """The items turned: of one with n options n items, the first as it is.

    Args:
        items: with `question`, `options` (texts) and the right letter in `answer`. Where the
            question does not list the options already, a line for each ("A. red") is put after it.
        request: the line after those.
    Yields:
        Items whose `id` is the question's number in the set, plus a million for each turn.
    Raises:
        TypeError, ValueError: an item without these, or more than a million of them.
    """
    for index, item in enumerate(iterated(items)):
        if index == MILLION:
            raise ValueError("CircularEval tells turns by millions: ask fewer questions than that.")
        item = checked(index, item)
        by_letter = lettered(item.get("options"))
        options = list(by_letter.values())
        if item["answer"] not in by_letter:
            raise ValueError(
                f"The answer of item {index} is {item['answer']!r}: CircularEval needs the letter "
                f"of one of its options, which are {listed(by_letter)}."
            )
        right, question = list(by_letter).index(item["answer"]), item["question"]
        lines = re.compile(rf"^{re.escape(option_lines(options))}$", re.MULTILINE)
        if not lines.search(question):
            question = with_options(question, options, text("request", request))
        for turn in range(len(options)):
            turned = options[turn:] + options[:turn]
            turned_lines = option_lines(turned).replace("\\", r"\\")  # no group of the pattern's
            yield {
                **item,
                "id": index + turn * MILLION,
                "question": lines.sub(turned_lines, question),
                "options": turned,
                "answer": LETTERS[(right - turn) % len(options)],
            }


def circular_eval(
    vlm: Any,
    items: Iterable[Mapping[str, Any]],
    *,
    rule: str = "vlmevalkit",
    request: str = REQUEST,
    **options: Any,
) -> Circular:
    """Asks every item in all its turns; it is right only if all of them are.

    A model that always says A is right on a quarter of questions with four options when they are
    asked once, and on none here.

    Args:
        vlm, options: as for `quiz`.
        items, request: as for `rotations`.
        rule: one of `RULES`, by which the letter is taken.
    """
    turns = quiz(vlm, rotations(items, request), score=by_rule(rule), **options)
    taken = defaultdict(list)
    for row in turns.rows:
        taken[row["id"] % MILLION].append(row["extracted"] or "-")
    rows = [{**row, "answer": " ".join(taken[row["id"]])} for row in all_right(turns).rows]
    return Circular(Run(rows), turns)


def all_right(turns: Run) -> Run:
    """A row for each question of a run over turns: 1 where all of its turns are right.

    The turns of a question share their `id` modulo a million. As in VLMEvalKit, a question counts
    by the turns that are there, be it the first alone, and not at all where the first is missing.

    Raises:
        ValueError: for an `id` that is no whole number.
    """
    groups = defaultdict(list)
    for row in turns.rows:
        if not isinstance(row["id"], int):
            raise ValueError(
                f"The id {row['id']!r} is no whole number: turns are told by theirs, modulo a "
                "million."
            )
        groups[row["id"] % MILLION].append(row)
    rows = []
    for row in turns.rows:
        if turns_of := groups.get(row["id"]):
            right = all(turn["score"] == 1 for turn in turns_of)
            rows.append({**row, "score": float(right), "rules": {}})
    return Run(rows)
