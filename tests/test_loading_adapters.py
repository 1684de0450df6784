"""LoRA adapters: what is put on, with which processor, and every sentence for what is not."""

import json
import re
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from tests import tiny
from vlm_helpers import loading
from vlm_helpers.loading import _checkpoints, load

SCOPE = r".*language_model.*\.(q_proj|v_proj)"
# peft itself, of transformers' newest names
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    # PaliGemma's processor, in transformers, on numpy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def refused(kind, says, *args, **options):
    with pytest.raises(kind, match=says) as error:
        load(*args, device="cpu", **options)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tiny.llava(tmp_path_factory.mktemp("llava"))


def train(vlm, folder, change=lambda vlm: None, question="What?", save=None, **settings):
    """Saves an adapter that changes what the model says; gives what it says now."""
    change(vlm)
    torch.manual_seed(1)
    network = get_peft_model(vlm.model, LoraConfig(r=4, **{"target_modules": SCOPE, **settings}))
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, 0, 0.5)
    network.save_pretrained(folder, **(save or {}))
    return loading.VLM(network.eval(), vlm.processor).ask(None, question, max_new_tokens=10)


@pytest.fixture(scope="module")
def adapter(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    return folder, train(load(original, device="cpu"), folder)


def test_an_adapter(original, adapter, capfd, recwarn):
    folder, expected = adapter
    plain = load(original, device="cpu")
    adapted = load(original, device="cpu", adapter=folder)
    assert adapted.ask(None, "What?", max_new_tokens=10) == expected
    assert adapted.ask(None, "What?", max_new_tokens=10) != plain.ask(
        None, "What?", max_new_tokens=10
    )
    assert adapted.card.adapter == str(folder) and not adapted.model.training
    assert "".join(adapted.stream([{"role": "user", "content": "What?"}], max_new_tokens=10))
    assert capfd.readouterr() == ("", "") and not recwarn.list
    refused(ValueError, "LoRA adapter, not a whole model", folder)


def test_adapters_that_do_not_fit(original, adapter, tmp_path):
    folder, _ = adapter
    misfit = r"was trained on .*, and does not fit"
    # other classes of layers
    refused(ValueError, misfit, tiny.idefics2(tmp_path / "idefics2"), adapter=folder)
    # the same names in other sizes
    wide = Path(shutil.copytree(folder, tmp_path / "wide"))
    tensors = load_file(wide / "adapter_model.safetensors")
    doubled = {k: torch.cat([v, v], dim=int("lora_A" in k)) for k, v in tensors.items()}
    save_file(doubled, wide / "adapter_model.safetensors")
    same = (
        "was trained on .* does not fit it: tensors have other shapes, the first .*lora_A.* so one"
    )
    refused(ValueError, same, original, adapter=wide)
    # fewer and other tensors than its configuration says
    less = dict(list(tensors.items())[1:])
    save_file(less, wide / "adapter_model.safetensors")
    refused(ValueError, misfit + ".* 1 tensor found no counterpart", original, adapter=wide)
    save_file({**tensors, "more": torch.zeros(1)}, wide / "adapter_model.safetensors")
    refused(ValueError, misfit, original, adapter=wide)


def test_an_adapter_of_the_other_embedded_model(original, adapter, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(adapter[0], tmp_path / "adapter"))
    change_config(folder, base_model_name_or_path="/somewhere/data/pocket-llava-base")
    monkeypatch.setattr(_checkpoints, "pocket_folder", lambda name: base / name)
    base = tmp_path / "data"
    for name in _checkpoints.SHIPPED:
        shutil.copytree(original, base / name)
    refused(
        ValueError,
        "pocket-llava-base, and does not fit pocket-llava",
        "pocket-llava",
        adapter=folder,
    )
    assert load("pocket-llava-base", adapter=folder).card.adapter


def change_config(folder, **settings):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def test_damaged_adapters(original, adapter, tmp_path):
    refused(FileNotFoundError, "no adapter folder", original, adapter=tmp_path / "none")
    refused(FileNotFoundError, "no adapter folder", original, adapter="./none")
    refused(FileNotFoundError, "no adapter folder", original, adapter="~nobody-here/none")
    refused(FileNotFoundError, "no adapter_config.json", original, adapter=tmp_path)
    folder = Path(shutil.copytree(adapter[0], tmp_path / "adapter"))
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    refused(OSError, re.escape(str(weights)) + " is truncated", original, adapter=folder)
    weights.write_bytes((adapter[0] / weights.name).read_bytes() + b"1234")
    refused(OSError, re.escape(str(weights)) + " is damaged: it holds 4", original, adapter=folder)
    weights.unlink()
    torch.save({}, folder / "adapter_model.bin")
    refused(FileNotFoundError, "no adapter_model.safetensors", original, adapter=folder)
    for kind in ("PROMPT_TUNING", "NEWEST", None):
        change_config(folder, peft_type=kind)
        shutil.copy(adapter[0] / "adapter_model.safetensors", weights)
        says = f"adapter of the type {kind!r}, and only those that change layers"
        refused(ValueError, says, original, adapter=folder)
    (folder / "adapter_config.json").write_text("{")
    shutil.copy(adapter[0] / "adapter_model.safetensors", weights)
    refused(OSError, "adapter_config.json is damaged", original, adapter=folder)


# ── the processor that was saved beside an adapter ───────────────────────────────────────────────


def shouting(vlm):
    vlm.processor.chat_template = tiny.TEMPLATE.replace("assistant:", "ASSISTANT:")


def wordier(vlm):
    vlm.processor.tokenizer.add_tokens(["<new_1>"])
    vlm.model.resize_token_embeddings(len(vlm.processor.tokenizer))


@pytest.mark.parametrize("saved", ["processor", "tokenizer", "template"])
def test_the_template_saved_beside_an_adapter_is_used(original, tmp_path, saved):
    vlm = load(original, device="cpu")
    expected = train(vlm, tmp_path, shouting)
    if saved == "processor":
        vlm.processor.save_pretrained(tmp_path)
    elif saved == "tokenizer":
        vlm.processor.tokenizer.chat_template = vlm.processor.chat_template
        vlm.processor.tokenizer.save_pretrained(tmp_path)
    else:
        (tmp_path / "chat_template.jinja").write_text(vlm.processor.chat_template)
    adapted = load(original, device="cpu", adapter=tmp_path)
    assert adapted.processor.chat_template == vlm.processor.chat_template
    assert adapted.ask(None, "What?", max_new_tokens=10) == expected
    vlm.processor.chat_template = tiny.TEMPLATE  # the template does make the difference
    assert loading.VLM(vlm.model, vlm.processor).ask(None, "What?", max_new_tokens=10) != expected


@pytest.mark.parametrize("how", ["modules", "saved", "lora on embeddings", "single tokens"])
def test_embeddings_of_added_tokens_come_with_the_adapter(original, tmp_path, how, recwarn):
    settings, save = {}, {}
    if how == "modules":
        settings = {"modules_to_save": ["embed_tokens", "lm_head"]}
    elif how == "saved":
        save = {"save_embedding_layers": True}
    elif how == "single tokens":
        tokens = len(load(original, device="cpu").processor.tokenizer)
        settings["trainable_token_indices"] = {"embed_tokens": [tokens]}
    else:
        settings["target_modules"] = r".*language_model.*(q_proj|embed_tokens)"
    vlm = load(original, device="cpu")
    expected = train(vlm, tmp_path, wordier, "<new_1> What?", save, **settings)
    vlm.processor.save_pretrained(tmp_path)
    adapted = load(original, device="cpu", adapter=tmp_path)
    assert adapted.ask(None, "<new_1> What?", max_new_tokens=10) == expected
    assert not [told for told in recwarn if "adapter" in str(told.message)]


def test_added_tokens_without_their_embeddings_are_told(original, tmp_path):
    vlm = load(original, device="cpu")
    train(vlm, tmp_path, wordier)
    vlm.processor.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="processor .* 1 token more .* '<new_1>'.* mean"):
        adapted = load(original, device="cpu", adapter=tmp_path)
    assert isinstance(adapted.ask(None, "<new_1>", max_new_tokens=2), str)


def test_embeddings_without_their_tokenizer_are_told(original, tmp_path):
    vlm = load(original, device="cpu")
    train(vlm, tmp_path, wordier, modules_to_save=["embed_tokens", "lm_head"])
    with pytest.warns(UserWarning, match="brings .* embeddings and no tokenizer, .* plain text"):
        load(original, device="cpu", adapter=tmp_path)


# ── layouts, merged models, other bases ──────────────────────────────────────────────────────────


def older(name):
    """The names that the parts of LLaVA had before transformers 4.52."""
    for new, old in (
        ("model.model.language_model.", "model.language_model.model."),
        ("model.model.vision_tower.", "model.vision_tower.vision_model."),
        ("base_model.model.lm_head", "base_model.model.language_model.lm_head"),
    ):
        name = name.replace(new, old)
    return name


@pytest.mark.parametrize("family", ["llava", "llava_next", "paligemma"])
def test_an_adapter_in_the_layout_of_older_versions(family, tmp_path):
    base = getattr(tiny, family)(tmp_path / "base")
    vlm = load(base, device="cpu")
    vlm.processor.chat_template = tiny.TEMPLATE
    settings = {
        "modules_to_save": ["lm_head"],
        "target_modules": r".*\.(q_proj|fc1)",
        "rank_pattern": {r"model\.language_model.*\.0\.self_attn\.q_proj": 2, "fc1": 3},
        "alpha_pattern": {"model.language_model.layers.1.self_attn.q_proj": 64},
    }
    torch.manual_seed(1)
    network = get_peft_model(vlm.model, LoraConfig(r=4, **settings))
    for name, parameter in network.named_parameters():
        if "lora_B" in name or "lm_head.modules_to_save" in name:
            torch.nn.init.normal_(parameter, 0, 0.5)
    network.save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(file)
    old = {older(name): tensor for name, tensor in tensors.items()}
    assert len(old) == len(tensors) and not set(old) & set(tensors)
    save_file(old, file, metadata={"format": "pt"})
    # as a configuration of that time may name them
    change_config(
        file.parent,
        target_modules=r"language_model\.model\.layers.*\.q_proj|vision_tower.*\.(q_proj|fc1)",
        rank_pattern={r"language_model\.model.*\.0\.self_attn\.q_proj": 2, "fc1": 3},
        alpha_pattern={"language_model.model.layers.1.self_attn.q_proj": 64},
    )
    adapted = load(base, device="cpu", adapter=tmp_path / "adapter")
    expected = network.state_dict()
    trained = {k: v for k, v in adapted.model.state_dict().items() if ".default" in k}
    assert len(trained) == len(tensors)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in trained.items())
    scales = [
        {n: m.scaling for n, m in one.named_modules() if hasattr(m, "scaling") and "proj" in n}
        for one in (network, adapted.model)
    ]
    assert scales[0] == scales[1] and len({str(scale) for scale in scales[0].values()}) > 2


def test_a_merged_model_in_the_folder_of_its_adapter(original, tmp_path):
    vlm = load(original, device="cpu")
    expected = train(vlm, tmp_path)
    network = load(original, device="cpu", adapter=tmp_path).model
    network.merge_and_unload().save_pretrained(tmp_path)
    vlm.processor.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="a whole model and a LoRA adapter, which was left out"):
        merged = load(tmp_path, device="cpu")
    assert merged.ask(None, "What?", max_new_tokens=10) == expected
    assert not [name for name, _ in merged.model.named_modules() if "lora" in name]
    assert merged.card.adapter is None


def test_a_base_that_is_another_folder_is_told(original, adapter, tmp_path):
    other = tiny.llava(tmp_path / "other", seed=5)
    with pytest.warns(UserWarning, match="trained on .* is put on .* the same weights"):
        load(other, device="cpu", adapter=adapter[0])
    # but not where the folder it was trained on has been moved, or goes by another path
    folder = Path(shutil.copytree(adapter[0], tmp_path / "adapter"))
    for base in (str(tmp_path / "gone"), str(other / ".." / "other"), None):
        change_config(folder, base_model_name_or_path=base)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            assert load(other, device="cpu", adapter=folder)
