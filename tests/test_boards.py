"""docs/boards.md: what it says of the published table follows from that table."""

import io
import itertools
from pathlib import Path

import pandas as pd
import pytest

import vlm_helpers as vh

PAGE = (Path(__file__).parents[1] / "docs" / "boards.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def eight():
    lines = [line for line in PAGE.split("## The mean of eight")[1].splitlines() if "|" in line]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    text = "\n".join(",".join(row) for number, row in enumerate(rows) if number != 1)
    return pd.read_csv(io.StringIO(text), index_col="model")


def turned(one, other):
    """How many pairs of models stand in another order."""
    pairs = itertools.combinations(one.index, 2)
    return sum((one[a] - one[b]) * (other[a] - other[b]) < 0 for a, b in pairs)


def test_the_mean_is_plain(eight):
    assert eight.shape == (10, 9)
    mean = eight.drop(columns="mean").mean(axis=1)
    assert (mean - eight["mean"]).abs().max() < 0.1


def test_who_is_first_hangs_on_the_eight(eight):
    scores = eight.drop(columns="mean")
    mean = scores.mean(axis=1)
    without = {name: scores.drop(columns=name).mean(axis=1) for name in scores}
    first = {name: one.idxmax() for name, one in without.items()}
    assert first.pop("MMMU") == "SenseNova-V6-Pro" and first.pop("OCRBench") == "Gemini-2.5-Pro"
    assert set(first.values()) == {"CongRong-v2.0"}
    assert {name for name, one in without.items() if not turned(mean, one)} == {"MMBench", "AI2D"}
    assert set(scores.std().nsmallest(2).index) == {"MMBench", "AI2D"}


def test_a_plain_mean_weighs_by_spread(eight):
    scores = eight.drop(columns="mean")
    spread = scores.std()
    assert spread.idxmax() == "MMVet" and spread.idxmin() == "MMBench"
    assert spread["MMVet"] == pytest.approx(4.3, abs=0.05)
    assert spread["MMBench"] == pytest.approx(0.9, abs=0.05)
    scaled = ((scores - scores.min()) / (scores.max() - scores.min())).mean(axis=1)
    order = list(scaled.sort_values(ascending=False).index)
    assert order[1:3] == ["Gemini-2.5-Pro", "SenseNova-V6-Pro"]
    assert order.index("InternVL2.5-78B-MPO") == 4
    assert order[-2:] == ["Ovis2-34B", "GLM-4v-plus-20250111"]


def test_half_of_the_eight_turn_one_pair_of_eight(eight):
    scores = eight.drop(columns="mean")
    mean = scores.mean(axis=1)
    halves = [scores[list(four)].mean(axis=1) for four in itertools.combinations(scores, 4)]
    share = sum(turned(mean, half) for half in halves) / (len(halves) * 45)
    assert f"{share:.0%}".replace("%", " %") in PAGE and share == pytest.approx(0.13, abs=0.005)


def test_neighbours_lie_within_the_interval_of_one(eight):
    low, high = vh.evaluation.interval(630, 900)
    assert (high - low) / 2 == pytest.approx(0.03, abs=0.002)
    gaps = -eight.drop(columns="mean").mean(axis=1).diff().dropna()
    assert (gaps.min().round(1), gaps.max().round(1)) == (0.1, 1.3)
