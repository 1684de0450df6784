"""The prompt families of `families.toml` as typed, frozen rows, each with its template."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from vlm_helpers._words import choice, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Family:
    """How the checkpoints of one family want their prompts.

    Attributes:
        name: the name that `render` and `template` take.
        about: one line about it.
        template: the chat template, Jinja as transformers reads it.
        bos, eos: the strings of the tokens that begin a sequence and end an answer; "" where the
            family has none. Only the templates of Gemma 3, SmolVLM and Idefics3 write `bos`; else
            the tokenizer adds it, if the checkpoint has one.
        image: what stands for a picture in the prompt; "" where the processor places it.
        system: the system text that a conversation gets which brings none of its own, or None.
        takes_system: whether a conversation may bring a system text.
        conversation: "turns" (any number), "last" (only the last question goes into the prompt),
            "one" (a question and its answer) or "prompt" (a question only).
        pictures: the most pictures that a conversation may have; None for any number.
        special: strings that a message must not contain, for the tokenizer, or the code that reads
            the prompt, takes them for a turn, a picture or an end. Tokens for places and tasks,
            which people write on purpose, are not among them.
        source: the address of the published code or template.
        notes: what else is good to know.
    """

    name: str
    about: str
    template: str
    bos: str
    eos: str
    image: str
    system: str | None
    takes_system: bool
    conversation: str
    pictures: int | None
    special: tuple[str, ...]
    source: str
    notes: str

    def __post_init__(self):
        choice(
            f"conversation of {self.name}", self.conversation, ("turns", "last", "one", "prompt")
        )
        if self.image not in ("", *self.special):
            raise ValueError(f"{self.name} has an image token that texts may contain: {self.image}")


# What a block leaves out. The other keys must be there.
_DEFAULTS = {
    "bos": "<s>", "eos": "</s>", "image": "<image>", "system": None, "takes_system": True,
    "conversation": "turns", "pictures": None, "notes": "",
}  # fmt: skip


@cache
def all_families() -> dict[str, Family]:
    """Every family by its name, the article's models first."""
    folder = files(__package__)
    data = tomllib.loads((folder / "families.toml").read_text(encoding="utf-8"))
    blocks: dict[str, dict] = {}
    for name, block in data["families"].items():
        like = block.pop("like", None)
        known = blocks[like] if like else {**_DEFAULTS, "template": name}
        blocks[name] = {**known, **block}
    families = {}
    for name, facts in blocks.items():
        template = (folder / "templates" / f"{facts['template']}.jinja").read_text(encoding="utf-8")
        sets = [data["tokens"][one[1:]] if one[0] == "@" else [one] for one in facts["special"]]
        special = tuple(token for strings in sets for s in strings for token in _numbered(s))
        read = {"name": name, "template": template.removesuffix("\n"), "special": special}
        families[name] = Family(**{**facts, **read})
    return families


def _numbered(string: str) -> list[str]:
    """A string with {1..3} in it, once for each of the numbers."""
    found = re.search(r"\{(\d+)\.\.(\d+)\}", string)
    if not found:
        return [string]
    start, end = string[: found.start()], string[found.end() :]
    numbers = range(int(found[1]), int(found[2]) + 1)
    return [whole for n in numbers for whole in _numbered(f"{start}{n}{end}")]


def get(name: str) -> Family:
    """What is known about a family: template, tokens, system text, source, notes.

    Raises:
        ValueError: no family has that name; the message names the nearest.
    """
    families = all_families()
    if isinstance(name, str) and name in families:
        return families[name]
    raise ValueError(f"There is no prompt family {name!r}; {did_you_mean(name, families)}")
