"""The families of `families.toml` as typed, frozen rows."""

from __future__ import annotations

import importlib
import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of vision language models.

    Attributes:
        name: as in `build`.
        title: the model as published.
        encoders: the vision encoders, each with what it sees; none for Fuyu.
        connector: what stands between encoder and decoder.
        decoder: the language model.
        source: the paper or code that says so.
        native: transformers has a class for it.
        marker: what stands before the text of a prompt with a picture.
        image_tokens: the tokens that stand for the picture.
        parts: by part of the model, what the names of its parameters hold; the first part counts.
    """

    name: str
    title: str
    encoders: list[str]
    connector: str
    decoder: str
    source: str
    native: bool
    marker: str
    image_tokens: list[str]
    parts: dict[str, list[str]]

    def make(self) -> tuple[Any, Any]:
        """A tiny model of the family with random weights, and its processor.

        From the function with the family's name in `_native` or `_own`.
        """
        module = importlib.import_module(f"vlm_helpers.zoo.{'_native' if self.native else '_own'}")
        return getattr(module, re.sub(r"\W", "_", self.name))()


_DATA = tomllib.loads((files(__package__) / "families.toml").read_text(encoding="utf-8"))
_DEFAULTS = _DATA.pop("defaults")
FAMILIES = {name: Family(name=name, **{**_DEFAULTS, **facts}) for name, facts in _DATA.items()}
