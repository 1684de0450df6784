"""A checkpoint, or a model behind OpenAI's protocol, as a model of VLMEvalKit's.

`python -m recipes.vlmevalkit.models --data TABLE --model NAME …`, with a checkout of VLMEvalKit as
the current folder, is its `run.py`, which knows NAME: the folder of a checkpoint, or a name for
`vh.load`; with `--served URL`, the name by which the server there knows the model. Everything else
that is passed is for `run.py`.
"""

from __future__ import annotations

import itertools
import runpy
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from vlmeval.api import LMDeployAPI
from vlmeval.vlm.base import BaseModel

import vlm_helpers as vh
from recipes.vlmevalkit.tsv import LETTERS, lines


class Worded:
    """Asks with the words that the pocket models have learnt, not with VLMEvalKit's own."""

    INTERLEAVE = True  # several pictures in one question

    def use_custom_prompt(self, dataset: str) -> bool:
        return True

    def build_prompt(self, line: Mapping[str, Any], dataset: str) -> list[dict[str, str]]:
        """The row's pictures, then its question; options in lines, and a request for the letter."""
        options = [str(line[one]) for one in LETTERS if one in line and line[one] == line[one]]
        text = line["question"]
        if options:
            text = f"{text}\n{lines(options)}\nAnswer with the letter."
        pictures = [{"type": "image", "value": path} for path in self.dump_image_func(line)]
        return [*pictures, {"type": "text", "value": text}]


class Checkpoint(Worded, BaseModel):
    """The folder of a checkpoint, or a name for `vh.load`."""

    def __init__(self, model_path: str | None = None, max_new_tokens: int = 16):
        super().__init__()
        self.vlm = vh.load(model_path)
        self.max_new_tokens = max_new_tokens

    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        pictures = [part["value"] for part in message if part["type"] == "image"]
        text = "\n".join(part["value"] for part in message if part["type"] == "text")
        return self.vlm.ask(pictures or None, text, max_new_tokens=self.max_new_tokens)


class Served(Worded, LMDeployAPI):
    """A model behind OpenAI's protocol. Pictures go there as JPEG: VLMEvalKit's own way."""

    def __init__(self, url: str, model: str, key: str = "none", max_new_tokens: int = 16):
        address = f"{url.rstrip('/')}/chat/completions"
        super().__init__(model=model, api_base=address, key=key, max_tokens=max_new_tokens)


def taken(arguments: list[str], name: str) -> str | None:
    """The value of an option, which is taken out of the arguments; None where it is not there."""
    if name not in arguments:
        return None
    at = arguments.index(name)
    if at + 1 == len(arguments):
        raise SystemExit(f"{name} needs a value, such as {name} http://127.0.0.1:8000/v1.")
    value = arguments[at + 1]
    del arguments[at : at + 2]
    return value


def main() -> None:
    if not Path("run.py").is_file():
        raise SystemExit("There is no run.py here: start this in a checkout of VLMEvalKit.")
    url = taken(sys.argv, "--served")
    from vlmeval.config import supported_VLM

    asked = sys.argv[sys.argv.index("--model") + 1 :] if "--model" in sys.argv else []
    for name in itertools.takewhile(lambda one: not one.startswith("--"), asked):
        made = partial(Served, url, name) if url else partial(Checkpoint, name)
        supported_VLM[name] = made
    runpy.run_path("run.py", run_name="__main__")


if __name__ == "__main__":
    main()
