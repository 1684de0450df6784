"""What a prompt family adds to the one reader of conversations: its own limits and tokens."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from vlm_helpers.conversations import Conversation, place, read
from vlm_helpers.prompts._families import Family


def checked(messages: Any, family: Family, images: Any = None) -> list[dict[str, Any]]:
    """`messages` as new messages with lists of parts; raises what `render` says it raises."""
    talk = read(messages, images, empty_places=True)
    _check_turns(talk, family)
    # Some templates write the address of a picture.
    addresses = [os.fspath(p) if isinstance(p, str | os.PathLike) else None for p in talk.pictures]
    filled = replace(talk, pictures=addresses).filled()
    for i, message in enumerate(filled):
        text = "".join(part["text"] for part in message["content"] if part["type"] == "text")
        written = [part.get("image", "") for part in message["content"]]
        for found in (text, *(written if family.image == "<img>" else ())):
            if tokens := [token for token in family.special if token in found]:
                raise ValueError(_reserved(place(i), max(tokens, key=len), family))
        if message["role"] == "system":  # some templates look at its first part only
            message["content"] = [{"type": "text", "text": text}]
    return filled


def _check_turns(talk: Conversation, family: Family) -> None:
    messages = talk.messages
    first = int(messages[0]["role"] == "system")
    if first and not family.takes_system:
        raise ValueError(
            f"There is no place for a system text in {family.name}: leave out {place(0)}, or put "
            "its text before the question."
        )
    most = {"one": 2, "prompt": 1}.get(family.conversation)
    if most and len(messages) - first > most:
        holds = "one question and its answer" if most == 2 else "one question and no answer"
        raise ValueError(
            f"A prompt of {family.name} holds {holds}: leave out {place(first + most)} and what "
            "follows."
        )
    places = [i for i, m in enumerate(messages) for part in m["content"] if part["type"] == "image"]
    if family.pictures is not None and len(places) > family.pictures:
        raise ValueError(
            f"{family.name} takes {family.pictures} picture a conversation, but "
            f"{place(places[family.pictures])} has another."
        )


def check_marks(messages: list[dict[str, Any]], family: Family, whole: str, render: Any) -> None:
    """Raises `ValueError` for a special string that the template did not write.

    A template strips texts and joins them, and so can make one of two harmless halves. `whole` is
    the prompt of `messages`, and `render` gives that of others: of the same with neutral texts, for
    instance, what the template itself writes.
    """

    def counts(prompt: str) -> dict[str, int]:
        return {token: prompt.count(token) for token in family.special}

    def first(known: int) -> str:
        """The prompt with the texts of the first `known` messages, and neutral ones after."""
        return render([m if i < known else _neutral(m) for i, m in enumerate(messages)])

    template = counts(first(0))
    if counts(whole) == template:
        return
    for known in range(1, len(messages) + 1):
        more = [token for token, n in counts(first(known)).items() if n != template[token]]
        if more:
            raise ValueError(_reserved(place(known - 1), max(more, key=len), family))


def _neutral(message: dict[str, Any]) -> dict[str, Any]:
    parts = [
        p if p["type"] == "image" else {"type": "text", "text": "x"} for p in message["content"]
    ]
    return {**message, "content": parts}


def _reserved(where: str, token: str, family: Family) -> str:
    return (
        f"The text of {where} contains {token!r}, which {family.name} reads as more than text: "
        "take it out or write it otherwise. Pictures are parts of their own, and the template "
        "writes the other marks."
    )
