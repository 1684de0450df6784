"""Trains pocket-llava from nothing: `python -m recipes.pocket_llava.train --out runs/pocket`.

The command goes through the stages of `stages.py`, saves its state every few minutes, and goes
on from there when it is started again. On CPUs, `--workers` processes of one thread each train
one model in shared memory without waiting for each other (Hogwild!, Niu et al. 2011); on a GPU,
use one worker.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import LlavaForConditionalGeneration, LlavaProcessor

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
SECONDS_BETWEEN_SAVES, REPORT_EVERY = 180, 50
NAMES = [stage.name for stage in STAGES]


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

    def __init__(self, model: nn.Module):
        super().__init__()
        self.llava = model
        self.seer = Seer(model.model.vision_tower, model.config.vision_config.hidden_size)

    def forward(self, batch: dict[str, torch.Tensor], stage: Stage, image_start: int):
        with torch.set_grad_enabled("vision" in stage.learns and torch.is_grad_enabled()):
            features = self.seer.features(batch["pixels"])
        logs, loss = {}, 0.0
        if stage.dense:
            logs["dense"] = self.seer.loss(features, batch["patches"])
            loss = stage.dense * logs["dense"]
        if stage.mixture.weights:
            logs["answers"] = self.answer_loss(features, batch, image_start)
            loss = loss + logs["answers"]
        return loss, logs

    def answer_loss(self, features, batch, image_start):
        inner = self.llava.model
        pictures = inner.multi_modal_projector(features)
        embeds = inner.language_model.embed_tokens(batch["ids"])
        after = image_start + N_PATCHES
        embeds = torch.cat(
            [embeds[:, :image_start], pictures.to(embeds.dtype), embeds[:, after:]], dim=1
        )
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

    def forget(self, parts: tuple[str, ...], untrained: nn.Module) -> None:
        """Gives the parts named the weights of an untrained model."""
        other = Trainee(untrained)
        for name in parts:
            for mine, new in zip(self.part(name), other.part(name)):
                mine.data.copy_(new.data)


def make_optimizers(trainee: Trainee, stage: Stage) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest (Jordan et al. 2024)."""
    ends = {id(p) for m in (trainee.llava.lm_head, trainee.llava.get_input_embeddings(),
                            trainee.seer.heads) for p in m.parameters()}  # fmt: skip
    matrices, others = [], []
    for name, rate in stage.learns.items():
        for p in trainee.part(name):
            p.requires_grad_(True)
            inside = p.ndim == 2 and id(p) not in ends and min(p.shape) > 64
            (matrices if inside else others).append({"params": [p], "lr": rate})
    found = [torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.01, fused=True)]
    if matrices:
        found.append(torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return found


def rate_factor(stage: Stage, step: int) -> float:
    warm = min(1.0, (step + 1) / 200)
    left = stage.steps - step
    return warm * (min(1.0, left / stage.decay) if stage.decay else 1.0)


class Steps(Dataset):
    """The batch of each step, drawn when it is asked for."""

    def __init__(self, stage: Stage, tokenizer):
        self.stage, self.packer = stage, Packer(tokenizer)

    def __len__(self) -> int:
        return self.stage.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        stage = self.stage
        draws = Draws(f"train/{stage.name}/{step}")
        first = 100_000_000 * (1 + NAMES.index(stage.name)) + step * stage.batch
        seeds = range(first, first + stage.batch)
        if stage.mixture.weights:
            batch = self.packer.batch(draws, stage.mixture, seeds)
        else:
            batch = vision_batch(draws, stage.mixture, seeds, stage.grey)
        return {key: torch.from_numpy(value) for key, value in batch.items()}


def work(rank, args, trainee, tokenizer, stage, first_step, optimizer_state):
    """One process's share of a stage: every so-manyeth step, without waiting for the others."""
    torch.set_num_threads(1)
    device = torch.device(args.device)
    trainee.to(device)
    for p in trainee.parameters():
        p.requires_grad_(False)
    optimizers = make_optimizers(trainee, stage)
    if optimizer_state:
        for optimizer, state in zip(optimizers, optimizer_state):
            optimizer.load_state_dict(state)
    learning = [p for p in trainee.parameters() if p.requires_grad]
    run = trainee if args.eager else torch.compile(trainee)
    steps = Steps(stage, tokenizer)
    mine = range(first_step + rank, stage.steps, args.workers)
    batches = DataLoader(steps, batch_size=None, sampler=mine, num_workers=args.loaders)
    sums, started, saved = {}, time.time(), time.time()
    for done, (step, batch) in enumerate(zip(mine, batches), 1):
        batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(device.type, torch.bfloat16):
            loss, logs = run(batch, stage, steps.packer.image_start)
        loss.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(stage, step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if rank > 0:
            continue
        for key, value in logs.items():
            sums[key] = sums.get(key, 0.0) + value.detach()
        if done % REPORT_EVERY == 0:
            means = {key: value.item() / REPORT_EVERY for key, value in sums.items()}
            report(args, stage, step, means, started)
            sums = {}
        if time.time() - saved > SECONDS_BETWEEN_SAVES:
            save_state(args, trainee, optimizers, stage, step)
            saved = time.time()
    if rank == 0:
        # the slower workers may be a few steps behind; what they still do goes into the weights
        save_state(args, trainee, optimizers, stage, stage.steps)


def report(args, stage, step, means, started):
    row = {"stage": stage.name, "step": step, "minutes": round((time.time() - started) / 60, 2)}
    row |= {key: round(value, 4) for key, value in means.items()}
    print(json.dumps(row), flush=True)
    with open(args.out / "log.jsonl", "a") as log:
        log.write(json.dumps(row) + "\n")


def save_state(args, trainee, optimizers, stage, step):
    state = {
        "stage": stage.name,
        "step": step,
        "trainee": trainee.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    torch.save(state, args.out / "state.tmp")
    os.replace(args.out / "state.tmp", args.out / "state.pt")


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/pocket-llava"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--loaders", type=int, default=0, help="processes that draw, for a GPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument("--init", type=Path, help="start from this checkpoint's weights")
    parser.add_argument("--stage", choices=NAMES, help="start with this stage, not the first")
    parser.add_argument("--until", choices=NAMES, help="stop after this stage")
    args = parser.parse_args()
    state_file = args.out / "state.pt"
    if state_file.exists() and (args.init or args.stage):
        parser.error(f"{state_file} exists and goes on by itself: leave out --init and --stage.")
    processor = find_processor(args.out, args.init)
    model = make_model(processor.tokenizer)
    if args.device == "cpu":  # plain products train these short sequences faster here
        model.set_attn_implementation({"text_config": "eager", "vision_config": "eager"})
    trainee = Trainee(model)
    state = None
    if state_file.exists():
        state = torch.load(state_file, map_location="cpu", weights_only=True)
        trainee.load_state_dict(state["trainee"])
        print(f"going on from {state['stage']}, step {state['step']}", flush=True)
    elif args.init:
        load_weights(trainee, args.init)
    first = NAMES.index(state["stage"] if state else args.stage or NAMES[0])
    for stage in STAGES[first:]:
        resumed = state is not None and state["stage"] == stage.name
        step = state["step"] if resumed else 0
        optimizer_state = state["optimizers"] if resumed else None
        if stage.afresh and not resumed:
            trainee.forget(stage.afresh, make_model(processor.tokenizer))
        run_stage(args, trainee, processor, stage, step, optimizer_state)
        if stage.save_as:
            export(trainee, processor, args.out / stage.save_as)
        if stage.name == args.until:
            break


def run_stage(args, trainee, processor, stage, step, optimizer_state):
    common = (args, trainee, processor.tokenizer, stage, step, optimizer_state)
    if args.workers == 1:
        work(0, *common)
        trainee.to("cpu")
        return
    trainee.share_memory()
    context = mp.get_context("spawn")
    children = [context.Process(target=work, args=(rank, *common)) for rank in range(args.workers)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        if child.exitcode:
            raise SystemExit(f"a worker of stage {stage.name} failed")


if __name__ == "__main__":
    main()
