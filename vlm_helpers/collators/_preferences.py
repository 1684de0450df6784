"""`PreferenceCollator`: a batch of pairs, in the form that TRL's `DPOTrainer` compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vlm_helpers.collators._collator import IGNORED, AnswerCollator
from vlm_helpers.collators._rows import RowError, check_batch, of_row
from vlm_helpers.conversations import read_pair


class PreferenceCollator:
    """Makes a batch of preferences: all chosen answers, then all rejected ones.

        collator = PreferenceCollator(processor)
        trainer = DPOTrainer(model, args=args, train_dataset=rows, data_collator=collator,
                             processing_class=processor, peft_config=lora)

    A row is a dict with `prompt`, `chosen` and `rejected` (conversations, or plain texts), or with
    the last two alone, which then begin with the prompt; pictures as for `AnswerCollator`, which
    makes the batch, so that both answers end alike and nothing is cut. Rows are not changed. A
    trainer needs `remove_unused_columns=False` for rows without a column `prompt`, and takes rows
    for rows with pictures where the first has a column `images` or `image`.

    Args:
        processor: as for `AnswerCollator`.
        max_length: tokens that a prompt with one of its answers may have, image tokens included;
            None for no limit. A longer row is refused: TRL's own collator would cut its answers.
    Returns (when called):
        a dict of tensors: `input_ids`, `attention_mask` and `completion_mask`, which is 1 on the
        answers, each [2 · rows, tokens], and what the processor makes of pictures.
    Raises:
        TypeError, ValueError: at once, for a processor or an option that cannot be.
        RowError: (a `ValueError`) when called, for a row that cannot be trained on.
    """

    def __init__(self, processor: Any, *, max_length: int | None = None):
        self._answers = AnswerCollator(processor, max_length=max_length, too_long="raise")
        self.processor, self.max_length = processor, self._answers.max_length

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        check_batch(rows)
        pairs = []
        for i, row in enumerate(rows):
            with of_row(i, row):
                one, other = read_pair(row, self._answers.marks)
                one = one.opened()
                pairs.append((one, replace(other, pictures=one.pictures)))
        talks = [talk for answers in zip(*pairs) for talk in answers]
        try:
            batch, _ = self._answers.batch(talks, [*rows, *rows])
        except RowError as error:
            raise RowError(error.row % len(rows), error.why, error.name) from error
        labels = batch.pop("labels")
        batch["completion_mask"] = (labels != IGNORED).long()
        return batch
