"""What the cards of both pocket models share: head, sizes, figures beside their bars, the log."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
LOG = "training_log.jsonl"

HEAD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
language: en
tags: [{tag}, vision-language-model, education]
---

# {name}

{what}

{made}

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

folder = "data/{name}"
model = AutoModelForImageTextToText.from_pretrained(folder)
processor = AutoProcessor.from_pretrained(folder)
```

Prompt form, made by the chat template that the processor carries:
`<s>USER: <image>\\nquestion ASSISTANT: answer</s>USER: question ASSISTANT: answer</s>`

## What it cannot do

{limits} Do not use it for anything but learning how such models work.
"""


def sizes(name: str) -> dict[str, str]:
    """How large the checkpoint `data/NAME` is: `parameters` (such as "7.0 M"), `vision`, `text`."""
    from safetensors import safe_open

    with safe_open(DATA / name / "model.safetensors", "pt") as file:
        parameters = sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())
    config = json.loads((DATA / name / "config.json").read_text())
    vision, text = config["vision_config"], config["text_config"]
    return {
        "parameters": f"{parameters / 1e6:.1f} M",
        "vision": f"{vision['num_hidden_layers']} layers × {vision['hidden_size']}, patches of "
        f"{vision['patch_size']} pixels on a picture {vision['image_size']} pixels wide",
        "text": f"{text['num_hidden_layers']} layers × {text['hidden_size']}, "
        f"{text['vocab_size']} tokens",
    }


def against(value: float, bar: float | None, *, errors: bool = False) -> str:
    """The figure, and by how much it is short of its bar, if it is; of `errors`, less is better."""
    miss = 0.0 if bar is None else (value - bar if errors else bar - value)
    return f"**{value:.3f}** (short by {miss:.3f})" if miss > 0.0005 else f"{value:.3f}"


def recipe(stages, drawn) -> list[str]:
    """The stages as a Markdown table; `drawn(stage)` says what is drawn in one."""
    lines = ["| stage | updates | pictures each | learns (peak rate) | what is drawn |",
             "|---|---|---|---|---|"]  # fmt: skip
    for stage in stages:
        parts = ", ".join(
            f"{'new ' * (part in getattr(stage, 'afresh', ()))}{part} ({rate:g})"
            for part, rate in stage.learns.items()
        )
        row = (stage.name, f"{stage.steps:,}", str(stage.batch), parts, drawn(stage))
        lines.append(f"| {' | '.join(row)} |")
    return lines


def curve(log: list[dict], losses: Mapping[str, str], every: int = 500) -> list[str]:
    """The losses of each stage, a row every so many steps; `losses`: by key, the column's head."""
    heads = ["stage", "step", "minutes since (re)start", *losses.values()]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    last: dict[str, int] = {}
    for row in log:
        values = [row.get(key, math.nan) for key in losses]
        if all(map(math.isnan, values)) or row["step"] - last.get(row["stage"], -every) < every:
            continue
        last[row["stage"]] = row["step"]
        shown = " | ".join("" if math.isnan(value) else f"{value:.2f}" for value in values)
        lines.append(f"| {row['stage']} | {row['step']} | {row['minutes']:.0f} | {shown} |")
    return lines


def minutes(log: list[dict]) -> float:
    """Training time on the clock: each start counts up to its last report."""
    total, before = 0.0, None
    for row in log:
        if before and (row["minutes"] < before["minutes"] or row["stage"] != before["stage"]):
            total += before["minutes"]
        before = row
    return total + (before["minutes"] if before else 0)


def write(name: str, lines: list[str], log: list[dict]) -> None:
    """The card, and the training log beside it."""
    (DATA / name / LOG).write_text("".join(json.dumps(row) + "\n" for row in log))
    (DATA / name / "README.md").write_text("\n".join(lines) + "\n")
