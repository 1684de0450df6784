"""Our runner against lmms-eval, item by item, on its samples of the pocket benchmarks.

They are in `tests/lmms_eval.jsonl`, whose first line says which versions and command made them.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

import vlm_helpers as vh
from recipes.lmms_eval import __main__ as recipe

HEAD, *SAMPLES = map(
    json.loads, Path(__file__).with_name("lmms_eval.jsonl").read_text("utf-8").splitlines()
)
LIVE = 6  # questions a task that are asked again here
BY_TASK = defaultdict(list)
for _task, *sample in SAMPLES:
    BY_TASK[_task].append(sample)


def letters(rule):
    return vh.evaluation.by_rule(rule)


def mmmu(answer, item):
    if item["options"]:
        return letters("lmms-eval mmmu")(answer, item)
    return float(vh.evaluation.mmmu_open(answer, item))


def pope(answer, item):
    return float(vh.evaluation.yes_or_no(answer, "lmms-eval") == item["answer"])


RULES = {
    "pocket_ai2d": letters("ai2d"),
    "pocket_mathvista": vh.evaluation.benchmark("pocket-mathvista", n=1).score,
    "pocket_mmbench": letters("lmms-eval mcq_extract"),
    "pocket_mmmu": mmmu,
    "pocket_ocrbench": vh.evaluation.benchmark("pocket-ocrbench", n=1).score,
    "pocket_pope": pope,
    "pocket_scienceqa_img": letters("scienceqa"),
}


def items(task, n):
    """The first `n` items of a task, which lmms-eval numbers after it has left some out."""
    name = task.removesuffix("_img").replace("_", "-")
    found = list(vh.evaluation.benchmark(name, n=2 * n if task.endswith("_img") else n))
    return [item for item in found if "image" in item or "images" in item][:n]


def drawn(answer, item):
    """Whether lmms-eval's MMMU drew the letter by lot: the two draws differ."""
    if not item["options"]:
        return False
    return vh.evaluation.extract(answer, item["options"], "lmms-eval mmmu").drawn


def test_there_are_samples_of_every_task():
    assert set(BY_TASK) == set(RULES) == set(recipe.TASKS)
    assert len({len(samples) for samples in BY_TASK.values()}) == 1


@pytest.mark.parametrize("task", RULES)
def test_their_answers_get_their_scores_from_our_rules(task):
    samples = BY_TASK[task]
    compared = 0
    for item, (_, prompt, answer, score) in zip(items(task, len(samples)), samples, strict=True):
        assert item["question"] == prompt
        if task == "pocket_mmmu" and drawn(answer, item):
            continue
        assert float(RULES[task](answer, item)) == score, (prompt, answer)
        compared += 1
    assert compared > len(samples) / 2


@pytest.mark.parametrize("task", RULES)
def test_our_runner_gets_their_answers(task):
    asked = vh.evaluation.quiz(vh.load("pocket-llava"), items(task, LIVE), max_new_tokens=16)
    theirs = [answer for _, _, answer, _ in BY_TASK[task][:LIVE]]
    assert [row["answer"] for row in asked.rows] == theirs


def test_the_versions_are_those_that_the_environment_gets():
    lines = (recipe.HERE / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert {name: pins[name] for name in ("lmms_eval", "transformers", "pillow")} == {
        name: HEAD[name] for name in ("lmms_eval", "transformers", "pillow")
    }


def test_a_task_reads_the_file_that_is_there():
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: node.value)
    for task in recipe.TASKS:
        config = yaml.load((recipe.HERE / f"{task}.yaml").read_text("utf-8"), Loader)
        assert config["task"] == task
        ((split, file),) = config["dataset_kwargs"]["data_files"].items()
        assert config["test_split"] == split and (recipe.HERE / file).is_file()


def test_the_command_is_the_article_s_in_today_s_form():
    line = recipe.command(Path("data/pocket-llava"), ["pocket_pope"], Path("out"), 5, 2)
    assert line[1:3] == ["-m", "accelerate.commands.launch"] and "--num_processes=2" in line[:5]
    assert line[5:9] == ["-m", "lmms_eval", "--model", "llava_hf"]
    one = recipe.command(Path("data/pocket-llava"), ["pocket_pope"], Path("out"), 5, 1)
    assert one[1:] == line[5:]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["pocket-llama"], "There is no checkpoint pocket-llama"),
        (["/nowhere/llava"], "neither data//nowhere/llava nor /nowhere/llava"),
        (["pocket-llava", "--tasks", "mmbench"], "There is no task mmbench; there are pocket_ai2d"),
    ],
)
def test_what_is_not_there_is_said_before_anything_runs(arguments, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lmms_eval", *arguments])
    monkeypatch.setattr(recipe, "version", lambda name: "1")
    with pytest.raises(SystemExit, match=words):
        recipe.main()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--limit", "0"], "argument --limit: invalid count value: '0'"),
        (["--limit", "many"], "invalid count value: 'many'"),
        (["--processes", "-1"], "argument --processes: invalid count value: '-1'"),
        (["one", "two", "--out", "x.jsonl"], "--out is the file of one model, and there are 2"),
    ],
)
def test_numbers_and_files_that_cannot_be(arguments, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lmms_eval", *arguments])
    with pytest.raises(SystemExit):
        recipe.main()
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "config, words",
    [
        ('{"model_type": "qwen2_vl"}', "is a qwen2_vl, and lmms-eval's llava_hf takes llava"),
        ("{}", "is no model's"),
        ("[]", "is no model's"),
        ("{", "is no model's"),
    ],
)
def test_a_checkpoint_that_the_class_cannot_load(config, words, tmp_path):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(SystemExit, match=words):
        recipe.checkpoint(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llava_next"}')
    assert recipe.checkpoint(str(tmp_path)) == tmp_path


def test_without_the_environment_the_recipe_says_how_to_make_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lmms_eval"])
    with pytest.raises(SystemExit, match="`make lmms-eval` makes one"):
        recipe.main()


def test_a_run_that_left_nothing_is_not_taken_for_one(tmp_path):
    with pytest.raises(SystemExit, match="has left no samples of pocket_pope"):
        recipe.samples(tmp_path, ["pocket_pope"])
