"""`AnswerCollator`: a batch whose labels are the assistant's answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jinja2 import TemplateError
from transformers import BatchFeature, PaliGemmaProcessor, PreTrainedTokenizerBase

from vlm_helpers._locks import tokenizing
from vlm_helpers._words import choice, first_line, whole_number
from vlm_helpers.collators._rows import check_batch, of_row
from vlm_helpers.collators._spans import (
    Span,
    answers,
    check_whole,
    moved,
    pieces,
    tokens,
)
from vlm_helpers.conversations import Conversation, image_token, marks, read_row

IGNORED = -100  # the label that cross entropy leaves out

_REMEDY = "set another, for instance processor.chat_template = vh.prompts.template('llava-1.5')."

TRAIN_ON = ("answers", "last answer", "everything")
TOO_LONG = ("drop_turns", "raise")


@dataclass
class Prompt:
    """A row as text.

    Attributes:
        text: the conversation, rendered.
        spans: the characters of it to learn.
        start: the character where the completion of a prompt/completion row begins; else None.
        encoding: its tokens, with one image token for each picture.
        apart: whether the text has a padding token before `start`, to keep the completion's first
            token from joining the prompt's last one. The batch does not have it.
    """

    text: str
    spans: list[Span]
    start: int | None = None
    encoding: Any = None
    apart: bool = False

    def set_apart(self, padding: str) -> None:
        at, more = self.start, len(padding)
        self.text = self.text[:at] + padding + self.text[at:]
        self.spans = [(s + more if s >= at else s, end + more) for s, end in self.spans]
        self.start, self.apart = at + more, True


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

    PaliGemma is a prefix language model: it reads its prompt at once and an answer token by token
    (`token_type_ids` 0 and 1). Its rows are made as its processor makes them, with the answer as
    `suffix`; each has a picture, and one answer to learn.

    Threads may share a collator, and a processor with a model that is asked.

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
        self.train_on = choice("train_on", train_on, TRAIN_ON)
        self.too_long = choice("too_long", too_long, TOO_LONG)
        self.max_length = None if max_length is None else whole_number("max_length", max_length, 1)
        self.processor = processor
        _check(processor)
        self.marks = marks(processor)
        self.image_token = image_token(self.marks)
        # A prefix language model: its prompt is read at once, not token after token.
        self._reads_at_once = isinstance(processor, PaliGemmaProcessor)
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
        check_batch(rows)
        talks = []
        for i, row in enumerate(rows):
            with of_row(i, row):
                talks.append(read_row(row, self.marks).opened())
        return self.batch(talks, rows)

    def batch(
        self, talks: list[Conversation], rows: Sequence[dict[str, Any]]
    ) -> tuple[dict[str, Any], list[int]]:
        """The same of rows that were read; `rows` give their names to what is wrong."""
        prompts = []
        for i, (talk, row) in enumerate(zip(talks, rows)):
            with of_row(i, row):
                prompts.append(self._prompt(talk))
        messages = [len(talk.messages) for talk in talks]
        self._encode(prompts)
        batch = self._process(prompts, talks)
        while too_long := self._too_long(batch, prompts):
            for i, length in too_long.items():
                with of_row(i, rows[i]):
                    talks[i] = self._shorter(talks[i], length)
                    prompts[i] = self._prompt(talks[i])
            self._encode(prompts)
            batch = self._process(prompts, talks)
        if "labels" not in batch:
            self._label(batch, prompts, rows)
        return batch, [before - len(talk.messages) for before, talk in zip(messages, talks)]

    # --- text ---

    def _render(self, messages: list[dict], add_generation_prompt: bool = False) -> str:
        if not messages:
            return ""
        return self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )

    def _prompt(self, talk: Conversation) -> Prompt:
        """The row, rendered, and what is to be learnt of it."""
        before = None
        if talk.texts:
            before, completion = talk.texts
            end = self.processor.tokenizer.eos_token or ""
            text = before + completion + end * (not completion.endswith(end))
        else:
            try:
                text = self._render(talk.messages)
                if talk.prompt is not None:
                    before = self._render(talk.messages[: talk.prompt], add_generation_prompt=True)
            except (TemplateError, TypeError, ValueError) as error:
                raise ValueError(f"the chat template refuses it: {error}") from error
            if self.image_token and text.count(self.image_token) != len(talk.pictures):
                raise ValueError(
                    f"the chat template writes {text.count(self.image_token)} image tokens for "
                    f"{len(talk.pictures)} pictures: use a template that writes one for each."
                )
        start = len(before) if before is not None and text.startswith(before) else None
        if self.train_on == "everything":
            spans = [(0, len(text))]
        elif start is not None:
            spans = [(start, len(text))]
        else:
            last = self.train_on == "last answer" or talk.prompt is not None
            spans = answers(talk.messages, text, self._render, self._ends, only_last=last)
        if self._reads_at_once:
            spans = self._one(spans, text, talk)
        return Prompt(text, spans, start)

    def _one(self, spans: list[Span], text: str, talk: Conversation) -> list[Span]:
        """The span of a row for PaliGemma, which has a prompt with a picture, and one answer."""
        if not talk.pictures:
            raise ValueError(
                "PaliGemma's processor takes no text without a picture: give the row one, or drop "
                "it."
            )
        if len(spans) > 1:
            raise ValueError(
                f"it has {len(spans)} answers, and PaliGemma reads all that stands before an "
                "answer at once, so one row can teach one: set train_on='last answer', or make a "
                "row of each."
            )
        ((start, end),) = spans
        return [(max(start, text.rfind(self.image_token) + len(self.image_token)), end)]

    def _encode(self, prompts: list[Prompt]) -> None:
        """Gives each prompt its tokens; all in one call, which is faster than many."""
        if self._reads_at_once:
            return
        new = [prompt for prompt in prompts if prompt.encoding is None]
        texts = [prompt.text for prompt in new]
        asked = [prompt.text[: prompt.start or 0] for prompt in new]
        encodings = self._encodings([*texts, *asked])
        for prompt, encoding, before in zip(new, encodings, encodings[len(new) :]):
            if encoding.ids[: len(before.ids)] != before.ids:
                prompt.set_apart(self.processor.tokenizer.pad_token)
                (encoding,) = self._encodings([prompt.text])
            prompt.encoding = encoding

    def _encodings(self, texts: list[str]) -> list[Any]:
        """The tokens of each text, as `tokenizers` gives them: with their characters."""
        with tokenizing(self.processor):
            return self.processor.tokenizer(texts, add_special_tokens=False).encodings

    def _shorter(self, talk: Conversation, length: int) -> Conversation:
        """The conversation without its first turns, as many as it takes, by their text alone."""
        first = next((k for k, m in enumerate(talk.messages) if m["role"] == "user"), 0)
        turns = (len(talk.messages) - first) // 2
        if talk.prompt is not None:
            turns = (talk.prompt - first + 1) // 2
        if self.too_long == "raise" or turns < 2:
            alone = "" if turns > 1 or talk.texts else ", and it has one turn only"
            raise ValueError(
                f"it has {length:,} tokens, image tokens included, and max_length is "
                f"{self.max_length:,}{alone}: raise max_length, make the pictures smaller, or drop "
                "the row."
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
        return len(self._encodings([text])[0].ids)

    # --- tensors ---

    def _process(self, prompts: list[Prompt], talks: list[Conversation]) -> dict[str, Any]:
        texts, more = [prompt.text for prompt in prompts], {}
        bos = self.processor.tokenizer.bos_token
        # As apply_chat_template does: not a second one where the template writes it.
        begun = [bool(bos) and text.startswith(bos) for text in texts]
        if self._reads_at_once:
            # What it learns is the suffix, of which each token sees those before it only; its
            # processor puts an end token there, and the labels.
            end = self.processor.tokenizer.eos_token
            cuts = [prompt.spans[0] for prompt in prompts]
            more["suffix"] = [t[i:j].rstrip().removesuffix(end) for t, (i, j) in zip(texts, cuts)]
            texts = [text[:i] for text, (i, _) in zip(texts, cuts)]
        images = [talk.pictures for talk in talks]
        try:
            with tokenizing(self.processor):
                found = self.processor(
                    text=texts,
                    images=images if any(images) else None,
                    text_kwargs={
                        "padding": True,
                        "padding_side": "right",
                        "add_special_tokens": not all(begun),
                    },
                    images_kwargs={"return_tensors": "pt"},
                    **more,
                )
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise ValueError(
                f"The {type(self.processor).__name__} cannot take these rows as the chat template "
                f"writes them: {first_line(error)}"
            ) from error
        # Most give tokens as lists, of which transformers makes tensors number by number.
        for name in ("input_ids", "attention_mask"):
            if not isinstance(found[name], torch.Tensor):
                found[name] = torch.from_numpy(np.array(found[name]))
        batch = dict(BatchFeature(dict(found), tensor_type="pt"))
        if any(begun) and not all(begun):
            ids, bos = batch["input_ids"], self.processor.tokenizer.bos_token_id
            second = torch.zeros_like(ids, dtype=torch.bool)
            second[:, 0] = torch.tensor(begun) & (ids[:, :2] == bos).all(dim=1)
            self._take_out(batch, second)
        return batch

    def _too_long(self, batch: dict, prompts: list[Prompt]) -> dict[int, int]:
        """The lengths of rows that have more than `max_length` tokens."""
        if self.max_length is None:
            return {}
        lengths = batch["attention_mask"].sum(1).tolist()
        found = {i: length - prompts[i].apart for i, length in enumerate(lengths)}
        return {i: length for i, length in found.items() if length > self.max_length}

    def _label(self, batch: dict, prompts: list[Prompt], rows: Sequence[dict]) -> None:
        ids = batch["input_ids"]
        batch["labels"] = labels = torch.full_like(ids, IGNORED)
        extra = torch.zeros_like(ids, dtype=torch.bool)
        lengths = batch["attention_mask"].sum(1).tolist()
        for i, (prompt, processed) in enumerate(zip(prompts, ids.tolist())):
            rendered = prompt.encoding.ids
            with of_row(i, rows[i]):
                spans = [tokens(prompt.encoding, span) for span in prompt.spans]
                found = pieces(rendered, processed[: lengths[i]], self._markers)
                learnt = [place for span in spans for place in moved(span, found)]
                if self.train_on != "everything":
                    check_whole(spans, learnt, rendered, self._markers)
                if not learnt:
                    raise ValueError("there is nothing to learn from it: drop it.")
            for start, end in learnt:
                labels[i, start:end] = ids[i, start:end]
            if prompt.apart:
                padding = tokens(prompt.encoding, (prompt.start - 1, prompt.start))
                extra[i, moved(padding, found)[0][0]] = True
        self._take_out(batch, extra)

    def _take_out(self, batch: dict[str, Any], extra: Any) -> None:
        """Takes out one token in some rows; `extra` [rows, tokens] is true where it stands."""
        if not extra.any():
            return
        batch["attention_mask"][extra] = 0
        batch["input_ids"][extra] = self.processor.tokenizer.pad_token_id
        if "labels" in batch:
            batch["labels"][extra] = IGNORED
        order = extra.int().argsort(dim=1, stable=True)  # it goes behind the padding
        rows = torch.arange(len(extra))[:, None]
        longest = batch["attention_mask"].sum(1).max()
        for name, value in batch.items():
            if value.shape[:2] == extra.shape:
                batch[name] = value[rows, order][:, :longest]

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
    kind = type(processor).__name__
    if isinstance(processor, PreTrainedTokenizerBase):
        raise TypeError(
            f"{kind} is a tokenizer, which knows nothing of pictures: pass the processor, "
            "AutoProcessor.from_pretrained(…), as processing_class too."
        )
    if not all(
        hasattr(processor, n) for n in ("tokenizer", "image_processor", "apply_chat_template")
    ):
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
