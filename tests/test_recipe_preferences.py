"""The script for preferences and rewards: alone, in two processes, killed, resumed, refused."""

import contextlib
import importlib
import io
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
import torch
from safetensors.torch import load_file

import vlm_helpers as vh
from recipes import frame, preferences, rewards
from recipes.preferences import main
from recipes.preferences_probe import apart, log_probabilities
from tests.scripts import ROOT, assert_same_adapter, logged, run, run_and_kill, together
from vlm_helpers.training import PreflightError

DATA = ROOT / "data" / "pocket-preferences" / "train.parquet"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The first 24 rows of the stored pairs, as a file."""
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    stored = datasets.load_dataset("parquet", data_files=str(DATA), split="train")
    stored.select(range(24)).to_parquet(path)
    return path


def options(method, rows, output, *more):
    given = [
        method, "--config", f"recipes/{method}.yaml", "--data", rows, "--output_dir", output,
        "--disable_tqdm", "true", "--logging_steps", 1, "--max_steps", 2, "--save_steps", 2,
        "--warmup_steps", 0, "--per_device_train_batch_size", 4,
        "--gradient_checkpointing", "false",
    ]  # fmt: skip
    if method == "grpo":
        given += ["--num_generations", 4, "--max_completion_length", 6, "--temperature", 2]
    return [*map(str, [*given, *more])]


def here(method, rows, output, *more):
    """The script in this process; what it says."""
    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said):
        main(options(method, rows, output, *more))
    return said.getvalue()


@pytest.fixture(scope="module")
def alone(tmp_path_factory, rows):
    """Two steps of four pairs, in one process."""
    output = tmp_path_factory.mktemp("alone")
    (output / "said.txt").write_text(here("dpo", rows, output))
    return output


def test_what_dpo_leaves(alone):
    said = (alone / "said.txt").read_text()
    assert "24 rows can be trained on." in said and "the better answer is known of 24" in said
    assert "the model prefers the chosen answer in" in said and "of 24 pairs" in said
    assert logged(alone)[0] == pytest.approx(0.6931, abs=1e-3)  # the reference is where it begins
    assert logged(alone, "rewards/margins")[0] == pytest.approx(0, abs=1e-3)
    adapter = load_file(alone / "adapter_model.safetensors")
    assert adapter and all("language_model" in name for name in adapter)
    assert vh.load("pocket-llava", adapter=alone).card.adapter == str(alone)
    card = (alone / "README.md").read_text()
    assert "DPOTrainer" in card and "beta 0.1" in card and "base_model: pocket-llava" in card
    for file in [*alone.rglob("*.md"), *alone.rglob("*.json")]:
        assert str(ROOT) not in file.read_text(), file
    assert "Nothing to do" in here("dpo", DATA, alone)


def test_two_processes_are_as_one(alone, rows, tmp_path):
    run([*together("cpu"), "recipes.preferences",
         *options("dpo", rows, tmp_path, "--per_device_train_batch_size", 2)])  # fmt: skip
    assert logged(tmp_path) == pytest.approx(logged(alone), rel=2e-3)
    assert_same_adapter(tmp_path, alone, atol=2e-3)


def test_two_processes_share_a_group_of_answers(monkeypatch, rows, tmp_path):
    monkeypatch.setenv("NOTES", str(tmp_path))
    run([*together("cpu"), "recipes.preferences",
         *options("grpo", rows, tmp_path / "out", "--per_device_train_batch_size", 2, "--probe", 0,
                  "--reward_funcs", f"{__name__}.noted")])  # fmt: skip
    one, other = ([json.loads(line) for line in (tmp_path / rank).read_text().splitlines()]
                  for rank in "01")  # fmt: skip
    assert [step["prompts"] for step in one] == [step["prompts"] for step in other]
    assert [step["answers"] for step in one] != [step["answers"] for step in other]
    means = [sum(a["rewards"] + b["rewards"]) / 4 for a, b in zip(one, other)]
    assert len(means) == 2 and logged(tmp_path / "out", "reward") == pytest.approx(means)
    assert vh.load("pocket-llava", adapter=tmp_path / "out")


def noted(prompts, completions, truth, kind, **columns):
    """As `short`; and each process notes what it was handed."""
    step = {
        "prompts": [prompt[0]["content"][-1]["text"] for prompt in prompts],
        "answers": [completion[0]["content"] for completion in completions],
        "rewards": short(completions, truth, kind),
    }
    with Path(os.environ["NOTES"], os.environ["RANK"]).open("a") as file:
        file.write(json.dumps(step) + "\n")
    return step["rewards"]


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("dpo", ("--per_device_train_batch_size", 2)),
        ("grpo", ("--reward_funcs", f"{__name__}.short")),
    ],
)
def test_killed_and_resumed(method, more, rows, tmp_path):
    """A run that is killed and started again ends where one does that was left alone."""
    more = ("--max_steps", 6, "--save_steps", 1, "--preflight", "false", "--probe", 0, *more)
    here(method, rows, tmp_path / "whole", *more)
    words = [sys.executable, "-m", "recipes.preferences",
             *options(method, rows, tmp_path / "killed", *more)]  # fmt: skip
    run_and_kill(words, tmp_path / "killed" / "checkpoint-1")
    assert "Going on from" in here(method, rows, tmp_path / "killed", *more)
    assert_same_adapter(tmp_path / "whole", tmp_path / "killed", atol=1e-6)
    for name in ("loss", "reward"):  # GRPO's answers are sampled: the same ones
        found, due = logged(tmp_path / "killed", name), logged(tmp_path / "whole", name)
        assert found == pytest.approx(due) and len(due) in (0, 6)


def test_all_weights_have_a_reference(rows, tmp_path):
    """It is loaded anew: the loss begins at log 2. MPO is one line more."""
    here("dpo", rows, tmp_path, "--use_peft", "false", "--max_steps", 1, "--save_steps", 1,
         "--preflight", "false", "--probe", 0, "--loss_type", "sigmoid", "sft",
         "--loss_weights", 1, 0)  # fmt: skip
    assert logged(tmp_path)[0] == pytest.approx(0.6931, abs=1e-3)
    assert "all weights" in (tmp_path / "README.md").read_text()
    assert vh.load(tmp_path)


def test_grpo_in_the_same_frame(rows, tmp_path):
    more = ("--probe", 6, "--beta", 0.1, "--use_peft", "false")  # with a reference, too
    said = here("grpo", rows, tmp_path, *more, "--reward_funcs", f"{__name__}.short")
    assert "24 rows can be learnt from" in said and "groups have a spread" in said
    assert len(logged(tmp_path)) == 2 and len(logged(tmp_path, "kl")) == 2
    assert "GRPOTrainer" in (tmp_path / "README.md").read_text() and vh.load(tmp_path)


def short(completions, truth, kind, **columns):
    assert len(completions) == len(truth) == len(kind)
    return [-len(completion[0]["content"]) for completion in completions]


def broken(completions, **columns):
    return [float("nan")] * len(completions)


def level(completions, **columns):
    return [1.0] * len(completions)


def test_the_reward_that_ships():
    answers = [[{"role": "assistant", "content": text}] for text in (" Yes\n", "no", "")]
    assert rewards.exact(answers, ["yes", "yes", "yes"], kind=[]) == [1, 0, 0]


def broken_row(rows, path, break_it):
    first = datasets.load_dataset("parquet", data_files=str(rows), split="train")
    table = first.cast_column("images", datasets.List(datasets.Image(decode=False))).to_list()
    break_it(table[5])
    datasets.Dataset.from_list(table, features=first.features).to_parquet(path)
    return path


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_a_prompt_without_its_picture_is_told_before_the_training(method, rows, tmp_path):
    path = broken_row(rows, tmp_path / "rows.parquet", lambda row: row.update(images=[]))
    with pytest.raises(PreflightError, match="Row 5: .*no picture left for it"):
        here(method, path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_swapped_pair_is_told_before_the_training(rows, tmp_path):
    def swap(row):
        row["chosen"], row["rejected"] = row["rejected"], row["chosen"]

    path = broken_row(rows, tmp_path / "rows.parquet", swap)
    with pytest.raises(PreflightError, match="Row 5: its chosen answer is the worse one"):
        here("dpo", path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "more", "says"),
    [
        ("dpo", ("--data", "/nowhere/*.parquet"), "No file fits data='/nowhere"),
        ("dpo", ("--streaming", "true", "--max_steps", "-1"), "set max_steps"),
        ("dpo", ("--eval_strategy", "steps"), "there is nothing to evaluate on"),
        ("grpo", ("--streaming", "true"), "set streaming to false"),
        ("grpo", ("--reward_funcs", "recipes.rewards.nothing"), "no reward 'recipes.rewards.noth"),
        ("grpo", ("--reward_funcs", "exact"), "give package.module.function"),
        ("grpo", ("--reward_funcs", "recipes.rewards.json"), "json' .TypeError: it is a module"),
        ("dpo", ("--output_dir", DATA), "output_dir=.* cannot be a folder, for .* is a file"),
        ("dpo", ("--output_dir", DATA / "x"), "output_dir=.* cannot be a folder, for .* is a file"),
        ("dpo", ("--model_name_or_path", "pocket-lava"), "no folder .*did you mean 'pocket-llava"),
        ("dpo", ("--model_name_or_path", "./nowhere"), "no folder model_name_or_path='./nowhere'"),
        ("dpo", ("--probe", -1), "probe must be a whole number from 0 up, not -1"),
        ("dpo", ("--beta", -0.1), "beta must be a number above 0, not -0.1"),
        ("dpo", ("--max_steps", 0), "max_steps is 0: give a number of steps, or -1"),
        ("dpo", ("--output_dir", ""), "output_dir is empty: name a folder"),
    ],
)
def test_what_is_wrong_is_said_before_the_model_is_loaded(
    monkeypatch, rows, tmp_path, method, more, says
):
    monkeypatch.setattr("transformers.AutoModelForImageTextToText.from_pretrained", None)
    with pytest.raises((FileNotFoundError, NotADirectoryError, ValueError), match=says):
        here(method, rows, tmp_path, *more)


def test_a_folder_of_something_else_is_left_as_it_is(alone, rows, tmp_path):
    """No run goes on from another's checkpoint, nor over a model that it did not make."""
    shutil.copytree(vh.loading.pocket_folder(), tmp_path / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("My notes.")
    for method, folder, more in (
        ("grpo", alone, ()),  # a run of DPO
        ("dpo", alone, ("--use_peft", "false")),
        ("dpo", tmp_path / "model", ()),
        ("dpo", tmp_path / "mine", ()),
    ):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        with pytest.raises(FileExistsError, match="not of this run, .* name another output_dir"):
            here(method, rows, folder, *more)
        assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_reward_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    for name, says in (("leaves.f", "'leaves.f' .SystemExit: 3"), (5, "no reward 5 .Attribute")):
        with pytest.raises(ValueError, match=says):
            preferences.functions([name])


def test_a_reward_may_be_named_without_a_list():
    assert preferences.functions("recipes.rewards.exact") == [rewards.exact]
    with pytest.raises(TypeError, match="reward_funcs must be a text or a list of texts, not 3"):
        preferences.functions(3)


@pytest.mark.parametrize(
    ("reward", "says"), [("broken", "must be a finite number"), ("level", "no group has a spread")]
)
def test_rewards_are_tried_before_the_training(rows, tmp_path, reward, says):
    with pytest.raises(ValueError, match=says):
        here("grpo", rows, tmp_path / "out", "--reward_funcs", f"{__name__}.{reward}", "--probe", 2)
    assert not (tmp_path / "out").exists()


def test_a_method_is_named_first():
    with pytest.raises(SystemExit, match="dpo or grpo"):
        main(["--config", "recipes/dpo.yaml"])


# --- the trial, and the loss ----------------------------------------------------------------------


def test_log_probabilities_are_those_of_the_answers_alone():
    vlm = vh.load("pocket-llava", dtype="float32")
    stored = datasets.load_dataset("parquet", data_files=str(DATA), split="train").select(range(2))
    collator = vh.collators.PreferenceCollator(vlm.processor)
    chosen, rejected = log_probabilities(vlm.model, collator(list(stored)))
    answers = vh.collators.AnswerCollator(vlm.processor)
    for side, found in (("chosen", chosen), ("rejected", rejected)):
        for i, row in enumerate(stored):
            batch = answers([{"prompt": row["prompt"], "completion": row[side],
                              "images": row["images"]}])  # fmt: skip
            learnt = (batch["labels"] != -100).sum()
            with torch.no_grad():
                loss = vlm.model(**batch).loss
            assert found[i].item() == pytest.approx(-(loss * learnt).item(), abs=1e-3)


@pytest.mark.parametrize(
    ("right", "says"), [(20.0, "nothing to learn"), (float("nan"), "no number")]
)
def test_a_ceiling_is_told(monkeypatch, right, says):
    some = torch.full((2,), right), torch.zeros(2)
    monkeypatch.setattr("recipes.preferences_probe.log_probabilities", lambda *_: some)
    with pytest.raises(ValueError, match=says):
        preferences.probe_pairs(torch.nn.Linear(1, 1), lambda rows: None, [{}] * 2, 2)
    assert apart(3, 9) == [0, 3, 6] and apart(5, 2) == [0, 1]


def test_a_broken_loss_ends_the_run():
    class Base:
        state = SimpleNamespace(global_step=6)

        def compute_loss(self, loss):
            return loss

    class Trainer(frame.Framed, Base):
        pass

    assert Trainer().compute_loss(torch.tensor(1.0)) == 1
    for loss in (torch.tensor(float("nan")), (torch.tensor(float("inf")), {})):
        with pytest.raises(FloatingPointError, match="in step 7: lower learning_rate"):
            Trainer().compute_loss(loss)


# --- TRL's own commands ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_the_command_of_trl(method, tmp_path):
    """Beside the script: the same rows and options, with the code behind `trl dpo`, `trl grpo`."""
    script = importlib.import_module(f"trl.scripts.{method}")
    given = ["--config", f"recipes/trl_{method}.yaml", "--max_steps", "1", "--save_steps", "1",
             "--logging_steps", "1", "--per_device_train_batch_size", "8", "--output_dir",
             str(tmp_path), "--disable_tqdm", "true"]  # fmt: skip
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(io.StringIO()):
        script.main(*script.make_parser().parse_args_and_config(given))
    assert len(logged(tmp_path)) == 1
    assert vh.load("pocket-llava", adapter=tmp_path)
