"""The fine-tuning script: alone, in two processes, killed and resumed, from streams and shards."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import datasets
import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file

import vlm_helpers as vh
from recipes.sft import load_rows, main

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "recipes" / "accelerate").glob("*.yaml"))
OPTIONS = [
    "--config", "recipes/sft.yaml", "--disable_tqdm", "true", "--logging_steps", "1",
    "--max_steps", "4", "--save_steps", "4", "--warmup_steps", "0",
]  # fmt: skip


def command(output, *options, launch=()):
    start = [sys.executable, *launch, "-m", "recipes.sft"]
    return [*start, *OPTIONS, "--output_dir", str(output), *map(str, options)]


def accelerated(config, *options):
    return ("-m", "accelerate.commands.launch", "--config_file",
            f"recipes/accelerate/{config}.yaml", *options)  # fmt: skip


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(words):
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def losses(output):
    last = max(Path(output).glob("checkpoint-*"), key=lambda folder: int(folder.name[11:]))
    log = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Four steps of eight rows, in one process."""
    output = tmp_path_factory.mktemp("alone")
    said = run(command(output, "--per_device_train_batch_size", 8))
    assert "320 rows can be trained on" in said
    return output


def test_what_it_leaves(alone):
    adapter = load_file(alone / "adapter_model.safetensors")
    assert adapter and all("language_model" in name for name in adapter)
    assert vh.load("pocket-llava", adapter=alone).card.adapter == str(alone)


@pytest.mark.parametrize(
    "launch",
    [
        accelerated("cpu"),
        accelerated("fsdp", "--num_processes", "2", "--mixed_precision", "no"),
    ],
    ids=["ddp", "fsdp"],
)
def test_two_processes_are_as_one(alone, tmp_path, launch):
    """Eight rows in two processes, four in each, give the losses that eight give in one."""
    run(command(tmp_path, "--per_device_train_batch_size", 4, "--preflight", "false",
                launch=launch))  # fmt: skip
    assert losses(tmp_path) == pytest.approx(losses(alone), rel=2e-3)
    assert len(set(losses(alone))) == 4
    one, two = (load_file(f / "adapter_model.safetensors") for f in (alone, tmp_path))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=2e-3) for name in one)


def test_streams_too(tmp_path):
    more = ("--streaming", "true", "--max_steps", 2, "--save_steps", 2)
    run(command(tmp_path / "one", *more, "--per_device_train_batch_size", 4))
    run(command(tmp_path / "two", *more, "--per_device_train_batch_size", 2,
                launch=accelerated("cpu")))  # fmt: skip
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=2e-3)


def test_killed_and_resumed(tmp_path):
    """A run that is killed and started again ends where one does that was left alone."""
    more = ("--max_steps", 12, "--save_steps", 3, "--per_device_train_batch_size", 2,
            "--preflight", "false")  # fmt: skip
    run(command(tmp_path / "whole", *more))
    words = command(tmp_path / "killed", *more)
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first = tmp_path / "killed" / "checkpoint-3" / "trainer_state.json"
    while not first.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it had not come to its end
    assert not (tmp_path / "killed" / "adapter_model.safetensors").exists()
    assert "Going on from" in run(words)
    whole, resumed = (
        load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "killed")
    )
    assert all(torch.allclose(whole[name], resumed[name], atol=1e-6) for name in whole)
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "whole"))


def test_rows_without_pictures_and_a_template_from_a_file(tmp_path):
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    datasets.Dataset.from_list([{"messages": talk}] * 8).to_parquet(tmp_path / "rows.parquet")
    template = tmp_path / "other.jinja"
    template.write_text(vh.prompts.template("llava-1.5-hf"))
    more = ("--data", tmp_path / "rows.parquet", "--max_steps", 2, "--save_steps", 2,
            "--output_dir", tmp_path / "out", "--chat_template_path", template)  # fmt: skip
    said = run(command(tmp_path / "out", *more))
    assert "8 rows can be trained on" in said
    assert "would not learn to stop" in said  # so the pre-flight pass saw the template
    assert len(losses(tmp_path / "out")) == 2
    assert vh.load("pocket-llava", adapter=tmp_path / "out")
    saved = (tmp_path / "out" / "chat_template.jinja").read_text()
    assert saved == template.read_text()


def test_a_run_that_has_ended(alone):
    before = (alone / "adapter_model.safetensors").read_bytes()
    said = run(command(alone, "--per_device_train_batch_size", 8))
    assert "Nothing to do: this run has come to its end" in said and "checkpoint-4" in said
    assert (alone / "adapter_model.safetensors").read_bytes() == before
    assert not (alone / "checkpoint-5").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--data", "/nowhere/*.parquet"), "No file fits data='/nowhere"),
        (("--streaming", "true", "--max_steps", "-1"), "set max_steps"),
        (("--chat_template_path", "/nowhere.jinja"), "No file chat_template_path='/nowhere.jinja'"),
    ],
)
def test_what_is_wrong_is_said_before_the_model_is_loaded(monkeypatch, tmp_path, more, says):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("transformers.AutoModelForImageTextToText.from_pretrained", None)
    with pytest.raises((FileNotFoundError, ValueError), match=says):
        main([*OPTIONS, "--output_dir", str(tmp_path), *more])


def test_the_command_of_trl(tmp_path):
    """Beside the script: the same rows and options, with TRL's own command."""
    run([Path(sys.executable).with_name("trl"), "sft", "--config", "recipes/trl_sft.yaml",
         "--max_steps", "2", "--save_steps", "2", "--logging_steps", "1", "--output_dir",
         str(tmp_path)])  # fmt: skip
    assert len(losses(tmp_path)) == 2
    assert vh.load("pocket-llava", adapter=tmp_path)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_accelerate_reads_the_configurations(file):
    config = load_config_from_file(str(file))
    assert config.num_processes == (2 if file.stem == "cpu" else 8)


# --- rows -----------------------------------------------------------------------------------------


def shard(path, rows):
    def add(name, data):
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))

    with tarfile.open(path, "w") as tar:
        for i, row in enumerate(rows):
            add(f"{i:04d}.json", json.dumps({"messages": row["messages"]}).encode())
            for k, picture in enumerate(row["images"]):
                file = io.BytesIO()
                picture.save(file, "png")
                add(f"{i:04d}.{k}.png", file.getvalue())


@pytest.mark.parametrize("streaming", [False, True])
def test_shards_of_webdataset(tmp_path, streaming):
    rows = [vh.scenes.sample(seed).messages(turns=2) for seed in range(4)]
    for row in rows:  # questions about two pictures
        row["images"].append(rows[0]["images"][0])
        row["messages"][0]["content"].insert(0, {"type": "image"})
    shard(tmp_path / "a.tar", rows[:2])
    shard(tmp_path / "b.tar", rows[2:])
    collator = vh.collators.AnswerCollator(vh.load().processor)
    found = list(load_rows(str(tmp_path / "*.tar"), streaming))
    assert len(found) == 4
    for one, other in zip(found, rows):
        assert len(one["images"]) == len(other["images"])
        got, want = collator([one]), collator([other])
        assert all(torch.equal(got[name], want[name]) for name in want)


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    from PIL import Image

    colors = [(20 * i, 0, 0) for i in range(11)]
    pictures = [Image.new("RGB", (8, 8), color) for color in colors]
    shard(tmp_path / "a.tar", [{"messages": [], "images": pictures}])
    (found,) = load_rows(str(tmp_path / "a.tar"), False)
    assert [picture.getpixel((0, 0)) for picture in found["images"]] == colors


@pytest.mark.parametrize("streaming", [False, True])
def test_parquet(streaming):
    rows = load_rows(str(ROOT / "data" / "pocket-instruct" / "test.parquet"), streaming)
    assert isinstance(rows, datasets.IterableDataset if streaming else datasets.Dataset)
    assert set(next(iter(rows))) == {"messages", "images"}


def test_no_rows(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file fits"):
        load_rows(str(tmp_path / "*.parquet"), False)
    (tmp_path / "rows.csv").touch()
    with pytest.raises(ValueError, match=r"kinds .csv: give .parquet files or .tar"):
        load_rows(str(tmp_path / "*"), False)
