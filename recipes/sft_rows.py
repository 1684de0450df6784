"""Rows for `recipes.sft`: from files or the Hub, numbered, and checked before the training."""

from __future__ import annotations

import glob
import re
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import trl
from accelerate.utils import gather_object
from pyarrow.parquet import ParquetFile

import vlm_helpers as vh
from vlm_helpers.collators import RowError
from vlm_helpers.training import PreflightError

NUMBER = "number of the row"  # a column
PICTURES = ("png", "jpg", "jpeg", "webp")
KINDS = (
    "Parquet files (rows/*.parquet), WebDataset shards (shards/*.tar), or a data set of the Hub "
    "(owner/name)"
)


def load_rows(data: str, streaming: bool, split: str = "train", subset: str | None = None) -> Any:
    """The rows behind `data`, as a `Dataset`, or an `IterableDataset` when streaming.

    Their pictures are as they lie in the files, not decoded, and each row has its `NUMBER`.

    Raises `FileNotFoundError` where nothing fits, `ConnectionError` where the Hub cannot be
    reached, and `ValueError` for files of another kind, and where there is no row.
    """
    files = sorted(glob.glob(data, recursive=True))
    kinds = {Path(file).suffix or "none" for file in files}
    if any(Path(file).is_dir() for file in files):
        raise ValueError(f"data={data!r} is a folder: name what lies in it. Supported are {KINDS}.")
    if kinds == {".parquet"}:
        if not any(_rows_in(file) for file in files):
            raise ValueError(f"data={data!r} has no rows: the files are empty tables.")
        rows = datasets.load_dataset(
            "parquet", data_files=files, split="train", streaming=streaming
        )
    elif kinds == {".tar"}:
        shards = datasets.load_dataset(
            "webdataset", data_files=files, split="train", streaming=streaming
        )
        features = datasets.Features(
            messages=shards.features["json"]["messages"], images=datasets.List(datasets.Image())
        )
        rows = shards.map(_row, remove_columns=list(shards.features), features=features)
    elif files:
        raise ValueError(
            f"data={data!r} fits files of the kinds {', '.join(sorted(kinds))}. Supported are "
            f"{KINDS}, one kind at a time."
        )
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", data) and not Path(data).parent.exists():
        rows = _from_hub(data, subset, split, streaming)
    else:
        raise FileNotFoundError(f"No file fits data={data!r}: check the path.")
    return _numbered(rows)


def _rows_in(file: str) -> int:
    try:
        with ParquetFile(file) as table:
            return table.metadata.num_rows
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{file} is no Parquet file, or damaged: {error}") from None


def _from_hub(name: str, subset: str | None, split: str, streaming: bool) -> Any:
    try:
        return datasets.load_dataset(name, subset, split=split, streaming=streaming)
    except (OSError, ValueError) as error:
        kinds = (FileNotFoundError, ConnectionError, ValueError, OSError)
        why = " ".join(str(error).split())
        raise next(kind for kind in kinds if isinstance(error, kind))(
            f"data={name!r} is no file here, and the Hub gives no split {split!r} of it: {why}"
        ) from error


def _numbered(rows: Any) -> Any:
    stream = isinstance(rows, datasets.IterableDataset)
    as_files = (rows if stream else rows.to_iterable_dataset()).decode(False)
    if not stream:
        info = datasets.DatasetInfo(features=as_files.features)
        return datasets.Dataset(rows.data, info).add_column(NUMBER, np.arange(len(rows)))
    features = datasets.Features({**as_files.features, NUMBER: datasets.Value("int64")})
    return as_files.map(lambda row, i: {**row, NUMBER: i}, with_indices=True, features=features)


def _row(shard: dict[str, Any]) -> dict[str, Any]:
    """A row of a WebDataset shard: the conversation in .json, pictures in the order of names."""
    pictures = [
        shard[name]
        for name in sorted(shard, key=_counted)
        if name.rsplit(".")[-1] in PICTURES and shard[name] is not None
    ]
    return {"messages": shard["json"]["messages"], "images": pictures}


def _counted(name: str) -> list[tuple[int, str]]:
    """Sorts "2.png" before "10.png"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


class Numbered:
    """A collator of rows with a `NUMBER`, by which it names one that cannot be trained on."""

    def __init__(self, collator: Any):
        self.collator = collator

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            return self.collator(rows)
        except RowError as error:
            row = rows[error.row]
            raise RowError(row[NUMBER], error.why, row.get("id")) from error


def check(rows: Any, collator: Any, training: trl.SFTConfig) -> None:
    """The pre-flight pass. Each process looks at its part, so that none waits long for another."""
    whole, mine = training.world_size, training.process_index
    ends = [len(rows) * i // whole for i in range(whole + 1)]
    part, found, faults = range(ends[mine], ends[mine + 1]), [], []
    if part:
        try:
            found.append(
                vh.training.preflight(
                    rows.select(part), collator, progress=not training.disable_tqdm, first=part[0]
                )
            )
        except PreflightError as error:
            faults = [(fault.row, fault.why, fault.name) for fault in error.faults]
    faults = gather_object(faults)
    found = gather_object(found)
    if faults and mine == 0:
        raise PreflightError([RowError(*fault) for fault in faults], len(rows))
    if faults:
        sys.exit(1)  # the first process says why
    if mine == 0:
        print(sum(found[1:], found[0]))
