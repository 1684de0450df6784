"""Do preferences take a hallucination away, and does one need them: DPO against SFT.

Pairs are made from truth by `recipes.pairs`: the right answer against a plausible wrong one. DPO
compares the two, at three values of beta; MPO adds the quality of each answer and SFT on the chosen
one; the control learns the chosen answers alone, by SFT. All take the same steps over the same
rows, in batches of as many rows, with a LoRA of rank 16 on the decoder, AdamW, 5 steps of warm-up
and a cosine to zero. No one rate is fair to all, so each side tries three with seed 0, and the one
that answers POPE's questions best there is run with two seeds more. A seed draws other training
rows, another order and another LoRA. No seed has rows of the split "test", which is asked about.

Each line is a point along a training; step 0 is the untouched model. `right` counts right answers
to `n` questions of POPE's adversarial setting (half of them "yes"), `yes` the answers "yes" among
them, `blind yes` those to grey pictures. `chosen` and `rejected` are the mean log-probabilities
of both answers to `pairs` pairs that are not learnt, `preferred` how often the chosen one's is the
higher. `old` counts right answers to `n_old` questions of other skills, `lost` what the untouched
model had right and this one has wrong, `won` the reverse.
"""

from __future__ import annotations

import functools
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice

import datasets
import torch
import transformers
from peft import LoraConfig
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

import vlm_helpers as vh
from recipes.pairs import KINDS, pairs
from recipes.preferences_probe import log_probabilities

MODEL = "pocket-llava"
# What a model that knows shapes alone is asked; any other is asked about things.
SHAPES_ONLY = ("pocket-llava", "pocket-llava-base")
BATCH, STEPS, POINTS = 8, 48, (0, 8, 16, 32, 48)
SIDES = {  # loss, its weights; SFT is another trainer
    "DPO": (["sigmoid"], None),
    "MPO": (["sigmoid", "bco_pair", "sft"], [0.8, 0.2, 1.0]),
    "SFT": (None, None),
}
RATES = (1e-4, 3e-4, 1e-3)
BEST = {"DPO": 3e-4, "MPO": 3e-4, "SFT": 3e-4}  # of seed 0, by `right` in the end
BETA, BETAS = 0.1, (0.03, 0.1, 0.3)
N, EACH, HELD_OUT = 200, 20, 64


def settings() -> list[dict]:
    tried = [{"seed": 0, "side": side, "beta": BETA, "rate": rate}
             for side in SIDES for rate in RATES]  # fmt: skip
    betas = [{"seed": 0, "side": "DPO", "beta": beta, "rate": BEST["DPO"]} for beta in BETAS]
    sides = [{"seed": 0, "side": side, "beta": BETA, "rate": BEST[side]} for side in SIDES]
    again = [{**one, "seed": seed} for seed in (1, 2) for one in [*betas, *sides]]
    found = []
    for one in [*tried, *betas, *again]:
        if one not in found:
            found.append(one)
    return found


def kinds() -> list[str]:
    world = "scene" if MODEL in SHAPES_ONLY else "thing"
    return [kind for kind in KINDS if kind.startswith(world)]


@functools.cache
def questions():
    """Of POPE's adversarial setting, and of other skills."""
    if MODEL in SHAPES_ONLY:
        asked = vh.evaluation.exam(vh.scenes, "exists", N)
        others = vh.evaluation.exam(
            vh.scenes, ("color", "shape", "size", "count", "relation", "number", "word"), EACH,
            first_seed=5_000,
        )  # fmt: skip
    else:
        asked = vh.evaluation.exam(vh.pages, "exists_adversarial", N, kind="things")
        others = vh.evaluation.exam(
            vh.pages, ("name", "count", "relation", "locate", "group", "odd_one_out"), EACH,
            first_seed=5_000, kind="things",
        )  # fmt: skip
    return list(asked), list(others)


@functools.cache
def held_out() -> list[dict]:
    return list(islice(pairs(kinds(), "validation"), HELD_OUT))


def asked(model, processor) -> dict:
    """What a model answers, and the scores of the other skills by their ids."""
    vlm, (pope, others) = vh.VLM(model, processor), questions()
    options = {"batch_size": 50, "max_new_tokens": 24}
    now = vh.evaluation.quiz(vlm, pope, **options)
    grey = vh.evaluation.blind(vlm, pope, **options)
    kept = vh.evaluation.quiz(vlm, others, **options)

    def said_yes(run) -> int:
        return sum(row["answer"].strip().lower().startswith("yes") for row in run.rows)

    return {
        "right": int(now.scores.sum()), "yes": said_yes(now), "blind yes": said_yes(grey),
        "n": len(now), "scores": {one["id"]: one["score"] for one in kept.rows},
    }  # fmt: skip


def compared(model, processor) -> dict:
    """The log-probabilities of both answers to the pairs that are not learnt."""
    collator, rows = vh.collators.PreferenceCollator(processor), held_out()
    both = [log_probabilities(model, collator(rows[i : i + BATCH]))
            for i in range(0, len(rows), BATCH)]  # fmt: skip
    chosen, rejected = (torch.cat(side) for side in zip(*both))
    return {
        "chosen": chosen.mean().item(), "rejected": rejected.mean().item(),
        "preferred": int((chosen > rejected).sum()), "pairs": len(rows),
    }  # fmt: skip


@functools.cache
def before() -> tuple[dict, dict]:
    vlm = vh.load(MODEL, dtype="float32")
    return asked(vlm.model, vlm.processor), compared(vlm.model, vlm.processor)


def tuned(seed: int, side: str, beta: float, rate: float, seen):
    """The model after a training; `seen(step, model, processor)` is called at each of `POINTS`."""
    datasets.disable_progress_bars()
    torch.manual_seed(seed)
    vlm = vh.load(MODEL, dtype="float32")
    model, processor = vlm.model, vlm.processor
    drawn = list(islice(pairs(kinds(), "train", 10_000 * (seed + 1)), BATCH * STEPS))
    rows = datasets.Dataset.from_list(drawn)
    loss, weights = SIDES[side]

    class Points(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, model, **_):
            if state.global_step in POINTS:
                seen(state.global_step, model.eval(), processor)
                model.train()

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        options = {
            "output_dir": folder, "max_steps": STEPS, "per_device_train_batch_size": BATCH,
            "seed": seed, "learning_rate": rate, "warmup_steps": 5, "lr_scheduler_type": "cosine",
            "max_length": None, "gradient_checkpointing": False, "bf16": False,
            "use_cpu": not torch.cuda.is_available(), "logging_steps": STEPS, "save_strategy": "no",
            "report_to": "none", "disable_tqdm": True, "remove_unused_columns": False,
        }  # fmt: skip
        lora = LoraConfig(r=16, lora_alpha=32, target_modules=r".*language_model.*_proj")
        more = {"processing_class": processor, "callbacks": [Points()], "peft_config": lora}
        if side == "SFT":
            rows = rows.rename_column("chosen", "completion").remove_columns("rejected")
            trainer = SFTTrainer(
                model, SFTConfig(**options), train_dataset=rows,
                data_collator=vh.collators.AnswerCollator(processor), **more,
            )  # fmt: skip
        else:
            trainer = DPOTrainer(
                model, args=DPOConfig(
                    **options, beta=beta, loss_type=loss, loss_weights=weights
                ), train_dataset=rows,
                data_collator=vh.collators.PreferenceCollator(processor), **more,
            )  # fmt: skip
        trainer.train()
    return trainer.model.eval(), processor


def run(seed: int, side: str, beta: float, rate: float) -> list[dict]:
    (was, chances), points = before(), []

    def line(step: int, model, processor) -> None:
        ends = step in (0, STEPS)
        now = {} if not ends else was if step == 0 else asked(model, processor)
        scores, first = now.get("scores", {}), was["scores"]
        points.append({
            "step": step,
            **(chances if step == 0 else compared(model, processor)),
            **{name: now.get(name) for name in ("right", "yes", "blind yes", "n")},
            "old": int(sum(scores.values())) if ends else None,
            "n_old": len(first),
            "lost": sum(first[i] > scores[i] for i in scores) if ends else None,
            "won": sum(first[i] < scores[i] for i in scores) if ends else None,
        })  # fmt: skip

    line(0, None, None)
    tuned(seed, side, beta, rate, line)
    return points
