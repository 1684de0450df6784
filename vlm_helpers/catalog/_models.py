"""The facts of `models.toml` as typed, frozen rows."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from vlm_helpers import _memory as memory
from vlm_helpers._words import did_you_mean

ARTICLE = "https://huggingface.co/blog/vlms"

ABILITIES = {
    "chat": "answers over several turns",
    "grounding": "says where in the picture a phrase is, with a box or a point",
    "detection": "finds all objects of a kind, with boxes",
    "ocr": "reads text in pictures",
    "multi-image": "takes several pictures in one prompt",
    "video": "takes video",
}
# What needs a source, or has to be named as unverified.
FACTS = (
    "released", "license", "commercial", "parameters", "resolution", "tokens", "languages",
    "abilities", "vision", "connector", "decoder", "prompt_family", "box_format", "loads",
)  # fmt: skip


@dataclass(frozen=True)
class Article:
    """What the article's table says of a model, as it says it."""

    name: str
    permissive: bool
    parameters: str  # "34B", "~2B"
    resolution: str  # "672x672"
    capabilities: str  # the column "Additional Capabilities"; "" where it is empty
    abilities: tuple[str, ...] = ()  # the same, in the words of ABILITIES
    languages: tuple[str, ...] = ("English",)  # "trained on English unless stated otherwise"


@dataclass(frozen=True)
class Model:
    """One model. A fact that is None stands in `unverified`; the package's docstring says more."""

    name: str
    hub_id: str  # the checkpoint to load
    released: str | None  # year-month
    license: str | None
    commercial: str | None  # "yes", "conditions" or "no"
    parameters: float | None  # billions
    resolution: tuple[int, int] | None  # width, height in pixels
    tokens: int | None
    languages: tuple[str, ...] | None
    abilities: tuple[str, ...] | None
    vision: str | None
    connector: str | None
    decoder: str | None
    prompt_family: str | None
    box_format: str | None
    loads: str | None  # "native", "remote" or "repository"
    sources: Mapping[str, tuple[str, ...]]  # for each fact the addresses where it was read
    unverified: tuple[str, ...] = ()
    terms: str = ""  # what the licence asks for, in short
    notes: str = ""  # what else to know about the checkpoint
    tile: int | None = None  # pixels; None for a model without tiles
    model_class: str = ""  # in transformers, for loads="native"
    revision: str = ""  # a commit or tag known to exist, for loads="remote"
    repository: str = ""  # the code, for loads="repository"
    published_as: str = ""  # the authors' own checkpoint, where hub_id is a conversion of it
    article: Article | None = None

    @property
    def side(self) -> int | None:
        """Pixels along one side of the square with as many pixels as `resolution`."""
        return None if self.resolution is None else round(math.sqrt(math.prod(self.resolution)))

    @property
    def memory_bf16(self) -> float | None:
        """GiB to have free to ask one question at a time in bfloat16."""
        return self._memory(None)

    @property
    def memory_4bit(self) -> float | None:
        """GiB to have free to ask one question at a time in 4 bits."""
        return self._memory("4bit")

    def _memory(self, quantization: str | None) -> float | None:
        if self.parameters is None:
            return None
        weights = memory.parameters_gib(self.parameters * 1e9, "bfloat16", quantization)
        return memory.with_allowance(weights)

    @property
    def how_to_load(self) -> str:
        """One line: the class, the pinned revision, or the repository."""
        if self.loads == "native":
            return f"transformers.{self.model_class}"
        if self.loads == "remote":
            return f"trust_remote_code=True, revision={self.revision!r}"
        return self.repository


@cache
def models() -> tuple[Model, ...]:
    """All models, those of the article first, in its order."""
    text = files("vlm_helpers.catalog").joinpath("models.toml").read_text(encoding="utf-8")
    return tuple(_row(block) for block in tomllib.loads(text)["model"])


def get(name: str) -> Model:
    """The model of this name, Hub id or name in the article, in upper or lower case.

    Of two rows with the same Hub id it is the first, which is the article's.

    Raises `ValueError` for an unknown one, naming the nearest.
    """
    rows: dict[str, Model] = {}
    for row in models():
        names = (row.name, row.hub_id, row.published_as, row.article.name if row.article else "")
        for key in names:
            rows.setdefault(key.lower(), row)
    if not name or str(name).lower() not in rows:
        known = did_you_mean(name, [row.name for row in models()])
        raise ValueError(f"The catalog has no model {name!r}; {known}")
    return rows[str(name).lower()]


def _row(block: dict[str, Any]) -> Model:
    facts = {
        key: tuple(value) if isinstance(value, list) else value for key, value in block.items()
    }
    sources: dict[str, tuple[str, ...]] = {}
    for address, names in facts.pop("sources"):
        for fact in names.split():
            sources[fact] = (*sources.get(fact, ()), address)
    if "article" in facts:
        article = facts["article"]
        facts["article"] = Article(
            **{key: tuple(v) if isinstance(v, list) else v for key, v in article.items()}
        )
    blank = {field.name: None for field in fields(Model) if field.name in FACTS}
    return Model(**(blank | facts), sources=MappingProxyType(sources))
