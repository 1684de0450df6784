"""Loading from folders: what is taken, and every sentence for what is not."""

import io
import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from tests import tiny
from vlm_helpers import _memory, loading
from vlm_helpers.loading import _checkpoints, estimate_memory, load


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
    module = package / "loading" / "_checkpoints.py"
    monkeypatch.setattr(_checkpoints, "__file__", str(module))
    with pytest.raises(FileNotFoundError, match="pocket-llava is missing.*_data"):
        load()
    shutil.copytree(original, tmp_path / "lib" / "data" / "pocket-llava")
    assert load().card.name == load("pocket-llava").card.name == "pocket-llava"
    with pytest.raises(FileNotFoundError, match="pocket-llava-base is missing"):
        load("pocket-llava-base")
    shutil.copytree(original, package / "_data" / "pocket-llava-base")
    assert load("pocket-llava-base").card.name == "pocket-llava-base"


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
        with loading.quiet():
            assert logging.get_verbosity() == logging.INFO
    finally:
        logging.set_verbosity(before[0])


def test_importing_loads_no_torch():
    code = "import sys, vlm_helpers.loading; print('torch' in sys.modules, 'numpy' in sys.modules)"
    root = Path(loading.__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert out.stdout.split()[0] == "False", out.stderr


# ── arguments ────────────────────────────────────────────────────────────────────────────────────


def test_arguments_that_cannot_be(original):
    refused(ValueError, "device='gpu' is none", original, device="gpu")
    refused(ValueError, "device='xpu' is none", original, device="xpu")
    refused(ValueError, "device=0 is none", original, device=0)
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
    refused(ValueError, "device='cuda' is not on this machine", original, device="cuda")
    refused(ValueError, "device='cuda:3' is not on this", original, device="cuda:3")
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
    assert loading.pick_device() == "cuda"
    assert loading.pick_dtype("auto", "cuda") == "float16"
    with pytest.raises(ValueError, match="Some GPU has compute capability 7.5.*float16"):
        loading.pick_dtype("bfloat16", "cuda")
    FakeCuda(monkeypatch, (8, 0), count=2)
    assert loading.pick_dtype("auto", "cuda:1") == "bfloat16"
    assert loading.pick_dtype("auto", "cuda", "4bit") == "bfloat16"
    assert loading.pick_dtype("auto", "cuda", "8bit") == "float16"
    assert loading.pick_device("cuda:1") == "cuda:1"
    with pytest.raises(ValueError, match="torch sees 2 of type cuda"):
        loading.pick_device("cuda:2")


def test_bitsandbytes_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs bitsandbytes.*vlm-helpers\[gpu\]"):
        loading.check_quantization("4bit", "cuda")


# ── checkpoints that are none ────────────────────────────────────────────────────────────────────


def test_names_that_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("./nowhere", "/no/such/folder", "a b", "a/b/c", "~/nowhere", Path("x/y")):
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
        refused(FileNotFoundError, f"'{name}': did you mean '{meant}'", name)
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
    refused(OSError, "The processor of .* could not be loaded", folder)
    (folder / "tokenizer.json").write_text("{}")
    refused(OSError, "The processor of .* could not be loaded", folder)


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
    assert _checkpoints.read_header(file) == [_memory.Tensor("a", "U8", (size,))]
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


# ── memory ───────────────────────────────────────────────────────────────────────────────────────


def test_the_formula():
    for dtype, size in (("float32", 4), ("float16", 2), (torch.bfloat16, 2)):
        assert estimate_memory(7e9, dtype) == pytest.approx(7e9 * size / 2**30 * 1.1 + 0.25)
    whole, eight, four = (estimate_memory(7e9, "bf16", q) for q in (None, "8bit", "4bit"))
    assert whole > eight > four > 3.5
    for wrong in (0, -1, True, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be positive"):
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
    monkeypatch.setattr(_checkpoints, "read_tensors", lambda found: big)
    monkeypatch.setattr(loading, "_network", lambda *a: pytest.fail("weights were loaded"))
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


# ── adapters ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def adapter(original, tmp_path_factory):
    """A LoRA adapter that changes what the model says."""
    from peft import LoraConfig, get_peft_model

    vlm = load(original, device="cpu")
    torch.manual_seed(1)
    scope = r".*language_model.*\.(q_proj|v_proj)"
    network = get_peft_model(vlm.model, LoraConfig(r=4, target_modules=scope))
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, 0, 0.5)
    folder = tmp_path_factory.mktemp("adapter")
    network.save_pretrained(folder)
    expected = loading.VLM(network, vlm.processor).ask(None, "What?", max_new_tokens=10)
    return folder, expected


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
    refused(ValueError, misfit, original, adapter=wide)
    # fewer and other tensors than its configuration says
    less = dict(list(tensors.items())[1:])
    save_file(less, wide / "adapter_model.safetensors")
    refused(ValueError, misfit, original, adapter=wide)
    save_file({**tensors, "more": torch.zeros(1)}, wide / "adapter_model.safetensors")
    refused(ValueError, misfit, original, adapter=wide)


def test_an_adapter_of_the_other_embedded_model(original, adapter, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(adapter[0], tmp_path / "adapter"))
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "/somewhere/data/pocket-llava-base"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    monkeypatch.setattr(_checkpoints, "pocket_folder", lambda name: base / name)
    base = tmp_path / "data"
    for name in _checkpoints.POCKET:
        shutil.copytree(original, base / name)
    refused(
        ValueError,
        "pocket-llava-base, and does not fit pocket-llava",
        "pocket-llava",
        adapter=folder,
    )
    assert load("pocket-llava-base", adapter=folder).card.adapter


def test_damaged_adapters(original, adapter, tmp_path):
    refused(FileNotFoundError, "no adapter folder", original, adapter=tmp_path / "none")
    refused(FileNotFoundError, "no adapter folder", original, adapter="./none")
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
    (folder / "adapter_config.json").write_text("{")
    shutil.copy(adapter[0] / "adapter_model.safetensors", weights)
    refused(OSError, "adapter_config.json is damaged", original, adapter=folder)
