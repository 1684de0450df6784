"""Does a merged adapter answer as it did beside its model, and what does rounding leave of it?

The adapter is the one that notebook 08 trains: LoRA of rank 16 on pocket-llava's decoder, 48 steps
on "Which object is the leftmost?" and its like. It is asked 80 questions of that new skill and 48
of eight old ones, beside the model in float32 ("beside"), and then: merged in float32; merged, with
the weights stored in bfloat16; merged, and the linear layers rounded to 4 or 3 bits with a scale
for 32 weights, products in float32; and beside a model that is rounded to 4 bits itself, on which
it was *not* trained. The floor is the model without any adapter, in float32 and in 4 bits
("without"); what it says is compared with nothing, so `same` is empty.

`same`: answers equal, letter for letter, to those of "beside"; `right`: right ones. Over the
matrices that have an adapter, `noise` is how far rounding moves the adapter, against its own size,
weight by weight, and `along` what is left of it along itself: with W the matrix, D the adapter and
r the rounding, |r(W + D) - r(W) - D| / |D| and <r(W + D) - r(W), D> / <D, D>. `size` is |D| / |W|.
One adapter, of one seed.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch

import vlm_helpers as vh
from recipes.experiments import _asking, forgetting
from recipes.experiments._rounding import round_weights

SEED = 0
MOST = 8  # tokens of an answer


@functools.cache
def _tuned():
    """The model with its adapter beside it, as PEFT holds it, and the processor."""
    return forgetting.tuned(SEED)


def _merged():
    return copy.deepcopy(_tuned()[0]).merge_and_unload()


def _bfloat16(model):
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    return model


def _four_bits(model):
    return round_weights(model, 4, 32)


# What is made of the model without an adapter.
FLOORS: dict[str, Callable] = {"without": lambda model: model, "without, 4 bits": _four_bits}

# What is made of the model without its adapter, and of the merged one; None: nothing is merged.
ROUNDINGS: dict[str, Callable | None] = {
    "beside": None,
    "merged": lambda model: model,
    "merged, bfloat16": _bfloat16,
    "merged, 4 bits": _four_bits,
    "merged, 3 bits": lambda model: round_weights(model, 3, 32),
    "beside 4 bits": None,
}


def settings() -> list[dict]:
    return [{"variant": name, "seed": SEED} for name in (*FLOORS, *ROUNDINGS)]


def _vlm(variant: str) -> vh.VLM:
    if variant in FLOORS:
        plain = vh.load("pocket-llava", device="cpu", dtype="float32")
        return vh.VLM(FLOORS[variant](plain.model), plain.processor)
    tuned, processor = _tuned()
    if ROUNDINGS[variant]:
        return vh.VLM(ROUNDINGS[variant](_merged()), processor)
    beside = copy.deepcopy(tuned.get_base_model())
    return vh.VLM(_four_bits(beside) if variant == "beside 4 bits" else beside, processor)


def _answers(vlm: vh.VLM) -> dict[str, list[tuple[str, str]]]:
    """Of the new and the old questions: answers, each with the truth."""
    new, old = forgetting.questions()
    found = {}
    for name, items in (("new", new), ("old", old[::2])):
        images = [item["images"][0] if "images" in item else item["image"] for item in items]
        shown = _asking.Shown(images, vlm)
        said = shown.ask([(i, item["question"]) for i, item in enumerate(items)], most=MOST)
        found[name] = [(answer, item["answer"]) for (answer, _), item in zip(said, items)]
    return found


@functools.cache
def _reference():
    return _answers(_vlm("beside"))


@torch.no_grad()
def _weights(variant: str) -> dict[str, float]:
    """`noise`, `along` and `size` of a merged variant, over all matrices with an adapter."""
    before, after = vh.load("pocket-llava", device="cpu", dtype="float32").model, _merged()
    adapted = [name for name, p in before.named_parameters()
               if not torch.equal(p, after.get_parameter(name))]  # fmt: skip
    plain = {name: before.get_parameter(name).clone() for name in adapted}
    whole = {name: after.get_parameter(name).clone() for name in adapted}
    rounding = ROUNDINGS[variant]
    before, after = rounding(before), rounding(after)
    noise = along = size = total = 0.0
    for name in adapted:
        delta = whole[name] - plain[name]
        arrived = after.get_parameter(name) - before.get_parameter(name)
        noise += (arrived - delta).square().sum().item()
        along += (arrived * delta).sum().item()
        size += delta.square().sum().item()
        total += plain[name].square().sum().item()
    return {
        "noise": (noise / size) ** 0.5, "along": along / size, "size": (size / total) ** 0.5,
    }  # fmt: skip


def run(variant: str, seed: int) -> list[dict]:
    answers = _answers(_vlm(variant))
    reference = {} if variant in FLOORS else _reference()
    weights = _weights(variant) if ROUNDINGS.get(variant) else {}
    return [
        {
            "skill": skill,
            "n": len(said),
            "same": sum(a == b for (a, _), (b, _) in zip(said, reference[skill], strict=True))
            if reference
            else None,
            "right": sum(answer == truth for answer, truth in said),
            **weights,
        }
        for skill, said in answers.items()
    ]
