"""A page, and how one is drawn from a seed."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL.Image import Image

from vlm_helpers import _questions
from vlm_helpers._draws import Draws
from vlm_helpers._questions import Question, conversation, to_messages
from vlm_helpers._words import article, did_you_mean, number, several, whole_number
from vlm_helpers.pages import (
    _charts,
    _diagram,
    _form,
    _invoice,
    _letter,
    _receipt,
    _screen,
    _table,
    _things,
    _wear,
)
from vlm_helpers.pages._canvas import Box, Canvas, turned, turned_box
from vlm_helpers.pages._kind import SPLITS, Kind
from vlm_helpers.pages._wear import Wear

_KINDS = {
    kind.name: kind
    for kind in (
        _receipt.KIND,
        _invoice.KIND,
        _form.KIND,
        _table.KIND,
        _letter.KIND,
        _charts.BARS,
        _charts.LINES,
        _charts.PIE,
        _things.KIND,
        _screen.KIND,
        _diagram.KIND,
    )
}
KINDS = tuple(_KINDS)
SKILLS = tuple(dict.fromkeys(skill for kind in _KINDS.values() for skill in kind.skills))


@dataclass(frozen=True)
class Element:
    """Something on a page.

    Attributes:
        role: what it is, such as "line", "title", "cell", "button", "box", "bar".
        text: what is printed there, if anything; the name of a thing.
        box: (x0, y0, x1, y1) as fractions of the picture, x right, y down.
        name: the path into `Page.fields` that it shows, such as "items.2.price"; "" where none.
        size: the size of its font in pixels of the page at its own size; 0 where it has no text.
    """

    role: str
    text: str
    box: Box
    name: str = ""
    size: float = 0.0

    @property
    def center(self) -> tuple[float, float]:
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


class Characters(NamedTuple):
    """Every printed character that is no space.

    Attributes:
        text: the characters.
        places: float32 [len(text), 3]: x and y of its centre and the height of its font, as
            fractions of the picture's width, height and height.
    """

    text: str
    places: np.ndarray


@dataclass(frozen=True)
class Page:
    """A page and everything that is true of it. Made by `sample`.

    Attributes:
        seed, split, kind: what it was made from.
        fields: what it says, as a dict of texts, lists and dicts; every text as it is printed.
    """

    seed: int
    split: str
    kind: str
    fields: dict
    canvas: Canvas = field(repr=False, compare=False)
    wear: Wear = field(repr=False)

    @property
    def key(self) -> str:
        """Its name among all pages, such as "receipt/train/3"."""
        return f"{self.kind}/{self.split}/{self.seed}"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of `image`, in pixels."""
        return self.canvas.width, self.canvas.height

    @cached_property
    def image(self) -> Image:
        """The picture: RGB, at its own size."""
        return self.render()

    def render(self, scale: float = 1) -> Image:
        """The picture drawn `scale` times as large, with the same truth.

        Raises:
            ValueError: for a scale that is no number from 0.1 to 8.
        """
        scale = number("scale", scale, above=0)
        if not 0.1 <= scale <= 8:
            raise ValueError(f"scale must lie between 0.1 and 8, and not be {scale:g}.")
        return _wear.apply(self.canvas.draw(scale), self.wear)

    # --- truth ------------------------------------------------------------------------------------

    def _fractions(self, box: Box) -> Box:
        width, height = self.size
        x0, y0, x1, y1 = turned_box(box, (width / 2, height / 2), self.wear.turn)
        x0, x1 = (min(1.0, max(0.0, x / width)) for x in (x0, x1))
        y0, y1 = (min(1.0, max(0.0, y / height)) for y in (y0, y1))
        return x0, y0, x1, y1

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """Everything on the page, in reading order."""
        return tuple(
            Element(mark.role, mark.text, self._fractions(mark.box), mark.name, mark.size)
            for mark in self.canvas.marks
        )

    @cached_property
    def lines(self) -> tuple[Element, ...]:
        """The lines of text in reading order; what stands beside each other in a row is one."""
        lines: list[list] = []
        for mark in self.canvas.marks:
            if not mark.line:
                continue
            if mark.join is not False and lines:
                text, box, size = lines[-1]
                joined = (*map(min, box[:2], mark.box[:2]), *map(max, box[2:], mark.box[2:]))
                lines[-1] = [text + mark.join + mark.text, joined, min(size, mark.size)]
            else:
                lines.append([mark.text, mark.box, mark.size])
        return tuple(Element("line", t, self._fractions(box), "", size) for t, box, size in lines)

    @cached_property
    def text(self) -> str:
        """Everything that can be read, line by line."""
        return "\n".join(line.text for line in self.lines)

    def get(self, name: str) -> Element:
        """The element that shows the field of that name, such as "total" or "items.0.price".

        Raises:
            ValueError: where the page has none of that name.
        """
        for element in self.elements:
            if element.name == name and name:
                return element
        known = [element.name for element in self.elements if element.name]
        raise ValueError(f"This {self.kind} shows no {name!r}; {did_you_mean(name, known)}")

    def characters(self) -> Characters:
        """Every printed character with its place; cheap, and exact on turned pages too. (Where
        matplotlib prints, in charts of unseen styles, a character may be a pixel off.)"""
        width, height = self.size
        text, rows = [], []
        for run in self.canvas.texts:
            x, y = run.x, run.y - 0.36 * run.size
            for character, advance in zip(run.text, run.advances):
                if character != " ":
                    text.append(character)
                    place = (x + advance / 2, y)
                    if run.angle:
                        place = turned(place, run.pivot, run.angle)
                    rows.append((*place, run.size))
                x += advance
        places = np.array(rows, np.float32).reshape(-1, 3)
        if self.wear.turn:
            middle = (width / 2, height / 2)
            places[:, 0], places[:, 1] = turned(places.T[:2].copy(), middle, self.wear.turn)
        return Characters("".join(text), places / np.float32((width, height, height)))

    # --- the same page, otherwise -----------------------------------------------------------------

    def with_field(self, name: str, value: str) -> Page:
        """This page with one field changed: drawn again in the same look, its truth renewed.

        Args:
            name: a path into `fields`, such as "total" or "items.0.price".
            value: what is to stand there.
        Raises:
            TypeError: for a value that is no text.
            ValueError: for a name that leads to no text, a character that no font has, or a text
                that is empty where it can't be, has spaces around it, or is too long for a page.
        """
        if not isinstance(value, str):
            raise TypeError(f"A field is a text, as it is printed; {value!r} is none.")
        if value != value.strip() or not (value or _KINDS[self.kind].blanks):
            what = "has no spaces around it" if value.strip() else "is not empty"
            raise ValueError(
                f"A field of {article(self.kind)} {what}: {value!r} can't be {name!r}."
            )
        fields = copy.deepcopy(self.fields)
        paths = _paths(fields)
        if name not in paths:
            raise ValueError(f"This {self.kind} has no field {name!r}; {did_you_mean(name, paths)}")
        holder, last = paths[name]
        holder[last] = value
        return _drawn(self.seed, self.split, _KINDS[self.kind], fields, self.wear)

    # --- questions --------------------------------------------------------------------------------

    def questions(self, skills=None, per_skill: int = 1, seed: int = 0) -> list[Question]:
        """Questions about this page with their answers.

        Args:
            skills: which of `SKILLS`, by default all that this kind of page has; an empty list
                asks nothing. A skill that this page has no question for is left out of the result.
            per_skill: how many of each; the same question never comes twice.
            seed: other seeds give other questions.
        Raises:
            ValueError: for a skill that does not exist, or a number below 1.
        """
        makers = _KINDS[self.kind].skills
        return _questions.questions(self, makers, skills, per_skill, seed, SKILLS)

    def messages(self, turns: int = 1, skills=None, seed: int = 0) -> dict:
        """A training row: a conversation about this page.

        Args:
            turns: how many questions with their answers; fewer where the page has no more.
            skills: what they are about, as in `questions`.
            seed: other seeds give other conversations.
        Returns:
            {"messages": [...], "images": [PIL image]} in the form that `datasets` and TRL take
            (the schema of HuggingFaceH4/llava-instruct-mix-vsft).
        Raises:
            ValueError: for fewer than one turn, or skills that give no question here.
        """
        talk = conversation(self, turns, skills, seed)
        return {"messages": to_messages(talk), "images": [self.image]}

    def json(self) -> str:
        """`fields` as JSON on one line."""
        return json.dumps(self.fields, ensure_ascii=False)


def _paths(value, path: str = "") -> dict[str, tuple]:
    """For each text in nested dicts and lists its path, and (the dict or list, its key)."""
    found = {}
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        where = f"{path}.{key}" if path else str(key)
        found |= {where: (value, key)} if isinstance(part, str) else _paths(part, where)
    return found


def sample(
    seed: int,
    split: str = "train",
    *,
    kind: str | tuple[str, ...] | None = None,
    clean: bool = False,
) -> Page:
    """The page that belongs to `seed` in `split`: always the same one.

    Args:
        seed: a whole number.
        split: one of `SPLITS`. The same seed gives unrelated pages in two splits. Only
            "unseen_styles" has the held-out fonts, layouts and drawing styles, and has no others.
        kind: one of `KINDS`, or several to choose from; by default the seed decides among all.
        clean: without noise, turn, shade and fold.
    Raises:
        TypeError, ValueError: for a seed, a split or a kind that cannot be.
    """
    seed = whole_number("seed", seed)
    _check_split(split)
    wanted = several("kind", KINDS if kind is None else kind)
    for name in wanted:
        if name not in KINDS:
            raise ValueError(f"There is no kind of page {name!r}; {did_you_mean(name, KINDS)}")
    if not wanted:
        raise ValueError("kind names no kind of page: give one of KINDS, several, or None for all.")
    chosen = _KINDS[Draws(f"{split}/{seed}/kind").pick(wanted)]
    key = f"{chosen.name}/{split}/{seed}"
    wear = _wear.CLEAN
    if chosen.paper and not clean:
        wear = _wear.drawn(Draws(f"{key}/wear"))
    return _drawn(seed, split, chosen, chosen.facts(Draws(f"{key}/facts"), split), wear)


def picture_of(
    things: Sequence[str], theme: str = _things.NOWHERE, *, seed: int = 0, split: str = "train"
) -> Page:
    """A page of the kind "things" that shows the things you name, and nothing else.

    Args:
        things: one to nine names, as in `data/things/README.md`; a name may stand there twice.
        theme: whose floor, walls or sky are behind them; by default none.
        seed: others place the same things elsewhere.
        split: one of `SPLITS`; "unseen_styles" has the other artist's drawings.
    Raises:
        TypeError: where things is no list of texts.
        ValueError: for no things or too many, a thing, theme or split that does not exist, or a
            second one of what stands alone ("bread", "scissors", "sun").
    """
    seed, names = whole_number("seed", seed), several("things", things)
    if isinstance(things, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f'things is a list of names, such as ["cow", "sheep"], not {things!r}.')
    _check_split(split)
    _things.check(names)
    return _drawn(seed, split, _things.KIND, {"theme": theme, "things": names}, _wear.CLEAN)


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}; {did_you_mean(split, SPLITS)}")


def _drawn(seed: int, split: str, kind: Kind, fields: dict, wear: Wear) -> Page:
    canvas = kind.draw(fields, Draws(f"{kind.name}/{split}/{seed}/look"), split)
    return Page(seed, split, kind.name, fields, canvas, wear)
