"""Tokenizers made on the spot: a token a character, and the few special tokens that models need."""

from __future__ import annotations

import string

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<s>", "</s>"]
FUYU = ["|SPEAKER|", "|NEWLINE|", "<0x00>", "<0x01>", "<0x02>", "<0x03>", "<0x04>"]


def byte_tokenizer(image_token: str | None = "<image>") -> PreTrainedTokenizerFast:
    """One token a byte, `<pad>`, `<s>`, `</s>`, and a token for pictures.

    Without an image token it has `<unk>` instead, and 64 ids after it for the picture, which is
    how KOSMOS-2 marks the picture's places.
    """
    if image_token:
        special, extra = [image_token], {"extra_special_tokens": {"image_token": image_token}}
    else:
        special = ["<unk>", *(f"<picture_{i}>" for i in range(64))]
        extra = {"unk_token": "<unk>"}
    words = SPECIAL + special + sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return _wrapped(backend, **extra)


def fuyu_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character, Fuyu's own tokens, and a `▁` at the start of every text.

    Fuyu's processor drops the first token of the picture's part and takes it for that `▁`. In
    transformers 5.15 it asks the vocabulary for the token that it pads with by its name.
    """
    pad = "|ENDOFTEXT|"
    words = [pad, *SPECIAL[1:], "<unk>", *FUYU, "▁", *string.printable]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    backend.normalizer = normalizers.Prepend("▁")
    tags = "|".join(word.replace("|", r"\|") for word in (pad, *SPECIAL[1:], *FUYU))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(rf"{tags}|[\s\S]"), "isolated")
    return _wrapped(backend, pad, unk_token="<unk>")


def _wrapped(backend: Tokenizer, pad: str = SPECIAL[0], **options) -> PreTrainedTokenizerFast:
    _, start, end = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=pad,
        bos_token=start,
        eos_token=end,
        model_input_names=["input_ids", "attention_mask"],
        **options,
    )
