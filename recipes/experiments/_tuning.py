"""What the experiments with TRL's trainers share: a quiet training, its LoRA, points on the way."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Container
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import datasets
import torch
import transformers
from peft import LoraConfig
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

import vlm_helpers as vh

TRAINERS = {
    "sft": (SFTTrainer, SFTConfig),
    "dpo": (DPOTrainer, DPOConfig),
    "grpo": (GRPOTrainer, GRPOConfig),
}
# A schedule for few steps. The other trainings here take a cosine.
FLAT = {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 2}


def begin(model: str, seed: int) -> vh.VLM:
    """The untouched model in float32, and torch's dice as the seed says."""
    torch.manual_seed(seed)
    return vh.load(model, dtype="float32")


def lora() -> LoraConfig:
    """Of rank 16, on the decoder."""
    return LoraConfig(r=16, lora_alpha=32, target_modules=r".*language_model.*_proj")


class Points(transformers.TrainerCallback):
    """Calls `seen(step, model)` after some steps. `seconds`: processor time of the steps alone."""

    def __init__(self, steps: Container[int] = (), seen: Callable[[int, Any], None] | None = None):
        self.steps, self.seen, self.seconds = steps, seen, 0.0

    def on_train_begin(self, *_, **__):
        self._since = time.process_time()

    def on_step_end(self, args, state, control, model, **_):
        self.seconds += time.process_time() - self._since
        if state.global_step in self.steps:
            self.seen(state.global_step, model.eval())
            model.train()
        self._since = time.process_time()


def train(method: str, model: Any, rows: datasets.Dataset, options: dict, **given: Any) -> Any:
    """The trainer of TRL's `method` after its training; `given` is the trainer's, as `options` are
    its configuration's. What it logged of each step is in `.state.log_history`."""
    datasets.disable_progress_bars()
    trainer, config = TRAINERS[method]
    uncut = {} if method == "grpo" else {"max_length": None}
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        args = config(
            output_dir=folder, use_cpu=not torch.cuda.is_available(), bf16=False,
            gradient_checkpointing=False, logging_steps=1, save_strategy="no", report_to="none",
            disable_tqdm=True, **uncut, **options,
        )  # fmt: skip
        begun = trainer(model=model, args=args, train_dataset=rows, **given)
        begun.train()
    return begun
