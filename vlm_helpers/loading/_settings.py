"""The device and the precision a model is loaded on and in, and whether they can be had here."""

from __future__ import annotations

import importlib.util
from typing import Any

from vlm_helpers import _memory as memory


def pick_device(device: Any = "auto") -> str:
    """The device as a string, once it is known to be there."""
    import torch

    mps = torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        wanted = torch.device(device) if isinstance(device, (str, torch.device)) else None
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda", "mps"):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps', not {device!r}."
        )
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(mps)}[wanted.type]
    if (wanted.index or 0) >= there:
        raise ValueError(
            f"This machine has no device '{wanted}': torch sees {there} of type {wanted.type}, so "
            "use device='auto'."
        )
    return str(wanted) if wanted.type == "cuda" else wanted.type  # of the others there is one


def pick_dtype(dtype: Any, device: str, quantization: str | None = None) -> str:
    """The precision by its name in torch, chosen from what the device really does well."""
    import torch

    if device.startswith("cuda"):
        # torch.cuda.is_bf16_supported() says yes on a T4, where bfloat16 is emulated.
        capability = torch.cuda.get_device_capability(device)
    if dtype == "auto":
        if quantization == "8bit":
            return "float16"  # what the 8-bit matrices compute in; others are cast, with a warning
        if device == "cpu":
            # Most CPUs only emulate 16 bits, slowly; and in 32 the answers are the same everywhere.
            return "float32"
        if device == "mps":
            return "float16"
        return "bfloat16" if capability >= (8, 0) else "float16"
    name = memory.dtype_name(dtype)
    if name == "bfloat16" and device.startswith("cuda") and capability < (8, 0):
        raise ValueError(
            f"{torch.cuda.get_device_name(device)} has compute capability "
            f"{capability[0]}.{capability[1]}, and bfloat16 needs 8.0: use dtype='float16'."
        )
    return name


def check_quantization(quantization: str | None, device: str) -> None:
    """Raises unless that quantisation can be had on this device."""
    memory.check_quantization(quantization)
    if quantization is None:
        return
    if not device.startswith("cuda"):
        raise ValueError(
            f"quantization={quantization!r} needs an NVIDIA GPU, and the device is {device}: leave "
            "it out, or take a smaller model."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ImportError(
            f"quantization={quantization!r} needs bitsandbytes: install the extra, "
            "`pip install 'vlm-helpers[gpu]'`."
        )
