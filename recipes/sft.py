"""Supervised fine-tuning as a script: notebook 08 for more rows, more machines and longer nights.

    python -m recipes.sft --config recipes/sft.yaml
    accelerate launch --config_file recipes/accelerate/ddp.yaml -m recipes.sft \
        --config recipes/sft.yaml

Options are those of TRL's `SFTConfig` and `ModelConfig`, and `DataArguments` below, in the YAML
file or on the command line. docs/sft.md says more.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers
import trl
from huggingface_hub import ModelCard, ModelCardData
from transformers.integrations import get_reporting_integration_callbacks

import vlm_helpers as vh
from recipes.sft_checkpoints import finish, finished, last_checkpoint
from recipes.sft_rows import Numbered, check, load_rows


@dataclass
class DataArguments:
    """What to train on, and how."""

    data: str = field(
        metadata={
            "help": "Parquet files with `messages` and `images`, or WebDataset shards (.tar) with "
            "NAME.json and pictures NAME.0.png, NAME.1.png, … for each row: a "
            "name or a pattern such as 'rows/*.parquet'. Or the name of a data set of the Hub."
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
    train_on: str = field(
        default="answers", metadata={"help": "'answers', 'last answer' or 'everything'."}
    )
    preflight: bool = field(
        default=True, metadata={"help": "Check all rows before training; not when streaming."}
    )
    resume: bool = field(
        default=True, metadata={"help": "Go on from the last checkpoint in output_dir, if any."}
    )


class Trainer(trl.SFTTrainer):
    """TRL's, with a model card about a vision language model."""

    card: str = ""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        if self.is_world_process_zero():
            ModelCard(self.card).save(Path(self.args.output_dir) / "README.md")


def card(base: str, data: DataArguments, training: trl.SFTConfig, lora: bool) -> str:
    """What the run makes, from what, and how to load it; without a path of this machine."""
    name = (training.hub_model_id or Path(training.output_dir).resolve().name).split("/")[-1]
    rows = data.data if not Path(data.data).is_absolute() else Path(data.data).name
    about = ModelCardData(
        base_model=base, library_name="peft" if lora else "transformers",
        pipeline_tag="image-text-to-text", tags=["trl", "sft"],
    )  # fmt: skip
    load = f"vh.load({base!r}, adapter={name!r})" if lora else f"vh.load({name!r})"
    length = f"{training.num_train_epochs:g} epochs"
    return f"""---
{about.to_yaml()}
---

# {name}

`{base}`, fine-tuned on `{rows}` with TRL's `SFTTrainer`, by `recipes/sft.py`:
{"a LoRA adapter" if lora else "all weights"}, learning rate {training.learning_rate:g},
{f"{training.max_steps} steps" if training.max_steps > 0 else length}, learnt were {data.train_on}.

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


def check_options(data: DataArguments, training: trl.SFTConfig) -> None:
    """What does not go together, before anything is loaded."""
    if data.streaming and training.max_steps <= 0:
        raise ValueError("How many rows a stream has is not known: set max_steps too.")
    if training.eval_strategy != "no" and data.eval_data is None:
        raise ValueError(
            f"eval_strategy is {training.eval_strategy.value!r}, and there is nothing to evaluate "
            "on: set eval_data, or set eval_strategy to 'no'."
        )
    if data.eval_data is not None and training.eval_strategy == "no":
        raise ValueError("eval_data is given and never used: set eval_strategy to 'steps' too.")
    for report in get_reporting_integration_callbacks(training.report_to):
        report()  # it says so where its package is missing


def main(arguments: list[str] | None = None) -> None:
    parser = trl.TrlParser((DataArguments, trl.SFTConfig, trl.ModelConfig))
    data, training, chosen = parser.parse_args_and_config(arguments)
    check_options(data, training)
    speaks = training.process_index == 0
    last = last_checkpoint(training) if data.resume else None
    if last and finished(last, training):
        if speaks and finish(last, Path(training.output_dir)):
            print(f"This run had come to its end but for its result, which is {last}'s.")
        elif speaks:
            print(
                f"Nothing to do: this run has come to its end, with the weights in {last}. To go "
                "on, raise max_steps or num_train_epochs; to begin anew, set resume to false."
            )
        return
    # Before the model: a wrong path is quickly told.
    rows = load_rows(data.data, data.streaming, data.split, data.subset)
    eval_rows = None
    if data.eval_data is not None:
        eval_rows = load_rows(data.eval_data, data.streaming, data.eval_split, data.subset)
    name = base = chosen.model_name_or_path
    if name in ("pocket-llava", "pocket-llava-base"):
        name = os.path.relpath(vh.loading.pocket_folder(name))  # it goes into the adapter
    elif Path(name).is_dir():
        base = Path(name).resolve().name
    processor = transformers.AutoProcessor.from_pretrained(name, revision=chosen.model_revision)
    if training.chat_template_path:  # here, so that the collator has it as well
        processor.chat_template = chat_template(training.chat_template_path)
        training.chat_template_path = None
    collator = vh.collators.AnswerCollator(
        processor, train_on=data.train_on, max_length=training.max_length
    )
    training.max_length = None  # the collator drops whole turns; TRL would cut
    # All rows go to the collator as they are; TRL would make tokens of those without pictures.
    training.dataset_kwargs = {**(training.dataset_kwargs or {}), "skip_prepare_dataset": True}
    training.remove_unused_columns = False
    if data.preflight and not data.streaming:
        for some in (rows, eval_rows):
            if some is not None:
                check(some, collator, training)
    quantization = trl.get_quantization_config(chosen)
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        name,
        revision=chosen.model_revision,
        dtype=chosen.dtype or "auto",
        attn_implementation=chosen.attn_implementation,
        **({"quantization_config": quantization} if quantization else {}),
    )
    vh.VLM(model, processor)  # raises where the two do not belong together
    model.config._name_or_path = base  # it goes into the card
    trainer = Trainer(
        model,
        training,
        train_dataset=rows,
        eval_dataset=eval_rows,
        data_collator=Numbered(collator),
        processing_class=processor,
        peft_config=trl.get_peft_config(chosen),
    )
    if training.fp16:  # its scaler works on float32 alone, and TRL casts some adapters to bf16
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    trainer.card = card(base, data, training, chosen.use_peft)
    if speaks:
        print(f"Going on from {last}." if last else "Beginning at step 0.")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model()  # and the processor with it
    # Processes that leave while others still talk to them abort now and then.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main()
