"""What does DPO teach, what does SFT teach from the chosen answers alone, and which answers fall?

pocket-llava locates things of the seven colour-shape pairs that training never showed, as in the
experiment grpo. A pair's chosen answer is right; the rejected one is "none" or another thing's box
where the thing is there, and the box of a thing that is there where the asked
one is not, and "none" is right. TRL's DPOTrainer with LoRA (rank 16, on the decoder) takes 12 steps
of 8 pairs at a constant rate after two steps of warm-up. SFT (`method`) learns the chosen answers
of the same pairs by TRL's SFTTrainer.

A line is a step. `chosen` and `rejected` are how much the log-probability of each answer has moved
from where it began, in nats, and `margin` their difference: means over the step's pairs. The last
line also has, of `n` things that are there, on other pictures, how often a box with an IoU of 0.5
or more is `found`, the mean `iou`, of `n` that are not there how often "none" is said, and 10
questions of each of eight old skills (`old`, of `n_old`). Step 0 is the untouched model.
"""

from __future__ import annotations

import tempfile
from contextlib import redirect_stdout
from io import StringIO

import datasets
import torch
from peft import LoraConfig
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

import vlm_helpers as vh
from recipes.experiments.grpo import MODEL, answered, before, measured, prompt, question

STEPS, BATCH = 12, 8


def settings() -> list[dict]:
    dpo = {"method": "dpo", "beta": 0.1, "rate": 1e-3}
    sft = {"method": "sft", "beta": 0.0, "rate": 1e-3}
    return [
        *({"seed": seed, **one} for seed in (0, 1) for one in (dpo, sft)),
        {"seed": 0, **dpo, "rate": 3e-3},
        {"seed": 0, **dpo, "beta": 0.01},
    ]


def pair(seed: int) -> dict:
    item = question(seed, seed % 3 < 2)
    wrong = [box for box in item["candidates"] if box != item["answer"]]
    other = wrong[seed % len(wrong)] if wrong and seed % 3 else "none"
    rejected = [{"role": "assistant", "content": [{"type": "text", "text": other}]}]
    row = answered(item)
    return {**prompt(item), "chosen": row["completion"], "rejected": rejected}


def run(seed: int, method: str, beta: float, rate: float) -> list[dict]:
    datasets.disable_progress_bars()
    torch.manual_seed(seed)
    vlm = vh.load(MODEL, dtype="float32")
    first = 100_000 * (seed + 11)
    rows = [pair(first + i) for i in range(STEPS * BATCH)]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        options = {
            "output_dir": folder, "max_steps": STEPS, "learning_rate": rate, "warmup_steps": 2,
            "lr_scheduler_type": "constant_with_warmup", "use_cpu": not torch.cuda.is_available(),
            "bf16": False, "gradient_checkpointing": False, "logging_steps": 1, "seed": seed,
            "save_strategy": "no", "report_to": "none", "disable_tqdm": True, "max_length": None,
            "per_device_train_batch_size": BATCH,
        }  # fmt: skip
        common = {
            "processing_class": vlm.processor,
            "peft_config": LoraConfig(
                r=16, lora_alpha=32, target_modules=r".*language_model.*_proj"
            ),
        }
        if method == "dpo":
            trainer = DPOTrainer(
                vlm.model, args=DPOConfig(beta=beta, **options),
                train_dataset=datasets.Dataset.from_list(rows), **common,
            )  # fmt: skip
        else:
            data = [
                {"prompt": row["prompt"], "images": row["images"], "completion": row["chosen"]}
                for row in rows
            ]
            trainer = SFTTrainer(
                vlm.model, SFTConfig(**options), train_dataset=datasets.Dataset.from_list(data),
                data_collator=vh.collators.AnswerCollator(vlm.processor), **common,
            )  # fmt: skip
        trainer.train()
    end = measured(trainer.model.eval(), vlm.processor, "truth", True)
    moved = [
        {
            "step": logs["step"],
            **{name: float(logs[f"rewards/{name}"]) / beta for name in ("chosen", "rejected")},
            "margin": float(logs["rewards/margins"]) / beta,
        }
        for logs in trainer.state.log_history
        if "rewards/chosen" in logs
    ]
    last = moved.pop() if moved else {"step": STEPS}
    return [{"step": 0, **before()}, *moved, {**last, **end}]
