"""The shipped model: stock classes, small files, it looks, and its card tells the truth."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

import vlm_helpers as vh
from recipes.pocket_llava import evaluate, parts
from vlm_helpers import scenes
from vlm_helpers.loading import pocket_folder

FOLDER = pocket_folder("pocket-llava")
CARD = (FOLDER / "README.md").read_text()


@pytest.fixture(scope="module")
def vlm():
    return vh.load()


def card_row(start: str) -> float:
    """The test figure in the row of the card's table that begins with `start`."""
    row = next(line for line in CARD.splitlines() if line.startswith(f"| {start} |"))
    return float(re.search(r"\d\.\d+", row.split("|")[2]).group())


def test_stock_classes_load_it_without_a_line_of_ours():
    model = AutoModelForImageTextToText.from_pretrained(FOLDER)
    processor = AutoProcessor.from_pretrained(FOLDER)
    assert type(model) is LlavaForConditionalGeneration
    assert type(processor).__name__ == "LlavaProcessor"
    assert processor.chat_template == parts.CHAT_TEMPLATE


def test_files_are_safetensors_in_bf16_and_small():
    files = {path.name for path in FOLDER.iterdir()}
    assert not {name for name in files if name.endswith((".py", ".bin", ".pt", ".pkl"))}
    assert (FOLDER / "model.safetensors").stat().st_size <= 25_000_000
    with safe_open(FOLDER / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(key).dtype for key in weights.keys()} == {torch.bfloat16}


def test_every_word_of_the_scenes_is_a_token_of_its_own():
    tokenizer = AutoProcessor.from_pretrained(FOLDER).tokenizer
    for word in (*scenes.COLORS, *scenes.SHAPES, *scenes.HELD_OUT_SHAPES, *scenes.WORDS, "none"):
        assert len(tokenizer(f" {word}", add_special_tokens=False).input_ids) == 1, word
    assert tokenizer.padding_side == "left"


@pytest.mark.parametrize(
    "row, skill, figure",
    [
        ("caption: object F1", "caption", "object F1"),
        ("colour from shape", "color", "accuracy"),
        ("shape from colour", "shape", "accuracy"),
        ("count", "count", "accuracy"),
        ("existence, yes/no", "exists", "accuracy"),
        ("relation, 4-way", "relation", "accuracy"),
        ("reading a word", "word", "accuracy"),
        ("locating one object: accuracy at IoU 0.5", "locate", "accuracy at IoU 0.5"),
    ],
)
def test_fresh_scenes_confirm_the_card(vlm, row, skill, figure):
    """60 questions on scenes that the card's figures were not measured on."""
    rows = evaluate.collect(skill, 60, "test", first_seed=500_000)
    found = evaluate.score(skill, rows, evaluate.ask_all(vlm, rows))[figure]
    stated = card_row(row)
    spread = 3.5 * np.sqrt(max(stated * (1 - stated), 0.01) / 60)
    assert found > stated - spread, f"{row}: {found:.2f}, the card says {stated:.2f}"


@pytest.mark.parametrize("skill", ["color", "shape", "number", "locate"])
def test_blind_it_only_guesses(vlm, skill):
    rows = evaluate.collect(skill, 40, "test", first_seed=600_000)
    found = evaluate.score(skill, rows, evaluate.ask_all(vlm, rows, blind=True))
    floor = evaluate.floors(skill, rows)
    for figure, value in found.items():
        assert value <= floor[f"majority: {figure}"] + 0.2, figure


def test_a_batch_answers_as_singles_do(vlm):
    made = [scenes.sample(seed, "test") for seed in range(700_000, 700_006)]
    texts = ["Describe the picture.", "How many objects are there?", "Locate the sign."] * 2
    pictures = [scene.image for scene in made]
    together = vlm.ask(pictures, texts)
    assert together == [vlm.ask(p, t) for p, t in zip(pictures, texts)]


def test_location_tokens_reach_the_reader(vlm):
    scene = scenes.sample(700_010, "test", n_objects=1)
    answer = vlm.ask(scene.image, f"Locate the {scene.objects[0].name}.")
    assert re.fullmatch(r"(<loc_\d\d>){4}", answer)


def test_any_picture_of_any_shape_goes_in(vlm):
    for size, mode in [((33, 500), "RGB"), ((1000, 20), "L"), ((64, 64), "RGBA")]:
        assert isinstance(vlm.ask(Image.new(mode, size), "What is in the picture?"), str)


def test_a_conversation_keeps_to_its_object(vlm):
    """ "It" is what the first turn spoke of: answered far more often than a coin would."""
    right = 0
    for seed in range(700_020, 700_050):
        scene = scenes.sample(seed, "test", n_objects=2, sign=False)
        thing = scene.objects[seed % 2]
        picture = {"type": "image", "image": scene.image}
        first = {"type": "text", "text": f"Is there a {thing.name} in the picture?"}
        talk = [
            {"role": "user", "content": [picture, first]},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "What size is it?"},
        ]
        right += vlm.chat(talk) == thing.size
    assert right >= 22, f"{right} of 30"
