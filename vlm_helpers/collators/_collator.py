"""`AnswerCollator`: a batch whose labels are the assistant's answers."""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jinja2 import TemplateError

from vlm_helpers._words import within
from vlm_helpers.collators._rows import RowError
from vlm_helpers.collators._spans import (
    Span,
    answers,
    check_whole,
    moved,
    pieces,
    tokens,
)
from vlm_helpers.conversations import Conversation, marks, read_row

IGNORED = -100  # the label that cross entropy leaves out

_REMEDY = "set another, for instance processor.chat_template = vh.prompts.template('llava-1.5')."

TRAIN_ON = ("answers", "last answer", "everything")
TOO_LONG = ("drop_turns", "raise")


@dataclass
class Prompt:
    """A row as text.

    Attributes:
        text: the conversation, rendered.
        encoding: its tokens, with one image token for each picture.
        start: the character where the completion of a prompt/completion row begins; else None.
        apart: whether the text has a padding token before that, to keep the completion's first
            token from joining the prompt's last one. The batch does not have it.
    """

    text: str
    encoding: Any
    start: int | None = None
    apart: bool = False


class AnswerCollator:
    """Makes a batch of rows, with labels on the answers and their end tokens only.

        collator = AnswerCollator(processor, max_length=2048)
        batch = collator(rows)
        batch["labels"]     # [rows, tokens]; -100 where nothing is learnt

    A row is a dict in one of TRL's forms: `messages`, or `prompt` and `completion` (conversations,
    or plain texts), with pictures in `images`, in `image`, in the image parts, or none. Of a
    prompt/completion row the whole completion is learnt, as with TRL. Rows are not changed.

    What is learnt of `messages` follows from the chat template by rendering it in part, so that it
    needs no `{% generation %}`: from where a generation prompt ends to the end token of the answer,
    or, in a template without one, to the end of what it writes for the answer. Image tokens and
    padding are never learnt; an end token is, also where it is the padding token too. Padding goes
    to the right. A beginning-of-text token is added where `processor.apply_chat_template` adds it.

    Where a generation prompt ends in a space, a tokenizer may join that space and the first word
    of the answer into one token, which the model could not give when it is asked. The completion of
    a prompt/completion row then begins with a token of its own, as with TRL and as when the model
    is asked. The text of `messages` is one piece, as with TRL, and such a token is learnt whole:
    there, use a template whose generation prompt does not end in a space.

    Args:
        processor: of a vision language model, with a chat template that has room for pictures.
        train_on: "answers"; "last answer", of each conversation; or "everything" but image tokens.
        max_length: tokens that a row may have, image tokens included; None for no limit.
        too_long: what to do with a longer one. "drop_turns" leaves out its first question and
            answer, and so on; their pictures move to the first question that is kept, for later
            questions are mostly about them. "raise" refuses the row. Nothing is ever cut, and a
            row whose last turn alone is too long is refused in either case.
    Returns (when called):
        a dict of tensors: `input_ids`, `attention_mask` and `labels`, each [rows, tokens], and
        what the processor makes of pictures, `pixel_values` among it where there are any.
    Raises:
        TypeError, ValueError: at once, for a processor or an option that cannot be.
        RowError: (a `ValueError`) when called, for a row that cannot be trained on.
    """

    def __init__(
        self,
        processor: Any,
        *,
        train_on: Literal["answers", "last answer", "everything"] = "answers",
        max_length: int | None = None,
        too_long: Literal["drop_turns", "raise"] = "drop_turns",
    ):
        if train_on not in TRAIN_ON:
            raise ValueError(f"train_on must be one of {TRAIN_ON}, not {train_on!r}.")
        if too_long not in TOO_LONG:
            raise ValueError(f"too_long must be one of {TOO_LONG}, not {too_long!r}.")
        whole = isinstance(max_length, numbers.Integral) and not isinstance(max_length, bool)
        if max_length is not None and not (whole and max_length > 0):
            raise ValueError(f"max_length must be a number of tokens, not {max_length!r}.")
        self.processor, self.train_on = processor, train_on
        self.max_length, self.too_long = max_length, too_long
        _check(processor)
        self.marks = marks(processor)
        self.image_token = next(
            (mark for mark, n in self.marks.items() if n == "image_token"), None
        )
        tokenizer = processor.tokenizer
        names = _markers(processor, self.image_token)
        self._markers = {tokenizer.convert_tokens_to_ids(n) for n in names} - {None}
        enders = sorted(end_tokens(processor, self.image_token), key=len, reverse=True)
        self._ends = re.compile("|".join(map(re.escape, enders)) or r"(?!)")
        self._check_template()

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return self.collate(rows)[0]

    def collate(self, rows: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[int]]:
        """The batch, and how many messages `max_length` took from the front of each row."""
        if isinstance(rows, Mapping) or not len(rows):
            given = "a dict: put the row into a list" if isinstance(rows, Mapping) else "none"
            raise ValueError(f"A batch is a list of one row or more, not {given}.")
        names = [row.get("id") if hasattr(row, "get") else None for row in rows]
        talks = []
        for i, row in enumerate(rows):
            try:
                talks.append(read_row(row, self.marks).opened())
            except (TypeError, ValueError, OSError) as error:
                raise RowError(i, within(str(error)), names[i]) from error
        messages = [len(talk.messages) for talk in talks]
        prompts = self._prompts([self._text(i, talk, names[i]) for i, talk in enumerate(talks)])
        batch = self._process(prompts, talks)
        while too_long := self._too_long(batch, prompts):
            for i, length in too_long.items():
                talks[i] = self._shorter(i, talks[i], length, names[i])
                (prompts[i],) = self._prompts([self._text(i, talks[i], names[i])])
            batch = self._process(prompts, talks)
        self._label(batch, prompts, talks, names)
        return batch, [before - len(talk.messages) for before, talk in zip(messages, talks)]

    # --- text ---

    def _render(self, messages: list[dict], add_generation_prompt: bool = False) -> str:
        if not messages:
            return ""
        return self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )

    def _prompts(self, found: list[tuple[str, str | None]]) -> list[Prompt]:
        texts = [text for text, _ in found]
        # In one call, which is faster than many.
        encodings = self._encode([*texts, *(before or "" for _, before in found)])
        prompts = []
        for (text, before), encoding, asked in zip(found, encodings, encodings[len(found) :]):
            if before is None:
                prompts.append(Prompt(text, encoding))
            elif encoding.ids[: len(asked.ids)] == asked.ids:
                prompts.append(Prompt(text, encoding, len(before)))
            else:
                head = before + self.processor.tokenizer.pad_token
                text = head + text[len(before) :]
                prompts.append(Prompt(text, self._encode([text])[0], len(head), apart=True))
        return prompts

    def _text(self, i: int, talk: Conversation, name: Any) -> tuple[str, str | None]:
        """The row, rendered, and with what it begins: all that comes before a completion."""
        if talk.texts:
            prompt, completion = talk.texts
            end = self.processor.tokenizer.eos_token or ""
            return prompt + completion + end * (not completion.endswith(end)), prompt
        before = None
        try:
            text = self._render(talk.messages)
            if talk.prompt is not None:
                before = self._render(talk.messages[: talk.prompt], add_generation_prompt=True)
        except (TemplateError, TypeError, ValueError) as error:
            raise RowError(i, f"the chat template refuses it: {error}", name) from error
        if self.image_token and text.count(self.image_token) != len(talk.pictures):
            raise RowError(
                i,
                f"the chat template writes {text.count(self.image_token)} image tokens for "
                f"{len(talk.pictures)} pictures: use a template that writes one for each.",
                name,
            )
        return text, before if before is not None and text.startswith(before) else None

    def _spans(self, talk: Conversation, prompt: Prompt) -> list[Span]:
        """The characters to learn."""
        if self.train_on == "everything":
            return [(0, len(prompt.text))]
        if prompt.start is not None:
            return [(prompt.start, len(prompt.text))]
        only_last = self.train_on == "last answer" or talk.prompt is not None
        return answers(talk.messages, prompt.text, self._render, self._ends, only_last=only_last)

    def _shorter(self, i: int, talk: Conversation, length: int, name: Any) -> Conversation:
        """The conversation without its first turns, as many as it takes, by their text alone."""
        first = next((k for k, m in enumerate(talk.messages) if m["role"] == "user"), 0)
        turns = (len(talk.messages) - first) // 2
        if talk.prompt is not None:
            turns = (talk.prompt - first + 1) // 2
        if self.too_long == "raise" or turns < 2:
            alone = "" if turns > 1 or talk.texts else ", and it has one turn only"
            raise RowError(
                i,
                f"it has {length:,} tokens, image tokens included, and max_length is "
                f"{self.max_length:,}{alone}: raise max_length, make the pictures smaller, or drop "
                "the row.",
                name,
            )
        system, turns_left = talk.messages[:first], talk.messages[first:]
        before = self._tokens(self._render(talk.messages))
        while True:
            turns_left = turns_left[2:]
            dropped = len(talk.messages) - len(system) - len(turns_left)
            pictures = [
                part
                for message in talk.messages[: len(system) + dropped]
                for part in message["content"]
                if part["type"] == "image"
            ]
            question = dict(turns_left[0], content=pictures + turns_left[0]["content"])
            messages = [*system, question, *turns_left[1:]]
            saved = before - self._tokens(self._render(messages))
            if length - saved <= self.max_length or len(turns_left) <= 2:
                prompt = talk.prompt - dropped if talk.prompt is not None else None
                return Conversation(messages, talk.pictures, prompt)

    def _tokens(self, text: str) -> int:
        return len(self._encode([text])[0].ids)

    def _encode(self, texts: list[str]) -> list[Any]:
        """The tokens of each text, as `tokenizers` gives them: with their characters."""
        return self.processor.tokenizer(texts, add_special_tokens=False).encodings

    # --- tensors ---

    def _process(self, prompts: list[Prompt], talks: list[Conversation]) -> dict[str, Any]:
        import torch
        from transformers import BatchFeature

        images = [talk.pictures for talk in talks]
        bos = self.processor.tokenizer.bos_token
        found = self.processor(
            text=[prompt.text for prompt in prompts],
            images=images if any(images) else None,
            text_kwargs={
                "padding": True,
                "padding_side": "right",
                # As apply_chat_template does: not a second one where the template writes it.
                "add_special_tokens": not (bos and prompts[0].text.startswith(bos)),
            },
            images_kwargs={"return_tensors": "pt"},
        )
        # Most give tokens as lists, of which transformers makes tensors number by number.
        for name in ("input_ids", "attention_mask"):
            if not isinstance(found[name], torch.Tensor):
                found[name] = torch.from_numpy(np.array(found[name]))
        return dict(BatchFeature(dict(found), tensor_type="pt"))

    def _too_long(self, batch: dict, prompts: list[Prompt]) -> dict[int, int]:
        """The lengths of rows that have more than `max_length` tokens."""
        if self.max_length is None:
            return {}
        lengths = batch["attention_mask"].sum(1).tolist()
        found = {i: length - prompts[i].apart for i, length in enumerate(lengths)}
        return {i: length for i, length in found.items() if length > self.max_length}

    def _label(
        self, batch: dict, prompts: list[Prompt], talks: list[Conversation], names: list[Any]
    ) -> None:
        import torch

        ids = batch["input_ids"]
        batch["labels"] = labels = torch.full_like(ids, IGNORED)
        extra = torch.zeros_like(ids, dtype=torch.bool)
        lengths = batch["attention_mask"].sum(1).tolist()
        for i, (prompt, talk, processed) in enumerate(zip(prompts, talks, ids.tolist())):
            rendered = prompt.encoding.ids
            try:
                spans = [tokens(prompt.encoding, span) for span in self._spans(talk, prompt)]
                found = pieces(rendered, processed[: lengths[i]], self._markers)
                learnt = [place for span in spans for place in moved(span, found)]
                if self.train_on != "everything":
                    check_whole(spans, learnt, rendered, self._markers)
            except (TemplateError, ValueError) as error:
                raise RowError(i, str(error), names[i]) from error
            if not learnt:
                raise RowError(i, "there is nothing to learn from it: drop it.", names[i])
            for start, end in learnt:
                labels[i, start:end] = ids[i, start:end]
            if prompt.apart:
                padding = tokens(prompt.encoding, (prompt.start - 1, prompt.start))
                extra[i, moved(padding, found)[0][0]] = True
        if extra.any():
            _take_out(batch, extra)

    # --- checks ---

    def _check_template(self) -> None:
        """A conversation with a picture goes through the template, before any row does."""
        ask = [{"type": "image"}, {"type": "text", "text": "What is this?"}]
        messages = [
            {"role": "user", "content": ask},
            {"role": "assistant", "content": [{"type": "text", "text": "A star."}]},
        ]
        try:
            text = self._render(messages)
        except Exception as error:  # a template can fail like any program
            raise ValueError(
                "The chat template cannot be rendered with a picture "
                f"({type(error).__name__}: {str(error).rstrip('.')}): {_REMEDY}"
            ) from error
        if "A star." not in text or (self.image_token and self.image_token not in text):
            missing = "answers" if "A star." not in text else f"pictures ({self.image_token!r})"
            raise ValueError(f"The chat template has no place for {missing}: {_REMEDY}")


def _take_out(batch: dict[str, Any], extra: Any) -> None:
    """Takes out one token in some rows; `extra` [rows, tokens] is true where it stands."""
    import torch

    shape = extra.shape
    batch["attention_mask"][extra] = 0
    batch["labels"][extra] = IGNORED
    order = extra.int().argsort(dim=1, stable=True)  # it goes behind the padding
    rows = torch.arange(shape[0])[:, None]
    longest = batch["attention_mask"].sum(1).max()
    for name, value in batch.items():
        if value.shape[:2] == shape:
            batch[name] = value[rows, order][:, :longest]


def _markers(processor: Any, image_token: str | None) -> set[str]:
    """The tokens that stand for pictures, or around them."""
    return {image_token, getattr(processor, "boi_token", None)} - {None}


def end_tokens(processor: Any, image_token: str | None) -> set[str]:
    """What can end an answer: the special tokens, but for those of pictures and padding."""
    tokenizer = processor.tokenizer
    never = {*_markers(processor, image_token), tokenizer.bos_token, tokenizer.pad_token}
    return {*tokenizer.all_special_tokens} - (never - {tokenizer.eos_token})


def _check(processor: Any) -> None:
    """Raises for a processor that cannot do it, as far as that can be said at once."""
    from transformers import PreTrainedTokenizerBase

    kind = type(processor).__name__
    if isinstance(processor, PreTrainedTokenizerBase):
        raise TypeError(
            f"{kind} is a tokenizer, which knows nothing of pictures: pass the processor, "
            "AutoProcessor.from_pretrained(…), as processing_class too."
        )
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise TypeError(
            f"A processor with a tokenizer and an image processor is needed, not {kind}: "
            "AutoProcessor.from_pretrained(…)."
        )
    if not getattr(processor, "chat_template", None):
        raise ValueError(
            f"This {kind} has no chat template: set the one that the model was trained with, for "
            "instance processor.chat_template = vh.prompts.template('llava-1.5')."
        )
    if not processor.tokenizer.is_fast:
        raise TypeError(
            f"{type(processor.tokenizer).__name__} does not say which characters a token stands "
            "for: load the processor with a fast tokenizer."
        )
    if processor.tokenizer.pad_token is None:
        raise ValueError(
            "The tokenizer has no padding token: set one, for instance "
            "processor.tokenizer.pad_token = processor.tokenizer.eos_token."
        )
