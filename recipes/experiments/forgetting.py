"""What does a new skill cost the old ones, by what is trained, at what rate, and with replay?

pocket-llava learns to name the outermost object ("Which object is the leftmost?") as notebook 08
teaches it: TRL's SFTTrainer, batches of 8, AdamW without decay, 5 steps of warm-up, then a cosine
to zero. LoRA (rank 16, on the decoder), all weights and the projector alone take the same 48 steps
over the same rows. As no one rate is fair to all, each has its own, with three seeds, and three
times that, with one. All weights have five times theirs, too, with three seeds, and the projector,
which forgets much at its own, a third of it, with one. A seed draws other training rows, another
order and another LoRA.

Two more things are varied, with three seeds. The labels of LoRA: answers only, or every token,
TRL's default. And replay, of rows with all the old skills, one for three new ones, so 16 steps
more: "mixed" takes the rows of both from the start, "after" the same new rows first and the same
old ones then. Both ways meet the training that forgets most, all weights at five times their rate;
LoRA at its own rate has "mixed" alone.

Each line is a point along a training. `new` counts right answers to `n_new` questions of the new
skill, and `blind` those with grey pictures; `old` counts those to `n_old` questions of eight old
skills, `lost` what the untouched model had right and this one has wrong, and `won` the reverse. The
last point of a training asks twice as many questions as the others, and tells the skills apart.
Step 0 is the untouched model.
"""

from __future__ import annotations

import functools
import random

import datasets

import vlm_helpers as vh
from recipes.experiments import _tuning

BATCH, STEPS, REPLAY_STEPS, POINTS = 8, 48, 16, (16, 48, 64)
RATES = {
    "LoRA": (1e-3, 3e-3),
    "everything": (1e-4, 3e-4),
    "projector": (2e-3, 6e-3),
}
HIGHEST, LOW = 5e-4, 7e-4  # of everything, of the projector
SKILLS = ("color", "shape", "size", "count", "exists", "relation", "number", "word")
EACH, N_NEW = 12, 80
SIDES = {"leftmost": (0, min), "rightmost": (0, max), "highest": (1, min), "lowest": (1, max)}


def settings() -> list[dict]:
    good, high = (
        [
            {"trained": name, "rate": RATES[name][number], "labels": "answers", "replay": "none"}
            for name in RATES
        ]
        for number in range(2)
    )
    highest = good[1] | {"rate": HIGHEST}
    three = [
        *good, highest, *(highest | {"replay": way} for way in ("mixed", "after")),
        good[0] | {"labels": "all"}, good[0] | {"replay": "mixed"},
    ]  # fmt: skip
    parts = [((0,), [*three, *high, good[2] | {"rate": LOW}]), ((1, 2), three)]
    return [{"seed": seed, **one} for seeds, part in parts for seed in seeds for one in part]


def row(seed: int, split: str) -> dict | None:
    """A training row of the new skill; None where two objects lie nearly equally far out."""
    scene = vh.scenes.sample(seed, split, n_objects=2 + seed % 3, sign=False)
    word = list(SIDES)[seed // 3 % 4]
    axis, first = SIDES[word]
    places = sorted(thing.center[axis] for thing in scene.objects)
    if min(places[1] - places[0], places[-1] - places[-2]) < 0.1:
        return None
    thing = first(scene.objects, key=lambda thing: thing.center[axis])
    question = [{"type": "image"}, {"type": "text", "text": f"Which object is the {word}?"}]
    answer = [{"type": "text", "text": f"{thing.color} {thing.shape}"}]
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
        "images": [scene.render(192)],
    }


@functools.cache
def new_rows(first: int, number: int, split: str = "train") -> list[dict]:
    found = (row(seed, split) for seed in range(first, first + 4 * number))
    return [one for one in found if one][:number]


@functools.cache
def old_rows():
    path = vh.loading.pocket_folder().parent / "pocket-instruct" / "train.parquet"
    return datasets.load_dataset("parquet", data_files=str(path), split="train")


@functools.cache
def questions():
    """The new skill's questions, and the old ones'."""
    new = [
        {
            "images": one["images"],
            "question": one["messages"][0]["content"][1]["text"],
            "answer": one["messages"][1]["content"][0]["text"],
        }
        for one in new_rows(0, N_NEW, "test")
    ]
    return new, list(vh.evaluation.exam(vh.scenes, SKILLS, EACH, first_seed=5_000))


def asked(model, processor, last: bool) -> dict:
    """Right answers of a model, and the scores of the old questions by their ids."""
    vlm, (new, old) = vh.VLM(model, processor), questions()
    options = {"batch_size": 60, "max_new_tokens": 8}
    learnt = vh.evaluation.quiz(vlm, new if last else new[::2], **options)
    kept = vh.evaluation.quiz(vlm, old if last else old[::2], **options)
    return {
        "new": int(learnt.scores.sum()),
        "n_new": len(learnt),
        "blind": int(vh.evaluation.blind(vlm, new, **options).scores.sum()) if last else None,
        "scores": {one["id"]: one["score"] for one in kept.rows},
        **({s: int(v * EACH + 0.5) for s, v in kept.by()["score"].items()} if last else {}),
    }


@functools.cache
def before() -> dict:
    vlm = vh.load("pocket-llava", dtype="float32")
    return asked(vlm.model, vlm.processor, True)


def point(step: int, now: dict) -> dict:
    """A line of the table: what `asked` gave, compared with the untouched model."""
    scores, was = now["scores"], before()["scores"]
    return {
        "step": step,
        **{name: value for name, value in now.items() if name != "scores"},
        "old": int(sum(scores.values())),
        "n_old": len(scores),
        "lost": sum(was[name] > scores[name] for name in scores),
        "won": sum(was[name] < scores[name] for name in scores),
    }


def phases(seed: int, replay: str) -> list[tuple]:
    """The rows to train on, one list a phase, in the order in which they are taken."""
    old = old_rows()
    new = datasets.Dataset.from_list(
        new_rows(10_000 * (seed + 1), BATCH * STEPS), features=old.features
    )
    if replay == "none":
        return [new]
    again = random.Random(seed).sample(range(len(old)), BATCH * REPLAY_STEPS)
    if replay == "after":
        return [new, old.select(again)]
    return [datasets.concatenate_datasets([new, old.select(again)])]


def tuned(
    seed: int,
    trained: str = "LoRA",
    rate: float = RATES["LoRA"][0],
    labels: str = "answers",
    replay: str = "none",
    seen=lambda model, processor, step, last: None,
):
    """pocket-llava with the new skill, and its processor; `seen` is called at each of `POINTS`."""
    vlm = _tuning.begin("pocket-llava", seed)
    model, processor = vlm.model, vlm.processor
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained != "projector" or "multi_modal_projector" in name)
    config = _tuning.lora() if trained == "LoRA" else None
    answers_only = vh.collators.AnswerCollator(processor) if labels == "answers" else None
    rows = phases(seed, replay)
    total, done = sum(map(len, rows)) // BATCH, 0

    def point(step: int, model) -> None:
        seen(model, processor, done + step, done + step == total)

    for phase in rows:
        steps = len(phase) // BATCH
        options = {
            "max_steps": steps, "per_device_train_batch_size": BATCH, "seed": seed,
            "learning_rate": rate, "warmup_steps": 5, "lr_scheduler_type": "cosine",
        }  # fmt: skip
        trainer = _tuning.train(
            "sft", model, phase, options, processing_class=processor, peft_config=config,
            data_collator=answers_only,
            callbacks=[_tuning.Points([at - done for at in (*POINTS, total)], point)],
        )  # fmt: skip
        model, config, done = trainer.model, None, done + steps
    return model.eval(), processor


def run(**setting) -> list[dict]:
    points = [point(0, before())]

    def seen(model, processor, step: int, last: bool) -> None:
        points.append(point(step, asked(model, processor, last)))

    tuned(**setting, seen=seen)
    return points
