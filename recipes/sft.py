"""Supervised fine-tuning as a script: notebook 08 for more rows, more machines and longer nights.

    python -m recipes.sft --config recipes/sft.yaml
    accelerate launch --config_file recipes/accelerate/ddp.yaml -m recipes.sft \
        --config recipes/sft.yaml

Options are those of TRL's `SFTConfig` and `ModelConfig`, and `DataArguments` below, in the YAML
file or on the command line. docs/sft.md says more.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import transformers
import trl
from transformers import TrainerState
from transformers.trainer_utils import get_last_checkpoint

import vlm_helpers as vh


@dataclass
class DataArguments:
    """What to train on, and how."""

    data: str = field(
        metadata={
            "help": "Parquet files with `messages` and `images`, or WebDataset shards (.tar) with "
            "NAME.json and pictures NAME.0.png, NAME.1.png, … for each row, as many for all; a "
            "name or a pattern such as 'rows/*.parquet'."
        }
    )
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


def load_rows(pattern: str, streaming: bool) -> Any:
    """The rows behind `pattern`, as a `Dataset`, or an `IterableDataset` when streaming.

    Raises `FileNotFoundError` where nothing fits, and `ValueError` for files of another kind.
    """
    files = sorted(glob.glob(pattern, recursive=True))
    if not files:
        raise FileNotFoundError(f"No file fits data={pattern!r}: check the path.")
    kinds = {Path(file).suffix for file in files}
    if kinds == {".parquet"}:
        return datasets.load_dataset(
            "parquet", data_files=files, split="train", streaming=streaming
        )
    if kinds == {".tar"}:
        shards = datasets.load_dataset(
            "webdataset", data_files=files, split="train", streaming=streaming
        )
        features = datasets.Features(
            messages=shards.features["json"]["messages"], images=datasets.List(datasets.Image())
        )
        return shards.map(_row, remove_columns=list(shards.features), features=features)
    raise ValueError(
        f"data={pattern!r} fits files of the kinds {', '.join(sorted(kinds))}: give .parquet files "
        "or .tar shards, and not both."
    )


def _row(shard: dict[str, Any]) -> dict[str, Any]:
    """A row of a WebDataset shard: the conversation in .json, pictures in the order of names."""
    pictures = [
        shard[name]
        for name in sorted(shard, key=_counted)
        if name.rsplit(".")[-1] in ("png", "jpg", "jpeg", "webp") and shard[name] is not None
    ]
    return {"messages": shard["json"]["messages"], "images": pictures}


def _counted(name: str) -> list[tuple[int, str]]:
    """Sorts "2.png" before "10.png"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def chat_template(path: str) -> str:
    """The template in the file `path`. TRL would take a model's name too, and change the model."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"No file chat_template_path={path!r}: give a file, such as a model's "
            "chat_template.jinja."
        )
    return Path(path).read_text(encoding="utf-8")


def last_checkpoint(training: trl.SFTConfig) -> str | None:
    """The newest checkpoint in `output_dir`, if there is one."""
    folder = Path(training.output_dir)
    return get_last_checkpoint(str(folder)) if folder.is_dir() else None


def finished(checkpoint: str, training: trl.SFTConfig) -> bool:
    """Whether the run behind `checkpoint` has come to its end: a trainer would add a step."""
    state = TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))
    if training.max_steps > 0:
        return state.global_step >= training.max_steps
    return (state.epoch or 0) >= training.num_train_epochs


def main(arguments: list[str] | None = None) -> None:
    parser = trl.TrlParser((DataArguments, trl.SFTConfig, trl.ModelConfig))
    data, training, chosen = parser.parse_args_and_config(arguments)
    speaks = training.process_index == 0
    if data.streaming and training.max_steps <= 0:
        raise ValueError("How many rows a stream has is not known: set max_steps too.")
    last = last_checkpoint(training) if data.resume else None
    if last and finished(last, training):
        if speaks:
            print(
                f"Nothing to do: this run has come to its end, with the weights in {last}. To go "
                "on, raise max_steps or num_train_epochs; to begin anew, set resume to false."
            )
        return
    rows = load_rows(data.data, data.streaming)  # before the model: a wrong path is quickly told
    name = chosen.model_name_or_path
    if name in ("pocket-llava", "pocket-llava-base"):
        name = str(vh.loading.pocket_folder(name))
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
    if data.preflight and not data.streaming and speaks:
        print(vh.training.preflight(rows, collator, progress=not training.disable_tqdm))
    quantization = trl.get_quantization_config(chosen)
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        name,
        revision=chosen.model_revision,
        dtype=chosen.dtype or "auto",
        attn_implementation=chosen.attn_implementation,
        **({"quantization_config": quantization} if quantization else {}),
    )
    trainer = trl.SFTTrainer(
        model,
        training,
        train_dataset=rows,
        data_collator=collator,
        processing_class=processor,
        peft_config=trl.get_peft_config(chosen),
    )
    if speaks:
        print(f"Going on from {last}." if last else "Beginning at step 0.")
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model()  # and the processor with it
    # Processes that leave while others still talk to them abort now and then.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main()
