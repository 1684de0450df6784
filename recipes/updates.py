"""One update of the weights: by hand, or as one CUDA graph."""

from __future__ import annotations

import torch
from torch import nn

from recipes.optimizers import bfloat16_is_quick

BY_HAND = 3  # updates of each shape before it is captured


class Update:
    """Moves the weights by a batch.

    Args:
        trainee, stage: as in `recipes.loop.Run`.
        optimizers: as `recipes.optimizers.make_optimizers` makes them.
        device: where the trainee is.
    """

    def __init__(self, trainee: nn.Module, stage, optimizers: list, device: torch.device):
        self.trainee, self.stage = trainee, stage
        self.optimizers, self.device = optimizers, device
        self.learning = [p for p in trainee.parameters() if p.requires_grad]

    def __call__(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Gives what to log; it holds until the next call."""
        logs = self._work(
            {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        )
        self._forget()
        return logs

    def _work(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        kind = self.device.type
        # a graph must not hold casts of weights that were made before it
        with torch.autocast(
            kind, torch.bfloat16, enabled=bfloat16_is_quick(kind), cache_enabled=False
        ):
            loss, logs = self.trainee(batch, self.stage)
        loss.backward()
        nn.utils.clip_grad_norm_(self.learning, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        return {name: value.detach() for name, value in logs.items()}

    def _forget(self) -> None:
        for p in self.learning:
            p.grad = None


class Graphs(Update):
    """The same for batches of few shapes: after `BY_HAND` updates each is captured, and replayed
    from then on. A small model's update by hand is a thousand launches of kernels, and the GPU
    waits for them.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.pool = torch.cuda.graph_pool_handle()
        self.inputs: dict[tuple, dict[str, torch.Tensor]] = {}
        self.calls: dict[tuple, int] = {}
        self.graphs: dict[tuple, torch.cuda.CUDAGraph] = {}
        self.kept: dict[tuple, tuple] = {}  # what each graph writes: gradients, and what to log

    def __call__(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        shapes = tuple(value.shape for value in batch.values())
        if shapes not in self.inputs:
            self.calls[shapes] = 0
            self.inputs[shapes] = {
                name: torch.empty_like(value, device=self.device) for name, value in batch.items()
            }
        inputs = self.inputs[shapes]
        for name, value in batch.items():
            inputs[name].copy_(value, non_blocking=True)
        self.calls[shapes] += 1
        if self.calls[shapes] <= BY_HAND:
            return self._beside(inputs)
        if shapes not in self.graphs:
            self._capture(shapes, inputs)
        self.graphs[shapes].replay()
        return self.kept[shapes][1]

    def _beside(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """By hand, on a stream of its own, as CUDA asks before a capture."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            logs = self._work(inputs)
        current.wait_stream(side)
        self._forget()
        return logs

    def _capture(self, shapes: tuple, inputs: dict[str, torch.Tensor]) -> None:
        self._forget()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # other threads, such as the one that pins batches, go on with calls of their own
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            logs = self._work(inputs)
        self.graphs[shapes] = graph
        self.kept[shapes] = ([p.grad for p in self.learning], logs)
        self._forget()
