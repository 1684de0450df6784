"""pocket-mmmu: questions over two pictures that take several steps, in five of MMMU's subjects.

MMMU: Yue et al. 2023 (arxiv.org/abs/2311.16502). Nothing in it takes an expert: of MMMU it has the
form, several pictures and several steps. A block holds two questions a subject about the same two
pictures; of Math and Accounting the second is open, the others are multiple choice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from vlm_helpers import scenes
from vlm_helpers._draws import Draws
from vlm_helpers.evaluation.pocket import _made as made
from vlm_helpers.evaluation.rules._given import LETTERS

PICTURES = tuple(f"image_{n}" for n in range(1, 8))


class Asked(NamedTuple):
    question: str
    right: str
    wrong: list[str]
    steps: str  # the explanation
    open: bool = False


def math(draws: Draws):
    one, other = (made.scene(draws, n_objects=3 + draws.below(4), sign=False) for _ in range(2))
    shape = draws.pick(scenes.SHAPES)
    a, b = (sum(thing.shape == shape for thing in scene.objects) for scene in (one, other))
    if a + b < 2 or a == b:
        return None
    plural = shape + ("es" if shape == "cross" else "s")
    total, apart = str(a + b), str(abs(a - b))
    steps = f"The first has {a}, the second {b}."
    return (one, other), (
        Asked(f"How many {plural} are there in <image 1> and <image 2> together?", total,
              made.numbers_near(draws, total), steps),
        Asked(f"How many more {plural} are there in one of the pictures <image 1> and <image 2> "
              "than in the other?", apart, [], steps, True),
    )  # fmt: skip


def economics(draws: Draws):
    one, other = (made.page(draws, ("bars", "lines")) for _ in range(2))
    if any(len(page.fields["series"]) > 1 for page in (one, other)):
        return None
    first, second = (_values(page) for page in (one, other))
    if min(map(len, (first, second))) < 3 or max(first.values()) <= min(second.values()):
        return None
    top, low = max(first, key=first.get), min(second, key=second.get)
    apart = f"{first[top] - second[low]:g}"
    near = {f"{first[a] - second[b]:g}" for a, b in itertools.product(first, second)
            if first[a] > second[b]}  # fmt: skip
    if len(near) < 4:
        return None
    ends = [f"{a}, {b}" for a, b in itertools.product(first, second)]
    steps = f"{top} has {first[top]:g} in the first, {low} has {second[low]:g} in the second."
    return (one, other), (
        Asked("By how much is the largest value in <image 1> above the smallest in <image 2>?",
              apart, draws.shuffled(sorted(near)), steps),
        Asked("For which label is the value largest in <image 1>, and for which is it smallest in "
              "<image 2>?", f"{top}, {low}", draws.shuffled(ends), steps),
    )  # fmt: skip


def _values(page) -> dict[str, float]:
    """Label: value, where no two values are close to each other at either end; else nothing."""
    values = dict(zip(page.fields["labels"], map(float, page.fields["series"][0]["values"])))
    order = sorted(values.values())
    apart = 0.05 * order[-1]
    clear = order[-1] - order[-2] > apart and order[1] - order[0] > apart
    return values if clear else {}


def accounting(draws: Draws):
    one, other = (made.page(draws, "receipt") for _ in range(2))
    a, b = (made.cents(page.fields["total"]) for page in (one, other))
    if a == b:
        return None
    total, apart = made.amount(a + b), made.amount(abs(a - b))
    steps = f"The totals are {made.amount(a)} and {made.amount(b)}."
    return (one, other), (
        Asked("Whatever the currency: what do the totals of the receipts <image 1> and <image 2> "
              "come to together?", total, made.amounts_near(draws, a + b), steps),
        Asked("Whatever the currency: by how much do the totals of the receipts <image 1> and "
              "<image 2> differ?", apart, [], steps, True),
    )  # fmt: skip


def biology(draws: Draws):
    one, other = (made.page(draws, "diagram") for _ in range(2))
    if any(page.fields["kind"] != "food chain" for page in (one, other)):
        return None
    first, second = (list(page.fields["boxes"].values()) for page in (one, other))
    if first[-1] == second[-1] or first[0] == second[0]:
        return None
    pairs = [f"{a}, {b}" for a, b in itertools.product(first, second)]
    last, start = f"{first[-1]}, {second[-1]}", f"{first[0]}, {second[0]}"
    return (one, other), (
        Asked("What stands at the end of the chains in <image 1> and <image 2>?", last,
              draws.shuffled(pairs), f"No arrow leaves {first[-1]}, and none {second[-1]}."),
        Asked("What stands at the start of the chains in <image 1> and <image 2>?", start,
              draws.shuffled(pairs), f"No arrow leads to {first[0]}, and none to {second[0]}."),
    )  # fmt: skip


def design(draws: Draws):
    one, other = (made.page(draws, "pie") for _ in range(2))
    first, second = (page.fields["slices"] for page in (one, other))
    a, b = draws.pick(first), draws.pick(second)
    colors = [f"{x['color']}, {y['color']}" for x, y in itertools.product(first, second)]
    names = [f"{x['name']}, {y['name']}" for x, y in itertools.product(first, second)]
    c, d = draws.pick(first), draws.pick(second)
    if len(set(colors)) < 4 or len(set(names)) < 4:
        return None
    return (one, other), (
        Asked(f"Which colors stand for {a['name']} in <image 1> and for {b['name']} in <image 2>?",
              f"{a['color']}, {b['color']}", draws.shuffled(colors), "The keys say it."),
        Asked(f"What do {c['color']} in <image 1> and {d['color']} in <image 2> stand for?",
              f"{c['name']}, {d['name']}", draws.shuffled(names), "The keys say it."),
    )  # fmt: skip


# subject: its maker, its subfield, what its pictures are
SUBJECTS: dict[str, tuple[Callable, str, str]] = {
    "Math": (math, "Counting", "Geometric Shapes"),
    "Economics": (economics, "Statistics", "Plots and Charts"),
    "Accounting": (accounting, "Financial Accounting", "Tables"),
    "Biology": (biology, "Ecology", "Diagrams"),
    "Design": (design, "Graphic Design", "Plots and Charts"),
}


def block(draws: Draws) -> list[dict[str, Any]]:
    rows = []
    for make, subfield, kind in SUBJECTS.values():
        pictures, questions = made.first(draws, make)
        for number, asked in enumerate(questions):
            rows.append(_row(draws, pictures, asked, number, subfield, kind))
    return rows


def numbered(number: int) -> dict[str, Any]:
    subject = tuple(SUBJECTS)[number % 10 // 2]
    return {"id": f"validation_{subject}_{number // 10 * 2 + number % 2 + 1}"}


def _row(draws, pictures, asked: Asked, number, subfield, kind) -> dict[str, Any]:
    options = [] if asked.open else made.options(draws, asked.right, asked.wrong)
    shown = dict.fromkeys(PICTURES) | dict(zip(PICTURES, pictures))
    return {
        "question": asked.question,
        "options": str(options),
        "explanation": asked.steps,
        **shown,
        "img_type": str([kind]),
        "answer": asked.right if asked.open else LETTERS[options.index(asked.right)],
        "topic_difficulty": ("Medium", "Hard")[number],
        "question_type": "open" if asked.open else "multiple-choice",
        "subfield": subfield,
    }
