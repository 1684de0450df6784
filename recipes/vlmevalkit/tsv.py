"""Items as the tables that VLMEvalKit reads, and its tables as items.

    python -m recipes.vlmevalkit.tsv pocket-mmbench --circular

writes `runs/LMUData/pocket-mmbench_circular.tsv`; VLMEvalKit looks for its data in the folder that
the environment variable `LMUData` names. Form and rules are those of VLMEvalKit at e8e78f0 (August
2026, Apache-2.0): `vlmeval/dataset/image_base.py`, and `CIRCULAR` in `vlmeval/tools.py`.

A row holds a question, its options in columns A, B, …, and its pictures as base64, several as the
text of a list. Where a table is turned round for CircularEval, the turns of a question have its
index plus a million each, its own index as `g_index`, and that in the place of the picture.
"""

from __future__ import annotations

import argparse
import ast
import base64
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import vlm_helpers as vh
from vlm_helpers.pictures import to_rgb

OUT = Path(__file__).resolve().parents[2] / "runs" / "LMUData"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MILLION = 10**6
REFERENCE = 64  # characters: what is no longer, in the place of a picture, is another row's index


def write(items: Iterable[Mapping[str, Any]], path: str | Path, *, circular: bool = False) -> Path:
    """Writes a table, and makes sure that VLMEvalKit reads what was meant.

    Args:
        items: as for `quiz`. Those with `options` become multiple choice, and only those can be
            turned round. `skill` becomes `category`; `l2-category` and `split` are kept.
        path: ends in ".tsv", and in "_circular.tsv" for a circular table: VLMEvalKit scores by it.
    Raises:
        ValueError: for an item without a picture, which VLMEvalKit would leave out; for another
            ending; and for a text that does not survive: pandas takes "None" and "NA" for nothing,
            and "3" for 3.0 in a column of numbers with gaps. Then nothing is written.
    """
    import pandas as pd

    path = Path(path)
    ending = "_circular.tsv" if circular else ".tsv"
    if not path.name.endswith(ending):
        raise ValueError(
            f"VLMEvalKit tells tables by their names: that of {path} must end in {ending!r}."
        )
    turned = vh.evaluation.rotations(items) if circular else enumerated(items)
    rows = [row(item, circular) for item in turned]
    table = pd.DataFrame(rows, columns=list(dict.fromkeys(name for one in rows for name in one)))
    text = table.to_csv(sep="\t", index=False, quoting=csv.QUOTE_ALL)
    read = pd.read_csv(io.StringIO(text), sep="\t")  # as VLMEvalKit does
    for name in table:
        for number, (meant, found) in enumerate(zip(table[name], read[name])):
            if (None if pd.isna(found) else str(found)) != (None if pd.isna(meant) else str(meant)):
                raise ValueError(
                    f"Column {name} of row {number} is {meant!r}, and VLMEvalKit, which reads "
                    f"tables by pandas, would find {found!r} there: write it in another way."
                )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def enumerated(items: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for index, item in enumerate(items):
        yield {**item, "id": index}


def row(item: Mapping[str, Any], circular: bool) -> dict[str, Any]:
    """An item as a row. Its options stand in columns, and no more in the question."""
    index, options = item["id"], item.get("options") or []
    question = item["question"].partition(lines(options))[0] if options else item["question"]
    if circular and index >= MILLION:
        image = str(index % MILLION)
    else:
        image = encoded(item)
    made = {
        "index": index,
        "question": question.rstrip("\n"),
        **dict(zip(LETTERS, options)),
        "answer": item["answer"],
        "category": item.get("skill"),
        "l2-category": item.get("l2-category"),
        "split": item.get("split"),
        "image": image,
    }
    if circular:
        made["g_index"] = index % MILLION
    unknown = ("category", "l2-category", "split")
    return {k: v for k, v in made.items() if v is not None or k not in unknown}


def lines(options: Iterable[str]) -> str:
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options))


def encoded(item: Mapping[str, Any]) -> str:
    pictures = item.get("images") or [item.get("image")]
    if pictures == [None]:
        raise ValueError(
            f"Item {item['id']} has no picture, and VLMEvalKit leaves rows without one out: leave "
            "it out here too."
        )
    texts = []
    for picture in pictures:
        file = io.BytesIO()
        to_rgb(picture).save(file, "PNG")
        texts.append(base64.b64encode(file.getvalue()).decode())
    return texts[0] if len(texts) == 1 else str(texts)


def read(path: str | Path) -> Iterator[dict[str, Any]]:
    """The items of a table of VLMEvalKit's, such as MMBench's, for `quiz`.

    Their question lists the options and ends with the request that the pocket models know. Every
    cell is the text that stands there.

    Raises:
        ValueError: for a table without the columns, or with a picture that is none.
    """
    import pandas as pd

    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    missing = [name for name in ("index", "question", "answer", "image") if name not in table]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(missing)}: a table of VLMEvalKit's has index, "
            "question, answer, image, and A, B, … where it is multiple choice; its columns are "
            f"{', '.join(table)}."
        )
    images = dict(zip(table["index"], table["image"]))
    for one in table.to_dict("records"):
        options = [one[letter] for letter in LETTERS if one.get(letter)]
        cell = images.get(one["image"], "") if len(one["image"]) <= REFERENCE else one["image"]
        try:
            texts = ast.literal_eval(cell) if cell.startswith("[") else [cell]
            pictures = [to_rgb(base64.b64decode(text, validate=True)) for text in texts]
        except (ValueError, SyntaxError, TypeError, OSError):
            raise ValueError(
                f"The picture of index {one['index']} in {path} is no base64 of a picture, nor the "
                "index of a row that has one."
            ) from None
        item = {
            "id": int(one["index"]) if one["index"].isdecimal() else one["index"],
            "skill": one.get("category") or None,
            "question": "\n".join(filter(None, (one.get("hint"), one["question"], lines(options)))),
            "answer": one["answer"],
            "options": options or None,
        }
        if options:
            item["question"] += "\nAnswer with the letter."
        yield item | ({"image": pictures[0]} if len(pictures) == 1 else {"images": pictures})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a benchmark, as for vh.evaluation.benchmark")
    parser.add_argument("--circular", action="store_true", help="each question in all its turns")
    parser.add_argument("--n", type=int, help="only the first questions")
    args = parser.parse_args()
    try:
        items = [
            {**item, "split": "dev"}
            for item in vh.evaluation.benchmark(args.name, n=args.n)
            if "image" in item or "images" in item
        ]
        name = args.name.replace("/", "_") + ("_circular" if args.circular else "")
        path = write(items, OUT / f"{name}.tsv", circular=args.circular)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    print(f"{len(items)} questions in {path}")


if __name__ == "__main__":
    main()
