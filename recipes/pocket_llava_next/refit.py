"""Fits the heads to a tower that comes from a checkpoint: they do not ship.

With heads that know nothing, the loss on the labels of the patches would pull at a tower that has
learnt to read. So the heads are fitted first, on tiles as the tower's own stages draw them; tower,
projector and decoder stay as they are.
"""

from __future__ import annotations

import torch

from recipes.optimizers import bfloat16_is_quick
from recipes.pocket_llava_next import packing, sources
from vlm_helpers.scenes import Draws

TILES = {"text": 20, "pages": 10, "things": 10, "shapes": 8}
STEPS, RATE, WARM = 400, 3e-3, 20
FIRST = 3_000_000_000  # seed of the first picture


def fit_heads(trainee: torch.nn.Module, steps: int = STEPS, say=print) -> dict[str, float]:
    """Fits the heads in so many steps; gives the last losses.

    Args:
        trainee: of `recipes.pocket_llava_next.train`; only its heads are changed.
    """
    losses, low = {}, bfloat16_is_quick("cpu")
    heads = [p.requires_grad_(True) for p in trainee.sight.heads()]
    optimizer = torch.optim.AdamW(heads, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        drawn = sources.tiles(Draws(f"heads/{step}"), FIRST + 100 * step, TILES, 1.0)
        batch = {name: torch.from_numpy(value) for name, value in drawn.items()}
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            features = trainee.sight.features(packing.from_levels(batch["pixels"]))
        losses = trainee.sight.losses(features.float(), batch)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM, 2 * (steps - step) / steps)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            say(f"heads {step}", {name: round(loss.item(), 3) for name, loss in losses.items()})
    return {name: loss.item() for name, loss in losses.items()}
