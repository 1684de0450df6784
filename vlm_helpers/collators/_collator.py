"""`AnswerCollator`: a batch whose labels are the assistant's answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from jinja2 import TemplateError

from vlm_helpers.collators._rows import RowError, Talk, read
from vlm_helpers.collators._spans import answers, moved, pieces, tokens

IGNORED = -100  # the label that cross entropy leaves out

TRAIN_ON = ("answers", "last answer", "everything")
TOO_LONG = ("drop_turns", "raise")


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

    Args:
        processor: of a vision language model, with a chat template that has room for pictures.
        train_on: "answers"; "last answer", of each conversation; or "everything" but image tokens.
        max_length: tokens that a row may have, image tokens included; None for no limit.
        too_long: what to do with a longer one. "drop_turns" leaves out its first question and
            answer, and so on; pictures stay, before the first question that is kept, for later
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
        if max_length is not None and (not isinstance(max_length, int) or max_length < 1):
            raise ValueError(f"max_length must be a number of tokens, not {max_length!r}.")
        self.processor, self.train_on = processor, train_on
        self.max_length, self.too_long = max_length, too_long
        self.image_token = _checked(processor)
        tokenizer = processor.tokenizer
        names = _markers(processor, self.image_token)
        self._markers = {tokenizer.convert_tokens_to_ids(n) for n in names} - {None}
        enders = sorted(end_tokens(processor, self.image_token), key=len, reverse=True)
        self._ends = re.compile("|".join(map(re.escape, enders)) or r"(?!)")
        self._check_template()

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        names = [row.get("id") if hasattr(row, "get") else None for row in rows]
        talks = []
        for i, row in enumerate(rows):
            try:
                talks.append(read(row, self.image_token))
            except (TypeError, ValueError, OSError) as error:
                raise RowError(i, str(error), names[i]) from error
        texts = [self._text(i, talk, names[i]) for i, talk in enumerate(talks)]
        batch = self._process(texts, talks)
        while self.max_length is not None and batch["attention_mask"].shape[1] > self.max_length:
            lengths = batch["attention_mask"].sum(1).tolist()
            for i, length in enumerate(lengths):
                if length > self.max_length:
                    talks[i] = self._shorter(i, talks[i], length, names[i])
                    texts[i] = self._text(i, talks[i], names[i])
            batch = self._process(texts, talks)
        batch["labels"] = self._labels(texts, talks, batch, names)
        return batch

    # --- text ---

    def _render(self, messages: list[dict], add_generation_prompt: bool = False) -> str:
        if not messages:
            return ""
        return self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )

    def _text(self, i: int, talk: Talk, name: Any) -> str:
        if talk.texts:
            prompt, completion = talk.texts
            end = self.processor.tokenizer.eos_token or ""
            return prompt + completion + end * (not completion.endswith(end))
        try:
            text = self._render(talk.messages)
        except (TemplateError, TypeError, ValueError) as error:
            raise RowError(i, f"the chat template refuses it: {error}", name) from error
        if self.image_token and text.count(self.image_token) != len(talk.images):
            raise RowError(
                i,
                f"the chat template writes {text.count(self.image_token)} image tokens for "
                f"{len(talk.images)} pictures: use a template that writes one for each.",
                name,
            )
        return text

    def _spans(self, talk: Talk, text: str) -> list[tuple[int, int]]:
        """The characters to learn."""
        if self.train_on == "everything":
            return [(0, len(text))]
        if talk.texts:
            return [(len(talk.texts[0]), len(text))]
        if talk.prompt is not None:
            before = self._render(talk.messages[: talk.prompt], add_generation_prompt=True)
            if text.startswith(before):
                return [(len(before), len(text))]
        only_last = self.train_on == "last answer" or talk.prompt is not None
        return answers(talk.messages, text, self._render, self._ends, only_last=only_last)

    def _shorter(self, i: int, talk: Talk, length: int, name: Any) -> Talk:
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
            pictures = [{"type": "image"}] * len(talk.images)
            words = [part for part in turns_left[0]["content"] if part["type"] != "image"]
            kept = [
                {"role": "user", "content": pictures + words},
                *(dict(m, content=[p for p in m["content"] if p["type"] != "image"])
                  for m in turns_left[1:]),
            ]  # fmt: skip
            messages = [*system, *kept]
            saved = before - self._tokens(self._render(messages))
            if length - saved <= self.max_length or len(turns_left) <= 2:
                dropped = len(talk.messages) - len(messages)
                prompt = talk.prompt - dropped if talk.prompt is not None else None
                return Talk(messages, talk.images, prompt)

    def _tokens(self, text: str) -> int:
        return len(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    # --- tensors ---

    def _process(self, texts: list[str], talks: list[Talk]) -> dict[str, Any]:
        images = [talk.images for talk in talks]
        bos = self.processor.tokenizer.bos_token
        return dict(
            self.processor(
                text=texts,
                images=images if any(images) else None,
                padding=True,
                padding_side="right",
                return_tensors="pt",
                # As apply_chat_template does: not a second one where the template writes it.
                add_special_tokens=not (bos and texts[0].startswith(bos)),
            )
        )

    def _labels(self, texts: list[str], talks: list[Talk], batch: dict, names: list) -> Any:
        import torch

        plain = self.processor.tokenizer(texts, add_special_tokens=False)
        ids = batch["input_ids"]
        labels = torch.full_like(ids, IGNORED)
        lengths = batch["attention_mask"].sum(1).tolist()
        for i, (text, talk, processed) in enumerate(zip(texts, talks, ids.tolist())):
            try:
                spans = self._spans(talk, text)
                found = pieces(plain["input_ids"][i], processed[: lengths[i]], self._markers)
            except (TemplateError, ValueError) as error:
                raise RowError(i, str(error), names[i]) from error
            learnt = [place for s in spans for place in moved(tokens(plain.encodings[i], s), found)]
            if not learnt:
                raise RowError(i, "there is nothing to learn from it: drop it.", names[i])
            for start, end in learnt:
                labels[i, start:end] = ids[i, start:end]
        return labels

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
        except TemplateError as error:
            raise ValueError(f"The chat template cannot be rendered: {error}.") from error
        if "A star." not in text or (self.image_token and self.image_token not in text):
            missing = "answers" if "A star." not in text else f"pictures ({self.image_token!r})"
            raise ValueError(
                f"The chat template has no place for {missing}: set another, for instance "
                "processor.chat_template = vh.prompts.template('llava-1.5')."
            )


def _markers(processor: Any, image_token: str | None) -> set[str]:
    """The tokens that stand for pictures, or around them."""
    return {image_token, getattr(processor, "boi_token", None)} - {None}


def end_tokens(processor: Any, image_token: str | None) -> set[str]:
    """What can end an answer: the special tokens, but for those of pictures and padding."""
    tokenizer = processor.tokenizer
    never = {*_markers(processor, image_token), tokenizer.bos_token, tokenizer.pad_token}
    return {*tokenizer.all_special_tokens} - (never - {tokenizer.eos_token})


def _checked(processor: Any) -> str | None:
    """The processor's image token, after what can be said about a processor at once."""
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
    token = getattr(processor, "image_token", None) or getattr(
        processor.tokenizer, "image_token", None
    )
    return getattr(token, "content", token)  # an AddedToken, in some
