"""Fits the projector before any language: the decoder goes on where `pocket-llava` ended.

The tower has moved since `pocket-llava`, whose decoder would get noise, and forget how to look at
a picture before it has learnt what it sees. So the projector is fitted first, with tower and
decoder as they are: scenes come to the decoder as they came in `pocket-llava` (a regression), and
letters and things can be told from a patch's token by a linear layer, which does not ship.
"""

from __future__ import annotations

from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlavaForConditionalGeneration

from recipes.pocket_llava_next import packing, parts, sources
from recipes.pocket_llava_next.sight import N_LETTERS, SLOTS, UNKNOWN
from vlm_helpers.pages import atlas
from vlm_helpers.scenes import Draws

TILES = {"text": 14, "pages": 5, "things": 20, "shapes": 12}
RATE, WARM = 3e-3, 20
FIRST = 2_000_000_000  # seed of the first picture


class Fit(nn.Module):
    """The projector with its goals.

    Args:
        trainee: of `recipes.pocket_llava_next.train`; only its projector is changed.
    """

    def __init__(self, trainee: nn.Module):
        super().__init__()
        old = LlavaForConditionalGeneration.from_pretrained(parts.POCKET_LLAVA, dtype=torch.float32)
        self.trainee, self.old = trainee, old.eval()
        self.projector = trainee.llava.model.multi_modal_projector
        width = trainee.llava.config.text_config.hidden_size
        self.letters = nn.Linear(width, SLOTS * N_LETTERS)
        self.things = nn.Linear(width, 1 + len(atlas.things().names))

    def learning(self) -> list[nn.Parameter]:
        modules = (self.projector, self.letters, self.things)
        return list(chain.from_iterable(module.parameters() for module in modules))

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What is to fall, for tiles as `sources.tiles` draws them."""
        pixels = packing.from_levels(batch["pixels"])
        shapes = (batch["shapes"][..., :7] != UNKNOWN).flatten(1).any(1)
        with torch.no_grad():
            features = self.trainee.sight.features(pixels)
            tower = self.old.model.vision_tower(pixel_values=pixels[shapes])
            then = self.old.model.multi_modal_projector(tower.last_hidden_state[:, 1:])
        tokens = self.projector(features)
        known = F.layer_norm(tokens, tokens.shape[-1:])
        letters, things = batch["letters"][..., :SLOTS], batch["things"][..., 0].long()
        return {
            "scenes": F.mse_loss(tokens[shapes], then) / then.var(),
            "letters": F.cross_entropy(
                self.letters(known).view(-1, N_LETTERS), letters.flatten(),
                self.trainee.sight.weight, ignore_index=UNKNOWN,
            ),
            "things": F.cross_entropy(
                self.things(known).flatten(0, 1), things.flatten(), ignore_index=UNKNOWN
            ),
        }  # fmt: skip


def align(trainee: nn.Module, steps: int, say=print) -> dict[str, float]:
    """Fits the projector in so many steps; gives the last losses.

    "scenes" is the mean squared error as a share of the variance of what `pocket-llava`'s decoder
    got, "letters" and "things" are cross entropies.
    """
    fit, losses = Fit(trainee), {}
    optimizer = torch.optim.AdamW(fit.learning(), lr=RATE, weight_decay=0.0)
    for step in range(steps):
        drawn = sources.tiles(Draws(f"align/{step}"), FIRST + 100 * step, TILES, 1.0, 0.75)
        losses = fit({name: torch.from_numpy(value) for name, value in drawn.items()})
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM, 2 * (steps - step) / steps)
        optimizer.zero_grad()
        (3 * losses["scenes"] + losses["letters"] + losses["things"]).backward()
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            say(f"align {step}", {name: round(loss.item(), 3) for name, loss in losses.items()})
    return {name: loss.item() for name, loss in losses.items()}
