"""Do preferences take a hallucination away, and does one need them: DPO against SFT.

pocket-llava-next is asked about things that mostly stand with what is in a picture, and half of
them do not: POPE's adversarial setting. Pairs are made from truth by `recipes.pairs`. They are of
three kinds in turn (`kinds` "all"): yes against no, a name against a plausible wrong one, and a
caption against the same with one thing exchanged for a plausible one; or all of the first kind, the
very questions that are asked later ("exists"). TRL's DPOTrainer compares the two answers; the
control (`side` "SFT") learns the chosen ones alone by TRL's SFTTrainer. Both take 24 steps over the
same 192 rows, 8 a step, with a LoRA of rank 16 on the decoder, 3 steps of warm-up and a cosine to
zero. No one rate is fair to both, so each tries three with seed 0. The middle one is run with more
seeds (with one more, for pairs of one kind): by questions about other pictures than those of the
table (`tried`) it is DPO's best, and tells SFT's three apart by two of 200 answers. A seed draws
other training pictures and another LoRA. No seed has rows of the splits "test", which is asked
about, and "validation".

A line is a step; step 0 is the untouched model. `chosen` and `rejected` are the mean
log-probabilities of both answers to the step's 8 pairs, which the model has not learnt from yet,
and `margin` how much further apart they are than the untouched model has them, in nats. The last
line also counts right answers to `n` such questions: `right`, of them `right absent` to things that
are not there; `yes` are the answers "yes", `due` those that should be, `majority` is what the
commonest answer has. `auc` is how often a thing that is there gets higher odds of "yes" than one
that is not, wherever the threshold lies. `blind` and `blind yes` are the same with grey pictures.
`tried` counts right answers to `n_tried` questions of the split "validation" (seed 0). `name` to
`field` count right answers of skills that were not asked for (of `n_name` to `n_field`; boxes at an
IoU of 0.5; fields are those of receipts), `old` of all of these (of `n_old`); `lost` what the
untouched model had right of them and this one has wrong, `won` the reverse. `gain` is the share of
right answers gained over the untouched model, with its interval (`low`, `high`) and `p`, the
pictures paired: `by picture` has the right answers to each one's five questions. `preferred`: in
how many of 60 pairs of all kinds, of the split "validation", the untouched model finds the chosen
answer likelier. `seconds` is the processor time of all steps.
"""

from __future__ import annotations

import functools
from itertools import islice

import datasets

import vlm_helpers as vh
from recipes.experiments import _tuning
from recipes.experiments._asking import Asked, compared
from recipes.pairs import pairs
from recipes.preferences_probe import log_probabilities

MODEL = "pocket-llava-next"
KINDS = {  # of pairs
    "all": ("thing_exists", "thing_name", "thing_caption"),
    "exists": ("thing_exists",),
}
BATCH, STEPS = 8, 24
POPE, EACH = "exists_adversarial", 5  # questions a picture
OTHERS = ("name", "count", "relation", "locate", "group")
N, N_TRIED, N_RECEIPTS = 80, 40, 20  # pictures
PROBED = 60  # pairs
SIDES, RATES, RATE = ("DPO", "SFT"), (3e-4, 1e-3, 3e-3), 1e-3
BETA, BETAS = 0.1, (0.03, 0.3)


def settings() -> list[dict]:
    def one(side: str, seed: int = 0, rate: float = RATE, beta: float = BETA, kinds: str = "all"):
        beta = 0.0 if side == "SFT" else beta
        return {"seed": seed, "side": side, "kinds": kinds, "beta": beta, "rate": rate}

    tried = [one(side, rate=rate) for side in SIDES for rate in RATES]
    again = [one(side, seed) for seed in (1, 2) for side in SIDES]
    betas = [one("DPO", seed, beta=beta) for seed in (0, 1) for beta in BETAS]
    asked = [one("DPO", kinds="exists")] + [one("SFT", rate=r, kinds="exists") for r in RATES[1:]]
    asked += [one(side, 1, kinds="exists") for side in ("DPO", "SFT")]
    return tried + again + betas + asked


@functools.cache
def questions() -> dict[str, Asked]:
    return {
        "test": Asked("test", 90_000, N, {POPE: EACH} | dict.fromkeys(OTHERS, 1)),
        "pope": Asked("test", 90_000, N, {POPE: EACH}),
        "tried": Asked("validation", 90_000, N_TRIED, {POPE: EACH}),
        "receipts": Asked("test", 90_000, N_RECEIPTS, {"field": EACH}, kind="receipt"),
    }


def auc(odds: list[float]) -> float:
    """How often a thing that is there gets higher odds of "yes" than one that is not."""
    both = list(zip(odds, (question.answer for _, question in questions()["pope"].questions)))
    there, absent = ([odd for odd, truth in both if truth == one] for one in ("yes", "no"))
    return sum(a > b for a in there for b in absent) / len(there) / len(absent)


def measured(model, processor, seed: int = 0) -> dict:
    """What a model answers; `scores` are those of what was not asked for."""
    vlm, items = vh.VLM(model, processor), questions()
    test, pope = items["test"], items["pope"]
    shown = test.shown(vlm)
    answers = test.answers(shown)
    scores = test.right(answers)
    skills: dict[str, list[bool]] = {skill: [] for skill in OTHERS}
    asked, right = [], [0] * N
    for (picture, question), answer, score in zip(test.questions, answers, scores):
        if question.skill == POPE:
            asked.append((question.answer, answer, score))
            right[picture] += score
        else:
            skills[question.skill].append(score)
    due, grey = sum(truth == "yes" for truth, *_ in asked), pope.answers(pope.shown(vlm, grey=True))
    row = {
        "n": len(asked), "right": sum(right),
        "right absent": sum(score for truth, _, score in asked if truth == "no"),
        "yes": sum(answer == "yes" for _, answer, _ in asked), "due": due,
        "majority": max(due, len(asked) - due), "auc": auc(shown.odds(pope.asked(), "yes", "no")),
        "blind": sum(pope.right(grey)), "blind yes": grey.count("yes"), "by picture": right,
    }  # fmt: skip
    if seed == 0:
        tried = items["tried"].right(items["tried"].answers(items["tried"].shown(vlm)))
        row |= {"tried": sum(tried), "n_tried": len(tried)}
    receipts = items["receipts"]
    skills["field"] = receipts.right(receipts.answers(receipts.shown(vlm)))
    row |= {skill: sum(scores) for skill, scores in skills.items()}
    row |= {f"n_{skill}": len(scores) for skill, scores in skills.items()}
    return row | {"scores": [score for scores in skills.values() for score in scores]}


def row(step: int, found: dict, seconds: float = 0.0) -> dict:
    """The line of a table for what was measured."""
    kept = {name: value for name, value in found.items() if name not in ("scores", "by picture")}
    return {
        "step": step, **kept, **compared(found, before(), EACH),
        "by picture": " ".join(map(str, found["by picture"])), "seconds": round(seconds, 1),
    }  # fmt: skip


@functools.cache
def before() -> dict:
    vlm = vh.load(MODEL, dtype="float32")
    return measured(vlm.model.eval(), vlm.processor) | {"preferred": preferred(vlm)}


def preferred(vlm: vh.VLM) -> int:
    """In how many of `PROBED` pairs of all kinds the chosen answer is the likelier one."""
    rows = list(islice(pairs(KINDS["all"], "validation"), PROBED))
    collator, found = vh.collators.PreferenceCollator(vlm.processor), 0
    for i in range(0, len(rows), BATCH):
        chosen, rejected = log_probabilities(vlm.model, collator(rows[i : i + BATCH]))
        found += int((chosen > rejected).sum())
    return found


def run(seed: int, side: str, kinds: str, beta: float, rate: float) -> list[dict]:
    vlm, clock = _tuning.begin(MODEL, seed), _tuning.Points()
    drawn = list(islice(pairs(KINDS[kinds], "train", 10_000 * (seed + 1)), BATCH * STEPS))
    rows = datasets.Dataset.from_list(drawn)
    options = {
        "max_steps": STEPS, "per_device_train_batch_size": BATCH, "seed": seed,
        "learning_rate": rate, "warmup_steps": 3, "lr_scheduler_type": "cosine",
        "remove_unused_columns": False,
    }  # fmt: skip
    given = {
        "processing_class": vlm.processor, "callbacks": [clock], "peft_config": _tuning.lora(),
    }  # fmt: skip
    if side == "SFT":
        rows = rows.rename_column("chosen", "completion").remove_columns("rejected")
        given["data_collator"] = vh.collators.AnswerCollator(vlm.processor)
    else:
        options["beta"] = beta
        given["data_collator"] = vh.collators.PreferenceCollator(vlm.processor)
    trainer = _tuning.train(side.lower(), vlm.model, rows, options, **given)
    steps = [
        {
            "step": logs["step"],
            "chosen": float(logs["logps/chosen"]), "rejected": float(logs["logps/rejected"]),
            "margin": float(logs["rewards/margins"]) / beta,
        }
        for logs in trainer.state.log_history
        if "logps/chosen" in logs
    ]  # fmt: skip
    end = measured(trainer.model.eval().get_base_model(), vlm.processor, seed)
    last = steps.pop() if steps else {}
    return [row(0, before()), *steps, last | row(STEPS, end, clock.seconds)]
