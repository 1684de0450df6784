"""Supervised fine-tuning as a script: notebook 08 for more rows, more machines and longer nights.

    python -m recipes.sft --config recipes/sft.yaml
    accelerate launch --config_file recipes/accelerate/ddp.yaml -m recipes.sft \
        --config recipes/sft.yaml

Options are those of TRL's `SFTConfig` and `ModelConfig`, and `DataArguments` below, in the YAML
file or on the command line. docs/sft.md says more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import trl

import vlm_helpers as vh
from recipes import frame
from recipes.sft_rows import Numbered, check


@dataclass
class DataArguments(frame.DataArguments):
    """What to train on, and how: rows with `messages`, or with `prompt` and `completion`."""

    train_on: str = field(
        default="answers", metadata={"help": "'answers', 'last answer' or 'everything'."}
    )


class Trainer(frame.Framed, trl.SFTTrainer):
    """TRL's, with the scripts' card and checks."""


def main(arguments: list[str] | None = None) -> None:
    parser = trl.TrlParser((DataArguments, trl.SFTConfig, trl.ModelConfig))
    data, training, chosen = parser.parse_args_and_config(arguments)
    frame.check_options(data, training)
    name, base = frame.named(chosen.model_name_or_path)
    head = frame.about(base, chosen.use_peft, "sft")
    last, ended = frame.begun(data, training, head)
    if ended:
        return
    # Before the model: a wrong path is quickly told.
    rows, eval_rows = frame.both_rows(data)
    processor = frame.load_processor(name, chosen, training.chat_template_path)
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
    model = frame.load_model(name, chosen, processor)
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
    learnt = f"learnt were {data.train_on}"
    trainer.card = frame.card(base, data, training, chosen.use_peft, "sft", learnt)
    frame.train(trainer, last)


if __name__ == "__main__":
    main()
