"""Does pointing tell a false claim from a true one?

POPE's question, "Is there a red star in the picture?", about two things of each picture: one that
is there, and one that is not, though its colour and its shape are, on two other objects. In this
world things that share a colour or a shape stand together most often, so this is what POPE calls
the adversarial choice. (Its popular things do not exist where all things are equally common.)

Whatever the answer, the model is then asked to locate the thing (`boxed`: it gives a box); where it
gives a box, it is asked what is in that box (`named`: the answer names the thing). Two other ways
to sort the things to which it said yes stand beside that: the same question in other words
(`again`: yes once more), and the probability of "yes", with the bar where as many true claims
survive as with `named` (`sure`).

Pictures: clean ones, and blurred ones, a damage that is ours.
"""

from __future__ import annotations

import random

import vlm_helpers as vh
from recipes.experiments import _grounding
from recipes.places import first_box

EACH = 50  # pictures, with two things each
SORTS = ("there", "absent")


def settings() -> list[dict]:
    return [
        {"pictures": pictures, "first_seed": seed}
        for pictures, sets in (("clean", 24), ("blurred", 12))
        for seed in range(20_000, 20_000 + 1_000 * sets, 1_000)
    ]


def things(scene) -> dict[str, str]:
    """A thing of each sort; none where no two objects' colour and shape make one that is absent."""
    dice = random.Random(scene.key)
    there = sorted(o.name for o in scene.objects)
    colors, shapes = (sorted({getattr(o, w) for o in scene.objects}) for w in ("color", "shape"))
    mixed = [f"{c} {s}" for c in colors for s in shapes if f"{c} {s}" not in there]
    return dict(zip(SORTS, map(dice.choice, (there, mixed)))) if mixed else {}


def _a(thing: str) -> str:
    return f"{'an' if thing[0] == 'o' else 'a'} {thing}"


def run(pictures: str, first_seed: int) -> list[dict]:
    images, claims = [], []  # claims: (number of the picture, sort, thing)
    for scene in _grounding.scenes(pictures, first_seed):
        if len(images) == EACH:
            break
        if chosen := things(scene):
            claims += [(len(images), sort, thing) for sort, thing in chosen.items()]
            images.append(_grounding.seen(scene.image, pictures))
    shown, sorts = _grounding.Shown(images), [sort for _, sort, _ in claims]

    said = shown.ask([(i, f"Is there {_a(thing)} in the picture?") for i, _, thing in claims])
    yes = [n for n, (answer, _) in enumerate(said) if answer == "yes"]
    twice = shown.ask([(claims[n][0], f"Do you see {_a(claims[n][2])}?") for n in yes])
    again = {n for n, (answer, _) in zip(yes, twice) if answer == "yes"}
    located = shown.ask([(i, f"Locate the {thing}.") for i, _, thing in claims])
    boxes = {n: box for n, (a, _) in enumerate(located) if (box := first_box(a))}
    tokens = [vh.boxes.write([box], "pocket-llava") for box in boxes.values()]
    inside = shown.ask([(claims[n][0], f"What is at {t}?") for n, t in zip(boxes, tokens)])
    named = {n for n, (a, _) in zip(boxes, inside) if set(claims[n][2].split()) <= set(a.split())}

    true_yes = [n for n in yes if sorts[n] == "there"]
    kept = sum(n in named for n in true_yes)
    bar = sorted((said[n][1] for n in true_yes), reverse=True)[max(kept, 1) - 1]
    return [
        {
            "thing": sort,
            "said": word,
            "n": len(group),
            "boxed": sum(n in boxes for n in group),
            "named": sum(n in named for n in group),
            "again": sum(n in again for n in group),
            "sure": sum(n in yes and said[n][1] >= bar for n in group),
        }
        for sort in SORTS
        for word in ("yes", "no")
        for group in [[n for n in range(len(claims)) if (sorts[n], said[n][0]) == (sort, word)]]
    ]
