"""Checkpoints for `recipes.sft`: which one is whole, and whether the run behind it has ended."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import trl
from safetensors import SafetensorError, safe_open
from transformers import TrainerState


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint was written to its end: a run that is killed may leave a part of one."""
    try:
        TrainerState.load_from_json(str(folder / "trainer_state.json"))  # it is written last
    except (OSError, ValueError, TypeError):
        return False
    weights = [*folder.rglob("*.safetensors")]
    if not weights and not any(path.is_dir() for path in folder.iterdir()):  # one of pieces
        return False
    saved = [path for path in folder.iterdir() if path.suffix in (".pt", ".pth", ".bin")]
    return all(map(_opens, weights)) and all(map(zipfile.is_zipfile, saved))


def _opens(weights: Path) -> bool:
    try:
        with safe_open(weights, "pt"):
            return True
    except (SafetensorError, OSError):
        return False


def last_checkpoint(training: trl.SFTConfig) -> Path | None:
    """The newest checkpoint in `output_dir` that is whole, if there is one."""
    found = Path(training.output_dir).glob("checkpoint-*")
    numbered = [path for path in found if re.fullmatch(r"checkpoint-\d+", path.name)]
    for folder in sorted(numbered, key=lambda path: int(path.name[11:]), reverse=True):
        if is_whole(folder):
            return folder
        if training.process_index == 0:
            print(f"Passing over {folder}: it was not written to its end.")
    return None


def finished(checkpoint: Path, training: trl.SFTConfig) -> bool:
    """Whether the run behind `checkpoint` has come to its end: a trainer would add a step."""
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if training.max_steps > 0:
        return state.global_step >= training.max_steps
    return (state.epoch or 0) >= training.num_train_epochs


def finish(checkpoint: Path, output: Path) -> bool:
    """Puts the end result into `output`, where a run was stopped just before it did; or False."""
    ended = (checkpoint / "trainer_state.json").stat().st_mtime_ns
    weights = [path.name for path in checkpoint.glob("*.safetensors")]
    there = [output / name for name in weights] or [*output.glob("*.safetensors")]
    if there and all(p.exists() and p.stat().st_mtime_ns >= ended and _opens(p) for p in there):
        return False
    if not weights:
        raise ValueError(
            f"The run has come to its end, and {checkpoint} holds its weights in pieces: join them "
            "with `accelerate merge-weights`."
        )
    own = re.compile(r"trainer_state\.json|README\.md|(optimizer|scheduler|scaler|rng_state).*")
    files = [path for path in checkpoint.iterdir() if path.is_file()]
    # Weights last: where the copy is cut short, it is made again.
    for path in sorted(files, key=lambda path: path.name in weights):
        if not own.fullmatch(path.name):
            part = output / f"{path.name}.part"
            shutil.copyfile(path, part)
            os.replace(part, output / path.name)
    return True
