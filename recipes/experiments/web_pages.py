"""Does pocket-llava-next read a browser's screenshot as well as a screen that the course draws?

Eight pages of a shop, `data/web-pages`: the same facts drawn by `vlm_helpers.pages`, as in
training, and written as HTML and drawn by Chromium, in fonts that training had and in a rendering,
controls and a layout that it had not. Both of 288 × 288 pixels, about both the same questions,
whose true answers a parser reads from the HTML; then about a grey picture. `any`: the share of the
answers that the page offers which are right, what guessing among them would score. Prices are asked
as of receipts; of screens training never asked them. Of a click `right` says whether it lies within
the element, whose box is Chromium's or the drawing's. "Read the page." is scored by `cer`, against
the lines of the drawing or of the HTML; it is right where that is 0. A row a question; questions
about a page are not independent of each other.
"""

from __future__ import annotations

import json

from PIL import Image

import vlm_helpers as vh
from recipes import web_pages
from recipes.experiments import _asking


def settings() -> list[dict]:
    return [{"picture": picture} for picture in ("drawn", "browser", "grey")]


def run(picture: str) -> list[dict]:
    vlm, items = _asking.model("pocket-llava-next"), questions(picture)
    ask = vh.evaluation.blind if picture == "grey" else vh.evaluation.quiz
    answers = ask(vlm, items, score=score, batch_size=4, max_new_tokens=120)
    rows = []
    for item, row in zip(items, answers.rows, strict=True):
        hits = [score(one, item) for one in item["candidates"]]
        cer = vh.evaluation.cer(row["answer"], item["answer"])
        rows.append({
            "seed": item["seed"], "skill": item["skill"], "right": int(row["score"]),
            "any": round(sum(hits) / len(hits), 4) if hits else None,
            "cer": round(cer, 3) if item["skill"] == "read" else None,
            "answer": " / ".join(row["answer"].splitlines()),
            "truth": " / ".join(item["answer"].splitlines()),
        })  # fmt: skip
    return rows


def questions(picture: str) -> list[dict]:
    """The items about all pages, as drawn or as screenshots."""
    layout, items = json.loads((web_pages.FOLDER / "boxes.json").read_text()), []
    for seed in web_pages.SEEDS:
        html = (web_pages.FOLDER / f"{seed}.html").read_text(encoding="utf-8")
        page, boxes = web_pages.page(seed), layout[str(seed)]
        shown, text = Image.open(web_pages.FOLDER / f"{seed}.png"), web_pages.visible(html)
        if picture == "drawn":
            shown, text = page.image, page.text
            boxes = {name: page.get(name).box for name in boxes}
        some = web_pages.asked(web_pages.read(html))
        middles = {name: ((x0 + x1) / 2, (y0 + y1) / 2) for name, (x0, y0, x1, y1) in boxes.items()}
        places = [vh.pages.location_tokens([middles[name]]) for name in middles if name != "title"]
        for question, name in web_pages.clicks(seed):
            some.append({"skill": "click", "question": question, "box": boxes[name],
                         "answer": name, "candidates": places})  # fmt: skip
        some.append({"skill": "read", "question": "Read the page.", "answer": text,
                     "candidates": []})  # fmt: skip
        items += [{**one, "image": shown, "seed": seed, "id": f"{seed}/{n}"}
                  for n, one in enumerate(some)]  # fmt: skip
    return items


def score(answer: str, item: dict) -> bool:
    if item["skill"] != "click":
        return vh.evaluation.exact(answer, item)
    points = vh.boxes.parse(answer, "pocket-llava").points[:1]
    return bool(vh.boxes.pointing_accuracy([*points, None][:1], [vh.boxes.Box(*item["box"])]))
