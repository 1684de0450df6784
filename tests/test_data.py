"""The Parquet sets in `data/`: rebuilt byte for byte, in the schema they promise."""

from pathlib import Path

import pytest
from datasets import Image, List, Value, load_dataset

from recipes import data as recipe
from vlm_helpers import pages, scenes

NAMES = tuple(recipe.SETS)


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_sets_are_what_the_command_builds(name, tmp_path):
    for path in recipe.build(name, tmp_path):
        assert recipe.digest(path) == recipe.digest(recipe.DATA / name / path.name), path.name


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_sets_have_the_schema_of_llava_instruct_mix_vsft(name):
    file = str(recipe.DATA / name / "test.parquet")
    rows = load_dataset("parquet", data_files=file, split="train")
    assert rows.features["images"] == List(Image())
    message = rows.features["messages"].feature
    assert message["role"] == Value("string")
    assert set(message["content"].feature) == {"index", "text", "type"}
    assert len(rows) == recipe.SETS[name][1]["test"]
    sizes = {row["images"][0].size for row in rows}
    assert sizes <= ({(scenes.PICTURE_SIZE,) * 2} if name == "pocket-instruct" else {*pages.SIZES})


@pytest.mark.parametrize("name", NAMES)
def test_the_cards_say_how_many_rows_there_are(name):
    card = (Path(recipe.DATA) / name / "README.md").read_text(encoding="utf-8")
    splits = recipe.SETS[name][1]
    assert f"{splits['train']} rows to train on, {splits['test']} to test with" in card
