"""What pocket-llava-next is made of: its tokenizer, processor and untrained model.

All of it is stock `transformers`: nothing here is needed to load or use the trained model. It
begins where `pocket-llava` ended: the same tower, projector and decoder, a longer vocabulary.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoTokenizer,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    PreTrainedTokenizerFast,
)

from recipes.pocket_llava.parts import CHAT_TEMPLATE, IMAGE_SIZE, PATCH_SIZE

POCKET_LLAVA = Path(__file__).parents[2] / "data" / "pocket-llava"
VOCABULARY = 1536  # at most
TOWER_LAYERS = 8  # `pocket-llava` has six
LONGEST = 2048  # positions
# (height, width) of the grids that a picture is fitted to: up to nine tiles, and long strips
PINPOINTS = [
    [rows * IMAGE_SIZE, columns * IMAGE_SIZE]
    for rows in range(1, 5) for columns in range(1, 5) if rows * columns <= 9
]  # fmt: skip


# --- the tokenizer --------------------------------------------------------------------------------


def longer_tokenizer(texts: Iterable[str], size: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """`pocket-llava`'s byte-level BPE, continued on `texts`: its ids stay, new tokens follow."""
    old = AutoTokenizer.from_pretrained(POCKET_LLAVA)
    state = json.loads(old.backend_tokenizer.to_str())
    vocabulary, merges = state["model"]["vocab"], state["model"]["merges"]
    for token in state["added_tokens"]:  # with an id of its own no later token can take its place
        vocabulary.setdefault(token["content"], token["id"])
    for left, right in new_merges(old.backend_tokenizer, texts, size - len(old)):
        if left + right not in vocabulary:
            vocabulary[left + right] = len(vocabulary)
        merges.append([left, right])
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
    )


def new_merges(tokenizer: Tokenizer, texts: Iterable[str], count: int) -> list[tuple[str, str]]:
    """The next `count` merges of a byte-level BPE: each time the commonest pair of neighbours."""
    words: Counter[str] = Counter()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text):
            words[word] += 1
    pieces, places = [], {}  # the pieces of each word; in which words a pair stands
    total: Counter[tuple[str, str]] = Counter()
    counts = []
    for word, times in sorted(words.items()):
        parts = [token.value for token in tokenizer.model.tokenize(word)]
        for pair in zip(parts, parts[1:]):
            total[pair] += times
            places.setdefault(pair, set()).add(len(pieces))
        pieces.append(parts)
        counts.append(times)
    found = []
    while len(found) < count and total:
        best = max(total, key=lambda pair: (total[pair], pair))
        if total[best] < 2:
            break
        found.append(best)
        for at in places.pop(best):
            parts, times = pieces[at], counts[at]
            for pair in zip(parts, parts[1:]):
                total[pair] -= times
            merged, i = [], 0
            while i < len(parts):
                both = tuple(parts[i : i + 2]) == best
                merged.append("".join(best) if both else parts[i])
                i += 2 if both else 1
            pieces[at] = merged
            for pair in zip(merged, merged[1:]):
                total[pair] += times
                places.setdefault(pair, set()).add(at)
        del total[best]
    return found


# --- processor and model --------------------------------------------------------------------------


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaNextProcessor:
    from transformers.models.llava_next.image_processing_pil_llava_next import (
        LlavaNextImageProcessorPil,
    )

    side = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    images = LlavaNextImageProcessorPil(
        size=side,
        crop_size=side,
        do_center_crop=False,
        resample=2,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
        image_grid_pinpoints=PINPOINTS,
    )
    return LlavaNextProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(
    tokenizer: PreTrainedTokenizerFast, seed: int = 0
) -> LlavaNextForConditionalGeneration:
    """An untrained model with `pocket-llava`'s layers, and more of them in its tower."""
    torch.manual_seed(seed)
    kept = json.loads((POCKET_LLAVA / "config.json").read_text())
    config = LlavaNextConfig(
        vision_config={**kept["vision_config"], "num_hidden_layers": TOWER_LAYERS},
        text_config={
            **kept["text_config"],
            "vocab_size": len(tokenizer),
            "max_position_embeddings": LONGEST,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=PINPOINTS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    return LlavaNextForConditionalGeneration(config)


@torch.no_grad()
def from_pocket_llava(
    model: LlavaNextForConditionalGeneration, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Gives an untrained model what `pocket-llava` knows.

    A new token begins as the mean of the old tokens that it is made of. Layers that `pocket-llava`
    does not have come last and change nothing at first.
    """
    old = LlavaForConditionalGeneration.from_pretrained(POCKET_LLAVA, dtype=torch.float32)
    before, mine = old.state_dict(), model.state_dict()
    pieces = AutoTokenizer.from_pretrained(POCKET_LLAVA).backend_tokenizer.model
    for name, value in before.items():
        if mine[name].shape == value.shape:
            mine[name].copy_(value)
            continue
        mine[name][: len(value)] = value  # the embeddings, and the output layer
        for token, at in tokenizer.get_vocab().items():
            if at >= len(value):
                ids = [piece.id for piece in pieces.tokenize(token)]
                mine[name][at] = value[ids].mean(0)
    tower = model.model.vision_tower.encoder.layers
    for layer in tower[old.config.vision_config.num_hidden_layers :]:
        for last in (layer.self_attn.out_proj, layer.mlp.fc2):
            last.weight.zero_()
            last.bias.zero_()
    model.model.image_newline.copy_(
        model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids("Ċ")]
    )
