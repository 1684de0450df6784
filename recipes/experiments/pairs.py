"""What does DPO teach, what does SFT teach from the chosen answers alone, and which answers fall?

pocket-llava locates things of the seven colour-shape pairs that training never showed, as in the
experiment grpo. A pair's chosen answer is right; the rejected one is "none" or another thing's box
where the thing is there, and the box of a thing that is there where the asked
one is not, and "none" is right. TRL's DPOTrainer with LoRA (rank 16, on the decoder) takes 12 steps
of 8 pairs at a constant rate after two steps of warm-up. SFT (`method`) learns the chosen answers
of the same pairs by TRL's SFTTrainer. No one rate is fair to both, so each has the same three. MPO
mixes DPO's loss with one of each answer's own quality and SFT's on the chosen one.

A line is a step. `chosen` and `rejected` are how much the log-probability of each answer has moved
from where it began, in nats, and `margin` their difference: means over the step's pairs. The last
line also has, of `n` things that are there, on other pictures, how often a box with an IoU of 0.5
or more is `found`, the mean `iou`, of `n` that are not there how often "none" is said, and 10
questions of each of eight old skills (`old`, of `n_old`). `seconds` is the processor time of all
steps, where it was taken. Step 0 is the untouched model.
"""

from __future__ import annotations

import datasets

import vlm_helpers as vh
from recipes.experiments import _tuning
from recipes.experiments.grpo import MODEL, answered, before, measured, prompt, question

STEPS, BATCH = 12, 8
MPO = {"sigmoid": 0.8, "bco_pair": 0.2, "sft": 1.0}  # its losses and their weights


def settings() -> list[dict]:
    dpo, sft = {"method": "dpo", "beta": 0.1}, {"method": "sft", "beta": 0.0}
    tried = [{"seed": 0, **side, "rate": rate}
             for rate in (3e-4, 1e-3, 3e-3) for side in (dpo, sft)]  # fmt: skip
    usual = [{"seed": 1, **dpo}, {"seed": 1, **sft}]
    usual += [{"seed": 0, **dpo, "beta": 0.01}, {"seed": 0, **dpo, "method": "mpo"}]
    return [*tried, *({**one, "rate": 1e-3} for one in usual)]


def pair(seed: int) -> dict:
    item = question(seed, seed % 3 < 2)
    wrong = [box for box in item["candidates"] if box != item["answer"]]
    other = wrong[seed % len(wrong)] if wrong and seed % 3 else "none"
    rejected = [{"role": "assistant", "content": [{"type": "text", "text": other}]}]
    row = answered(item)
    return {**prompt(item), "chosen": row["completion"], "rejected": rejected}


def run(seed: int, method: str, beta: float, rate: float) -> list[dict]:
    vlm, first = _tuning.begin(MODEL, seed), 100_000 * (seed + 11)
    rows = datasets.Dataset.from_list([pair(first + i) for i in range(STEPS * BATCH)])
    clock = _tuning.Points()
    options = {
        "max_steps": STEPS, "learning_rate": rate, "seed": seed,
        "per_device_train_batch_size": BATCH, **_tuning.FLAT,
    }  # fmt: skip
    given = {
        "processing_class": vlm.processor, "callbacks": [clock], "peft_config": _tuning.lora(),
    }  # fmt: skip
    if method == "mpo":
        options |= {"loss_type": [*MPO], "loss_weights": [*MPO.values()]}
    if method != "sft":
        options["beta"] = beta
    else:
        rows = rows.rename_column("chosen", "completion").remove_columns("rejected")
        given["data_collator"] = vh.collators.AnswerCollator(vlm.processor)
    trainer = _tuning.train("sft" if method == "sft" else "dpo", vlm.model, rows, options, **given)
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
    end["seconds"] = round(clock.seconds, 1)
    return [{"step": 0, **before()}, *moved, {**last, **end}]
