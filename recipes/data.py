"""Builds the Parquet sets in `data/`: `python -m recipes.data [--check]`.

With the versions of constraints.txt it writes the same bytes every time; `--check` says whether
what lies in `data/` is what it would write.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from recipes.pairs import KINDS, pairs
from vlm_helpers import pages, scenes

DATA = Path(__file__).parent.parent / "data"
JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}


def scene(seed: int, split: str) -> dict:
    """A conversation of one to four turns about the scene of that seed."""
    return scenes.sample(seed, split).messages(turns=1 + seed % 4, seed=seed)


def page(seed: int, split: str) -> dict:
    """The same about a page. Kinds take turns, and so does the number of turns of each kind."""
    n = len(pages.KINDS)
    made = pages.sample(seed, split, kind=pages.KINDS[seed % n])
    return made.messages(turns=1 + seed // n % 4, seed=seed)


def each(make: Callable[[int, str], dict]) -> Callable[[str], Iterator[dict]]:
    """Rows of a split without end, from seed 0 on."""
    return lambda split: (make(seed, split) for seed in itertools.count())


# folder: (a split's rows, how many of each split)
SETS: dict[str, tuple[Callable[[str], Iterator[dict]], dict[str, int]]] = {
    "pocket-instruct": (each(scene), {"train": 320, "test": 80}),
    "pocket-pages": (each(page), {"train": 264, "test": 88}),
    "pocket-preferences": (partial(pairs, KINDS), {"train": 432, "validation": 96}),
}


# How many rows are written together, where neighbours share a picture: Parquet's dictionary (1 MB
# at most) then holds each picture once. `datasets` would write it with every row.
TOGETHER = {"pocket-preferences": 60}


def row(made: dict) -> dict:
    """A row with its conversations in the schema of llava-instruct-mix-vsft.

    Conversations: role and content, a list of parts of type "image" (with `index`, the number of
    the picture) or "text" (with `text`). `images`: encoded pictures. Texts stay.
    """
    found = {}
    for name, value in made.items():
        if name == "images":
            found[name] = [{"bytes": encoded(image), "path": None} for image in value]
        else:
            found[name] = value if isinstance(value, str) else list(map(message, value))
    return found


def message(made: dict) -> dict:
    parts = [
        {"index": 0 if part["type"] == "image" else None, "text": part.get("text"),
         "type": part["type"]}
        for part in made["content"]
    ]  # fmt: skip
    return {"content": parts, "role": made["role"]}


def encoded(image) -> bytes:
    file = io.BytesIO()
    image.save(file, **JPEG)
    return file.getvalue()


def features(row: dict):
    from datasets import Features, Image, List, Value

    part = {"index": Value("int64"), "text": Value("string"), "type": Value("string")}
    talk = List({"content": List(part), "role": Value("string")})
    kinds = {name: Value("string") if isinstance(value, str) else talk
             for name, value in row.items()}  # fmt: skip
    return Features({**kinds, "images": List(Image())})


def build(name: str, data: Path) -> list[Path]:
    """Writes one Parquet file a split into `data`/`name`, each whole or not at all."""
    import pyarrow.parquet
    from datasets import Dataset

    drawn, splits = SETS[name]
    folder = data / name
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for split, n in splits.items():
        rows = list(map(row, islice(drawn(split), n)))
        target = folder / f"{split}.parquet"
        part = target.with_suffix(".part")
        table = Dataset.from_list(rows, features=features(rows[0]))
        if name in TOGETHER:
            whole = table.with_format("arrow")[:].cast(table.features.arrow_schema)
            pyarrow.parquet.write_table(whole, part, row_group_size=TOGETHER[name])
        else:
            table.to_parquet(part)
        part.replace(target)
        written.append(target)
    return written


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def store(
    build: Callable[[str, Path], list[Path]], names: Iterable[str], folder: Path, check: bool
) -> None:
    """Builds the named sets into `folder`, or says which file there is not what would be built.

    Args:
        build: name and folder to the files that it has written below that folder.
    """
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) if check else folder
        for path in (path for name in names for path in build(name, target)):
            there = folder / path.relative_to(target)
            if check and not (there.exists() and digest(there) == digest(path)):
                raise SystemExit(
                    f"{there} is not what this command builds; run it without --check."
                )
            size = f"{path.stat().st_size / 1e6:.2f} MB"
            print(f"{there.relative_to(DATA.parent)}: {'as built' if check else size}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    store(build, SETS, DATA, parser.parse_args().check)


if __name__ == "__main__":
    main()
