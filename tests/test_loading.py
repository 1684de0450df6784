"""Loading from folders: what is taken, and every sentence for what is not."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from tests import tiny
from vlm_helpers import _data, _memory, loading
from vlm_helpers.loading import _checkpoints, _load, _settings, _weights, estimate_memory, load


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    return tiny.llava(tmp_path_factory.mktemp("llava"), dtype=torch.bfloat16)


@pytest.fixture
def folder(original, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(original, tmp_path / "model"))


def refused(kind, says, *args, **options):
    options.setdefault("device", "cpu")
    with pytest.raises(kind, match=says) as error:
        load(*args, **options)
    assert "\n" not in str(error.value) and str(error.value).rstrip()[-1] in ".…)?"


# ── what is loaded ───────────────────────────────────────────────────────────────────────────────


def test_a_folder_as_text_or_path(original):
    for name in (original, str(original)):
        vlm = load(name)
        assert not vlm.model.training
        assert type(vlm.model).__name__ == "LlavaForConditionalGeneration"
        assert type(vlm.processor).__name__ == "LlavaProcessor"
        card = vlm.card
        assert card.name == str(original) and card.revision is None and card.adapter is None
        assert card.bytes == (original / "model.safetensors").stat().st_size
        assert card.image_size == (16, 16) and card.image_tokens == 16
        assert card.model_type == "llava" and card.context_length == 512


def test_the_name_from_the_environment(original, monkeypatch):
    monkeypatch.setenv("VLM_MODEL", str(original))
    assert load().card.name == str(original)
    assert load(original).card.name == str(original)


def test_the_embedded_models_by_name_from_checkout_and_wheel(original, tmp_path, monkeypatch):
    monkeypatch.delenv("VLM_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pocket-llava").mkdir()  # a folder of that name here does not come first
    package = tmp_path / "lib" / "vlm_helpers"
    package.mkdir(parents=True)
    monkeypatch.setattr(_data, "PACKAGE", package)
    with pytest.raises(
        FileNotFoundError, match="pocket-llava/config.json is missing.*_data.*install"
    ):
        load()
    (tmp_path / "lib" / ".git").mkdir()  # a checkout
    with pytest.raises(
        FileNotFoundError, match="pocket-llava/config.json is missing.*`git checkout -- data`"
    ):
        load()
    shutil.copytree(original, tmp_path / "lib" / "data" / "pocket-llava")
    assert load().card.name == load("pocket-llava").card.name == "pocket-llava"
    with pytest.raises(FileNotFoundError, match="pocket-llava-base/config.json is missing"):
        load("pocket-llava-base")
    shutil.copytree(original, package / "_data" / "pocket-llava-base")
    assert load("pocket-llava-base").card.name == "pocket-llava-base"
    folder = tmp_path / "lib" / "data" / "pocket-llava"
    assert loading.get_folder("pocket-llava") == loading.pocket_folder() == folder
    # what brings a file of the course back is the same for every file
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])
    refused(OSError, "truncated.*Delete it and run `git checkout -- data`", "pocket-llava")
    (folder / "model.safetensors").unlink()
    refused(FileNotFoundError, "safetensors is missing.*run `git checkout -- data`", "pocket-llava")
    (folder / "tokenizer.json").unlink()
    refused(FileNotFoundError, "no tokenizer.json .*run `git checkout -- data`", "pocket-llava")
    (folder / "config.json").write_text("")
    refused(OSError, "config.json is damaged.*run `git checkout -- data`", "pocket-llava")


@pytest.mark.parametrize(
    "asked, held",
    [
        ("auto", torch.float32),
        ("fp32", torch.float32),
        ("bfloat16", torch.bfloat16),
        ("bf16", torch.bfloat16),
        (torch.bfloat16, torch.bfloat16),
        ("float16", torch.float16),
    ],
)
def test_precision_on_a_cpu(original, asked, held):
    vlm = load(original, device="cpu", dtype=asked)
    assert {parameter.dtype for parameter in vlm.model.parameters()} == {held}
    assert vlm.card.dtype == str(held).removeprefix("torch.")
    assert isinstance(vlm.ask(None, "What?", max_new_tokens=2), str)


def test_weights_in_several_files(folder):
    vlm = load(folder)
    shutil.rmtree(folder)
    vlm.model.save_pretrained(folder, max_shard_size="100KB")
    vlm.processor.save_pretrained(folder)
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 1 and not (folder / "model.safetensors").exists()
    again = load(folder)
    assert again.card.bytes == sum(file.stat().st_size for file in files)
    assert again.card.parameters == vlm.card.parameters
    assert again.ask(None, "What?", max_new_tokens=8) == vlm.ask(None, "What?", max_new_tokens=8)
    files[1].unlink()
    refused(FileNotFoundError, f"incomplete.*{files[1].name} is missing", folder)


def test_loading_is_quiet_and_leaves_the_state_as_it_was(original, capfd, recwarn):
    from huggingface_hub.utils import are_progress_bars_disabled

    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    before = (logging.WARNING, True, False)
    load(original)
    with pytest.raises(FileNotFoundError):
        load("./nowhere")
    after = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    assert after + (are_progress_bars_disabled(),) == before
    logging.disable_progress_bar()
    load(original)
    assert not logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    assert capfd.readouterr() == ("", "") and not recwarn.list
    # somebody who asked for more than warnings gets it
    try:
        logging.set_verbosity_info()
        with _load.quiet():
            assert logging.get_verbosity() == logging.INFO
    finally:
        logging.set_verbosity(before[0])


@pytest.mark.parametrize("policy", [None, "ACTIVE"])
def test_importing_loads_no_torch_and_lets_its_threads_sleep(policy):
    code = "import os, sys, vlm_helpers.loading; print('torch' in sys.modules, os.environ[NAME])"
    code = code.replace("NAME", "'OMP_WAIT_POLICY'")
    root = Path(loading.__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": policy} if policy else {}
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True
    )
    assert out.stdout.split() == ["False", policy or "PASSIVE"], out.stderr


@pytest.mark.parametrize(
    "cause, says",
    [
        ("operator torchvision::nms does not exist", "torchvision 9.9 was built for another torch"),
        ("no tokenizers", "transformers cannot be used here: no tokenizers"),
    ],
)
def test_libraries_that_do_not_fit_each_other_are_named(original, monkeypatch, cause, says):
    """As where torchvision comes from PyPI and torch is a CPU build."""

    def fails(name):
        raise RuntimeError(f"Failed to import {name}:\nsee above") from RuntimeError(cause)

    broken = types.ModuleType("transformers")
    broken.__getattr__ = fails
    monkeypatch.setitem(sys.modules, "transformers", broken)
    monkeypatch.setattr(_load, "version", lambda name: "9.9")
    refused(ImportError, says, original)


# ── arguments ────────────────────────────────────────────────────────────────────────────────────


def test_arguments_that_cannot_be(original):
    refused(ValueError, "device must be .* not 'gpu'", original, device="gpu")
    refused(ValueError, "device must be .* not 'xpu'", original, device="xpu")
    refused(ValueError, "device must be .* not 0", original, device=0)
    refused(ValueError, "dtype must be .* not 'int8'", original, dtype="int8")
    refused(ValueError, "dtype must be .* not None", original, dtype=None)
    refused(ValueError, "quantization must be", original, quantization="2bit")
    refused(ValueError, "revision='main' names a version", original, revision="main")
    refused(TypeError, "not int", 7)
    refused(TypeError, r"VLM\(model, processor\)", torch.nn.Linear(1, 1))
    refused(TypeError, "adapter must be a name or a folder, not int", original, adapter=5)
    refused(ValueError, "adapter is an empty text", original, adapter="")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has an NVIDIA GPU")
def test_what_this_machine_has_not(original):
    refused(ValueError, "This machine has no device 'cuda'", original, device="cuda")
    refused(ValueError, "no device 'cuda:3'", original, device="cuda:3")
    for bits in ("4bit", "8bit"):
        refused(ValueError, f"'{bits}' needs an NVIDIA GPU", original, quantization=bits)


def test_code_from_a_repository_only_at_a_commit(original):
    for revision in (None, "main", "v1", "abc123", "A" * 40):
        refused(ValueError, "40 digits", original, trust_remote_code=True, revision=revision)


def test_code_for_the_processor_is_neither_run_nor_asked_about(folder, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *a: pytest.fail("somebody was asked"))
    file = folder / "processor_config.json"
    own = {"processor_class": "OwnProcessor", "auto_map": {"AutoProcessor": "own.OwnProcessor"}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **own}))
    (folder / "own.py").write_text("raise SystemExit('it was run')")
    refused(OSError, "The processor of .* could not be loaded", folder)


class FakeCuda:
    """What torch says of a GPU; everything else in `loading` is the real code."""

    def __init__(self, monkeypatch, capability, free=14.6, count=1):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Some GPU")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *a, **k: True)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda d=None: (free * 2**30, 16 * 2**30))


def test_bfloat16_by_compute_capability(monkeypatch):
    FakeCuda(monkeypatch, (7, 5))
    assert _settings.pick_device() == "cuda"
    assert _settings.pick_dtype("auto", "cuda") == "float16"
    with pytest.raises(ValueError, match="Some GPU has compute capability 7.5.*float16"):
        _settings.pick_dtype("bfloat16", "cuda")
    FakeCuda(monkeypatch, (8, 0), count=2)
    assert _settings.pick_dtype("auto", "cuda:1") == "bfloat16"
    assert _settings.pick_dtype("auto", "cuda", "4bit") == "bfloat16"
    assert _settings.pick_dtype("auto", "cuda", "8bit") == "float16"
    assert _settings.pick_device("cuda:1") == "cuda:1"
    with pytest.raises(ValueError, match="torch sees 2 of type cuda"):
        _settings.pick_device("cuda:2")


def test_the_processor_may_be_called_by_its_number():
    vlm = load(device="cpu:0")
    assert (str(vlm.device), vlm.card.dtype) == ("cpu", "float32")


def test_bitsandbytes_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setattr(_settings.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs bitsandbytes.*vlm-helpers\[gpu\]"):
        _settings.check_quantization("4bit", "cuda")


# ── checkpoints that are none ────────────────────────────────────────────────────────────────────


def test_names_that_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "./nowhere",
        "/no/such/folder",
        "a b",
        "a/b/c",
        "~/nowhere",
        "~none/a",
        Path("x/y"),
    ):
        refused(FileNotFoundError, "There is no folder", name)
    for name in ("", " "):
        refused(ValueError, "model is an empty text", name)
    (tmp_path / "model.safetensors").write_bytes(b"")
    refused(ValueError, "is a file: give the folder", "./model.safetensors")


def test_misspelt_names_of_the_embedded_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, meant in (
        ("pocket-lava", "pocket-llava"),
        ("POCKET-LLAVA", "pocket-llava"),
        ("pocket_llava_base", "pocket-llava-base"),
    ):
        refused(FileNotFoundError, f"no folder '{name}' .* did you mean '{meant}'", name)
    (tmp_path / "pocket-lava").mkdir()  # a folder of that name is meant
    refused(FileNotFoundError, "pocket-lava has no config.json", "pocket-lava")
    monkeypatch.setattr(_checkpoints.hub, "fetch_config", lambda *_: (tmp_path, "0" * 40))
    assert _checkpoints.find("ann/pocket-llava").name == "ann/pocket-llava"


def test_text_only_and_other_models(tmp_path):
    tiny.llama(tmp_path / "llama")
    refused(
        ValueError, r"a text-only model \(LlamaForCausalLM\).*vision language", tmp_path / "llama"
    )
    other = tmp_path / "other"
    other.mkdir()
    config = {"model_type": "clip", "architectures": ["CLIPModel"]}
    (other / "config.json").write_text(json.dumps(config))
    refused(ValueError, r"another model \(CLIPModel\)", other)
    config = {"model_type": "brand_new", "architectures": ["BrandNew"]}
    (other / "config.json").write_text(json.dumps(config))
    refused(ValueError, "'brand_new'.*a newer version", other)
    (other / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "m.X"}}))
    refused(ValueError, "code from its own repository.*trust_remote_code", other)
    (other / "config.json").write_text("{}")
    refused(ValueError, "does not know", other)
    (other / "config.json").write_text("{oh no")
    refused(OSError, "config.json is damaged", other)
    (other / "config.json").unlink()
    refused(FileNotFoundError, "no config.json", other)
    (other / "adapter_config.json").write_text("{}")
    refused(ValueError, "LoRA adapter.*adapter=", other)


def test_missing_processor_files(folder):
    (folder / "processor_config.json").rename(folder / "elsewhere")
    refused(FileNotFoundError, "processor_config.json .*prepare pictures.*save_pretrained", folder)
    (folder / "elsewhere").rename(folder / "processor_config.json")
    (folder / "tokenizer.json").unlink()  # what is left, tokenizer_config.json, has no vocabulary
    refused(FileNotFoundError, "has no tokenizer.json .*text into tokens", folder)


def test_damaged_processor_files(folder):
    (folder / "tokenizer.json").write_text("{oh no")
    refused(OSError, "tokenizer.json is damaged: it is no JSON object. Delete it and", folder)
    (folder / "tokenizer.json").write_text("{}")
    refused(OSError, "The processor of .* could not be loaded", folder)
    for name in ("processor_config.json", "tokenizer_config.json", "generation_config.json"):
        whole = (folder / name).read_text()
        for damaged in ("", "{", "[]"):
            (folder / name).write_text(damaged)
            refused(OSError, f"{name} is damaged: it is no JSON object. Delete it and", folder)
        (folder / name).write_text(whole)


def test_weights_that_are_not_safetensors(folder):
    (folder / "model.safetensors").unlink()
    refused(FileNotFoundError, "has no weights: model.safetensors is missing", folder)
    torch.save({}, folder / "pytorch_model.bin")
    refused(OSError, "only as pytorch_model.bin.*can run code", folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_truncated_weights(folder, keep):
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refused(OSError, r"model\.safetensors is truncated: it holds .* Delete it", folder)


@pytest.mark.parametrize(
    "header",
    [
        b"{oh no",
        b"[]",
        b"7",
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}',
        b'{"a": {"dtype": "F32", "shape": "x", "data_offsets": [0, 8]}}',
        b"\xff\xfe" * 9,
        b"[" * 9999,
    ],
)
def test_damaged_headers(folder, header):
    file = folder / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 64)
    refused(OSError, r"model\.safetensors is damaged: its header", folder)


def rewrite_header(file, change):
    """Give the first tensor of a safetensors file other facts than its data has."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header[next(name for name in header if name != "__metadata__")])
    new = json.dumps(header).encode()
    file.write_bytes(len(new).to_bytes(8, "little") + new + data[8 + length :])


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["shape"].append(2),
        lambda facts: facts.update(shape=[-1]),
        lambda facts: facts.update(data_offsets=[facts["data_offsets"][0] + 2] * 2),
        lambda facts: facts.update(dtype="F999"),
        lambda facts: facts.update(dtype="F64"),
    ],
    ids=["shape", "negative", "offset", "unknown type", "other type"],
)
def test_headers_that_contradict_themselves(folder, change):
    file = folder / "model.safetensors"
    rewrite_header(file, change)
    refused(OSError, re.escape(str(file)) + " is damaged: .* Delete it and get it again", folder)


def test_weights_that_are_too_long(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes() + b"xx")
    refused(OSError, re.escape(str(file)) + " is damaged: it holds 2 bytes more than", folder)


def test_a_header_is_checked_without_reading_the_data(tmp_path, monkeypatch):
    size = 4 * 2**30
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    file = tmp_path / "sparse.safetensors"
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + size)
    taken = []

    class Counting(io.BufferedReader):
        def read(self, size=-1):
            taken.append(size)
            return super().read(size)

    monkeypatch.setattr(Path, "open", lambda self, mode: Counting(io.FileIO(self)))
    assert _weights.read_header(file) == [_memory.Tensor("a", "U8", (size,))]
    assert taken == [8, len(header)]


def test_a_pointer_instead_of_weights(folder):
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    )
    refused(OSError, "pointer of Git LFS.*git lfs pull", folder)


def test_a_damaged_index(folder):
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    for content in ("{}", "[]", "{", '{"weight_map": 1}', '{"weight_map": {"a": 1}}'):
        index.write_text(content)
        refused(OSError, r"index\.json is damaged", folder)
    index.write_text(json.dumps({"weight_map": {"a": "../../model.safetensors"}}))
    refused(OSError, "outside its folder", folder)


def test_weights_that_do_not_fit_the_configuration(folder):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if "q_proj" in name)
    less = {key: value for key, value in tensors.items() if key != name}
    save_file(less, file, metadata={"format": "pt"})
    refused(OSError, "1 tensors are missing, the first is .*q_proj", folder)
    save_file({**tensors, name: tensors[name][:3].clone()}, file, metadata={"format": "pt"})
    refused(OSError, "1 tensors are of another shape, the first is .*q_proj", folder)


def test_a_configuration_of_a_far_larger_model(folder, monkeypatch):
    """Seven billion random numbers would take more memory than there is."""
    monkeypatch.setattr("transformers.AutoModelForImageTextToText.from_pretrained", None)
    config = json.loads((folder / "config.json").read_text())
    for text in ({}, config["text_config"] | {"hidden_size": 4096, "num_hidden_layers": 32}):
        (folder / "config.json").write_text(json.dumps(config | {"text_config": text}))
        refused(OSError, "they hold 0.1 million parameters, and it describes a model of", folder)


def test_weights_that_the_configuration_has_no_place_for(folder):
    file = folder / "config.json"
    whole = file.read_text()
    config = json.loads(whole)
    config["text_config"]["num_hidden_layers"] = 1
    file.write_text(json.dumps(config))
    refused(
        OSError,
        r"9 tensors have no place in the model, all in model\.language_model\.layers\.1\.\*, the "
        r"first is .*\.layers\.1\.input_layernorm\.weight\. .*fewer layers.*saved",
        folder,
    )
    file.write_text(whole)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "more": torch.zeros(1)}, weights, metadata={"format": "pt"})
    with pytest.warns(UserWarning, match="1 tensors have no place .* more, and were left out"):
        assert load(folder, device="cpu")
    # of a kind that older versions stored, and transformers knows to be harmless
    old = {"language_model.model.rotary_emb.inv_freq": torch.zeros(8)}
    save_file({**tensors, **old}, weights, metadata={"format": "pt"})
    assert load(folder, device="cpu")


# ── models and processors that do not belong together ───────────────────────────────────────────


def test_a_tokenizer_larger_than_the_embeddings(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new_1>", "<new_2>"])
    tokenizer.save_pretrained(folder)
    refused(ValueError, "tokenizer of .* has 2 tokens more .* '<new_1>' and '<new_2>'", folder)
    # what stands for a picture needs none, for it is replaced
    config = json.loads((folder / "config.json").read_text())
    config |= {"image_token_id": len(tokenizer) - 2, "video_token_id": len(tokenizer) - 1}
    (folder / "config.json").write_text(json.dumps(config))
    assert load(folder, device="cpu")


@pytest.mark.parametrize(
    "setting, value", [("patch_size", 4), ("vision_feature_select_strategy", "default")]
)
def test_a_processor_that_cannot_count(folder, setting, value):
    file = folder / "processor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), setting: None}))
    says = f"processor of .* has no {setting}, .* set it to {value!r}, .* processor_config.json"
    refused(ValueError, says, folder)


@pytest.mark.parametrize(
    "where, change",
    [
        ("processor", {"num_additional_image_tokens": 0}),
        ("processor", {"patch_size": 8}),
        ("config", {"image_token_id": 4}),
        ("config", {"vision_feature_layer": -9}),
    ],
)
def test_a_processor_that_counts_otherwise_than_its_model(original, where, change):
    vlm = load(original, device="cpu")
    for setting, value in change.items():
        setattr(vlm.processor if where == "processor" else vlm.model.config, setting, value)
    picture = Image.new("RGB", (20, 20))
    says = "cannot take what its processor makes of the pictures .* of one checkpoint"
    with pytest.raises(ValueError, match=says):
        vlm.ask(picture, "What?", max_new_tokens=1)
    with pytest.raises(ValueError, match=says):
        list(vlm.stream([{"role": "user", "content": "What?"}], picture, max_new_tokens=1))


def test_what_is_no_model_or_no_processor(original):
    vlm = load(original, device="cpu")
    for pair, says in (
        ((vlm.model, vlm.processor.tokenizer), "the model's processor.*AutoProcessor"),
        ((vlm.model, vlm.processor.image_processor), "the model's processor.*AutoProcessor"),
        ((vlm.model, None), "processor.*not NoneType"),
        ((vlm.processor, vlm.model), "a model of transformers .*not LlavaProcessor"),
        ((str(original), vlm.processor), r"not str: .*vh\.load\(name\)"),
        ((torch.nn.DataParallel(vlm.model), vlm.processor), r"VLM\(model\.module, processor\)"),
    ):
        with pytest.raises(TypeError, match=says):
            loading.VLM(*pair)


# ── memory ───────────────────────────────────────────────────────────────────────────────────────


def test_the_formula():
    for dtype, size in (("float32", 4), ("float16", 2), (torch.bfloat16, 2)):
        assert estimate_memory(7e9, dtype) == pytest.approx(7e9 * size / 2**30 * 1.1 + 0.25)
    whole, eight, four = (estimate_memory(7e9, "bf16", q) for q in (None, "8bit", "4bit"))
    assert whole > eight > four > 3.5
    for wrong in (0, -1, True, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be a number above 0"):
            estimate_memory(wrong)
    for wrong in (None, [7e9], 1j):
        with pytest.raises(TypeError, match="a number of parameters, such as 7e9, or the name"):
            estimate_memory(wrong)
    with pytest.raises(ValueError, match="empty text"):
        estimate_memory("")
    with pytest.raises(ValueError, match="dtype"):
        estimate_memory(7e9, "int3")
    with pytest.raises(ValueError, match="quantization"):
        estimate_memory(7e9, quantization="3bit")


def test_the_estimate_of_a_folder_counts_its_tensors(original, tmp_path):
    parameters = load(original).card.parameters
    for dtype in ("float32", "float16"):
        assert estimate_memory(original, dtype) == pytest.approx(estimate_memory(parameters, dtype))
    four = estimate_memory(original, quantization="4bit")
    assert 0.25 < four < estimate_memory(original)
    # a text-only model is estimated as well: it is only a count
    assert estimate_memory(tiny.llama(tmp_path)) > 0.25


def free_memory(monkeypatch, amount):
    """A machine with so many GiB free, and no container around it."""
    free = types.SimpleNamespace(available=amount * 2**30)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    monkeypatch.setattr(_memory, "_container_free", lambda: None)


def test_what_does_not_fit_is_refused_before_it_is_loaded(original, monkeypatch):
    big = [_memory.Tensor("mlp.weight", "BF16", (70_000, 100_000))]
    monkeypatch.setattr(_weights, "read_tensors", lambda found: big)
    monkeypatch.setattr(_load, "_network", lambda *a: pytest.fail("weights were loaded"))
    free_memory(monkeypatch, 20)
    refused(
        MemoryError,
        r"needs about 28\.9 GiB in float32 on cpu, and 20\.0 GiB are free\. What would fit: "
        r"dtype='bfloat16' \(about 14\.6 GiB\), a smaller model, or the pocket model, vh\.load\(\)",
        original,
    )
    free_memory(monkeypatch, 2)
    refused(MemoryError, r"2\.0 GiB are free\. What would fit: a smaller model", original)
    FakeCuda(monkeypatch, (7, 5), free=10)
    refused(
        MemoryError,
        r"14\.6 GiB in float16 on cuda, and 10\.0 GiB are free\. What would fit: "
        r"quantization='8bit' \(about 7\.4 GiB\), quantization='4bit' \(about 4\.1 GiB\), a ",
        original,
        device="auto",
    )


def test_what_is_small_is_never_refused(original, monkeypatch):
    monkeypatch.setattr(_memory, "_container_free", lambda: 0)
    assert load(original, device="cpu")
