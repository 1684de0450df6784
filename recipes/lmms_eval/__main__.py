"""Runs lmms-eval on the pocket benchmarks, offline and on the CPU: `make lmms-eval`.

    .venv-lmms/bin/python -m recipes.lmms_eval pocket-llava --limit 40

The command that it runs is printed first: it is lmms-eval's own, and so is everything in the folder
`runs/lmms_eval/MODEL`. What the two runners are compared by is kept beside it, in `MODEL.jsonl`: a
line of versions, and one for each question, `[task, number, prompt, answer, score]`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
OUT = ROOT / "runs" / "lmms_eval"
TASKS = sorted(path.stem for path in HERE.glob("pocket_*.yaml"))
KINDS = ("llava", "llava_next", "llava_onevision")  # what `llava_hf` can load
VERSIONS = ("lmms_eval", "transformers", "torch", "pillow")
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_CACHE": str(OUT / "cache"),
    "ACCELERATE_USE_CPU": "true",
    "OPENAI_API_KEY": "none",  # MathVista's module makes a client as it is imported; none is asked
    "TOKENIZERS_PARALLELISM": "false",
}


def checkpoint(name: str) -> Path:
    """The folder of a model that the course ships, or of one that is named by its path."""
    for folder in (ROOT / "data" / name, Path(name)):
        if (folder / "config.json").is_file():
            try:
                kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))[
                    "model_type"
                ]
            except (ValueError, KeyError, TypeError):
                raise SystemExit(f"The config.json in {folder} is no model's.") from None
            if kind not in KINDS:
                raise SystemExit(
                    f"{folder} is a {kind}, and lmms-eval's llava_hf takes {', '.join(KINDS)}: run "
                    "lmms-eval itself, with --model naming the class that takes it."
                )
            return folder.resolve()
    shipped = sorted(path.parent.name for path in (ROOT / "data").glob("*/config.json"))
    raise SystemExit(
        f"There is no checkpoint {name}: neither data/{name} nor {name} is a folder with a "
        f"config.json. The course has {', '.join(shipped)}."
    )


def checked_tasks(names: list[str]) -> list[str]:
    """The names, if there are such tasks and the benchmarks' files are there."""
    for name in names:
        if name not in TASKS:
            raise SystemExit(f"There is no task {name}; there are {', '.join(TASKS)}.")
        folder = ROOT / "data" / "benchmarks" / name.removesuffix("_img").replace("_", "-")
        if not any(folder.glob("*.parquet")):
            raise SystemExit(f"There are no rows in {folder}: `make data` makes them.")
    return names


def command(folder: Path, tasks: list[str], out: Path, limit: int | None, processes: int):
    """lmms-eval's command line, as a list."""
    # Not --cpu: accelerate then starts a single process, whatever else is asked.
    settings = ROOT / "recipes" / "accelerate" / "cpu.yaml"
    launcher = ["-m", "accelerate.commands.launch", f"--config_file={settings}"]
    launcher += [f"--num_processes={processes}"]
    return [
        sys.executable, *(launcher if processes > 1 else []), "-m", "lmms_eval",
        "--model", "llava_hf",
        "--model_args", f"pretrained={folder},device_map=cpu,dtype=float32",
        "--tasks", ",".join(tasks),
        "--include_path", str(HERE),
        "--batch_size", "1", "--device", "cpu",
        "--log_samples", "--output_path", str(out),
        *(["--limit", str(limit)] if limit else []),
    ]  # fmt: skip


def samples(folder: Path, tasks: list[str]) -> list[list]:
    """`[task, number, prompt, answer, score]` of every question in a folder of lmms-eval's."""
    rows = []
    for task in tasks:
        found = sorted(folder.rglob(f"*_samples_{task}.jsonl"))
        if not found:
            raise SystemExit(
                f"lmms-eval has left no samples of {task} in {folder}: what went wrong is above."
            )
        lines = found[-1].read_text(encoding="utf-8").splitlines()
        for one in sorted(map(json.loads, lines), key=lambda one: one["doc_id"]):
            answer = one["filtered_resps"]
            rows.append([task, one["doc_id"], one["input"], answer, one["score"]])
    return rows


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="*", default=["pocket-llava"], help="names or folders")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--limit", type=count, help="only the first questions of each task")
    parser.add_argument("--processes", type=count, default=1)
    parser.add_argument("--out", type=Path, help="the file of answers, of a single model")
    args = parser.parse_args()
    if args.out and len(args.model) > 1:
        parser.error(f"--out is the file of one model, and there are {len(args.model)}")
    try:
        head = {name: version(name) for name in VERSIONS}
    except PackageNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed in this environment: `make lmms-eval` makes one that "
            "has it, in .venv-lmms."
        ) from None
    tasks, folders = checked_tasks(args.tasks), [checkpoint(name) for name in args.model]
    for folder in folders:
        theirs = OUT / folder.name / str(os.getpid())
        line = command(folder, tasks, theirs, args.limit, args.processes)
        print("$", shlex.join(line), flush=True)
        subprocess.run(line, check=True, cwd=ROOT, env={**os.environ, **ENVIRONMENT})
        rows = samples(theirs, tasks)
        out = args.out or OUT / f"{folder.name}.jsonl"
        head["command"] = " ".join(["python -m recipes.lmms_eval", *sys.argv[1:]])
        text = [json.dumps(row, ensure_ascii=False) for row in (head, *rows)]
        out.write_text("\n".join(text) + "\n", encoding="utf-8")
        for task in tasks:
            scores = [row[4] for row in rows if row[0] == task]
            print(f"{folder.name} {task:<17} {sum(scores) / len(scores):.3f} of {len(scores)}")
        print(f"Every answer and its score: {out}")


if __name__ == "__main__":
    main()
