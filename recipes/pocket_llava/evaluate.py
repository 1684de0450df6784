"""Measures a pocket-llava checkpoint: `python -m recipes.pocket_llava.evaluate FOLDER`.

Every figure comes from `generate()`, greedy. While a training is steered, look at the split
"validation"; a model card takes "test". Beside the model stand two floors and the blind score, each
on the same questions and by the same measure:

majority        the commonest answer of each skill, given every time
any object      the colour, shape, size or place of an object of the picture, drawn at random
blind           the same model, the picture replaced by plain grey

In scenes with colour-shape pairs that training never showed, questions about an object are about
one of these; questions that name no object are kept as they come, and reading is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np

import vlm_helpers as vh
from recipes import places
from vlm_helpers import boxes, evaluation, scenes

NONE = "none"
READING = ("number", "word")
OF_AN_OBJECT = ("color", "shape", "size", "locate", "point", "outline")
THING = re.compile(
    rf"(small|large) ({'|'.join(scenes.COLORS)}) ({'|'.join(scenes.SHAPES)})"
)  # fmt: skip


def parsed(text: str) -> boxes.Parsed:
    return boxes.parse(text, "pocket-llava")


def things(text: str) -> Counter:
    return Counter(THING.findall(text))


def overlap(a: Counter, b: Counter) -> tuple[int, int, int]:
    return (a & b).total(), a.total(), b.total()


def matched(found: list, true: list) -> tuple[int, int, int]:
    """Boxes at IoU 0.5, one to one: right, said, there."""
    return len(boxes.match(found, true)), len(found), len(true)


def f1(triples) -> float:
    right, said, there = (sum(column) for column in zip(*triples))
    return 2 * right / max(1, said + there)


def collect(skill: str, n: int, split: str, first_seed: int):
    """(scene, question) pairs, one from a scene: n with an answer, and such as have none on top."""
    rows, seed = [], first_seed
    while sum(question.answer != NONE for _, question in rows) < n:
        scene = scenes.sample(seed, split, sign=True if skill in READING else None)
        seed += 1
        for question in scene.questions([skill], seed=seed):
            about = [(thing.shape, thing.color) for thing in question.objects]
            if split != "unseen_pairs" or not about or set(about) & set(scenes.UNSEEN_PAIRS):
                rows.append((scene, question))
    return rows


def score(skill: str, rows, answers) -> dict[str, float]:
    """The figures of one skill, each between 0 and 1; where to look is scored where there is."""
    truths = [question.answer for _, question in rows]
    if skill in ("caption", "detailed_caption", "grounded_caption"):
        said = [things(answer) for answer in answers]
        true = [Counter((o.size, o.color, o.shape) for o in scene.objects) for scene, _ in rows]
        return {
            "object F1": f1([overlap(a, b) for a, b in zip(said, true)]),
            "every object right": float(np.mean([a == b for a, b in zip(said, true)])),
        }
    if skill == "locate_all":
        pairs = [(parsed(a).boxes, parsed(t).boxes) for a, t in zip(answers, truths)]
        return {"F1 at IoU 0.5": f1([matched(*pair) for pair in pairs])}
    kept = [(a, t, row) for a, t, row in zip(answers, truths, rows) if t != NONE]
    if skill == "locate":
        values = [places.overlap(a, t, places.first_box) for a, t, _ in kept]
        return {
            "accuracy at IoU 0.5": float(np.mean(np.array(values) >= 0.5)),
            "mean IoU": float(np.mean(values)),
        }
    if skill == "point":
        pointed = [next(iter(parsed(answer).points), None) for answer, _, _ in kept]
        true = [boxes.Box(*question.objects[0].box) for _, _, (_, question) in kept]
        return {"inside the box": boxes.pointing_accuracy(pointed, true)}
    if skill == "outline":
        values = []
        for answer, _, (_, question) in kept:
            true = boxes.Polygon(question.objects[0].outline())
            found = parsed(answer).polygons[:1]
            values.append(boxes.mask_iou(found[0], true, side=192) if found else 0.0)
        return {"mean mask IoU": float(np.mean(values))}
    if skill in READING:  # only where there is something to read
        return {"accuracy": float(np.mean([a == t for a, t, _ in kept]))}
    return {"accuracy": float(np.mean([a == t for a, t in zip(answers, truths)]))}


def floors(skill: str, rows) -> dict[str, float]:
    """What one answer to everything scores, and what an object drawn at random does."""
    common = Counter(q.answer for _, q in rows if q.answer != NONE).most_common(1)[0][0]
    found = {f"majority: {k}": v for k, v in score(skill, rows, [common] * len(rows)).items()}
    if skill in OF_AN_OBJECT:
        draws = scenes.Draws(f"floors/{skill}")
        answers = [draws.pick(question.candidates) for _, question in rows]
        found |= {f"any object: {k}": v for k, v in score(skill, rows, answers).items()}
    return found


def ask_all(vlm, rows, blind: bool = False) -> list[str]:
    ask = evaluation.blind if blind else evaluation.quiz
    return [row["answer"] for row in ask(vlm, evaluation.Exam(rows), batch_size=64).rows]


def rotations(n: int, split: str, first_seed: int):
    """Multiple-choice questions, each once for every rotation of its options, and their numbers."""
    rows, numbers = [], []
    for number, (scene, question) in enumerate(collect("choice", n, split, first_seed)):
        stem = question.text.split("\n")[0]
        right = question.choices["ABCD".index(question.answer)]
        for shift in range(len(question.choices)):
            turned = question.choices[shift:] + question.choices[:shift]
            rows.append((scene, scenes.multiple_choice(stem, turned, right)))
            numbers.append(number)
    return rows, numbers


def circular(rows, numbers, answers) -> dict[str, float]:
    """CircularEval (MMBench, Liu et al. 2023): right only if every rotation is right."""
    good = [answer == question.answer for answer, (_, question) in zip(answers, rows)]
    every = dict.fromkeys(numbers, True)
    for number, right in zip(numbers, good):
        every[number] &= right
    return {
        "CircularEval": float(np.mean(list(every.values()))),
        "one rotation": float(np.mean(good)),
    }


def evaluate(vlm, n: int, split: str, first_seed: int, skills, blind=False, say=print) -> dict:
    table = {}
    for skill in skills:
        start = time.time()
        if skill == "choice":
            rows, numbers = rotations(n, split, first_seed)
            table[skill] = circular(rows, numbers, ask_all(vlm, rows, blind))
            if not blind:
                constant = circular(rows, numbers, ["A"] * len(rows))
                table[skill] |= {f"majority: {k}": v for k, v in constant.items()}
        elif split == "unseen_pairs" and skill in READING:
            continue
        else:
            rows = collect(skill, n, split, first_seed)
            answers = ask_all(vlm, rows, blind)
            table[skill] = score(skill, rows, answers)
            if not blind:
                table[skill] |= floors(skill, rows)
                absent = [a == NONE for a, (_, q) in zip(answers, rows) if q.answer == NONE]
                if absent:
                    table[skill]['"none" where due'] = float(np.mean(absent))
        figures = ", ".join(f"{k} {v:.3f}" for k, v in table[skill].items())
        say(f"{skill:18} {figures}  ({time.time() - start:.0f} s)")
    return table


def new_file(written: str) -> Path:
    """A file that can be written, said before the hours that its figures take."""
    path = Path(written)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{path} cannot be a file: name one in a folder that is there"
        )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default="pocket-llava")
    parser.add_argument("--questions", type=int, default=500, help="of each skill")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--skills", nargs="*", choices=scenes.SKILLS, default=scenes.SKILLS)
    parser.add_argument("--quick", action="store_true", help="no blind run, no unseen pairs")
    parser.add_argument("--out", type=new_file, help="write the figures to this JSON file")
    args = parser.parse_args()
    vlm = vh.load(args.folder)
    shared = {"n": args.questions, "first_seed": args.first_seed, "skills": args.skills}
    result = {
        "questions": args.questions,
        "split": args.split,
        "first seed": args.first_seed,
        "seeing": evaluate(vlm, split=args.split, **shared),
    }
    if not args.quick:
        print("\nunseen colour-shape pairs")
        result["unseen pairs"] = evaluate(vlm, split="unseen_pairs", **shared)
        print("\nblind: the picture replaced by grey")
        result["blind"] = evaluate(vlm, split=args.split, blind=True, **shared)
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
