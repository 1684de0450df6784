"""What the training scripts share: options about data, the start and the end of a run, its card."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from huggingface_hub import ModelCard, ModelCardData
from transformers.integrations import get_reporting_integration_callbacks

import vlm_helpers as vh
from recipes.sft_checkpoints import finish, finished, last_checkpoint
from recipes.sft_rows import load_rows
from vlm_helpers._words import choice, did_you_mean, listed


@dataclass
class DataArguments:
    """What to train on, and how."""

    data: str = field(
        metadata={
            "help": "Parquet files with `images` and the columns that the method needs, or "
            "WebDataset shards (.tar) with NAME.json and pictures NAME.0.png, NAME.1.png, … for "
            "each row: a name or a pattern such as 'rows/*.parquet'. Or the name of a data set of "
            "the Hub."
        }
    )
    split: str = field(default="train", metadata={"help": "Of a data set of the Hub."})
    subset: str | None = field(
        default=None, metadata={"help": "Of a data set of the Hub that has several."}
    )
    eval_data: str | None = field(
        default=None, metadata={"help": "What to evaluate on, as `data`; with `eval_strategy`."}
    )
    eval_split: str = field(default="test", metadata={"help": "As `split`, of `eval_data`."})
    streaming: bool = field(
        default=False,
        metadata={"help": "Read rows as they are needed, for data that does not fit."},
    )
    preflight: bool = field(
        default=True, metadata={"help": "Check all rows before training; not when streaming."}
    )
    resume: bool = field(
        default=True, metadata={"help": "Go on from the last checkpoint in output_dir, if any."}
    )


class Framed:
    """For a trainer of TRL: a card about a vision language model, and no step on a broken loss."""

    card: str = ""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        if self.is_world_process_zero():
            ModelCard(self.card).save(Path(self.args.output_dir) / "README.md")

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        found = super().compute_loss(*args, **kwargs)
        loss = found[0] if isinstance(found, tuple) else found
        if not torch.isfinite(loss).all():  # the log would leave it out, and the weights are lost
            raise FloatingPointError(
                f"The loss is {loss.item()} in step {self.state.global_step + 1}: lower "
                "learning_rate, set max_grad_norm, or take bf16 or float32 for fp16; the last "
                "checkpoint is from before."
            )
        return found


def about(base: str, lora: bool, method: str) -> str:
    """The head of a run's card, by which it is told from others: what it makes, and from what."""
    return ModelCardData(
        base_model=base, library_name="peft" if lora else "transformers",
        pipeline_tag="image-text-to-text", tags=["trl", method],
    ).to_yaml()  # fmt: skip


def card(base: str, data: DataArguments, training: Any, lora: bool, method: str, of: str) -> str:
    """What the run makes, from what, and how to load it; without a path of this machine.

    `method`: such as "sft". `of`: what of the rows is learnt, and how.
    """
    name = (training.hub_model_id or Path(training.output_dir).resolve().name).split("/")[-1]
    rows = data.data if not Path(data.data).is_absolute() else Path(data.data).name
    load = f"vh.load({base!r}, adapter={name!r})" if lora else f"vh.load({name!r})"
    length = f"{training.num_train_epochs:g} epochs"
    script = "sft" if method == "sft" else "preferences"
    return f"""---
{about(base, lora, method)}
---

# {name}

`{base}`, fine-tuned on `{rows}` with TRL's `{method.upper()}Trainer`, by `recipes/{script}.py`:
{"a LoRA adapter" if lora else "all weights"}, learning rate {training.learning_rate:g},
{f"{training.max_steps} steps" if training.max_steps > 0 else length}, {of}.

```python
import vlm_helpers as vh

vlm = {load}
print(vlm.ask("picture.png", "What is this?"))
```
"""


def chat_template(path: str) -> str:
    """The template in the file `path`. TRL would take a model's name too, and change the model."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"No file chat_template_path={path!r}: give a file, such as a model's "
            "chat_template.jinja."
        )
    return Path(path).read_text(encoding="utf-8")


def check_options(data: DataArguments, training: Any) -> None:
    """What does not go together, before anything is loaded."""
    if training.max_steps == 0:  # one step would be taken
        raise ValueError("max_steps is 0: give a number of steps, or -1 for num_train_epochs.")
    if not training.output_dir:
        raise ValueError("output_dir is empty: name a folder.")
    if data.streaming and training.max_steps <= 0:
        raise ValueError("How many rows a stream has is not known: set max_steps too.")
    if training.eval_strategy != "no" and data.eval_data is None:
        raise ValueError(
            f"eval_strategy is {training.eval_strategy.value!r}, and there is nothing to evaluate "
            "on: set eval_data, or set eval_strategy to 'no'."
        )
    if data.eval_data is not None and training.eval_strategy == "no":
        raise ValueError("eval_data is given and never used: set eval_strategy to 'steps' too.")
    folder = Path(training.output_dir).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "may not be written" if there.is_dir() else "is a file"
        raise NotADirectoryError(
            f"output_dir={training.output_dir!r} cannot be a folder, for {there} {what}: name "
            "another."
        )
    for report in get_reporting_integration_callbacks(training.report_to):
        report()  # it says so where its package is missing


def begun(data: DataArguments, training: Any, head: str) -> tuple[Path | None, bool]:
    """The checkpoint to go on from, if any, and whether there is nothing left to do, as it says.

    `head`: of the run's card. Raises `FileExistsError` where the folder holds something else.
    """
    folder = Path(training.output_dir)
    readme, said = folder / "README.md", []
    if readme.exists():
        other, said = readme, readme.read_text("utf-8", "replace").splitlines()
    else:  # a run whose result is lost may have its checkpoints still
        begun_here = any(folder.glob("checkpoint-*"))
        other = None if begun_here else next(folder.glob("*.safetensors"), None)
    if other and not {*head.splitlines()} <= {*said}:  # PEFT adds tags, and sorts them
        raise FileExistsError(
            f"{other} is not of this run, which would write over it: name another output_dir. (A "
            "run goes on with the same model, method and use_peft.)"
        )
    last = last_checkpoint(training) if data.resume else None
    if not last or not finished(last, training):
        return last, False
    if training.process_index == 0:
        if finish(last, Path(training.output_dir)):
            print(f"This run had come to its end but for its result, which is {last}'s.")
        else:
            print(
                f"Nothing to do: this run has come to its end, with the weights in {last}. To go "
                "on, raise max_steps or num_train_epochs; to begin anew, set resume to false."
            )
    return last, True


def both_rows(data: DataArguments) -> tuple[Any, Any]:
    """The rows to train on, and those to evaluate on, or None."""
    rows, others = load_rows(data.data, data.streaming, data.split, data.subset), None
    if data.eval_data is not None:
        others = load_rows(data.eval_data, data.streaming, data.eval_split, data.subset)
    return rows, others


def named(model: str) -> tuple[str, str]:
    """Where a model's files are, and what a card calls it."""
    if not isinstance(model, str):
        raise ValueError(
            f"model_name_or_path is {model!r}: name a folder, a model of the Hub, or "
            f"{listed(map(repr, vh.loading.SHIPPED), 'or')}."
        )
    if model in vh.loading.SHIPPED:
        return os.path.relpath(vh.loading.pocket_folder(model)), model  # it goes into the adapter
    if Path(model).is_dir():
        return model, Path(model).resolve().name
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", model):
        raise FileNotFoundError(
            f"There is no folder model_name_or_path={model!r}, nor does the Hub name a model so; "
            f"{did_you_mean(model, vh.loading.SHIPPED)}"
        )
    return model, model


def load_processor(name: str, chosen: trl.ModelConfig, template: str | None) -> Any:
    processor = transformers.AutoProcessor.from_pretrained(name, revision=chosen.model_revision)
    if template:
        processor.chat_template = chat_template(template)
    return processor


def load_model(name: str, chosen: trl.ModelConfig, processor: Any) -> Any:
    choice("dtype", chosen.dtype or "auto", ("auto", "bfloat16", "float16", "float32"))
    quantization = trl.get_quantization_config(chosen)
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        name,
        revision=chosen.model_revision,
        dtype=chosen.dtype or "auto",
        attn_implementation=chosen.attn_implementation,
        **({"quantization_config": quantization} if quantization else {}),
    )
    vh.VLM(model, processor)  # raises where the two do not belong together
    return model


def train(trainer: Any, last: Path | None) -> None:
    """The training from its beginning or from a checkpoint, and what it leaves."""
    if trainer.args.fp16:  # its scaler works on float32 alone, and TRL casts some adapters to bf16
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    if trainer.args.process_index == 0:
        print(f"Going on from {last}." if last else "Beginning at step 0.")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model()  # and the processor with it
    # Processes that leave while others still talk to them abort now and then; so do those whose
    # Gloo threads outlive the group (docs/upstream.md), and a wrapped model holds it.
    trainer.accelerator.wait_for_everyone()
    trainer.model_wrapped = trainer.model
    trainer.accelerator.free_memory()
    trainer.accelerator.end_training()
