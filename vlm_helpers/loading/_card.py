"""A model and its processor: whether they belong together, and a `Card` of facts about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm_helpers._locks import tokenizing
from vlm_helpers._words import count, listed

# What LLaVA's processors count a picture's tokens by, and where the model's configuration has it.
COUNTED_BY = {"patch_size": "vision_config", "vision_feature_select_strategy": None}


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself. None stands for what it does not say."""

    name: str
    model_type: str
    parameters: int
    dtype: str  # what the weights are held in: "float32", …, or "8bit", "4bit"
    image_size: tuple[int, int] | None = None  # width, height in pixels, as the model sees them
    image_tokens: int | None = None  # tokens that one square picture of that size becomes
    context_length: int | None = None  # tokens of prompt and answer together
    bytes: int | None = None  # of the weights on disk
    revision: str | None = None  # the commit on the Hub
    adapter: str | None = None


def check_pair(model: Any, processor: Any, name: str | None = None) -> None:
    """Raises `TypeError` unless it is a model and a processor, `ValueError` if they cannot work
    together."""
    if not (hasattr(model, "generate") and hasattr(model, "config")):
        kind = type(model).__name__
        if hasattr(getattr(model, "module", None), "generate"):
            raise TypeError(
                f"VLM takes the model itself, not the {kind} around it: "
                "VLM(model.module, processor)."
            )
        raise TypeError(
            f"VLM takes a model of transformers that can generate, not {kind}: for one by its name "
            "there is vh.load(name)."
        )
    if not hasattr(processor, "tokenizer"):
        raise TypeError(
            f"VLM takes the model's processor, which prepares pictures and text, not "
            f"{type(processor).__name__}: AutoProcessor.from_pretrained(name) gives it."
        )
    name = name or model.config.name_or_path or type(model).__name__
    for setting, part in COUNTED_BY.items():
        config = getattr(model.config, part, None) if part else model.config
        value = getattr(config, setting, None)
        if value is not None and getattr(processor, setting, value) is None:
            raise ValueError(
                f"The processor of {name} has no {setting}, by which it counts a picture's tokens: "
                f"set it to {value!r}, as the model has it, in its processor_config.json."
            )
    if beyond := tokens_beyond(model, processor):
        raise ValueError(
            f"The tokenizer of {name} has {count(len(beyond), 'token')} more than the model has "
            f"embeddings for, {_some(beyond)}: the two are not of one checkpoint, or the "
            "embeddings were not saved after model.resize_token_embeddings(len(tokenizer))."
        )


def tokens_beyond(model: Any, processor: Any) -> list[str]:
    """The tokens that the model has no embedding for, by their numbers, though it needs one."""
    try:
        # A few models keep the tokens they added in a matrix of its own beside the first.
        layer = model.get_input_embeddings()
        rows = sum(parameter.shape[0] for parameter in layer.parameters())
    except (AttributeError, NotImplementedError):
        return []
    tokenizer = processor.tokenizer
    if not rows or len(tokenizer) <= rows:  # none: spread over several machines
        return []
    # Pictures are put in the place of these, so they need no embedding.
    places = {
        value
        for key, value in model.config.to_dict().items()
        if re.search("(image|video|audio|vision).*_(id|index)$", key) and isinstance(value, int)
    }
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return [token for token, number in vocabulary if number >= rows and number not in places]


def _some(tokens: list[str]) -> str:
    return listed([repr(token) for token in tokens[:3]] + ["…"] * (len(tokens) > 3))


def describe(model: Any, processor: Any, **known: Any) -> Card:
    """The `Card` of a loaded model; `known` adds what only the files tell, or corrects it."""
    config = model.config
    size = getattr(getattr(config, "vision_config", None), "image_size", None)
    if size is not None:  # of a picture that is not square, a configuration has (height, width)
        size = (size, size) if isinstance(size, int) else tuple(size)[::-1]
    facts = {
        "name": config.name_or_path or type(model).__name__,
        "model_type": config.model_type,
        "parameters": model.num_parameters(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "image_size": size,
        "image_tokens": _image_tokens(processor, size) if size else None,
        "context_length": getattr(config.get_text_config(), "max_position_embeddings", None),
    }
    return Card(**{**facts, **known})


def _image_tokens(processor: Any, size: tuple[int, int]) -> int | None:
    """Counted, not computed: each family has its own arithmetic, and its processor knows it."""
    marker = getattr(processor, "image_token", None)
    token = getattr(processor, "image_token_id", None)
    if marker is None or token is None:
        return None
    try:
        with tokenizing(processor):
            ids = processor(text=[marker], images=[[Image.new("RGB", size)]])["input_ids"][0]
    except Exception:  # a processor that wants its prompts otherwise: one fact less
        return None
    return list(ids).count(token)
