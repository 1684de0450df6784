"""Measures a pocket-llava-next checkpoint: `python -m recipes.pocket_llava_next.evaluate FOLDER`.

Every figure comes from `generate()`, greedy. While a training is steered, look at the split
"validation"; a model card takes "test". Beside the model stand, on the same questions:

majority        the commonest answer, given every time
any candidate   an answer of the question's kind that the picture offers, drawn at random
blind           the same model, the picture replaced by plain grey
overview alone  the same model, the picture shrunk to one tile
unseen styles   fonts, layouts and an artist that training never showed: other pictures

Then everything on `pocket-llava`'s card, by its own recipe.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import vlm_helpers as vh
from recipes.pocket_llava import evaluate as shapes
from recipes.pocket_llava.parts import IMAGE_SIZE
from recipes.pocket_llava_next import scores
from recipes.pocket_llava_next.packing import Views
from vlm_helpers import evaluation, pages, scenes

CHARTS = ("bars", "lines", "pie")
PAPER = ("receipt", "invoice", "form", "table", "letter")
LEGIBLE = 9  # pixels of print as the model sees it, from which a line has to be read


@dataclass(frozen=True)
class Row:
    """A row of the model card.

    Attributes:
        name: what stands on the card.
        kinds, skills: which questions of which pages.
        score: of `scores`.
        bars: the figures that have one, with the least and the one aimed at.
        overview: whether to ask with the overview alone as well.
    """

    name: str
    kinds: tuple[str, ...]
    skills: tuple[str, ...]
    score: Callable
    bars: dict[str, tuple[float, float]]
    overview: bool = False


ROWS = (
    Row("field", ("receipt", "form"), ("field", "total", "price"), scores.anls,
        {"exact": (0.75, 0.95), "ANLS": (0.85, 0.97)}, overview=True),
    Row("cell of a table", ("table",), ("cell",), scores.exact, {"exact": (0.65, 0.9)}, True),
    Row("read a line", PAPER, ("line",), scores.character_errors, {"CER": (0.1, 0.02)}, True),
    Row("chart: value", ("bars", "lines"), ("value",), scores.within_five_percent,
        {"within 5 %": (0.7, 0.95)}),
    Row("chart: largest, compare", CHARTS, ("largest", "compare"), scores.exact,
        {"exact": (0.85, 0.98)}),
    Row("screen: click", ("screen",), ("click",), scores.clicks, {"inside": (0.8, 0.97)}),
    Row("screen: state of a box or tab", ("screen",), ("ticked", "tab"), scores.exact,
        {"exact": (0.85, 0.97)}),
    Row("diagram: leads to", ("diagram",), ("leads_to",), scores.exact, {"exact": (0.75, 0.95)}),
    Row("name a thing", ("things",), ("name",), scores.exact, {"exact": (0.8, 0.97)}),
    Row("group of a thing", ("things",), ("group",), scores.exact, {"exact": (0.85, 0.97)}),
    Row("exists, random", ("things",), ("exists_random",), scores.exact, {"exact": (0.9, 0.97)}),
    Row("exists, popular", ("things",), ("exists_popular",), scores.exact, {"exact": (0.8, 0.93)}),
    Row("exists, adversarial", ("things",), ("exists_adversarial",), scores.exact,
        {"exact": (0.7, 0.9)}),
    Row("locate a thing", ("things",), ("locate",), scores.located,
        {"accuracy at IoU 0.5": (0.8, 0.95)}),
)  # fmt: skip


def legible(page, question) -> bool:
    """Whether the print that a question is about has at least `LEGIBLE` pixels in the tiles."""
    shrink = Views(page.size).shrink(1)
    return all(element.size * shrink >= LEGIBLE for element in question.objects)


def exam(row: Row, n: int, split: str, first_seed: int) -> evaluation.Exam:
    """`n` questions of a row, one a page and skill, none whose answer is "none"."""
    pairs, each = [], -(-n // len(row.skills))
    for skill in row.skills:
        kinds = [kind for kind in row.kinds if skill in _skills(kind, split)]
        found, seed = 0, first_seed
        while found < each:
            page, seed = pages.sample(seed, split, kind=tuple(kinds)), seed + 1
            for question in page.questions([skill]):
                if question.answer != "none" and (skill != "line" or legible(page, question)):
                    pairs.append((page, question))
                    found += 1
    return evaluation.Exam(pairs[:n])


def _skills(kind: str, split: str) -> set[str]:
    """The skills that a kind of page has, as far as twenty pages tell."""
    drawn = (pages.sample(seed, split, kind=kind) for seed in range(20))
    return {question.skill for page in drawn for question in page.questions()}


class Overview:
    """A model that gets every picture shrunk to one tile."""

    def __init__(self, vlm):
        self.vlm = vlm

    def ask(self, images, questions, **options):
        small = [[image.resize((IMAGE_SIZE,) * 2) for image in group] for group in images]
        return self.vlm.ask(small, questions, **options)


def measure(row: Row, ask: Callable, vlm, items) -> dict[str, float]:
    answers = [one["answer"] for one in ask(vlm, items, batch_size=16).rows]
    return row.score(answers, [question.answer for _, question in items.pairs], items.pairs)


def majority(row: Row, items) -> dict[str, float]:
    truths = [question.answer for _, question in items.pairs]
    common = Counter(truths).most_common(1)[0][0]
    return row.score([common] * len(truths), truths, items.pairs)


def any_candidate(row: Row, items) -> dict[str, float]:
    draws = scenes.Draws(f"floors/{row.name}")
    pairs = [pair for pair in items.pairs if pair[1].candidates]
    if not pairs:
        return {}
    answers = [draws.pick(question.candidates) for _, question in pairs]
    return row.score(answers, [question.answer for _, question in pairs], pairs)


def evaluate(vlm, n: int, beside: int, split: str, first_seed: int, say=print) -> dict:
    """The figures of every row: of `n` questions, and of `beside` in the columns beside it."""
    table = {}
    for row in ROWS:
        start, items = time.time(), exam(row, n, split, first_seed)
        found = {"seeing": measure(row, evaluation.quiz, vlm, items)}
        found |= {"majority": majority(row, items), "any candidate": any_candidate(row, items)}
        if beside:
            items = items if beside == n else exam(row, beside, split, first_seed)
            found["blind"] = measure(row, evaluation.blind, vlm, items)
            if row.overview:
                found["overview alone"] = measure(row, evaluation.quiz, Overview(vlm), items)
            other = exam(row, beside, "unseen_styles", first_seed)
            found["unseen styles"] = measure(row, evaluation.quiz, vlm, other)
        table[row.name] = found
        figures = ", ".join(
            f"{name} {figure} {value:.3f}"
            for name, part in found.items() for figure, value in part.items()
        )  # fmt: skip
        say(f"{row.name:30} {figures}  ({time.time() - start:.0f} s)")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default="pocket-llava-next")
    parser.add_argument("--questions", type=int, default=500, help="of each row")
    parser.add_argument(
        "--beside", type=int, default=500,
        help="questions of each column beside a score, and of each skill of pocket-llava; 0: the "
        "scores and floors of pages only",
    )  # fmt: skip
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=shapes.new_file, help="write the figures to this JSON file")
    args = parser.parse_args()
    vlm = vh.load(args.folder)
    result = {
        "questions": args.questions,
        "beside": args.beside,
        "split": args.split,
        "first seed": args.first_seed,
        "pages": evaluate(vlm, args.questions, args.beside, args.split, args.first_seed),
        "shapes": shapes.evaluate(
            vlm, args.beside, args.split, args.first_seed, scenes.SKILLS if args.beside else ()
        ),
    }  # fmt: skip
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
