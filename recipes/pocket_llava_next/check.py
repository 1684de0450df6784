"""A quick look at a model in training: what it would answer if all before were right.

Teacher-forced: an answer counts if each of its tokens is the likeliest after the true ones, which
is what greedy decoding finds when it finds the answer. On a few pictures of the split "validation"
only: to see a skill begin to move, not to put figures on a card (`evaluate.py` does that).

    python -m recipes.pocket_llava_next.check data/pocket-llava-next runs/again

compares checkpoints and runs, by the rows of the card, on more pictures.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoProcessor

from recipes import loop
from recipes.pocket_llava_next import evaluate, packing, parts, sources, train
from vlm_helpers import pages, scenes
from vlm_helpers.scenes import Draws

FIRST = 4_000_000_000  # seed of the first page of its tiles; no stage draws it


class Check:
    """Pictures with questions, made once.

    Args:
        processor: the model's.
        of_each: pages of each kind, and twice as many scenes.
        per_skill: questions of each skill about a picture, as far as it has so many.
        room: tokens for them; what does not fit is left out.
    """

    def __init__(self, processor, of_each: int = 5, per_skill: int = 1, room: int = 640):
        packer, named = packing.Packer(processor, room), []
        for kind in pages.KINDS:
            for seed in range(of_each):
                page = pages.sample(seed, "validation", kind=kind)
                asked = page.questions(per_skill=per_skill)
                named.append((sources.whole(page), [(kind, q) for q in asked]))
        for seed in range(2 * of_each):
            scene = scenes.sample(seed, "validation")
            blank = sources.Picture(scene.render(96), iter(()), sources.sight.unknown)
            asked = scene.questions(per_skill=per_skill)
            named.append((blank, [("scene", q) for q in asked]))
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
        tiles = sources.tiles(Draws("check"), FIRST, counts, hard=1.0)
        self.tiles = {name: torch.from_numpy(value) for name, value in tiles.items()}

    @torch.no_grad()
    def __call__(self, trainee, sight_only: bool = False) -> dict[str, float]:
        device = next(trainee.parameters()).device
        tiles = {name: value.to(device) for name, value in self.tiles.items()}
        found = trainee.sight.right(trainee.features(tiles["pixels"]), tiles)
        if sight_only:
            return found
        right: dict[str, list[float]] = defaultdict(list)
        for name, _, hits in self.told(trainee):
            whole = name.endswith((": read", ": markdown", ": json"))  # long ones: a share
            right[name].append((hits.mean() if whole else hits.min()).item())
        return found | {name: float(np.mean(values)) for name, values in right.items()}

    @torch.no_grad()
    def told(self, trainee) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
        """Of each question "kind: skill", the loss of each token of its answer, and 1 for each that
        is the likeliest."""
        device = next(trainee.parameters()).device
        for batch, names in self.batches:
            batch = {name: value.to(device) for name, value in batch.items()}
            scores, targets = trainee.answers(trainee.features(batch["pixels"]), batch)
            losses = F.cross_entropy(scores, targets, reduction="none")
            good = (scores.argmax(-1) == targets).float()
            prefix = batch["order"].shape[1]
            row = batch["learnt"] // (batch["ids"].shape[1] - prefix)
            segment = batch["owner"][:, prefix:].flatten()[batch["learnt"]] - 1
            for r in range(len(names)):
                for s, name in enumerate(names[r]):
                    own = (row == r) & (segment == s)
                    yield name, losses[own], good[own]


OTHERS, SCENES = "other questions about pages", "scenes"
HEADS = ("row", "questions", "loss", "tokens right", "answers right")


def by_row(check: Check, trainee) -> dict[str, tuple[int, float, float, float]]:
    """For each row of the card, the other questions about pages and those about scenes: how many,
    the loss of a token, the share of tokens right and the share of answers right."""
    found = defaultdict(list)
    for name, losses, hits in check.told(trainee):
        kind, skill = name.split(": ")
        rows = [row.name for row in evaluate.ROWS if kind in row.kinds and skill in row.skills]
        row = SCENES if kind == "scene" else rows[0] if rows else OTHERS
        found[row].append((len(losses), losses.sum().item(), hits.sum().item(), hits.min().item()))
    table = {}
    for row in [*(row.name for row in evaluate.ROWS), OTHERS, SCENES]:
        if found[row]:
            tokens, loss, right, whole = np.sum(found[row], axis=0)
            table[row] = len(found[row]), loss / tokens, right / tokens, whole / len(found[row])
    return table


def load(folder: Path):
    """Processor and trainee of a model's folder, or of a run's as it stands."""
    state = loop.state_file(folder)
    if not state.exists():
        processor = AutoProcessor.from_pretrained(folder)
        return processor, train.from_checkpoint(folder, processor)
    processor = AutoProcessor.from_pretrained(folder / "processor")
    trainee = train.Trainee(parts.make_model(processor.tokenizer))
    trainee.load_state_dict(torch.load(state, map_location="cpu", weights_only=True)["trainee"])
    return processor, trainee


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of models, or of runs")
    parser.add_argument("--of-each", type=int, default=20, help="pages of each kind")
    args = parser.parse_args()
    for folder in args.folders:
        if not (loop.state_file(folder).exists() or (folder / "config.json").exists()):
            parser.error(f"{folder} has neither state.pt nor config.json: name a run or a model.")
    for folder in args.folders:
        processor, trainee = load(folder)
        check = Check(processor, args.of_each, per_skill=3, room=1280)
        print(f"\n{folder}\n\n| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|")
        for row, (n, *figures) in by_row(check, trainee).items():
            print(f"| {row} | {n} | {' | '.join(f'{value:.3f}' for value in figures)} |")
        if not trainee.sight.forgotten:  # a model ships without heads
            print("\nby the heads:", check(trainee, sight_only=True))


if __name__ == "__main__":
    main()
