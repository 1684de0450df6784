"""The estimate of a training step, against steps that are really made."""

import functools

import peft
import pytest
import torch
import transformers
from torch._subclasses.fake_tensor import FakeTensor

import vlm_helpers as vh
from recipes.training_step import ROWS, TOKENS, WAYS, peak_and_operations, pocket
from tests import tiny


@pytest.fixture(scope="module")
def bfloat16():
    """What the defaults say of the shipped model."""
    return vh.training.estimate("pocket-llava")


def two_layers():
    """The pocket model's shapes with two layers in tower and decoder: all kinds, in less time."""
    config = transformers.AutoConfig.from_pretrained(vh.loading.pocket_folder())
    config.vision_config.num_hidden_layers = config.text_config.num_hidden_layers = 2
    return transformers.AutoModelForImageTextToText.from_config(config, dtype=torch.float32)


def compare(model, inputs, checkpointing, most):
    """The estimate of a step with the one that is really made; it is at most `most` times that."""
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    peak, operations = peak_and_operations(model, inputs)
    found = vh.training.estimate(model, tokens=TOKENS, batch_size=ROWS, checkpointing=checkpointing)
    # Gradients come as activations go, so that both are never there in full.
    assert 0.97 * peak <= found.total <= most * peak
    # torch does not compute the end of a layer again, of which nothing is needed
    assert 0.999 < found.operations / operations < (1.1 if checkpointing else 1.001)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_is_really_made(way, checkpointing):
    _, inputs = pocket("cpu")
    compare(WAYS[way](two_layers()), inputs, checkpointing, 1.25)


def test_a_step_of_the_shipped_model():
    model, inputs = pocket("cpu")
    compare(WAYS["everything"](model), inputs, True, 1.2)


def test_seven_billion_parameters_take_no_memory():
    config = transformers.LlavaConfig()
    full = vh.training.estimate(config, tokens=700)
    assert full.weights * 2**30 == 2 * full.parameters == 2 * 7_062_902_784
    assert (full.gradients, full.optimizer) == (full.weights, 2 * full.weights)
    # two operations a parameter and token forwards, four backwards; pictures have fewer tokens
    assert full.operations == pytest.approx(6 * 700 * 6.74e9, rel=0.1)
    assert "7,0" in str(full) and "optimizer" in str(full)


def test_adapters_quantised_weights_and_larger_batches():
    layers = 2
    config = transformers.LlavaConfig(
        text_config={"model_type": "llama", "num_hidden_layers": layers},
        vision_config={"model_type": "clip_vision_model", "num_hidden_layers": 2},
    )
    lora = vh.training.estimate(config, tokens=70, lora=16)
    # the ranks of seven matrices in each layer
    assert lora.trainable == layers * 16 * (4 * (4096 + 4096) + 3 * (4096 + 11008))
    assert lora.gradients * 2**30 == 4 * lora.trainable  # peft keeps adapters in float32
    small = vh.training.estimate(config, tokens=70, lora=16, quantization="4bit")
    assert 0.25 < small.weights / lora.weights < 0.6  # embeddings and output layer stay as they are
    double = vh.training.estimate(config, tokens=70, lora=16, batch_size=2)
    a_row = double.activations - lora.activations
    # Beside its rows a step keeps the adapters as autocast casts them, 2 bytes a number; but not
    # those of the first layer's queries, keys and values, before which nothing learns.
    cast = 2 * (lora.trainable - 3 * 16 * 4096) / 2**30
    assert lora.activations - a_row == pytest.approx(cast, rel=0.02)
    assert double.operations == pytest.approx(2 * lora.operations, rel=0.01)
    assert lora.seconds(10e12) == lora.operations / 10e12


def test_by_name_and_by_folder():
    by_name = vh.training.estimate("pocket-llava", dtype="float32")
    by_folder = vh.training.estimate(vh.loading.pocket_folder(), dtype="float32")
    assert by_name == by_folder == vh.training.estimate(vh.load(device="cpu", dtype="float32"))
    assert by_name.parameters == vh.load().card.parameters
    config = peft.LoraConfig(r=4, target_modules=r".*language_model.*\.q_proj")
    some = vh.training.estimate("pocket-llava", lora=config)
    assert some.trainable == 5 * 4 * (256 + 256)


def test_the_model_stays_as_it_was(tmp_path):
    model = vh.load(tiny.llava(tmp_path)).model
    model.requires_grad_(False)
    next(p for n, p in model.named_parameters() if "projector" in n).requires_grad_(True)
    model.train()
    model.model.vision_tower.eval()  # frozen, and without dropout
    modes = {name: module.training for name, module in model.named_modules()}
    assert len(set(modes.values())) == 2
    before = {n: p.clone() for n, p in model.state_dict().items()}
    vh.training.estimate(model, tokens=50)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert not any(isinstance(b, FakeTensor) for b in [*model.buffers(), *model.parameters()])
    assert sum(p.requires_grad for p in model.parameters()) == 1
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[n], p) for n, p in model.state_dict().items())
    hooks = [h for m in model.modules() for h in [*m._forward_hooks.values()]]
    assert not any(hook.__module__.startswith("vlm_helpers") for hook in hooks)


def wrapped(forward):
    @functools.wraps(forward)
    def run(*args, **kwargs):
        return forward(*args, **kwargs)

    return run


def test_a_forward_that_is_wrapped():
    """As trainers and device maps leave it: on the object, with the object's own inside."""
    model = WAYS["LoRA, rank 16"](two_layers())
    plain = vh.training.estimate(model, tokens=50, checkpointing=True)
    decoder = model.get_base_model().get_decoder()
    forwards = {m: wrapped(m.forward) for m in (model.get_base_model(), *decoder.layers)}
    for module, forward in forwards.items():
        module.forward = forward
    assert vh.training.estimate(model, tokens=50, checkpointing=True) == plain
    assert all(module.forward is forward for module, forward in forwards.items())


def test_a_model_that_wants_more_than_pixel_values(tmp_path):
    found = vh.training.estimate(tiny.llava_next(tmp_path), tokens=50)
    assert "vision encoder is left out" in str(found)


@pytest.mark.parametrize("name", ["Idefics3", "SmolVLM", "Kosmos2"])
def test_a_decoder_of_another_name(name):
    """Of these it is `text_model`; the adapters go there, and nowhere else."""
    text = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128,
            "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 500}  # fmt: skip
    if name == "Kosmos2":
        text = {"layers": 2, "embed_dim": 64, "ffn_dim": 128, "attention_heads": 4,
                "vocab_size": 500}  # fmt: skip
    else:
        text["model_type"] = "llama"
    config = getattr(transformers, f"{name}Config")(text_config=text)
    found = vh.training.estimate(config, lora=4, tokens=100)
    four = 4 * 4 * (64 + 64)
    rest = (2 if name == "Kosmos2" else 3) * 4 * (64 + 128)
    assert found.trainable == 2 * (four + rest)
    assert 0 < found.activations


@pytest.mark.parametrize("name", [torch.bfloat16, "bf16"])
def test_a_dtype_has_several_names(bfloat16, name):
    assert vh.training.estimate("pocket-llava", dtype=name) == bfloat16


TEXT = {"num_hidden_layers": 2, "hidden_size": 64, "ffn_dim": 128, "num_attention_heads": 4,
        "word_embed_proj_dim": 64, "vocab_size": 500}  # fmt: skip


def test_a_whole_language_model_inside():
    """InstructBLIP wants pictures of its own forward pass; its OPT does not."""
    vision = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2}
    config = transformers.InstructBlipConfig(
        text_config={"model_type": "opt", **TEXT}, vision_config=vision,
        qformer_config={"num_hidden_layers": 1, "encoder_hidden_size": 32},
    )  # fmt: skip
    found = vh.training.estimate(config, lora=4, tokens=100)
    assert found.trainable == 2 * 4 * (4 * (64 + 64) + 2 * (64 + 128))
    assert "vision encoder is left out" in str(found)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (transformers.ChameleonConfig, "No vision language model can be built from this Chameleon"),
        (transformers.LlamaConfig, "No vision language model can be built from this LlamaConfig"),
        (transformers.UdopConfig, "A step of UdopFor.* cannot be run on shapes alone, so measure"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(config, says):
    with pytest.raises(ValueError, match=says) as caught:
        vh.training.estimate(config(num_hidden_layers=2), tokens=32)
    assert "\n" not in str(caught.value)


def test_it_says_whether_activations_are_kept(bfloat16):
    assert "off; it is on by default in TRL" in str(bfloat16) and not bfloat16.checkpointing
    found = vh.training.estimate("pocket-llava", checkpointing=True)
    assert "on, as by" in str(found) and found.checkpointing is True


@pytest.mark.parametrize(
    ("option", "value"),
    [("pictures", -1), ("pictures", 1.5), ("batch_size", True), ("lora", True), ("lora", "16"),
     ("lora", 0)],
)  # fmt: skip
def test_options_that_cannot_be_are_named(option, value):
    with pytest.raises(ValueError, match=f"{option} must be .* not {value!r}"):
        vh.training.estimate("pocket-llava", **{option: value})


def test_wrong_arguments_are_said(bfloat16):
    with pytest.raises(ValueError, match="tokens must be"):
        vh.training.estimate("pocket-llava", tokens=0)
    with pytest.raises(ValueError, match="'8bit' or '4bit'"):
        vh.training.estimate("pocket-llava", quantization="3bit")
    with pytest.raises(ValueError, match="dtype must be"):
        vh.training.estimate("pocket-llava", dtype="int8")
    model = two_layers()
    with pytest.raises(ValueError, match="get_peft_model"):
        vh.training.estimate(model, lora=16)
    with pytest.raises(ValueError, match="No parameter"):
        vh.training.estimate(model.requires_grad_(False))
    with pytest.raises(FileNotFoundError):
        vh.training.estimate("./no-such-folder")
    with pytest.raises(ValueError, match="speed must be a number above 0, not 0"):
        bfloat16.seconds(0)
