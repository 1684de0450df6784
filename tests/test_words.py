"""The sentences that the package says about names, numbers and errors."""

import math

import numpy as np
import pytest
import torch

from vlm_helpers import _words as words

KNOWN = ("train", "test", "unseen_pairs")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("tset", "did you mean 'test'?"),
        ("TRAIN", "did you mean 'train'?"),
        ("unseen", "did you mean 'unseen_pairs'?"),
        ("xyz", "there are 'train', 'test' and 'unseen_pairs'."),
        (None, "there are 'train', 'test' and 'unseen_pairs'."),
    ],
)
def test_the_nearest_name_or_all(given, says):
    assert words.did_you_mean(given, KNOWN) == says


def test_a_single_known_name():
    assert words.did_you_mean("xyz", ["train"]) == "there is 'train'."


def test_choices():
    assert words.choice("split", "test", KNOWN) == "test"
    assert words.choice("quantization", None, (None, "8bit")) is None
    for value in ("Test", None, 3, np.zeros(3)):
        with pytest.raises(ValueError, match="^split must be 'train', 'test' or 'unseen_pairs', "):
            words.choice("split", value, KNOWN)
    with pytest.raises(ValueError, match="must be 1 or 2, not True"):
        words.choice("number", True, (1, 2))


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers(value):
    found = words.whole_number("steps", value, 1)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize(
    "value",
    [True, np.True_, torch.tensor(True), 2.0, "2", None, [2], np.arange(3), 0, -1, 7, np.zeros(99)],
)
def test_no_whole_numbers(value):
    with pytest.raises(
        ValueError, match=r"^steps must be a whole number from 1 to 6, not .{1,70}$"
    ):
        words.whole_number("steps", value, 1, 6)


def test_any_whole_number():
    assert words.whole_number("seed", -3) == -3
    with pytest.raises(TypeError, match="^seed must be a whole number, not '3'.$"):
        words.whole_number("seed", "3")


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.array(2), torch.tensor(2.0, requires_grad=True)]
)
@pytest.mark.filterwarnings("error")
def test_numbers(value):
    found = words.number("rate", value, above=0)
    assert found == 2.0 and type(found) is float


@pytest.mark.parametrize("value", [True, "2", None, [2], 2j, torch.zeros(2), 10**999])
def test_no_numbers(value):
    assert words.as_number(value) is None
    with pytest.raises(ValueError, match="^rate must be a number above 0, not "):
        words.number("rate", value, above=0)
    with pytest.raises(TypeError, match="^loss must be a number, not "):
        words.number("loss", value, finite=False)


@pytest.mark.parametrize("value", [True, np.bool_(True), torch.tensor(True), np.array(1.0)])
def test_truth_may_be_a_number(value):
    assert words.as_number(value, truth=True) == 1.0


def test_one_text_or_several():
    assert words.several("kind", "table") == ["table"] == words.several("kind", iter(["table"]))
    for value in (None, 3, b"table"):
        with pytest.raises(TypeError, match="^kind must be a text or a list of texts, not "):
            words.several("kind", value)


def test_limits_of_numbers():
    for value in (0, -1.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="^rate must be a number above 0, not "):
            words.number("rate", value, above=0)
    with pytest.raises(ValueError, match="^x must be a finite number, not nan"):
        words.number("x", math.nan)
    assert math.isnan(words.number("loss", math.nan, finite=False))


def test_counts_and_lists():
    assert [words.count(n, "row") for n in (0, 1, 2, 2000)] == [
        "0 rows", "1 row", "2 rows", "2,000 rows",
    ]  # fmt: skip
    assert [words.listed("abc"[:n], "or") for n in range(4)] == ["", "a", "a or b", "a, b or c"]


def test_first_lines():
    assert words.first_line(ValueError("\n  It broke:\n  badly")) == "It broke."
    assert words.first_line(KeyError()) == "KeyError."
