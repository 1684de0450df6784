"""Measures a pocket-llava checkpoint: `python -m recipes.pocket_llava.evaluate FOLDER`.

Every figure comes from `generate()`, greedy, on scenes that no training step ever saw. Beside the
model stand two floors and the blind score:

majority        the commonest answer of each skill, given every time
any object      for colour, shape and size: a value that some object in the picture has, at random
blind           the same model, the picture replaced by plain grey
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import vlm_helpers as vh
from vlm_helpers import scenes

GREY = Image.new("RGB", (scenes.PICTURE_SIZE,) * 2, (128, 128, 128))
THING = re.compile(
    rf"(small|large) ({'|'.join(scenes.COLORS)}) ({'|'.join(scenes.SHAPES)})"
)  # fmt: skip


def points(text: str) -> list[tuple[float, float]]:
    """Location tokens to (x, y) fractions, the middle of each token's cell."""
    values = [(int(v) + 0.5) / scenes.N_LOCATIONS for v in re.findall(r"<loc_(\d\d)>", text)]
    return list(zip(values[::2], values[1::2]))


def boxes(text: str) -> list[tuple[float, ...]]:
    corners = points(text)
    return [a + b for a, b in zip(corners[::2], corners[1::2])]


def iou(a, b) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return wide * high / (area - wide * high)


def mask_iou(a, b, side: int = 192) -> float:
    masks = []
    for polygon in (a, b):
        mask = Image.new("1", (side, side))
        if len(polygon) > 2:
            ImageDraw.Draw(mask).polygon([(x * side, y * side) for x, y in polygon], fill=1)
        masks.append(np.asarray(mask))
    union = (masks[0] | masks[1]).sum()
    return float((masks[0] & masks[1]).sum() / union) if union else 0.0


def things(text: str) -> Counter:
    return Counter(THING.findall(text))


def overlap(a: Counter, b: Counter) -> tuple[int, int, int]:
    return (a & b).total(), a.total(), b.total()


def matched(found: list, true: list, at: float = 0.5) -> tuple[int, int, int]:
    """One-to-one, greedily by IoU: right, said, there."""
    pairs = sorted(((iou(f, t), i, j) for i, f in enumerate(found) for j, t in enumerate(true)))
    used_f, used_t = set(), set()
    for value, i, j in reversed(pairs):
        if value >= at and i not in used_f and j not in used_t:
            used_f.add(i)
            used_t.add(j)
    return len(used_f), len(found), len(true)


def f1(triples) -> float:
    right, said, there = (sum(column) for column in zip(*triples))
    return 2 * right / max(1, said + there)


def collect(skill: str, n: int, split: str, first_seed: int):
    """(scene, question) pairs, one from a scene: n with an answer, and such as have none on top."""
    rows, seed = [], first_seed
    while sum(question.answer != "none" for _, question in rows) < n:
        scene = scenes.sample(seed, split, sign=True if skill in ("number", "word") else None)
        seed += 1
        for question in scene.questions([skill], seed=seed):
            about_unseen = any((o.shape, o.color) in scenes.UNSEEN_PAIRS for o in question.objects)
            if split != "unseen_pairs" or about_unseen:
                rows.append((scene, question))
    return rows


def score(skill: str, rows, answers) -> dict[str, float]:
    """The figures of one skill, each between 0 and 1."""
    truths = [question.answer for _, question in rows]
    if skill in ("caption", "detailed_caption", "grounded_caption"):
        said = [things(answer) for answer in answers]
        true = [Counter((o.size, o.color, o.shape) for o in scene.objects) for scene, _ in rows]
        return {
            "object F1": f1([overlap(a, b) for a, b in zip(said, true)]),
            "every object right": float(np.mean([a == b for a, b in zip(said, true)])),
        }
    if skill == "locate_all":
        return {"F1 at IoU 0.5": f1([matched(boxes(a), boxes(t)) for a, t in zip(answers, truths)])}
    kept = [(a, t, row) for a, t, row in zip(answers, truths, rows) if t != "none"]
    if skill == "locate":
        values = [max([iou(b, boxes(t)[0]) for b in boxes(a)[:1]] or [0]) for a, t, _ in kept]
        return {
            "accuracy at IoU 0.5": float(np.mean(np.array(values) >= 0.5)),
            "mean IoU": float(np.mean(values)),
        }
    if skill == "point":
        inside = []
        for answer, _, (_, question) in kept:
            x0, y0, x1, y1 = question.objects[0].box
            inside.append(any(x0 <= x <= x1 and y0 <= y <= y1 for x, y in points(answer)[:1]))
        return {"inside the box": float(np.mean(inside))}
    if skill == "outline":
        values = [
            mask_iou(points(a), question.objects[0].outline()) for a, _, (_, question) in kept
        ]
        return {"mean mask IoU": float(np.mean(values))}
    if skill in ("number", "word"):  # reading: only where there is something to read
        return {"accuracy": float(np.mean([a == t for a, t, _ in kept]))}
    return {"accuracy": float(np.mean([a == t for a, t in zip(answers, truths)]))}


def floors(skill: str, rows) -> dict[str, float]:
    truths = [question.answer for _, question in rows]
    found = {"majority": Counter(truths).most_common(1)[0][1] / len(truths)}
    if skill in ("color", "shape", "size"):
        shares = []
        for scene, question in rows:
            values = [getattr(thing, skill) for thing in scene.objects]
            shares.append(values.count(question.answer) / len(values))
        found["any object"] = float(np.mean(shares))
    return found


def ask_all(vlm, rows, blind: bool = False, batch: int = 64) -> list[str]:
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][1].answer))
    answers: list[str] = [""] * len(rows)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        pictures = [GREY if blind else rows[i][0].image for i in part]
        texts = [rows[i][1].text for i in part]
        for i, answer in zip(part, vlm.ask(pictures, texts, max_new_tokens=120)):
            answers[i] = answer
    return answers


def circular(vlm, n: int, split: str, first_seed: int, blind: bool) -> dict[str, float]:
    """Multiple choice: each question once for every rotation of its options.

    Under CircularEval (MMBench, Liu et al. 2023) a question counts only if every rotation does.
    """
    asked = collect("choice", n, split, first_seed)
    rows, owner = [], []
    for number, (scene, question) in enumerate(asked):
        stem, right = question.text.split("\n")[0], question.choices["ABCD".index(question.answer)]
        for shift in range(len(question.choices)):
            turned = question.choices[shift:] + question.choices[:shift]
            rows.append((scene, scenes.multiple_choice(stem, turned, right)))
            owner.append(number)
    right = [a == q.answer for a, (_, q) in zip(ask_all(vlm, rows, blind), rows)]
    every = dict.fromkeys(owner, True)
    for number, good in zip(owner, right):
        every[number] &= good
    return {
        "CircularEval": float(np.mean(list(every.values()))),
        "one rotation": float(np.mean(right)),
    }


def evaluate(vlm, n: int, split: str, first_seed: int, skills, blind=False, say=print) -> dict:
    table = {}
    for skill in skills:
        start = time.time()
        if skill == "choice":
            table[skill] = circular(vlm, n, split, first_seed, blind)
        else:
            rows = collect(skill, n, split, first_seed)
            answers = ask_all(vlm, rows, blind)
            table[skill] = score(skill, rows, answers)
            if not blind:
                table[skill] |= {f"floor: {k}": v for k, v in floors(skill, rows).items()}
                absent = [a == "none" for a, (_, q) in zip(answers, rows) if q.answer == "none"]
                if absent:
                    table[skill]['"none" where due'] = float(np.mean(absent))
        figures = ", ".join(f"{k} {v:.3f}" for k, v in table[skill].items())
        say(f"{skill:18} {figures}  ({time.time() - start:.0f} s)")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default="pocket-llava")
    parser.add_argument("--questions", type=int, default=500, help="of each skill")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--skills", nargs="*", default=list(scenes.SKILLS))
    parser.add_argument("--quick", action="store_true", help="no blind run, no unseen pairs")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    args = parser.parse_args()
    vlm = vh.load(args.folder)
    shared = {"n": args.questions, "first_seed": args.first_seed, "skills": args.skills}
    result = {"test": evaluate(vlm, split="test", **shared)}
    if not args.quick:
        print("\nunseen colour-shape pairs")
        result["unseen pairs"] = evaluate(vlm, split="unseen_pairs", **shared)
        print("\nblind: the picture replaced by grey")
        result["blind"] = evaluate(vlm, split="test", blind=True, **shared)
    if args.out:
        args.out.write_text(json.dumps({"questions": args.questions, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
