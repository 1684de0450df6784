"""Builds the Parquet sets in `data/`: `python -m recipes.data [--check]`.

With the versions of constraints.txt it writes the same bytes every time; `--check` says whether
what lies in `data/` is what it would write.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

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


# folder: (seed and split to a conversation, rows of each split, from seed 0 on)
SETS: dict[str, tuple[Callable, dict[str, int]]] = {
    "pocket-instruct": (scene, {"train": 320, "test": 80}),
    "pocket-pages": (page, {"train": 264, "test": 88}),
}


def row(make: Callable, seed: int, split: str) -> dict:
    """One conversation in the schema of llava-instruct-mix-vsft.

    `messages`: role and content, a list of parts of type "image" (with `index`, the number of the
    picture) or "text" (with `text`); `images`: encoded pictures.
    """
    made = make(seed, split)
    messages = []
    for message in made["messages"]:
        parts = [
            {"index": 0 if part["type"] == "image" else None, "text": part.get("text"),
             "type": part["type"]}
            for part in message["content"]
        ]  # fmt: skip
        messages.append({"content": parts, "role": message["role"]})
    pictures = []
    for image in made["images"]:
        file = io.BytesIO()
        image.save(file, **JPEG)
        pictures.append({"bytes": file.getvalue(), "path": None})
    return {"messages": messages, "images": pictures}


def features():
    from datasets import Features, Image, List, Value

    part = {"index": Value("int64"), "text": Value("string"), "type": Value("string")}
    return Features(
        {
            "messages": List({"content": List(part), "role": Value("string")}),
            "images": List(Image()),
        }
    )


def build(name: str, data: Path) -> list[Path]:
    """Writes one Parquet file a split into `data`/`name`, each whole or not at all."""
    from datasets import Dataset

    make, splits = SETS[name]
    folder = data / name
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for split, n in splits.items():
        rows = [row(make, seed, split) for seed in range(n)]
        target = folder / f"{split}.parquet"
        part = target.with_suffix(".part")
        Dataset.from_list(rows, features=features()).to_parquet(part)
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
