"""Trains pocket-llava-next: `python -m recipes.pocket_llava_next.train --out runs/next`.

It begins with the weights of `pocket-llava`, goes through the stages of `stages.py`, saves its
state every few minutes, and goes on from there when it is started again; see `recipes.loop`. Where
there is CUDA, the steps of the stages with language are graphs: their batches have fixed shapes.
"""

from __future__ import annotations

import argparse
import copy
import shutil
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset
from transformers import AutoProcessor, LlavaNextForConditionalGeneration

from recipes import cards, loop
from recipes.pocket_llava_next import align, corpus, model, packing, parts, refit, sources
from recipes.pocket_llava_next.sight import UNKNOWN, Sight
from recipes.pocket_llava_next.stages import STAGES, Stage
from vlm_helpers.scenes import Draws

GROUP = 8  # steps whose pictures are drawn together and sorted by their number of tiles
LABELS = ("letters", "things", "shapes")


class Trainee(nn.Module):
    """The model with its training forward pass over tiles or packed rows."""

    def __init__(self, llava: LlavaNextForConditionalGeneration):
        super().__init__()
        llava.model.vision_tower.set_attn_implementation("eager")  # quicker for 65 tokens
        self.llava = llava
        self.sight = Sight(llava.model.vision_tower, llava.config.vision_config.hidden_size)
        self.before = copy.deepcopy(self.sight.tower)  # as it was when the stage began
        self.decode = model.decode

    def compile(self) -> None:
        self.sight.tower.compile(dynamic=True)
        self.decode = torch.compile(model.decode, dynamic=True)

    def forward(self, batch: dict[str, torch.Tensor], stage: Stage):
        with torch.set_grad_enabled("vision" in stage.learns and torch.is_grad_enabled()):
            features = self.features(batch["pixels"])
        logs, loss = {}, 0.0
        labels = {name: batch[name] for name in LABELS if name in batch}
        if stage.dense:
            logs = self.sight.losses(features, labels)
            loss = stage.dense * (logs["letters"] + 0.5 * logs["things"] + 0.05 * logs["shapes"])
        if stage.near:
            logs = {"letters": self.sight.letter_loss(features, labels["letters"])}
            logs["moved"] = self.moved(features, batch["pixels"], labels["letters"])
            loss = logs["letters"] + stage.near * logs["moved"]
        if "ids" in batch:
            scores, targets = self.answers(features, batch)
            logs["answers"] = F.cross_entropy(scores, targets)
            hits, told = scores.argmax(-1) == targets, targets != packing.NOTHING
            logs["tokens right"] = hits.sum() / told.sum()
            loss = loss + logs["answers"]
        return loss, logs

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """[tiles, 64, width] of tiles given in grey levels, 0 to 255."""
        return self.sight.features(packing.from_levels(pixels))

    def moved(self, features, pixels, letters) -> torch.Tensor:
        """How far the features of tiles without print are from what they were when the stage
        began, as a share of their variance."""
        others = (letters == UNKNOWN).flatten(1).all(1)
        with torch.no_grad():
            seen = self.before(pixel_values=packing.from_levels(pixels[others]))
            then = seen.last_hidden_state[:, 1:]
        return F.mse_loss(features[others], then) / then.var()

    def answers(self, features, batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores [n, vocabulary] of the n places in `learnt`, and the tokens to learn there."""
        prefix, ids = batch["order"].shape[1], batch["ids"]
        pictures = model.picture_features(self.llava, features, batch["order"])
        embeds = self.llava.get_input_embeddings()(ids)
        here = (ids[:, :prefix] == self.llava.config.image_token_id)[..., None]
        # by places, not by a mask: how many there are must not matter to a graph
        front = torch.where(here, pictures.to(embeds.dtype), embeds[:, :prefix])
        embeds = torch.cat([front, embeds[:, prefix:]], dim=1)
        hidden = self.decode(
            self.llava.model.language_model, embeds, batch["positions"], batch["owner"], prefix
        )
        scores = self.llava.lm_head(hidden.flatten(0, 1)[batch["learnt"]]).float()
        return scores, batch["targets"]

    def part(self, name: str) -> list[nn.Parameter]:
        inner = self.llava.model
        if name == "heads":
            return self.sight.heads()
        if name == "projector":
            return [*inner.multi_modal_projector.parameters(), inner.image_newline]
        modules = {
            "vision": (inner.vision_tower,),
            "decoder": (inner.language_model, self.llava.lm_head),
        }[name]
        return [p for module in modules for p in module.parameters()]

    def ends(self) -> list[nn.Parameter]:
        modules = (self.llava.lm_head, self.llava.get_input_embeddings())
        return [p for m in modules for p in m.parameters()] + self.sight.heads()


class Steps(Dataset):
    """The batch of each step, drawn when it is asked for; `fixed` as for `Packer.batch`."""

    def __init__(self, stage: Stage, number: int, processor, fixed: bool = False):
        self.fixed = fixed
        self.stage, self.first = stage, 100_000_000 * (1 + number)
        self.packer = packing.Packer(processor, stage.room)
        self._group = (-1, [])

    def __len__(self) -> int:
        return self.stage.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        stage = self.stage
        if "decoder" not in stage.learns:
            draws = Draws(f"next/{stage.name}/{step}")
            hard = min(1.0, max(0.0, (step - stage.easy) / max(1, stage.harder)))
            first = self.first + step * stage.batch
            batch = sources.tiles(draws, first, stage.draws, hard, stage.plain)
            return {name: torch.from_numpy(value) for name, value in batch.items()}
        number, place = divmod(step, GROUP)
        if self._group[0] != number:
            self._group = (number, self._batches(number))
        return self.packer.batch(self._group[1][place], self.fixed)

    def _batches(self, number: int) -> list[list[packing.Row]]:
        """The rows of `GROUP` steps: alike in size within a step, the steps in any order."""
        draws = Draws(f"next/{self.stage.name}/{number}")
        count = GROUP * self.stage.batch
        rows = [self._row(draws, self.first + number * count + i) for i in range(count)]
        return draws.shuffled(list(packing.sorted_batches(rows, self.stage.batch)))

    def _row(self, draws: Draws, seed: int) -> packing.Row:
        stage = self.stage
        picture = sources.picture(draws, seed, stage)
        return self.packer.row(
            picture.image, picture.talks, picture.labels if stage.dense else None
        )


class NextRun(loop.Run):
    together = GROUP

    def __init__(self, processor, trainee: Trainee, capture: bool = False):
        self.stages, self.processor, self.trainee = STAGES, processor, trainee
        self.capture = capture
        if capture:
            trainee.llava.model.vision_tower.set_attn_implementation("sdpa")

    def steps(self, stage: Stage) -> Steps:
        number = self.names().index(stage.name)
        return Steps(stage, number, self.processor, self.graphs(stage))

    def graphs(self, stage: Stage) -> bool:
        return self.capture and "decoder" in stage.learns

    @cached_property
    def questions(self):
        from recipes.pocket_llava_next.check import Check

        return Check(self.processor)

    def begin(self, stage: Stage) -> None:
        if stage.align:
            tower = copy.deepcopy(self.trainee.sight.tower.state_dict())
            parts.from_pocket_llava(self.trainee.llava, self.processor.tokenizer)
            self.trainee.sight.tower.load_state_dict(tower)
            align.align(self.trainee, stage.align)
        if (stage.dense or stage.near) and self.trainee.sight.forgotten:
            refit.fit_heads(self.trainee)
        self.trainee.before.load_state_dict(self.trainee.sight.tower.state_dict())

    def check(self, stage: Stage) -> dict[str, float]:
        return self.questions(self.trainee, sight_only="decoder" not in stage.learns)

    def end(self, stage: Stage, out: Path) -> None:
        if stage.save_as:
            export(self.trainee.llava, self.processor, out / stage.save_as)


def export(llava, processor, folder: Path) -> None:
    """Writes model and processor as they ship: bf16 safetensors."""
    shipped = parts.make_model(processor.tokenizer).to(torch.bfloat16)
    shipped.load_state_dict({k: v.to(torch.bfloat16) for k, v in llava.state_dict().items()})
    shipped.generation_config.max_new_tokens = None
    shipped.save_pretrained(folder)
    processor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read


def find_processor(out: Path, init: Path | None):
    """The run's own processor, made at its first start: a page reworded since then would give
    another vocabulary, and the weights would mean other tokens."""
    kept = out / "processor"
    if not kept.exists():
        if init:
            processor = AutoProcessor.from_pretrained(init)
        else:
            processor = parts.make_processor(parts.longer_tokenizer(corpus.texts()))
        processor.save_pretrained(kept)
    return AutoProcessor.from_pretrained(kept)


def from_checkpoint(folder: Path, processor) -> Trainee:
    """With heads that know nothing: they do not ship."""
    trainee = Trainee(parts.make_model(processor.tokenizer))
    weights = LlavaNextForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    trainee.llava.load_state_dict(weights.state_dict())
    trainee.sight.forget()
    return trainee


def make_run(out: Path, init: Path | None = None, capture: bool = False) -> NextRun:
    processor = find_processor(out, init)
    if init:
        past = (
            init / cards.LOG
        )  # how the model was trained so far: the run's log goes on from there
        if past.exists() and not (out / "log.jsonl").exists():
            shutil.copyfile(past, out / "log.jsonl")
        return NextRun(processor, from_checkpoint(init, processor), capture)
    llava = parts.make_model(processor.tokenizer)
    parts.from_pocket_llava(llava, processor.tokenizer)
    return NextRun(processor, Trainee(llava), capture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    loop.add_arguments(parser, "runs/pocket-llava-next", STAGES)
    args = loop.checked(parser, "llava_next")
    args.out.mkdir(parents=True, exist_ok=True)
    loop.train(make_run(args.out, args.init, args.graphs), args)


if __name__ == "__main__":
    main()
