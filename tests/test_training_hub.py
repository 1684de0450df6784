"""Fine-tuning a model of the Hub and pushing it back, with the Hub played on the loopback.

Its address is read on import, so this runs in a process of its own:
`python -m tests.test_training_hub FOLDER` plays it and prints what came out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.hub import child_environment

ROOT = Path(__file__).parents[1]


def play(folder):
    from tests.hub import Hub

    hub = Hub()
    os.environ["HF_ENDPOINT"] = hub.url
    import datasets
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    import vlm_helpers as vh
    from tests import tiny

    hub.add("me/model", {path.name: path.read_bytes() for path in tiny.llava(folder).iterdir()})
    vlm = vh.load("me/model", device="cpu")
    picture = vh.scenes.sample(1).image
    question = [{"type": "image"}, {"type": "text", "text": "What is this?"}]
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": [{"type": "text", "text": "a star"}]},
    ]
    rows = datasets.Dataset.from_list([{"messages": messages, "images": [picture]}] * 8)
    rows.to_parquet(folder / "train.parquet")
    hub.add("datasets/me/rows", {"train.parquet": (folder / "train.parquet").read_bytes()})
    from recipes.sft_rows import load_rows

    loaded = {}
    for streaming in (False, True):
        loaded[str(streaming)] = [row["messages"] for row in load_rows("me/rows", streaming)]
    for name, split in (("me/rows", "test"), ("me/nothing", "train")):
        try:
            load_rows(name, False, split)
        except (ValueError, FileNotFoundError) as error:
            loaded[name] = f"{type(error).__name__}: {error}"
    trainer = SFTTrainer(
        vlm.model,
        SFTConfig(
            output_dir=str(folder / "out"), max_steps=4, learning_rate=0.05, max_length=None,
            per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to="none",
            hub_model_id="me/tuned", hub_token="hf_none",
        ),
        train_dataset=rows,
        data_collator=vh.collators.AnswerCollator(vlm.processor),
        processing_class=vlm.processor,
        peft_config=LoraConfig(r=4, target_modules=r".*language_model.*_proj"),
    )  # fmt: skip
    trainer.train()
    trainer.push_to_hub(dataset_name="me/rows")
    tuned = vh.VLM(trainer.model.eval(), vlm.processor)
    again = vh.load("me/model", adapter="me/tuned", device="cpu")
    plain = vh.load("me/model", device="cpu")
    answers = [v.ask(picture, "What is this?", max_new_tokens=8) for v in (tuned, again, plain)]
    merged = trainer.model.merge_and_unload()
    merged.push_to_hub("me/merged", token="hf_none")
    vlm.processor.push_to_hub("me/merged", token="hf_none")
    answers.append(
        vh.load("me/merged", device="cpu").ask(picture, "What is this?", max_new_tokens=8)
    )
    files = hub.files("me/tuned")
    card = files["README.md"].decode()
    return {"answers": answers, "files": sorted(files), "card": card, "loaded": loaded}


def test_trained_pushed_and_loaded_again(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_training_hub", str(tmp_path)],
        env=child_environment(tmp_path / "cache"),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    tuned, again, plain, merged = found["answers"]
    assert tuned == again == merged != plain
    assert "adapter_model.safetensors" in found["files"]
    assert "model.safetensors" not in found["files"]
    assert "base_model: me/model" in found["card"]
    assert "me/rows" in found["card"]
    loaded = found["loaded"]
    assert loaded["False"] == loaded["True"] and len(loaded["True"]) == 8
    assert loaded["me/rows"].startswith("ValueError: data='me/rows' is no file here, and the Hub")
    assert loaded["me/nothing"].startswith("FileNotFoundError: data='me/nothing' is no file here")


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]))))
