"""A checkpoint of ours, or any that `vh.load` loads, as a model of VLMEvalKit's.

`python -m recipes.vlmevalkit.models --data TABLE --model NAME …`, with a checkout of VLMEvalKit as
the current folder, is its `run.py`, which knows NAME: the folder of a checkpoint, or a name for
`vh.load`. Everything else that is passed is for `run.py`.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlmeval.vlm.base import BaseModel

import vlm_helpers as vh
from recipes.vlmevalkit.tsv import LETTERS, lines


class Checkpoint(BaseModel):
    """Asks with the words that the pocket models have learnt, not with VLMEvalKit's own."""

    INTERLEAVE = True  # several pictures in one question

    def __init__(self, model_path: str | None = None, max_new_tokens: int = 16):
        super().__init__()
        self.vlm = vh.load(model_path)
        self.max_new_tokens = max_new_tokens

    def use_custom_prompt(self, dataset: str) -> bool:
        return True

    def build_prompt(self, line: Mapping[str, Any], dataset: str) -> list[dict[str, str]]:
        """The row's pictures, then its question; options in lines, and a request for the letter."""
        options = [str(line[one]) for one in LETTERS if one in line and line[one] == line[one]]
        text = line["question"]
        if options:
            text = f"{text}\n{lines(options)}\nAnswer with the letter."
        pictures = [{"type": "image", "value": path} for path in self.dump_image(line, dataset)]
        return [*pictures, {"type": "text", "value": text}]

    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        pictures = [part["value"] for part in message if part["type"] == "image"]
        text = "\n".join(part["value"] for part in message if part["type"] == "text")
        return self.vlm.ask(pictures or None, text, max_new_tokens=self.max_new_tokens)


def main() -> None:
    if not Path("run.py").is_file():
        raise SystemExit("There is no run.py here: start this in a checkout of VLMEvalKit.")
    from functools import partial

    from vlmeval.config import supported_VLM

    asked = sys.argv[sys.argv.index("--model") + 1 :] if "--model" in sys.argv else []
    for name in asked:
        if name.startswith("--"):
            break
        supported_VLM[name] = partial(Checkpoint, model_path=name)
    runpy.run_path("run.py", run_name="__main__")


if __name__ == "__main__":
    main()
