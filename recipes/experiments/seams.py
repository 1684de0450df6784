"""Does pocket-llava-next read a text less well when a seam between tiles runs through it?

Fields of receipts and forms (split "test"). The page is moved on a canvas one tile wider, or one
tile higher, until the middle of the answer lies on a seam (`cut`), and then until it lies in the
middle of a tile (`whole`): the same print at the same size, in as many tiles. `seam` says how it
is cut: "upright" runs between its letters or through one, "level" through all of them. A row an
answer; `cut` and `whole` say whether it was read right. Three sets of other pages. Nothing is
trained and nothing drawn by chance but the pages. The third set was added after the first two
had been compared (p = 0.17), so that a p over all three is somewhat too small.
"""

from __future__ import annotations

from PIL import Image

import vlm_helpers as vh
from recipes.experiments import _asking

SKILLS = ("total", "price", "field")
SIZES = {(192, 192), (192, 288), (288, 192)}  # with a tile more on either side, still nine at most
EACH = 20  # answers a seam in a set
SETS = (95_000, 96_000, 98_000)  # first seeds


def settings() -> list[dict]:
    return [{"seam": seam, "first_seed": seed} for seed in SETS for seam in ("upright", "level")]


def moved(page, box, axis: int, place: float) -> Image.Image:
    """The page on a canvas a tile longer along `axis`, the box's middle at `place` of a tile."""
    middle = (box[axis] + box[axis + 2]) / 2 * page.size[axis]
    by = round(_asking.TILE * place - middle) % _asking.TILE
    size = [side + _asking.TILE * (i == axis) for i, side in enumerate(page.size)]
    canvas = Image.new("RGB", size, page.image.getpixel((1, 1)))
    canvas.paste(page.image, (by, 0) if axis == 0 else (0, by))
    return canvas


def run(seam: str, first_seed: int) -> list[dict]:
    axis = 0 if seam == "upright" else 1
    pairs, seed = [], first_seed
    while len(pairs) < EACH:
        page = vh.pages.sample(seed, "test", kind=("receipt", "form")[seed % 2])
        seed += 1
        asked = page.questions(SKILLS) if page.size in SIZES else []
        asked = [question for question in asked if question.answer != "none"]
        pairs += [(page, question) for question in asked[seed % 3 :][:1]]  # one a page
    vlm, right = _asking.model("pocket-llava-next"), {}
    for name, place in (("cut", 0.0), ("whole", 0.5)):
        items = [
            {"image": moved(page, question.objects[-1].box, axis, place),
             "question": question.text, "answer": question.answer}
            for page, question in pairs
        ]  # fmt: skip
        asked = vh.evaluation.quiz(vlm, items, batch_size=4, max_new_tokens=16)
        right[name] = [int(row["score"]) for row in asked.rows]
    return [
        {"seed": page.seed, "skill": question.skill, "cut": cut, "whole": whole}
        for (page, question), cut, whole in zip(pairs, right["cut"], right["whole"])
    ]
