"""How much of a page does pocket-llava-next read when the page is shown smaller?

Receipts, forms and tables of 192 × 288 pixels, each with a margin of six pixels left and right, in
the colour of its upper left corner: the proportions of A4. So every page passes through the same
grids: shrunk to a third of its size it is the overview and one tile, which show the same pixels
(the processor makes no overview alone); at 0.47 it is two tiles, at two thirds four, and nine as it
is. (Without the margins six would do.) Then grey pictures of its full size. The same questions
about fields and cells each time; three sets of other pages (split "test"), so that sets can be
compared with each other. `print` is the height of the letters asked for in pixels as the tiles show
them, `any` the share of the texts that could have been asked for on this page that are right: what
one of them at random would score. `other` says whether a wrong answer is, letter for letter,
another of these texts: a reading of the wrong place. Questions whose answer is "none" are left out:
they need no reading.
"""

from __future__ import annotations

import itertools

from PIL import ImageOps

import vlm_helpers as vh
from recipes.experiments import _asking

KINDS = ("receipt", "form", "table")
SKILLS = ("total", "price", "field", "cell")
EACH = 20  # questions of a skill in a set
SETS = (60_000, 61_000, 62_000)  # first seeds
SIZE, MARGIN = (192, 288), 6
SCALES = {1: 0.33, 2: 0.47, 4: 0.66, 9: 1.0}  # of the page, for so many tiles


def settings() -> list[dict]:
    shown = [("page", tiles) for tiles in SCALES] + [("grey", 9)]
    return [
        {"picture": picture, "tiles": tiles, "first_seed": seed}
        for picture, tiles in shown for seed in SETS
    ]  # fmt: skip


def smaller(page, scale: float):
    """The page's picture with its margins, shrunk as a screenshot would be."""
    sheet = ImageOps.expand(page.image, (MARGIN, 0), page.image.getpixel((0, 0)))
    return sheet.resize([round(scale * side) for side in sheet.size], 2)  # bilinear


def questions(first_seed: int) -> list[tuple]:
    """(page, question) pairs: one of a skill from a page, as `vh.evaluation.exam` takes them."""
    pairs = []
    for skill in SKILLS:
        found = (
            (page, question)
            for seed in itertools.count(first_seed)
            if (page := vh.pages.sample(seed, "test", kind=KINDS)).size == SIZE
            for question in page.questions([skill])
            if question.answer != "none"
        )
        pairs += itertools.islice(found, EACH)
    return pairs


def right(answer: str, truth: str) -> bool:
    return vh.evaluation.exact(answer, {"answer": truth})


def run(picture: str, tiles: int, first_seed: int) -> list[dict]:
    pairs = questions(first_seed)
    items = [
        {"id": n, "image": smaller(page, SCALES[tiles]), "question": asked.text,
         "answer": asked.answer}
        for n, (page, asked) in enumerate(pairs)
    ]  # fmt: skip
    vlm = _asking.model("pocket-llava-next")
    for item in items:
        cut = vlm.processor.image_processor(item["image"], return_tensors="pt")
        assert len(cut["pixel_values"][0]) == tiles + 1, item["image"].size
    ask = vh.evaluation.blind if picture == "grey" else vh.evaluation.quiz
    rows = []
    for (_, question), one in zip(
        pairs, ask(vlm, items, batch_size=10, max_new_tokens=32).rows, strict=True
    ):
        said, texts = one["answer"], question.candidates
        rows.append({
            "skill": question.skill, "print": round(question.objects[-1].size * SCALES[tiles], 1),
            "right": int(one["score"]),
            "any": round(sum(right(text, question.answer) for text in texts) / len(texts), 4),
            "other": int(not one["score"] and any(right(said, text) for text in texts)),
        })  # fmt: skip
    return rows
