"""The zoo: every family runs, its parts add up, and a picture costs what the real model pays."""

import pytest
import torch
from PIL import Image

from vlm_helpers import catalog, zoo

PICTURE = Image.effect_noise((640, 480), 60).convert("RGB")


@pytest.fixture(scope="module")
def tinies():
    return {name: zoo.build(name) for name in zoo.names()}


@pytest.mark.parametrize("name", zoo.names())
def test_a_forward_pass_gives_finite_logits_that_see_the_picture(tinies, name):
    tiny = tinies[name]
    with torch.no_grad():
        seen = tiny.model(**tiny.prepare(PICTURE, "hi")).logits
        grey = tiny.model(**tiny.prepare(Image.new("RGB", (640, 480)), "hi")).logits
    assert seen.ndim == 3 and seen.isfinite().all()
    assert (seen[0, -1] - grey[0, -1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", zoo.names())
def test_parts_add_up_to_the_whole(tinies, name):
    tiny = tinies[name]
    assert sum(tiny.parts.values()) == sum(p.numel() for p in tiny.model.parameters())
    assert ("vision" in tiny.parts) == bool(tiny.family.encoders)
    assert ("expert" in tiny.parts) == (name == "cogvlm")
    if tiny.family.native:
        assert type(tiny.model).__module__.startswith("transformers.")


# Published counts, for a picture of 640 x 480. Yi-VL: (448 / 14)² patches; CogVLM: (490 / 14)² and
# two edges; KOSMOS-2: latent_query_num; LLaVA-NeXT: 576 and an unpadded grid with row ends, as
# transformers' and LLaVA's own code count it; Fuyu: 16 rows of 22 patches and a row end.
PUBLISHED = {
    "llava-1.5": 576, "llava-next": 2340, "kosmos-2": 64, "fuyu": 16 * 23, "deepseek-vl": 576,
    "qwen-vl": 256, "cogvlm": 1227, "moondream2": 729, "yi-vl": 1024,
}  # fmt: skip


@pytest.mark.parametrize("name", zoo.names())
def test_a_picture_costs_as_many_tokens_as_published(name):
    assert zoo.tokens_per_picture(name, 640, 480) == PUBLISHED[name]


CATALOG = {
    "llava-1.5": "LLaVA-1.5-7B", "llava-next": "LLaVA-1.6-Mistral-7B", "kosmos-2": "KOSMOS-2",
    "fuyu": "Fuyu-8B", "deepseek-vl": "DeepSeek-VL-7B-chat", "qwen-vl": "Qwen-VL",
    "cogvlm": "CogVLM-chat", "moondream2": "moondream2", "yi-vl": "Yi-VL-34B",
}  # fmt: skip


@pytest.mark.parametrize("name", zoo.names())
def test_the_catalog_says_the_same_of_the_largest_picture(name):
    row = catalog.get(CATALOG[name])
    assert zoo.tokens_per_picture(name, *row.resolution) == row.tokens


def test_only_some_families_pay_more_for_larger_pictures():
    grows = {
        name
        for name in zoo.names()
        if zoo.tokens_per_picture(name, 900, 900) > zoo.tokens_per_picture(name, 300, 300)
    }
    assert grows == {"llava-next", "fuyu"}


def test_llava_next_pays_for_the_shape_of_a_picture_too():
    wide, high = (zoo.tokens_per_picture("llava-next", *side) for side in ((900, 300), (300, 900)))
    square = zoo.tokens_per_picture("llava-next", 600, 600)
    assert wide < square and high < square


def test_cogvlm_sends_text_and_picture_through_different_weights():
    tiny = zoo.build("cogvlm")
    inputs = dict(tiny.processor(images=PICTURE, text="so: <image>", return_tensors="pt"))
    with torch.no_grad():
        before = tiny.model(**inputs).logits[0]
        for name, parameter in tiny.model.named_parameters():
            if ".picture." in name:
                parameter.mul_(3)
        after = tiny.model(**inputs).logits[0]
    there = tiny.image_places(inputs)
    assert torch.equal(before[~there], after[~there])  # the text, which comes first
    assert not torch.isclose(before[there], after[there]).all(dim=-1).any()


def test_the_same_seed_builds_the_same_model_and_leaves_the_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, two = zoo.build("fuyu", seed=3), zoo.build("fuyu", seed=3)
    assert torch.equal(torch.rand(3), expected)
    for left, right in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(left, right)


def test_bad_names_and_sizes_are_told_apart():
    with pytest.raises(ValueError, match="'lava'.*'llava-1.5'"):
        zoo.build("lava")
    with pytest.raises(ValueError, match="0 x 5 has no pixels"):
        zoo.tokens_per_picture("fuyu", 0, 5)
