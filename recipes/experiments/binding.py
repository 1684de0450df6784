"""When does binding come? A stage two with lists, by number of objects in the picture.

It starts from pocket-llava-base as it ships: its projector and its decoder have learnt from the
captions of 24,000 pictures. Both learn on, the tower rests. A step is 4 pictures of one to three
objects, none drawn twice, each with as many lists and questions as fit in 288 tokens (some ten),
which do not see each other (`recipes.pocket_llava.packing`). Lists name the objects in random order
and their attributes in an order that the question names, so colours are found by shapes as often as
shapes by colours; they are drawn as often as questions about color, shape and size together, and a
little more. After ten steps of warm-up the rate stays as it is: a point of the curve is what a
training of that length gives. The rate was not swept.

`right` of `n`: answers exactly right under greedy decoding, for each skill and number of objects,
on pictures of the split "test" without signs. `majority` and `any_object` are the floors, of many
more pictures of the same kind. With two and three objects the 400 steps end at "any object": they
do not show where binding comes, but how far from the beginning it is.
"""

from __future__ import annotations

import torch

from recipes.experiments import stages
from recipes.pocket_llava.packing import Mixture, Packer
from recipes.pocket_llava.train import Trainee
from vlm_helpers.scenes import Draws

SKILLS = ("color", "shape")
EACH = 40  # questions of a skill about pictures of so many objects
BATCH, RATE, STEPS, SEEDS = 4, 1e-3, 400, (1,)
POINTS = (12, 25, 50, 100, 150, 200, 300, 400)
MIXTURE = Mixture({"listing": 3, "color": 1, "shape": 1, "size": 0.5}, objects=(1, 2, 2, 3, 3))


def settings() -> list[dict]:
    return [{"seed": seed, "steps": STEPS} for seed in SEEDS]


def run(seed: int, steps: int) -> list[dict]:
    vlm, _ = stages.begin(seed)
    packer = Packer(vlm.processor.tokenizer)
    trainee = Trainee(vlm.model, packer.image_start)
    exam = stages.Exam(vlm, seed, SKILLS, EACH)
    rows = exam.rows(0)

    def loss(step: int) -> torch.Tensor:
        first = stages.first_seed(seed) + (step - 1) * BATCH
        drawn = packer.batch(Draws(f"{seed}/{step}"), MIXTURE, range(first, first + BATCH))
        batch = {key: torch.from_numpy(value) for key, value in drawn.items()}
        with torch.no_grad():
            features = trainee.seer.features(batch["pixels"])
        return trainee.answer_loss(features, batch)

    stages.train(
        vlm, loss, stages.STAGE_TWO, RATE, steps,
        at=lambda step: rows.extend(exam.rows(step)), points=POINTS,
    )  # fmt: skip
    return rows
