"""Tiny random checkpoints of real model classes, built locally for the tests.

Each builder writes a folder as `save_pretrained` does, model and processor, and returns its path.
The weights are random but seeded, and spread wide enough that an answer depends on the picture
and on the question. Nothing is downloaded; a checkpoint takes well under a second and 2 MB.

    tiny.llava(folder)       LLaVA-1.5: one picture, a fixed number of tokens
    tiny.llava_next(folder)  LLaVA-NeXT: more tokens for larger pictures
    tiny.paligemma(folder)   PaliGemma: no chat template of its own
    tiny.idefics2(folder)    Idefics2: several pictures in one prompt
    tiny.llama(folder)       a text-only Llama, which is no vision language model
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    Idefics2Config,
    Idefics2ImageProcessorPil,
    Idefics2Processor,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaNextConfig,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessorPil,
)

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: "
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}</s>{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
SPECIAL = ["<pad>", "<s>", "</s>", "<image>", "<border>"]
LOCATIONS = [f"<loc_{i}>" for i in range(64)]
IMAGE_ID = SPECIAL.index("<image>")


# Runs of newlines, and a space with the letter after it, each one token: Ċ and Ġ are their bytes.
MERGES = [("Ċ", "Ċ"), ("ĊĊ", "Ċ"), ("Ġ", "A"), ("Ġ", "R"), ("Ġ", "G")]


def tokenizer(merges=()) -> PreTrainedTokenizerFast:
    """One token a byte, five special tokens, 64 location tokens that are not special.

    `merges`: pairs of tokens that make one, such as `MERGES`.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = ["".join(pair) for pair in merges]
    vocabulary = {token: i for i, token in enumerate(SPECIAL + alphabet + made)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>", "image_boundary_token": "<border>"},
        model_input_names=["input_ids", "attention_mask"],
    )
    fast.add_tokens(LOCATIONS)
    return fast


VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 4,
}


def _text(model_type: str, vocab_size: int) -> dict:
    return {
        "model_type": model_type,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": vocab_size,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _save(folder, config, processor, seed: int, dtype=torch.float32):
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(config).eval()
    with torch.no_grad():
        # The usual 0.02 makes every answer the same few tokens; this makes answers differ.
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3)
    model.generation_config.pad_token_id = 0
    model.generation_config.eos_token_id = 2
    model.to(dtype).save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)


def llava(folder, *, seed: int = 0, dtype=torch.float32, template: str | None = TEMPLATE) -> Path:
    """LLaVA-1.5 with 16 tokens for a picture of 16 x 16."""
    tok = tokenizer()
    config = LlavaConfig(
        vision_config=VISION,
        text_config=_text("llama", len(tok)),
        image_token_index=IMAGE_ID,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=16,
    )
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        tok,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )
    return _save(folder, config, processor, seed, dtype)


def llava_next(folder, *, seed: int = 0) -> Path:
    """LLaVA-NeXT: an overview of 16 tokens, and tiles in up to 32 x 32."""
    tok = tokenizer()
    grid = [[16, 32], [32, 16], [32, 32]]
    config = LlavaNextConfig(
        vision_config=VISION,
        text_config=_text("llama", len(tok)),
        image_token_index=IMAGE_ID,
        image_grid_pinpoints=grid,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )
    processor = LlavaNextProcessor(
        LlavaNextImageProcessorPil(
            size={"shortest_edge": 16},
            crop_size={"height": 16, "width": 16},
            image_grid_pinpoints=grid,
        ),
        tok,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return _save(folder, config, processor, seed)


def paligemma(folder, *, seed: int = 0) -> Path:
    """PaliGemma with 16 tokens a picture, and without a chat template, as it is published."""
    tok = tokenizer()
    images = SiglipImageProcessorPil(size={"height": 16, "width": 16})
    images.image_seq_length = 16
    # The processor adds location and segmentation tokens, so it comes before the sizes.
    processor = PaliGemmaProcessor(images, tok)
    config = PaliGemmaConfig(
        vision_config={**VISION, "model_type": "siglip_vision_model"},
        text_config=_text("gemma", len(tok)),
        image_token_index=IMAGE_ID,
        projection_dim=32,
    )
    return _save(folder, config, processor, seed)


def idefics2(folder, *, seed: int = 0) -> Path:
    """Idefics2 with 4 tokens a picture."""
    tok = tokenizer()
    processor = Idefics2Processor(
        Idefics2ImageProcessorPil(
            size={"shortest_edge": 16, "longest_edge": 32}, do_image_splitting=False
        ),
        tok,
        image_seq_len=4,
        chat_template=TEMPLATE,
    )
    config = Idefics2Config(
        vision_config={**VISION, "model_type": "idefics2", "image_size": 32},
        perceiver_config={
            "model_type": "idefics2",
            "hidden_size": 32,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "num_key_value_heads": 2,
            "resampler_head_dim": 16,
        },
        text_config=_text("mistral", len(tok)),
        image_token_id=IMAGE_ID,
    )
    return _save(folder, config, processor, seed)


def llama(folder) -> Path:
    """A text-only Llama with its tokenizer."""
    tok = tokenizer()
    settings = _text("llama", len(tok))
    LlamaForCausalLM(LlamaConfig(**settings)).save_pretrained(folder)
    tok.save_pretrained(folder)
    return Path(folder)
