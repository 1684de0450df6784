"""What do the contestants of an arena answer?

Ten contestants answer the same 210 questions about pictures they have not seen: 30 each of seven
skills, the last of which only the LoRA has learnt. An answer is `right` if its first sentence names
the truth, as whole words, and nothing else that is the answer to another question of the skill: so
"red diamond" is right where the colour is asked for, and a list of all objects is not. It is
`exact` if it is the truth and nothing else, as most benchmarks want it. Three contestants give the
answers of another one in another dress, as their names say.

- pocket-llava
- LoRA: pocket-llava after the LoRA training of notebook 08 (seed 0 of `forgetting`)
- short-sighted: pocket-llava, shown every picture shrunk to 24 × 24 pixels
- short-sighted, chatty: the same answers, each followed by its description of the picture
- short-sighted, at times chatty: the same, with a description after every second answer
- wrong template: pocket-llava under a prompt with lower-case roles
- pocket-llava-base: the model before stage two, which knows captions only
- blind: pocket-llava, shown a grey picture
- blind, bold: the same answers, every second one in bold type
- always yes: the word "yes", whatever is asked
"""

from __future__ import annotations

import functools
import re

from PIL import Image

import vlm_helpers as vh
from recipes.experiments import forgetting, templates

SKILLS = ("color", "shape", "count", "exists", "relation", "word")
EACH, FIRST_SEED = 30, 60_000
OUTERMOST = "outermost"  # the skill that the LoRA has learnt
SMALL, GREY = (24, 24), (128, 128, 128)


def settings() -> list[dict]:
    return [{"contestant": name} for name in contestants()]


@functools.cache
def questions() -> list[dict]:
    items = list(vh.evaluation.exam(vh.scenes, SKILLS, EACH, first_seed=FIRST_SEED))
    for number, row in enumerate(forgetting.new_rows(FIRST_SEED, EACH, "test")):
        question, answer = (turn["content"][-1]["text"] for turn in row["messages"])
        key = f"test/{OUTERMOST}/{number}"
        items.append(
            {
                "id": key,
                "skill": OUTERMOST,
                "question": question,
                "answer": answer,
                "images": row["images"],
            }
        )
    return items


@functools.cache
def _pocket():
    return vh.load("pocket-llava")


@functools.cache
def _base():
    return vh.load("pocket-llava-base")


@functools.cache
def _lora():
    return vh.VLM(*forgetting.tuned(seed=0))


def _sees(change):
    """pocket-llava as a contestant, whose pictures are changed first."""

    def ask(pictures, questions, **generate):
        changed = [[change(picture) for picture in several] for several in pictures]
        return _pocket().ask(changed, questions, **generate)

    return ask


short_sighted = _sees(lambda picture: picture.resize(SMALL))
blind = _sees(lambda picture: Image.new("RGB", picture.size, GREY))


def chatty(pictures, questions):
    answers = short_sighted(pictures, questions)
    captions = short_sighted(pictures, ["Describe the picture."] * len(questions))
    return [f"{answer}. {caption}" for answer, caption in zip(answers, captions)]


def at_times_chatty(pictures, questions):
    terse, long = short_sighted(pictures, questions), chatty(pictures, questions)
    return [b if len(q) % 2 else a for a, b, q in zip(terse, long, questions)]


def bold(pictures, questions):
    answers = blind(pictures, questions)
    return [f"**{a}**" if a and len(q) % 2 else a for a, q in zip(answers, questions)]


def lower_case(pictures, questions):
    return templates.ask(templates.TEMPLATES["lower-case roles"], pictures, questions)


def contestants() -> dict:
    """Each by its name, as a function `(pictures, questions) -> answers`."""
    return {
        "pocket-llava": lambda *asked, **generate: _pocket().ask(*asked, **generate),
        "LoRA": lambda *asked, **generate: _lora().ask(*asked, **generate),
        "short-sighted": short_sighted,
        "short-sighted, chatty": chatty,
        "short-sighted, at times chatty": at_times_chatty,
        "wrong template": lower_case,
        "pocket-llava-base": lambda *asked, **generate: _base().ask(*asked, **generate),
        "blind": blind,
        "blind, bold": bold,
        "always yes": lambda pictures, questions: ["yes"] * len(questions),
    }


def names(answer: str, what: str) -> bool:
    """Whether it stands in the answer as whole words, in either case."""
    return re.search(rf"(?<!\w){re.escape(what)}(?!\w)", answer, re.IGNORECASE) is not None


def right(answer: str, item: dict) -> bool:
    said, truth = answer.split(". ")[0], item["answer"]
    others = {other["answer"] for other in questions() if other["skill"] == item["skill"]}
    return names(said, truth) and not any(names(said, other) for other in others - {truth})


def run(contestant: str) -> list[dict]:
    asked = vh.evaluation.quiz(contestants()[contestant], questions())
    return [
        {
            "item": number,
            "skill": row["skill"],
            "question": row["question"],
            "truth": row["truth"],
            "answer": row["answer"],
            "right": int(right(row["answer"], item)),
            "exact": int(row["score"]),
        }
        for number, (row, item) in enumerate(zip(asked.rows, questions()))
    ]
