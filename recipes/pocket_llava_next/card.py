"""Writes the model card: `python -m recipes.pocket_llava_next.card --run runs/pocket-llava-next`.

The figures come from `evaluate.py --out`, the curve from the training log, sizes from the
checkpoint: no figure on the card is typed by hand. The log goes beside the card.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from recipes.pocket_llava.card import DATA, LOG, TARGETS, minutes
from recipes.pocket_llava_next.evaluate import ROWS
from recipes.pocket_llava_next.stages import STAGES

NAME = "pocket-llava-next"
COLUMNS = ("majority", "any candidate", "blind", "overview alone", "unseen styles")
LOSSES = ("letters", "things", "shapes", "answers", "tokens right")
WITHIN = 0.03  # of pocket-llava's own score, in what it was taught


def verdict(figure: str, value: float, least: float) -> str:
    """The value, and by how much it is short of its bar, if it is."""
    miss = value - least if figure == "CER" else least - value
    return f"**{value:.3f}** (short by {miss:.3f})" if miss > 0.0005 else f"{value:.3f}"


def page_table(figures: dict) -> list[str]:
    lines = [
        f"| skill | figure | score | at least | aim | {' | '.join(COLUMNS)} |",
        "|---" * (5 + len(COLUMNS)) + "|",
    ]
    for row in ROWS:
        found = figures[row.name]
        for figure, (least, aim) in row.bars.items():
            value = verdict(figure, found["seeing"][figure], least)
            others = (found.get(column, {}).get(figure) for column in COLUMNS)
            rest = " | ".join("" if other is None else f"{other:.3f}" for other in others)
            lines.append(f"| {row.name} | {figure} | {value} | {least} | {aim} | {rest} |")
    return lines


def shape_table(figures: dict, before: dict) -> list[str]:
    """What `pocket-llava` could do, beside its own figures."""
    lines = ["| skill | score | pocket-llava |", "|---|---|---|"]
    for name, skill, figure, *_ in TARGETS:
        own, old = figures[skill][figure], before[skill][figure]
        lines.append(f"| {name} | {verdict(figure, own, old - WITHIN)} | {old:.3f} |")
    return lines


def recipe() -> list[str]:
    lines = ["| stage | updates | pictures each | learns (peak rate) | what is drawn |",
             "|---|---|---|---|---|"]  # fmt: skip
    for stage in STAGES:
        learns = ", ".join(f"{part} ({rate:g})" for part, rate in stage.learns.items())
        drawn = ", ".join(f"{kind} ({share:g})" for kind, share in stage.draws.items())
        lines.append(f"| {stage.name} | {stage.steps:,} | {stage.batch} | {learns} | {drawn} |")
    return lines


def curve(log: list[dict], every: int = 500) -> list[str]:
    lines = [f"| stage | step | {' | '.join(LOSSES)} |", "|---" * (2 + len(LOSSES)) + "|"]
    last: dict[str, int] = {}
    for row in log:
        shown = [f"{row[key]:.2f}" if key in row else "" for key in LOSSES]
        if any(shown) and row["step"] - last.get(row["stage"], -every) >= every:
            last[row["stage"]] = row["step"]
            lines.append(f"| {row['stage']} | {row['step']} | {' | '.join(shown)} |")
    return lines


HEAD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
language: en
tags: [llava-next, vision-language-model, education]
---

# {name}

A small vision language model that reads documents, charts, screens and diagrams, and knows a few
hundred things by name.

A stock `LlavaNextForConditionalGeneration` of {parameters:.1f} M parameters: a CLIP vision tower
({vision}), a two-layer MLP projector, and a Llama decoder ({text}). Its processor is a stock
`LlavaNextProcessor` that makes of a picture an overview and up to nine tiles of 96 pixels; its
weights are bf16 safetensors. It began as `pocket-llava` and was trained on pictures that the course
draws itself; no other data, and no other model, went into it.

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

folder = "data/{name}"
model = AutoModelForImageTextToText.from_pretrained(folder)
processor = AutoProcessor.from_pretrained(folder)
```

Prompt form, made by the chat template that the processor carries:
`<s>USER: <image>\\nquestion ASSISTANT: answer</s>USER: question ASSISTANT: answer</s>`

## What it cannot do

It knows pictures of the kind that `vlm_helpers.pages` and `vlm_helpers.scenes` draw, and questions
worded the way it was asked them. It has never seen a photograph, a scanned page or handwriting, and
answers all the same. Do not use it for anything but learning how such models work.
"""


def main() -> None:
    from safetensors import safe_open

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs") / NAME)
    parser.add_argument("--before", type=Path, required=True, help="pocket-llava's own figures")
    parser.add_argument("--machine", required=True, help="what it was trained on, in words")
    args = parser.parse_args()
    log = [json.loads(line) for line in (args.run / "log.jsonl").read_text().splitlines()]
    figures = json.loads((args.run / f"{NAME}.json").read_text())
    before = json.loads(args.before.read_text())["seeing"]
    with safe_open(DATA / NAME / "model.safetensors", "pt") as file:
        parameters = sum(file.get_tensor(key).numel() for key in file.keys()) / 1e6
    config = json.loads((DATA / NAME / "config.json").read_text())
    vision, text = config["vision_config"], config["text_config"]
    head = HEAD.format(
        name=NAME,
        parameters=parameters,
        vision=f"{vision['num_hidden_layers']} layers × {vision['hidden_size']}, patches of "
        f"{vision['patch_size']} pixels",
        text=f"{text['num_hidden_layers']} layers × {text['hidden_size']}, "
        f"{text['vocab_size']} tokens",
    )
    lines = [
        head,
        "## What it can do",
        "",
        f"Greedy `generate()` on {figures['questions']} questions of each row, on pages of the "
        f'split "{figures["split"]}" from seed {figures["first seed"]:,} on, which steered no '
        "training. *Majority*: the commonest answer every time. *Any candidate*: an answer of the "
        "question's kind that the picture offers, at random. *Blind*: the picture replaced by "
        "grey. *Overview alone*: the picture shrunk to one tile. *Unseen styles*: fonts, layouts, "
        "charts and an artist that training never showed. CER counts errors: less is better.",
        "",
        *page_table(figures["pages"]),
        "",
        "What `pocket-llava` could do, on the same scenes of coloured shapes:",
        "",
        *shape_table(figures["shapes"], before),
        "",
        "## How it was trained",
        "",
        f"`python -m recipes.pocket_llava_next.train`, at least {minutes(log):.0f} minutes on "
        f"{args.machine}. Pictures are drawn afresh for every update and never repeat.",
        "",
        *recipe(),
        "",
        f"The losses along the way (all of them: [{LOG}]({LOG})):",
        "",
        *curve(log),
    ]
    (DATA / NAME / LOG).write_text("".join(json.dumps(row) + "\n" for row in log))
    (DATA / NAME / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
