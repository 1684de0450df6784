"""Conversations in the standard messages form, checked, and with every picture opened.

The form is the one of `transformers`, `datasets` and TRL: a list of
`{"role": "user" | "assistant" | "system", "content": …}`, the content a plain string or a list of
parts, `{"type": "text", "text": …}` and `{"type": "image", "image": …}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from vlm_helpers.pictures import to_rgb

ROLES = ("system", "user", "assistant")
# Where the form, and what resembles it, keeps a picture.
PICTURE_KEYS = ("image", "url", "path", "image_url")


def question_messages(pictures: Sequence[Image.Image], question: str) -> list[dict[str, Any]]:
    """One user message: the pictures in their order, then the question."""
    parts = [{"type": "image", "image": picture} for picture in pictures]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]


def pairs(
    images: Any, questions: str | Sequence[str]
) -> tuple[list[list[Image.Image]], list[str], bool]:
    """What `ask` was given, as one list of opened pictures for each question.

    The third result says whether it was one question, not a list.
    """
    if isinstance(questions, str):
        _check_question(questions)
        return [_pictures(images)], [questions], True
    if not isinstance(questions, (list, tuple)):
        raise TypeError(
            f"The question must be text, or a list of texts, not {type(questions).__name__}: "
            "ask(picture, question)."
        )
    for question in questions:
        _check_question(question)
    images = _plain(images)
    if not isinstance(images, (list, tuple)):
        # Opened once; the pictures are only read from here on.
        return [_pictures(images)] * len(questions), list(questions), False
    if len(images) != len(questions):
        raise ValueError(
            f"{len(questions)} questions came with a list of {len(images)} pictures: give one "
            "picture, not in a list, for all questions, or a list with one entry for each (an "
            "entry may itself be a list of pictures)."
        )
    return [_pictures(entry) for entry in images], list(questions), False


def _check_question(question: object) -> None:
    if not isinstance(question, str):
        raise TypeError(f"A question must be text, not {type(question).__name__}.")
    if not question.strip():
        raise ValueError("The question is empty: ask something.")


def _plain(values: Any) -> Any:
    """A list where pandas has made an array of one; an array that is a picture as it is."""
    is_list = isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1
    return list(values) if is_list else values


def _pictures(images: Any) -> list[Image.Image]:
    images = _plain(images)
    if images is None:
        return []
    return [to_rgb(image) for image in (images if isinstance(images, (list, tuple)) else [images])]


def conversation(messages: Any, images: Any = None) -> list[dict[str, Any]]:
    """`messages` as new, clean messages with lists of parts; the caller's are never changed.

    `images` fills the parts `{"type": "image"}` that carry no picture of their own, in order, as
    rows of `datasets` have it (`messages` and `images` in two columns).
    """
    messages = _plain(messages)
    if not isinstance(messages, (list, tuple)) or not messages:
        raise TypeError(
            "A conversation is a list of messages such as {'role': 'user', 'content': 'Hello'}."
        )
    waiting = _pictures(images)
    given = len(waiting)
    clean = [_message(number, message, waiting) for number, message in enumerate(messages)]
    if waiting:
        raise ValueError(
            f"{given} pictures came with places for {given - len(waiting)} in the messages: add a "
            "part {'type': 'image'} where each of them belongs."
        )
    if clean[-1]["role"] == "assistant":
        raise ValueError(
            "The last message is the assistant's already: end with the user's, as messages[:-1]."
        )
    last = clean[-1]["content"]
    if not any(part["type"] == "image" or part["text"].strip() for part in last):
        raise ValueError("The last message is empty: ask something.")
    return clean


def _message(number: int, message: Any, waiting: list[Image.Image]) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise TypeError(
            f"Message {number} is no message: it must be a dict with 'role' and 'content', "
            f"not {type(message).__name__}."
        )
    if message["role"] not in ROLES:
        raise ValueError(
            f"Message {number} has the role {message['role']!r}: there are {', '.join(ROLES)}."
        )
    content = _plain(message.get("content"))
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, (list, tuple)):
        raise TypeError(
            f"The content of message {number} must be text or a list of parts, "
            f"not {type(content).__name__}."
        )
    parts = [_part(number, part, waiting) for part in content]
    return {"role": message["role"], "content": parts}


def _part(number: int, part: Any, waiting: list[Image.Image]) -> dict[str, Any]:
    # Arrow fills the keys that other parts have with None.
    part = {k: v for k, v in part.items() if v is not None} if isinstance(part, dict) else {}
    kind = part.get("type")
    if kind == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if kind in ("image", "image_url"):
        source = next((part[key] for key in PICTURE_KEYS if key in part), None)
        if isinstance(source, dict) and "url" in source:  # {"image_url": {"url": …}}
            source = source["url"]
        if source is not None:
            return {"type": "image", "image": to_rgb(source)}
        if waiting:
            return {"type": "image", "image": waiting.pop(0)}
        raise ValueError(
            f"Message {number} has a place for a picture but no picture: put it there, as "
            "{'type': 'image', 'image': picture}, or give images=[…]."
        )
    raise ValueError(
        f"Message {number} has a part that is neither {{'type': 'text', 'text': …}} nor "
        "{'type': 'image', 'image': …}."
    )
