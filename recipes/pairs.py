"""Pairs of answers made from truth: a right one, and a wrong one that somebody might well give.

What is wrong is plausible: among things, one that mostly stands with those that are there (the
prior of `data/things`); among shapes, a colour of another object, or one attribute of a caption.
The right answer is the longer one as often as the shorter one, and "no" as often as "yes".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from vlm_helpers import pages, scenes

PLAUSIBLE = 12  # so many of the absent things that fit best may be named in place of one
SCENE_SIZE = 192  # pixels: half of what scenes are drawn in, for they are simple
Texts = tuple[str, str, str]  # question, right answer, wrong answer


def longer(seed: int, right: str, wrong: Iterable[str]) -> str | None:
    """The first wrong answer that is longer than the right one, or shorter for an odd seed."""
    sign = 1 if seed % 2 == 0 else -1
    return next((text for text in wrong if sign * (len(text) - len(right)) > 0), None)


# --- one function a kind: (picture, seed) -> Texts, or None where the picture has no such pair --


def exists(skill: str, subject: Any, seed: int) -> Texts | None:
    right, wrong = ("yes", "no") if seed % 2 == 0 else ("no", "yes")
    asked = subject.questions([skill], per_skill=6, seed=seed)
    question = next((one.text for one in asked if one.answer == right), None)
    return question and (question, right, wrong)


def plausible(page: pages.Page) -> list[str]:
    """Names of what is not there, the likeliest first."""
    return pages.likely_absent(page.fields["things"])[:PLAUSIBLE]


def thing_name(page: pages.Page, seed: int) -> Texts | None:
    (asked,) = page.questions(["name"], seed=seed)
    wrong = longer(seed, asked.answer, plausible(page))
    return wrong and (asked.text, asked.answer, wrong)


def thing_caption(page: pages.Page, seed: int) -> Texts | None:
    """The wrong caption is that of the same picture with another thing in one thing's place."""
    (asked,) = page.questions(["caption"], seed=seed)
    field = f"things.{seed // 2 % len(page.fields['things'])}"
    others = (page.with_field(field, name).questions(["caption"], seed=seed)[0].answer
              for name in plausible(page))  # fmt: skip
    wrong = longer(seed, asked.answer, others)
    return wrong and (asked.text, asked.answer, wrong)


def scene_color(scene: scenes.Scene, seed: int) -> Texts | None:
    asked = next((q for q in scene.questions(["color"], seed=seed) if q.objects), None)
    if asked is None:
        return None
    wrong = longer(seed, asked.answer, (thing.color for thing in scene.objects))
    return wrong and (asked.text, asked.answer, wrong)


def scene_caption(scene: scenes.Scene, seed: int) -> Texts | None:
    """One attribute of one object is another."""
    (asked,) = scene.questions(["caption"], seed=seed)
    draws = scenes.Draws(f"{scene.key}/pair/{seed}")
    at = draws.below(len(scene.objects))
    thing = scene.objects[at]
    others = [("color", color) for color in scenes.COLORS if color != thing.color]
    others += [("shape", shape) for shape in scenes.SHAPES if shape != thing.shape]
    others += [("size", size) for size in scenes.SIZES if size != thing.size]
    captions = []
    for attribute, value in draws.shuffled(others):
        changed = replace(thing, **{attribute: value})
        if (changed.shape, changed.color) not in scenes.UNSEEN_PAIRS:
            objects = (*scene.objects[:at], changed, *scene.objects[at + 1 :])
            captions.append(replace(scene, objects=objects).caption())
    wrong = longer(seed, asked.answer, captions)
    return wrong and (asked.text, asked.answer, wrong)


KINDS: dict[str, Callable[[Any, int], Texts | None]] = {
    "thing_exists": lambda page, seed: exists("exists_adversarial", page, seed),
    "thing_name": thing_name,
    "thing_caption": thing_caption,
    "scene_exists": lambda scene, seed: exists("exists", scene, seed),
    "scene_color": scene_color,
    "scene_caption": scene_caption,
}


def pairs(kinds: Iterable[str], split: str, first_seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of preferences without end, of the given kinds in turn, those of a picture together.

    A row has `prompt`, `chosen`, `rejected`, `images` (one PIL image), `truth` (what was chosen)
    and `kind`.

    Raises `ValueError` for the split "test", which evaluations ask about.
    """
    if split == "test":
        raise ValueError("Evaluations ask about the split 'test': take 'train' or 'validation'.")
    kinds, seed = list(kinds), first_seed
    while True:
        page, scene = pages.sample(seed, split, kind="things"), scenes.sample(seed, split)
        for number, kind in enumerate(kinds):
            subject = page if kind.startswith("thing") else scene
            # The parity of a seed says which answer is the right one: not the same for all kinds.
            texts = KINDS[kind](subject, seed + number)
            if texts:
                yield row(kind, subject, *texts)
        seed += 1


def row(kind: str, subject: Any, question: str, right: str, wrong: str) -> dict[str, Any]:
    def said(text: str) -> list[dict]:
        return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]

    asked = [{"type": "image"}, {"type": "text", "text": question}]
    picture = subject.image if kind.startswith("thing") else subject.render(SCENE_SIZE)
    return {
        "prompt": [{"role": "user", "content": asked}],
        "chosen": said(right),
        "rejected": said(wrong),
        "images": [picture],
        "truth": right,
        "kind": kind,
    }


def answers(rows: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The chosen and the rejected answer of each row, as texts."""
    return [
        tuple(row[side][0]["content"][0]["text"] for side in ("chosen", "rejected")) for row in rows
    ]


def trivial(rows: Iterable[dict[str, Any]], seen: Iterable[dict[str, Any]]) -> dict[str, float]:
    """The share of pairs that judges get right who do not look: .5 where a rule says nothing.

    "by name" prefers the answer that is more often chosen, and less often rejected, in `seen`:
    other rows.
    """
    both, balance = answers(rows), Counter()
    for right, wrong in answers(seen):
        balance[right] += 1
        balance[wrong] -= 1
    judges: dict[str, Callable[[str], float]] = {
        "the longer one": len,
        "the shorter one": lambda text: -len(text),
        "no": lambda text: text == "no",
        "yes": lambda text: text == "yes",
        "by name": lambda text: balance[text],
    }
    found = {}
    for name, score in judges.items():
        wins = [(score(right), score(wrong)) for right, wrong in both]
        found[name] = sum((a > b) + (a == b) / 2 for a, b in wins) / len(wins)
    return found
