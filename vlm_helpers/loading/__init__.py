"""Loading a vision language model, the embedded one or any other.

`load` finds a checkpoint, checks it before it costs anything, and gives a `VLM`: the plain `model`
and `processor` of transformers, with `ask`, `chat` and `stream` on top. Nothing is hidden: the
same two objects can be used directly, and `VLM(model, processor)` wraps any pair that is at hand,
for instance after training.

    vlm = vh.load()                                            # the pocket model
    vlm = vh.load("llava-hf/llava-v1.6-mistral-7b-hf")         # one on the Hub
    vlm.ask(picture, "What is this?")
"""

from __future__ import annotations

import importlib.util
import json
import math
import numbers
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vlm_helpers import _memory as memory
from vlm_helpers.loading import _checkpoints as checkpoints
from vlm_helpers.loading._checkpoints import Checkpoint, pocket_folder
from vlm_helpers.loading._hub import first_line, is_commit
from vlm_helpers.loading._vlm import VLM, Card, describe
from vlm_helpers.pictures import to_rgb

__all__ = ["VLM", "Card", "estimate_memory", "load", "pocket_folder", "to_rgb"]

_LOADING = threading.RLock()


def load(
    model: str | Path | None = None,
    *,
    device: Any = "auto",
    dtype: Any = "auto",
    quantization: str | None = None,
    adapter: str | Path | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> VLM:
    """A vision language model, ready to be asked, in evaluation mode.

    `model`: None for `$VLM_MODEL` or else the pocket model; `"pocket-llava"` or
    `"pocket-llava-base"` for one of the two that come with the course; a folder; an id on the Hub.
    `device`: "auto" (CUDA, else MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps".
    `dtype`: "auto", "float32", "float16", "bfloat16" or the torch dtype. "auto" is bfloat16 on a
    GPU of compute capability 8.0 or more, float16 on an older one, on MPS and with "8bit", float32
    on a CPU.
    `quantization`: None, "8bit" or "4bit", by bitsandbytes on an NVIDIA GPU.
    `adapter`: the folder or Hub id of a LoRA adapter that was trained on this model.
    `revision`: a branch, tag or commit on the Hub.
    `trust_remote_code`: run the code that a model on the Hub brings; only together with `revision`
    as the 40 digits of the commit whose code you have read.

    Only safetensors weights are opened. Before weights are downloaded or loaded, the configuration
    is checked, and the memory they need is compared with what is free.

    Raises `FileNotFoundError` (no such folder, model, revision or file), `PermissionError` (gated),
    `ConnectionError` (not cached, and no network), `OSError` (damaged, cut short, or weights that
    the configuration does not fit: too few, of other shapes, of more layers), `ValueError` (not a
    vision language model, or arguments that cannot be met here), `TypeError` (no name and no
    folder), `ImportError` (a library is missing) and `MemoryError` (it will not fit): each one
    sentence. Weights that the model has no place for otherwise are left out, with a warning.
    """
    if trust_remote_code and not is_commit(revision):
        raise ValueError(
            "trust_remote_code=True runs a stranger's code, so it goes only with revision= the 40 "
            "digits of the commit whose code you have read."
        )
    if model is None:
        model = os.environ.get("VLM_MODEL") or checkpoints.POCKET[0]
    if not isinstance(model, (str, Path)):
        raise TypeError(
            f"model must be a name or a folder, not {type(model).__name__}: for a model that is "
            "loaded already there is VLM(model, processor)."
        )
    if adapter is not None:
        checkpoints.check_name(adapter, "adapter")
    device = pick_device(device)
    dtype = pick_dtype(dtype, device, quantization)
    check_quantization(quantization, device)
    with quiet():
        found = checkpoints.find(model, revision)
        checkpoints.check_is_vlm(found, trust_remote_code)
        if found.commit:
            checkpoints.fetch_small(found, code=trust_remote_code)
        checkpoints.check_processor(found)
        tensors = checkpoints.read_tensors(found)
        memory.check_fits(found.name, tensors, device, dtype, quantization)
        if found.commit:
            checkpoints.fetch_weights(found)
            checkpoints.read_tensors(found)  # what came down is whole
        # False, because without a word transformers would stop and ask; and code that may run
        # stays at the commit that was read.
        code: dict[str, Any] = {"trust_remote_code": trust_remote_code}
        if trust_remote_code:
            code["code_revision"] = revision
        processor = _processor(found, code)
        network = _network(found, device, dtype, quantization, code)
        if adapter is not None:
            network = _with_adapter(network, adapter, found)
        card = describe(
            network,
            processor,
            name=found.name,
            dtype=quantization or dtype,
            bytes=sum((found.folder / n).stat().st_size for n in checkpoints.weight_names(found)),
            revision=found.commit,
            adapter=None if adapter is None else str(adapter),
        )
    return VLM(network, processor, card)


def estimate_memory(
    model_or_params: str | Path | float, dtype: str = "float16", quantization: str | None = None
) -> float:
    """GiB of memory to have free for a model and one question at a time.

    `model_or_params`: a number of parameters, such as `7e9`, or what `load` takes: then the
    headers of its weights are read, which on the Hub costs about 100 kB a file.

    The formula: weights * 1.1 + 0.25 GiB, the weights being parameters times 4 bytes in float32,
    2 in float16 and bfloat16. "8bit" takes 1 byte and "4bit" 0.53 for a parameter of the matrices
    that are quantised, 2 for the rest: embeddings and the output layer, or a tenth of all where
    only the number of parameters is given.

    Raises `ValueError` and `TypeError` for arguments that cannot be, and what `load` raises for
    a model that cannot be found or read.
    """
    dtype = memory.dtype_name(dtype)
    memory.check_quantization(quantization)
    if isinstance(model_or_params, (str, Path)):
        with quiet():
            found = checkpoints.find(model_or_params)
            tensors = checkpoints.read_tensors(found)
        return memory.with_allowance(memory.weights_gib(tensors, dtype, quantization))
    if not isinstance(model_or_params, numbers.Real):
        raise TypeError(
            "estimate_memory takes a number of parameters, such as 7e9, or the name or folder of a "
            f"model, not {model_or_params!r}."
        )
    if isinstance(model_or_params, bool) or not 0 < model_or_params < math.inf:
        raise ValueError(f"The number of parameters must be positive, not {model_or_params!r}.")
    return memory.with_allowance(memory.parameters_gib(model_or_params, dtype, quantization))


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
            f"device={device!r} is none that can be used: 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        )
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(mps)}[wanted.type]
    if (wanted.index or 0) >= there:
        raise ValueError(
            f"device='{wanted}' is not on this machine, where torch sees {there} of type "
            f"{wanted.type}: use device='auto'."
        )
    return str(wanted)


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
    """Raises unless the quantisation asked for can be had on this device."""
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


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no warnings of transformers and the Hub's client while a model loads.

    What matters among them `load` checks itself. Only what stands at its default is changed, and
    everything is put back; the lock keeps threads from putting back each other's state.
    """
    from huggingface_hub import utils as hub_utils
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    with _LOADING:
        levels = [(log, log.get_verbosity()) for log in (logging, hub_logging)]
        bars, hub_bars = logging.is_progress_bar_enabled(), hub_utils.are_progress_bars_disabled()
        try:
            for log, level in levels:
                if level == logging.WARNING:
                    log.set_verbosity_error()
            if bars:
                logging.disable_progress_bar()
            with warnings.catch_warnings():
                # Libraries that have not followed each other's renames yet, and what peft says of
                # adapters that do not fit.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.filterwarnings("ignore", module="peft")
                yield
        finally:
            for log, level in levels:
                log.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()
                if hub_bars:
                    hub_utils.disable_progress_bars()


def _processor(found: Checkpoint, code: dict[str, Any]) -> Any:
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(found.folder, **code)
    except ImportError as error:
        raise ImportError(
            f"The processor of {found.name} needs a library that is missing, often torchvision; "
            f"`pip install 'vlm-helpers[gpu]'` brings it: {first_line(error)}"
        ) from error
    except Exception as error:  # files of any content are parsed here
        raise OSError(
            f"The processor of {found.name} could not be loaded: {first_line(error)}"
        ) from error
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise OSError(
            f"{found.name} has no whole processor, only a {type(processor).__name__}: save one "
            "beside the model with processor.save_pretrained(folder)."
        )
    return processor


def _network(
    found: Checkpoint, device: str, dtype: str, quantization: str | None, code: dict[str, Any]
) -> Any:
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    options = dict(code)
    if device != "cpu":
        options["device_map"] = {"": device}
    if quantization == "8bit":
        options["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    elif quantization == "4bit":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
    try:
        network, report = AutoModelForImageTextToText.from_pretrained(
            found.folder,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
    except torch.OutOfMemoryError:
        raise MemoryError(
            f"{found.name} did not fit on {device} after all: free memory there, for instance by "
            "restarting other notebooks, or take a smaller model or quantization='4bit'."
        ) from None
    except ImportError as error:
        raise ImportError(
            f"{found.name} needs a library that is missing: {first_line(error)}"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise OSError(f"{found.name} could not be loaded: {first_line(error)}") from error
    # transformers would fill these with random numbers, and warn.
    other_shapes = [key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]]
    for names, what in ((other_shapes, "of another shape"), (report["missing_keys"], "missing")):
        if names:
            raise OSError(
                f"The weights of {found.name} do not fit its config.json: {len(names)} tensors are "
                f"{what}, the first is {min(names)}."
            )
    # Those that transformers knows to be harmless it has taken out of the report already.
    if extra := sorted(report["unexpected_keys"]):
        told = _too_many(found, extra)
        # A layer more than the model has is a model cut short; what it never had may be anything.
        if {_pattern(name) for name in extra} & {_pattern(name) for name in network.state_dict()}:
            raise OSError(
                f"{told}. The config.json is probably that of a smaller model, with fewer layers, "
                "or was edited: take the one saved with the weights."
            )
        warnings.warn(f"{told}, and were left out.", stacklevel=3)
    if found.commit:
        # An adapter or a model card that is made of it names the model, not a folder in a cache.
        network.name_or_path = network.config._name_or_path = found.name
    return network


def _pattern(name: str) -> str:
    """The name of a tensor without its numbers."""
    return re.sub(r"\d+", "*", name)


def _too_many(found: Checkpoint, names: list[str]) -> str:
    shared = os.path.commonprefix(names).rpartition(".")[0]
    where = f", all in {shared}.*" if shared and len(names) > 1 else ""
    return (
        f"The weights of {found.name} do not fit its config.json: {len(names)} tensors have no "
        f"place in the model{where}, the first is {names[0]}"
    )


def _with_adapter(network: Any, adapter: str | Path, found: Checkpoint) -> Any:
    from peft import PeftModel, get_peft_model_state_dict

    folder = checkpoints.find_adapter(adapter)
    names = {tensor.name for tensor in checkpoints.read_header(folder / checkpoints.ADAPTER)}
    config = folder / "adapter_config.json"
    try:
        base = str(json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError):
        raise OSError(f"{config} is damaged: it names no base model.") from None
    misfit = (
        f"The adapter {adapter} was trained on {base}, and does not fit {found.name}: load that "
        "model with it."
    )
    # A folder may have been moved since; the names of the Hub and of the course stay.
    here, there = found.name, base
    if there.replace("\\", "/").rpartition("/")[2] in checkpoints.POCKET:
        here, there = found.folder.name, there.replace("\\", "/").rpartition("/")[2]
    elif not (found.commit and re.fullmatch(r"[\w.-]+/[\w.-]+", there)):
        there = here
    if here != there:
        raise ValueError(misfit)
    try:
        adapted = PeftModel.from_pretrained(network, folder)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(f"{misfit} ({first_line(error)})") from error
    # The names in the file are those of the model; new embeddings may come with them.
    wanted = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    if wanted - names or any("embed" not in n and "lm_head" not in n for n in names - wanted):
        raise ValueError(misfit)
    return adapted
