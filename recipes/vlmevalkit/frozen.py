"""What VLMEvalKit's own code makes of a pocket table: `tests/vlmevalkit.jsonl`.

    pip install validators sty tabulate termcolor xlsxwriter openpyxl    # beside the course
    python -m recipes.vlmevalkit.frozen KIT

`KIT` is a clone of github.com/open-compass/VLMEvalKit at the commit that the file's first line
names. Its tables are read, turned round, asked and scored by its own code, with `Checkpoint` as the
model; its many other models, its judges and its loading of all data sets are left out.

After the first line come `["turn", index, g_index, answer, A, …, picture is a reference]` of each
row that its `CIRCULAR` makes, `["answer", index, answer]` of each turn, `["hit", index, 0 or 1]` of
each question, and `["served", index, answer]` of a few turns that `Served` asked over the loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest.mock import MagicMock

import vlm_helpers as vh
from recipes.rules import bare, load
from recipes.vlmevalkit.tsv import write

FROZEN = Path(__file__).resolve().parents[2] / "tests" / "vlmevalkit.jsonl"
SET, QUESTIONS, SERVED, MODEL = "pocket-mmbench", 40, 8, "pocket-llava"


def original(kit: Path) -> tuple:
    """`CIRCULAR`, its multiple choice of a reader's own tables, and its loop of questions."""
    bare("vlmeval", kit / "vlmeval")
    sys.modules["vlmeval.config"] = MagicMock()
    for name in ("vlm", "api", "api.adapters", "dataset", "dataset.utils"):
        bare(f"vlmeval.{name}", kit.joinpath("vlmeval", *name.split(".")))
    sys.modules["vlmeval.api"].LMDeployAPI = load(kit, "vlmeval.api.lmdeploy").LMDeployAPI
    tools = load(kit, "vlmeval.tools")
    custom = load(kit, "vlmeval.dataset.image_mcq").CustomMCQDataset
    return tools.CIRCULAR, custom, load(kit, "vlmeval.inference").infer_data_job


@contextmanager
def server(vlm: vh.VLM) -> Iterator[str]:
    """A model behind what a question with pictures needs of OpenAI's protocol; its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (message,) = body["messages"]
            kinds = {"text": [], "image_url": []}
            for part in message["content"]:
                kinds[part["type"]].append(part[part["type"]])
            pictures = [picture["url"] for picture in kinds["image_url"]]
            text = "\n".join(kinds["text"])
            answer = vlm.ask(pictures, text, max_new_tokens=body["max_tokens"])
            reply = json.dumps({"choices": [{"message": {"content": answer}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/v1"
        listening.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kit", type=Path)
    kit = parser.parse_args().kit.resolve()
    git = ["git", "-C", str(kit), "rev-parse", "HEAD"]
    commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    circular, custom, ask = original(kit)
    import pandas as pd

    from recipes.vlmevalkit.models import Checkpoint, Served  # on VLMEvalKit's own base classes

    with tempfile.TemporaryDirectory() as folder:
        os.environ["LMUData"] = folder
        items = vh.evaluation.benchmark(SET, n=QUESTIONS)
        plain = write(items, Path(folder) / "turned.tsv")
        circular(str(plain))  # writes turned_circular.tsv
        turned = pd.read_csv(Path(folder) / "turned_circular.tsv", sep="\t")
        write(items, Path(folder) / f"{SET}_circular.tsv", circular=True)
        dataset = custom(f"{SET}_circular")
        asked = Checkpoint(MODEL)
        ask(asked, folder, MODEL, dataset)
        file = Path(folder) / f"{MODEL}_{SET}_circular.xlsx"
        answers = pd.read_excel(file)
        dataset = custom(f"{SET}_circular")  # the loop takes the pictures out of the first
        with server(asked.vlm) as url:
            model, served = Served(url, MODEL), []
            model.set_dump_image(dataset.dump_image)
            for line in dataset.data.to_dict("records"):
                if line["g_index"] < SERVED:
                    message = model.build_prompt(line, dataset.dataset_name)
                    served.append(["served", line["index"], model.generate(message)])
        score = dataset.evaluate(str(file), model="exact_matching")
        hits = pd.read_excel(next(Path(folder).glob("*_exact_matching_result.xlsx")))
    head = {
        "made by": "python -m recipes.vlmevalkit.frozen KIT",
        "VLMEvalKit": commit, "set": SET, "questions": QUESTIONS, "model": MODEL,
        "Overall": float(score["Overall"].iloc[0]),
    }  # fmt: skip
    rows = [head]
    for one in turned.sort_values("index").to_dict("records"):
        options = [one[letter] for letter in "ABCD"]
        options = [str(option) for option in options if option == option]
        refers = len(str(one["image"])) <= 64
        rows.append(["turn", one["index"], one["g_index"], one["answer"], *options, refers])
    rows += [["answer", *map(str, pair)] for pair in zip(answers["index"], answers["prediction"])]
    rows += [["hit", int(index), int(hit)] for index, hit in zip(hits["index"], hits["hit"])]
    rows += served
    text = [json.dumps(one, ensure_ascii=False) for one in rows]
    FROZEN.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"{score}\n{len(rows) - 1} lines in {FROZEN}")


if __name__ == "__main__":
    main()
