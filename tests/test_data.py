"""The Parquet sets in `data/`: rebuilt byte for byte, in the schema they promise."""

import re
from pathlib import Path

import pytest
from datasets import Image, List, Value, load_dataset

from recipes import data as recipe
from recipes import pairs
from vlm_helpers import pages, scenes

NAMES = tuple(recipe.SETS)


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_sets_are_what_the_command_builds(name, tmp_path):
    for path in recipe.build(name, tmp_path):
        assert recipe.digest(path) == recipe.digest(recipe.DATA / name / path.name), path.name


def stored(name, split):
    file = str(recipe.DATA / name / f"{split}.parquet")
    return load_dataset("parquet", data_files=file, split="train")


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_sets_have_the_schema_of_llava_instruct_mix_vsft(name):
    split = list(recipe.SETS[name][1])[-1]
    rows = stored(name, split)
    assert rows.features["images"] == List(Image())
    talks = ("prompt", "chosen", "rejected") if name == "pocket-preferences" else ("messages",)
    for talk in talks:
        message = rows.features[talk].feature
        assert message["role"] == Value("string")
        assert set(message["content"].feature) == {"index", "text", "type"}
    assert len(rows) == recipe.SETS[name][1][split]
    sizes = {row["images"][0].size for row in rows}
    scene = {"pocket-instruct": scenes.PICTURE_SIZE, "pocket-preferences": pairs.SCENE_SIZE}
    drawn = {(scene[name],) * 2} if name in scene else set()
    assert sizes <= drawn | ({*pages.SIZES} if name != "pocket-instruct" else set())


@pytest.mark.parametrize("name", NAMES)
def test_the_cards_say_how_many_rows_there_are(name):
    card = (Path(recipe.DATA) / name / "README.md").read_text(encoding="utf-8")
    train, other = recipe.SETS[name][1].values()
    assert re.search(rf"{train} rows\s+to train on, {other} to (test|validate) with", card)


# --- preferences ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def preferences():
    return {split: stored("pocket-preferences", split).remove_columns("images").to_list()
            for split in ("train", "validation")}  # fmt: skip


def test_no_rule_that_does_not_look_wins(preferences):
    """Neither length nor "no" nor names; the card says so, with these numbers."""
    card = (recipe.DATA / "pocket-preferences" / "README.md").read_text(encoding="utf-8")
    train, validation = preferences["train"], preferences["validation"]
    for split, rows, others in (("train", train, validation), ("validation", validation, train)):
        found = pairs.trivial(rows, others)
        assert all(0.45 < share < 0.55 for share in found.values()), found
        shown = " | ".join(f"{share:.2f}".lstrip("0") for share in found.values())
        assert f"| {split} | {len(rows)} | {shown} |" in card
    exist = [row for row in train if row["kind"].endswith("exists")]
    assert abs(sum(row["truth"] == "no" for row in exist) / len(exist) - 0.5) < 0.05


def test_a_rule_that_wins_is_seen():
    rows = [pairs.row("thing_name", pages.sample(0, kind="things"), "?", "a long one", "short")] * 4
    found = pairs.trivial(rows, rows)
    assert found["the longer one"] == found["by name"] == 1 and found["no"] == 0.5


def test_the_chosen_answer_is_true_and_the_other_is_not(preferences):
    rows = preferences["train"] + preferences["validation"]
    assert {row["kind"] for row in rows} == {*pairs.KINDS}
    for row, (right, wrong) in zip(rows, pairs.answers(rows)):
        assert right == row["truth"] != wrong
    for seed in range(24):  # by the truth of the picture
        page = pages.sample(seed, kind="things")
        if made := pairs.thing_name(page, seed):
            assert made[1] in page.fields["things"] and made[2] not in page.fields["things"]
        scene = scenes.sample(seed)
        if made := pairs.scene_caption(scene, seed):
            assert made[1] == scene.caption() != made[2]
            assert sum(a != b for a, b in zip(made[1].split(), made[2].split())) <= 2


def test_pairs_and_evaluations_share_no_picture():
    assert {*recipe.SETS["pocket-preferences"][1]} == {"train", "validation"}
    with pytest.raises(ValueError, match="ask about the split 'test'"):
        next(pairs.pairs(pairs.KINDS, "test"))
