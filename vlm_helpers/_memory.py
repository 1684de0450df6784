"""How much memory a checkpoint needs, and how much there is, before anything is loaded.

The estimate, in GiB, for one question at a time:

    need = weights * 1.1 + 0.25

`weights` are parameters times bytes: 4 in float32, 2 in float16 and bfloat16. In 8 and 4 bits,
bitsandbytes keeps embeddings and the output layer in 16 bits and quantises the other matrices to
1 and 0.53 bytes a parameter (0.5, and the scales of each block). Where only a number of parameters
is known, a tenth is taken to stay in 16 bits. The tenth on top and the quarter of a GiB are for
the activations, the KV cache of one prompt and the libraries' own buffers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from vlm_helpers._words import choice

GIB = 2**30
BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
SHORT = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
QUANTIZED_BYTES = {"8bit": 1.0, "4bit": 0.53}
KEPT = 0.1  # the part that stays in 16 bits, where the shapes are not known
# What is this small is never refused: the figures for free memory are no better than that.
TRIFLE = 0.5


class Tensor(NamedTuple):
    """One tensor as a safetensors header describes it."""

    name: str
    dtype: str  # as the format writes it: F32, BF16, I32, …
    shape: tuple[int, ...]


def dtype_name(dtype: Any) -> str:
    """The precision by its name in torch: of "bf16", "bfloat16" or `torch.bfloat16`."""
    name = str(dtype).removeprefix("torch.")
    name = SHORT.get(name, name)
    return name if name in BYTES else choice("dtype", dtype, BYTES)


def check_quantization(quantization: Any) -> None:
    """Raises `ValueError` unless it is None or one that bitsandbytes knows."""
    choice("quantization", quantization, (None, *QUANTIZED_BYTES))


def weights_gib(tensors: Iterable[Tensor], dtype: str, quantization: str | None = None) -> float:
    """GiB of memory for the weights once they are loaded as `dtype` or quantised."""
    total = 0.0
    for name, stored, shape in tensors:
        if stored not in ("F64", "F32", "F16", "BF16"):
            # Already quantised by its author: such tensors stay as they are.
            size = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}.get(stored, 1)
        elif quantization is None:
            size = BYTES[dtype]
        elif len(shape) == 2 and "embed" not in name and "lm_head" not in name:
            size = QUANTIZED_BYTES[quantization]
        else:
            size = 2.0
        total += math.prod(shape) * size
    return total / GIB


def parameters_gib(parameters: float, dtype: str, quantization: str | None = None) -> float:
    """`weights_gib` where nothing but the number of parameters is known."""
    each = BYTES[dtype]
    if quantization is not None:
        each = QUANTIZED_BYTES[quantization] * (1 - KEPT) + 2.0 * KEPT
    return parameters * each / GIB


def with_allowance(weights: float) -> float:
    """GiB to have free for so many GiB of weights."""
    return weights * 1.1 + 0.25


def free_memory(device: str) -> float:
    """GiB free on `device` ("cpu", "cuda", "cuda:1", "mps")."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0] / GIB
    system, container = psutil.virtual_memory().available, _container_free()
    return (system if container is None else min(system, container)) / GIB


def _container_free(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container may still take: on Binder 2 GB, where the machine has a hundred."""
    for limit, usage, stat in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        try:
            allowed = int((root / limit).read_text())
            used = int((root / usage).read_text())
            lines = (root / stat).read_text().splitlines()
        except (OSError, ValueError):  # not there, or "max": no limit
            continue
        # Files read lately are counted as used, and given back when memory is wanted.
        cached = dict(line.split() for line in lines).get("inactive_file", "0")
        return max(0, allowed - used + int(cached))
    return None


def check_fits(
    name: str, tensors: list[Tensor], device: str, dtype: str, quantization: str | None
) -> None:
    """Raises `MemoryError`, saying what would fit, if the checkpoint will not fit on `device`."""
    need = with_allowance(weights_gib(tensors, dtype, quantization))
    free = free_memory(device)
    if need <= free or need <= TRIFLE:
        return
    form = f"in {quantization}" if quantization else f"in {dtype}"
    if device.startswith("cuda"):
        others = [(dtype, q, f"quantization={q!r}") for q in QUANTIZED_BYTES]
    else:
        others = [("bfloat16", None, "dtype='bfloat16'")]
    options = []
    for other_dtype, other_quantization, words in others:
        amount = with_allowance(weights_gib(tensors, other_dtype, other_quantization))
        if amount <= free and amount < need:
            options.append(f"{words} (about {amount:.1f} GiB)")
    options.append("a smaller model")
    raise MemoryError(
        f"{name} needs about {need:.1f} GiB {form} on {device}, and {free:.1f} GiB are free. "
        f"What would fit: {', '.join(options)}, or the pocket model, vh.load()."
    )
