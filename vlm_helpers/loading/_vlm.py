"""`VLM`: a model and its processor, with `ask`, `chat` and `stream`, and its `Card` of facts.

A thin layer: prompts are made by the processor's own chat template, answers by `model.generate`.
"""

from __future__ import annotations

import numbers
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm_helpers._words import first_line
from vlm_helpers.conversations import marks, questions, read

# Enough for the longest answer of the pocket model, an outline.
MAX_NEW_TOKENS = 128
# Options that `generate` passes over while it is greedy.
SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
)  # fmt: skip

_TOKENIZING = threading.Lock()


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself. None stands for what it does not say."""

    name: str
    model_type: str
    parameters: int
    dtype: str  # what the weights are held in: "float32", …, or "8bit", "4bit"
    image_size: tuple[int, int] | None = None  # height, width in pixels, as the model sees them
    image_tokens: int | None = None  # tokens that one square picture of that size becomes
    context_length: int | None = None  # tokens of prompt and answer together
    bytes: int | None = None  # of the weights on disk
    revision: str | None = None  # the commit on the Hub
    adapter: str | None = None


class VLM:
    """A vision language model with its processor.

    `model`, `processor`: the plain objects of transformers. `card`: a `Card` of facts. `device`:
    where the model is now, a `torch.device`.
    """

    def __init__(self, model: Any, processor: Any, card: Card | None = None):
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
        128 new tokens. `temperature`, `top_p` and the other options of sampling need
        `do_sample=True` beside them, as in transformers, which would otherwise leave them unused.

        Raises `TypeError` and `ValueError` for questions and options that cannot be, among them
        prompts longer than the context, and what `to_rgb` raises for pictures.
        """
        talks, single = questions(images, question, marks(self.processor))
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a number from 1 up, not {batch_size!r}.")
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
        with _evaluating(self.model):
            output = self.model.generate(**inputs, **self._options(inputs, generate))
        sequences = getattr(output, "sequences", output)  # return_dict_in_generate=True
        if len(sequences) != len(prompts):
            raise ValueError(
                "One answer a question is given: for more, with num_return_sequences, call "
                "vlm.model.generate yourself."
            )
        start = 0 if self.model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        texts = self.processor.tokenizer.batch_decode(
            sequences[:, start:], skip_special_tokens=True
        )
        return [text.strip() for text in texts]

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
            with _TOKENIZING:  # a tokenizer keeps its padding inside, and threads may share it
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
        length, context = inputs["input_ids"].shape[1], self.card.context_length
        if context and length >= context:
            raise ValueError(
                f"The prompt is {length} tokens long, and {self.card.name} reads {context}, its "
                "answer included: use fewer pictures or less text."
            )
        return inputs.to(self.device, self.model.dtype)

    def _options(self, inputs: Any, given: dict[str, Any]) -> dict[str, Any]:
        _check_options(given)
        if "generation_config" in given:
            return given
        options = {"do_sample": False, **given}
        if "max_length" not in given:
            options["max_length"] = None  # a checkpoint may bring one, and both together warn
            room = (self.card.context_length or 10**9) - inputs["input_ids"].shape[1]
            options.setdefault("max_new_tokens", min(MAX_NEW_TOKENS, room))
        if "pad_token_id" not in options and self.model.generation_config.pad_token_id is None:
            tokenizer = self.processor.tokenizer
            pad = tokenizer.pad_token_id
            options["pad_token_id"] = tokenizer.eos_token_id if pad is None else pad
        return options

    def _pieces(self, inputs: Any, options: dict[str, Any]) -> Iterator[str]:
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        streamer = TextIteratorStreamer(
            self.processor.tokenizer,
            skip_prompt=not self.model.config.is_encoder_decoder,
            skip_special_tokens=True,
        )
        closed = threading.Event()
        stop = [*(options.pop("stopping_criteria", None) or []), _stop_when(closed)]
        failures: list[BaseException] = []

        def generate() -> None:
            try:
                with _evaluating(self.model):
                    self.model.generate(
                        **inputs,
                        **options,
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList(stop),
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


def _check_options(given: dict[str, Any]) -> None:
    limit = given.get("max_new_tokens")
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, numbers.Integral) or limit < 1
    ):
        raise ValueError(f"max_new_tokens must be a whole number from 1 up, not {limit!r}.")
    unused = [name for name in SAMPLING if given.get(name) is not None]
    if unused and not {"do_sample", "generation_config"} & set(given):
        raise ValueError(
            f"{unused[0]}={given[unused[0]]!r} is for sampling, and decoding is greedy: add "
            f"do_sample=True to sample, or leave {unused[0]} out."
        )


def _stop_when(event: threading.Event) -> Any:
    import torch
    from transformers import StoppingCriteria

    class Closed(StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return torch.full((len(input_ids),), event.is_set(), device=input_ids.device)

    return Closed()


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Answers in the middle of training come without dropout; then training goes on."""
    training = [module for module in model.modules() if module.training] if model.training else []
    if training:
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def describe(model: Any, processor: Any, **known: Any) -> Card:
    """The `Card` of a loaded model; `known` adds what only the files tell, or corrects it."""
    config = model.config
    text = config.get_text_config()
    size = getattr(getattr(config, "vision_config", None), "image_size", None)
    if isinstance(size, int):
        size = (size, size)
    facts = {
        "name": config.name_or_path or type(model).__name__,
        "model_type": config.model_type,
        "parameters": model.num_parameters(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "image_size": tuple(size) if size else None,
        "image_tokens": _image_tokens(processor, size) if size else None,
        "context_length": getattr(text, "max_position_embeddings", None),
    }
    return Card(**{**facts, **known})


def _image_tokens(processor: Any, size: tuple[int, int]) -> int | None:
    """Counted, not computed: each family has its own arithmetic, and its processor knows it."""
    marker = getattr(processor, "image_token", None)
    token = getattr(processor, "image_token_id", None)
    if marker is None or token is None:
        return None
    blank = Image.new("RGB", (size[1], size[0]))
    try:
        ids = processor(text=[marker], images=[[blank]])["input_ids"][0]
    except Exception:  # a processor that wants its prompts otherwise: one fact less
        return None
    return list(ids).count(token)
