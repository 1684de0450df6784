"""Rows of files for `recipes.sft`: Parquet tables and WebDataset shards, read one after another.

By name and in this thread: `datasets` hands pyarrow's threads an open file of Python's, at which
Python may hang when a run ends before its data does (apache/arrow#45214, #50482).
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import datasets
import pyarrow
from pyarrow.parquet import ParquetFile

from vlm_helpers.training import as_stored

PICTURES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2")


@contextmanager
def _parquet(file: str) -> Iterator[ParquetFile]:
    try:
        with ParquetFile(file) as table:
            yield table
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{file} is no Parquet file, or damaged: {error}") from None


def number_of_rows(file: str) -> int:
    """Of a Parquet file. Raises `ValueError` where it is none."""
    with _parquet(file) as table:
        return table.metadata.num_rows


def parquet_rows(files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The rows of Parquet files. Raises `ValueError` naming the one that is damaged."""
    for file in files:
        with _parquet(file) as table:
            columns = as_stored(datasets.Features.from_arrow_schema(table.schema_arrow))
            for batch in table.iter_batches(16, use_threads=False):
                yield from map(columns.decode_example, batch.to_pylist())


def shard_rows(files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The rows of WebDataset shards: neighbours of one name up to the first dot. NAME.json holds
    `messages`, the pictures come in the order of their names; `id` is NAME.

    Raises `ValueError` naming the shard that is damaged or cut off, and the row without messages.
    """
    for file in files:
        key, parts = "", {}
        for name, data in _entries(file):
            row, kind = re.match(r"((?:.*/)?[^/.]*)\.?(.*)", name, re.DOTALL).groups()
            if row != key and parts:
                yield _row(file, key, parts)
                parts = {}
            key, parts[kind] = row, data
        if parts:
            yield _row(file, key, parts)


def _entries(file: str) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(file, "r:") as tar:
            for entry in tar:
                if entry.isfile():
                    yield entry.name, tar.extractfile(entry).read()
            if os.path.getsize(file) < tar.offset + tarfile.BLOCKSIZE:  # an empty block ends it
                raise tarfile.ReadError("it is cut off")
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"{file} is no tar archive, or damaged: {error}") from None


def _row(file: str, key: str, parts: dict[str, bytes]) -> dict[str, Any]:
    try:
        messages = json.loads(parts["json"])["messages"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{file} has no conversation for {key}: needed is {key}.json, an object with "
            "'messages'."
        ) from None
    pictures = [
        {"bytes": parts[kind], "path": f"{key}.{kind}"}
        for kind in sorted(parts, key=_counted)
        if kind.rpartition(".")[2].lower() in PICTURES
    ]
    return {"messages": messages, "images": pictures, "id": key}


def _counted(name: str) -> list[tuple[int, str]]:
    """Sorts "2.png" before "10.png"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
