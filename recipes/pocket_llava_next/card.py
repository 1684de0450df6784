"""Writes the model card: `python -m recipes.pocket_llava_next.card --run runs/pocket-llava-next`.

The figures come from `evaluate.py --out`, the curve from the training log, sizes from the
checkpoint: no figure on the card is typed by hand. The log goes beside the card.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from recipes import cards
from recipes.cards import LOG, against
from recipes.pocket_llava.card import TARGETS
from recipes.pocket_llava_next.evaluate import ROWS
from recipes.pocket_llava_next.stages import STAGES, Stage

NAME = "pocket-llava-next"
COLUMNS = ("majority", "any candidate", "blind", "overview alone", "unseen styles")
LOSSES = {key: key for key in ("letters", "things", "shapes", "answers", "tokens right")}
WITHIN = 0.03  # of pocket-llava's own score, in what it was taught


def page_table(figures: dict) -> list[str]:
    lines = [
        f"| skill | figure | score | at least | aim | {' | '.join(COLUMNS)} |",
        "|---" * (5 + len(COLUMNS)) + "|",
    ]
    for row in ROWS:
        found = figures[row.name]
        for figure, (least, aim) in row.bars.items():
            value = against(found["seeing"][figure], least, errors=figure == "CER")
            others = (found.get(column, {}).get(figure) for column in COLUMNS)
            rest = " | ".join("" if other is None else f"{other:.3f}" for other in others)
            lines.append(f"| {row.name} | {figure} | {value} | {least} | {aim} | {rest} |")
    return lines


def published() -> dict[str, float]:
    """The scores on `pocket-llava`'s card, by row."""
    card = (cards.DATA / "pocket-llava" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \| \**([0-9.]+)\**[^|]* \|", card, re.MULTILINE)
    return {name: float(score) for name, score in rows}


def shape_table(figures: dict, before: dict[str, float]) -> list[str]:
    """What `pocket-llava` could do, beside its own scores."""
    lines = ["| skill | score | pocket-llava |", "|---|---|---|"]
    for name, skill, figure, *_ in TARGETS:
        own, old = figures[skill][figure], before[name]
        lines.append(f"| {name} | {against(own, old - WITHIN)} | {old:.3f} |")
    return lines


def trained(log: list[dict]) -> list[Stage]:
    """The stages that the log tells of."""
    names = {row["stage"] for row in log}
    return [stage for stage in STAGES if stage.name in names]


def drawn(stage: Stage) -> str:
    return ", ".join(f"{kind} ({share:g})" for kind, share in stage.draws.items())


WHAT = """\
A small vision language model that reads documents, charts, screens and diagrams, and knows a few
hundred things by name."""
MADE = """\
A stock `LlavaNextForConditionalGeneration` of {parameters} parameters: a CLIP vision tower
({vision}), a two-layer MLP projector, and a Llama decoder ({text}). Its processor is a stock
`LlavaNextProcessor` that makes of a picture an overview and up to nine tiles of 96 pixels; its
weights are bf16 safetensors. It began as `pocket-llava` and was trained on pictures that the course
draws itself; no other data, and no other model, went into it."""
LIMITS = """\
It knows pictures of the kind that `vlm_helpers.pages` and `vlm_helpers.scenes` draw, and questions
worded the way it was asked them. It has never seen a photograph, a scanned page or handwriting, and
answers all the same."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs") / NAME)
    parser.add_argument("--machine", required=True, help="what it was trained on, in words")
    args = parser.parse_args()
    log = [json.loads(line) for line in (args.run / "log.jsonl").read_text().splitlines()]
    figures = json.loads((args.run / f"{NAME}.json").read_text())
    made = MADE.format(**cards.sizes(NAME))
    lines = [
        cards.HEAD.format(tag="llava-next", name=NAME, what=WHAT, made=made, limits=LIMITS),
        "## What it can do",
        "",
        f"Greedy `generate()` on {figures['questions']} questions of each row, on pages of the "
        f'split "{figures["split"]}" from seed {figures["first seed"]:,} on, which steered no '
        "training. *Majority*: the commonest answer every time. *Any candidate*: an answer of the "
        "question's kind that the picture offers, at random. The other columns rest on "
        f"{figures['beside']} questions. *Blind*: the picture replaced by grey. *Overview alone*: "
        "the picture shrunk to one tile. *Unseen styles*: fonts, layouts, charts and an artist "
        "that training never showed. CER counts errors: less is better.",
        "",
        *page_table(figures["pages"]),
        "",
        f"What `pocket-llava` could do, on {figures['beside']} questions each about the same "
        "scenes of coloured shapes:",
        "",
        *shape_table(figures["shapes"], published()),
        "",
        "## How it was trained",
        "",
        "By the stages of `recipes/pocket_llava_next`, whose README says what ran where: at least "
        f"{cards.minutes(log):.0f} minutes on {args.machine}. Pictures are drawn afresh for every "
        "update.",
        "",
        *cards.recipe(trained(log), drawn),
        "",
        f"The losses along the way (all of them: [{LOG}]({LOG})):",
        "",
        *cards.curve(log, LOSSES, every=1000),
    ]
    cards.write(NAME, lines, log)


if __name__ == "__main__":
    main()
