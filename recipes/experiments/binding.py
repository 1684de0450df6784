"""When does binding come? A stage two with lists, by number of objects in the picture.

It starts from pocket-llava-base as it ships: its projector and its decoder have learnt from the
captions of 24,000 pictures. Both learn on by the recipe of pocket-llava, its optimizer and rate
(`recipes.loop`, `recipes.optimizers`); the tower rests. A step is 8 pictures of one to three
objects, none drawn twice, each with as many lists and questions as fit in 288 tokens (some ten),
which do not see each other (`recipes.pocket_llava.packing`). Lists name the objects in random order
and their attributes in an order that the question names, so colours are found by shapes as often as
shapes by colours; they are drawn as often as questions about color, shape and size together, and a
little more. After ten steps of warm-up the rate stays as it is, so a point of the curve is what a
training of that length gives; at each point the optimizer begins anew. The rate was not swept.

`right` of `n`: answers exactly right under greedy decoding, for each skill and number of objects,
on pictures of the split "test" without signs, other ones for each seed. `majority` and `any_object`
are the floors, of many more pictures of the same kind. Whether it needs the lists, or this
optimizer, was not tried.
"""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import vlm_helpers as vh
from recipes import loop
from recipes.experiments import stages
from recipes.pocket_llava.packing import Mixture
from recipes.pocket_llava.stages import Stage
from recipes.pocket_llava.train import PocketRun, Steps, find_processor

SKILLS = ("color", "shape")
EACH = 50  # questions of a skill about pictures of so many objects
BATCH, RATE = 8, 1.5e-3
POINTS = (12, 25, 50, 100, 200, 400, 800)
STEPS = {1: 800, 2: 400}  # of each seed
MIXTURE = Mixture({"listing": 3, "color": 1, "shape": 1, "size": 0.5}, objects=(1, 2, 2, 3, 3))
STATES = Path("runs/experiments/binding")


def settings() -> list[dict]:
    return [{"seed": seed, "steps": steps} for seed, steps in STEPS.items()]


class Binding(PocketRun):
    """The recipe's training, stopped at each point to be measured."""

    def __init__(self, seed: int, steps: int, out: Path):
        base = vh.loading.pocket_folder("pocket-llava-base")
        super().__init__(find_processor(out, base), base, "cpu")
        points = [point for point in POINTS if point <= steps]
        self.first = 1000 + 100 * seed  # pictures that no other training draws
        self.stages = tuple(
            Stage(
                f"to {end}", end - start, BATCH, {"projector": RATE, "decoder": RATE}, MIXTURE,
                warm=1 if start else 10,
            )
            for start, end in itertools.pairwise([0, *points])
        )  # fmt: skip
        self.exam = stages.Exam(SimpleNamespace(model=self.trainee.llava), seed, SKILLS, EACH)

    def steps(self, stage: Stage) -> Steps:
        return Steps(stage, self.first + self.names().index(stage.name), self.packer)

    def end(self, stage: Stage, out: Path) -> None:
        point = int(stage.name.removeprefix("to "))
        (out / f"{point:06}.json").write_text(json.dumps(self.exam.rows(point)))


def run(seed: int, steps: int) -> list[dict]:
    out = STATES / str(seed)
    out.mkdir(parents=True, exist_ok=True)
    training = Binding(seed, steps, out)
    before = training.exam.rows(0)
    loop.train(training, loop.Options(out, device="cpu", eager=True))
    found = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    shutil.rmtree(out)
    return [*before, *itertools.chain(*found)]
