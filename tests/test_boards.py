"""docs/boards.md: what it says of published and of stored tables follows from them."""

import io
import itertools
from pathlib import Path

import pandas as pd
import pytest

import vlm_helpers as vh

PAGE = (Path(__file__).parents[1] / "docs" / "boards.md").read_text(encoding="utf-8")


def table(head):
    """The first Markdown table below a heading."""
    lines = PAGE.split(head)[1].split("\n\n|", 1)[1].split("\n\n")[0].splitlines()
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    text = "\n".join(",".join(row) for number, row in enumerate(rows) if number != 1)
    return pd.read_csv(io.StringIO(text), index_col="model")


@pytest.fixture(scope="module")
def eight():
    return table("## The mean of eight")


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


def test_our_own_leaderboard_is_the_stored_one():
    stored = vh.evaluation.experiment("leaderboard")
    scores = stored.pivot(index="model", columns="benchmark", values="score")
    floor = stored.groupby("benchmark")["floor"].first()
    shown, means = table("### The same with our own"), scores.mean(axis=1)
    above = ((scores - floor) / (1 - floor)).clip(lower=0).mean(axis=1)
    models = list(means.sort_values(ascending=False).index)
    assert list(shown.index) == [*models, "floor"]
    assert shown["mean"][models].tolist() == pytest.approx(means[models].tolist(), abs=6e-4)
    assert shown["above the floor"][models].tolist() == pytest.approx(above[models], abs=6e-4)
    for column, name in zip(shown.columns[2:], scores.columns):
        assert name == f"pocket-{column.lower()}"
        wanted = [*scores.loc[models, name], floor[name]]
        assert shown[column].tolist() == pytest.approx(wanted, abs=6e-3)
    assert models[3:5] == ["blind", "wrong template"] and above["blind"] < above["wrong template"]
    lost = {name for name in scores if (scores[name] <= floor[name]).all()}
    assert lost == {"pocket-ai2d", "pocket-mmmu", "pocket-scienceqa"}
    errors = (scores * (1 - scores) / 60).sum(axis=1) ** 0.5 / 7
    assert 1.96 * errors.max() == pytest.approx(0.04, abs=0.005)
    apart = 1.96 * (errors["blind"] ** 2 + errors["wrong template"] ** 2) ** 0.5
    assert (
        apart == pytest.approx(0.05, abs=0.005) and means["blind"] > means["wrong template"] + apart
    )
    assert (stored["high"] - stored["low"]).max() / 2 == pytest.approx(0.12, abs=0.005)
    assert means["pocket-llava"] - means["LoRA"] == pytest.approx(0.012, abs=6e-4)


def ends(voters, control=False, without="nobody"):
    """What very many votes lead to, by contestant, in whole points."""
    table = vh.evaluation.experiment("arena")
    wanted = {"voters": voters, "style_control": control, "without": without, "votes": 3200}
    rows = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return rows.set_index("contestant")["limit"].round().astype(int)


CHATTY, CAPTIONS, CHANGES = "short-sighted, chatty", "pocket-llava-base", "at times chatty"


def test_the_rule_turns_the_first_two():
    answers = vh.evaluation.experiment("arena_answers").groupby("contestant")
    for column, lora in (("right", 0.890), ("exact", 0.824)):
        share = answers[column].mean().round(3)
        assert share["LoRA"] == lora and share["pocket-llava"] == 0.848


def test_taste_and_style_control_move_the_ratings_as_it_says():
    fair, long = ends("fair"), ends("like length")
    assert (fair[CHATTY], fair["short-sighted"], fair[CAPTIONS]) == (1031, 1032, 909)
    assert (long[CHATTY], long[CAPTIONS]) == (1201, 1054) and long.idxmax() == CHATTY
    controlled, own = ends("like length", True), ends("like shares", True)
    assert (controlled[CHATTY], controlled[CAPTIONS]) == (1086, 948)
    assert controlled.idxmax() == fair.idxmax() == "LoRA"
    assert controlled["LoRA"] - controlled[CHATTY] == 19
    assert (own[CHATTY], own[CAPTIONS]) == (1035, 906)
    bold = ends("like bold")["blind, bold"], ends("like bold", True)["blind, bold"]
    assert bold == (997, 925) and fair["blind, bold"] == 925


def test_without_those_who_change_style_control_fails_as_it_says():
    without = f"short-sighted, {CHANGES}"
    taste = [ends("like length", control, without)[CHATTY] for control in (False, True)]
    fair = [ends("fair", control, without)[CHATTY] for control in (False, True)]
    assert (taste, fair) == ([1210, 1184], [1032, 1080])
    answers = vh.evaluation.experiment("arena_answers").fillna({"answer": ""})
    answers["words"] = answers["answer"].str.split().str.len()
    longer = answers[answers["contestant"].isin(["LoRA", CAPTIONS])].groupby("contestant")
    goes = {name: rows["words"].corr(rows["right"]) for name, rows in longer}
    assert all(value < -0.3 for value in goes.values()), goes


def test_votes_part_neighbours_as_it_says():
    table = vh.evaluation.experiment("arena")
    fair = table.query("voters == 'fair' and not style_control and without == 'nobody'")
    apart = fair.set_index(["contestant", "votes"])["apart"]
    assert (apart["pocket-llava", 800], apart["pocket-llava", 1600]) == (0.74, 0.96)
    assert apart["LoRA", 3200] == 0.16
    limit = fair[fair["votes"] == 800].set_index("contestant")["limit"]
    order = limit.sort_values(ascending=False)
    assert (-order.diff().iloc[1:3].round()).tolist() == [12, 81]
