"""The families that transformers has no class for: what is special about each, and no more.

Encoders and decoders are transformers' own; what joins them is written here. Left out is what
does not change where the picture goes: Qwen's and CogVLM's own spelling of a Llama-like decoder,
and that CogVLM gives all tokens of a picture one position.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.modeling_outputs import CausalLMOutput

from vlm_helpers.zoo._native import WIDTH, square, text_config, vision_config
from vlm_helpers.zoo._tokenizers import byte_tokenizer


class FixedProcessor:
    """A processor for models that resize every picture to one size: always as many tokens."""

    def __init__(self, image_processor: Any, tokenizer: Any, image_tokens: int):
        self.image_processor, self.tokenizer = image_processor, tokenizer
        self.image_tokens = image_tokens

    def __call__(self, *, images: Any, text: str, return_tensors: str = "pt") -> dict[str, Any]:
        marker = self.tokenizer.image_token
        text = text.replace(marker, marker * self.image_tokens)
        pixels = self.image_processor(images, return_tensors=return_tensors)["pixel_values"]
        return {**self.tokenizer(text, return_tensors=return_tensors), "pixel_values": pixels}


class Spliced(nn.Module):
    """Encoder, connector, decoder; the picture's vectors take the places of the image tokens."""

    def __init__(self, vision: nn.Module, connector: nn.Module, decoder: nn.Module, image_id: int):
        super().__init__()
        self.vision, self.connector, self.decoder = vision, connector, decoder
        self.image_id = image_id

    def forward(self, input_ids, pixel_values, attention_mask=None) -> CausalLMOutput:
        """`input_ids`: [batch, tokens]; `pixel_values`: [batch, 3, side, side]."""
        features = self.vision(pixel_values).last_hidden_state  # [batch, patches, vision width]
        if isinstance(self.vision, CLIPVisionModel):
            features = features[:, 1:]  # without the class token
        pictures = self.connector(features)  # [batch, image tokens, decoder width]
        embeds = self.decoder.get_input_embeddings()(input_ids)  # [batch, tokens, decoder width]
        there = input_ids == self.image_id
        embeds = embeds.masked_scatter(there[..., None], pictures)
        return self.decode(embeds, there, attention_mask)

    def decode(self, embeds, there, attention_mask) -> CausalLMOutput:
        return self.decoder(inputs_embeds=embeds, attention_mask=attention_mask)


def projector(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))


def normalised_projector(width: int) -> nn.Module:
    """Yi-VL's: a LayerNorm after each of the two layers."""
    return nn.Sequential(
        nn.Linear(width, WIDTH), nn.LayerNorm(WIDTH), nn.GELU(),
        nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH),
    )  # fmt: skip


def places(side: int, width: int) -> torch.Tensor:
    """Sines and cosines of each place of a grid, half of them for x, half for y.

    [side * side, width].
    """
    rates = 10_000.0 ** -(torch.arange(width // 4) / (width // 4))
    waves = torch.arange(side)[:, None] * rates  # [side, width / 4]
    one = torch.cat([waves.sin(), waves.cos()], dim=1)  # [side, width / 2]
    across = one[None].expand(side, side, -1)
    down = one[:, None].expand(side, side, -1)
    return torch.cat([across, down], dim=-1).reshape(side * side, width)


class Resampler(nn.Module):
    """Qwen-VL's: 256 learnt queries look at all patches once, and stand for the picture then.

    Bai et al. 2023, arXiv:2308.12966; `Resampler` in visual.py of Qwen/Qwen-VL.
    """

    def __init__(self, width: int, patches: int, queries: int = 256):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, WIDTH) * 0.02)
        self.widen = nn.Linear(width, WIDTH, bias=False)
        self.norm_queries, self.norm_patches = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.norm_after, self.project = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.register_buffer("query_places", places(math.isqrt(queries), WIDTH))
        self.register_buffer("patch_places", places(math.isqrt(patches), WIDTH))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        values = self.norm_patches(self.widen(features))  # [batch, patches, width]
        asked = (self.norm_queries(self.queries) + self.query_places).expand(len(features), -1, -1)
        seen, _ = self.attention(asked, values + self.patch_places, values)
        return self.project(self.norm_after(seen))  # [batch, queries, width]


class Expert(nn.Module):
    """A layer twice: text tokens go through one copy, the picture's through the other."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.text, self.picture = layer, copy.deepcopy(layer)
        self.there: torch.Tensor | None = None  # [batch, tokens], set before each pass

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.where(self.there[..., None], self.picture(hidden), self.text(hidden))


class Edges(nn.Module):
    """CogVLM's connector: a projector, and a learnt vector before and after the picture."""

    def __init__(self, width: int):
        super().__init__()
        self.projector = projector(width)
        self.first, self.last = (nn.Parameter(torch.zeros(1, 1, WIDTH)) for _ in range(2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        one = (len(features), 1, WIDTH)
        inside = self.projector(features)
        return torch.cat([self.first.expand(one), inside, self.last.expand(one)], dim=1)


class WithExperts(Spliced):
    """CogVLM: every layer's attention projections and MLP exist twice.

    Wang et al. 2023, arXiv:2311.03079.
    """

    def __init__(self, *parts: Any):
        super().__init__(*parts)
        for layer in self.decoder.model.layers:
            layer.mlp = Expert(layer.mlp)
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                setattr(layer.self_attn, name, Expert(getattr(layer.self_attn, name)))

    def decode(self, embeds, there, attention_mask) -> CausalLMOutput:
        for module in self.decoder.modules():
            if isinstance(module, Expert):
                module.there = there
        return super().decode(embeds, there, attention_mask)


def _clip(side: int) -> CLIPVisionModel:
    return CLIPVisionModel(CLIPVisionConfig(**vision_config("clip_vision_model", side)))


def _llama(tokenizer: Any) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(**text_config("llama", len(tokenizer))))


def qwen_vl() -> tuple[Any, Any]:
    tokenizer, vision = byte_tokenizer(), _clip(448)
    connector = Resampler(vision.config.hidden_size, (448 // 14) ** 2)
    model = Spliced(vision, connector, _llama(tokenizer), tokenizer.image_token_id)
    return model, FixedProcessor(CLIPImageProcessorPil(**square(448)), tokenizer, 256)


def cogvlm() -> tuple[Any, Any]:
    tokenizer, vision = byte_tokenizer(), _clip(490)
    connector = Edges(vision.config.hidden_size)
    model = WithExperts(vision, connector, _llama(tokenizer), tokenizer.image_token_id)
    tokens = (490 // 14) ** 2 + 2
    return model, FixedProcessor(CLIPImageProcessorPil(**square(490)), tokenizer, tokens)


def moondream2() -> tuple[Any, Any]:
    tokenizer = byte_tokenizer()
    vision = SiglipVisionModel(SiglipVisionConfig(**vision_config("siglip_vision_model", 378)))
    decoder = PhiForCausalLM(PhiConfig(**text_config("phi", len(tokenizer))))
    model = Spliced(vision, projector(vision.config.hidden_size), decoder, tokenizer.image_token_id)
    images = SiglipImageProcessorPil(size={"height": 378, "width": 378})
    return model, FixedProcessor(images, tokenizer, (378 // 14) ** 2)


def yi_vl() -> tuple[Any, Any]:
    tokenizer, vision = byte_tokenizer(), _clip(448)
    connector = normalised_projector(vision.config.hidden_size)
    model = Spliced(vision, connector, _llama(tokenizer), tokenizer.image_token_id)
    return model, FixedProcessor(CLIPImageProcessorPil(**square(448)), tokenizer, (448 // 14) ** 2)
