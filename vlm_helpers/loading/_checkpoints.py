"""Where a checkpoint is, and whether it is one: everything that is known before weights load.

A name becomes a folder: one of the two embedded models, a folder of the reader's, or the cached
snapshot of a model on the Hub, fetched file by file and pinned to one commit. From the folder come
the configuration and the headers of the safetensors files. What can be wrong is said here, in
one sentence each, so that `loading` may take a sound checkpoint for granted.
"""

from __future__ import annotations

import difflib
import json
import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from vlm_helpers._memory import Tensor
from vlm_helpers.loading import _hub as hub
from vlm_helpers.loading._hub import EXAMPLE, first_line, no_safetensors

POCKET = ("pocket-llava", "pocket-llava-base")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"


class Checkpoint(NamedTuple):
    """A checkpoint that was found: `name` to call it by, and the folder that holds its files.

    `commit` is the Hub's commit, None for a folder. On the Hub, `folder` is a snapshot in the
    cache, and may not hold the weights yet.
    """

    name: str
    folder: Path
    commit: str | None = None


def pocket_folder(name: str = "pocket-llava") -> Path:
    """The folder of an embedded checkpoint: `_data/` in an installed package, `data/` beside the
    package in a checkout. Raises `FileNotFoundError` where it is in neither."""
    here = Path(__file__).parents[1]  # the package itself
    places = [here / "_data" / name, here.parent / "data" / name]
    for place in places:
        if (place / "config.json").is_file():
            return place
    raise FileNotFoundError(
        f"The embedded model {name} is missing: neither {places[0]} nor {places[1]} holds it. "
        "Install the package again, or get a whole copy of the repository."
    )


def find(model: str | Path, revision: str | None = None) -> Checkpoint:
    """The checkpoint called `model`, its small files fetched if it is on the Hub.

    The order: `pocket-llava` and `pocket-llava-base`, an existing folder, a Hub id.
    """
    check_name(model, "model")
    if isinstance(model, str) and model in POCKET:
        found = Checkpoint(model, pocket_folder(model))
    elif Path(model).expanduser().is_dir():
        found = Checkpoint(str(model), Path(model).expanduser())
    elif Path(model).expanduser().is_file():
        raise ValueError(f"{str(model)!r} is a file: give the folder that holds the checkpoint.")
    elif meant := _nearly_pocket(str(model)):
        raise FileNotFoundError(
            f"There is no model and no folder {str(model)!r}: did you mean {meant!r}?"
        )
    elif isinstance(model, str) and re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model):
        return Checkpoint(model, *hub.fetch_config(model, revision))
    else:
        raise FileNotFoundError(
            f"There is no folder {str(model)!r} (seen from {Path.cwd()}), and a model on the Hub "
            f"is called like {EXAMPLE!r}."
        )
    if revision is not None:
        raise ValueError(
            f"revision={revision!r} names a version on the Hub, but {found.name} is a folder on "
            "this machine: leave revision out."
        )
    return found


def _nearly_pocket(name: str) -> str | None:
    """The embedded model that was meant by a misspelt name; `ann/pocket-llava` is on the Hub."""
    if "/" in name:
        return None
    return next(iter(difflib.get_close_matches(name.lower(), POCKET, n=1, cutoff=0.85)), None)


def check_name(name: object, what: str) -> None:
    """Raises unless `name`, the argument called `what`, can be the name of anything."""
    if not isinstance(name, (str, Path)):
        raise TypeError(f"{what} must be a name or a folder, not {type(name).__name__}.")
    if not str(name).strip():
        raise ValueError(f"{what} is an empty text: give a folder, or a name on the Hub.")


def fetch_small(found: Checkpoint, code: bool = False) -> None:
    """Everything on the Hub but the weights: tokenizer, processor, index (and `code`)."""
    patterns = ["*.json", "*.jinja", "*.txt", "*.model", *(["*.py"] if code else [])]
    hub.fetch(found.name, found.commit, patterns)


def fetch_weights(found: Checkpoint) -> None:
    """The safetensors files that the model is made of, and no others."""
    missing = [name for name in weight_names(found) if not (found.folder / name).is_file()]
    if missing:
        hub.fetch(found.name, found.commit, missing)


def find_adapter(adapter: str | Path) -> Path:
    """The folder of a LoRA adapter, fetched if it is on the Hub, once it is whole."""
    files = ["adapter_config.json", ADAPTER]
    folder = Path(adapter).expanduser()
    if not folder.is_dir():
        if not isinstance(adapter, str) or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", adapter):
            raise FileNotFoundError(f"There is no adapter folder {str(adapter)!r}.")
        folder = hub.fetch(adapter, None, files)
    for file, lack in zip(
        files, ("so it is no LoRA adapter", "and other formats are not opened"), strict=True
    ):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{adapter} has no {file}, {lack}.")
    return folder


def read_config(found: Checkpoint) -> dict[str, Any]:
    """config.json as it stands, once it is there and is JSON."""
    file = found.folder / "config.json"
    if not file.is_file():
        if (found.folder / "adapter_config.json").is_file():
            raise ValueError(
                f"{found.name} is a LoRA adapter, not a whole model: load its base model and give "
                "this as adapter=…"
            )
        raise FileNotFoundError(f"{found.name} has no config.json, so it is no checkpoint.")
    return _read_json(file)


def check_is_vlm(found: Checkpoint, trust_remote_code: bool) -> None:
    """Raises `ValueError` unless the configuration is one of a model of pictures and text."""
    from transformers import (
        CONFIG_MAPPING,
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    )

    raw = read_config(found)
    kind = raw.get("model_type")
    label = (raw.get("architectures") or [kind or "of an unknown type"])[0]
    own_code = raw.get("auto_map") or {}
    if trust_remote_code and "AutoModelForImageTextToText" in own_code:
        return
    if kind not in CONFIG_MAPPING:
        if own_code:
            raise ValueError(
                f"{found.name} ({label}) needs code from its own repository: read that code, then "
                "load it with trust_remote_code=True and revision= the 40 digits of the commit you "
                "read."
            )
        raise ValueError(
            f"{found.name} is of type {kind!r}, which this version of transformers does not know: "
            "a newer version may."
        )
    config_class = CONFIG_MAPPING[kind]
    if config_class in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return
    what = "a text-only model" if config_class in MODEL_FOR_CAUSAL_LM_MAPPING else "another model"
    raise ValueError(
        f"{found.name} is {what} ({label}), not one that answers questions about pictures: "
        f"take a vision language model such as {EXAMPLE}."
    )


def check_processor(found: Checkpoint) -> None:
    """Raises `FileNotFoundError` if a part of the processor was not saved with the model."""
    for files, part in (
        (("processor_config.json", "preprocessor_config.json"), "prepare pictures"),
        # What holds the vocabulary; tokenizer_config.json alone does not.
        (("tokenizer.json", "*.model", "vocab.*", "tekken.json"), "turn text into tokens"),
    ):
        if not any(path.is_file() for file in files for path in found.folder.glob(file)):
            raise FileNotFoundError(
                f"{found.name} has no {' or '.join(files[:2])}, which it needs to {part}: save the "
                "processor beside the model with processor.save_pretrained(folder)."
            )


def weight_names(found: Checkpoint) -> list[str]:
    """The names of the safetensors files, one or many."""
    index = found.folder / INDEX
    if (found.folder / WEIGHTS).is_file() or not index.is_file():
        return [WEIGHTS]
    try:
        names = sorted(set(map(str, _read_json(index)["weight_map"].values())))
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
        return [tensor for name in names for tensor in read_header(found.folder / name)]
    if found.commit is None:
        if missing == [WEIGHTS]:
            others = sorted(path.name for path in found.folder.glob("*.bin"))
            if others:
                raise no_safetensors(found.name, f", only as {others[0]}")
            raise FileNotFoundError(
                f"{found.name} has no weights: {WEIGHTS} is missing. Copy the folder again, whole, "
                "or save the model there with model.save_pretrained(folder)."
            )
        raise FileNotFoundError(
            f"{found.name} is incomplete: of its {len(names)} weight files {missing[0]} is missing."
        )
    return hub.tensors(found.name, found.commit)


def read_header(file: Path) -> list[Tensor]:
    """The tensors that a safetensors file declares; its size must be what they add up to.

    The format: 8 bytes, little endian, the length of the header; the header in JSON; the data.
    The data are not read.
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
        if len(first) < 8 or 8 + length > size:
            raise OSError(_cut_short(file, size))
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            tensors = [
                Tensor(name, str(info["dtype"]), tuple(map(int, info["shape"])))
                for name, info in header.items()
            ]
            end = max((int(info["data_offsets"][1]) for info in header.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise OSError(
                f"{file} is damaged: its header cannot be read. Delete it and get it again."
            ) from None
    if size < 8 + length + end:
        raise OSError(_cut_short(file, size, 8 + length + end))
    try:
        # Opening it holds types, shapes, places and the size against each other.
        safe_open(file, framework="np")
    except SafetensorError as error:
        more = size - (8 + length + end)
        why = f"it holds {more:,} bytes more than its header says" if more else first_line(error)
        why = textwrap.shorten(why.rstrip("."), 140, placeholder=" …")
        raise OSError(f"{file} is damaged: {why}. Delete it and get it again.") from None
    return tensors


def _cut_short(file: Path, size: int, whole: int | None = None) -> str:
    of = f" of {whole:,}" if whole else ""
    return (
        f"{file} is truncated: it holds {size:,}{of} bytes, so a download or a copy broke off. "
        "Delete it and get it again."
    )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise OSError(f"{file} is damaged: it is no JSON object.")
    return content
