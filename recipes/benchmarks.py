"""Builds the pocket benchmarks in `data/benchmarks/`: `python -m recipes.benchmarks [--check]`.

Their rows are drawn by `vlm_helpers.evaluation.pocket`, seed 0; here they get the types of the
sets on the Hub that they follow, and a card each. With the versions of constraints.txt the same
bytes are written every time; `--check` says whether what lies in `data/` is what would be.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL.Image import Image

from recipes.data import DATA, store
from vlm_helpers.evaluation import benchmark, pocket

FOLDER = DATA / "benchmarks"
TEXT, NUMBER, PICTURE, TEXTS = "string", "int64", "image", ["string"]
# name: (type of each column, what the pocket benchmark is, what it is not)
SETS: dict[str, tuple[dict, str, str]] = {
    "pocket-mmbench": (
        {"index": NUMBER} | dict.fromkeys(
            ("question", "hint", "answer", "A", "B", "C", "D", "category"), TEXT)
        | {"image": PICTURE}
        | dict.fromkeys(("source", "L2-category", "comment", "split"), TEXT),
        "Two to four options, ten of MMBench's twenty ability classes, thirty questions each: five "
        "about coloured shapes and signs (attribute_recognition, attribute_comparison, "
        "object_localization, which holds counting there as well, spatial_relationship, ocr), five "
        "about things, charts and diagrams.",
        "No photographs, no people, no emotions, styles or qualities of pictures. MMBench mostly "
        "has four options, this one two for comparisons. Thirty scenes carry 150 of the questions. "
        "Some options about diagrams are labels of another one, and can be ruled out unseen. "
        "`index` is a number, as in MMBench's own files; on the Hub it has been text, too.",
    ),
    "pocket-mathvista": (
        dict.fromkeys(("pid", "question", "image"), TEXT) | {"decoded_image": PICTURE}
        | {"choices": TEXTS, "unit": TEXT, "precision": "float64"}
        | dict.fromkeys(("answer", "question_type", "answer_type"), TEXT)
        | {"metadata": dict.fromkeys(("category", "context", "grade"), TEXT)
           | dict.fromkeys(("img_height", "img_width"), NUMBER)
           | {"language": TEXT, "skills": TEXTS}
           | dict.fromkeys(("source", "split", "task"), TEXT)}
        | {"query": TEXT},
        "Fifty bar and line charts with four questions each (a value, a difference, which is "
        "largest, which is larger), fifty scenes to count in, fifty receipts to add up. 200 free "
        "answers (integers and decimals), 100 of multiple choice. `query` is the whole prompt.",
        "No geometry, no functions, no tests of intelligence, no word problems. MathVista's "
        "`query` explains the form of the answer at length; ours is the question, and the options "
        "with a request for the letter, as the pocket models learnt it. In one receipt of five the "
        "printed total is another amount than the sum.",
    ),
    "pocket-ai2d": (
        {"question": TEXT, "options": TEXTS, "answer": TEXT, "image": PICTURE},
        "150 diagrams (food chains, cycles, steps, trees, flow charts, networks) with two "
        "questions each on what their arrows say; four options: labels of the diagram as far as "
        "they go, then of another one. `answer` is the number of the right option, as text.",
        "No labelled parts of animals and plants, no schoolbook drawings: boxes with words, and "
        "arrows. In one of four diagrams of what one knows, two boxes are swapped on purpose. "
        "Labels of another diagram may be about something else: such an option can be ruled out "
        "unseen.",
    ),
    "pocket-scienceqa": (
        {"image": PICTURE, "question": TEXT, "choices": TEXTS, "answer": "int8"}
        | dict.fromkeys(("hint", "task", "grade", "subject", "topic", "category", "skill",
                         "lecture", "solution"), TEXT),
        "What everybody knows of things (which one can fly, what kind of thing a violin is): 150 "
        "questions about a picture, in which the things have to be seen, and 150 without one.",
        "Two kinds of question in the place of ScienceQA's 26 topics; `hint` and `lecture` are "
        "empty. What counts as true is what `data/things/things.toml` says.",
    ),
    "pocket-ocrbench": (
        {"dataset": TEXT, "question": TEXT, "question_type": TEXT, "answer": TEXTS,
         "image": PICTURE},
        "Fifty questions each of six of OCRBench's types: words and numbers on signs, screens, "
        "fields of forms and letters, fields of receipts and invoices, codes. `answer` lists what "
        "is accepted: an amount also without its currency.",
        "No photographs of text, no handwriting of people, no formulas, no Chinese. The pages are "
        "clean: no noise, no folds, no stamps over the text.",
    ),
    "pocket-mmmu": (
        dict.fromkeys(("id", "question", "options", "explanation"), TEXT)
        | dict.fromkeys(benchmark("pocket-mmmu", seed=0).kind.pictures, PICTURE)
        | dict.fromkeys(("img_type", "answer", "topic_difficulty", "question_type", "subfield"),
                        TEXT),
        "Five of MMMU's subjects by name, sixty questions each, every one over two pictures and in "
        "several steps: count and add up (Math), read two charts (Economics) or two receipts "
        "(Accounting), follow two food chains (Biology), look up colours in two keys (Design). 60 "
        "are open, 240 have options, which are the text of a list, as there.",
        "Nothing takes an expert: of MMMU it has the form, several pictures and several steps, and "
        "none of the knowledge. A school child gets all of them right.",
    ),
    "pocket-pope": (
        dict.fromkeys(("id", "question_id", "question", "answer", "image_source"), TEXT)
        | {"image": PICTURE, "category": TEXT},
        "60 pictures with six questions each: in each of the three settings (random, popular, "
        "adversarial) one whose answer is yes and one whose answer is no. Half of the pictures "
        "show coloured shapes, the others named things.",
        "Drawn pictures, in which nothing is half hidden. Among shapes nothing is commoner than "
        "anything else, so that *popular* has a meaning of its own there: the commonest shape of "
        "the picture, in another colour.",
    ),
}  # fmt: skip

CARD = """---
license: apache-2.0
language: en
task_categories: [visual-question-answering]
configs:
- config_name: {config}
  data_files:
  - {{split: {split}, path: {split}.parquet}}
---

# {name}

{what}

After **{title}** ([paper](https://{paper}); on the Hub: `{hub}`, licence: {license}) in
its columns, their types, and the names of configuration and split, so that the same code reads
both. {items} items. No line and no picture of {title} is in it, and no score on one says anything
about the other.

```python
import vlm_helpers as vh

exam = vh.evaluation.benchmark("{name}")          # these items
exam = vh.evaluation.benchmark("{name}", seed=7)  # as many others: any seed will do
run = vh.evaluation.quiz(vh.load(), exam, score=exam.score)
```

`datasets.load_dataset("data/benchmarks/{name}", {shown}split="{split}")` reads it as it would the
other. The rule is `{rule}` (`docs/scoring.md`).

**What it is not.** {not_}

**Where it comes from.** `vlm_helpers/evaluation/pocket/{module}.py` draws every row from its number
and a seed, which is 0 here, over pictures of the split "test", which no pocket model is trained on.
How the pocket models do on it: `docs/benchmarks.md`.

**Rebuild it.** `python -m recipes.benchmarks`; `--check` compares. With the package versions of
`constraints.txt` the file comes out the same byte for byte.
"""


def features(columns: dict):
    """The types of `datasets` for a set's columns."""
    from datasets import Features, List, Value
    from datasets import Image as Picture

    def typed(type_):
        if isinstance(type_, dict):
            return {name: typed(one) for name, one in type_.items()}
        if isinstance(type_, list):
            return List(typed(type_[0]))
        return Picture() if type_ == PICTURE else Value(type_)

    return Features(typed(columns))


def stored(name: str, number: int) -> dict:
    """A row as the file holds it: every column, pictures as PNG."""
    made = pocket.row(name, 0, number)
    row = {column: made.get(column) for column in SETS[name][0]}
    assert set(made) <= set(row), set(made) - set(row)
    return {column: _encoded(value) for column, value in row.items()}


def _encoded(value):
    if not isinstance(value, Image):
        return value
    file = io.BytesIO()
    value.save(file, "PNG", optimize=True)
    return {"bytes": file.getvalue(), "path": None}


def card(name: str) -> str:
    (_, what, not_), kind = SETS[name], benchmark(name, seed=0).kind
    return CARD.format(
        name=name, what=what, not_=not_, title=kind.title, paper=kind.paper, hub=kind.hub,
        license=kind.license, config=kind.config or "default", split=kind.split,
        shown=f'"{kind.config}", ' if kind.config else "", items=pocket.MAKERS[name].rows,
        rule=kind.score.name, module=name.removeprefix("pocket-"),
    )  # fmt: skip


def build(name: str, folder: Path, rows: int | None = None) -> list[Path]:
    """Writes file and card of a benchmark into `folder`/`name`, each whole or not at all.

    `rows`: fewer of them, from the first on.
    """
    import pyarrow.parquet
    from datasets import Dataset

    target = folder / name / f"{benchmark(name, seed=0).kind.split}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    made = [stored(name, number) for number in range(rows or pocket.MAKERS[name].rows)]
    part = target.with_suffix(".part")
    types = features(SETS[name][0])
    table = Dataset.from_list(made, features=types).data.table.cast(types.arrow_schema)
    # `to_parquet` would write a picture as often as there are questions about it.
    pyarrow.parquet.write_table(table, part, compression="zstd")
    part.replace(target)
    readme = target.with_name("README.md")
    readme.write_text(card(name), encoding="utf-8")
    return [target, readme]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SETS)}")
    args = parser.parse_args()
    store(build, args.names or SETS, FOLDER, args.check)


if __name__ == "__main__":
    main()
