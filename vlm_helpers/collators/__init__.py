"""Rows of a data set, made into batches that a vision language model can learn from.

    collator = vh.collators.AnswerCollator(processor)
    batch = collator(rows)      # input_ids, attention_mask, pixel_values, labels, …
    SFTTrainer(model, args, train_dataset=rows, data_collator=collator, processing_class=processor)

Only the assistant's answers are learnt, each with the token that ends it, whatever the chat
template. `train_on` can widen or narrow that. `PreferenceCollator` does the same for rows of
preferences, for `DPOTrainer`.
"""

import importlib

_NAMES = {
    "AnswerCollator": "_collator",
    "PreferenceCollator": "_preferences",
    "RowError": "_rows",
    "end_tokens": "_collator",
}

__all__ = list(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
