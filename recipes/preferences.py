"""Learning from preferences or rewards as a script: `recipes.sft`'s frame around DPO and GRPO.

    python -m recipes.preferences dpo --config recipes/dpo.yaml
    python -m recipes.preferences grpo --config recipes/grpo.yaml
    accelerate launch --config_file recipes/accelerate/ddp.yaml -m recipes.preferences dpo \
        --config recipes/dpo.yaml

Options are those of TRL's `DPOConfig` or `GRPOConfig` and of `ModelConfig`, and the arguments
below, in the YAML file or on the command line. docs/preferences.md says more.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import datasets
import trl

import vlm_helpers as vh
from recipes import frame
from recipes.preferences_probe import probe_pairs
from recipes.sft_rows import NUMBER, Numbered, check
from vlm_helpers._words import number, several, whole_number
from vlm_helpers.conversations import marks, read_prompt

METHODS = ("dpo", "grpo")


@dataclass
class PairArguments(frame.DataArguments):
    """What to train on, and how: rows with `prompt`, `chosen` and `rejected`."""

    probe: int = field(
        default=32,
        metadata={"help": "Pairs that the model is tried on first; 0 leaves the trial out."},
    )


@dataclass
class RewardArguments(frame.DataArguments):
    """What to train on, and how: rows with `prompt`, and what the rewards want to know."""

    reward_funcs: list[str] = field(
        default_factory=list,
        metadata={"help": "Functions, by dotted names: package.module.function. As in `trl grpo`."},
    )
    probe: int = field(
        default=8,
        metadata={
            "help": "Prompts that model and rewards are tried on first, after all rows were read; "
            "0 leaves both out."
        },
    )


class Pairs(frame.Framed, trl.DPOTrainer):
    """TRL's, with the scripts' card and checks."""


class Rewards(frame.Framed, trl.GRPOTrainer):
    """TRL's, with the scripts' card and checks."""


class Opened:
    """Reads rows with a prompt to answer as they are taken from a table, for `GRPOTrainer`."""

    def __init__(self, processor: Any):
        self._marks = marks(processor)

    def __call__(self, rows: dict[str, list]) -> dict[str, list]:
        each = [dict(zip(rows, values)) for values in zip(*rows.values())]
        talks = [read_prompt(row, self._marks).opened() for row in each]
        rest = {name: values for name, values in rows.items() if name not in ("image", NUMBER)}
        prompts, pictures = zip(*((talk.messages, talk.pictures) for talk in talks))
        return {**rest, "prompt": list(prompts), "images": list(pictures)}


def functions(names: list[str]) -> list[Callable]:
    """Rewards by their dotted names."""
    names = several("reward_funcs", names)
    if not names:
        raise ValueError("There is no reward: set reward_funcs to functions, package.module.name.")
    sys.path.insert(0, os.getcwd())
    found = []
    for name in names:
        try:
            module, _, function = name.rpartition(".")
            found.append(getattr(importlib.import_module(module), function))
            if not callable(found[-1]):
                raise TypeError(f"it is a {type(found[-1]).__name__}, no function")
        except (Exception, SystemExit) as error:  # what is imported may fail in any way
            raise ValueError(
                f"There is no reward {name!r} ({type(error).__name__}: {error}): give "
                "package.module.function, of a module that can be imported from here."
            ) from error
    return found


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] not in METHODS:
        raise SystemExit(f"Say which method first, {' or '.join(METHODS)}: recipes.preferences dpo")
    method = arguments.pop(0)
    mine, config = {
        "dpo": (PairArguments, trl.DPOConfig), "grpo": (RewardArguments, trl.GRPOConfig),
    }[method]  # fmt: skip
    parser = trl.TrlParser((mine, config, trl.ModelConfig))
    data, training, chosen = parser.parse_args_and_config(arguments)
    whole_number("probe", data.probe, least=0)
    if method == "dpo":  # below 0 it would learn what is rejected
        number("beta", training.beta, above=0)
    frame.check_options(data, training)
    if method == "grpo" and data.streaming:
        raise ValueError("GRPO draws its prompts again and again: set streaming to false.")
    name, base = frame.named(chosen.model_name_or_path)
    head = frame.about(base, chosen.use_peft, method)
    last, ended = frame.begun(data, training, head)
    if ended:
        return
    rewards = functions(data.reward_funcs) if method == "grpo" else None
    rows, eval_rows = frame.both_rows(data)
    template = getattr(training, "chat_template_path", None)
    processor = frame.load_processor(name, chosen, template)
    limit, training.max_length = getattr(training, "max_length", None), None  # TRL would cut
    training.remove_unused_columns = False
    if method == "dpo":
        collator = vh.collators.PreferenceCollator(processor, max_length=limit)
        rows, eval_rows = map(with_pictures, (rows, eval_rows))
        for some in (rows, eval_rows):
            if some is not None and data.preflight and not data.streaming:
                check(some, collator, training)
    # A reference model, where it is not the model without its LoRA, is loaded from the same place.
    if not chosen.use_peft and chosen.model_revision != "main":
        training.model_init_kwargs = {"revision": chosen.model_revision}
    model = frame.load_model(name, chosen, processor)
    tried = data.probe if not last and not data.streaming else 0
    options = {
        "args": training, "processing_class": processor, "peft_config": trl.get_peft_config(chosen),
    }  # fmt: skip
    if method == "dpo":
        said = probe_pairs(model, collator, rows, tried) if tried else ""
        trainer = Pairs(
            model, train_dataset=rows, eval_dataset=eval_rows, data_collator=Numbered(collator),
            **options,
        )  # fmt: skip
        learnt = f"learnt were preferences, beta {training.beta:g}, by {trainer.loss_types}"
    else:
        said = probe_rewards(model, processor, rewards, rows, tried, training) if tried else ""
        rows, eval_rows = (some and some.with_transform(Opened(processor))
                           for some in (rows, eval_rows))  # fmt: skip
        trainer = Rewards(
            model, reward_funcs=rewards, train_dataset=rows, eval_dataset=eval_rows, **options
        )
        learnt = f"learnt was to earn {', '.join(data.reward_funcs)}"
    if said and training.process_index == 0:
        print(said)
    trainer.model.config._name_or_path = base
    trainer.card = frame.card(base, data, training, chosen.use_peft, method, learnt)
    frame.train(trainer, last)


def probe_rewards(
    model: Any, processor: Any, rewards: list[Callable], rows: Any, groups: int, training: Any
) -> str:
    """`preflight_rewards` with the training's options. Raises `ValueError` for no spread at all."""
    found = vh.training.preflight_rewards(
        rows, rewards, vh.VLM(model, processor), weights=training.reward_weights, groups=groups,
        num_generations=training.num_generations, temperature=training.temperature,
        max_completion_length=training.max_completion_length,
    )  # fmt: skip
    if not found.spread:
        raise ValueError(f"{found.warnings[0][:-1]}. To train all the same, set probe to 0.")
    return str(found)


def with_pictures(rows: Any) -> Any:
    """Rows with a column of pictures, by which TRL knows those that are to reach the collator."""
    if rows is None or {"images", "image"} & set(next(iter(rows))):
        return rows
    if isinstance(rows, datasets.IterableDataset):
        return rows.map(lambda row: {**row, "images": []})
    return rows.add_column("images", [[]] * len(rows))


if __name__ == "__main__":
    main()
