"""`load`: from a name to a model that can be asked, everything checked before it costs anything."""

from __future__ import annotations

import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vlm_helpers import _memory as memory
from vlm_helpers._words import as_number, first_line, number
from vlm_helpers.loading import _adapters as adapters
from vlm_helpers.loading import _checkpoints as checkpoints
from vlm_helpers.loading import _hub as hub
from vlm_helpers.loading import _weights as weights
from vlm_helpers.loading._card import describe
from vlm_helpers.loading._checkpoints import Checkpoint
from vlm_helpers.loading._settings import check_quantization, pick_device, pick_dtype
from vlm_helpers.loading._vlm import VLM

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

    `model`: None for `$VLM_MODEL` or else `"pocket-llava"`; one of `SHIPPED`, which come with the
    course; a folder; an id on the Hub.
    `device`: "auto" (CUDA, else MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps".
    `dtype`: "auto", "float32", "float16", "bfloat16" or the torch dtype. "auto" is bfloat16 on a
    GPU of compute capability 8.0 or more, float16 on an older one, on MPS and with "8bit", float32
    on a CPU.
    `quantization`: None, "8bit" or "4bit", by bitsandbytes on an NVIDIA GPU.
    `adapter`: the folder or Hub id of a LoRA adapter that was trained on this model. The tokenizer,
    processor and chat template that were saved beside it take the place of the model's.
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
    sentence. Warns of weights that the model has no place for otherwise, of an adapter that lies
    beside the weights, and of one that was trained on another folder.
    """
    if trust_remote_code and not hub.is_commit(revision):
        raise ValueError(
            "trust_remote_code=True runs a stranger's code, so it goes only with revision= the 40 "
            "digits of the commit whose code you have read."
        )
    if model is None:
        model = os.environ.get("VLM_MODEL") or "pocket-llava"
    if not isinstance(model, (str, Path)):
        raise TypeError(
            f"model must be a name or a folder, not {type(model).__name__}: for a model that is "
            "loaded already there is VLM(model, processor)."
        )
    device = pick_device(device)
    dtype = pick_dtype(dtype, device, quantization)
    check_quantization(quantization, device)
    _check_libraries()
    with quiet():
        found = checkpoints.find(model, revision)
        checkpoints.check_is_vlm(found, trust_remote_code)
        lora = None if adapter is None else adapters.find(adapter, found)
        if found.commit:
            code_files = ["*.py"] if trust_remote_code else []
            hub.fetch(found.name, found.commit, [*hub.SMALL, *code_files])
        checkpoints.check_processor(found)
        tensors = weights.read_tensors(found)
        if not trust_remote_code:
            _check_described(found, tensors)
        memory.check_fits(found.name, tensors, device, dtype, quantization)
        if found.commit:
            weights.fetch_weights(found)
            weights.read_tensors(found)  # what came down is whole
        # False, because without a word transformers would stop and ask; and code that may run
        # stays at the commit that was read.
        code: dict[str, Any] = {"trust_remote_code": trust_remote_code}
        if trust_remote_code:
            code["code_revision"] = revision
        processor = _processor(found, code, lora)
        network = _network(found, device, dtype, quantization, code)
        if lora is not None:
            network = adapters.put_on(network, lora, found, processor)
        elif (found.folder / adapters.CONFIG).is_file():
            warnings.warn(
                f"{found.name} holds a whole model and a LoRA adapter, which was left out: right "
                "if it was merged into the model, else give the folder as adapter= as well.",
                stacklevel=2,
            )
        files = [found.folder / name for name in weights.weight_names(found)]
        card = describe(
            network,
            processor,
            name=found.name,
            dtype=quantization or dtype,
            bytes=sum(file.stat().st_size for file in files),
            revision=found.commit,
            adapter=lora and lora.name,
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
            tensors = weights.read_tensors(checkpoints.find(model_or_params))
        return memory.with_allowance(memory.weights_gib(tensors, dtype, quantization))
    if as_number(model_or_params) is None and not isinstance(model_or_params, bool):
        raise TypeError(
            "estimate_memory takes a number of parameters, such as 7e9, or the name or folder of a "
            f"model, not {model_or_params!r}."
        )
    parameters = number("The number of parameters", model_or_params, above=0)
    return memory.with_allowance(memory.parameters_gib(parameters, dtype, quantization))


def _check_libraries() -> None:
    """Raises `ImportError` where transformers cannot give its classes, with the reason."""
    try:
        from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: F401
    except (ImportError, RuntimeError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if "torchvision" in str(cause):
            raise ImportError(
                f"torchvision {version('torchvision')} was built for another torch than the "
                f"{version('torch')} that is here: `pip uninstall torchvision`, or install it from "
                "where torch came from."
            ) from error
        raise ImportError(f"transformers cannot be used here: {first_line(cause)}") from error


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


def _check_described(found: Checkpoint, tensors: list[memory.Tensor]) -> None:
    """Raises `OSError` where config.json describes a far larger model than the weights hold: what
    is missing would be filled with random numbers, in more memory than there may be."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    if any(tensor.dtype not in ("F64", "F32", "F16", "BF16") for tensor in tensors):
        return  # quantised: several numbers in one
    try:
        config = AutoConfig.from_pretrained(found.folder, trust_remote_code=False)
        with torch.device("meta"):
            described = AutoModelForImageTextToText.from_config(config).num_parameters()
    except Exception:  # loading it says what is wrong
        return
    held = sum(math.prod(tensor.shape) for tensor in tensors)
    if described > 2 * held:
        raise OSError(
            f"The weights of {found.name} do not fit its config.json: they hold {held / 1e6:,.1f} "
            f"million parameters, and it describes a model of {described / 1e6:,.1f} million: take "
            "the one saved with the weights."
        )


def _processor(found: Checkpoint, code: dict[str, Any], lora: adapters.Adapter | None) -> Any:
    """The model's processor, or what was saved of one beside the adapter."""
    from transformers import AutoProcessor

    if lora is not None and lora.has_processor:
        found, code = Checkpoint(lora.name, lora.folder), {"trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(found.folder, **code)
    except ImportError as error:
        raise ImportError(
            f"The processor of {found.name} needs a library that is missing, often torchvision; "
            f"`pip install 'vlm-helpers[gpu]'` brings it: {first_line(error)}"
        ) from error
    except Exception as error:  # files of any content are parsed here
        for file in found.folder.glob("tokenizer.json"):
            checkpoints.read_json(file, found.again)
        raise OSError(
            f"The processor of {found.name} could not be loaded: {first_line(error)}"
        ) from error
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise OSError(
            f"{found.name} has no whole processor, only a {type(processor).__name__}: save one "
            "beside the model with processor.save_pretrained(folder)."
        )
    return processor if lora is None else adapters.lend_text(lora, processor)


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
            # An adapter that lies in the same folder would be put on, merged already or not.
            adapter_kwargs={"subfolder": "no adapter"},
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
