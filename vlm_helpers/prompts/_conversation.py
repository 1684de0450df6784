"""Conversations, checked and put into one form before a template sees them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from vlm_helpers.prompts._families import Family

ROLES = ("system", "user", "assistant")
_ADDRESSES = ("image", "url", "path", "image_url")  # where a part may carry its picture


def checked(messages: Any, family: Family, images: Any = None) -> list[dict[str, Any]]:
    """`messages` as new messages with lists of parts, after every check that `render` promises."""
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise TypeError(
            "A conversation is a list of messages such as {'role': 'user', 'content': 'Hello'}, "
            f"not {type(messages).__name__}."
        )
    if not messages:
        raise ValueError("The conversation is empty: it needs a message of the user.")
    clean = [_message(place(i), message, family) for i, message in enumerate(messages)]
    _check_order(clean, family)
    _check_pictures(clean, family, images)
    return _filled(clean, images)


def place(index: int) -> str:
    """A message's number as people count and as Python does."""
    return f"message {index + 1} (messages[{index}])"


def _message(where: str, message: Any, family: Family) -> dict[str, Any]:
    if not isinstance(message, dict) or "role" not in message:
        raise TypeError(f"{where} must be a dict with 'role' and 'content'.".capitalize())
    role, content = message["role"], message.get("content")
    if role not in ROLES:
        raise ValueError(f"The role of {where} is {role!r}: use one of {', '.join(ROLES)}.")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, Sequence) and not hasattr(content, "tolist"):  # pandas: an array
        raise ValueError(
            f"The content of {where} must be text or a list of parts, not {type(content).__name__}."
        )
    parts = [_part(where, part) for part in content]
    if not parts:
        raise ValueError(f"The content of {where} is empty: write a text, or leave it out.")
    if role != "user" and any(part["type"] == "image" for part in parts):
        raise ValueError(
            f"There is a picture in {where}, of the {role}: pictures belong to the user's messages."
        )
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    addresses = [part["image"] for part in parts if isinstance(part.get("image"), str)]
    for written in (text, *(addresses if family.name.startswith("qwen-vl") else ())):
        if found := [token for token in family.special if token in written]:
            raise ValueError(_reserved(where, max(found, key=len), family))
    if role == "system":  # some templates look at its first part only
        parts = [{"type": "text", "text": text}]
    return {"role": role, "content": parts}


def check_marks(messages: list[dict[str, Any]], family: Family, whole: str, render: Any) -> None:
    """No special string that the template did not write, not even one put together by it.

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


def _filled(messages: list[dict[str, Any]], images: Any) -> list[dict[str, Any]]:
    """Paths and addresses in `images` put where they belong, for templates that write them."""
    given = [images] if isinstance(images, (str, os.PathLike)) else images
    if not isinstance(given, Sequence):
        return messages
    left = iter(given)
    return [
        {
            **m,
            "content": [
                _with_address(part, next(left)) if part == {"type": "image"} else part
                for part in m["content"]
            ],
        }
        for m in messages
    ]


def _with_address(part: dict[str, Any], picture: Any) -> dict[str, Any]:
    address = isinstance(picture, (str, os.PathLike))
    return {**part, "image": os.fspath(picture)} if address else part


def _part(where: str, part: Any) -> dict[str, Any]:
    # Arrow fills the keys that other parts have with None.
    given = {k: v for k, v in part.items() if v is not None} if isinstance(part, dict) else {}
    kind = given.get("type")
    if kind == "text":
        if not isinstance(given.get("text", ""), str):
            raise ValueError(
                f"A text in {where} is of type {type(given['text']).__name__}: write it in quotes."
            )
        if not given.get("text", "").strip():
            raise ValueError(f"A text in {where} is empty: fill it in, or leave the part out.")
        return {"type": "text", "text": given["text"]}
    if kind in ("image", "image_url"):
        picture = next((given[key] for key in _ADDRESSES if key in given), None)
        if isinstance(picture, dict):  # {"image_url": {"url": …}}
            picture = picture.get("url")
        if isinstance(picture, os.PathLike):
            picture = os.fspath(picture)
        return {"type": "image"} if picture is None else {"type": "image", "image": picture}
    what = f"of type {kind!r}" if kind else f"{part!r}"
    raise ValueError(
        f"There is a part {what} in {where}: parts are {{'type': 'text', 'text': …}} and "
        "{'type': 'image'}."
    )


def _check_order(messages: list[dict[str, Any]], family: Family) -> None:
    turns = list(enumerate(messages))
    if messages[0]["role"] == "system":
        if not family.takes_system:
            raise ValueError(
                f"There is no place for a system text in {family.name}: leave out {place(0)}, or "
                "put its text before the question."
            )
        turns = turns[1:]
        if not turns:
            raise ValueError(f"After the system text, {place(0)}, a message of the user must come.")
    expected = "user"
    for index, message in turns:
        role = message["role"]
        if role == "system":
            raise ValueError(f"The system text must come first, but it is {place(index)}.")
        if role != expected:
            before = "the conversation begins" if (index, message) == turns[0] else "it follows"
            other = "with the assistant" if before.endswith("begins") else f"another of the {role}"
            raise ValueError(
                f"It is the {expected}'s turn in {place(index)}, but {before} {other}: user and "
                "assistant take turns, and the user begins."
            )
        expected = "assistant" if role == "user" else "user"
    most = {"one": 2, "prompt": 1}.get(family.conversation)
    if most and len(turns) > most:
        holds = "one question and its answer" if most == 2 else "one question and no answer"
        raise ValueError(
            f"A prompt of {family.name} holds {holds}: leave out {place(turns[most][0])} and what "
            "follows."
        )


def _check_pictures(messages: list[dict[str, Any]], family: Family, images: Any) -> None:
    places = [
        (index, "image" in part)
        for index, message in enumerate(messages)
        for part in message["content"]
        if part["type"] == "image"
    ]
    if family.pictures is not None and len(places) > family.pictures:
        raise ValueError(
            f"{family.name} takes {family.pictures} picture a conversation, but "
            f"{place(places[family.pictures][0])} has another."
        )
    empty = [index for index, filled in places if not filled]
    if images is None:
        if empty and len(empty) < len(places):
            raise ValueError(
                f"There is a place for a picture without one in {place(empty[0])}, while other "
                "places have theirs: fill all of them, or none."
            )
        return
    given = len(images) if isinstance(images, Sequence) and not isinstance(images, str) else 1
    if given < len(empty):
        raise ValueError(
            f"There are {len(empty)} places for pictures and {given} given: "
            f"{place(empty[given])} has a place and no picture."
        )
    if given > len(empty):
        last = f", the last in {place(empty[-1])}" if empty else ""
        raise ValueError(
            f"There are {len(empty)} places for pictures{last}, and {given} given: add a part "
            "{'type': 'image'} to the message where each of them belongs."
        )
