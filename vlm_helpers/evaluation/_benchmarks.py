"""Benchmarks as items for `quiz`: pocket ones, stored or drawn from any seed, and the real ones.

Both have the same columns, so one function a benchmark turns a row of either into an item. Columns,
names and splits are those of the sets that lmms-eval 0.7.3 reads (they stand on the Hub under
`lmms-lab` as well as under `lmms-lab-encoder`); its prompts are longer than ours.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vlm_helpers._data import data_file
from vlm_helpers._words import choice, did_you_mean, first_line, listed, whole_number
from vlm_helpers.evaluation import pocket
from vlm_helpers.evaluation._prompt import with_options
from vlm_helpers.evaluation.rules import Rule, by_rule, extract, mmmu_open, ocrbench, yes_or_no
from vlm_helpers.evaluation.rules._given import LETTERS, texts, truths
from vlm_helpers.evaluation.rules.mathvista import free
from vlm_helpers.pictures import to_rgb

Row = Mapping[str, Any]
Item = dict[str, Any]


def _there(value: Any) -> bool:
    """Whether a cell holds something; MMBench's empty ones are null, "" or "nan"."""
    return value is not None and value == value and value not in ("", "nan")


def _public(answer: Any) -> Any:
    """The right answer, which is "", "?" or null where it is not public, as in many test sets."""
    if not _there(answer) or answer == "?":
        raise ValueError("its right answer is not given, as in test sets that are kept secret.")
    return answer


def _choice(skill: str, question: str, options: Sequence[str], answer: str, **more: Any) -> Item:
    """An item of multiple choice; the answer is a letter."""
    options = texts("options", options)
    letters = list(LETTERS[: len(options)])
    if _public(answer) not in letters:
        raise ValueError(f"its right answer is {answer!r}, the letter of none of its options.")
    return {
        "skill": skill,
        "question": with_options(question, options),
        "answer": answer,
        "options": options,
        "candidates": letters,
        **more,
    }


def _letter(number: int) -> str:
    """The letter of an option that is given by its number, from 0 on."""
    return LETTERS[whole_number("its right answer", number, least=0, most=len(LETTERS) - 1)]


def _mmbench(row: Row) -> Item:
    options = [row[letter] for letter in "ABCD" if _there(row[letter])]
    question = "\n".join(filter(_there, (row["hint"], row["question"])))
    return _choice(row["category"], question, options, row["answer"], id=row["index"])


def _mathvista(row: Row) -> Item:
    item = {
        "id": row["pid"],
        "skill": row["metadata"]["context"],
        "question": row["query"],
        "answer": _public(row["answer"]),
        "unit": row["unit"],
    }
    if row["question_type"] == "multi_choice":
        choices = texts("choices", row["choices"])
        letters = list(LETTERS[: len(choices)])
        right = letters[choices.index(choice("its right answer", row["answer"], choices))]
        return {**item, "answer": right, "options": choices, "candidates": letters}
    precision = whole_number("precision", int(row["precision"] or 0), least=0)
    kind = choice("answer_type", row["answer_type"], ("integer", "float", "list"))
    return {**item, "options": None, "answer_type": kind, "precision": precision}


def _judge_mathvista(answer: str, item: Row) -> tuple[str | None, bool]:
    if item.get("options"):
        return by_rule("mathvista").judge(answer, item)
    number = free(answer, item.get("answer_type", "integer"), item.get("precision", 1))
    return number, number == item["answer"]


def _ai2d(row: Row) -> Item:
    return _choice("diagram", row["question"], row["options"], _letter(int(_public(row["answer"]))))


def _scienceqa(row: Row) -> Item:
    question = "\n".join(filter(None, (row["hint"], row["question"])))
    return _choice(row["category"], question, row["choices"], _letter(row["answer"]))


def _ocrbench(row: Row) -> Item:
    answers = truths(row["answer"])
    formula = row["dataset"] == "HME100k"
    return {
        "skill": row["question_type"], "question": row["question"], "answer": answers[0],
        "answers": answers, "options": None, "formula": formula,
    }  # fmt: skip


def _judge_ocrbench(answer: str, item: Row) -> tuple[str | None, bool]:
    formula = item.get("formula", False)
    found = (one for one in truths(item) if ocrbench(answer, one, formula=formula))
    taken = next(found, None)
    return taken, taken is not None


def _mmmu(row: Row) -> Item:
    subject = re.sub(r"^[a-z]+_|_\d+$", "", row["id"])
    question = _pictures_by_name(row["question"])
    if row["question_type"] == "multiple-choice":
        options = [_pictures_by_name(option) for option in ast.literal_eval(row["options"])]
        return _choice(subject, question, options, row["answer"], id=row["id"])
    answers = _public(row["answer"])
    if answers.startswith("["):  # several are right
        answers = ast.literal_eval(answers)
    return {
        "id": row["id"], "skill": subject, "question": question, "answer": truths(answers)[0],
        "answers": truths(answers), "options": None,
    }  # fmt: skip


def _pictures_by_name(text: str) -> str:
    """ "<image 1>" as "picture 1": the pictures stand before the question, in this order."""
    return re.sub(r"<image (\d)>", r"picture \1", text)


def _judge_mmmu(answer: str, item: Row) -> tuple[str | None, bool]:
    if item.get("options"):
        letter = extract(answer, item["options"], "mmmu")
        return letter, letter == item["answer"]
    return None, mmmu_open(answer, item)


def _pope(row: Row) -> Item:
    answer = choice("its right answer", _public(row["answer"]).strip().lower(), ("yes", "no"))
    return {
        "id": row["id"], "skill": row["category"], "question": row["question"], "answer": answer,
        "options": None, "candidates": ["yes", "no"],
    }  # fmt: skip


def _judge_pope(answer: str, item: Row) -> tuple[str, bool]:
    said = yes_or_no(answer, "pope")
    return said, said == item["answer"]


@dataclass(frozen=True)
class Kind:
    """A benchmark's form: where it is, what its columns are, how it is scored.

    Attributes:
        hub, config, split: what `datasets.load_dataset` reads.
        license: as its card or its authors' repository states it.
        columns: those that an item is made of.
        pictures: columns with pictures.
    """

    title: str
    asks: str
    hub: str
    config: str | None
    split: str
    license: str
    paper: str
    columns: tuple[str, ...]
    pictures: tuple[str, ...]
    item: Callable[[Row], Item]
    score: Rule


KINDS = {
    "mmbench": Kind(
        "MMBench", "multiple choice by ability, which CircularEval asks in every rotation",
        "lmms-lab/MMBench", "en", "dev", "CC BY 4.0 (card)", "arxiv.org/abs/2307.06281",
        ("index", "question", "hint", "answer", "A", "B", "C", "D", "category"), ("image",),
        _mmbench, by_rule("vlmevalkit"),
    ),
    "mathvista": Kind(
        "MathVista", "numbers and charts: a number, a list, or one of several options",
        "AI4Math/MathVista", None, "testmini", "CC BY-SA 4.0 (card)", "arxiv.org/abs/2310.02255",
        ("pid", "query", "choices", "unit", "precision", "answer", "question_type", "answer_type",
         "metadata"), ("decoded_image",),
        _mathvista, Rule("mathvista", _judge_mathvista),
    ),
    "ai2d": Kind(
        "AI2D", "what a diagram from a schoolbook says: one of four options",
        "lmms-lab/ai2d", None, "test", "none stated on its card", "arxiv.org/abs/1603.07396",
        ("question", "options", "answer"), ("image",),
        _ai2d, by_rule("ai2d"),
    ),
    "scienceqa": Kind(
        "ScienceQA", "school science, with a picture or without",
        "lmms-lab/ScienceQA", "ScienceQA-FULL", "test", "CC BY-NC-SA 4.0 (authors)",
        "arxiv.org/abs/2209.09513", ("question", "choices", "answer", "hint", "category"),
        ("image",), _scienceqa, by_rule("scienceqa"),
    ),
    "ocrbench": Kind(
        "OCRBench", "reading: right where an accepted text occurs in the answer",
        "echo840/OCRBench", None, "test", "MIT (repository)", "arxiv.org/abs/2305.07895",
        ("dataset", "question", "question_type", "answer"), ("image",),
        _ocrbench, Rule("ocrbench", _judge_ocrbench),
    ),
    "mmmu": Kind(
        "MMMU", "college subjects, with up to seven pictures: one of several options, or open",
        "lmms-lab/MMMU", None, "validation", "Apache-2.0 (repository)", "arxiv.org/abs/2311.16502",
        ("id", "question", "options", "answer", "question_type"),
        tuple(f"image_{n}" for n in range(1, 8)),
        _mmmu, Rule("mmmu", _judge_mmmu),
    ),
    "pope": Kind(
        "POPE", "whether something is there: yes or no, in three settings of what is not",
        "lmms-lab/POPE", None, "test", "MIT (repository)", "arxiv.org/abs/2305.10355",
        ("id", "question", "answer", "category"), ("image",),
        _pope, Rule("pope", _judge_pope),
    ),
}  # fmt: skip
_POCKET = {f"pocket-{key}": key for key in KINDS}
_HUB = {kind.hub: key for key, kind in KINDS.items()}


def benchmarks() -> Any:
    """The pocket benchmarks, and the real ones that they follow, as a pandas DataFrame.

    Its index are the names for `benchmark`; its columns: `after`, `asks`, `items` (of the pocket
    one), `rule`; and of the real one `hub` (its id), `config`, `split`, `license`, `paper`, and
    `columns` (those that items are made of).
    """
    import pandas as pd

    rows = {
        name: {
            "after": kind.title,
            "asks": kind.asks,
            "items": pocket.MAKERS[name].rows,
            "rule": kind.score.name,
            "hub": kind.hub,
            "config": kind.config or "default",
            "split": kind.split,
            "license": kind.license,
            "paper": kind.paper,
            "columns": ", ".join(kind.columns + kind.pictures),
        }
        for name, key in _POCKET.items()
        for kind in [KINDS[key]]
    }
    return pd.DataFrame.from_dict(rows, "index").rename_axis("name")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's items, for `quiz`: a sequence whose pictures are drawn or opened when taken.

    A streamed one is gone through from its start each time, and has no length.

    Attributes:
        name: a pocket benchmark's, or where it was read from.
        kind: its form: `kind.score` is the rule, `kind.hub` the real set.
        rows: what its items are made of, in the columns of the real set.
        places: which of the rows; None where they are streamed.
    """

    name: str
    kind: Kind
    rows: Any
    places: range | None

    @property
    def score(self) -> Rule:
        """The benchmark's own rule, for `quiz(…, score=…)`."""
        return self.kind.score

    def __len__(self) -> int:
        if self.places is None:
            raise TypeError(f"{self.name} is streamed: how many items there are is not known.")
        return len(self.places)

    def __getitem__(self, index):
        if self.places is None:
            raise TypeError(f"{self.name} is streamed: its items can only be gone through.")
        if isinstance(index, slice):
            return replace(self, places=self.places[index])
        place = self.places[index]
        return self._item(place, self.rows[place])

    def __iter__(self) -> Iterator[Item]:
        if self.places is None:
            for number, row in enumerate(self.rows):
                yield self._item(number, row)
        else:
            for place in self.places:
                yield self._item(place, self.rows[place])

    def without_pictures(self) -> Benchmark:
        """The same items as text only: no picture is drawn or opened."""
        unseen = self.rows.remove_columns([c for c in self.kind.pictures if c in _names(self.rows)])
        return replace(self, rows=unseen)

    def _item(self, number: int, row: Row) -> Item:
        missing = [column for column in self.kind.columns if column not in row]
        if missing:
            raise ValueError(_lacks(self.name, self.kind, missing, row))
        try:
            item = {"id": number, **self.kind.item(row)}
        except (TypeError, ValueError, KeyError, IndexError, SyntaxError, AttributeError) as error:
            raise ValueError(
                f"Row {number} of {self.name} is not in the form of {self.kind.title}: "
                f"{first_line(error)}"
            ) from None
        shown = [row[column] for column in self.kind.pictures if row.get(column) is not None]
        if shown:
            try:
                pictures = [to_rgb(picture) for picture in shown]
            except (ValueError, TypeError, OSError) as error:
                raise type(error)(f"Row {number} of {self.name}: {first_line(error)}") from None
            item |= {"image": pictures[0]} if len(pictures) == 1 else {"images": pictures}
        return item


def _names(rows: Any) -> Iterable[str]:
    return rows.column_names or ()


def _lacks(name: str, kind: Kind, missing: Sequence[str], there: Iterable[str]) -> str:
    columns = "columns" if len(missing) > 1 else "column"
    return (
        f"{name} has no {columns} {listed(map(repr, missing))}, of which {kind.title}'s items are "
        f"made; it has {listed(map(repr, there)) or 'none'}: rename them, or give another set."
    )


class _Drawn:
    """The rows of a pocket benchmark of any seed, drawn when they are taken."""

    def __init__(self, name: str, seed: int, pictures: bool = True):
        self.name, self.seed, self.pictures = name, seed, pictures
        self.column_names = [*pocket.row(name, seed, 0, pictures)]

    def __getitem__(self, number: int) -> Row:
        return pocket.row(self.name, self.seed, number, self.pictures)

    def remove_columns(self, columns: Sequence[str]) -> _Drawn:
        """Pictures are the only columns that are ever removed."""
        return _Drawn(self.name, self.seed, self.pictures and not columns)


class _Stored:
    """The rows of a Parquet file; pictures stay bytes until they are opened."""

    def __init__(self, table: Any):
        self.table, self.column_names = table, table.column_names

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> Row:
        return self.table.slice(number, 1).to_pylist()[0]

    def remove_columns(self, columns: Sequence[str]) -> _Stored:
        return _Stored(self.table.drop_columns(columns))


def benchmark(
    name: str,
    *,
    seed: int | None = None,
    n: int | None = None,
    like: str | None = None,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
) -> Benchmark:
    """A benchmark's items: a pocket one's, the real one's, or those of a set with its columns.

        exam = vh.evaluation.benchmark("pocket-mmbench", seed=7)  # drawn: nobody has seen it before
        vh.evaluation.quiz(vlm, exam, score=exam.score)

    Args:
        name: one of `benchmarks()`; or an id on the Hub, such as "lmms-lab/MMBench"; or a folder
            or a Parquet file.
        seed: of a pocket benchmark, to draw it anew. Seed 0 is the one that is stored.
        n: how many items, the first ones. By default all; of a drawn one, as many as are stored.
        like: what the rows of another set look like: "mmbench", "mathvista", "ai2d", "scienceqa",
            "ocrbench", "mmmu" or "pope".
        config, split: of a set on the Hub, where it is not the usual one.
        streaming: read rows of a set on the Hub as they come, for what does not fit on the disk.
    Raises:
        ValueError: for a name that is none, a set without the columns, more items than there are,
            or arguments that do not go together.
        ConnectionError: where the Hub cannot be reached, or does not give the set.
    """
    n = None if n is None else whole_number("n", n, least=1)
    if not isinstance(name, str | os.PathLike):
        raise TypeError(f"name is of type {type(name).__name__}: it must be a benchmark's name.")
    if name in _POCKET:
        if like or config or split or streaming:
            raise ValueError(
                f"{name} ships with the course: it takes seed and n, and nothing else."
            )
        kind = KINDS[_POCKET[name]]
        if seed is not None:
            rows: Any = _Drawn(name, whole_number("seed", seed))
            return Benchmark(name, kind, rows, range(n or pocket.MAKERS[name].rows))
        rows = _parquet(data_file(f"benchmarks/{name}/{kind.split}.parquet"))
        return Benchmark(name, kind, rows, _places(name, len(rows), n, " Give a seed for more."))
    if seed is not None:
        raise ValueError(f"{name} cannot be drawn from a seed: only pocket benchmarks can.")
    kind = _kind(name, like)
    name = os.fspath(name)
    if Path(name).is_file():
        rows = _parquet(Path(name))
        streaming = False  # it is read by rows anyway
    else:
        usual = name == kind.hub
        config = config or (kind.config if usual else None)
        rows = _load(name, config, split or kind.split, n, streaming)
    if _names(rows) and (missing := [c for c in kind.columns if c not in _names(rows)]):
        raise ValueError(_lacks(name, kind, missing, _names(rows)))
    if streaming:
        return Benchmark(name, kind, rows if n is None else rows.take(n), None)
    return Benchmark(name, kind, rows, _places(name, len(rows), n))


def _kind(name: str, like: str | None) -> Kind:
    if like is not None and like not in KINDS:
        raise ValueError(f"There is no benchmark {like!r} to be like; {did_you_mean(like, KINDS)}")
    if like is None and name not in _HUB:
        raise ValueError(
            f"There is no benchmark {name!r}; {did_you_mean(name, [*_POCKET, *_HUB])} To read "
            "another set by the columns of one of them, say which: like='mmbench'."
        )
    return KINDS[like or _HUB[name]]


def _places(name: str, there: int, n: int | None, remedy: str = "") -> range:
    if n is not None and n > there:
        raise ValueError(f"{name} has {there} items, not {n}.{remedy}")
    return range(there if n is None else n)


def _parquet(path: Path) -> _Stored:
    import pyarrow
    import pyarrow.parquet

    try:
        return _Stored(pyarrow.parquet.read_table(path))
    except (pyarrow.ArrowInvalid, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise ValueError(f"{path} is no Parquet file, or is damaged.") from None


def _load(name: str, config: str | None, split: str, n: int | None, streaming: bool) -> Any:
    from datasets import load_dataset

    some = split if n is None or streaming else f"{split}[:{n}]"
    try:
        return load_dataset(name, config, split=some, streaming=streaming)
    except (OSError, ValueError) as error:
        kind = ConnectionError if isinstance(error, OSError) else ValueError
        if isinstance(error, FileNotFoundError) and (
            Path(name).is_absolute() or Path(name).exists()
        ):
            raise FileNotFoundError(f"{name} cannot be read: {first_line(error)}") from None
        raise kind(
            f"{name} ({config or 'default'}, {split}) cannot be read: {first_line(error)} The "
            "pocket benchmarks need no network."
        ) from None
