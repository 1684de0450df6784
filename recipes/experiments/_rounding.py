"""pocket-llava with fewer bits: its weights rounded, or everything that it computes."""

from __future__ import annotations

import copy

import torch

import vlm_helpers as vh
from recipes.experiments import _asking


def round_weights(model: torch.nn.Module, bits: int, group: int | None = None, only: str = ""):
    """Rounds, in place, the linear layers with `only` in their name; gives the model back.

    An adapter's own matrices, which LoRA puts beside a layer, stay as they are.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and only in name and "lora_" not in name:
            weight = layer.weight.data  # [out, in]
            blocks = weight.reshape(-1, group or weight.shape[1])
            scale = blocks.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
            layer.weight.data = ((blocks / scale).round() * scale).view_as(weight)
    return model


def rounded(bits: int, group: int | None = None, only: str = ""):
    """The model with weights rounded, as `round_weights` does it."""
    vlm = _asking.model()
    return vh.VLM(round_weights(copy.deepcopy(vlm.model), bits, group, only), vlm.processor)


def half(dtype: torch.dtype):
    """The model with what every module computes rounded to `dtype`."""
    vlm = _asking.model()
    model = copy.deepcopy(vlm.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))

    def rounding(module, args, output):
        return output.to(dtype).float() if isinstance(output, torch.Tensor) else output

    for module in model.modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(rounding)
    return vh.VLM(model, vlm.processor)


def torch_int8():
    from torch.ao.quantization import quantize_dynamic

    vlm = _asking.model()
    return vh.VLM(quantize_dynamic(vlm.model, {torch.nn.Linear}, torch.qint8), vlm.processor)
