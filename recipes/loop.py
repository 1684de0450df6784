"""The training loop of the pocket models: stages, resumable, on one GPU or a process a core.

A `Run` says what is trained. Its state is saved every few minutes and at the end of each stage;
started again, it goes on from there. On CPUs, several processes of one thread each train one model
in shared memory without waiting for each other (Hogwild!, Niu et al. 2011); on a GPU, use one.
Arithmetic and optimizer are chosen by what the machine is quick at (`optimizers.py`); on a GPU, a
step whose batches have few shapes is one graph (`updates.py`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import time
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import torch
import torch.multiprocessing as mp
from torch import nn
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

import vlm_helpers as vh
from recipes.optimizers import make_optimizers, restore, set_rates
from recipes.updates import Graphs, Update
from vlm_helpers._words import first_line, within

SECONDS_BETWEEN_SAVES, SECONDS_BETWEEN_CHECKS, REPORT_EVERY = 150, 600, 50


@dataclass(frozen=True)
class Stage:
    """One stage: what learns, and for how long. Subclasses say what is drawn.

    Attributes:
        name: as on the command line.
        steps: updates, all workers together.
        batch: pictures in an update.
        learns: peak learning rates by part of the trainee; a part not named is frozen.
        dense: weight of the patch labels' loss.
        warm: the first so many steps, over which the rates rise linearly from zero.
        decay: the last so many steps, over which the rates fall linearly to zero.
        save_as: the checkpoint that the stage ends in, where it is one to keep.
    """

    name: str
    steps: int
    batch: int
    learns: dict[str, float]
    _: KW_ONLY
    dense: float = 0.0
    warm: int = 200
    decay: int = 0
    save_as: str | None = None


class Run:
    """What is trained: subclasses say how.

    Attributes:
        stages: in order.
        together: so many steps are drawn together, and are the work of one process.
        trainee: a module; `trainee(batch, stage)` gives the loss and a dict of what to log, and
            `trainee.part(name)` the parameters of a part. `trainee.ends()` gives those that AdamW
            is for whatever their shape, `trainee.compile()` makes it quicker.
    """

    stages: tuple
    trainee: nn.Module
    together: int = 1

    def steps(self, stage):
        """A dataset of the stage's batches, one a step."""
        raise NotImplementedError

    def graphs(self, stage) -> bool:
        """Whether these batches have few shapes, and a CUDA graph is to be made for each."""
        return False

    def begin(self, stage) -> None:
        """Called before a stage's first step."""

    def check(self, stage) -> dict[str, float]:
        """Figures to log every ten minutes, and at the end of a stage."""
        return {}

    def end(self, stage, out: Path) -> None:
        """Called after a stage's last step."""

    def names(self) -> list[str]:
        return [stage.name for stage in self.stages]


@dataclass(frozen=True)
class Options:
    """How a run is done; `add_arguments` says what each of them is."""

    out: Path
    workers: int = 1
    loaders: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    eager: bool = False
    init: Path | None = None
    stage: str | None = None
    until: str | None = None

    @property
    def graphs(self) -> bool:
        """Whether steps can be graphs here."""
        return torch.device(self.device).type == "cuda" and not self.eager


def add_arguments(parser: argparse.ArgumentParser, out: str, stages) -> None:
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--workers", type=int, default=Options.workers)
    parser.add_argument(
        "--loaders", type=int, default=Options.loaders, help="processes that draw, for a GPU"
    )
    parser.add_argument("--device", default=Options.device)
    parser.add_argument("--eager", action="store_true", help="neither compile nor capture")
    parser.add_argument("--init", type=Path, help="start from this checkpoint's weights")
    names = [stage.name for stage in stages]
    parser.add_argument("--stage", choices=names, help="start with this stage, not the first")
    parser.add_argument("--until", choices=names, help="stop after this stage")


def checked(parser: argparse.ArgumentParser, kind: str) -> Options:
    """`kind`: of the models that are trained, as in their config.json."""
    args = Options(**vars(parser.parse_args()))
    if state_file(args.out).exists() and (args.init or args.stage):
        parser.error(
            f"{state_file(args.out)} exists and goes on by itself: leave out --init and --stage."
        )
    if args.workers < 1 or args.loaders < 0:  # without a worker nothing is learnt
        parser.error("--workers must be 1 or more, and --loaders 0 or more.")
    if args.init:  # before anything is written
        try:
            vlm = vh.load(args.init, device="cpu")
        except (OSError, ValueError) as error:
            parser.error(f"--init {args.init} is no model: {within(first_line(error))}")
        if vlm.model.config.model_type != kind:
            parser.error(f"--init {args.init} is a {vlm.model.config.model_type}, not a {kind}.")
        kept, vocabulary = args.out / "processor", vlm.processor.tokenizer.get_vocab()
        if kept.exists() and AutoTokenizer.from_pretrained(kept).get_vocab() != vocabulary:
            parser.error(f"{kept} has other tokens than --init: name another --out.")
    return args


def state_file(out: Path) -> Path:
    return out / "state.pt"


def train(run: Run, args: Options) -> None:
    """All stages, from the saved state where there is one, else from `args.stage` or the first."""
    state, names = None, run.names()
    if state_file(args.out).exists():
        state = _read(state_file(args.out), run)
        print(f"going on from {state['stage']}, step {state['step']}", flush=True)
    first = names.index(state["stage"] if state else args.stage or names[0])
    last = names.index(args.until or names[-1])
    if last < first:
        raise SystemExit(f"Nothing to do: {names[first]} comes after --until {args.until}.")
    for stage in run.stages[first : last + 1]:
        resumed = state is not None and state["stage"] == stage.name
        step = state["step"] if resumed else 0
        if not resumed:
            run.begin(stage)
        if step < stage.steps:
            _stage(run, args, stage, step, state["optimizers"] if resumed else None)
        run.end(stage, args.out)


def _read(file: Path, run: Run) -> dict:
    """A run's state, and its weights in the trainee. Raises `SystemExit` where it is no such."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        if state["stage"] not in run.names():
            raise ValueError(f"there is no stage {state['stage']!r}")
        run.trainee.load_state_dict(state["trainee"])
    except Exception as error:  # whatever is in the file is unpickled
        why = first_line(error) if isinstance(error, RuntimeError | ValueError) else ""
        raise SystemExit(
            f"{file} is damaged, or of another run ({why.rstrip('.') or type(error).__name__}): "
            "put the previous.pt beside it in its place, if there is one, or name another --out."
        ) from error
    return state


def _stage(run, args, stage, step, optimizer_state) -> None:
    common = (args, run, stage, step, optimizer_state)
    if args.workers == 1:
        work(0, *common)
        run.trainee.to("cpu")
        return
    run.trainee.share_memory()
    context = mp.get_context("spawn")
    children = [context.Process(target=work, args=(rank, *common)) for rank in range(args.workers)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        if child.exitcode:
            raise SystemExit(f"a worker of stage {stage.name} failed")


def rate_factor(stage, step: int) -> float:
    warm = min(1.0, (step + 1) / stage.warm)
    left = stage.steps - step
    return warm * (min(1.0, left / stage.decay) if stage.decay else 1.0)


def work(rank, args, run, stage, first_step, optimizer_state) -> None:
    """One process's share of a stage: every so-manyeth group of steps, without waiting for the
    others. It stops where the process that began it is gone."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if args.loaders:
        mp.set_sharing_strategy("file_system")  # batches in waiting are more than files may be open
    device, trainee = torch.device(args.device), run.trainee
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, for Muon's products
    trainee.to(device)
    for p in trainee.parameters():
        p.requires_grad_(False)
    optimizers = make_optimizers(trainee, stage.learns, args.device)
    if optimizer_state:
        for optimizer, state in zip(optimizers, optimizer_state):
            restore(optimizer, state)
    graphs = run.graphs(stage)
    update = (Graphs if graphs else Update)(trainee, stage, optimizers, device)
    if not args.eager and device.type == "cpu":
        trainee.compile()
    groups = itertools.groupby(range(first_step, stage.steps), lambda step: step // run.together)
    mine = [list(steps) for number, steps in groups if number % args.workers == rank]
    drawn = DataLoader(
        run.steps(stage), batch_sampler=mine, collate_fn=list, num_workers=args.loaders,
        pin_memory=device.type == "cuda",
    )  # fmt: skip
    steps, batches = itertools.chain(*mine), itertools.chain.from_iterable(drawn)
    sums, started, parent = {}, time.time(), os.getppid()
    saved = checked_at = started
    for done, (step, batch) in enumerate(zip(steps, batches), 1):
        if rank and os.getppid() != parent:
            return
        set_rates(optimizers, rate_factor(stage, step))
        logs = update(batch)
        if rank > 0:
            continue
        for key, value in logs.items():
            sums[key] = sums.get(key, 0.0) + value
        if done % REPORT_EVERY == 0:
            means = {key: value.item() / REPORT_EVERY for key, value in sums.items()}
            _report(args, stage, step, means, started)
            sums = {}
        if time.time() - checked_at > SECONDS_BETWEEN_CHECKS:
            _check(args, run, stage, step, started)
            checked_at = time.time()
        if time.time() - saved > SECONDS_BETWEEN_SAVES:
            save_state(args.out, trainee, optimizers, stage, step + 1)
            saved = time.time()
    if rank == 0:
        # the slower workers may be a few steps behind; what they still do goes into the weights
        save_state(args.out, trainee, optimizers, stage, stage.steps)
        _check(args, run, stage, stage.steps, started)


def _check(args, run, stage, step, started) -> None:
    if figures := run.check(stage):
        _report(args, stage, step, figures, started)


def _report(args, stage, step, figures, started) -> None:
    row = {"stage": stage.name, "step": step, "minutes": round((time.time() - started) / 60, 2)}
    row |= {key: round(value, 4) for key, value in figures.items()}
    print(json.dumps(row), flush=True)
    with open(args.out / "log.jsonl", "a") as log:
        log.write(json.dumps(row) + "\n")


def save_state(out: Path, trainee, optimizers, stage, step: int) -> None:
    """Writes `state.pt` whole or not at all; the one before stays as `previous.pt`."""
    state = {
        "stage": stage.name,
        "step": step,
        "trainee": trainee.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    torch.save(state, out / "state.tmp")
    if state_file(out).exists():  # it stays there: a kill may come between these lines
        shutil.copyfile(state_file(out), out / "previous.pt")
    os.replace(out / "state.tmp", state_file(out))
