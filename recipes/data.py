"""Builds the Parquet sets in `data/`: `python -m recipes.data [--check]`.

With the versions of constraints.txt it writes the same bytes every time; `--check` says whether
what lies in `data/` is what it would write.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
from pathlib import Path

from vlm_helpers import scenes

DATA = Path(__file__).parent.parent / "data"
FOLDER = "pocket-instruct"
ROWS = {"train": 320, "test": 80}  # split: rows, from scene seed 0 on
JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}


def row(seed: int, split: str) -> dict:
    """One conversation of one to four turns, in the schema of llava-instruct-mix-vsft.

    `messages`: role and content, a list of parts of type "image" (with `index`, the number of the
    picture) or "text" (with `text`); `images`: encoded pictures, 384 × 384.
    """
    made = scenes.sample(seed, split).messages(turns=1 + seed % 4, seed=seed)
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


def build(folder: Path) -> list[Path]:
    """Writes one Parquet file a split into `folder`, each whole or not at all."""
    from datasets import Dataset

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for split, n in ROWS.items():
        rows = [row(seed, split) for seed in range(n)]
        target = folder / f"{split}.parquet"
        part = target.with_suffix(".part")
        Dataset.from_list(rows, features=features()).to_parquet(part)
        part.replace(target)
        written.append(target)
    return written


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    args = parser.parse_args()
    if not args.check:
        for path in build(DATA / FOLDER):
            print(f"{path.relative_to(DATA.parent)}: {path.stat().st_size / 1e6:.1f} MB")
        return
    with tempfile.TemporaryDirectory() as scratch:
        for path in build(Path(scratch)):
            stored = DATA / FOLDER / path.name
            if not stored.exists() or digest(stored) != digest(path):
                raise SystemExit(
                    f"{stored} is not what this command builds; run it without --check."
                )
            print(f"{stored.relative_to(DATA.parent)}: as built")


if __name__ == "__main__":
    main()
