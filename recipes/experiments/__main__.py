"""Runs experiments, keeps each outcome as it comes, and writes table and card in the end."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import platform
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pandas as pd

import recipes.experiments

ROOT = Path(__file__).parents[2]
LIBRARIES = ("torch", "transformers", "trl", "peft", "pillow")


def names() -> list[str]:
    found = pkgutil.iter_modules(recipes.experiments.__path__)
    return sorted(module.name for module in found if not module.name.startswith("_"))


def machine() -> str:
    """The processor by its name, or the GPU."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return f"{model or platform.processor() or platform.machine()}, one thread"


def outcomes(journal: Path) -> list[dict]:
    """What is done already. A last line that a kill left half written is dropped."""
    if not journal.exists():
        return []
    data = journal.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        journal.write_bytes(whole)
    found = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            found.append(json.loads(line))
            found[-1]["setting"], found[-1]["rows"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"{journal}, line {number}, is no outcome of an experiment: take it out, and its "
                "setting is run again."
            ) from None
    return found


def run(module: ModuleType, name: str, root: Path = ROOT, say=print) -> None:
    """Runs what is still to be done, then writes table and card if nothing is missing."""
    journal = root / "runs" / "experiments" / f"{name}.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    settings = list(module.settings())
    done, skipped = outcomes(journal), 0
    for number, setting in enumerate(settings, 1):
        if any(outcome["setting"] == setting for outcome in done):
            continue
        began = time.perf_counter()
        try:
            rows = module.run(**setting)
        except recipes.experiments.MissingTool as missing:
            skipped += 1
            say(f"{number}/{len(settings)}  {setting}  skipped: {missing}")
            continue
        outcome = {
            "setting": setting,
            "rows": rows if isinstance(rows, list) else [rows],
            "seconds": round(time.perf_counter() - began, 1),
            "machine": machine(),
            "date": date.today().isoformat(),
        }
        with journal.open("a") as file:
            file.write(json.dumps(outcome) + "\n")
        done.append(outcome)
        say(f"{number}/{len(settings)}  {setting}  {outcome['seconds']:.0f} s")
    if skipped:
        say(f"{name}: {skipped} of {len(settings)} settings are missing, so no table is written.")
        return
    write(module, name, settings, done, root / "data" / "experiments")


def write(
    module: ModuleType, name: str, settings: list[dict], done: list[dict], folder: Path
) -> None:
    kept = [next(o for o in done if o["setting"] == setting) for setting in settings]
    rows = [{**outcome["setting"], **row} for outcome in kept for row in outcome["rows"]]
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False, float_format="%.4g")
    minutes = sum(outcome["seconds"] for outcome in kept) / 60
    libraries = (*LIBRARIES, *getattr(module, "LIBRARIES", ()))  # and what it needs besides
    dates = sorted({outcome["date"] for outcome in kept})
    (folder / f"{name}.md").write_text(
        f"# {name}\n\n{module.__doc__.strip()}\n\n"
        f"- Command: `python -m recipes.experiments {name}`\n"
        f"- Settings: {len(settings)}; rows: {len(rows)}; minutes in all: {minutes:.0f}\n"
        f"- Machine: {'; '.join(sorted({outcome['machine'] for outcome in kept}))}\n"
        f"- Date: {' to '.join(dict.fromkeys((dates[0], dates[-1])))}\n"
        f"- Versions: {', '.join(f'{library} {version(library)}' for library in libraries)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs the stored experiments anew.")
    known = names()
    parser.add_argument("names", nargs="+", choices=known, metavar="NAME", help=", ".join(known))
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # one process a core is faster than two threads, at this size
    for name in args.names:
        run(importlib.import_module(f"recipes.experiments.{name}"), name)


if __name__ == "__main__":
    main()
