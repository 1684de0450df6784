"""Conversations, read: one reader behind `vlm.ask`, `chat` and `stream`, `vh.prompts.render`, the
collator and preflight.

    talk = read(messages, images)       # a Conversation: clean messages, pictures in their order
    talk = read_row(row)                # of a data set, in any of TRL's forms
    chosen, rejected = read_pair(row)   # of preferences: two that begin with the same prompt

The form is the one of transformers, `datasets` and TRL: a list of messages `{"role": "user" |
"assistant" | "system", "content": …}`, the content a text or a list of parts, `{"type": "text",
"text": …}` and `{"type": "image"}`. Lists may be tuples, or arrays as pandas makes them; keys that
Arrow fills with None are as good as absent; what is read is never changed.

Decided here, and so the same at every door:

- A picture is in its part, under `image`, `url`, `path`, `base64` or OpenAI's `image_url`, or in
  `images`, which fill the parts that carry none: in order, or as their `index` says, counted from
  0, where they have one. There are as many pictures as places (an index may name one twice); only
  where there is no place at all, `images` stand before the first question, as with TRL.
- Pictures belong to the user: one in a message of the assistant or the system is refused.
- A system text comes first or not at all; then user and assistant take turns, and the user begins.
  So an assistant's first turn is refused, and so are two turns of one role.
- A message holds a picture or a text that is more than white space. An empty part beside others
  stays, as transformers would render it.
- A text contains no string that is more than text to the loaded processor: a picture, its begin or
  end, and the tokens that begin, end or separate prompts and turns (`</s>`, `<|im_end|>`). Tokens
  that stand for places (`<loc_07>`) or tasks are text. What people type is made safe by a space:
  `text.replace("</s>", "< /s>")`. Only rows of plain texts, which no template goes over, have such
  tokens themselves.
- What is not read is not left out silently: any other key that says something (`tool_calls`,
  `reasoning_content`, a video's, …) is refused by its name, and so are columns of a row that TRL or
  others would give to the template (`tools`, `chat_template_kwargs`, `system`, `videos`, …). Which
  of them reach a prompt hangs on trainer and template; here nobody has to find out.

A message is named as people count and as Python does: "message 2 (messages[1])".
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from PIL import Image

from vlm_helpers._words import count, listed
from vlm_helpers.pictures import to_rgb

ROLES = ("system", "user", "assistant")
# Where a part may carry its picture; the first that is there counts.
PICTURE_KEYS = ("image", "url", "path", "base64", "image_url")
# Columns that others give to the chat template, or show to the model.
PROMPT_COLUMNS = (
    "tools", "chat_template_kwargs", "documents", "system", "video", "videos", "audio", "audios",
)  # fmt: skip
# What a tokenizer calls the tokens that are never text, and a processor those of pictures.
_NEVER_TEXT = re.compile("(bos|eos|unk|sep|pad|cls|mask)_token")
_MARKS = re.compile("image|img|vision|video|audio|tile|slice|patch|boi|eoi", re.IGNORECASE)
NO_MARKS: Mapping[str, str] = {}
_WRITTEN: WeakKeyDictionary[Any, tuple[Any, list[str]]] = WeakKeyDictionary()
# Private characters, by which a text is found again in what a template makes of it.
_OPEN, _CLOSE, _NUMBERS = "\ue000", "\ue001", 0xF0000

_FROM_LLAVA = (
    "make each {'from': 'human', 'value': …} a {'role': 'user', 'content': …}, 'gpt' the role "
    "'assistant', and each '<image>' in a text an image part"
)

Message = dict[str, Any]
Where = Callable[[int], str]  # a message's number, in words


@dataclass(frozen=True)
class Conversation:
    """A conversation that was read.

    Attributes:
        messages: every content is a list of parts, {"type": "text", "text": …} and
            {"type": "image"}; image parts carry no picture.
        pictures: in the order of their parts, as they were given; see `opened`. None for a place
            without one, where that was allowed.
        prompt: how many of the messages are the prompt of a prompt/completion row; else None.
        texts: of a row of plain texts, its prompt and its completion; then there are no messages.
    """

    messages: list[Message]
    pictures: list[Any]
    prompt: int | None = None
    texts: tuple[str, str] | None = None

    def opened(self) -> Conversation:
        """The same with every picture as RGB. Raises what `pictures.to_rgb` raises."""
        several = len(self.pictures) > 1
        pictures = [
            _opened(picture, f"picture {i} of {len(self.pictures)}" if several else None)
            for i, picture in enumerate(self.pictures, start=1)
        ]
        return replace(self, pictures=pictures)

    def filled(self) -> list[Message]:
        """The messages with each picture in its part, `{"type": "image", "image": …}`."""
        left = iter(self.pictures)
        return [
            {**m, "content": [_filled(p, next(left)) if p["type"] == "image" else p
                              for p in m["content"]]}
            for m in self.messages
        ]  # fmt: skip


def _opened(picture: Any, which: str | None) -> Image.Image:
    try:
        return to_rgb(picture)
    except (ValueError, TypeError, OSError) as error:
        if which is None:
            raise
        raise type(error)(f"{which[0].upper()}{which[1:]} cannot be opened: {error}") from error


def _filled(part: dict[str, Any], picture: Any) -> dict[str, Any]:
    return part if picture is None else {**part, "image": picture}


def place(index: int, prompt: int | None = None, column: str = "completion") -> str:
    """A message's number as people count and as Python does.

    `prompt`: how many messages are the prompt, of a row that has it in a column of its own.
    `column`: where the others are.
    """
    if prompt is None:
        return f"message {index + 1} (messages[{index}])"
    column, at = ("prompt", index) if index < prompt else (column, index - prompt)
    return f"message {index + 1} ({column}[{at}])"


# --- messages -------------------------------------------------------------------------------------


def read(
    messages: Any,
    images: Any = None,
    *,
    last: str | None = None,
    marks: Mapping[str, str] = NO_MARKS,
    empty_places: bool = False,
) -> Conversation:
    """`messages` as a `Conversation`, with `images` in the places that have no picture.

    `last`: the role that must end it, if one must. `marks`: strings that no text may contain, as
    `marks` gives them. `empty_places`: whether no place at all may have a picture.

    Raises `TypeError` where `messages` is no list of dicts, and `ValueError` for everything else
    that the module's docstring rules out, with one sentence that names the message.
    """
    return _read(as_list(messages), images, last, marks, empty_places)


def question(images: Any, text: Any, marks: Mapping[str, str] = NO_MARKS) -> Conversation:
    """One message of the user: the pictures in their order, then the question."""
    if not isinstance(text, str):
        raise TypeError(f"A question must be text, not {type(text).__name__}.")
    if not text.strip():
        raise ValueError("The question is empty: ask something.")
    _check_marks("the question", text, marks)
    pictures = pictures_in(images)
    parts = [{"type": "image"}] * len(pictures) + [{"type": "text", "text": text}]
    return Conversation([{"role": "user", "content": parts}], pictures)


def questions(
    images: Any, texts: str | Sequence[str], marks: Mapping[str, str] = NO_MARKS
) -> tuple[list[Conversation], bool]:
    """What `ask` was given, one conversation a question, and whether it was one, not a list."""
    if isinstance(texts, str):
        return [question(images, texts, marks)], True
    texts = as_list(texts)
    if not isinstance(texts, list):
        raise TypeError(
            f"The question must be text, or a list of texts, not {type(texts).__name__}: "
            "ask(picture, question)."
        )
    images = as_list(images)
    if not isinstance(images, list):
        # Opened once; the pictures are only read from here on.
        shared = [to_rgb(picture) for picture in pictures_in(images)] if texts else None
        return [question(shared, text, marks) for text in texts], False
    if len(images) != len(texts):
        raise ValueError(
            f"{count(len(texts), 'question')} came with a list of {count(len(images), 'picture')}: "
            "give one picture, not in a list, for all questions, or a list with one entry for each "
            "(an entry may itself be a list of pictures)."
        )
    return [question(entry, text, marks) for entry, text in zip(images, texts)], False


def as_list(values: Any) -> Any:
    """A list where it is a tuple, or where pandas has made an array of one; else as it is."""
    if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1:
        return list(values)
    return list(values) if isinstance(values, tuple) else values


def pictures_in(images: Any) -> list[Any]:
    """A list of pictures from one, several, or None; none of them opened."""
    if _missing(images):
        return []
    images = as_list(images)
    images = images if isinstance(images, list) else [images]
    for i, picture in enumerate(images, start=1):
        if picture is None:
            raise ValueError(
                f"Picture {i} of {len(images)} is missing (None): put it there, or take the place "
                "and its image part out."
            )
    return images


def _missing(value: Any) -> bool:
    """None, or the NaN that pandas makes of it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _says_nothing(value: Any) -> bool:
    return _missing(value) or (hasattr(value, "__len__") and len(value) == 0)


def _read(
    messages: Any,
    images: Any,
    last: str | None,
    marks: Mapping[str, str],
    empty_places: bool = False,
    prompt: int | None = None,
    column: str = "completion",
) -> Conversation:
    where = partial(place, prompt=prompt, column=column)
    if not isinstance(messages, list):
        raise TypeError(
            "A conversation is a list of messages such as {'role': 'user', 'content': 'Hello'}, "
            f"not {type(messages).__name__}."
        )
    clean, places = [], []
    for i, message in enumerate(messages):
        parts, own = _message(where(i), message, marks)
        clean.append({"role": message["role"], "content": parts})
        places += [(i, *picture) for picture in own]
    _check_order(clean, last, where)
    found = pictures_in(images)
    if found and not places:
        first = next(i for i, message in enumerate(clean) if message["role"] == "user")
        clean[first]["content"] = [{"type": "image"}] * len(found) + clean[first]["content"]
        places = [(first, picture, None) for picture in found]
        found = []
    if empty_places and _missing(images) and all(own is None for _, own, _ in places):
        return Conversation(clean, [None] * len(places), prompt)
    return Conversation(clean, _pictures(places, found, where), prompt)


def _message(where: str, message: Any, marks: Mapping[str, str]) -> tuple[list, list]:
    """A message's clean parts, and of each image part its own picture and its index."""
    if not isinstance(message, Mapping):
        raise TypeError(
            f"There is no message in {where}: it must be a dict with 'role' and 'content', not "
            f"{type(message).__name__}."
        )
    if "role" not in message and "from" in message:
        raise ValueError(f"There is the key 'from' of LLaVA's own form in {where}: {_FROM_LLAVA}.")
    role, content = message.get("role"), as_list(message.get("content"))
    if role not in ROLES:
        raise ValueError(f"The role of {where} is {role!r}: use {listed(map(repr, ROLES), 'or')}.")
    _check_keys(where, message, ("role", "content"))
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise ValueError(
            f"The content of {where} must be text or a list of parts, not {type(content).__name__}."
        )
    parts, own = [], []
    for part in content:
        # Arrow fills the keys that other parts have with None.
        kept = {k: v for k, v in part.items() if v is not None} if isinstance(part, Mapping) else {}
        if kept.get("type") == "text":
            parts.append(_text(where, kept))
        elif kept.get("type") in ("image", "image_url"):
            if role != "user":
                raise ValueError(
                    f"There is a picture in {where}, of the {role}: pictures belong to the user's "
                    "messages."
                )
            own.append(_picture(where, kept))
            parts.append({"type": "image"})
        else:
            what = f"of type {kept['type']!r}" if "type" in kept else repr(part)[:60]
            raise ValueError(
                f"There is a part {what} in {where}: parts are {{'type': 'text', 'text': …}} and "
                "{'type': 'image'}."
            )
    # Templates join the texts of a message.
    text = "".join(part.get("text", "\n") for part in parts)
    _check_marks(f"the text of {where}", text, marks)
    if not own and not text.strip():
        what = "The text in" if parts else "The content of"
        raise ValueError(
            f"{what} {where}, of the {role}, is empty: write one, or leave the message out."
        )
    return parts, own


def _text(where: str, part: dict[str, Any]) -> dict[str, Any]:
    text = part.get("text")
    if not isinstance(text, str):
        raise ValueError(f"A text in {where} is of type {type(text).__name__}: write it in quotes.")
    _check_keys(f"a text in {where}", part, ("type", "text"))
    return {"type": "text", "text": text}


def _picture(where: str, part: dict[str, Any]) -> tuple[Any, int | None]:
    _check_keys(f"a picture in {where}", part, ("type", "index", *PICTURE_KEYS))
    sources = (_source(where, key, part.get(key)) for key in PICTURE_KEYS)
    source = next((source for source in sources if not _says_nothing(source)), None)
    index = part.get("index")
    return source, None if _missing(index) else index


def _source(where: str, key: str, source: Any) -> Any:
    if isinstance(source, Mapping) and "url" in source:  # {"image_url": {"url": …}}
        # `detail` is for OpenAI's servers, and says nothing about the prompt.
        _check_keys(f"a picture in {where}", source, ("url", "detail"))
        return source["url"]
    if isinstance(source, os.PathLike):
        return os.fspath(source)
    return f"data:image/*;base64,{source}" if key == "base64" and source else source


def _check_keys(where: str, given: Mapping, known: Sequence[str]) -> None:
    for key, value in given.items():
        if key not in known and not _says_nothing(value):
            raise ValueError(
                f"There is the key {key!r} in {where}, which is not read and would be left out: "
                "write what it says as a part, or take it away."
            )


def _check_marks(where: str, text: str, marks: Mapping[str, str]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"In {where} stands {text[error.start]!r}, the half of a character, which no tokenizer "
            "reads: take it out, text.encode(errors='ignore').decode()."
        ) from None
    if found := [mark for mark in marks if mark in text]:
        mark = max(found, key=len)
        what, more = "more than text", ""
        if _MARKS.search(marks[mark]):
            what = "a picture or its edge"
            more = " Pictures are parts of their own, {'type': 'image'}."
        raise ValueError(
            f"In {where} stands {mark!r}, which the model reads as {what}: take it out, or put a "
            f"space into it, text.replace({mark!r}, {f'{mark[0]} {mark[1:]}'!r}).{more}"
        )


def _pictures(places: list[tuple], found: list[Any], where: Where) -> list[Any]:
    """The picture of each place, (message, its own picture, its index), filled up from `found`."""
    empty = [(message, index) for message, own, index in places if own is None]
    numbers = [index for _, index in empty if index is not None]
    if empty and not found:
        raise ValueError(_unequal(places, empty, found, where))
    if numbers and len(numbers) == len(empty):
        for message, index in empty:
            if isinstance(index, bool) or index not in range(len(found)):
                raise ValueError(
                    f"There is an image part with the index {index!r} in {where(message)}, "
                    f"and {count(len(found), 'picture')}, counted from 0: mend the index."
                )
        order = [int(index) for index in numbers]
        unused = sorted(set(range(len(found))) - set(order))
        if unused:
            raise ValueError(
                f"There {'is' if len(found) == 1 else 'are'} {count(len(found), 'picture')}, and "
                f"no image part has the index {unused[0]}: add one, or take the picture out."
            )
    elif numbers:
        at = next(message for message, index in empty if index is None)
        raise ValueError(
            f"There is an image part without an index in {where(at)}, while others have one: "
            "give it to all, or to none."
        )
    elif len(empty) != len(found):
        raise ValueError(_unequal(places, empty, found, where))
    else:
        order = range(len(found))
    left = iter(order)
    return [found[next(left)] if own is None else own for _, own, _ in places]


def _unequal(places: list[tuple], empty: list[tuple], found: list, where: Where) -> str:
    if len(found) > len(empty):
        return (
            f"{count(len(found), 'picture')} came with {count(len(empty), 'place')} for them in "
            "the messages: add a part {'type': 'image'} where each of them belongs."
        )
    others = ", while other places have theirs" if len(empty) < len(places) else ""
    return (
        f"There is a place for a picture in {where(empty[len(found)][0])} but no picture "
        f"left for it{others}: add the picture to 'images' or to the part itself, or take the part "
        "out."
    )


def _check_order(messages: list[Message], last: str | None, where: Where) -> None:
    turns = list(enumerate(messages))
    if turns and messages[0]["role"] == "system":
        turns = turns[1:]
    if not turns:
        after = "after the system text must come" if messages else "it needs"
        raise ValueError(f"The conversation is empty: {after} a message of the user.")
    expected = "user"
    for i, message in turns:
        role, here = message["role"], where(i)
        if role == "system":
            raise ValueError(f"The system text must come first, but {here} is of the system.")
        if role != expected:
            before = "the conversation begins" if i == turns[0][0] else "it follows"
            other = f"with the {role}" if before.endswith("begins") else f"another of the {role}"
            raise ValueError(
                f"It is the {expected}'s turn in {here}, but {before} {other}: user and assistant "
                "take turns, and the user begins."
            )
        expected = "assistant" if role == "user" else "user"
    if last == "user" and expected == "user":
        raise ValueError(
            "The last message is the assistant's already: end with the user's, as messages[:-1]."
        )
    if last == "assistant" and expected == "assistant":
        raise ValueError(
            "The conversation ends with the user, so the last question has no answer to learn: add "
            "it, or drop the question."
        )


# --- rows of a data set ---------------------------------------------------------------------------


def read_row(row: Any, marks: Mapping[str, str] | None = None) -> Conversation:
    """A row to learn from, as a `Conversation`; the row is not changed.

    A row is a dict of columns in one of TRL's forms,

        messages               a conversation that ends with the assistant
        prompt, completion     conversations, or plain texts with the image token where a picture is

    with pictures in `images` (a list), in `image` (one), in the image parts, or none.
    `marks`: of the processor, as `marks` gives them.

    Raises `TypeError` and `ValueError`, one sentence each.
    """
    row, images = _columns(row)
    marks = marks or {}
    if "messages" in row and not _says_nothing(row.get("completion")):
        raise ValueError(
            "There is a conversation in the column 'messages' and another in 'prompt' and "
            "'completion': keep one of the two."
        )
    if "messages" in row:
        _check_messages(row, "messages")
        return _read(row["messages"], images, "assistant", marks)
    if "prompt" not in row or "completion" not in row:
        raise ValueError(_wrong_columns(row, "'messages', or 'prompt' and 'completion'"))
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, str) and isinstance(completion, str):
        return _plain(prompt, completion, images, marks)
    _check_messages(row, "prompt")
    _check_messages(row, "completion")
    talk = [*prompt, *completion]
    return _read(talk, images, "assistant", marks, prompt=len(prompt))


def _columns(row: Any) -> tuple[dict[str, Any], list[Any]]:
    """The columns of a row that say something, and its pictures."""
    if not isinstance(row, Mapping):
        remedy = ", as row.to_dict() gives it" if hasattr(row, "to_dict") else ""
        raise TypeError(f"A row must be a dict of columns{remedy}, not {type(row).__name__}.")
    row = {column: as_list(value) for column, value in row.items() if not _missing(value)}
    for column in PROMPT_COLUMNS:
        if not _says_nothing(row.get(column)):
            raise ValueError(
                f"The column {column!r} is not read and would be left out of the prompt: write "
                "what it says into the messages, or remove the column."
            )
    images = pictures_in(row.get("images"))
    image = pictures_in(row.get("image"))  # either may be there for other rows
    if images and image:
        raise ValueError(
            "There are pictures in the column 'images' and in 'image': keep one of the two."
        )
    return row, images or image


def _check_messages(row: Mapping, column: str) -> None:
    if not isinstance(row[column], list):
        raise TypeError(
            f"The column {column!r} must be a list of messages such as "
            f"{{'role': 'user', 'content': 'Hello'}}, not {type(row[column]).__name__}."
        )
    if not row[column]:
        raise ValueError(f"The conversation is empty, in the column {column!r}: drop the row.")


def _wrong_columns(row: Mapping, needed: str) -> str:
    remedy = "rename or add them"
    if {"chosen", "rejected"} <= set(row):
        remedy = (
            "a row of preferences is for PreferenceCollator; to learn its chosen answer alone, "
            "dataset.rename_column('chosen', 'completion')"
        )
    elif "conversations" in row:
        talk = row["conversations"]
        remedy = f"in rows of LLaVA's own form, {_FROM_LLAVA}"
        if isinstance(talk, list) and talk and isinstance(talk[0], Mapping) and "role" in talk[0]:
            remedy = (
                "'conversations' holds messages already, so rename it, "
                "dataset.rename_column('conversations', 'messages')"
            )
    elif "input_ids" in row:
        remedy = (
            "the trainer made tokens of it first, so pass the rows on as they are, with "
            "SFTConfig(dataset_kwargs={'skip_prepare_dataset': True}, remove_unused_columns=False)"
        )
    there = listed(map(repr, row)) or "none"
    return f"The columns are {there}; needed is {needed}: {remedy}."


def _plain(
    prompt: str, completion: str, images: list, marks: Mapping[str, str], name: str = "completion"
) -> Conversation:
    if not completion.strip():
        raise ValueError(f"The {name} is empty, so there is nothing to learn: drop the row.")
    # Plain texts are what a template would write: with all its tokens, and a prompt with pictures
    # and what some write around them.
    edges = {mark: name for mark, name in marks.items() if _MARKS.search(name)}
    _check_marks(f"the {name}", completion, edges)
    around = {m: n for m, n in edges.items() if "vision" not in n and n != "image_token"}
    _check_marks("the prompt", prompt, around)
    token = image_token(marks)
    if token is not None and prompt.count(token) != len(images):
        raise ValueError(
            f"There {'is' if len(images) == 1 else 'are'} {count(len(images), 'picture')}, and the "
            f"prompt has {token!r} {count(prompt.count(token), 'time')}: one for each."
        )
    return Conversation([], images, texts=(prompt, completion))


# --- rows of preferences --------------------------------------------------------------------------

PAIR = ("chosen", "rejected")


def read_pair(row: Any, marks: Mapping[str, str] | None = None) -> list[Conversation]:
    """A row of preferences as two `Conversation`s, the chosen answer's and the rejected one's.

    A row is a dict of columns in one of TRL's forms,

        prompt, chosen, rejected    conversations, or plain texts
        chosen, rejected            the same with the prompt in both: it is what they begin with

    with pictures as in `read_row`; they belong to the prompt, which both conversations share.

    Raises `TypeError` and `ValueError`, one sentence each; for two equal answers too.
    """
    row, images = _columns(row)
    marks = marks or {}
    if not {*PAIR} <= set(row):
        needed = "'prompt', 'chosen' and 'rejected', or the last two with the prompt in both"
        raise ValueError(_wrong_columns(row, needed))
    if _says_nothing(row.get("prompt")):
        row.pop("prompt", None)
    columns = [column for column in ("prompt", *PAIR) if column in row]
    kinds = ["text" if isinstance(row[column], str) else "list" for column in columns]
    if len({*kinds}) > 1:
        given = listed(f"{column!r} is a {kind}" for column, kind in zip(columns, kinds))
        raise TypeError(
            f"Prompt and answers must be of one kind, but {given}: write each answer to a list of "
            "messages as one, [{'role': 'assistant', 'content': …}], or all as plain texts."
        )
    if kinds[0] == "text":
        pair = _plain_pair(row, images, marks)
    else:
        for column in columns:
            _check_messages(row, column)
        pair = (_with_prompt if "prompt" in row else _without_prompt)(row, images, marks)
    answers = [answer(talk) for talk in pair]
    if answers[0].split() == answers[1].split():
        but = "" if answers[0] == answers[1] else " but for white space"
        raise ValueError(
            f"The chosen and the rejected answer are the same{but}, so neither can be preferred: "
            "mend one of them, or drop the row."
        )
    asked = _asked(pair[0])
    for column, text in zip(PAIR, answers):
        if len(asked.split()) > 1 and text.strip().startswith(asked):
            raise ValueError(
                f"The {column} answer begins with the question, which is in the prompt already: "
                "cut it off."
            )
    return pair


def read_prompt(row: Any, marks: Mapping[str, str] | None = None) -> Conversation:
    """A row to be answered: its column `prompt`, a conversation, with pictures as in `read_row`."""
    row, images = _columns(row)
    if "prompt" not in row:
        raise ValueError(_wrong_columns(row, "'prompt'"))
    _check_messages(row, "prompt")
    messages = row["prompt"]
    return _read(messages, images, "user", marks or {}, prompt=len(messages))


def answer(talk: Conversation) -> str:
    """The text of all that follows the prompt."""
    return talk.texts[1] if talk.texts else "\n".join(map(_said, talk.messages[talk.prompt :]))


def _asked(talk: Conversation) -> str:
    return "" if talk.texts else _said(talk.messages[talk.prompt - 1]).strip()


def _said(message: Message) -> str:
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


def _with_prompt(row: Mapping, images: list, marks: Mapping[str, str]) -> list[Conversation]:
    pair = []
    for column in PAIR:
        first = row[column][0]
        role = first.get("role") if isinstance(first, Mapping) else None
        if role in ("user", "system"):
            raise ValueError(
                f"The column {column!r} begins with a message of the {role}, and there is a column "
                "'prompt' too: leave only the answer in it, or remove the column 'prompt'."
            )
        talk = [*row["prompt"], *row[column]]
        prompt = len(row["prompt"])
        pair.append(_read(talk, images, "assistant", marks, prompt=prompt, column=column))
    return _one_prompt(pair, len(row["prompt"]))


def _without_prompt(row: Mapping, images: list, marks: Mapping[str, str]) -> list[Conversation]:
    pair = [
        _read(row[column], images, "assistant", marks, prompt=0, column=column) for column in PAIR
    ]
    one, other = (talk.messages for talk in pair)
    shared = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), None)
    if shared is None and len(one) != len(other):
        short, long = PAIR if len(one) < len(other) else PAIR[::-1]
        raise ValueError(
            f"All of {short!r} is the beginning of {long!r}, so it has no answer of its own: give "
            "both an answer to the same prompt, or drop the row."
        )
    shared = len(one) - 1 if shared is None else shared  # the same throughout: told later
    if one[shared]["role"] != "assistant":
        where = place(shared, 0, "chosen")
        raise ValueError(
            f"The two conversations part in {where}, of the {one[shared]['role']}, and they must "
            "share their prompt: give both the same questions, or drop the row."
        )
    return _one_prompt(pair, shared)


def _one_prompt(pair: list[Conversation], prompt: int) -> list[Conversation]:
    """The pair with `prompt` messages as its prompt, and with the same pictures."""
    for column, talk in zip(PAIR, pair):
        for i, message in enumerate(talk.messages[prompt:], start=prompt):
            if any(part["type"] == "image" for part in message["content"]):
                raise ValueError(
                    f"There is a picture in {place(i, prompt, column)}, after the prompt, and both "
                    "answers must be to the same pictures: put it into the prompt."
                )
    one, other = (talk.pictures for talk in pair)
    if not all(map(_same, one, other)):
        raise ValueError(
            "The chosen and the rejected conversation have different pictures, and must share "
            "their prompt: give both the same, in the column 'images'."
        )
    return [replace(talk, pictures=one, prompt=prompt) for talk in pair]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return one is other or one == other


def _plain_pair(row: Mapping, images: list, marks: Mapping[str, str]) -> list[Conversation]:
    answers = [row[column] for column in PAIR]
    prompt = row.get("prompt")
    if prompt is None:
        # They part between words, with the space on the answer's side, as TRL has it.
        prompt = re.sub(r"\s?\w*\Z", "", os.path.commonprefix(answers))
        if not prompt.strip():
            raise ValueError(
                "The chosen and the rejected text begin with no word that both have, so there is "
                "no prompt: give it in a column 'prompt'."
            )
        answers = [text[len(prompt) :] for text in answers]
    else:
        for column, text in zip(PAIR, answers):
            if text.startswith(prompt):
                raise ValueError(
                    f"The {column} answer repeats the prompt, which has its own column: cut it "
                    "off, or remove the column 'prompt'."
                )
    special = [mark for mark, name in marks.items() if not _MARKS.search(name)]
    ends = [max([m for m in special if text.rstrip().endswith(m)], key=len, default=None)
            for text in answers]  # fmt: skip
    if ends[0] != ends[1]:
        one, other = PAIR if ends[0] else PAIR[::-1]
        raise ValueError(
            f"The {one} answer ends with {ends[0] or ends[1]!r}, and the {other} one does not, so "
            "the pair would teach when to stop, not what to say: end both alike."
        )
    return [
        _plain(prompt, text, images, marks, f"{column} answer")
        for column, text in zip(PAIR, answers)
    ]


# --- what a processor and a template make of texts ------------------------------------------------


def marks(processor: Any) -> dict[str, str]:
    """The strings that are more than text to a processor, with their names.

    The one named "image_token" stands for a picture in a prompt. The others are what the processor
    and its tokenizer call boi_token, video_token, fake_image_token, …; the tokenizer's eos_token
    and the like; and, named "template", the special tokens that the chat template writes.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    token = getattr(processor, "image_token", None) or getattr(tokenizer, "image_token", None)
    found = {getattr(token, "content", token): "image_token"} if token else {}
    named = [(f"tokenizer.{n}", v) for n, v in getattr(tokenizer, "special_tokens_map", {}).items()]
    for name, value in (*vars(processor).items(), *named):
        value = getattr(value, "content", value)  # an AddedToken, in some
        if name.endswith(("_token", "_tag")) and isinstance(value, str) and value.strip():
            if _MARKS.search(name) or _NEVER_TEXT.fullmatch(name.removeprefix("tokenizer.")):
                found.setdefault(value, name)
    for value in _written(processor, tokenizer):
        found.setdefault(value, "template")
    return found


def _written(processor: Any, tokenizer: Any) -> list[str]:
    """The special tokens that the chat template writes; kept, for `ask` wants them every time."""
    template = getattr(processor, "chat_template", None)
    if not template:
        return []
    known, state = _WRITTEN.get(tokenizer), (str(template), len(tokenizer))
    if known is None or known[0] != state:
        roles = ("system", "user", "assistant", "user")
        talk = [{"role": role, "content": [{"type": "text", "text": "x"}]} for role in roles]
        text = ""
        for messages in (talk, talk[1:]):  # some have no place for a system text
            try:
                text = text or processor.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=True
                )
            except Exception:  # a template can fail like any program, and those who use it say so
                pass
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        special = [token.content for token in added if token.special]
        known = _WRITTEN[tokenizer] = state, [t for t in special if t.strip() and t in text]
    return known[1]


def image_token(marks: Mapping[str, str]) -> str | None:
    """The one of a processor's `marks` that stands for a picture in a prompt."""
    return next((mark for mark, name in marks.items() if name == "image_token"), None)


def texts_in(
    messages: Sequence[Message],
    whole: str,
    render: Callable[[list[Message]], str],
    only: int | None = None,
) -> list[tuple[int, int, int]] | None:
    """Where texts of `messages` stand in the prompt `whole`, as (start, end, message).

    `render` gives the prompt of messages, and so that of the same ones with a private character on
    either side of each text. `only`: the number of the one message whose texts are wanted.

    None where the template cuts, joins or hides texts, or does more between them than to strip.
    """
    for strip in (_not_at_all, _each, _at_the_ends):
        marked = render([_marked(m, i, strip) if only in (None, i) else m
                         for i, m in enumerate(messages)])  # fmt: skip
        found, plain = [], ""
        pieces = re.split(f"{_OPEN}(.)(.*?){_CLOSE}", marked, flags=re.DOTALL)
        for before, number, text in zip(pieces[::3], pieces[1::3], pieces[2::3]):
            plain += before + text
            found.append((len(plain) - len(text), len(plain), ord(number) - _NUMBERS))
        if found and plain + pieces[-1] == whole:
            return found
    return None


def _marked(message: Message, number: int, strip: Callable) -> Message:
    texts = iter(strip([part["text"] for part in message["content"] if part["type"] == "text"]))
    parts = [
        {**part, "text": f"{_OPEN}{chr(_NUMBERS + number)}{next(texts)}{_CLOSE}"}
        if part["type"] == "text" else part for part in message["content"]
    ]  # fmt: skip
    return {**message, "content": parts}


# What templates do to texts.
def _not_at_all(texts: list[str]) -> list[str]:
    return texts


def _each(texts: list[str]) -> list[str]:
    return [text.strip() for text in texts]


def _at_the_ends(texts: list[str]) -> list[str]:
    if len(texts) < 2:
        return _each(texts)
    return [texts[0].lstrip(), *texts[1:-1], texts[-1].rstrip()]
