"""The families that transformers has a class for, each with a small random configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import (
    CLIPImageProcessorPil,
    DeepseekVLHybridConfig,
    DeepseekVLHybridForConditionalGeneration,
    DeepseekVLHybridImageProcessorPil,
    DeepseekVLHybridProcessor,
    FuyuConfig,
    FuyuForCausalLM,
    FuyuImageProcessorPil,
    FuyuProcessor,
    Kosmos2Config,
    Kosmos2ForConditionalGeneration,
    Kosmos2Processor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
)

from vlm_helpers.zoo._tokenizers import byte_tokenizer, fuyu_tokenizer

WIDTH, LAYERS, HEADS = 64, 2, 2


def text_config(model_type: str, vocabulary: int, **more: Any) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "vocab_size": vocabulary,
        "max_position_embeddings": 8192,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **more,
    }


def vision_config(model_type: str, image_size: int, patch_size: int = 14) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "image_size": image_size,
        "patch_size": patch_size,
    }


def square(side: int) -> dict[str, Any]:
    return {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}


def _llava(
    images: Any, processor: type, config: type, model: type, text: dict[str, Any], **more: Any
) -> tuple[Any, Any]:
    """`text`: the decoder's configuration, but for the size of its vocabulary."""
    tokenizer = byte_tokenizer()
    config = config(
        vision_config=vision_config("clip_vision_model", 336),
        text_config=text_config(vocabulary=len(tokenizer), **text),
        image_token_index=tokenizer.image_token_id,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        **more,
    )
    return model(config), processor(
        images,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def llava_1_5() -> tuple[Any, Any]:
    images, text = CLIPImageProcessorPil(**square(336)), {"model_type": "llama"}
    return _llava(images, LlavaProcessor, LlavaConfig, LlavaForConditionalGeneration, text)


# As published: liuhaotian/llava-v1.6-mistral-7b, config.json
GRID = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


def llava_next() -> tuple[Any, Any]:
    return _llava(
        LlavaNextImageProcessorPil(**square(336), image_grid_pinpoints=GRID),
        LlavaNextProcessor,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        {"model_type": "mistral", "sliding_window": None},
        image_grid_pinpoints=GRID,
    )


def kosmos_2() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(None)
    processor = Kosmos2Processor(CLIPImageProcessorPil(**square(224)), tokenizer)
    config = Kosmos2Config(
        vision_config=vision_config("kosmos_2_vision_model", 224),
        text_config={
            "vocab_size": len(processor.tokenizer),
            "embed_dim": WIDTH,
            "layers": LAYERS,
            "ffn_dim": 2 * WIDTH,
            "attention_heads": HEADS,
        },
        latent_query_num=64,
    )
    return Kosmos2ForConditionalGeneration(config), processor


class PatchesOfArrays(FuyuImageProcessorPil):
    """Fuyu's image processor without torchvision.

    In transformers 5.23 `patchify_image` of the PIL version expects NumPy arrays and is handed
    tensors; in 5.15 it is handed both. This one takes either, and gives back what it was given.
    """

    def patchify_image(self, image: Any, patch_size: Any = None) -> Any:
        patches = super().patchify_image(np.asarray(image), patch_size)
        return torch.from_numpy(patches) if torch.is_tensor(image) else patches


def fuyu() -> tuple[Any, Any]:
    tokenizer = fuyu_tokenizer()
    processor = FuyuProcessor(PatchesOfArrays(), tokenizer)
    config = FuyuConfig(
        text_config=text_config("persimmon", len(tokenizer)),
        hidden_size=WIDTH,  # transformers 5.15 takes the connector's width from here
        patch_size=30,
        image_token_id=processor.image_token_id,
    )
    return FuyuForCausalLM(config), processor


def deepseek_vl() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer(image_token="<image_placeholder>")
    processor = DeepseekVLHybridProcessor(
        DeepseekVLHybridImageProcessorPil(
            size={"height": 384, "width": 384}, high_res_size={"height": 1024, "width": 1024}
        ),
        tokenizer,
    )
    config = DeepseekVLHybridConfig(
        vision_config=vision_config("siglip_vision_model", 384, 16),
        high_res_vision_config={
            "model_type": "sam_vision_model",
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "output_channels": 16,
            "image_size": 1024,
            "patch_size": 16,
            "global_attn_indexes": [1],
        },
        text_config=text_config("llama", len(tokenizer)),
        image_token_id=tokenizer.image_token_id,
    )
    return DeepseekVLHybridForConditionalGeneration(config), processor
