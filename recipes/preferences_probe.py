"""A trial before a training with pairs: is there anything left to learn?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

SURE = 0.99  # a model that prefers each chosen answer with this probability has nothing to learn
BATCH = 8


def apart(number: int, of: int) -> list[int]:
    """Up to `number` of the first `of` whole numbers, evenly apart."""
    number = min(number, of)
    return [i * of // number for i in range(number)]


@torch.no_grad()
def log_probabilities(model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the chosen and of the rejected answers of a `PreferenceCollator`'s batch: [rows] each."""
    batch = {name: value.to(model.device) for name, value in batch.items()}
    learnt = batch.pop("completion_mask")[:, 1:]
    logits = model(**batch).logits[:, :-1].float()
    found = torch.log_softmax(logits, -1).gather(2, batch["input_ids"][:, 1:, None])[..., 0]
    chosen, rejected = (found * learnt).sum(1).chunk(2)
    return chosen, rejected


def probe_pairs(model: Any, collator: Callable, rows: Any, number: int) -> str:
    """How often the model prefers the chosen answer before it is trained, in a sentence.

    Raises `ValueError` where it does so always, and surely.
    """
    training = model.training
    model.eval()
    some, margins = [rows[i] for i in apart(number, len(rows))], []
    for start in range(0, len(some), BATCH):
        chosen, rejected = log_probabilities(model, collator(some[start : start + BATCH]))
        margins += (chosen - rejected).tolist()
    model.train(training)
    if not all(map(math.isfinite, margins)):
        raise ValueError(
            "The model gives answers a probability that is no number, before any training: load it "
            "in float32 or bfloat16, and check its weights."
        )
    right, mean = sum(margin > 0 for margin in margins), sum(margins) / len(margins)
    if min(margins) > math.log(SURE / (1 - SURE)):
        raise ValueError(
            f"There is nothing to learn: of {len(margins)} pairs the model prefers the chosen "
            f"answer in all, with a probability over {SURE}. Take harder pairs, or set probe to 0."
        )
    return (
        f"Before the training the model prefers the chosen answer in {right} of {len(margins)} "
        f"pairs, by {mean:.2f} nats in the mean."
    )
