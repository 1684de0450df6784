"""The families of vision language models, each as a tiny real model with random weights.

    tiny = vh.zoo.build("kosmos-2")                 # well under a second, nothing downloaded
    inputs = tiny.prepare(picture, "What is this?")
    tiny.model(**inputs).logits                     # [1, tokens, vocabulary]
    tiny.parts                                      # {"vision": …, "connector": …, "decoder": …}
    vh.zoo.tokens_per_picture("llava-next", 800, 600)

Where transformers has a class it is that class; where it has none, the module here has what is
special about the family and no more. Widths and depths are tiny. The size of picture and patch is
the published one, so a picture costs as many tokens as in the real model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import Any

from vlm_helpers._words import did_you_mean
from vlm_helpers.zoo._families import FAMILIES, Family

__all__ = ["Family", "Tiny", "build", "get", "names", "tokens_per_picture"]


@dataclass(frozen=True)
class Tiny:
    """A tiny model of a family.

    Attributes:
        family: what it is modelled on.
        model: a `torch.nn.Module`; `model(**inputs).logits` are [1, tokens, vocabulary].
        processor: turns text and a picture into inputs. Of transformers, where there is one.
        parts: parameters by part: "vision", "connector", "decoder", and "expert" in CogVLM.
    """

    family: Family
    model: Any
    processor: Any
    parts: dict[str, int]

    def prepare(self, picture: Any, text: str) -> dict[str, Any]:
        """The model's inputs for one picture and a text after it, as PyTorch tensors."""
        newer = "return_legacy_image_output"  # Fuyu's; transformers 5.15 has none
        options = {newer: False} if newer in signature(self.processor.__call__).parameters else {}
        prompt = self.family.marker + text
        return dict(self.processor(images=picture, text=prompt, return_tensors="pt", **options))

    def image_places(self, inputs: dict[str, Any]) -> Any:
        """Which of the input's tokens stand for the picture: bools [tokens]."""
        if "image_embeds_position_mask" in inputs:
            return inputs["image_embeds_position_mask"][0].bool()
        ids, tokenizer = inputs["input_ids"][0], self.processor.tokenizer
        tokens = tokenizer.convert_tokens_to_ids(self.family.image_tokens)
        return sum(ids == token for token in tokens).bool()


def names() -> list[str]:
    """The names of all families, in the order of the course."""
    return list(FAMILIES)


def get(name: str) -> Family:
    """What the family called `name` is made of, with its source.

    Raises:
        ValueError: no family has that name; the message names the nearest.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    raise ValueError(f"There is no family {name!r} in the zoo; {did_you_mean(name, FAMILIES)}")


def build(name: str, seed: int = 0) -> Tiny:
    """A tiny model of the family called `name`, with random weights that depend on `seed` alone.

    Raises:
        ValueError: no family has that name; the message names the nearest.
    """
    import torch

    found = get(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = found.make()
    parts = {}
    for parameter_name, parameter in model.named_parameters():
        marked = found.parts.items()
        part = next(p for p, marks in marked if any(m in parameter_name for m in marks))
        parts[part] = parts.get(part, 0) + parameter.numel()
    order = ("vision", "connector", "decoder", "expert")
    return Tiny(found, model.eval(), processor, {p: parts.get(p, 0) for p in order if p in parts})


@cache
def _built(name: str) -> Tiny:
    return build(name)


def tokens_per_picture(name: str, width: int, height: int) -> int:
    """How many places of the input a picture of `width` × `height` pixels takes in a family.

    Counted in what the family's processor makes of a picture of that size; separators that belong
    to the picture (Fuyu's and LLaVA-NeXT's ends of rows) count, the text around it does not.

    Raises:
        ValueError: no family has that name, or a side is under one pixel.
    """
    from PIL import Image

    if min(width, height) < 1:
        raise ValueError(f"A picture of {width} x {height} has no pixels: both must be 1 or more.")
    tiny = _built(get(name).name)
    inputs = tiny.prepare(Image.new("RGB", (width, height)), "")
    return int(tiny.image_places(inputs).sum())
