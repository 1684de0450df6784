"""Writes the model cards: `python -m recipes.pocket_llava.card --run runs/pocket-llava`.

The figures come from `evaluate.py --out`, the curve from the training log, sizes from the
checkpoint: no figure on a card is typed by hand. The log itself goes beside the card, as
`training_log.jsonl`: a row every so many updates, with the stage, the step, the minutes since the
command was last started, and the mean loss since the row before, on patch labels ("dense") and on
answer tokens ("answers").
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from recipes import cards
from recipes.cards import DATA, LOG
from recipes.pocket_llava.stages import STAGES, Stage

LOSSES = {"dense": "patch loss", "answers": "answer loss"}

# (row, skill, figure in the JSON, at least, aim)
TARGETS = [
    ("caption: object F1", "caption", "object F1", 0.97, 0.99),
    ("caption: every object right", "caption", "every object right", 0.88, 0.95),
    ("shape from colour", "shape", "accuracy", 0.98, 1.0),
    ("colour from shape", "color", "accuracy", 0.98, 1.0),
    ("size", "size", "accuracy", 0.98, 1.0),
    ("count", "count", "accuracy", 0.90, 0.98),
    ("existence, yes/no", "exists", "accuracy", 0.96, 0.99),
    ("relation, 4-way", "relation", "accuracy", 0.92, 0.98),
    ("relation, yes/no", "relation_yes_no", "accuracy", 0.95, 0.98),
    ("reading a number", "number", "accuracy", 0.95, 0.98),
    ("reading a word", "word", "accuracy", 0.80, 0.95),
    ("locating one object: accuracy at IoU 0.5", "locate", "accuracy at IoU 0.5", 0.90, 0.97),
    ("locating all of a kind: F1 at IoU 0.5", "locate_all", "F1 at IoU 0.5", 0.80, 0.95),
    ("multiple choice, CircularEval", "choice", "CircularEval", 0.85, 0.95),
]
# measured too, without a bar
OTHERS = [
    ("comparison", "compare", "accuracy"),
    ("detailed caption: object F1", "detailed_caption", "object F1"),
    ("grounded caption: object F1", "grounded_caption", "object F1"),
    ("locating one object: mean IoU", "locate", "mean IoU"),
    ("pointing: inside the box", "point", "inside the box"),
    ("outline: mean mask IoU", "outline", "mean mask IoU"),
    ("naming what is in a box", "region", "accuracy"),
    ("multiple choice, one rotation", "choice", "one rotation"),
    ('"none" where nothing is there to locate', "locate", '"none" where due'),
]


def cell(figures: dict, part: str, skill: str, figure: str) -> str:
    value = figures.get(part, {}).get(skill, {}).get(figure)
    return "" if value is None else f"{value:.3f}"


def table(figures: dict, taught: set[str]) -> list[str]:
    """The figures as a Markdown table, with bars for the skills that the model was `taught`."""
    lines = [
        "| skill | score | at least | aim | unseen pairs | blind | majority | any object |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row, skill, figure, bar, aim in [*TARGETS, *((*other, None, None) for other in OTHERS)]:
        value = figures["seeing"].get(skill, {}).get(figure)
        if value is None:
            continue
        if skill not in taught:
            bar = aim = None
        lines.append(
            f"| {row} | {cards.against(value, bar)} | {bar or ''} | {aim or ''} "
            f"| {cell(figures, 'unseen pairs', skill, figure)} "
            f"| {cell(figures, 'blind', skill, figure)} "
            f"| {cell(figures, 'seeing', skill, f'majority: {figure}')} "
            f"| {cell(figures, 'seeing', skill, f'any object: {figure}')} |"
        )
    unseen, first = figures.get("unseen pairs", {}), {}
    for _, skill, figure, *_ in TARGETS:  # one figure a skill
        if figure in unseen.get(skill, {}) and skill in taught:
            first.setdefault(skill, unseen[skill][figure])
    if len(first) > 1:
        mean = sum(first.values()) / len(first)
        lines.append(
            f"| unseen pairs, mean of the {len(first)} skills above with a bar "
            f"| | 0.85 | 0.95 | {cards.against(mean, 0.85)} | | | |"
        )
    return lines


def stages_of(name: str) -> list[Stage]:
    """The stages that a checkpoint went through: all up to its own, but no other side branch."""
    last = next(i for i, stage in enumerate(STAGES) if stage.save_as == name)
    return [s for s in STAGES[: last + 1] if not s.afresh or s.save_as == name]


def drawn(stage: Stage) -> str:
    skills = ", ".join(stage.mixture.weights) or "labels on every patch"
    objects = stage.mixture.objects
    return skills + (f"; scenes of {min(objects)} to {max(objects)}" if objects else "")


MADE = """\
A stock `LlavaForConditionalGeneration` of {parameters} parameters: a CLIP vision tower
({vision}),
a two-layer MLP projector, and a Llama decoder ({text}). Its processor is a stock
`LlavaProcessor`, its weights are bf16 safetensors. It was trained from nothing on pictures that
the course draws itself; no other data, and no other model, went into it."""
LIMITS = """\
It knows coloured shapes and printed signs in pictures of the kind that `vlm_helpers.scenes` draws,
the {words} words that stand on those signs, and {asked}. It has
no knowledge of the world, cannot read other words, has never seen a photograph, and answers all
the same."""

# What each model is, and which questions it knows.
ABOUT = {
    "pocket-llava": (
        "The small vision language model that this course runs on.",
        "questions worded the way it was asked them",
    ),
    "pocket-llava-base": (
        """The vision tower of pocket-llava with a projector and a decoder that began anew from
random weights and learnt, together, from captions alone: short ones, detailed ones, and ones with
boxes. It is no step on the way to pocket-llava: of the stages before its last one only the tower is
left. Nor is that last one LLaVA's first stage, in which a trained decoder is frozen and the
projector learns alone. It is what a course about training can begin with: an encoder that sees, and
a decoder that writes sentences about pictures and has never answered a question.""",
        "no question but to describe the picture",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/pocket-llava"))
    parser.add_argument("--machine", required=True, help="what it was trained on, in words")
    args = parser.parse_args()
    log = [json.loads(line) for line in (args.run / "log.jsonl").read_text().splitlines()]
    for name in ("pocket-llava", "pocket-llava-base"):
        if (DATA / name).is_dir():
            write(name, args.run, args.machine, log)


def write(name: str, run: Path, machine: str, log: list[dict]) -> None:
    from vlm_helpers.scenes import WORDS

    figures = json.loads((run / f"{name}.json").read_text())
    stages = stages_of(name)
    log = [row for row in log if row["stage"] in {stage.name for stage in stages}]
    what, asked = ABOUT[name]
    lines = [
        cards.HEAD.format(
            tag="llava",
            name=name,
            what=what,
            made=MADE.format(**cards.sizes(name)),
            limits=LIMITS.format(words=len(WORDS), asked=asked),
        ),
        "## What it can do",
        "",
        f"Greedy `generate()` on {figures['questions']} questions of each skill, on scenes of the "
        f'split "{figures["split"]}" from seed {figures["first seed"]:,} on, which steered no '
        "training. *Unseen pairs*: the same on scenes with colour-shape pairs that never occur in "
        "training; questions about an object are about one of these. *Blind*: the same model with "
        "the picture replaced by grey. *Majority*: the commonest answer every time. *Any object*: "
        "the attribute or place of a random object of the picture. A caption's objects count as "
        "right with size, colour and shape; boxes and the sign are not scored in captions.",
        "",
        *table(figures, set(stages[-1].mixture.weights)),
        "",
        "## How it was trained",
        "",
        f"`python -m recipes.pocket_llava.train`, at least {cards.minutes(log):.0f} minutes on "
        f"{machine}. Scenes are drawn afresh for every update and never repeat.",
        "",
        *cards.recipe(stages, drawn),
        "",
        f"The loss along the way (all of it: [{LOG}]({LOG})):",
        "",
        *cards.curve(log, LOSSES),
    ]
    cards.write(name, lines, log)


if __name__ == "__main__":
    main()
