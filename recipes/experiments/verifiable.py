"""What does a reward teach about clicks, and what do the right clicks teach: GRPO against SFT.

pocket-llava-next is asked where to click on a screen ("Where do you click to write back?"), and its
click lies in the element or not: that is the reward, `recipes.rewards.click`. It is right about
half of the time, so that there is a spread to learn from. TRL's GRPOTrainer takes 24 steps of 4
prompts, 4 sampled answers each; TRL's SFTTrainer learns the middle of the element from the same 96
prompts, in as many steps. Both have a LoRA of rank 16 on the decoder, 3 steps of warm-up and a
cosine to zero. No one rate is fair to both, so each tries two with seed 0, and the one that clicks
best on other screens than those of the table (`tried`) is run with another seed, which draws other
training screens and another LoRA.

A line is an end of a training; step 0 is the untouched model. Of `n` questions on screens of the
split "test", `inside` counts the clicks in the element; `gain` is the share gained over the
untouched model, with its interval (`low`, `high`) and `p`, the screens paired: `by picture` has the
clicks in the element of each one's four questions. `other` counts the clicks in an element that
another of the screen's questions asks for. `tried` counts clicks in the element, of `n_tried` on
screens of the split "validation" (seed 0). `old` counts right answers of `n_old` to other
questions, about these screens and about pictures of things; `lost` what the untouched model had
right of these and this one has wrong, `won` the reverse. `sampled` is the mean reward of the last 8
steps' answers, `spread` the share of groups whose answers differ in reward, over all steps.
`seconds` is the processor time of all steps.
"""

from __future__ import annotations

import functools
import statistics

import datasets

import vlm_helpers as vh
from recipes import rewards
from recipes.experiments import _tuning
from recipes.experiments._asking import Asked, gain
from recipes.experiments.grpo import answered, prompt

MODEL = "pocket-llava-next"
STEPS, PROMPTS, GROUP = 24, 4, 4
EACH = 4  # questions a screen
OLD = {
    "screen": ("button", "entry", "toggle", "tab", "chosen", "selected"),
    "things": ("name", "count", "relation", "exists_adversarial"),
}
N, N_TRIED, N_THINGS = 80, 40, 20  # pictures
RATES = (3e-4, 1e-3)
BEST = {"GRPO": 3e-4, "SFT": 1e-3}  # of seed 0, by `tried`


def settings() -> list[dict]:
    tried = [{"seed": 0, "side": side, "rate": rate} for side in BEST for rate in RATES]
    return tried + [{"seed": 1, "side": side, "rate": rate} for side, rate in BEST.items()]


@functools.cache
def questions() -> dict[str, Asked]:
    others = {kind: dict.fromkeys(skills, 1) for kind, skills in OLD.items()}
    return {
        "test": Asked("test", 90_000, N, {"click": EACH} | others["screen"], kind="screen"),
        "tried": Asked("validation", 90_000, N_TRIED, {"click": EACH}, kind="screen"),
        "things": Asked("test", 91_000, N_THINGS, others["things"]),
    }


def inside(answer: str, question) -> bool:
    completion = [{"role": "assistant", "content": answer.strip()}]
    return bool(rewards.click([completion], [question.objects[0].box])[0])


def measured(model, processor, seed: int = 0) -> dict:
    """What a model answers; `scores` are those of the other questions."""
    vlm, items = vh.VLM(model, processor), questions()
    answers = items["test"].answers(items["test"].shown(vlm))
    clicks = [one for one in zip(items["test"].questions, answers) if one[0][1].skill == "click"]
    found, other = [0] * N, 0
    for (picture, question), answer in clicks:
        found[picture] += inside(answer, question)
        other += not inside(answer, question) and any(
            inside(answer, q) for (where, q), _ in clicks if where == picture
        )
    right = zip(items["test"].questions, items["test"].right(answers))
    scores = [score for (_, question), score in right if question.skill != "click"]
    scores += items["things"].right(items["things"].answers(items["things"].shown(vlm)))
    row = {"n": len(clicks), "inside": sum(found), "other": other, "scores": scores,
           "by picture": found}  # fmt: skip
    if seed == 0:
        tried = items["tried"].answers(items["tried"].shown(vlm))
        right = [inside(a, question) for a, (_, question) in zip(tried, items["tried"].questions)]
        row |= {"tried": sum(right), "n_tried": len(right)}
    return row


def row(step: int, found: dict, **more: float) -> dict:
    """The line of a table for what was measured."""
    was, now = before()["scores"], found["scores"]
    kept = {name: value for name, value in found.items() if name != "scores"}
    return {
        "step": step, **kept, **gain(found["by picture"], before()["by picture"], EACH),
        "old": sum(now), "n_old": len(now), "lost": sum(a > b for a, b in zip(was, now)),
        "won": sum(a < b for a, b in zip(was, now)),
        "by picture": " ".join(map(str, found["by picture"])), **more,
    }  # fmt: skip


@functools.cache
def before() -> dict:
    vlm = vh.load(MODEL, dtype="float32")
    return measured(vlm.model.eval(), vlm.processor)


def items(seed: int, number: int) -> list[dict]:
    """One question a screen."""
    first, found = 10_000 * (seed + 1), []
    for one in range(first, first + number):
        page = vh.pages.sample(one, "train", kind="screen")
        (question,) = page.questions(["click"], seed=one)
        found.append({"image": page.image, "question": question.text, "answer": question.answer,
                      "box": list(question.objects[0].box)})  # fmt: skip
    return found


def run(seed: int, side: str, rate: float) -> list[dict]:
    vlm, clock = _tuning.begin(MODEL, seed), _tuning.Points()
    options = {
        "max_steps": STEPS, "learning_rate": rate, "seed": seed, "warmup_steps": 3,
        "lr_scheduler_type": "cosine",
    }  # fmt: skip
    given = {
        "processing_class": vlm.processor, "callbacks": [clock], "peft_config": _tuning.lora(),
    }  # fmt: skip
    if side == "GRPO":
        data = [prompt(item) | {"box": item["box"]} for item in items(seed, STEPS * PROMPTS)]
        options |= {"num_generations": GROUP, "beta": 0.0, "max_completion_length": 4}
        options["per_device_train_batch_size"] = PROMPTS * GROUP
        given["reward_funcs"] = rewards.click
    else:
        data = [answered(item) for item in items(seed, STEPS * PROMPTS)]
        options["per_device_train_batch_size"] = PROMPTS
        given["data_collator"] = vh.collators.AnswerCollator(vlm.processor)
    rows = datasets.Dataset.from_list(data)
    trainer = _tuning.train(side.lower(), vlm.model, rows, options, **given)
    end = measured(trainer.model.eval().get_base_model(), vlm.processor, seed)
    steps, more = [logs for logs in trainer.state.log_history if "reward" in logs], {}
    if steps:
        more["sampled"] = statistics.mean(float(logs["reward"]) for logs in steps[-8:])
        more["spread"] = 1 - statistics.mean(float(logs["frac_reward_zero_std"]) for logs in steps)
    return [row(0, before()), row(STEPS, end, **more, seconds=round(clock.seconds, 1))]
