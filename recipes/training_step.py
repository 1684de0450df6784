"""What a step of training takes, measured, beside what `vh.training.estimate` says of it.

    python -m recipes.training_step              the pocket model, on this machine
    python -m recipes.training_step --large      on CUDA also a LLaVA of 7 B random parameters

On CUDA the peak is torch's own figure; on a CPU it is the most bytes that tensors held at once.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import vlm_helpers as vh

TOKENS, ROWS = 96, 8
GIB = 2**30


class Peak(TorchDispatchMode):
    """The most bytes that tensors held at once, those of `before` included: `.most`."""

    def __init__(self, before: Iterable[torch.Tensor]):
        super().__init__()
        self.most = 0
        self._alive: dict[StorageWeakRef, int] = {}
        for tensor in before:
            self._add(tensor)

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self._alive.setdefault(StorageWeakRef(storage), storage.nbytes())

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, tuple | list) else [found]:
            if isinstance(tensor, torch.Tensor):
                self._add(tensor)
        self._alive = {ref: size for ref, size in self._alive.items() if not ref.expired()}
        self.most = max(self.most, sum(self._alive.values()))
        return found


def step(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    """Forwards and backwards."""
    model.zero_grad(set_to_none=True)
    short = torch.autocast(model.device.type, model.dtype, enabled=model.dtype != torch.float32)
    with short:
        loss = model(**inputs, use_cache=False).loss
    loss.backward()


def peak_and_operations(model: Any, inputs: dict[str, torch.Tensor]) -> tuple[float, int]:
    """Of a step once AdamW has its states: the peak in GiB, and the operations."""
    model.train()
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, foreach=False)
    for parameter in learning:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    model.zero_grad(set_to_none=True)
    states = [tensor for state in optimizer.state.values() for tensor in state.values()]
    before = [*model.parameters(), *model.buffers(), *states, *inputs.values()]
    cuda = model.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(model.device)
    peak = contextlib.nullcontext() if cuda else Peak(before)
    with peak:
        step(model, inputs)
    most = torch.cuda.max_memory_allocated(model.device) if cuda else peak.most
    with FlopCounterMode(display=False) as counter:  # apart: it keeps tensors for itself
        step(model, inputs)
    return most / GIB, counter.get_total_flops()


def seconds(model: Any, inputs: dict[str, torch.Tensor]) -> float:
    """Of a step, the least of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        step(model, inputs)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        times.append(time.perf_counter() - began)
    return min(times)


def speed(device: str, dtype: torch.dtype, side: int = 2048) -> float:
    """Operations a second that products of square matrices reach on `device`."""
    one = torch.randn(side, side, device=device, dtype=dtype)
    times = []
    for _ in range(8):
        began = time.perf_counter()
        one @ one
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times)


def only(model: Any, pattern: str) -> Any:
    """The model with all but the parameters that match frozen."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(bool(re.search(pattern, name)))
    return model


def with_lora(model: Any) -> Any:
    import peft

    return peft.get_peft_model(
        model, peft.LoraConfig(r=16, target_modules=r".*language_model.*_proj")
    )


WAYS = {
    "everything": lambda model: only(model, ""),
    "projector": lambda model: only(model, "projector"),
    "decoder": lambda model: only(model, "language_model|lm_head"),
    "LoRA, rank 16": with_lora,
}


def pocket(device: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """The pocket model, and eight rows of 96 tokens with a picture each."""
    model = vh.load("pocket-llava", device=device, dtype="float32").model
    ids = torch.full((ROWS, TOKENS), 5, device=device)
    ids[:, 1:65] = model.config.image_token_id
    pixels = torch.zeros(ROWS, 3, 96, 96, device=device)
    return model, {"input_ids": ids, "pixel_values": pixels, "labels": ids}


def large(device: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """LLaVA-1.5's shapes with random weights in bfloat16, and a row of 700 tokens."""
    import transformers

    config = transformers.LlavaConfig()
    with torch.device(device):
        model = transformers.AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    ids = torch.full((1, 700), 5, device=device)
    ids[:, 1:577] = config.image_token_id
    pixels = torch.zeros(1, 3, 336, 336, device=device, dtype=torch.bfloat16)
    return model, {"input_ids": ids, "pixel_values": pixels, "labels": ids}


def rows(device: str, with_large: bool = False) -> Iterator[tuple]:
    """(what learns, estimate and peak in GiB, operations estimated and counted, seconds)."""
    jobs = [("pocket-llava", pocket, way) for way in WAYS]
    if with_large:
        jobs.append(("7 B", large, "LoRA, rank 16"))
    for name, make, way in jobs:
        for checkpointing in (False, True):
            model, inputs = make(device)
            model = WAYS[way](model)
            if checkpointing:
                model.gradient_checkpointing_enable({"use_reentrant": False})
                model.enable_input_require_grads()
            most, operations = peak_and_operations(model, inputs)
            took = seconds(model, inputs)
            batch, tokens = inputs["input_ids"].shape
            found = vh.training.estimate(
                model, tokens=tokens, batch_size=batch, checkpointing=checkpointing
            )
            label = f"{name}, {way}{', checkpointing' if checkpointing else ''}"
            yield label, found.total, most, found.operations, operations, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="a LLaVA of 7 B parameters as well")
    asked = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if asked.large and device == "cpu":
        parser.error("--large needs a CUDA GPU with 20 GiB free.")
    top = speed(device, torch.float32)
    print(f"Matrix products on this {device}: {top / 1e12:.3f} Tflop/s in float32\n")
    print(
        "| what learns | estimate, GiB | peak, GiB | ratio | Gflop estimated | counted | seconds |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, total, most, estimated, counted, seconds in rows(device, asked.large):
        print(
            f"| {name} | {total:.3f} | {most:.3f} | {total / most:.2f} | "
            f"{estimated / 1e9:.1f} | {counted / 1e9:.1f} | {seconds:.2f} |"
        )


if __name__ == "__main__":
    main()
