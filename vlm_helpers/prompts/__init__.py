"""Prompt templates: the exact text that each family of models was trained to continue.

    messages = [{"role": "user", "content": [{"type": "image"},
                                             {"type": "text", "text": "What is this?"}]}]
    vh.prompts.render(messages, "llava-1.5", add_generation_prompt=True)
    processor.chat_template = vh.prompts.template("llava-1.5")   # for apply_chat_template

A family is a Jinja chat template, in `templates/`, that renders what the model's own code renders,
and a few facts (`get`), each with the address where it was read. `{% generation %}` stands around
every answer and the token that ends it, where the format has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vlm_helpers.conversations import texts_in
from vlm_helpers.prompts._conversation import check_marks, checked
from vlm_helpers.prompts._families import Family, all_families, get

__all__ = ["Family", "families", "get", "pieces", "render", "template"]


def families() -> dict[str, str]:
    """The names of all families, each with one line about it."""
    return {name: family.about for name, family in all_families().items()}


def template(family: str) -> str:
    """The family's chat template, for `processor.chat_template` or `tokenizer.chat_template`.

    It renders correct conversations as `render` does, but checks nothing.

    Raises:
        ValueError: no family has that name; the message names the nearest.
    """
    return get(family).template


def render(
    messages: Any, family: str, add_generation_prompt: bool = False, images: Any = None
) -> str:
    """The prompt, as the model's own code writes it.

    `messages`: the standard form, `{"role": …, "content": text or parts}` with parts
    `{"type": "text", "text": …}` and `{"type": "image"}`; they are not changed. `images`: pictures
    for the image parts that carry none; their number counts, and paths where a family writes them.
    `add_generation_prompt`: end where the answer begins.

    Text of the conversation never becomes a turn, a picture or an end: what the family reads as
    such a mark (`Family.special`) is refused, also where the template would put it together from
    pieces. Plain words such as "USER:" are no special tokens, and go through; so do, on purpose,
    the tokens by which places and tasks are written in texts (`<box>`, `<loc0123>`, `<OD>`).

    Raises:
        ValueError: an unknown family; or a conversation that it cannot take, with the number of
            the message at fault.
        TypeError: `messages` is no list of dicts.
    """
    facts = get(family)
    return _whole(checked(messages, facts, images), facts, add_generation_prompt)


def pieces(
    messages: Any, family: str, add_generation_prompt: bool = False
) -> list[tuple[str, str]]:
    """The rendered prompt in pieces, as (kind, text); joined, the texts are what `render` gives.

    Kinds: "system", "user" and "assistant" for texts of that role, "picture", "special" for
    special tokens, "format" for everything else that the template writes.

    Raises:
        ValueError, TypeError: as `render`.
    """
    facts = get(family)
    clean = checked(messages, facts)
    whole = _whole(clean, facts, add_generation_prompt)
    places = texts_in(clean, whole, lambda talk: _rendered(talk, facts, add_generation_prompt))
    found, end = [], 0
    for start, stop, number in places or ():
        found += _split(whole[end:start], facts)
        found.append((clean[number]["role"], whole[start:stop]))
        end = stop
    return [*found, *_split(whole[end:], facts)]


def _whole(messages: list[dict], family: Family, add_generation_prompt: bool) -> str:
    def prompt(messages: list[dict]) -> str:
        return _rendered(messages, family, add_generation_prompt)

    whole = prompt(messages)
    check_marks(messages, family, whole, prompt)
    return whole


def _rendered(messages: list[dict], family: Family, add_generation_prompt: bool) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    (prompt,), _ = render_jinja_template(
        conversations=[messages],
        chat_template=family.template,
        add_generation_prompt=add_generation_prompt,
        bos_token=family.bos,
        eos_token=family.eos,
    )
    return prompt


def _split(text: str, family: Family) -> Iterator[tuple[str, str]]:
    """What the template writes, in pieces."""
    picture = r"<img>.*?</img>" if family.image == "<img>" else re.escape(family.image)
    named = {
        "picture": picture,
        "system": re.escape(family.system or ""),
        "special": "|".join(map(re.escape, sorted(family.special, key=len, reverse=True))),
    }
    end = 0
    for match in re.finditer("|".join(f"(?P<{k}>{v})" for k, v in named.items() if v), text):
        if match.start() > end:
            yield "format", text[end : match.start()]
        yield match.lastgroup, match.group()
        end = match.end()
    if end < len(text):
        yield "format", text[end:]
