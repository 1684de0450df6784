"""Can fifty questions of one's own tell the models on a shortlist apart?

pocket-llava as it ships, in 4 bits and in 3 (each row of a matrix rounded on a scale of its own),
asked the same questions about colours and shapes in pictures with pairs that it never saw, where it
errs by nature. Twenty sets of fifty questions, so that what one set says can be compared with what
all of them say. Every answer is kept: models are compared item by item.
"""

from __future__ import annotations

import copy
import functools

import vlm_helpers as vh

CANDIDATES = {"16 bits": None, "4 bits": 4, "3 bits": 3}
SKILLS = ("color", "shape")
EACH = 25  # questions of a skill in a set
SETS = range(100_000, 120_000, 1_000)  # first seeds


def settings() -> list[dict]:
    return [{"first_seed": seed} for seed in SETS]


@functools.cache
def _candidates() -> dict:
    vlm = vh.load("pocket-llava", dtype="float32")
    return {
        name: vlm if bits is None else vh.VLM(_rounded(vlm.model, bits), vlm.processor)
        for name, bits in CANDIDATES.items()
    }


def _rounded(model, bits: int):
    """A copy whose linear layers have weights of so many bits, as in notebook 02."""
    import torch

    model = copy.deepcopy(model)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight.data  # [out, in]
            scale = weight.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)  # [out, 1]
            layer.weight.data = (weight / scale).round() * scale
    return model


def run(first_seed: int) -> list[dict]:
    exam = vh.evaluation.exam(vh.scenes, SKILLS, EACH, split="unseen_pairs", first_seed=first_seed)
    items = list(exam)
    right = {name: vh.evaluation.quiz(vlm, items).scores for name, vlm in _candidates().items()}
    return [
        {"item": n, "skill": item["skill"], **{name: int(s[n]) for name, s in right.items()}}
        for n, item in enumerate(items)
    ]
