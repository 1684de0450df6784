"""pocket-scienceqa: what everybody knows of things, half of it about a picture, half without one.

ScienceQA: Lu et al. 2022 (arxiv.org/abs/2209.09513). A block holds two questions about a picture,
where it has to be seen which things are there, and two that name them. What is true of which thing
stands in `data/things/things.toml`.
"""

from __future__ import annotations

from typing import Any

from vlm_helpers._draws import Draws
from vlm_helpers.evaluation.pocket import _made as made
from vlm_helpers.pages import atlas

GROUPS = ("animal", "vehicle", "fruit", "vegetable", "clothing", "musical instrument", "tool",
          "building")  # fmt: skip


def block(draws: Draws) -> list[dict[str, Any]]:
    return [*made.first(draws, _with_picture), made.first(draws, _fact), made.first(draws, _group)]


def _with_picture(draws: Draws) -> list[dict[str, Any]] | None:
    page = made.page(draws, "things")
    names = list(dict.fromkeys(page.fields["things"]))
    known = made.asked(page, draws, "knowledge", lambda question: question.answer in names)
    group = made.asked(page, draws, "group", lambda question: question.answer in GROUPS)
    if known is None or group is None or len(names) < 3:
        return None
    fact = next(f for f in atlas.things().facts.values() if f" {f.one}?" in known.text)
    thing = group.objects[0].text
    return [
        _row(draws, page, known.text, known.answer, draws.shuffled(names), "facts",
             f"The {known.answer} {fact.one}."),
        _row(draws, page, group.text, group.answer, draws.shuffled(GROUPS), "classification",
             f"The {thing} is in the group {group.answer}."),
    ]  # fmt: skip


def _fact(draws: Draws) -> dict[str, Any] | None:
    fact = draws.pick(tuple(atlas.things().facts.values()))
    if len(fact.no) < 3:
        return None
    right = draws.pick(sorted(fact.yes))
    # Two wrong ones are of the right one's own group, where there are any.
    groups = atlas.things().groups
    wrong = sorted(draws.shuffled(sorted(fact.no)), key=lambda name: groups[name] != groups[right])
    wrong = [*wrong[:2], *draws.shuffled(sorted(fact.no))]
    solution = f"The {right} {fact.one}."
    return _row(draws, None, f"Which of these {fact.one}?", right, wrong, "facts", solution)


def _group(draws: Draws) -> dict[str, Any] | None:
    known = atlas.things()
    name = draws.pick(known.names)
    group = known.groups[name]
    if group not in GROUPS or name in known.also:
        return None
    question = f"What kind of thing is the {name}?"
    if name in known.plurals:
        return None
    solution = f"The {name} is in the group {group}."
    wrong = draws.shuffled(GROUPS)
    return _row(draws, None, question, group, wrong, "classification", solution)


def _row(draws, picture, question, right, wrong, category, solution) -> dict[str, Any]:
    choices = made.options(draws, right, wrong)
    return {
        "image": picture,
        "question": question,
        "choices": choices,
        "answer": choices.index(right),
        "hint": "",
        "task": "closed choice",
        "grade": "grade2",
        "subject": "natural science",
        "topic": "things",
        "category": f"{category} with picture" if picture else category,
        "skill": question,
        "lecture": "",
        "solution": solution,
    }
