"""What do rewards that a program checks teach, and what do the right answers teach: GRPO, SFT.

pocket-llava-next has three tasks, each with a reward of `recipes.rewards`: a click on a screen,
which lies in the element or not (`click`); how many of a thing are there (`count`); fields of a
receipt as JSON, of which so many are right (`receipt`). TRL's GRPOTrainer takes 24 steps of 4
prompts (48 for receipts), 4 sampled answers each; TRL's SFTTrainer learns the right answers to the
same prompts, in as many steps. Both have a LoRA of rank 16 on the decoder, 3 steps of warm-up and a
cosine to zero. No one rate is fair to both, so each tries two with seed 0, and a third where the
higher one was better; what is better is told by other pictures than those of the table (`tried`).
The best rate is run with another seed, which draws other training pictures and another LoRA; of
receipts the others, too.

A line is an end of a training; step 0 is the untouched model. `score` is the sum of the rewards of
`n` greedy answers about pictures of the split "test"; a click or a count is right or wrong, a JSON
object earns the share of its fields that are right, and nothing if it is none or has a key twice.
`whole` counts the answers that earn all, `form` the JSON objects with just the asked keys, whatever
their values, `twice` those with a key given twice and `fewer` those that lack asked keys and have
no others (where that was counted). `blind` is the score with grey pictures, `majority` what the
commonest answer would have (step 0). `gain` is the share gained over the untouched model, with its
interval (`low`, `high`) and `p`, the pictures paired: `by picture` has each one's score. `tried` is
the score of `n_tried` answers about the split "validation" (seed 0). `old` counts right answers of
`n_old` to other questions, about these pictures and about those of another kind; `lost` what the
untouched model had right of these and this one has wrong, `won` the reverse. `sampled` is the mean
reward of the last 8 steps' answers, `spread` the share of groups whose answers differ in reward,
over all steps. `seconds` is the processor time of all steps.
"""

from __future__ import annotations

import functools
import json
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import datasets

import vlm_helpers as vh
from recipes import rewards
from recipes.experiments import _tuning
from recipes.experiments._asking import Asked, compared
from recipes.experiments.grpo import answered, prompt

MODEL = "pocket-llava-next"
PROMPTS, GROUP = 4, 4
N, N_OTHERS = 80, 20  # pictures


@dataclass(frozen=True)
class Task:
    """What is trained; `each` questions of the skill are asked of a picture.

    `tried` pictures serve to choose a rate. `old` are other skills of the same kind of picture, of
    which there are `N`, and of another kind.
    """

    kind: str
    skill: str
    reward: Callable
    each: int
    tried: int
    steps: int
    tokens: int
    old: dict[str, tuple[str, ...]]


SCREEN = ("button", "entry", "toggle", "tab", "chosen", "selected")
TASKS = {
    "click": Task(
        "screen", "click", rewards.click, each=4, tried=40, steps=24, tokens=4,
        old={"screen": SCREEN, "things": ("name", "count", "relation", "exists_adversarial")},
    ),
    "count": Task(
        "things", "count", rewards.count, each=4, tried=40, steps=24, tokens=4,
        old={"things": ("name", "relation", "exists_adversarial", "locate"), "screen": SCREEN},
    ),
    "receipt": Task(
        "receipt", "json", rewards.fields, each=2, tried=80, steps=48, tokens=112,
        old={"receipt": ("field", "total", "price", "line"),
             "things": ("name", "count", "relation", "exists_adversarial")},
    ),
}  # fmt: skip
RATES = (3e-4, 1e-3)
HIGHER = 3e-3
ONLY_LOWER = {("click", "GRPO")}  # no gain from the higher of the two rates by `tried`
AGAIN = {  # with seed 1, the best of seed 0 by `tried` among them
    ("click", "GRPO"): (3e-4,), ("click", "SFT"): (1e-3,),
    ("count", "GRPO"): (1e-3,), ("count", "SFT"): (1e-3,),
    ("receipt", "GRPO"): RATES, ("receipt", "SFT"): (*RATES, HIGHER),
}  # fmt: skip


def settings() -> list[dict]:
    def one(task: str, side: str, seed: int, rate: float) -> dict:
        return {"task": task, "side": side, "seed": seed, "rate": rate}

    tried = [
        one(*which, 0, rate)
        for which in AGAIN for rate in (*RATES, HIGHER)
        if rate < HIGHER or which not in ONLY_LOWER
    ]  # fmt: skip
    return tried + [one(*which, 1, rate) for which, rates in AGAIN.items() for rate in rates]


@functools.cache
def questions(task: str) -> dict[str, Asked]:
    """Those of the task in two splits, and the others."""
    asked = TASKS[task]
    found = {
        name: Asked(split, 90_000, number, {asked.skill: asked.each}, kind=asked.kind)
        for name, split, number in (("test", "test", N), ("tried", "validation", asked.tried))
    }
    for kind, skills in asked.old.items():
        first, number = (90_000, N) if kind == asked.kind else (91_000, N_OTHERS)
        found[kind] = Asked("test", first, number, dict.fromkeys(skills, 1), kind=kind)
    return found


def rewarded(task: str, answers: list[str], asked: list) -> list[float]:
    """What each answer earns; `asked` are questions of `pages`."""
    given = [[{"role": "assistant", "content": answer}] for answer in answers]
    if task == "click":
        return TASKS[task].reward(given, [question.objects[0].box for question in asked])
    return TASKS[task].reward(given, [question.answer for question in asked])


class Pairs(list):
    """A JSON object as its (key, value) pairs, none lost."""


def forms(answers: list[str], truths: list[str]) -> dict[str, int]:
    """How many are JSON objects with just the truth's keys, with one twice, with fewer."""
    found = Counter()
    for answer, truth in zip(answers, truths, strict=True):
        try:
            pairs, asked = json.loads(answer, object_pairs_hook=Pairs), json.loads(truth).keys()
        except ValueError:
            continue
        if isinstance(pairs, Pairs):
            keys = [key for key, _ in pairs]
            found["twice"] += len(set(keys)) < len(keys)
            found["form"] += len(set(keys)) == len(keys) and set(keys) == asked
            found["fewer"] += len(set(keys)) == len(keys) and set(keys) < asked
    return {name: found[name] for name in ("form", "twice", "fewer")}


def scored(task: str, asked: Asked, vlm: vh.VLM, grey: bool = False) -> tuple[list, list]:
    """The answers and what they earn."""
    answers = asked.answers(asked.shown(vlm, grey), most=TASKS[task].tokens)
    return answers, rewarded(task, answers, [question for _, question in asked.questions])


def measured(task: str, model, processor, seed: int = 0) -> dict:
    """What a model answers; `scores` are those of the other questions."""
    vlm, items = vh.VLM(model, processor), questions(task)
    asked = items["test"].questions
    answers, earned = scored(task, items["test"], vlm)
    by_picture = [0.0] * N
    for (picture, _), one in zip(asked, earned, strict=True):
        by_picture[picture] += one
    row = {
        "n": len(asked), "score": sum(earned), "whole": earned.count(1.0),
        "by picture": by_picture,
        "scores": [
            right
            for kind in TASKS[task].old
            for right in items[kind].right(items[kind].answers(items[kind].shown(vlm)))
        ],
    }  # fmt: skip
    if task == "receipt":
        row |= forms(answers, [question.answer for _, question in asked])
    if seed == 0:
        tried = scored(task, items["tried"], vlm)[1]
        row |= {"tried": sum(tried), "n_tried": len(tried)}
    return row


@functools.cache
def before(task: str) -> dict:
    """The untouched model, and what looking at nothing is worth."""
    vlm = vh.load(MODEL, dtype="float32")
    found = measured(task, vlm.model.eval(), vlm.processor)
    asked = questions(task)["test"]
    truths = [question for _, question in asked.questions]
    commonest = Counter(question.answer for question in truths).most_common(1)[0][0]
    return found | {
        "blind": sum(scored(task, asked, vlm, grey=True)[1]),
        "majority": sum(rewarded(task, [commonest] * len(truths), truths)),
    }


def row(task: str, step: int, found: dict, **more: float) -> dict:
    """The line of a table for what was measured."""
    kept = {name: value for name, value in found.items() if name not in ("scores", "by picture")}
    earned = " ".join(f"{one:.4g}" for one in found["by picture"])
    return {"step": step, **kept, **compared(found, before(task), TASKS[task].each),
            "by picture": earned, **more}  # fmt: skip


def items(task: str, seed: int, number: int) -> list[dict]:
    """One question a picture."""
    asked, first, found = TASKS[task], 10_000 * (seed + 1), []
    for one in range(first, first + number):
        page = vh.pages.sample(one, "train", kind=asked.kind)
        (question,) = page.questions([asked.skill], seed=one)
        item = {"image": page.image, "question": question.text, "answer": question.answer}
        if task == "click":
            item["box"] = list(question.objects[0].box)
        found.append(item)
    return found


def run(task: str, side: str, seed: int, rate: float) -> list[dict]:
    vlm, clock = _tuning.begin(MODEL, seed), _tuning.Points()
    options = {
        "max_steps": TASKS[task].steps, "learning_rate": rate, "seed": seed, "warmup_steps": 3,
        "lr_scheduler_type": "cosine",
    }  # fmt: skip
    given = {
        "processing_class": vlm.processor, "callbacks": [clock], "peft_config": _tuning.lora(),
    }  # fmt: skip
    drawn = items(task, seed, TASKS[task].steps * PROMPTS)
    if side == "GRPO":
        column = "box" if task == "click" else "truth"
        data = [prompt(item) | {column: item.get("box", item["answer"])} for item in drawn]
        options |= {"num_generations": GROUP, "beta": 0.0}
        options["max_completion_length"] = TASKS[task].tokens
        options["per_device_train_batch_size"] = PROMPTS * GROUP
        given["reward_funcs"] = TASKS[task].reward
    else:
        data = [answered(item) for item in drawn]
        options["per_device_train_batch_size"] = PROMPTS
        given["data_collator"] = vh.collators.AnswerCollator(vlm.processor)
    rows = datasets.Dataset.from_list(data)
    trainer = _tuning.train(side.lower(), vlm.model, rows, options, **given)
    end = measured(task, trainer.model.eval().get_base_model(), vlm.processor, seed)
    steps, more = [logs for logs in trainer.state.log_history if "reward" in logs], {}
    if steps:
        more["sampled"] = statistics.mean(float(logs["reward"]) for logs in steps[-8:])
        more["spread"] = 1 - statistics.mean(float(logs["frac_reward_zero_std"]) for logs in steps)
    return [
        row(task, 0, before(task)),
        row(task, TASKS[task].steps, end, **more, seconds=clock.seconds),
    ]
