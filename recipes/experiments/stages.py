"""What is stage one for? Stage two with it and without it.

Both start from pocket-llava-base, whose decoder has written captions and answered no question, with
the projector as a new model has it. "two stages": the projector alone learns from captions for 40
steps, then projector and decoder from questions. "stage two alone": the questions at once. There
are scores along the way, so the two can be compared after the same steps of stage two, and after
the same steps in all. After ten steps of warm-up a rate stays as it is: a point of a curve is what
a training of that length gives. Each side has its own rate, the best of a sweep over all skills,
whose seed is not used again; that of stage one was not swept. For color and shape alone, lower
rates did better without stage one, so the choice favours "two stages": stage two alone ran at half
of it and at a quarter, too, with the same seeds. Another try to refute the difference, of
one seed, is "fast projector": stage two alone, its projector at stage one's rate.

A step is a batch of 8 pictures of one to three objects without signs, none drawn twice. A picture
has one question for each of its objects about colour or shape, and then their sizes: no turn gives
away a later one's colour or shape. `right` of `n`: answers exactly right under greedy decoding, for
each skill and number of objects, on pictures of the split "test" that differ from seed to seed.
`majority` and `any_object` are the floors, of many more pictures of the same kind; `blind`: right
answers to grey pictures, at the end.
"""

from __future__ import annotations

import functools

import torch
from transformers import AutoProcessor

import vlm_helpers as vh

SKILLS = ("color", "shape", "size")
OBJECTS = (1, 2, 3)
EACH = 20  # questions of a skill about pictures of so many objects, for each seed
BATCH, WARM_UP = 8, 10
ALIGN, ALIGN_RATE = 40, 6e-3  # the steps of stage one, and its rate
POINTS = (20, 40, 80, 120)
PROJECTOR = ("multi_modal_projector",)
STAGE_TWO = (*PROJECTOR, "language_model", "lm_head")
ROADS = {"two stages": 80, "stage two alone": 120}  # steps of stage two: the same in all
FAST = "fast projector"
RATES, CHOSEN = (5e-4, 1e-3, 2e-3), {"two stages": 1e-3, "stage two alone": 1e-3}
SWEEP_SEED, SEEDS = 0, (1, 2, 3)


def settings() -> list[dict]:
    def one(what, road, rate, seed, steps):
        return {"what": what, "road": road, "rate": rate, "seed": seed, "steps": steps}

    sweep = [one("sweep", road, rate, SWEEP_SEED, 40) for road in ROADS for rate in RATES]
    curves = [
        one("curve", road, CHOSEN[road], seed, steps)
        for seed in SEEDS
        for road, steps in ROADS.items()
    ]
    alone, last = "stage two alone", SEEDS[-1]
    tries = [one("try", FAST, CHOSEN[alone], last, 120)]
    lower = RATES[0], RATES[0] / 2
    tries += [one("try", alone, rate, seed, 120) for rate in lower for seed in reversed(SEEDS)]
    return [*sweep, *curves, *tries]


# --- what learns, and from what -------------------------------------------------------------------


def begin(seed: int):
    """The base model and a new model of the same configuration."""
    torch.manual_seed(seed)
    vlm = vh.load("pocket-llava-base", device="cpu", dtype="float32")
    return vlm, type(vlm.model)(vlm.model.config)


def forget(model, new, parts: tuple[str, ...]) -> None:
    """Gives the parts the weights of a new model: matrices, norms, embeddings and all."""
    weights = {n: w for n, w in new.state_dict().items() if any(part in n for part in parts)}
    model.load_state_dict(weights, strict=False)


def scene(seed: int, split: str = "train"):
    return vh.scenes.sample(seed, split, n_objects=1 + seed % 3, sign=False)


def row(image, talk) -> dict:
    """A training row of (question, answer) pairs about one picture."""
    messages = []
    for question, answer in talk:
        picture = [] if messages else [{"type": "image"}]
        asked = [*picture, {"type": "text", "text": question}]
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return {"messages": messages, "images": [image]}


def caption_row(seed: int) -> dict:
    drawn = scene(seed)
    return row(drawn.image, [("Describe the picture.", drawn.caption())])


def talk_row(seed: int) -> dict:
    drawn, talk = scene(seed), {}
    order = ("color", "shape", "size") if seed % 2 else ("shape", "color", "size")
    for asked in drawn.questions(order, 6, seed):
        if asked.objects:  # not about what is not there
            key = asked.skill == "size", asked.objects
            talk.setdefault(key, (asked.text, asked.answer))
    return row(drawn.image, talk.values())


@functools.cache
def collator():
    folder = vh.loading.pocket_folder("pocket-llava-base")
    return vh.collators.AnswerCollator(AutoProcessor.from_pretrained(folder))


@functools.lru_cache(256)  # of one seed: all its runs see the same
def batch(make_row, first: int) -> dict:
    """The pictures of the seeds from `first` on, ready for the model."""
    return dict(collator()([make_row(seed) for seed in range(first, first + BATCH)]))


def answer_loss(vlm, make_row, first: int):
    """The loss of a step, on pictures of the seeds from `first` on."""
    return lambda step: vlm.model(**batch(make_row, first + (step - 1) * BATCH)).loss


def train(vlm, loss, parts, rate, steps, *, projector_rate=None, at=None, points=()):
    """Step n goes down `loss(n)`. `at(n)` is called after the steps in `points` that come."""
    model = vlm.model
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(part in name for part in parts))
    learning = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": learning}]
    if projector_rate:
        projector = list(model.model.multi_modal_projector.parameters())
        decoder = [p for p in learning if all(p is not other for other in projector)]
        groups = [{"params": projector, "lr": projector_rate}, {"params": decoder}]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARM_UP, 1.0, WARM_UP)
    for step in range(1, steps + 1):
        model.train()
        loss(step).backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        warm_up.step()
        optimizer.zero_grad()
        if step in points:
            model.eval()
            at(step)
    model.eval()


@functools.lru_cache(1)
def aligned(seed: int) -> dict:
    """The projector after stage one."""
    vlm, new = begin(seed)
    forget(vlm.model, new, PROJECTOR)
    train(vlm, answer_loss(vlm, caption_row, first_seed(seed)), PROJECTOR, ALIGN_RATE, ALIGN)
    return {n: w for n, w in vlm.model.state_dict().items() if PROJECTOR[0] in n}


def first_seed(seed: int) -> int:
    return 1_000_000 + 100_000 * seed


# --- what came of it ------------------------------------------------------------------------------


@functools.cache
def floors(skill: str, objects: int, n: int = 400) -> dict[str, float]:
    exam = vh.evaluation.exam(vh.scenes, skill, n, n_objects=objects, sign=False)
    items = ({**vars(q), "question": q.text} for _, q in exam.pairs)
    found = vh.evaluation.floors(items).loc[skill]
    return {"majority": found["majority"], "any_object": found["any candidate"]}


class Exam:
    """Questions with their answers as ready batches: an answer is right if, its words given one by
    one, each is the likeliest to come next. Greedy decoding then gives the same."""

    def __init__(self, vlm, seed: int, skills=SKILLS, each: int = EACH):
        self.model, self.each, self.cells = vlm.model, each, {}
        for objects in OBJECTS:
            for skill in skills:
                exam = vh.evaluation.exam(
                    vh.scenes, skill, each, first_seed=10_000 * (seed + 1), n_objects=objects,
                    sign=False,
                )  # fmt: skip
                rows = [row(item["image"], [(item["question"], item["answer"])]) for item in exam]
                self.cells[skill, objects] = collator()(rows)

    def __call__(self, blind: bool = False) -> dict[tuple[str, int], int]:
        right = {}
        for key, batch in self.cells.items():
            pixels = batch["pixel_values"]
            grey = torch.zeros_like(pixels)  # the middle of what a pixel can be
            with torch.no_grad():
                logits = self.model(**{**batch, "pixel_values": grey if blind else pixels}).logits
            guesses, labels = logits[:, :-1].argmax(-1), batch["labels"][:, 1:]
            right[key] = int(((guesses == labels) | (labels == -100)).all(1).sum())
        return right

    def rows(self, step: int, **more) -> list[dict]:
        """What came of it after a step, a row a cell; `more`: for a cell, by name."""
        return [
            {"step": step, "skill": skill, "objects": objects, "right": right, "n": self.each}
            | {name: given.get((skill, objects)) for name, given in more.items()}
            | floors(skill, objects)
            for (skill, objects), right in self().items()
        ]


# --- the runs -------------------------------------------------------------------------------------


def run(what: str, road: str, rate: float, seed: int, steps: int) -> list[dict]:
    vlm, new = begin(seed)
    if road == "two stages":
        vlm.model.load_state_dict(aligned(seed), strict=False)
    else:
        forget(vlm.model, new, PROJECTOR)
    exam, rows = Exam(vlm, seed), []

    def at(step: int) -> None:
        blind = exam(blind=True) if step == steps else {}
        rows.extend(exam.rows(step, blind=blind))

    train(
        vlm, answer_loss(vlm, talk_row, first_seed(seed) + BATCH * ALIGN), STAGE_TWO, rate, steps,
        projector_rate=ALIGN_RATE if road == FAST else None, at=at,
        points=(steps,) if what == "sweep" else POINTS,
    )  # fmt: skip
    return rows
