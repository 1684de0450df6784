"""Stored experiments: each has its table and its card, and the command goes on where it stopped."""

import importlib
import json
import types
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import vlm_helpers as vh
from recipes.experiments import MissingTool
from recipes.experiments.__main__ import names, run

DATA = Path(__file__).parents[1] / "data" / "experiments"


@pytest.mark.parametrize("name", names())
def test_a_stored_table_has_a_row_for_each_setting_and_a_card(name):
    module = importlib.import_module(f"recipes.experiments.{name}")
    settings = module.settings()
    table = vh.evaluation.experiment(name)
    columns = list(settings[0])
    stored = table[columns].drop_duplicates().to_dict("records")
    assert [str(s) for s in stored] == [str(s) for s in settings]
    card = (DATA / f"{name}.md").read_text()
    assert module.__doc__.strip() in card and f"recipes.experiments {name}" in card


def test_no_table_is_left_without_its_experiment():
    assert sorted(path.stem for path in DATA.glob("*.csv")) == names()


def test_an_experiment_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no experiment 'flying'; there .* 'templates'"):
        vh.evaluation.experiment("flying")


def toy(dies_at=None):
    calls = []

    def measure(rate, seed):
        if len(calls) == dies_at:
            raise KeyboardInterrupt
        calls.append((rate, seed))
        return [{"skill": skill, "score": rate * seed} for skill in "ab"]

    grid = [{"rate": rate, "seed": seed} for rate in (0.1, 0.2) for seed in (1, 2)]
    return types.SimpleNamespace(
        __doc__="Is a toy fair?", settings=lambda: grid, run=measure, calls=calls
    )


def test_a_stopped_experiment_goes_on(tmp_path):
    first = toy(dies_at=2)
    with pytest.raises(KeyboardInterrupt):
        run(first, "toy", tmp_path, say=lambda line: None)
    journal = tmp_path / "runs" / "experiments" / "toy.jsonl"
    with journal.open("a") as file:
        file.write('{"setting": {"ra')  # as a kill leaves it
    assert not (tmp_path / "data").exists()
    kept = journal.read_text()
    journal.write_text(kept.replace("\n", "\n[1]\n", 1))
    with pytest.raises(ValueError, match="toy.jsonl, line 2, is no outcome"):
        run(toy(), "toy", tmp_path)
    journal.write_text(kept)
    second = toy()
    run(second, "toy", tmp_path, say=lambda line: None)
    assert second.calls == [(0.2, 1), (0.2, 2)]
    assert all(json.loads(line) for line in journal.read_text().splitlines())
    table = pd.read_csv(tmp_path / "data" / "experiments" / "toy.csv")
    assert table.columns.tolist() == ["rate", "seed", "skill", "score"]
    assert table["score"].tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.4, 0.4])
    card = (tmp_path / "data" / "experiments" / "toy.md").read_text()
    assert "Is a toy fair?" in card and "Settings: 4; rows: 8" in card


def test_a_setting_whose_tool_is_missing_is_skipped_and_the_table_waits(tmp_path):
    def measure(tool):
        if tool == "node" and not here:
            raise MissingTool("this needs node on the path")
        return {"score": 1}

    said, here = [], []
    grid = [{"tool": "node"}, {"tool": "torch"}]
    module = types.SimpleNamespace(__doc__="Needs tools.", settings=lambda: grid, run=measure)
    run(module, "tools", tmp_path, say=said.append)
    assert "skipped: this needs node" in said[0] and "1 of 2 settings are missing" in said[-1]
    assert not (tmp_path / "data").exists()
    here.append("node")
    run(module, "tools", tmp_path, say=said.append)
    table = pd.read_csv(tmp_path / "data" / "experiments" / "tools.csv")
    assert table["tool"].tolist() == ["node", "torch"]


SEEN = {  # model: its pictures, of several sizes where it takes them, and what they are asked
    "pocket-llava": (vh.scenes.sample, ["exists", "locate", "region"]),
    "pocket-llava-next": (partial(vh.pages.sample, kind="things"), ["exists_random", "locate"]),
}


@pytest.mark.parametrize("name", SEEN)
def test_pictures_that_are_read_once_get_the_usual_answers(name):
    from recipes.experiments._asking import Shown, model

    sample, skills = SEEN[name]
    seen = [sample(seed, "test") for seed in (500, 501, 502)]
    asked = [(i, q.text) for i, one in enumerate(seen) for q in one.questions(skills)][::-1]
    usual = model(name).ask([seen[i].image for i, _ in asked], [text for _, text in asked])
    shown = Shown([one.image for one in seen], model(name))
    for _ in range(2):  # what is kept of a picture is as it was after it was asked
        answers, confidence = zip(*shown.ask(asked))
        assert list(answers) == usual and all(0 < one <= 1 for one in confidence)
    odds = zip(shown.odds(asked, "yes", "no"), usual, strict=True)
    told = [(odd > 0, answer) for odd, answer in odds if answer in ("yes", "no")]
    assert told and set(told) <= {(True, "yes"), (False, "no")}


def ends(name: str) -> pd.DataFrame:
    """The lines at the end of an experiment's trainings."""
    table = vh.evaluation.experiment(name)
    by_task = table.groupby("task") if "task" in table else table.groupby(lambda _: 0)
    return table[table["step"] == by_task["step"].transform("max")]


def start(name: str, task: str | None = None) -> pd.Series:
    table = vh.evaluation.experiment(name).query("step == 0")
    return (table if task is None else table[table["task"] == task]).iloc[0]


def said_in(notebook: str, sentences: list[str]) -> None:
    """Each of them stands in a notebook's text."""
    cells = json.loads((DATA.parents[1] / "notebooks" / f"{notebook}.ipynb").read_text())["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    for sentence in sentences:
        assert sentence in text, sentence


@pytest.mark.parametrize(("name", "column"), [("dpo", "right"), ("verifiable", "score")])
def test_a_gain_is_that_of_the_scores_by_picture(name, column):
    for line in ends(name).to_dict("records"):
        was = start(name, line.get("task"))
        for one in (was, line):
            earned = sum(map(float, one["by picture"].split()))
            assert earned == pytest.approx(one[column], rel=1e-3)
        assert line["gain"] == pytest.approx((line[column] - was[column]) / line["n"], abs=1e-3)
        assert line["low"] <= line["gain"] <= line["high"]


def test_what_notebook_06_says_of_its_own_questions_stands_in_the_tables():
    table = vh.evaluation.experiment("shortlist")
    means = table[["16 bits", "4 bits", "3 bits"]].mean()
    assert list(100 * (means["16 bits"] - means).round(2)) == [0, 8, 45] and means["3 bits"] < 0.48
    one, two = (
        [
            vh.evaluation.Run([{"id": n, "score": score} for n, score in rows[name].items()])
            for _, rows in table.groupby("first_seed")
        ]
        for name in ("16 bits", "4 bits")
    )
    sets = list(map(vh.evaluation.paired, one, two))
    assert [sum(s.low > 0 for s in sets), sum(s.difference < 0 for s in sets)] == [7, 1]
    lines = vh.evaluation.experiment("request_lines").groupby(["blind", "request"]).sum()
    assert list(lines.loc[(True, "its own"), ["all right", "questions"]]) == [5, 72]
    assert lines.loc[(False, "a line break"), "turns right"] / 288 == pytest.approx(0.7, abs=0.01)
    said_in("06_choosing_and_evaluating", [
        "4 bits cost 8 points", "for 4 bits in seven, and one set turns the order round",
        "plenty for 45 points", "72 questions in four turns", "on 5 of 72",
        "what is left of the 0.7?",
    ])  # fmt: skip


def test_what_notebook_09_says_of_gains_stands_in_the_tables():
    from recipes.experiments._asking import gain

    table = ends("verifiable").set_index("task")
    assert (ends("dpo")["low"] <= 0).all() and (table.loc[["click", "count"], "low"] <= 0).all()
    receipts = table.loc["receipt"].query("rate < 0.003")
    sides, was = receipts.groupby("side"), start("verifiable", "receipt")
    low, high = sides["gain"].min(), sides["gain"].max()
    assert receipts.loc[receipts["side"] == "GRPO", "low"].min() > 0 and low["GRPO"] > high["SFT"]
    grpo, sft = (sides.get_group(side).sort_values(["rate", "seed"]) for side in ("GRPO", "SFT"))
    tried = grpo["tried"].dropna().tolist()
    counted = grpo.dropna(subset="twice").iloc[0]
    assert sft["tried"].max() < was["tried"]
    steps = ends("verifiable").query("task != 'receipt' and side == 'GRPO'")
    assert (steps.query("rate == 0.001")["high"] < 0).all()
    for (_, seed), both in receipts.groupby(["rate", "seed"]):
        one, other = (
            list(map(float, both.loc[both["side"] == side, "by picture"].item().split()))
            for side in ("GRPO", "SFT")
        )
        assert (gain(one, other, each=2)["low"] > 0) == (seed == 1)
    said_in("09_preferences_and_rewards", [
        f"{steps['spread'].min():.2f} to {steps['spread'].max():.2f} of the groups have a spread",
        f"({low['GRPO']:.2f} to {high['GRPO']:.2f}; on others {tried[1]:.1f} and {tried[0]:.1f}, "
        f"before {was['tried']:.1f}), SFT {low['SFT']:.2f} to {high['SFT']:.2f} (on others it",
        f"from {was['twice']:.0f} to {counted['twice']:.0f}, and `fewer` than asked rise "
        f"from {was['fewer']:.0f} to {counted['fewer']:.0f}.",
        "`whole` falls from {:.0f} to {:.0f}, {:.0f} and {:.0f}, once it rises to {:.0f}".format(
            was["whole"], *sorted(grpo["whole"])[-2::-1], grpo["whole"].max()),
    ])  # fmt: skip


def test_preferences_move_the_threshold_and_a_high_rate_breaks_dpo_alone():
    was, table = start("dpo"), ends("dpo")
    assert (table["auc"] < was["auc"] + 0.005).all()
    usual = table.query("rate == 0.001 and beta in (0, 0.1) and kinds == 'all'")
    assert usual.groupby("side")["seed"].nunique().tolist() == [3, 3]
    assert usual["yes"].min() < was["yes"] < was["due"] < usual["yes"].max()
    high = table.query("rate == 0.003 and kinds == 'all'").set_index("side")
    assert high.loc["DPO", "high"] < 0 < high.loc["SFT", "high"]
    assert high.loc["DPO", "blind"] < 0.2 * was["blind"] and high.loc["DPO", "lost"] > 40


def test_rates_are_chosen_by_other_questions_than_those_of_the_table():
    tried = ends("dpo").query("side == 'DPO' and kinds == 'all' and beta == 0.1 and seed == 0")
    assert tried.set_index("rate")["tried"].idxmax() == 1e-3
    from recipes.experiments.verifiable import AGAIN

    table = ends("verifiable").query("seed == 0")
    assert set(AGAIN) == set(zip(table["task"], table["side"]))
    for which, one in table.groupby(["task", "side"]):
        assert one.set_index("rate")["tried"].idxmax() in AGAIN[which]


def test_the_figures_of_notebook_09_are_those_of_the_tables():
    was, table = start("dpo"), ends("dpo")
    usual = table.query("rate == 0.001 and kinds == 'all'")
    asked = table.query("rate == 0.001 and kinds == 'exists' and side == 'DPO'")["right"]
    broken = table.query("rate == 0.003 and side == 'DPO'").iloc[0]
    pairs = vh.evaluation.experiment("pairs").query("rate == 0.001 and step == 12")
    truth = (pairs["iou"] + pairs["none"] / pairs["n"]) / 2
    by = {m: truth[(pairs["method"] == m) & (pairs["beta"] != 0.01)] for m in ("dpo", "sft", "mpo")}
    said_in("09_preferences_and_rewards", [
        f"{usual['yes'].min():.0f} to {usual['yes'].max():.0f} times "
        f"(before {was['yes']:.0f}, due {was['due']:.0f})",
        f"{usual['right absent'].max():.0f} to {usual['right absent'].min():.0f} "
        f"of {was['n'] - was['due']:.0f} absent things are denied ({was['right absent']:.0f})",
        f"{was['old']:.0f} to {broken['old']:.0f} of {was['n_old']:.0f}",
        f"DPO's once worse beyond chance ({asked.min():.0f})",
        f"hardly rises (at most {usual['auc'].max():.3f}; before {was['auc']:.3f})",
        "{:.2f} and {:.2f}, by SFT".format(*by["dpo"]),
        "{:.2f} and {:.2f}, by [MPO]".format(*by["sft"]),
        "to {:.2f}.".format(*by["mpo"]),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "json", "valid", "complete", "right", "leaves", "fault"),
    [
        ('{"total": "9.50", "items": [{"name": "Tea", "price": "2.10"}]}', 1, 1, 1, 1, 1.0, ""),
        ('{"total": "9.50", "items": [{"name": "Tea", "price": "7.40"}]}', 1, 1, 1, 0, 2 / 3, ""),
        ('{"total": "9.50", "items": []}', 1, 1, 0, 0, 1 / 4, "key missing"),
        ('{"total": "9", "items": [{"name": "Tea", "price": "2.10"}]}', 1, 0, 1, 0, 2 / 3,
         "not the schema"),
        ('{"total": "9.50", "total": "9.50", "items": []}', 0, 0, 0, 0, 0.0, "key twice"),
        ('{"total": "9.50", "items": [', 0, 0, 0, 0, 0.0, "no JSON"),
    ],
)  # fmt: skip
def test_json_that_is_valid_complete_or_right_is_told_apart(
    answer, json, valid, complete, right, leaves, fault
):
    from recipes.experiments.json_answers import judged

    truth = {"total": "9.50", "items": [{"name": "Tea", "price": "2.10"}]}
    found = judged(answer, truth)
    assert [found[name] for name in ("json", "valid", "complete", "right", "fault")] == [
        json, valid, complete, right, fault
    ]  # fmt: skip
    assert found["leaves"] == pytest.approx(leaves, abs=1e-4)


def test_a_list_is_searched_for_names_and_prices_in_any_place():
    from recipes.experiments.json_answers import judged

    items = [{"name": name, "price": price} for name, price in ("ab", "cd", "ef")]
    said = json.dumps({"items": [items[1], {"name": "a", "price": "d"}]})
    found = judged(said, {"items": items})
    assert (found["said"], found["names"], found["pairs"]) == (2, 0.6667, 0.3333)
    assert found["leaves"] == 0.1667 and found["wrong"] == "items.name items.price"
    assert judged("{", {"items": items})["said"] is None


def test_what_notebook_05_says_of_json_stands_in_the_table():
    table = vh.evaluation.experiment("json_answers")
    asked = table.groupby("asked")
    assert set(asked.size()) == {300} and table["grey_leaves"].sum() == 0
    assert table["common_valid"].all() and not table["grey_valid"].any()
    mean = asked.mean(numeric_only=True)
    assert (mean["common_leaves"] < mean["leaves"]).all()
    twice = (table["fault"] == "key twice").groupby(table["asked"]).mean()
    assert (2 * twice > 1 - mean["valid"]).loc[["another order", "template", "form"]].all()
    lists, keys = asked.get_group("list"), asked.get_group("keys")
    assert lists["right"].sum() == 0 and lists["names"].mean() < 0.5
    small, large = (keys[keys["print"] < 9]["right"], keys[keys["print"] >= 9]["right"])
    assert small.mean() < large.mean() / 2
    valid = mean["valid"]
    said_in("05_documents_charts_and_screens", [
        f"{valid['keys']:.2f} valid, in another order {valid['another order']:.2f}, "
        f"by a template {valid['template']:.2f}: a key comes twice",
        f"Of lists {valid['list']:.2f} are valid, none right: most names are missing",
        "300 answers each", "small print more than halves right answers",
    ])  # fmt: skip


def test_what_notebook_08_says_of_forgetting_stands_in_the_table():
    table = vh.evaluation.experiment("forgetting")
    which = ["trained", "rate", "labels", "replay"]
    last = table[table["step"] == table.groupby([*which, "seed"])["step"].transform("max")]

    def seeds(trained, rate, labels="answers", replay="none"):
        setting = dict(zip(which, (trained, rate, labels, replay)))
        found = last[(last[list(setting)] == pd.Series(setting)).all(axis=1)]
        assert len(found) in (1, 3)
        return found.set_index("seed").sort_index()

    lora, every, mixed = (seeds("LoRA", 1e-3, *how) for how in ((), ("all",), ("answers", "mixed")))
    assert every["exists"].sum() == 0 and every["old"].max() < 0.75 * lora["old"].min()
    sure, free = (seeds("everything", rate) for rate in (1e-4, 5e-4))
    projector, low = seeds("projector", 2e-3), seeds("projector", 7e-4).iloc[0]
    threefold = [seeds(*one).iloc[0] for one in (("LoRA", 3e-3), ("everything", 3e-4))]
    kept = {way: seeds("everything", 5e-4, replay=way) for way in ("none", "mixed", "after")}
    assert (projector["new"] < lora["new"]).all() and (projector["new"] < sure["new"]).all()
    assert low["old"] >= lora["old"].min()
    assert kept["none"]["old"].max() < kept["after"]["old"].min()
    assert kept["after"]["old"].max() < kept["mixed"]["old"].min()
    assert free["new"].max() < kept["mixed"]["new"].min()
    fewer = sorted(lora["new"] - every["new"])

    def span(column):
        return f"{column.min()} to {column.max()}"

    said_in("08_fine_tuning", [
        "by {}, {} and {} of 80.".format(*fewer),
        "{} and {} of 96 kept, {} and {} of 80\nlearnt".format(
            *(one["old"] for one in threefold), *(one["new"] for one in threefold)),
        f"everything keeps {span(free['old'])}, where",
        f"learnt\n{low['new']} of 80.",
        f"keep {span(kept['mixed']['old'])} of 96 old answers (without them {span(free['old'])})",
        f"{span(kept['mixed']['new'])} of 80 ({span(free['new'])}), though",
        f"bring back {span(kept['after']['old'])}, and press the new skill to {{}}, {{}} and {{}},"
        .format(*sorted(kept["after"]["new"], reverse=True)),
        f"keeps {span(mixed['old'])} (without {span(lora['old'])}), and learns {span(mixed['new'])}"
        f" ({span(lora['new'])})",
    ])  # fmt: skip


def test_what_notebook_07_says_of_stage_one_stands_in_the_table():
    table = vh.evaluation.experiment("stages")
    table = table[(table["what"] != "sweep") & (table["road"] != "fast projector")]

    def right(rate, step, objects, road="stage two alone"):
        found = table[(table["rate"] == rate) & (table["road"] == road) & (table["step"] == step)]
        found = found[(found["skill"] != "size") & found["objects"].isin(objects)]
        assert found["seed"].nunique() == 3
        n = int(found["n"].sum())
        low, high = vh.evaluation.interval(found["right"].sum(), n)
        return found["right"].sum(), n, f"({low:.2f} to {high:.2f})"

    two = {step: right(1e-3, step, [1], "two stages") for step in (40, 80)}
    half, quarter = (right(rate, 120, [1]) for rate in (5e-4, 2.5e-4))
    more, both = right(2.5e-4, 120, [2, 3]), right(1e-3, 80, [2, 3], "two stages")
    alone = max(right(rate, 80, [1])[0] for rate in (1e-3, 5e-4, 2.5e-4))
    said_in("07_training", [
        f"it {half[0]} of {half[1]} answers about one object are right, at a quarter "
        f"{quarter[0]} {quarter[2]}, after two stages {two[80][0]} {two[80][2]}.",
        f"{more[0]} of {more[1]} at a quarter of the rate {more[2]}, "
        f"after two stages {both[0]} {both[2]}",
        f"{two[40][0]} of {two[40][1]} answers about one object are right, alone at most {alone}.",
    ])  # fmt: skip
