"""Trains pocket-llava from nothing: `python -m recipes.pocket_llava.train --out runs/pocket`.

The command goes through the stages of `stages.py`, saves its state every few minutes, and goes
on from there when it is started again; see `recipes.loop`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from recipes import loop
from recipes.pocket_llava.packing import (
    COLOR_LABELS,
    PREFIX,
    SHAPE_LABELS,
    Packer,
    vision_batch,
)
from recipes.pocket_llava.parts import N_PATCHES, make_model, make_processor
from recipes.pocket_llava.stages import STAGES, Stage
from vlm_helpers.scenes import WORDS, Draws

HEADS = {"shape": len(SHAPE_LABELS), "color": len(COLOR_LABELS), "size": 2, "word": len(WORDS)}
DIGITS = 3


class Seer(nn.Module):
    """The vision tower with the linear heads that read its patches; they do not ship."""

    def __init__(self, tower: nn.Module, width: int):
        super().__init__()
        self.tower = tower
        self.heads = nn.Linear(width, sum(HEADS.values()) + 11 * DIGITS + 4)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.tower(pixel_values=pixels).last_hidden_state[:, 1:]  # [batch, 64, width]

    def loss(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        out = self.heads(features).float()
        parts, total = out.split([*HEADS.values(), *[11] * DIGITS, 4], dim=-1), 0.0
        # every patch knows its label column in `patch_labels`; -1 means it has none
        for part, column in zip(parts[:-1], range(7)):
            target = labels[..., column].long()
            losses = F.cross_entropy(
                part.flatten(0, 1), target.flatten(), ignore_index=-1, reduction="sum"
            )
            total = total + losses / (target >= 0).sum().clamp(min=1)  # a batch may hold no sign
        there = labels[..., 11:]
        miss = F.smooth_l1_loss(parts[-1], labels[..., 7:11], reduction="none", beta=0.05)
        return total + 8.0 * (miss * there).sum() / there.sum().clamp(min=1)


class Trainee(nn.Module):
    """The model with its training forward pass over packed sequences."""

    def __init__(self, model: nn.Module, image_start: int):
        super().__init__()
        self.llava = model
        self.seer = Seer(model.model.vision_tower, model.config.vision_config.hidden_size)
        self.image_start = image_start

    def forward(self, batch: dict[str, torch.Tensor], stage: Stage):
        with torch.set_grad_enabled("vision" in stage.learns and torch.is_grad_enabled()):
            features = self.seer.features(batch["pixels"])
        logs, loss = {}, 0.0
        if stage.dense:
            logs["dense"] = self.seer.loss(features, batch["patches"])
            loss = stage.dense * logs["dense"]
        if stage.mixture.weights:
            logs["answers"] = self.answer_loss(features, batch)
            loss = loss + logs["answers"]
        return loss, logs

    def answer_loss(self, features, batch):
        inner = self.llava.model
        pictures = inner.multi_modal_projector(features)
        embeds = inner.language_model.embed_tokens(batch["ids"])
        start, after = self.image_start, self.image_start + N_PATCHES
        embeds = torch.cat([embeds[:, :start], pictures.to(embeds.dtype), embeds[:, after:]], dim=1)
        mask = torch.where(batch["mask"][:, None], 0.0, torch.finfo(torch.float32).min)
        hidden = inner.language_model(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=batch["positions"],
            use_cache=False,
        ).last_hidden_state
        logits = self.llava.lm_head(hidden[:, PREFIX - 1 : -1]).float()
        targets = batch["ids"].masked_fill(~batch["learnt"], -100)[:, PREFIX:]
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)

    def part(self, name: str) -> list[nn.Parameter]:
        inner = self.llava.model
        modules = {
            "vision": (self.seer,),
            "projector": (inner.multi_modal_projector,),
            "decoder": (inner.language_model, self.llava.lm_head),
        }[name]
        return [p for module in modules for p in module.parameters()]

    def ends(self) -> list[nn.Parameter]:
        modules = (self.llava.lm_head, self.llava.get_input_embeddings(), self.seer.heads)
        return [p for module in modules for p in module.parameters()]

    def forget(self, parts: tuple[str, ...], untrained: nn.Module) -> None:
        """Gives the parts named the weights of an untrained model."""
        other = Trainee(untrained, self.image_start)
        for name in parts:
            for mine, new in zip(self.part(name), other.part(name)):
                mine.data.copy_(new.data)


class Steps(Dataset):
    """The batch of each step, drawn when it is asked for."""

    def __init__(self, stage: Stage, number: int, packer: Packer):
        self.stage, self.packer = stage, packer
        self.first = 100_000_000 * (1 + number)

    def __len__(self) -> int:
        return self.stage.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        stage = self.stage
        draws = Draws(f"train/{stage.name}/{step}")
        first = self.first + step * stage.batch
        seeds = range(first, first + stage.batch)
        if stage.mixture.weights:
            batch = self.packer.batch(draws, stage.mixture, seeds)
        else:
            batch = vision_batch(draws, stage.mixture, seeds, stage.grey)
        return {key: torch.from_numpy(value) for key, value in batch.items()}


def find_processor(out: Path, init: Path | None):
    """The run's own processor, made at its first start: a scene reworded since then would give
    another vocabulary, and the weights would mean other tokens."""
    kept = out / "processor"
    if not kept.exists():
        processor = LlavaProcessor.from_pretrained(init) if init else make_processor()
        processor.save_pretrained(kept)
    return LlavaProcessor.from_pretrained(kept)


def load_weights(trainee: Trainee, folder: Path) -> None:
    weights = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    trainee.llava.load_state_dict(weights.state_dict())


def export(trainee: Trainee, processor, folder: Path) -> None:
    """Writes model and processor as they ship: bf16 safetensors."""
    weights = {k: v.to(torch.bfloat16) for k, v in trainee.llava.state_dict().items()}
    model = make_model(processor.tokenizer).to(torch.bfloat16)
    model.load_state_dict(weights)
    model.generation_config.max_new_tokens = None
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read


class PocketRun(loop.Run):
    def __init__(self, processor, init: Path | None, device: str):
        self.stages, self.processor = STAGES, processor
        self.packer = Packer(processor.tokenizer)
        model = make_model(processor.tokenizer)
        if device == "cpu":  # plain products train these short sequences faster here
            model.set_attn_implementation({"text_config": "eager", "vision_config": "eager"})
        self.trainee = Trainee(model, self.packer.image_start)
        if init:
            load_weights(self.trainee, init)

    def steps(self, stage: Stage) -> Steps:
        return Steps(stage, self.names().index(stage.name), self.packer)

    def begin(self, stage: Stage) -> None:
        if stage.afresh:
            self.trainee.forget(stage.afresh, make_model(self.processor.tokenizer))

    def end(self, stage: Stage, out: Path) -> None:
        if stage.save_as:
            export(self.trainee, self.processor, out / stage.save_as)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    loop.add_arguments(parser, "runs/pocket-llava", STAGES)
    args = loop.checked(parser, "llava")
    processor = find_processor(args.out, args.init)
    loop.train(PocketRun(processor, args.init, args.device), args)


if __name__ == "__main__":
    main()
