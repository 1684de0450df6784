"""What does GRPO teach, what does SFT teach from the same prompts, and which rewards are hacked?

pocket-llava locates things of the seven colour-shape pairs that its training never showed ("Locate
the blue circle."): it is right sometimes. Of three questions two are about a thing that is there,
one about a thing that is not, where "none" is right. TRL's GRPOTrainer with LoRA (rank 16, on the
decoder): 20 steps of 3 prompts, 8 sampled answers each, or 6 prompts of 4, a constant rate after
two steps of warm-up, and no clipping, as each batch of answers is used once.

Rewards (`reward`): "truth" is the IoU of the one box, or 1 for "none" where the thing is not there;
"format" is 1 for one box, whatever it holds; "cover" is the share of the thing that the box covers;
"mention" asks another question, "Is there a blue circle in the picture?", with prompts about things
that are there alone, and is 1 for "yes". SFT (`method`) learns the right answers by TRL's
SFTTrainer: to the 60 prompts of GRPO ("sft"), or to 480 ("sft 480"), as many rows as GRPO has
answers. No one rate is fair to both, so each has more than one.

A line is a point along a training. Asked greedily, of `n` things that are there, on other pictures,
`found` counts boxes with an IoU of 0.5 or more, `iou` is the mean, `size` the median of the box's
area over the truth's; of `n` that are not there, `none` counts "none". `yes` and `no` count the
right answers to "Is there …?" about the same. `sampled` is the mean reward, `spread` the share of
groups whose answers differ in reward, both of the training's own answers since the last point. The
last point also asks 10 questions of each of eight old skills (`old`, of `n_old`). `seconds` is the
processor time of the steps so far, without the asking, where it was taken.
"""

from __future__ import annotations

import functools
import statistics

import datasets

import vlm_helpers as vh
from recipes.experiments import _tuning
from recipes.places import FORM, one_box, overlap
from vlm_helpers.boxes import Box, write
from vlm_helpers.scenes import UNSEEN_PAIRS

MODEL = "pocket-llava"  # the one that learns
STEPS, ANSWERS, EACH = 20, 24, 60
POINTS, MORE = (10, 20), (5, 10, 15, 20)  # the latter where a hack is followed closely
SKILLS = ("color", "shape", "size", "count", "exists", "relation", "number", "locate")
UNSEEN = [f"{color} {shape}" for shape, color in UNSEEN_PAIRS]


def settings() -> list[dict]:
    usual = {"method": "grpo", "reward": "truth", "group": 8, "temperature": 1.0, "beta": 0.0}
    usual["rate"] = 1e-3
    sft = {"method": "sft", "group": 1}
    first = [
        {},
        {"reward": "format"},
        {"reward": "cover"},
        {"reward": "mention"},
        sft,
        {**sft, "method": "sft 480"},
    ]
    more = [{"rate": 3e-4}, {"rate": 3e-3}, {**sft, "rate": 3e-4}, {**sft, "rate": 3e-3}]
    more += [{"beta": 0.1, "reward": "format"}, {"group": 4}, {"temperature": 1.5}]
    wide = {"reward": "cover", "rate": 3e-3}
    plan = [(seed, one) for some in (first, more, [wide]) for seed in (0, 1) for one in some]
    plan += [(2, {}), (2, sft)]
    return [{"seed": seed, **usual, **one} for seed, one in plan]


def question(seed: int, there: bool, form: str = "Locate the {}.") -> dict:
    """A question about a thing of a pair that training never showed."""
    scene = vh.scenes.sample(seed, "unseen_pairs", sign=False)
    things = {thing.name: thing for thing in scene.objects}
    names = [name for name in UNSEEN if (name in things) == there]
    name = names[seed % len(names)]
    answer = write([Box(*things[name].box)], FORM) if there else "none"
    if form != "Locate the {}.":
        answer = "yes" if there else "no"
    return {
        "image": scene.render(192),
        "question": form.format(name),
        "answer": answer,
        "candidates": [write([Box(*thing.box)], FORM) for thing in scene.objects],
    }


EXISTS = "Is there a {} in the picture?"


def truth(answer: str, right: str) -> float:
    """IoU of the one box; 1 for "none" where that is right."""
    return overlap(answer, right, one_box)


def form(answer: str, right: str) -> float:
    """1 for one box."""
    return float(one_box(answer) is not None)


def cover(answer: str, right: str) -> float:
    """The share of the thing that the box covers; 1 for "none" where that is right."""
    if right == "none":
        return float(answer == right)
    one, other = one_box(answer), one_box(right)
    if one is None:
        return 0.0
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0) * max(height, 0) / other.area


REWARDS = {"truth": truth, "format": form, "cover": cover, "mention": truth}


@functools.cache
def held_out() -> tuple:
    """Things that are there, things that are not, the same two as yes-no questions, old skills."""
    asked = [
        [question(seed, there, form) for seed in range(EACH)]
        for form in ("Locate the {}.", EXISTS)
        for there in (True, False)
    ]
    return *asked, list(vh.evaluation.exam(vh.scenes, SKILLS, 10, first_seed=5_000))


def measured(model, processor, reward: str, last: bool) -> dict:
    vlm = vh.VLM(model, processor)
    there, absent, yes, no, old = held_out()

    def answers(items):
        return vlm.ask([i["image"] for i in items], [i["question"] for i in items],
                       batch_size=60, max_new_tokens=8)  # fmt: skip

    row: dict = {"n": EACH}
    if reward == "mention" or last:
        row["yes"] = sum(answer == "yes" for answer in answers(yes))
        row["no"] = sum(answer == "no" for answer in answers(no))
    if reward != "mention" or last:
        given = answers(there)
        overlaps = [truth(a, i["answer"]) for a, i in zip(given, there)]
        sizes = [
            box.area / one_box(i["answer"]).area
            for a, i in zip(given, there)
            if (box := one_box(a))
        ]
        row["found"] = sum(overlap >= 0.5 for overlap in overlaps)
        row["iou"] = statistics.mean(overlaps)
        row["size"] = statistics.median(sizes) if sizes else None
        row["none"] = sum(answer == "none" for answer in answers(absent))
    if last:
        kept = vh.evaluation.quiz(
            vlm, old, batch_size=60, max_new_tokens=8,
            score=lambda a, i: truth(a, i["answer"]) >= 0.5 if "<loc" in i["answer"]
            else vh.evaluation.exact(a, i),
        )  # fmt: skip
        row |= {"old": int(kept.scores.sum()), "n_old": len(kept)}
    return row


@functools.cache
def before() -> dict:
    vlm = vh.load(MODEL, dtype="float32")
    return measured(vlm.model, vlm.processor, "truth", True)


def rows(seed: int, number: int, reward: str) -> list[dict]:
    first = 100_000 * (seed + 1)
    if reward == "mention":
        return [question(first + i, True, EXISTS) for i in range(number)]
    return [question(first + i, i % 3 < 2) for i in range(number)]


def prompt(item: dict) -> dict:
    parts = [{"type": "image"}, {"type": "text", "text": item["question"]}]
    return {"prompt": [{"role": "user", "content": parts}], "images": [item["image"]]}


def answered(item: dict) -> dict:
    parts = [{"type": "text", "text": item["answer"]}]
    return {**prompt(item), "completion": [{"role": "assistant", "content": parts}]}


def run(seed, method, reward, group, temperature, beta, rate) -> list[dict]:
    vlm = _tuning.begin(MODEL, seed)
    score, points = REWARDS[reward], [{"step": 0, "seconds": 0.0, **before()}]

    def seen(step: int, model) -> None:
        now = measured(model, vlm.processor, reward, step == STEPS)
        points.append({"step": step, "seconds": round(asked.seconds, 1), **now})

    def rewarded(completions, truth, **columns):
        return [score(c[0]["content"].strip(), right) for c, right in zip(completions, truth)]

    asked = _tuning.Points(MORE if reward == "format" and not beta else POINTS, seen)
    options = {"max_steps": STEPS, "learning_rate": rate, "seed": seed, **_tuning.FLAT}
    given = {
        "processing_class": vlm.processor, "callbacks": [asked], "peft_config": _tuning.lora(),
    }  # fmt: skip
    if method == "grpo":
        items = rows(seed, STEPS * ANSWERS // group, reward)
        data = [{**prompt(item), "truth": item["answer"]} for item in items]
        options |= {
            "per_device_train_batch_size": ANSWERS, "num_generations": group, "beta": beta,
            "temperature": temperature, "max_completion_length": 8,
        }  # fmt: skip
        given["reward_funcs"] = rewarded
    else:
        batch = ANSWERS if method == "sft 480" else ANSWERS // 8
        data = [answered(item) for item in rows(seed, STEPS * batch, reward)]
        options["per_device_train_batch_size"] = batch
        given["data_collator"] = vh.collators.AnswerCollator(vlm.processor)
    trainer = _tuning.train(
        "grpo" if method == "grpo" else "sft", vlm.model, datasets.Dataset.from_list(data),
        options, **given,
    )  # fmt: skip
    steps = [logs for logs in trainer.state.log_history if "reward" in logs]
    for was, now in zip(points, points[1:]):
        part = steps[was["step"] : now["step"]]
        if part:
            now["sampled"] = statistics.mean(float(logs["reward"]) for logs in part)
            now["spread"] = 1 - statistics.mean(float(p["frac_reward_zero_std"]) for p in part)
    return points
