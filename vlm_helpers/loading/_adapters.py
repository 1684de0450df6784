"""LoRA adapters: found, held against their base, put on it; and the processor saved beside one."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from vlm_helpers._words import count, first_line
from vlm_helpers.loading import _checkpoints as checkpoints
from vlm_helpers.loading import _hub as hub
from vlm_helpers.loading._card import tokens_beyond
from vlm_helpers.loading._checkpoints import Checkpoint
from vlm_helpers.loading._weights import read_header

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # what peft writes before the model's own names


class Adapter(NamedTuple):
    """An adapter by its `name`, the `folder` of its files, and the `base` that it names."""

    name: str
    folder: Path
    base: str

    @property
    def has_processor(self) -> bool:
        """Whether a whole processor was saved beside it."""
        files = (checkpoints.PICTURE_FILES, checkpoints.TEXT_FILES)
        return all(checkpoints.holds(self.folder, kind) for kind in files)


def find(adapter: str | Path, model: Checkpoint) -> Adapter:
    """The adapter, fetched if it is on the Hub, once it is whole.

    Raises `ValueError` if it was trained on another model than `model`.
    """
    checkpoints.check_name(adapter, "adapter")
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PromptLearningConfig

    folder = Path(os.path.expanduser(adapter))
    if not folder.is_dir():
        if not hub.is_id(adapter):
            raise FileNotFoundError(f"There is no adapter folder {str(adapter)!r}.")
        folder = hub.fetch(adapter, None, [WEIGHTS, *hub.SMALL])
    for file, lack in (
        (CONFIG, "so it is no LoRA adapter"),
        (WEIGHTS, "and other formats are not opened"),
    ):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{adapter} has no {file}, {lack}.")
    read_header(folder / WEIGHTS)
    settings = checkpoints.read_json(folder / CONFIG, "get it again")
    kind = PEFT_TYPE_TO_CONFIG_MAPPING.get(settings.get("peft_type"))
    if kind is None or issubclass(kind, PromptLearningConfig):
        raise ValueError(
            f"{adapter} is an adapter of the type {settings.get('peft_type')!r}, and only those "
            "that change layers, as 'LORA' does, can be put on: train one of these."
        )
    found = Adapter(str(adapter), folder, str(settings.get("base_model_name_or_path") or ""))
    # A folder may have been moved since; names of the Hub, and of what ships, stay.
    name = found.base.replace("\\", "/").rpartition("/")[2]
    if name in checkpoints.SHIPPED:
        other = model.folder.name != name
    else:
        other = bool(model.commit) and hub.is_id(found.base) and found.base != model.name
    if other:
        raise ValueError(_misfit(found, model, "it is another model"))
    return found


def _misfit(adapter: Adapter, model: Checkpoint, why: str) -> str:
    fits = f"and does not fit {model.name}: {why}, so load the model it was trained on"
    if _trained_on(adapter, model):
        fits = f"and does not fit it: {why}, so one of the two has changed since"
    return f"The adapter {adapter.name} was trained on {adapter.base or 'another model'}, {fits}."


def _trained_on(adapter: Adapter, model: Checkpoint) -> bool | None:
    """Whether `model` is the base that the adapter names; None where nothing tells."""
    if adapter.base and Path(adapter.base).is_dir():
        return Path(adapter.base).samefile(model.folder)
    return True if adapter.base == model.name else None


def lend_text(adapter: Adapter, processor: Any) -> Any:
    """`processor` with the tokenizer and the chat template that were saved beside the adapter."""
    from transformers import AutoTokenizer

    template = adapter.folder / "chat_template.jinja"
    if adapter.has_processor:
        return processor  # it is the adapter's own
    if checkpoints.holds(adapter.folder, checkpoints.TEXT_FILES):
        processor.tokenizer = AutoTokenizer.from_pretrained(adapter.folder, trust_remote_code=False)
        processor.chat_template = processor.tokenizer.chat_template or processor.chat_template
    elif template.is_file():
        processor.chat_template = template.read_text(encoding="utf-8")
    return processor


def put_on(network: Any, adapter: Adapter, model: Checkpoint, processor: Any) -> Any:
    """`network` with the adapter on it, as a model of peft.

    Where the adapter brings embeddings of another number of tokens, the network's are resized.
    Raises `ValueError` if it does not fit; warns if it was trained on another folder, which is
    there and is not the model's.
    """
    from peft import PeftConfig, get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    tensors = load_file(adapter.folder / WEIGHTS)
    names = dict(zip(tensors, todays_names(network, list(tensors))))
    state = {names[key]: tensor for key, tensor in tensors.items()}
    try:
        config = PeftConfig.from_pretrained(adapter.folder)
        config.inference_mode = True
        if any(old != new for old, new in names.items()):
            _retarget(config, names)
        _resize(network, state, adapter, processor)
        adapted = get_peft_model(network, config)
        result = set_peft_model_state_dict(adapted, state)
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(_misfit(adapter, model, _reason(error))) from error
    lost = [key for key in result.missing_keys if ".default" in key] + result.unexpected_keys
    if lost:
        why = f"{count(len(lost), 'tensor')} found no counterpart, the first {min(lost)}"
        raise ValueError(_misfit(adapter, model, why))
    if _trained_on(adapter, model) is False:
        warnings.warn(
            f"The adapter {adapter.name} was trained on {adapter.base}, and is put on "
            f"{model.name}: its answers mean something only if the two hold the same weights.",
            stacklevel=3,
        )
    return adapted.eval()


def todays_names(network: Any, names: list[str]) -> list[str]:
    """The names that an adapter's tensors have today, where its file has older ones.

    transformers 4.52 renamed the parts of LLaVA and its relatives, of Qwen2-VL and others
    (`language_model.model.layers` became `model.language_model.layers`), and still reads old
    weights by a table of its own; adapters have the same names with something behind them.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming, rename_source_key

    table = get_model_conversion_mapping(network)
    renamings = [entry for entry in table if isinstance(entry, WeightRenaming)]
    today = []
    for name in names:
        layer, lora, rest = name.removeprefix(PREFIX).partition(".lora_")
        layer = rename_source_key(f"{layer}.weight" if lora else layer, renamings, [])[0]
        today.append(PREFIX + (layer.removesuffix(".weight") if lora else layer) + lora + rest)
    return today


def _retarget(config: Any, names: dict[str, str]) -> None:
    """The layers that an older adapter is for, by their names of today."""
    from peft.utils.other import get_pattern_key

    def layer(name: str) -> str:
        return name.removeprefix(PREFIX).partition(".lora_")[0]

    was = {layer(new): layer(old) for old, new in names.items()}
    whole = {layer for layer in was if layer.endswith((".weight", ".bias"))}
    config.target_modules = sorted(was.keys() - whole)
    for setting in ("rank_pattern", "alpha_pattern"):
        values = getattr(config, setting, None) or {}
        keys = {new: get_pattern_key(values, old) for new, old in was.items()}
        setattr(config, setting, {new: values[key] for new, key in keys.items() if key in values})
    if config.modules_to_save:
        config.modules_to_save = sorted({layer.rpartition(".")[0] for layer in whole})


def _resize(network: Any, state: dict[str, Any], adapter: Adapter, processor: Any) -> None:
    """Gives the network as many embeddings as the adapter brings, or its tokenizer needs."""
    layer = network.get_input_embeddings()
    name = next(name for name, module in network.named_modules() if module is layer)
    for end, axis in (("weight", 0), ("base_layer.weight", 0), ("lora_embedding_A", 1)):
        tensor = state.get(f"{PREFIX}{name}.{end}")
        if tensor is not None and tensor.shape[axis] != layer.weight.shape[0]:
            network.resize_token_embeddings(tensor.shape[axis], mean_resizing=False)
            if not checkpoints.holds(adapter.folder, checkpoints.TEXT_FILES):
                warnings.warn(
                    f"The adapter {adapter.name} brings {tensor.shape[axis]:,} embeddings and no "
                    f"tokenizer, and the model's has {len(processor.tokenizer):,} tokens: if some "
                    "were added for the training, they are read as plain text now, so save the "
                    "processor beside the adapter with processor.save_pretrained(folder).",
                    stacklevel=5,
                )
            return
    if beyond := tokens_beyond(network, processor):
        network.resize_token_embeddings(len(processor.tokenizer))
        if any(key.startswith(f"{PREFIX}{name}.") for key in state):
            return  # it holds those of single tokens
        warnings.warn(
            f"The processor that was saved beside the adapter {adapter.name} has "
            f"{count(len(beyond), 'token')} more than the model has embeddings for, such as "
            f"{beyond[0]!r}, and the adapter does not hold theirs: they were set to about the mean "
            "of all others, as they are before training. What was trained of them is kept only by "
            "save_pretrained(folder, save_embedding_layers=True).",
            stacklevel=5,
        )


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"it holds no {error.args[0]}"
    shapes = re.search(r"size mismatch for (\S+):", str(error))
    if shapes:
        return f"tensors have other shapes, the first {shapes[1]}"
    return first_line(error).rstrip(".")
