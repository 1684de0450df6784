"""`VLM`: a model and its processor, with `ask`, `chat` and `stream`, and its `Card` of facts.

A thin layer: prompts are made by the processor's own chat template, answers by `model.generate`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vlm_helpers._locks import tokenizing
from vlm_helpers._threads import one_for_small
from vlm_helpers._words import first_line, whole_number
from vlm_helpers.conversations import marks, questions, read
from vlm_helpers.loading._card import Card, check_pair, describe
from vlm_helpers.loading._generation import evaluating, options
from vlm_helpers.loading._tiles import warn_of_shrinking

# What models say of pictures and settings that are not theirs.
_MISFIT = re.compile("(?i)image|shapes|size of tensor|index out of range")


class VLM:
    """A vision language model with its processor.

    `model`, `processor`: the plain objects of transformers. `card`: a `Card` of facts. `device`:
    where the model is now, a `torch.device`.

    Raises `TypeError` for other things than these two, and `ValueError` where they cannot work
    together: a tokenizer larger than the embeddings, a processor without its `patch_size`.
    """

    def __init__(self, model: Any, processor: Any, card: Card | None = None):
        check_pair(model, processor, card and card.name)
        self.model = model
        self.processor = processor
        self.card = card or describe(model, processor)

    def __repr__(self) -> str:
        size = f"{self.card.parameters / 1e6:,.1f} M parameters"
        return f"VLM({self.card.name!r}, {size}, {self.card.dtype}, {self.device})"

    @property
    def device(self) -> Any:
        return self.model.device

    def ask(
        self, images: Any, question: str | Sequence[str], *, batch_size: int = 16, **generate: Any
    ) -> str | list[str]:
        """The answer to a question, or to each of a list of questions.

        | `images` | `question` is a text | `question` is a list of n texts |
        |---|---|---|
        | None | about no picture | each about no picture |
        | one picture | about it | all about this one |
        | a list | about all of them, in this order, in one prompt | n entries, one for each \
question: a picture, a list of pictures, or None |

        A picture is a PIL image, a numpy array, a path, a `data:` or an `http(s)` URL, or a
        picture file as bytes, as an open file or as a row of a Parquet file holds it: see
        `to_rgb`. A text gives a text, a list gives a list. Lists run in batches of `batch_size`,
        padded on the left, so the answers are those that single questions get, up to rounding.

        `generate`: options of `model.generate`. Without any, decoding is greedy, and stops after
        128 new tokens, whatever the checkpoint's generation_config.json says of beams, penalties,
        lengths and numbers of answers; its stop strings count. `temperature`, `top_p` and the
        other options of sampling need `do_sample=True` beside them, as in transformers, which
        would otherwise leave them unused.

        Raises `TypeError` and `ValueError` for questions and options that cannot be, among them
        prompts longer than the context, what `to_rgb` raises for pictures, and
        `FloatingPointError` where the model computes NaN. Warns where a model that cuts pictures
        into tiles has no grid as large as the picture.
        """
        talks, single = questions(images, question, marks(self.processor))
        batch_size = whole_number("batch_size", batch_size, 1)
        answers: list[str] = []
        for start in range(0, len(talks), batch_size):
            # Opened here, so that no more pictures than those of a batch are in memory at once.
            batch = [talk.opened().filled() for talk in talks[start : start + batch_size]]
            answers += self._reply(batch, generate)
        return answers[0] if single else answers

    def chat(self, messages: Sequence[dict], images: Any = None, **generate: Any) -> str:
        """The next reply in a conversation, which ends with the user.

        `messages`: the standard form, `{"role": …, "content": text or parts}` with parts
        `{"type": "text", "text": …}` and `{"type": "image", "image": picture}`. `images` fills
        the image parts that carry no picture, in order. The messages are not changed: append the
        reply to go on. Rows that `pandas.read_parquet` gives are taken as they are, arrays and
        all. `generate` as in `ask`.

        Raises `TypeError` and `ValueError` for messages, roles and options that cannot be, and
        what `to_rgb` raises for pictures.
        """
        return self._reply([self._read(messages, images)], generate)[0]

    def stream(
        self, messages: Sequence[dict], images: Any = None, **generate: Any
    ) -> Iterator[str]:
        """`chat`, piece by piece: the pieces joined are the reply that `chat` gives.

        The messages are checked at once, the model starts with the first piece that is asked for,
        and stops when the iterator is closed or dropped.
        """
        inputs = self._prepare([self._read(messages, images)])
        return self._pieces(inputs, self._options(inputs, generate))

    def _read(self, messages: Any, images: Any) -> list[dict]:
        return read(messages, images, last="user", marks=marks(self.processor)).opened().filled()

    def _reply(self, prompts: list[list[dict]], generate: dict[str, Any]) -> list[str]:
        inputs = self._prepare(prompts)
        with self._ready():
            output = self.model.generate(**inputs, **self._options(inputs, generate))
        sequences = getattr(output, "sequences", output)  # return_dict_in_generate=True
        if len(sequences) != len(prompts):
            raise ValueError(
                "One answer a question is given: for more, with num_return_sequences, call "
                "vlm.model.generate yourself."
            )
        start = 0 if self.model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        with tokenizing(self.processor):
            texts = self.processor.tokenizer.batch_decode(
                sequences[:, start:], skip_special_tokens=True
            )
        return [text.strip() for text in texts]

    @contextmanager
    def _ready(self) -> Iterator[None]:
        from torch import OutOfMemoryError

        with one_for_small(self.card.parameters, self.device.type), evaluating(self.model):
            try:
                yield
            except OutOfMemoryError:
                raise MemoryError(
                    f"{self.card.name} has no memory left on {self.device} for this: use fewer or "
                    "smaller pictures, a smaller batch_size or fewer max_new_tokens."
                ) from None
            except (ValueError, IndexError, RuntimeError) as error:
                if not _MISFIT.search(str(error)):
                    raise
                raise ValueError(
                    f"{self.card.name} cannot take what its processor makes of the pictures "
                    f"({first_line(error).rstrip('.')}): take model, config.json and processor of "
                    "one checkpoint."
                ) from error

    def _options(self, inputs: Any, given: dict[str, Any]) -> dict[str, Any]:
        used, card = inputs["input_ids"].shape[1], self.card
        return options(self.model, self.processor, given, used, card.context_length, card.name)

    def _prepare(self, prompts: list[list[dict]]) -> Any:
        """input_ids, attention_mask [batch, tokens], pixel_values, … on the model's device."""
        from jinja2 import TemplateError

        if not getattr(self.processor, "chat_template", None):
            raise ValueError(
                f"{self.card.name} carries no chat template, so how to put a question to it is not "
                "known: set vlm.processor.chat_template to the one it was trained with."
            )
        # Left, so that every prompt ends where its answer begins; for this call only.
        padding = {"padding": True, "padding_side": "left"} if len(prompts) > 1 else {}
        try:
            with tokenizing(self.processor):
                inputs = self.processor.apply_chat_template(
                    prompts,
                    add_generation_prompt=True,
                    tokenize=True,
                    return_dict=True,
                    return_tensors="pt",
                    processor_kwargs=padding,
                )
        except TemplateError as error:
            raise ValueError(
                f"The chat template of {self.card.name} refuses this conversation: "
                f"{first_line(error)}"
            ) from error
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise ValueError(
                f"The processor of {self.card.name} cannot take this prompt: {first_line(error)}"
            ) from error
        card, length = self.card, inputs["input_ids"].shape[1]
        if card.context_length and length >= card.context_length:
            raise ValueError(
                f"The prompt is {length} tokens long, and {card.name} reads {card.context_length}, "
                "its answer included: use fewer pictures or less text."
            )
        warn_of_shrinking(card.name, self.processor, inputs.get("image_sizes"))
        return inputs.to(self.device, self.model.dtype)

    def _pieces(self, inputs: Any, chosen: dict[str, Any]) -> Iterator[str]:
        from transformers import TextIteratorStreamer

        streamer = TextIteratorStreamer(
            _Decoder(self.processor),
            skip_prompt=not self.model.config.is_encoder_decoder,
            skip_special_tokens=True,
        )
        closed = threading.Event()
        stop = [*(chosen.pop("stopping_criteria", None) or []), lambda *_, **__: closed.is_set()]
        failures: list[BaseException] = []

        def generate() -> None:
            try:
                with self._ready():
                    self.model.generate(
                        **inputs, **chosen, streamer=streamer, stopping_criteria=stop
                    )
            except BaseException as error:  # handed to the caller below
                failures.append(error)
            finally:
                streamer.text_queue.put(streamer.stop_signal)  # after a failure no end comes

        thread = threading.Thread(target=generate, name="vlm.stream", daemon=True)
        thread.start()
        try:
            held, begun = "", False  # white space at either end is not part of the reply
            for piece in streamer:
                text = held + piece if begun else (held + piece).lstrip()
                shown = text.rstrip()
                held = text[len(shown) :]
                if shown:
                    begun = True
                    yield shown
        finally:
            closed.set()
            thread.join()
        if failures:
            raise failures[0]


class _Decoder:
    """A tokenizer that decodes for a streamer while others may be using it."""

    def __init__(self, processor: Any):
        self.processor = processor

    def decode(self, *tokens: Any, **how: Any) -> str:
        with tokenizing(self.processor):
            return self.processor.tokenizer.decode(*tokens, **how)
