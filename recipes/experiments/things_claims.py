"""What pocket-llava-next claims about pictures of things, what it would claim about a grey picture,
and whether it can point at what it claims.

POPE's questions ("Is there a cow?") about pictures of things, in its three settings: `skill` tells
what the absent things are, any other (random), one of the commonest (popular), or one of those that
most often stand with what is there (adversarial). A row a question:

- `theme` of the picture; the `thing` asked for, and how `common` it is in this world: core of a
  theme, another thing of a theme, or of none; `fits`: whether it belongs to this picture's theme.
- `truth`; `yes` and `grey`: the logit of "yes" minus that of "no" at the answer's first token, with
  the picture and with a plain grey one of the same size. Above 0 the answer is yes.
- `where` lies the box that the model gives when told to locate the thing, whatever it had said:
  "right" (IoU of 0.5 or more), "overlaps", "other" (IoU of 0.5 or more with another thing),
  "elsewhere", "none" (no box); and whether it then names the thing when asked what is in that box.

The validation pictures are there to choose by, the test pictures to measure on.
"""

from __future__ import annotations

import itertools
import re

from PIL import Image

import vlm_helpers as vh
from recipes.experiments import _asking
from recipes.experiments.grounding_boxes import where
from recipes.places import first_box
from vlm_helpers.pages import atlas

EACH = 50  # pictures, with two questions of each setting
SKILLS = ("exists_random", "exists_popular", "exists_adversarial")
THING = re.compile(r"(?:there|see) (?:an? )?(.+?)(?: in the picture)?\?$")  # in a question


def settings() -> list[dict]:
    sets = itertools.chain(
        (("test", seed) for seed in range(70_000, 70_500, 100)),
        (("validation", seed) for seed in range(70_000, 70_200, 100)),
    )
    return [{"split": split, "first_seed": seed} for split, seed in sets]


def _common(thing: str) -> str:
    themes = atlas.things().themes.values()
    if any(thing in theme.core for theme in themes):
        return "core of a theme"
    return "of a theme" if any(thing in theme.others for theme in themes) else "of none"


def run(split: str, first_seed: int) -> list[dict]:
    seeds = range(first_seed, first_seed + EACH)
    pages = [vh.pages.sample(seed, split, kind="things") for seed in seeds]
    pairs = [(i, q) for i, page in enumerate(pages) for q in page.questions(SKILLS, 2)]
    things = [THING.search(q.text)[1] for _, q in pairs]

    vlm = _asking.model("pocket-llava-next")
    shown = _asking.Shown([page.image for page in pages], vlm)
    yes = shown.odds([(i, q.text) for i, q in pairs], "yes", "no")
    sizes = sorted({page.size for page in pages})
    grey = _asking.Shown([Image.new("RGB", size, (128, 128, 128)) for size in sizes], vlm)
    blind = grey.odds([(sizes.index(pages[i].size), q.text) for i, q in pairs], "yes", "no")
    located = shown.ask([(i, f"Locate the {thing}.") for (i, _), thing in zip(pairs, things)])
    boxes = {n: box for n, (answer, _) in enumerate(located) if (box := first_box(answer))}
    tokens = [vh.boxes.write([box], "pocket-llava") for box in boxes.values()]
    inside = shown.ask([(pairs[n][0], f"What is at {t}?") for n, t in zip(boxes, tokens)])
    named = {n for n, (answer, _) in zip(boxes, inside) if answer == things[n]}

    rows = []
    for n, ((i, question), thing) in enumerate(zip(pairs, things)):
        page = pages[i]
        theme = atlas.things().themes.get(page.fields["theme"])
        true = [vh.boxes.Box(*element.box) for element in question.objects]
        others = [vh.boxes.Box(*e.box) for e in page.elements if e.text != thing]
        rows.append(
            {
                "seed": page.seed,
                "skill": question.skill,
                "question": question.text,
                "theme": page.fields["theme"],
                "thing": thing,
                "common": _common(thing),
                "fits": theme is not None and thing in (*theme.core, *theme.others),
                "truth": question.answer,
                "yes": yes[n],
                "grey": blind[n],
                "where": where(boxes.get(n), true, others),
                "named": n in named,
            }
        )
    return rows
