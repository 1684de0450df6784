"""Rows for the training scripts: from files or the Hub, numbered, and checked beforehand."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from accelerate.utils import gather_object

import vlm_helpers as vh
from recipes.sft_files import number_of_rows, parquet_rows, shard_rows
from vlm_helpers.collators import RowError
from vlm_helpers.training import PreflightError, as_stored

NUMBER = "number of the row"  # a column
KINDS = (
    "Parquet files (rows/*.parquet), WebDataset shards (shards/*.tar), or a data set of the Hub "
    "(owner/name)"
)


def load_rows(data: str, streaming: bool, split: str = "train", subset: str | None = None) -> Any:
    """The rows behind `data`, as a `Dataset`, or an `IterableDataset` when streaming.

    Their pictures are as they lie in the files, not decoded, and each row has its `NUMBER`. A
    stream is one piece, of which each process reads all and takes its share: pieces of unequal
    length would leave one process waiting for another.

    Raises `FileNotFoundError` where nothing fits, `ConnectionError` where the Hub cannot be
    reached, and `ValueError` for files of another kind, and where there is no row.
    """
    if not isinstance(data, str) or not data:  # YAML has lists and numbers, too
        raise ValueError(
            f"data={data!r} is no name: give one, or a pattern. Supported are {KINDS}."
        )
    files = sorted(glob.glob(data, recursive=True))
    kinds = {Path(file).suffix or "none" for file in files}
    if any(Path(file).is_dir() for file in files):
        raise ValueError(f"data={data!r} is a folder: name what lies in it. Supported are {KINDS}.")
    if kinds == {".parquet"}:
        if not sum(map(number_of_rows, files)):
            raise ValueError(f"data={data!r} has no rows: the files are empty tables.")
        if streaming:
            return _stream(parquet_rows, files)
        rows = _table(data, datasets.load_dataset, "parquet", data_files=files, split="train")
    elif kinds == {".tar"}:
        if next(shard_rows(files), None) is None:
            raise ValueError(f"data={data!r} has no rows: the shards are empty.")
        if streaming:
            return _stream(shard_rows, files)
        # The table is kept; that of a file that has changed since is another one.
        changes = [os.stat(file).st_mtime_ns for file in files]
        name = datasets.fingerprint.Hasher.hash([list(map(os.path.abspath, files)), changes])
        rows = _table(
            data, datasets.Dataset.from_generator, partial(shard_rows, files), fingerprint=name
        )
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


def _table(data: str, load: Callable[..., Any], *args: Any, **options: Any) -> datasets.Dataset:
    try:
        return load(*args, **options)
    except datasets.exceptions.DatasetGenerationError as error:
        why = " ".join(str(error.__cause__ or error).split())
        raise ValueError(f"data={data!r} makes no table: {why}") from error


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
    if isinstance(rows, datasets.IterableDataset):
        return _stream(iter, rows.cast(as_stored(rows.features)) if rows.features else rows)
    rows = datasets.Dataset(rows.data, datasets.DatasetInfo(features=as_stored(rows.features)))
    return rows.add_column(NUMBER, np.arange(len(rows)))


def _stream(read: Callable[..., Iterable[dict]], rows: Any) -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(partial(_counted_off, read, rows))


def _counted_off(read: Callable[..., Iterable[dict]], rows: Any) -> Iterator[dict]:
    for number, row in enumerate(read(rows)):
        yield {**row, NUMBER: number}


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


def check(rows: Any, collator: Any, training: Any) -> None:
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
    whole = sum(found[1:], found[0]) if found else None
    if whole and not faults:  # two rows of different parts may contradict each other
        faults = [(fault.row, fault.why, fault.name) for fault in whole.opposed]
    if faults and mine == 0:
        raise PreflightError([RowError(*fault) for fault in faults], len(rows))
    if faults:
        sys.exit(1)  # the first process says why
    if mine == 0:
        print(whole)
