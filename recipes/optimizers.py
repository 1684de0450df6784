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


class Muon32(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) in float32, matrices of one shape orthogonalised together.

    `torch.optim.Muon` does the same in bfloat16, a matrix at a time. The rate is scaled so that an
    update is as large as AdamW's would be (Liu et al. 2025).
    """

    def __init__(self, groups, lr=1e-3, momentum=0.95, weight_decay=0.01, iterations=5):
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.iterations = iterations

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
            updates = orthogonal(torch.stack([row[2] for row in rows]), self.iterations)
            for (p, group, _, flat), update in zip(rows, updates):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                scale = 0.2 * max(height, width) ** 0.5
                p.add_(update.T if flat else update, alpha=-group["lr"] * scale)


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

    Each parameter is a group that knows its "peak" rate; what AdamW moves inside the layers has
    `ADAMW_AT_MOST`.

    Args:
        trainee: as in `recipes.loop.Run`.
        learns: the rate of each part that learns; only its parameters get gradients.
    """
    ends = {id(p) for p in trainee.ends()}
    matrices, others = [], []
    for name, rate in learns.items():
        for p in trainee.part(name):
            p.requires_grad_(True)
            if p.ndim == 2 and id(p) not in ends and min(p.shape) > 64:
                matrices.append({"params": [p], "lr": rate})
            else:
                most = rate if id(p) in ends else min(rate, ADAMW_AT_MOST)
                others.append({"params": [p], "lr": most})
    found = [torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.01, fused=True)]
    if matrices and bfloat16_is_quick(device):
        found.append(torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    elif matrices:
        found.append(Muon32(matrices, weight_decay=0.01))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return found
