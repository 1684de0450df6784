"""The things: that their facts are consistent and their drawings fit them."""

import shutil

import numpy as np
import pytest
from PIL import Image

from vlm_helpers import _data
from vlm_helpers.pages import atlas

THINGS = atlas.things()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A package with its own copy of data/things/, and no memory of another."""
    (tmp_path / "vlm_helpers").mkdir()
    original = _data.data_file("things/things.toml").parent
    shutil.copytree(original, tmp_path / "data" / "things")
    monkeypatch.setattr(_data, "PACKAGE", tmp_path / "vlm_helpers")
    for cached in (atlas.things, atlas._sheet):
        cached.cache_clear()
    yield tmp_path / "data" / "things"
    for cached in (atlas.things, atlas._sheet):
        cached.cache_clear()


def test_names_are_short_and_stand_for_one_drawing_each():
    assert 250 <= len(THINGS.names) <= 400
    assert len(set(THINGS.icons.values())) == len(THINGS.names)
    for name in THINGS.names:
        assert name == name.lower() and 1 <= len(name.split()) <= 2, name


def test_every_list_names_things_and_groups_that_exist():
    names, groups = set(THINGS.names), set(THINGS.groups.values())
    lists = [
        THINGS.also, THINGS.near, *THINGS.near.values(), THINGS.plurals, THINGS.stuff,
        THINGS.irregular, THINGS.single, THINGS.sky, THINGS.still,
    ]  # fmt: skip
    for some in lists:
        assert set(some) <= names, set(some) - names
    for name, also in THINGS.also.items():
        assert also <= groups - {"other", THINGS.groups[name]}, name
    assert not THINGS.plurals & THINGS.stuff


def test_facts_are_true_of_some_and_false_of_others_and_never_both():
    for key, fact in THINGS.facts.items():
        assert fact.yes and len(fact.no) >= 10, key
        assert not fact.yes & fact.no, key
        assert fact.yes | fact.no <= set(THINGS.names), key
        assert fact.one and fact.many, key


def test_facts_agree_with_each_other_and_with_the_groups():
    facts = THINGS.facts
    apart = [("bird", "mammal"), ("bird", "insect"), ("insect", "mammal"), ("mammal", "eggs"),
             ("bird", "legs"), ("insect", "legs"), ("ice", "hot"), ("boat", "wheels"),
             ("eaten", "worn"), ("cut", "write")]  # fmt: skip
    for one, other in apart:
        assert not facts[one].yes & facts[other].yes, (one, other)
    for key in ("bird", "mammal", "insect", "legs", "farm", "water", "eggs"):
        assert {THINGS.groups[name] for name in facts[key].yes} == {"animal"}, key
    assert facts["farm"].yes <= facts["bird"].yes | facts["mammal"].yes


def test_themes_have_four_core_things_each_and_none_twice():
    assert len(THINGS.themes) >= 12
    core = [name for theme in THINGS.themes.values() for name in theme.core]
    assert len(core) == len(set(core)) == 4 * len(THINGS.themes)
    for theme in THINGS.themes.values():
        everything = theme.core + theme.others
        assert len(set(everything)) == len(everything) >= 12
        assert set(everything) <= set(THINGS.names)


@pytest.mark.parametrize("style", THINGS.styles)
def test_every_drawing_is_there_and_no_two_are_alike(style):
    small = []
    for name in THINGS.names:
        width, height = atlas.proportions(name, style)
        assert max(width, height) == 1 and min(width, height) > 0.2, name
        pixels = np.asarray(atlas.picture(name, 24, 24, style), float)
        assert pixels[..., 3].mean() > 30, name
        small.append(np.where(pixels[..., 3:] > 96, pixels[..., :3], 255).ravel())
    small = np.array(small, np.float32) / 255
    squares = (small**2).sum(1)
    apart = squares[:, None] + squares - 2 * small @ small.T
    np.fill_diagonal(apart, np.inf)
    assert (apart.min() / small.shape[1]) ** 0.5 > 0.08  # of the full range, root mean square


def test_a_picture_is_tight_scaled_and_mirrored():
    width, height = atlas.proportions("fish")
    picture = atlas.picture("fish", round(60 * width), round(60 * height))
    opacity = np.asarray(picture)[..., 3]
    assert picture.mode == "RGBA" and max(picture.size) == 60
    for edge in (opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]):
        assert edge.max() > 40
    mirrored = atlas.picture("fish", *picture.size, mirrored=True)
    assert np.array_equal(np.asarray(mirrored)[:, ::-1], np.asarray(picture))
    assert atlas.picture("fish", *picture.size, "fluent").tobytes() != picture.tobytes()


def test_what_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no thing 'cta'; did you mean 'cat'"):
        atlas.picture("cta", 10, 10)
    with pytest.raises(ValueError, match="no style 'not'; did you mean 'noto'"):
        atlas.proportions("cat", "not")
    with pytest.raises(ValueError, match="width must be a whole number from 1 up, not 0"):
        atlas.picture("cat", 0, 10)


def test_other_versions_and_missing_files_give_one_sentence(copied):
    assert atlas.things().names == THINGS.names
    facts = copied / "things.toml"
    text = facts.read_text("utf-8")
    facts.write_text(text.replace("\nversion = 1", "\nversion = 9"), "utf-8")
    atlas.things.cache_clear()
    with pytest.raises(ValueError, match="has version 9, this code needs 1: take"):
        atlas.things()
    facts.write_text(text.replace('cat = "cat"', 'cot = "cat"'), "utf-8")
    atlas.things.cache_clear()
    with pytest.raises(ValueError, match="noto.png shows other things than things.toml names"):
        atlas.picture("dog", 20, 20)
    facts.unlink()
    (copied / "fluent.png").unlink()
    with pytest.raises(FileNotFoundError, match="fluent.png is missing.*neither.*install"):
        atlas._sheet("fluent")
    atlas.things.cache_clear()
    with pytest.raises(FileNotFoundError, match="things/things.toml is missing"):
        atlas.things()


def test_an_atlas_is_small_enough():
    for style in THINGS.styles:
        path = _data.data_file(f"things/{style}.png")
        assert path.stat().st_size < 2e6
        assert Image.open(path).mode == "RGBA"
