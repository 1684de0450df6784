"""The questions that can be asked about any page with text and fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from vlm_helpers._questions import NONE, box_tokens
from vlm_helpers._words import listed

ABSENT = 0.08  # the share of questions about a field that the page does not have


def read(page, draws):
    wordings = ("Read the page.", "Read all the text.", "What does the page say?", "Transcribe it.")
    return draws.pick(wordings), page.text, page.lines


def line(page, draws):
    number = draws.below(len(page.lines) + (1 if draws.chance(ABSENT) else 0))
    wordings = ("Read line {}.", "What does line {} say?", "Give the text of line {}.")
    text = draws.pick(wordings).format(number + 1)
    candidates = [one.text for one in page.lines]
    if number == len(page.lines):
        return text, NONE, (), candidates
    return text, page.lines[number].text, page.lines[number : number + 1], candidates


def count_lines(page, draws):
    wordings = ("How many lines of text are there?", "Count the lines of text.")
    return draws.pick(wordings), str(len(page.lines))


def stamp(page, draws):
    found = [element for element in page.elements if element.role == "stamp"]
    if not found and not draws.chance(0.02):
        return None
    wordings = ("What does the stamp say?", "Read the stamp.", "What is stamped on the page?")
    return draws.pick(wordings), found[0].text if found else NONE, found


READING: dict[str, Callable] = {"read": read, "line": line, "count_lines": count_lines}
PAPER = READING | {"stamp": stamp}


def alone(names) -> list[int]:
    """Which of the names stand there once, by their place: only those can be asked about. (All
    do, but where somebody has changed a field.)"""
    return [i for i, name in enumerate(names) if list(names).count(name) == 1]


def value(fields, path: str):
    """What stands at a path such as "items.0.price", or None."""
    for key in path.split("."):
        try:
            fields = fields[int(key)] if isinstance(fields, list) else fields[key]
        except (KeyError, IndexError):
            return None
    return fields


def place(page, text: str, path: str | None):
    """The question `text` for the box of the field at `path`; None where it is not there."""
    candidates = [box_tokens(element.box) for element in page.elements if element.name]
    if path is None:
        return text, NONE, (), candidates
    found = page.get(path)
    return text, box_tokens(found.box), [found], candidates


def about_fields(noun: str, labels: Mapping[str, str]) -> dict[str, Callable]:
    """The skills "field", "locate" and "json" of a page whose fields are those of `labels`.

    Args:
        noun: what the page is called, such as "receipt".
        labels: for each text in `fields` by its path, what it is called in a question.
    """

    def chosen(page, draws):
        """A field that the page has, or now and then one that it could have."""
        there = [path for path in labels if value(page.fields, path)]
        absent = [path for path in labels if path not in there]
        return draws.pick(absent if absent and draws.chance(ABSENT) else there)

    def field(page, draws):
        path = chosen(page, draws)
        wordings = ("What is the {}?", "Read the {}.", "Give the {}.", "Which {} is on the {noun}?")
        text = draws.pick(wordings).format(labels[path], noun=noun)
        candidates = [e.text for e in page.elements if e.name and e.text]
        if not value(page.fields, path):
            return text, NONE, (), candidates
        return text, value(page.fields, path), [page.get(path)], candidates

    def locate(page, draws):
        path = chosen(page, draws)
        wordings = ("Where is the {}?", "Locate the {}.", "Give the box of the {}.")
        text = draws.pick(wordings).format(labels[path])
        return place(page, text, path if value(page.fields, path) else None)

    def as_json(page, draws):
        simple = [path for path in labels if "." not in path]
        there = [path for path in simple if path in page.fields]
        keys = draws.shuffled(there)[: 2 + draws.below(3)]
        absent = [path for path in simple if path not in there]
        if absent and draws.chance(0.15):
            keys = [*keys, draws.pick(absent)]
        nested = [k for k, v in page.fields.items() if isinstance(v, list) and _short(v)]
        if nested and draws.chance(0.3):
            keys = [*keys[:1], draws.pick(nested)]
        return json_question(page, draws, noun, keys)

    return {"field": field, "locate": locate, "json": as_json}


def _short(value) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) <= 220


def json_question(page, draws, noun: str, keys):
    """The question for `keys` of the page as JSON; what is not there is null."""
    answer = json.dumps({key: page.fields.get(key) for key in keys}, ensure_ascii=False)
    schema = "{" + ", ".join(f'"{key}": {_type(page.fields.get(key, ""))}' for key in keys) + "}"
    text = draws.pick(
        (
            f"Give the {noun} as JSON with the keys {listed(keys)}.",
            f"Answer with JSON, keys {', '.join(keys)}.",
            f"Return JSON of this form: {schema}",
            f"Extract as JSON: {schema}",
        )
    )
    return text, answer


def _type(value) -> str:
    """The form of a value: "string", or that of a list's first entry in brackets."""
    if isinstance(value, list):
        return f"[{_type(value[0])}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {_type(part)}' for key, part in value.items()) + "}"
    return "string"
