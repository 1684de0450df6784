"""The training forward pass of LLaVA-NeXT over packed rows; to the model nothing is different.

Every row is a prefix with the picture and then segments. Two facts make it quicker than the stock
pass with a mask of the whole length: nothing in the prefix sees a segment, so its attention is
plain causal; and nobody reads what the last layer makes of the prefix.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb


def picture_features(model, features: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """What the decoder gets of the pictures, where they stand: [rows, prefix, hidden].

    Args:
        features: what the tower says of all tiles, [tiles, 64, width], without its class token.
        order: as `packing.Packer.batch` makes it: the stock model packs each picture by itself,
            some hundred small operations on a GPU.
    """
    inner = model.model
    patches = inner.multi_modal_projector(features).flatten(0, 1)
    return torch.cat([patches, inner.image_newline[None].to(patches.dtype)])[order]


def decode(
    decoder: nn.Module,
    embeds: torch.Tensor,
    positions: torch.Tensor,
    owner: torch.Tensor,
    prefix: int,
) -> torch.Tensor:
    """Hidden states of what follows the prefix: [rows, length - prefix, hidden].

    Args: as `packing.Packer.batch` makes them; `embeds` with the pictures in their places.
    """
    rope = decoder.rotary_emb(embeds, positions)
    seen = owner[:, None, prefix:, None] == owner[:, None, None, :]
    seen = seen | (owner[:, None, None, :] == 0)
    here = torch.arange(owner.shape[1], device=owner.device)
    mask = seen & (here[prefix:, None] >= here[None, :])
    hidden, last = embeds, len(decoder.layers) - 1
    for number, layer in enumerate(decoder.layers):
        start = prefix if number == last else 0
        hidden = _layer(layer, hidden, rope, mask, prefix, start)
    return decoder.norm(hidden)


def _layer(layer, hidden, rope, mask, prefix, start):
    """One layer; what comes before `start` is only looked at, and not returned."""
    attention = layer.self_attn
    normed = layer.input_layernorm(hidden)
    rows, length, _ = normed.shape
    shape = (rows, length, -1, attention.head_dim)
    queries = attention.q_proj(normed[:, start:]).view(rows, length - start, -1, shape[-1])
    queries = queries.transpose(1, 2)
    keys = attention.k_proj(normed).view(shape).transpose(1, 2)
    values = attention.v_proj(normed).view(shape).transpose(1, 2)
    cos, sin = rope
    _, keys = apply_rotary_pos_emb(keys, keys, cos, sin)
    queries, _ = apply_rotary_pos_emb(queries, queries, cos[:, start:], sin[:, start:])
    after = F.scaled_dot_product_attention(
        queries[:, :, prefix - start :], keys, values, attn_mask=mask
    )
    if not start:
        first = F.scaled_dot_product_attention(
            queries[:, :, :prefix], keys[:, :, :prefix], values[:, :, :prefix], is_causal=True
        )
        after = torch.cat([first, after], dim=2)
    mixed = attention.o_proj(after.transpose(1, 2).reshape(rows, length - start, -1))
    hidden = hidden[:, start:] + mixed
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))
