"""`estimate`: the memory and the arithmetic of one training step, before any weight is loaded.

The step is really run, forwards and backwards, through the model's own code, but on fake tensors,
which have shapes and no contents: a model of seven billion parameters takes seconds and no memory.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode
from transformers.modeling_layers import GradientCheckpointingLayer

from vlm_helpers import _memory as memory
from vlm_helpers._words import first_line, number, whole_number
from vlm_helpers.loading import VLM, get_folder


@dataclass(frozen=True)
class Estimate:
    """What one step of training takes: memory in GiB, and floating-point operations.

    Attributes:
        weights: all of them, as they are held.
        gradients: of the parameters that learn.
        optimizer: the two states of AdamW, each in the parameter's own precision.
        activations: what the forward pass keeps for the backward pass.
        logits: what the loss works on, with all tokens at once; TRL does it in pieces, with less.
        parameters, trainable: how many there are, and how many learn.
        operations: of one step, forwards and backwards, an addition and a multiplication each.
        checkpointing: whether activations are computed once more instead of kept.
        left_out: what could not be counted, in a sentence, or "".
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    parameters: int
    trainable: int
    operations: float
    checkpointing: bool
    left_out: str = ""

    @property
    def total(self) -> float:
        """All of it, in GiB. The libraries' own buffers and fragmentation come on top."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits

    def seconds(self, speed: float) -> float:
        """Seconds a step, at `speed` operations a second, as they are really reached.

        A GPU reaches a third to a half of what its data sheet promises; measure one step.
        """
        return self.operations / number("speed", speed, above=0)

    def __str__(self) -> str:
        lines = [
            f"{self.parameters / 1e6:,.1f} M parameters, {self.trainable / 1e6:,.2f} M learn "
            f"({self.trainable / self.parameters:.2%})"
        ]
        for name in ("weights", "gradients", "optimizer", "activations", "logits", "total"):
            lines.append(f"{name:12}{getattr(self, name):8.2f} GiB")
        lines.append(f"{'a step':12}{self.operations / 1e12:8.2f} Tflop")
        lines.append(
            f"Activations are {'computed once more' if self.checkpointing else 'all kept'}: "
            f"checkpointing is {'on, as' if self.checkpointing else 'off; it is on'} by default in "
            "TRL."
        )
        return "\n".join([*lines, *([self.left_out] if self.left_out else [])])


def estimate(
    model: Any,
    *,
    dtype: Any = "bfloat16",
    quantization: str | None = None,
    lora: Any = None,
    tokens: int = 1024,
    batch_size: int = 1,
    pictures: int = 1,
    checkpointing: bool = False,
) -> Estimate:
    """What a step of training takes: its memory, part by part, and its operations.

    `model`: what `vh.load` takes, a configuration of transformers, or a model, whose parameters
    then learn as their `requires_grad` says, adapters included. It is not changed, and of one on
    the Hub only the configuration is fetched.
    `dtype`: of the weights, unless `model` is one already: "float32", "float16", "bfloat16", or
    torch's own. In the two short ones the step runs under autocast, as TRL runs it.
    `quantization`: None, "8bit" or "4bit", as in `vh.load`: of the matrices that do not learn.
    `lora`: None, so that all parameters learn; a rank, for adapters on all linear layers of the
    language model; or a `peft.LoraConfig`.
    `tokens`: of a row, image tokens included. `batch_size`: rows in a step on one device.
    `pictures`: in each row.
    `checkpointing`: keep of each layer only what goes into it, and compute the rest once more, as
    TRL does unless it is told not to (`gradient_checkpointing=False` in `SFTConfig`).

    The activations are those tensors that autograd saves (`saved_tensors_hooks`), the operations
    those of matrix products (`FlopCounterMode`). The sum is an upper bound: gradients come while
    activations go. On the pocket model it is 0 to 20% over the measured peak
    (`python -m recipes.training_step`). Pictures whose model asks for more than
    `pixel_values`, or for tiles, are left out, which the result then says; where the vision
    encoder is frozen it keeps no activations anyway.

    Raises `ValueError` for options that cannot be and for a model whose step cannot be run on
    shapes alone, and what `vh.load` raises for a model that is not to be found.
    """
    for name, value, least in (("tokens", tokens, 1), ("batch_size", batch_size, 1),
                               ("pictures", pictures, 0)):  # fmt: skip
        whole_number(name, value, least)
    memory.check_quantization(quantization)
    model = model.model if isinstance(model, VLM) else model
    if isinstance(model, torch.nn.Module):
        if lora is not None:
            raise ValueError(
                "lora is for a model that is built here: put the adapters on with "
                "peft.get_peft_model(model, …) first."
            )
        network = model
    else:
        network = _built(model, memory.dtype_name(dtype), lora)
    if hasattr(network, "get_base_model"):
        network = network.get_base_model()
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError("No parameter of this model learns: set requires_grad, or give lora.")
    name = type(network).__name__
    with _sentence(f"A step of {name} cannot be run on shapes alone, so measure a real one"):
        return _measure(network, quantization, tokens, batch_size, pictures, checkpointing)


@contextmanager
def _sentence(beginning: str) -> Iterator[None]:
    """Models of any kind run in here, so they may fail in any way."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{beginning}: {first_line(error)}") from error


def _built(model: Any, dtype: str, lora: Any) -> Any:
    """The model with its adapters, of shapes only."""
    _check_lora(lora)
    config = model
    if isinstance(model, str | Path):
        config = transformers.AutoConfig.from_pretrained(get_folder(model))
    kind = type(config).__name__
    with _sentence(f"No vision language model can be built from this {kind}"):
        with torch.device("meta"):
            network = transformers.AutoModelForImageTextToText.from_config(
                config, dtype=getattr(torch, dtype)
            )
    if lora is None:
        return network
    if not isinstance(lora, peft.PeftConfig):
        inside = set(network.get_decoder().modules()) - {network.get_output_embeddings()}
        if network in inside:
            raise ValueError(
                f"{type(network).__name__} does not say which part of it is the language model: "
                "give a peft.LoraConfig with target_modules as lora."
            )
        names = [
            name
            for name, module in network.named_modules()
            if isinstance(module, torch.nn.Linear) and module in inside
        ]
        lora = peft.LoraConfig(r=int(lora), target_modules=names)
    return peft.get_peft_model(network, lora)


def _check_lora(lora: Any) -> None:
    """Before a model is built for it."""
    if lora is None or isinstance(lora, peft.PeftConfig):
        return
    try:
        whole_number("lora", lora, 1)
    except ValueError:
        raise ValueError(
            f"lora must be a rank from 1 up or a peft.LoraConfig, not {lora!r}."
        ) from None


def _measure(
    network: Any,
    quantization: str | None,
    tokens: int,
    batch_size: int,
    pictures: int,
    checkpointing: bool,
) -> Estimate:
    with FakeTensorMode(allow_non_fake_inputs=True):
        inner = _shapes(network)
        parameters = dict(inner.named_parameters())
        learning = {name: p for name, p in parameters.items() if p.requires_grad}
        inner.train()
        short = torch.autocast("cpu", inner.dtype, enabled=inner.dtype != torch.float32)
        with torch.no_grad(), short:
            pixels = _pixels(inner, batch_size * pictures)
        saw = pixels is not None
        kept = _Kept(tokens, _vocabulary(inner))
        kept.ignore([*parameters.values(), *inner.buffers()])
        for module in inner.modules():
            if isinstance(module, GradientCheckpointingLayer):
                kept.watch(module)
        words = inner.get_input_embeddings().weight
        # What comes before the decoder passes gradients on where any of it learns.
        inside = {id(p) for p in inner.get_decoder().parameters()} - {id(words)}
        early = any(id(p) not in inside for p in learning.values())
        width = words.shape[1]
        embeds = torch.empty(batch_size, tokens, width, dtype=inner.dtype, requires_grad=early)
        labels = torch.zeros(batch_size, tokens, dtype=torch.long)
        with FlopCounterMode(display=False) as counter, short:
            kept.counter = counter
            with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
                speak, kinds = _speaker(inner), {}
                for name in inspect.signature(speak.forward).parameters:
                    if name in ("token_type_ids", "mm_token_type_ids"):  # some ask for them
                        kinds[name] = torch.zeros_like(labels)
                loss = speak(inputs_embeds=embeds, labels=labels, use_cache=False, **kinds).loss
                if saw and (features := _features(inner, pixels)).requires_grad:
                    loss = loss + features.float().sum() * 0
            loss.backward()
            operations = counter.get_total_flops()

    frozen = [
        memory.Tensor(name, "F32", tuple(p.shape))
        for name, p in parameters.items()
        if not p.requires_grad
    ]
    learning_gib = sum(p.nbytes for p in learning.values()) / memory.GIB
    if quantization:
        weights = learning_gib + memory.weights_gib(frozen, "float16", quantization)
    else:
        weights = sum(p.nbytes for p in parameters.values()) / memory.GIB
    activations = kept.outside + sum(kept.inside.values())
    if checkpointing:
        activations = (
            kept.outside + sum(kept.inputs.values()) + max(kept.inside.values(), default=0)
        )
        operations += sum(kept.operations.values())
    if quantization:  # a matrix is unpacked to 16 bits when its turn comes
        activations += 2 * max((p.numel() for p in parameters.values() if p.dim() == 2), default=0)
    return Estimate(
        weights=weights,
        gradients=learning_gib,
        optimizer=2 * learning_gib,
        activations=activations / memory.GIB,
        # Beside what is saved of them: the gradient of their logarithm, and their own.
        logits=(kept.logits + 2 * 4 * batch_size * tokens * _vocabulary(inner)) / memory.GIB,
        parameters=sum(p.numel() for p in parameters.values()),
        trainable=sum(p.numel() for p in learning.values()),
        operations=operations,
        checkpointing=checkpointing,
        left_out="" if saw or not pictures else (
            "The vision encoder is left out: it takes more than pixel values."
        ),
    )  # fmt: skip


def _shapes(model: Any) -> Any:
    """A copy of the model with shapes and no contents, so that nothing happens to the model."""
    empty: dict[int, Any] = {}
    for tensor in [*model.parameters(), *model.buffers()]:
        fake = torch.empty(tensor.shape, dtype=tensor.dtype)
        if isinstance(tensor, torch.nn.Parameter):
            fake = torch.nn.Parameter(fake, requires_grad=tensor.requires_grad)
        empty[id(tensor)] = fake
    copied = copy.deepcopy(model, empty)
    for module in copied.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.gradient_checkpointing = False  # what it saves is reckoned here
        # Trainers and device maps wrap `forward` on the object; the wrapper holds the original's.
        module.__dict__.pop("forward", None)
    return copied


def _speaker(model: Any) -> Any:
    """What takes embeddings and gives a loss: the model, or a whole language model inside it."""
    return next(
        (
            module
            for module in model.modules()
            if module is not model
            and isinstance(module, transformers.PreTrainedModel)
            and module.get_output_embeddings() is not None
        ),
        model,
    )


def _features(model: Any, pixels: Any) -> Any:
    """What the decoder would get of the pictures."""
    found = model.get_image_features(pixels, return_dict=True).pooler_output
    return torch.cat(list(found)) if isinstance(found, tuple | list) else found


def _vocabulary(model: Any) -> int:
    return model.get_output_embeddings().weight.shape[0]


def _pixels(model: Any, number: int) -> Any:
    """Pictures of the size that the vision encoder takes, or None where that is not enough."""
    size = getattr(getattr(model.config, "vision_config", None), "image_size", None)
    if not number or not isinstance(size, int):
        return None
    pixels = torch.empty(number, 3, size, size, dtype=model.dtype)
    try:
        _features(model, pixels)
    except Exception:  # pictures in tiles, with a grid, with a question: each model fails its way
        return None
    return pixels


class _Kept:
    """Bytes that autograd saves: of each layer, of the logits, and of everything else."""

    def __init__(self, tokens: int, vocabulary: int):
        self.tokens, self.vocabulary = tokens, vocabulary
        self.inside: dict[Any, float] = {}
        self.inputs: dict[Any, float] = {}
        self.operations: dict[Any, float] = {}
        self.outside = self.logits = 0.0
        self.counter: Any = None
        self._layer: Any = None
        self._seen: dict[int, Any] = {}  # storages, held so that none of their numbers comes twice

    def ignore(self, tensors: Any) -> None:
        """Tensors that are counted elsewhere: the weights."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self._seen[storage._cdata] = storage

    def watch(self, layer: Any) -> None:
        def before(module: Any, args: tuple, kwargs: dict) -> None:
            self._layer = module
            first = next(a for a in [*args, *kwargs.values()] if isinstance(a, torch.Tensor))
            self.inputs[module] = first.numel() * first.element_size()
            self.operations[module] = -self.counter.get_total_flops()

        def after(module: Any, args: tuple, output: Any) -> None:
            self._layer = None
            self.operations[module] += self.counter.get_total_flops()
            if module not in self.inside:  # frozen, with nothing before it that learns
                self.inputs[module] = self.operations[module] = 0

        layer.register_forward_pre_hook(before, with_kwargs=True)
        layer.register_forward_hook(after)

    def pack(self, tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        mask = tensor.dim() == 4 and tuple(tensor.shape[1:]) == (1, self.tokens, self.tokens)
        if storage._cdata in self._seen or mask:  # masks like this are made for fake tensors only
            return tensor
        self._seen[storage._cdata] = storage
        if self._layer is not None:
            self.inside[self._layer] = self.inside.get(self._layer, 0) + storage.nbytes()
        elif tensor.shape[-1:] == (self.vocabulary,):
            self.logits += storage.nbytes()
        else:
            self.outside += storage.nbytes()
        return tensor
