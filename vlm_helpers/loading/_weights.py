"""The weights of a checkpoint, from the headers of its safetensors files alone.

Names, types and shapes are known, and whether a file is whole, before anything is loaded.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from vlm_helpers._memory import Tensor
from vlm_helpers._words import first_line
from vlm_helpers.loading import _hub as hub
from vlm_helpers.loading._checkpoints import Checkpoint, read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def weight_names(found: Checkpoint) -> list[str]:
    """The names of the safetensors files, one or many."""
    index = found.folder / INDEX
    if (found.folder / WEIGHTS).is_file() or not index.is_file():
        return [WEIGHTS]
    try:
        names = sorted(set(map(str, read_json(index, found.again)["weight_map"].values())))
    except (KeyError, AttributeError, TypeError):
        raise OSError(f"{index} is damaged: it has no weight_map.") from None
    if any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
        raise OSError(f"{index} is damaged: it names files outside its folder.")
    return names


def read_tensors(found: Checkpoint) -> list[Tensor]:
    """Names, types and shapes of all weights, from headers alone, here or on the Hub.

    Raises `OSError` naming the file that is missing, cut short or damaged.
    """
    names = weight_names(found)
    missing = [name for name in names if not (found.folder / name).is_file()]
    if not missing:
        return [t for name in names for t in read_header(found.folder / name, found.again)]
    if found.commit is not None:
        return hub.tensors(found.name, found.commit)
    others = sorted(path.name for path in found.folder.glob("*.bin"))
    if others and missing == [WEIGHTS]:
        raise hub.no_safetensors(found.name, f", only as {others[0]}")
    state = "has no weights:"
    if len(names) > 1:
        state = f"is incomplete: of its {len(names)} weight files"
    raise FileNotFoundError(
        f"{found.name} {state} {missing[0]} is missing. To have it back, {found.again}."
    )


def fetch_weights(found: Checkpoint) -> None:
    """The safetensors files that the model is made of, and no others, from the Hub."""
    missing = [name for name in weight_names(found) if not (found.folder / name).is_file()]
    if missing:
        hub.fetch(found.name, found.commit, missing)


def read_header(file: Path, again: str = "get it again") -> list[Tensor]:
    """The tensors that a safetensors file declares; its size must be what they add up to.

    The format: 8 bytes, little endian, the length of the header; the header in JSON; the data.
    The data are not read. `again` says what brings a damaged file back.
    """
    from safetensors import SafetensorError, safe_open

    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(8)
        if first == b"version ":
            raise OSError(
                f"{file} is a pointer of Git LFS, not the weights: run `git lfs pull` there."
            )
        length = int.from_bytes(first, "little")
        whole = 8 + length
        if len(first) == 8 and whole <= size:
            try:
                header = json.loads(stream.read(length))
                header.pop("__metadata__", None)
                tensors = [
                    Tensor(name, str(info["dtype"]), tuple(map(int, info["shape"])))
                    for name, info in header.items()
                ]
                whole += max((int(info["data_offsets"][1]) for info in header.values()), default=0)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
                raise OSError(
                    f"{file} is damaged: its header cannot be read. Delete it and {again}."
                ) from None
    if len(first) < 8 or size < whole:
        raise OSError(
            f"{file} is truncated: it holds only {size:,} bytes, so a download or a copy broke "
            f"off. Delete it and {again}."
        )
    try:
        # Opening it holds types, shapes, places and the size against each other.
        safe_open(file, framework="np")
    except SafetensorError as error:
        more = size - whole
        why = f"it holds {more:,} bytes more than its header says" if more else first_line(error)
        why = textwrap.shorten(why.rstrip("."), 140, placeholder=" …")
        raise OSError(f"{file} is damaged: {why}. Delete it and {again}.") from None
    return tensors
