"""The fine-tuning script: alone, in two processes, killed and resumed, from streams and shards."""

import contextlib
import io
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.data_loader import prepare_data_loader
from pyarrow import parquet
from safetensors.torch import load_file
from torch.utils.data import DataLoader

import vlm_helpers as vh
from recipes import sft
from recipes.sft import Numbered, main
from recipes.sft_checkpoints import is_whole, last_checkpoint
from recipes.sft_rows import NUMBER, load_rows
from tests.scripts import ROOT, assert_same_adapter, logged, run, run_and_kill, together
from vlm_helpers.collators import RowError

CONFIGS = sorted((ROOT / "recipes" / "accelerate").glob("*.yaml"))
OPTIONS = [
    "--config", "recipes/sft.yaml", "--disable_tqdm", "true", "--logging_steps", "1",
    "--max_steps", "4", "--save_steps", "4", "--warmup_steps", "0",
]  # fmt: skip


def options(output, *more):
    return [*OPTIONS, "--output_dir", str(output), *map(str, more)]


def here(output, *more):
    """The script in this process, which has imported everything already; what it says."""
    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said):
        main(options(output, *more))
    return said.getvalue()


def command(output, *more, launch=(sys.executable, "-m")):
    return [*launch, "recipes.sft", *options(output, *more)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Four steps of eight rows, in one process; and the rows, 40 of those in `sft.yaml`."""
    output = tmp_path_factory.mktemp("alone")
    rows = parquet.read_table(ROOT / "data" / "pocket-instruct" / "train.parquet").slice(0, 40)
    parquet.write_table(rows, output / "rows.parquet")
    said = here(output, "--per_device_train_batch_size", 8, "--data", output / "rows.parquet")
    (output / "said.txt").write_text(said)
    return output


def test_what_it_leaves(alone):
    adapter = load_file(alone / "adapter_model.safetensors")
    assert adapter and all("language_model" in name for name in adapter)
    assert vh.load("pocket-llava", adapter=alone).card.adapter == str(alone)
    card = (alone / "README.md").read_text()
    assert "base_model: pocket-llava" in card and "`pocket-llava`, fine-tuned on" in card
    assert f"vh.load('pocket-llava', adapter='{alone.name}')" in card
    for file in [*alone.rglob("*.md"), *alone.rglob("*.json")]:
        text = file.read_text()
        assert str(ROOT) not in text and str(alone) not in text and "None" not in text, file


def summary(said):
    """What the pre-flight pass says."""
    lines = said.splitlines()
    return lines[: lines.index("Beginning at step 0.")]


def test_two_processes_are_as_one(alone, tmp_path):
    """Eight rows in two processes, four in each, give the losses that eight give in one."""
    said = run(command(tmp_path, "--per_device_train_batch_size", 4,
                       "--data", alone / "rows.parquet",
                       launch=together("fsdp", "--num_processes", "2", "--mixed_precision",
                                       "no")))  # fmt: skip
    # Each has looked at half of the rows, and one speaks for both.
    assert summary(said) == summary((alone / "said.txt").read_text())
    assert summary(said)[0] == "40 rows can be trained on."
    assert len(set(logged(alone))) == 4
    assert_alike(tmp_path, alone)


def test_two_processes_with_a_stream_are_as_one(tmp_path):
    """The whole model in each of them, and rows that are read as they are needed."""
    more = ("--streaming", "true", "--max_steps", 2, "--save_steps", 2)
    here(tmp_path / "one", *more, "--per_device_train_batch_size", 4)
    run(command(tmp_path / "two", *more, "--per_device_train_batch_size", 2,
                launch=together("cpu")))  # fmt: skip
    assert_alike(tmp_path / "two", tmp_path / "one")


def assert_alike(two, one):
    assert logged(two) == pytest.approx(logged(one), rel=2e-3)
    assert_same_adapter(two, one, atol=2e-3)


def test_killed_and_resumed(tmp_path):
    """A run that is killed and started again ends where one does that was left alone."""
    more = ("--max_steps", 12, "--save_steps", 3, "--per_device_train_batch_size", 2,
            "--preflight", "false")  # fmt: skip
    here(tmp_path / "whole", *more)
    run_and_kill(command(tmp_path / "killed", *more), tmp_path / "killed" / "checkpoint-3")
    assert not (tmp_path / "killed" / "adapter_model.safetensors").exists()
    assert "Going on from" in here(tmp_path / "killed", *more)
    assert_same_adapter(tmp_path / "whole", tmp_path / "killed", atol=1e-6)
    assert logged(tmp_path / "killed") == pytest.approx(logged(tmp_path / "whole"))


def test_rows_without_pictures_and_a_template_from_a_file(tmp_path):
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    datasets.Dataset.from_list([{"messages": talk}] * 8).to_parquet(tmp_path / "rows.parquet")
    template = tmp_path / "other.jinja"
    template.write_text(vh.prompts.template("llava-1.5-hf"))
    more = ("--data", tmp_path / "rows.parquet", "--max_steps", 2, "--save_steps", 2,
            "--output_dir", tmp_path / "out", "--chat_template_path", template)  # fmt: skip
    said = here(tmp_path / "out", *more)
    assert "8 rows can be trained on" in said
    assert "would not learn to stop" in said  # so the pre-flight pass saw the template
    assert len(logged(tmp_path / "out")) == 2
    assert vh.load("pocket-llava", adapter=tmp_path / "out")
    saved = (tmp_path / "out" / "chat_template.jinja").read_text()
    assert saved == template.read_text()


def test_a_run_that_has_ended(alone):
    before = (alone / "adapter_model.safetensors").read_bytes()
    said = here(alone, "--per_device_train_batch_size", 8)
    assert "Nothing to do: this run has come to its end" in said and "checkpoint-4" in said
    assert (alone / "adapter_model.safetensors").read_bytes() == before
    assert not (alone / "checkpoint-5").exists()


def cut(file, size=100):
    file.write_bytes(file.read_bytes()[:size])


@pytest.mark.parametrize(
    "stop",
    [
        lambda out: [path.unlink() for path in out.iterdir() if path.is_file()],
        lambda out: cut(out / "adapter_model.safetensors"),
        lambda out: os.utime(out / "adapter_model.safetensors", (1, 1)),  # of a shorter run
    ],
    ids=["before", "while", "after an earlier run"],
)
def test_stopped_between_the_last_checkpoint_and_its_result(alone, tmp_path, stop):
    out = shutil.copytree(alone, tmp_path / "out")
    stop(out)
    said = here(out, "--per_device_train_batch_size", 8)
    assert "had come to its end but for its result" in said and "checkpoint-4" in said
    for name in ("adapter_model.safetensors", "adapter_config.json", "tokenizer.json"):
        assert (out / name).read_bytes() == (alone / name).read_bytes()
    assert not (out / "optimizer.pt").exists() and not (out / "trainer_state.json").exists()
    assert vh.load("pocket-llava", adapter=out)
    assert "Nothing to do" in here(out, "--per_device_train_batch_size", 8)


@pytest.mark.parametrize(
    ("file", "size"),
    [("trainer_state.json", None), ("trainer_state.json", 0), ("trainer_state.json", 100),
     ("adapter_model.safetensors", 1000), ("adapter_model.safetensors", None),
     ("optimizer.pt", 1000)],
)  # fmt: skip
def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(alone, tmp_path, file, size):
    whole = shutil.copytree(alone / "checkpoint-4", tmp_path / "checkpoint-4")
    half = shutil.copytree(whole, tmp_path / "checkpoint-12")
    assert is_whole(half)
    (half / file).unlink() if size is None else cut(half / file, size)
    assert not is_whole(half)
    with pytest.raises(FileNotFoundError, match="No file fits"):  # past the checkpoints
        here(tmp_path, "--max_steps", 13, "--data", "/nowhere/*.parquet")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        found = last_checkpoint(SimpleNamespace(output_dir=str(tmp_path), process_index=0))
    assert found == whole and f"Passing over {half}" in said.getvalue()


def test_evaluation_while_it_trains(tmp_path):
    rows = datasets.Dataset.from_list([vh.scenes.sample(seed).messages() for seed in range(6)])
    rows.to_parquet(tmp_path / "rows.parquet")
    said = here(tmp_path / "out", "--eval_data", tmp_path / "rows.parquet", "--eval_strategy",
                "steps", "--eval_steps", 1, "--max_steps", 2, "--save_steps", 2,
                "--data", tmp_path / "rows.parquet", "--per_device_eval_batch_size", 6)  # fmt: skip
    assert said.count("6 rows can be trained on") == 2
    state = json.loads((tmp_path / "out" / "checkpoint-2" / "trainer_state.json").read_text())
    found = [entry["eval_loss"] for entry in state["log_history"] if "eval_loss" in entry]
    assert len(found) == 2 and found[0] != found[1]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--data", "/nowhere/*.parquet"), "No file fits data='/nowhere"),
        (("--streaming", "true", "--max_steps", "-1"), "set max_steps"),
        (("--chat_template_path", "/nowhere.jinja"), "No file chat_template_path='/nowhere.jinja'"),
        (("--eval_strategy", "steps"), "eval_strategy is 'steps', and there is nothing to evalu"),
        (("--eval_data", "rows.parquet"), "eval_data is given and never used: set eval_strategy"),
        (("--report_to", "trackio"), "trackio to be installed"),
    ],
)
def test_what_is_wrong_is_said_before_the_model_is_loaded(monkeypatch, tmp_path, more, says):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("transformers.AutoModelForImageTextToText.from_pretrained", None)
    monkeypatch.setattr("transformers.integrations.integration_utils.is_trackio_available",
                        lambda: False)  # fmt: skip
    with pytest.raises((FileNotFoundError, ValueError, RuntimeError), match=says):
        main(options(tmp_path, *more))


def test_in_fp16_float32_learns(monkeypatch, tmp_path):
    """TRL leaves a quantised model's adapters in bf16, which the scaler of fp16 cannot work on."""
    dtypes = set()

    class Quantised(sft.Trainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.model.bfloat16()

        def train(self, **_):
            dtypes.update((p.requires_grad, p.dtype) for p in self.model.parameters())

        def save_model(self):
            pass

    monkeypatch.setattr(sft, "Trainer", Quantised)
    here(tmp_path, "--preflight", "false", "--fp16", "true")
    assert dtypes == {(True, torch.float32), (False, torch.bfloat16)}


def test_the_command_of_trl(tmp_path):
    """Beside the script: the same rows and options, with TRL's own command."""
    run([Path(sys.executable).with_name("trl"), "sft", "--config", "recipes/trl_sft.yaml",
         "--max_steps", "2", "--save_steps", "2", "--logging_steps", "1", "--output_dir",
         str(tmp_path)])  # fmt: skip
    assert len(logged(tmp_path)) == 2
    assert vh.load("pocket-llava", adapter=tmp_path)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_accelerate_reads_the_configurations(file):
    config = load_config_from_file(str(file))
    assert config.num_processes == (2 if file.stem == "cpu" else 8)


# --- rows -----------------------------------------------------------------------------------------


def archive(path, entries):
    with tarfile.open(path, "w") as tar:
        for name, data in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def shard(path, rows):
    entries = []
    for i, row in enumerate(rows):
        entries.append((f"{i:04d}.json", json.dumps({"messages": row["messages"]}).encode()))
        for k, picture in enumerate(row["images"]):
            file = io.BytesIO()
            picture.save(file, "png")
            entries.append((f"{i:04d}.{k}.png", file.getvalue()))
    archive(path, entries)


@pytest.mark.parametrize("streaming", [False, True])
def test_shards_of_webdataset(tmp_path, streaming):
    rows = [vh.scenes.sample(seed).messages(turns=2) for seed in range(4)]
    for row in rows:  # questions about two pictures
        row["images"].append(rows[0]["images"][0])
        row["messages"][0]["content"].insert(0, {"type": "image"})
    rows.append(vh.scenes.sample(9).messages())  # and about one
    shard(tmp_path / "a.tar", rows[:2])
    shard(tmp_path / "b.tar", rows[2:])
    collator = vh.collators.AnswerCollator(vh.load().processor)
    found = list(load_rows(str(tmp_path / "*.tar"), streaming))
    assert [row["id"] for row in found] == ["0000", "0001", "0000", "0001", "0002"]
    for one, other in zip(found, rows, strict=True):
        assert len(one["images"]) == len(other["images"])
        got, want = collator([one]), collator([other])
        assert all(torch.equal(got[name], want[name]) for name in want)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "has no rows: the shards are empty"),
        ([("0.0.png", b"x")], "a.tar has no conversation for 0: needed is 0.json, an object with"),
        ([("0.json", b"{")], "no conversation for 0"),
        ([("a/0.json", b"[1]")], "no conversation for a/0"),
        ([("0.json", b'{"text": 1}')], "no conversation for 0"),
        (b"PAR1", "a.tar is no tar archive, or damaged"),
        (b"", "a.tar is no tar archive, or damaged"),
    ],
)
def test_shards_that_are_none(tmp_path, entries, says):
    file = tmp_path / "a.tar"
    file.write_bytes(entries) if isinstance(entries, bytes) else archive(file, entries)
    for streaming in (False, True):
        with pytest.raises(ValueError, match=says):
            load_rows(str(file), streaming)


def test_a_shard_that_is_cut_off_loses_no_row_silently(tmp_path):
    talk = json.dumps({"messages": [{"role": "user", "content": "a"}]}).encode()
    file = tmp_path / "a.tar"
    archive(file, [("0.json", talk), ("0.0.PNG", b"x" * 700), ("1.json", talk)])
    whole = file.read_bytes()
    assert [len(row["images"]) for row in load_rows(str(file), True)] == [1, 0]
    for size in (1000, 1600, 2560, 3000, 3584):
        file.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="a.tar is no tar archive, or damaged: .*"):
            list(load_rows(str(file), True))
        with pytest.raises(ValueError, match="a.tar is no tar archive, or damaged: .*"):
            load_rows(str(file), False)


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    from PIL import Image

    colors = [(20 * i, 0, 0) for i in range(11)]
    pictures = [Image.new("RGB", (8, 8), color) for color in colors]
    shard(tmp_path / "a.tar", [{"messages": [], "images": pictures}])
    (found,) = load_rows(str(tmp_path / "a.tar"), False)
    assert [vh.pictures.to_rgb(one).getpixel((0, 0)) for one in found["images"]] == colors


@pytest.mark.parametrize("streaming", [False, True])
def test_parquet(streaming):
    rows = load_rows(str(ROOT / "data" / "pocket-instruct" / "test.parquet"), streaming)
    assert isinstance(rows, datasets.IterableDataset if streaming else datasets.Dataset)
    first = next(iter(rows))
    assert set(first) == {"messages", "images", NUMBER} and first[NUMBER] == 0
    assert first["images"][0]["bytes"]  # not decoded


def test_each_process_gets_as_much_of_a_stream_as_the_others(tmp_path):
    """Also of files of unequal length; by file, one process would wait for another for ever."""
    for name, number in (("a", 1), ("b", 0), ("c", 6)):
        rows = [{"messages": [], "id": f"{name}{i}"} for i in range(number)]
        datasets.Dataset.from_dict({"messages": [[]] * number, "id": [r["id"] for r in rows]}
                                   ).to_parquet(tmp_path / f"{name}.parquet")  # fmt: skip
        shard(tmp_path / f"{name}.tar", [{"messages": [], "images": []}] * number)
    for pattern in ("*.parquet", "*.tar"):
        found = []
        for process in range(2):
            rows = load_rows(str(tmp_path / pattern), True)
            loader = prepare_data_loader(
                DataLoader(rows, batch_size=2, collate_fn=list), num_processes=2,
                process_index=process, dispatch_batches=False,
            )  # fmt: skip
            found.append([[row[NUMBER] for row in batch] for batch in loader])
        assert found == [[[0, 1], [4, 5]], [[2, 3], [6, 0]]]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_messages_whose_parts_differ(tmp_path, streaming, kind):
    """`datasets` keeps them as JSON, and reads them as text where nothing is decoded."""
    ask = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "a"}]}
    rows = [{"messages": [ask, {"role": "assistant", "content": "b"}],
             "images": [vh.scenes.sample(0).image]}] * 2  # fmt: skip
    if kind == "tar":
        shard(tmp_path / "a.tar", rows)
    else:
        table = datasets.Dataset.from_list(rows, on_mixed_types="use_json")
        assert "Json" in str(table.features)
        table.to_parquet(tmp_path / "a.parquet")
        if streaming:
            stream = datasets.load_dataset("parquet", data_files=str(tmp_path / "a.parquet"),
                                           split="train", streaming=True)  # fmt: skip
            collator = vh.collators.AnswerCollator(vh.load().processor)
            assert len(vh.training.preflight(stream, collator, progress=False).tokens) == 2
    found = list(load_rows(str(tmp_path / f"a.{kind}"), streaming))
    assert [row["messages"] for row in found] == [row["messages"] for row in rows]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_bad_row_is_named_by_its_own_number(tmp_path, streaming):
    """Not by that within its batch; a damaged picture is one."""
    rows = [{**vh.scenes.sample(seed).messages(), "id": f"r{seed}"} for seed in range(6)]
    table = datasets.Dataset.from_list(rows)
    table = table.cast_column("images", datasets.List(datasets.Image(decode=False))).to_list()
    table[4]["images"][0]["bytes"] = table[4]["images"][0]["bytes"][:900]
    table[5]["messages"] = table[5]["messages"][:1]
    datasets.Dataset.from_list(table[:3]).to_parquet(tmp_path / "a.parquet")
    datasets.Dataset.from_list(table[3:]).to_parquet(tmp_path / "b.parquet")
    rows = list(load_rows(str(tmp_path / "*.parquet"), streaming))
    collator = Numbered(vh.collators.AnswerCollator(vh.load().processor))
    assert len(collator(rows[:4])["labels"]) == 4
    for number in (4, 5):
        with pytest.raises(RowError, match=rf"^Row {number} \(id 'r{number}'\): ") as caught:
            collator([rows[3], rows[number]])
        assert caught.value.row == number


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.parquet", "empty.parquet' has no rows"),
        ("damaged.parquet", "damaged.parquet is no Parquet file, or damaged"),
        (
            "rows.csv",
            r"kinds .csv. Supported are Parquet files .*, WebDataset shards .* of the Hub",
        ),
        ("", r"is a folder: name what lies in it. Supported are Parquet files .rows/\*.parquet"),
        ("*", "is a folder"),
        ("*.*", "kinds .csv, .parquet"),
    ],
)
def test_what_gives_no_rows(tmp_path, name, says):
    datasets.Dataset.from_dict({"messages": []}).to_parquet(tmp_path / "empty.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "rows.csv").touch()
    (tmp_path / "folder").mkdir()
    for streaming in (False, True):
        with pytest.raises(ValueError, match=says):
            load_rows(str(tmp_path / name), streaming)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("data: null", "data=None is no name"),
        ("data: [a.parquet]", "data=.'a.parquet'. is no name"),
        ("model_name_or_path: null", "model_name_or_path is None: name a folder"),
        ("dtype: float8", "dtype must be 'auto', .* not 'float8'"),
    ],
)
def test_what_yaml_can_say_and_no_option_can(tmp_path, line, says):
    config = (ROOT / "recipes" / "sft.yaml").read_text(encoding="utf-8")
    name = line.split(":")[0]
    lines = [line if old.startswith(f"{name}:") else old for old in config.splitlines()]
    (tmp_path / "odd.yaml").write_text("\n".join(lines), encoding="utf-8")
    odd = ["--config", str(tmp_path / "odd.yaml"), "--output_dir", str(tmp_path / "out")]
    with contextlib.chdir(ROOT), pytest.raises(ValueError, match=says):
        main([*odd, "--preflight", "false", "--disable_tqdm", "true"])
    assert not (tmp_path / "out").exists()


def test_no_file_and_no_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="No file fits"):
        load_rows(str(tmp_path / "*.parquet"), False)
    with pytest.raises(ConnectionError, match="data='me/rows' is no file here, and the Hub gives"):
        load_rows("me/rows", False)
