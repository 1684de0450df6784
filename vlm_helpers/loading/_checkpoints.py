"""Where a checkpoint is, and whether it is one: everything that is known before weights load.

A name becomes a folder: one that ships with the course, a folder of the reader's, or the cached
snapshot of a model on the Hub, fetched file by file and pinned to one commit. From the folder
comes the configuration. What can be wrong is said here, in one sentence each, so that the rest of
`loading` may take a sound checkpoint for granted.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from vlm_helpers._data import data_file, restore
from vlm_helpers._words import did_you_mean
from vlm_helpers.loading import _hub as hub

# The models that ship with the course, each a folder under `data/`.
SHIPPED = ("pocket-llava", "pocket-llava-base", "pocket-llava-next")
# What a processor is read from: of each, one file is enough.
PICTURE_FILES = ("processor_config.json", "preprocessor_config.json")
# What holds the vocabulary; tokenizer_config.json alone does not.
TEXT_FILES = ("tokenizer.json", "*.model", "vocab.*", "tekken.json")


class Checkpoint(NamedTuple):
    """A checkpoint by its `name`, and the folder that holds its files.

    `commit` is the Hub's commit, None for a folder. On the Hub, `folder` is a snapshot in the
    cache, and may not hold the weights yet.
    """

    name: str
    folder: Path
    commit: str | None = None

    @property
    def again(self) -> str:
        """What brings back a file that is missing or damaged, as the end of a sentence."""
        return restore() if self.name in SHIPPED else "get it again, or save the model there anew"


def pocket_folder(name: str = "pocket-llava") -> Path:
    """The folder of a model that ships with the course.

    Raises:
        FileNotFoundError: none of that name ships, or its folder holds no config.json.
    """
    if name not in SHIPPED:
        raise FileNotFoundError(f"No model {name!r} ships; {did_you_mean(name, SHIPPED)}")
    return data_file(f"{name}/config.json").parent


def find(model: str | Path, revision: str | None = None) -> Checkpoint:
    """The checkpoint called `model`, its configuration fetched if it is on the Hub.

    The order: a name in `SHIPPED`, an existing folder, an id on the Hub.
    """
    check_name(model, "model")
    folder = Path(os.path.expanduser(model))
    if isinstance(model, str) and model in SHIPPED:
        found = Checkpoint(model, pocket_folder(model))
    elif folder.is_dir():
        found = Checkpoint(str(model), folder)
    elif folder.is_file():
        raise ValueError(f"{str(model)!r} is a file: give the folder that holds the checkpoint.")
    elif hub.is_id(model):
        return Checkpoint(model, *hub.fetch_config(model, revision))
    elif re.search(r"[/\\\s]", str(model)):
        raise FileNotFoundError(
            f"There is no folder {str(model)!r} (seen from {Path.cwd()}), and a model on the Hub "
            f"is called like {hub.EXAMPLE!r}."
        )
    else:
        raise FileNotFoundError(
            f"There is no folder {str(model)!r} here, a model on the Hub is called like "
            f"{hub.EXAMPLE!r}, and of those that ship with the course, "
            f"{did_you_mean(model, SHIPPED)}"
        )
    if revision is not None:
        raise ValueError(
            f"revision={revision!r} names a version on the Hub, but {found.name} is a folder on "
            "this machine: leave revision out."
        )
    return found


def get_folder(model: str | Path, revision: str | None = None) -> Path:
    """The folder of the checkpoint that `load` would take; of one on the Hub, only config.json is
    fetched. Raises what `load` raises for a model that cannot be found."""
    return find(model, revision).folder


def check_name(name: object, what: str) -> None:
    """Raises unless `name`, the argument called `what`, can be the name of anything."""
    if not isinstance(name, (str, Path)):
        raise TypeError(f"{what} must be a name or a folder, not {type(name).__name__}.")
    if not str(name).strip():
        raise ValueError(f"{what} is an empty text: give a folder, or a name on the Hub.")


def read_config(found: Checkpoint) -> dict[str, Any]:
    """config.json as it stands, once it is there and is JSON."""
    file = found.folder / "config.json"
    if not file.is_file():
        adapter = found.folder / "adapter_config.json"
        if adapter.is_file():
            base = read_json(adapter, found.again).get("base_model_name_or_path") or "its base"
            raise ValueError(
                f"{found.name} is a LoRA adapter, not a whole model: give it as adapter=… beside "
                f"the model it was trained on, {base}."
            )
        raise FileNotFoundError(f"{found.name} has no config.json, so it is no checkpoint.")
    return read_json(file, found.again)


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
        f"take a vision language model such as {hub.EXAMPLE}."
    )


def check_processor(found: Checkpoint) -> None:
    """Raises `FileNotFoundError` if a part of the processor was not saved with the model, and
    `OSError` if one of the small files is damaged."""
    for files, part in ((PICTURE_FILES, "prepare pictures"), (TEXT_FILES, "turn text into tokens")):
        if not holds(found.folder, files):
            remedy = "save the processor beside the model with processor.save_pretrained(folder)"
            raise FileNotFoundError(
                f"{found.name} has no {' or '.join(files[:2])}, which it needs to {part}: "
                f"{found.again if found.name in SHIPPED else remedy}."
            )

    for name in (*PICTURE_FILES, "tokenizer_config.json", "generation_config.json"):
        if (file := found.folder / name).is_file():
            read_json(file, found.again)


def holds(folder: Path, files: tuple[str, ...]) -> bool:
    """Whether one of the files, which may be patterns, is in the folder."""
    return any(path.is_file() for file in files for path in folder.glob(file))


def read_json(file: Path, again: str) -> dict[str, Any]:
    """A JSON object; `again` says what brings the file back."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise OSError(f"{file} is damaged: it is no JSON object. Delete it and {again}.")
    return content
