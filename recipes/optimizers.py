"""Optimizers and arithmetic that suit the machine."""

from __future__ import annotations

import time
from functools import cache

import torch


@cache
def bfloat16_is_quick(device: str) -> bool:
    """Whether products in bfloat16 take no longer than in float32: measured once.

    Processors with a matrix unit, and GPUs, are many times quicker in bfloat16; those without any
    instruction for it imitate it, a hundred times slower.
    """
    if device != "cpu":
        return True
    spent = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(256, 256, dtype=dtype)
        a @ a
        start = time.perf_counter()
        for _ in range(3):
            a @ a
        spent[dtype] = time.perf_counter() - start
    return spent[torch.bfloat16] <= spent[torch.float32]


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024), matrices of one shape orthogonalised together.

    `torch.optim.Muon` does the same a matrix at a time, in bfloat16 only. Rates may be tensors: a
    CUDA graph is replayed with what they hold then. A rate is scaled so that an update is as large
    as AdamW's would be (Liu et al. 2025).

    Args:
        dtype: of the products that orthogonalise.
    """

    def __init__(self, groups, lr=1e-3, momentum=0.95, weight_decay=0.01, *, dtype=torch.float32):
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure=None):
        shapes: dict[tuple, list] = {}
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                momentum = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(momentum, group["momentum"])
                flat = p.shape[0] > p.shape[1]
                update = update.T if flat else update
                shapes.setdefault(tuple(update.shape), []).append((p, group, update, flat))
        for (height, width), rows in shapes.items():
            updates = orthogonal(torch.stack([row[2] for row in rows]).to(self.dtype), 5)
            for (p, group, _, flat), update in zip(rows, updates):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                scale = 0.2 * max(height, width) ** 0.5
                p.sub_((update.T if flat else update) * (group["lr"] * scale))


def orthogonal(x: torch.Tensor, iterations: int) -> torch.Tensor:
    """Newton-Schulz: matrices [n, height, width] with their singular values brought near one."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


ADAMW_AT_MOST = 1.5e-3  # inside the layers: larger steps of norms and biases undo what Muon learns


def make_optimizers(trainee, learns: dict[str, float], device: str) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest.

    The parameters of a group share a "peak" rate; what AdamW moves inside the layers has at most
    `ADAMW_AT_MOST`. The rates are tensors: set them by `set_rates`.

    Args:
        trainee: as in `recipes.loop.Run`.
        learns: the rate of each part that learns; only its parameters get gradients.
        device: where the parameters are.
    """
    ends = {id(p) for p in trainee.ends()}
    matrices, others = {}, {}
    for name, rate in learns.items():
        for p in trainee.part(name):
            p.requires_grad_(True)
            if p.ndim == 2 and id(p) not in ends and min(p.shape) > 64:
                matrices.setdefault(rate, []).append(p)
            else:
                most = rate if id(p) in ends else min(rate, ADAMW_AT_MOST)
                others.setdefault(most, []).append(p)

    def groups(by_rate):
        return [
            {"params": ps, "peak": rate, "lr": torch.tensor(rate, device=device)}
            for rate, ps in by_rate.items()
        ]

    on_gpu = torch.device(device).type == "cuda"
    found = [
        torch.optim.AdamW(
            groups(others), betas=(0.9, 0.98), weight_decay=0.01, fused=True, capturable=on_gpu
        )
    ]
    if matrices:
        # a GPU has TF32 for float32; a processor that is quick in bfloat16 has nothing alike
        low = not on_gpu and bfloat16_is_quick(device)
        dtype = torch.bfloat16 if low else torch.float32
        found.append(Muon(groups(matrices), weight_decay=0.01, dtype=dtype))
    return found


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Sets every rate to so much of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"].fill_(group["peak"] * factor)


def restore(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Gives it a `state_dict()` of before. The groups stay its own: theirs are the rates of this
    stage, on this device."""
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": own})
