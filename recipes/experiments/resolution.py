"""How much of a page does pocket-llava-next read when the page is shown smaller?

The same questions about fields of receipts and forms and cells of tables, each page at a quarter,
half and three quarters of its size and as it is; then about grey pictures of its full size. Three
sets of other pages (split "test"), so that sets can be compared with each other. `tokens` are those
of the picture, `print` is the height of the letters asked for in pixels as the tiles show them,
`seam` says whether a seam between tiles runs through the box of the answer, `other` whether a wrong
answer is, letter for letter, another text of the page that could have been asked for: a reading of
the wrong place. Questions whose answer is "none" are left out: they need no reading.
"""

from __future__ import annotations

import vlm_helpers as vh
from recipes.experiments import _asking

KINDS = ("receipt", "form", "table")
SKILLS = ("total", "price", "field", "cell")
EACH = 10  # questions of a skill in a set
SETS = (60_000, 61_000, 62_000)  # first seeds
TILE = 96


def settings() -> list[dict]:
    shown = [("page", scale) for scale in (0.25, 0.5, 0.75, 1.0)] + [("grey", 1.0)]
    return [
        {"picture": picture, "scale": scale, "first_seed": seed}
        for picture, scale in shown for seed in SETS
    ]  # fmt: skip


def smaller(page, scale: float):
    """The page's picture, shrunk as a screenshot would be."""
    return page.image.resize([round(scale * side) for side in page.size], 2)  # bilinear


def crossed(box, size) -> bool:
    """Whether a seam between the tiles of a page at full size runs through the box."""
    ends = ((box[i] * side, box[i + 2] * side) for i, side in enumerate(size))
    return any(int(low // TILE) != int(high // TILE) for low, high in ends)


def elsewhere(one: dict, candidates: list[str]) -> bool:
    """Whether a wrong answer is what stands at another place."""
    if one["score"]:
        return False
    return any(vh.evaluation.exact(one["answer"], {"answer": text}) for text in candidates)


def run(picture: str, scale: float, first_seed: int) -> list[dict]:
    exam = vh.evaluation.exam(vh.pages, SKILLS, EACH, first_seed=first_seed, kind=KINDS)
    items = [
        {**item, "image": smaller(page, scale)} for item, (page, _) in zip(exam, exam.pairs)
    ]  # fmt: skip
    vlm = _asking.model("pocket-llava-next")
    ask = vh.evaluation.blind if picture == "grey" else vh.evaluation.quiz
    answers = ask(vlm, items, batch_size=10, max_new_tokens=32)
    rows = []
    for (page, question), item, one in zip(exam.pairs, items, answers.rows):
        shown = vlm.processor.image_processor(item["image"], return_tensors="pt")
        place = question.objects[-1]
        rows.append({
            "skill": question.skill, "tiles": len(shown["pixel_values"][0]) - 1,
            "print": round(place.size * scale, 1), "seam": int(crossed(place.box, page.size)),
            "right": int(one["score"]), "other": int(elsewhere(one, item["candidates"])),
        })  # fmt: skip
    return rows
