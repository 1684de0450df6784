"""A quick look at a model in training: what it would answer if all before were right.

Teacher-forced: an answer counts if each of its tokens is the likeliest after the true ones, which
is what greedy decoding finds when it finds the answer. On a few pictures of the split "validation"
only: to see a skill begin to move, not to put figures on a card (`evaluate.py` does that).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch

from recipes.pocket_llava_next import packing, sources
from vlm_helpers import pages, scenes
from vlm_helpers.scenes import Draws


class Check:
    """Pictures with questions, made once.

    Args:
        processor: the model's.
        of_each: pages of each kind, and a third as many scenes for every kind.
    """

    def __init__(self, processor, of_each: int = 5):
        packer, named = packing.Packer(processor, room=640), []
        for kind in pages.KINDS:
            for seed in range(of_each):
                page = pages.sample(seed, "validation", kind=kind)
                named.append((sources.whole(page), [(kind, q) for q in page.questions()]))
        for seed in range(2 * of_each):
            scene = scenes.sample(seed, "validation")
            blank = sources.Picture(scene.render(96), iter(()), sources.sight.unknown)
            named.append((blank, [("scene", q) for q in scene.questions()]))
        rows = []
        for picture, questions in named:
            row, names = None, []
            talks = [[(q.text, q.answer)] for _, q in questions]
            lengths = [len(packer.segment(talk)[0]) for talk in talks]
            fits = [n for n, end in enumerate(np.cumsum(lengths)) if end <= packer.room]
            row = packer.row(picture.image, [talks[n] for n in fits])
            names = [f"{questions[n][0]}: {questions[n][1].skill}" for n in fits]
            rows.append((row, names))
        rows.sort(key=lambda pair: pair[0].image_tokens)
        self.batches = [
            (packer.batch([row for row, _ in part]), [names for _, names in part])
            for part in (rows[start : start + 4] for start in range(0, len(rows), 4))
        ]
        counts = {"text": 24, "pages": 16, "things": 24}
        tiles = sources.tiles(Draws("check"), 10**9, counts, hard=1.0)
        self.tiles = {name: torch.from_numpy(value) for name, value in tiles.items()}

    @torch.no_grad()
    def __call__(self, trainee, sight_only: bool = False) -> dict[str, float]:
        device = next(trainee.parameters()).device
        tiles = {name: value.to(device) for name, value in self.tiles.items()}
        found = trainee.sight.right(trainee.features(tiles["pixels"]), tiles)
        if sight_only:
            return found
        right: dict[str, list[float]] = defaultdict(list)
        for batch, names in self.batches:
            batch = {name: value.to(device) for name, value in batch.items()}
            features = trainee.features(batch["pixels"])
            scores, targets = trainee.answers(features, batch)
            good = (scores.argmax(-1) == targets).float()
            prefix = batch["order"].shape[1]
            row = batch["learnt"] // (batch["ids"].shape[1] - prefix)
            segment = batch["owner"][:, prefix:].flatten()[batch["learnt"]] - 1
            for r in range(len(names)):
                for s, name in enumerate(names[r]):
                    hits = good[(row == r) & (segment == s)]
                    whole = name.endswith((": read", ": markdown", ": json"))  # long ones: a share
                    right[name].append((hits.mean() if whole else hits.min()).item())
        return found | {name: float(np.mean(values)) for name, values in right.items()}
