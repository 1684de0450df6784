"""Rows of a data set, in any of TRL's forms, read and checked into one form.

    messages               a conversation that ends with the assistant
    prompt, completion     conversations, or plain texts with the image token where a picture goes

with pictures in `images` (a list), in `image` (one), in the image parts themselves, or none.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm_helpers.loading._messages import ROLES
from vlm_helpers.pictures import to_rgb

_FROM_LLAVA = (
    "make each {'from': 'human', 'value': …} a {'role': 'user', 'content': …}, 'gpt' the role "
    "'assistant', and each '<image>' in a text an image part"
)


class RowError(ValueError):
    """A row that cannot be trained on.

    Attributes:
        row: its number, counted from 0, in what was given.
        why: what is wrong and what to do about it, without the number.
    """

    def __init__(self, row: int, why: str, name: Any = None):
        self.row, self.why = row, why
        super().__init__(f"Row {row:,}{'' if name is None else f' (id {name!r})'}: {why}")


@dataclass
class Talk:
    """A row, read.

    Attributes:
        messages: standard messages, every content a list of parts; image parts carry no picture.
        images: the pictures, RGB, in the order of their parts.
        prompt: how many of the messages are the prompt of a prompt/completion row; else None.
        texts: of a plain-text row, its prompt and its completion; then there are no messages.
    """

    messages: list[dict[str, Any]]
    images: list[Image.Image]
    prompt: int | None = None
    texts: tuple[str, str] | None = None


def read(row: Any, image_token: str | None) -> Talk:
    """The row as a `Talk`; the row itself is not changed.

    `image_token`: what stands for a picture in a prompt; no text of a message may contain it.

    Raises `TypeError` and `ValueError` with one sentence about what is wrong, and what `to_rgb`
    raises for pictures.
    """
    if not isinstance(row, Mapping):
        raise TypeError(f"a row must be a dict of columns, not {type(row).__name__}.")
    pictures = _pictures(row)
    if row.get("messages") is not None:
        given, prompt = row["messages"], None
    elif row.get("prompt") is not None and row.get("completion") is not None:
        if isinstance(row["prompt"], str) and isinstance(row["completion"], str):
            return _plain(row["prompt"], row["completion"], pictures, image_token)
        given = [*_listed(row["prompt"], "prompt"), *_listed(row["completion"], "completion")]
        prompt = len(row["prompt"])
    else:
        remedy = "rename or add them"
        if "conversations" in row:
            remedy = "in rows of LLaVA's own form, " + _FROM_LLAVA
        raise ValueError(
            f"it has the columns {', '.join(map(repr, row))}; needed is 'messages', or 'prompt' "
            f"and 'completion': {remedy}."
        )
    messages, images = [], []
    waiting = list(pictures)
    for i, message in enumerate(_listed(given, "messages")):
        messages.append(_message(place(i), message, waiting, images, image_token))
    _check_order(messages)
    if waiting and len(waiting) == len(pictures) and not images:
        # As TRL does: pictures without any marker stand before the first question.
        first = next(message for message in messages if message["role"] == "user")
        first["content"] = [{"type": "image"}] * len(waiting) + first["content"]
        images, waiting = waiting, []
    if waiting:
        raise ValueError(
            f"it has {count(len(pictures), 'picture')} but image parts for only "
            f"{len(pictures) - len(waiting)}: add a part {{'type': 'image'}} for each, or drop "
            "the others."
        )
    return Talk(messages, _opened(images), prompt)


def place(index: int) -> str:
    return f"message {index + 1} (messages[{index}])"


def count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _pictures(row: Mapping) -> list[Any]:
    found = _pictures_in(row.get("images"))
    found = found or _pictures_in(row.get("image"))  # a column may be there for other rows
    for i, picture in enumerate(found):
        if picture is None:
            raise ValueError(
                f"picture {i + 1} of {len(found)} is missing (None): put it there, or take the "
                "place and its image part out."
            )
    return found


def _pictures_in(column: Any) -> list[Any]:
    if column is None:
        return []
    if getattr(column, "dtype", None) == "object":  # pandas reads lists as arrays
        column = column.tolist()
    return list(column) if isinstance(column, list | tuple) else [column]


def _open(source: Any, number: int, of: int) -> Image.Image:
    """The picture, RGB; what is wrong with it is said with its name, or its number in the row."""
    if type(source) is Image.Image and source.mode == "RGB" and not source.info:
        return source  # it is only read, so it needs no copy
    name = f"its picture {number + 1}" if of > 1 else "its picture"
    if isinstance(source, Mapping):  # a picture of `datasets` that was not decoded
        data, path = source.get("bytes"), source.get("path")
        if data is None and path is None:
            raise ValueError(f"{name} has neither bytes nor a path: replace it, or drop the row.")
        if data is None:
            return to_rgb(path)
        name = f"{name} {path!r}" if path else name
        source = io.BytesIO(data)
    if not isinstance(source, io.BytesIO | Image.Image):
        return to_rgb(source)
    try:
        picture = Image.open(source) if isinstance(source, io.BytesIO) else source
        picture.load()
    except Image.UnidentifiedImageError:
        why = "it is no picture" if source.getbuffer().nbytes else "it is empty"
        raise ValueError(f"{name} cannot be read ({why}): replace it, or drop the row.") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} cannot be read ({error}): replace it, or drop the row.") from None
    return to_rgb(picture)


def _opened(sources: list[Any]) -> list[Image.Image]:
    return [_open(source, i, len(sources)) for i, source in enumerate(sources)]


def _plain(prompt: str, completion: str, pictures: list, image_token: str | None) -> Talk:
    if not completion.strip():
        raise ValueError("its completion is empty: there is nothing to learn from it; drop it.")
    if image_token and image_token in completion:
        raise ValueError(f"its completion contains {image_token!r}, which stands for a picture.")
    markers = prompt.count(image_token) if image_token else len(pictures)
    if markers != len(pictures):
        raise ValueError(
            f"it has {count(len(pictures), 'picture')} but its prompt has {image_token!r} "
            f"{count(markers, 'time')}: one for each."
        )
    return Talk([], _opened(pictures), texts=(prompt, completion))


def _listed(value: Any, column: str) -> list:
    if isinstance(value, str | Mapping) or not hasattr(value, "__len__"):
        raise TypeError(
            f"its {column!r} must be a list of messages such as "
            f"{{'role': 'user', 'content': 'Hello'}}, not {type(value).__name__}."
        )
    return list(value)


def _message(
    where: str, message: Any, waiting: list, images: list, image_token: str | None
) -> dict[str, Any]:
    if not isinstance(message, Mapping) or message.get("role") not in ROLES:
        if isinstance(message, Mapping) and "from" in message:
            raise ValueError(f"{where} has the key 'from' of LLaVA's own form: {_FROM_LLAVA}.")
        role = message.get("role") if isinstance(message, Mapping) else message
        raise ValueError(f"the role of {where} is {role!r}: use one of {', '.join(ROLES)}.")
    role, content = message["role"], message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if content is None or not hasattr(content, "__len__"):
        raise ValueError(
            f"the content of {where} must be text or a list of parts, not {type(content).__name__}."
        )
    parts = []
    for part in content:
        # Arrow fills the keys that other parts have with None.
        part = {k: v for k, v in part.items() if v is not None} if isinstance(part, Mapping) else {}
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            if image_token and image_token in part["text"]:
                raise ValueError(
                    f"the text of {where} contains {image_token!r}: take it out, and put a part "
                    "{'type': 'image'} where the picture belongs."
                )
            parts.append({"type": "text", "text": part["text"]})
        elif part.get("type") == "image" and role == "user":
            own = next((part[key] for key in ("image", "url", "path") if key in part), None)
            if own is None and not waiting:
                raise ValueError(
                    f"there is a place for a picture in {where} but no picture left for it: add "
                    "the picture to 'images', or take the part out."
                )
            images.append(own if own is not None else waiting.pop(0))
            parts.append({"type": "image"})
        elif part.get("type") == "image":
            raise ValueError(
                f"there is a picture in {where}, of the {role}: pictures belong to the user."
            )
        else:
            raise ValueError(
                f"{where} has a part that is neither {{'type': 'text', 'text': …}} nor "
                "{'type': 'image'}: mend it."
            )
    if role == "assistant" and not "".join(p["text"] for p in parts).strip():
        raise ValueError(
            f"{where} is an empty answer: write one, or drop the turn; a model that learns to say "
            "nothing will say nothing."
        )
    return {"role": role, "content": parts}


def _check_order(messages: list[dict[str, Any]]) -> None:
    if not messages:
        raise ValueError("its conversation is empty: drop the row.")
    expected = "user"
    for i, message in enumerate(messages):
        role = message["role"]
        if role == "system" and i == 0:
            continue
        if role == "system":
            raise ValueError(f"{place(i)} is of the system: a system text comes first, or not.")
        if role != expected:
            raise ValueError(
                f"it is the {expected}'s turn in {place(i)}, but its role is {role!r}: user and "
                "assistant take turns, and the user begins."
            )
        expected = "assistant" if role == "user" else "user"
    if messages[-1]["role"] != "assistant":
        raise ValueError(
            f"its conversation ends with the {messages[-1]['role']}, so the last question has no "
            "answer to learn: add it, or drop the question."
        )
