"""Do preferences take a hallucination away, and does one need them: DPO against SFT.

Pairs are made from truth by `recipes.pairs`: the right answer against a plausible wrong one. DPO
compares the two, at three values of beta; MPO adds the quality of each answer and SFT on the chosen
one; the control learns the chosen answers alone, by SFT. All take the same steps over the same
rows, in batches of as many rows, with a LoRA of rank 16 on the decoder, AdamW, 5 steps of warm-up
and a cosine to zero. No one rate is fair to all, so each side tries three with seed 0, and the one
that answers best on other pictures than those of the table (`tried`) is run with two seeds more. A
seed draws other training rows, another order and another LoRA. No seed has rows of the splits
"test", which is asked about, and "validation", by which rates are chosen.

Each line is a point along a training; step 0 is the untouched model. `right` counts right answers
to `n` questions of POPE's adversarial setting, `majority` those of the commonest answer, `blind`
those to grey pictures; `yes` and `blind yes` count the answers "yes", of which `true yes` are due.
`tried` counts right answers to `n` such questions of the split "validation". `chosen` and
`rejected` are the mean log-probabilities of both answers to `pairs` pairs that are not learnt,
`preferred` how often the chosen one's is the higher. `old` counts right answers to `n_old`
questions of other skills (boxes at an IoU of 0.5), `lost` what the untouched model had right and
this one has wrong, `won` the reverse.
"""

from __future__ import annotations

import functools
from itertools import islice

import datasets
import torch

import vlm_helpers as vh
from recipes.experiments import _tuning
from recipes.experiments.pairs import MPO
from recipes.pairs import KINDS, pairs
from recipes.places import is_right
from recipes.preferences_probe import log_probabilities

MODEL, WORLD = "pocket-llava", "scene"  # the pairs of KINDS that it can know: "scene" or "thing"
BATCH, STEPS, POINTS = 8, 48, (8, 16, 32, 48)
RATES = (1e-4, 3e-4, 1e-3)
# Of seed 0, by `tried` in the end. If it is the first or the last of RATES, add one beyond it.
BEST = {"DPO": 3e-4, "MPO": 3e-4, "SFT": 3e-4}
BETA, BETAS = 0.1, (0.03, 0.1, 0.3)
N, EACH, HELD_OUT = 200, 20, 64


def settings() -> list[dict]:
    def one(seed: int, side: str, rate: float, beta: float = BETA) -> dict:
        return {"seed": seed, "side": side, "beta": 0.0 if side == "SFT" else beta, "rate": rate}

    tried = [one(0, side, rate) for side in BEST for rate in RATES]
    again = [one(seed, side, BEST[side]) for seed in (1, 2) for side in BEST]
    betas = [one(seed, "DPO", BEST["DPO"], beta) for seed in (0, 1, 2) for beta in BETAS]
    found = []
    for setting in [*tried, *again, *betas]:
        if setting not in found:
            found.append(setting)
    return found


def kinds() -> list[str]:
    return [kind for kind in KINDS if kind.startswith(WORLD)]


@functools.cache
def questions() -> dict[str, list[dict]]:
    """Of POPE's adversarial setting, of the same to choose by, and of other skills."""
    if WORLD == "scene":
        world, options, pope = vh.scenes, {}, "exists"
        others = ("color", "shape", "size", "count", "relation", "number", "word")
    else:
        world, options, pope = vh.pages, {"kind": "things"}, "exists_adversarial"
        others = ("name", "count", "relation", "locate", "group", "odd_one_out")
    exam = functools.partial(vh.evaluation.exam, world, **options)
    return {
        "pope": list(exam(pope, N)),
        "tried": list(exam(pope, N, split="validation", first_seed=5_000)),
        "others": list(exam(others, EACH, first_seed=5_000)),
    }


@functools.cache
def held_out() -> list[dict]:
    return list(islice(pairs(kinds(), "validation"), HELD_OUT))


def asked(model, processor) -> dict:
    """What a model answers, and the scores of the other skills by their ids."""
    vlm, items = vh.VLM(model, processor), questions()
    options = {
        "score": lambda answer, item: is_right(answer, item["answer"]), "batch_size": 50,
        "max_new_tokens": 24,
    }  # fmt: skip
    now, tried, others = (vh.evaluation.quiz(vlm, some, **options) for some in items.values())
    grey = vh.evaluation.blind(vlm, items["pope"], **options)
    floor = vh.evaluation.floors(items["pope"], options["score"], by=None)["majority"].item()

    def yes(run, column: str = "answer") -> int:
        return sum(row[column].strip().lower().startswith("yes") for row in run.rows)

    return {
        "right": int(now.scores.sum()), "majority": round(floor * len(now)),
        "blind": int(grey.scores.sum()), "n": len(now), "yes": yes(now), "blind yes": yes(grey),
        "true yes": yes(now, "truth"), "tried": int(tried.scores.sum()),
        "scores": {one["id"]: one["score"] for one in others.rows},
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


def ended(model, processor, was: dict) -> dict:
    """What is asked at both ends of a training; `was` are the scores of the untouched model."""
    now = asked(model, processor)
    scores = now.pop("scores")
    first = was or scores
    return now | {
        "old": int(sum(scores.values())), "n_old": len(scores),
        "lost": sum(first[i] > scores[i] for i in scores),
        "won": sum(first[i] < scores[i] for i in scores), "scores": scores,
    }  # fmt: skip


@functools.cache
def before() -> dict:
    vlm = vh.load(MODEL, dtype="float32")
    vlm.model.eval()
    return compared(vlm.model, vlm.processor) | ended(vlm.model, vlm.processor, {})


def run(seed: int, side: str, beta: float, rate: float) -> list[dict]:
    vlm, points = _tuning.begin(MODEL, seed), [{"step": 0, **before()}]
    drawn = list(islice(pairs(kinds(), "train", 10_000 * (seed + 1)), BATCH * STEPS))
    rows = datasets.Dataset.from_list(drawn)

    def seen(step: int, model) -> None:
        points.append({"step": step, **compared(model, vlm.processor)})
        if step == STEPS:
            points[-1] |= ended(model, vlm.processor, before()["scores"])

    options = {
        "max_steps": STEPS, "per_device_train_batch_size": BATCH, "seed": seed,
        "learning_rate": rate, "warmup_steps": 5, "lr_scheduler_type": "cosine",
        "remove_unused_columns": False,
    }  # fmt: skip
    given = {
        "processing_class": vlm.processor, "callbacks": [_tuning.Points(POINTS, seen)],
        "peft_config": _tuning.lora(),
    }  # fmt: skip
    if side == "SFT":
        rows = rows.rename_column("chosen", "completion").remove_columns("rejected")
        given["data_collator"] = vh.collators.AnswerCollator(vlm.processor)
    else:
        options |= {"beta": beta}
        if side == "MPO":
            options |= {"loss_type": [*MPO], "loss_weights": [*MPO.values()]}
        given["data_collator"] = vh.collators.PreferenceCollator(vlm.processor)
    _tuning.train("sft" if side == "SFT" else "dpo", vlm.model, rows, options, **given)
    return [{name: value for name, value in point.items() if name != "scores"} for point in points]
