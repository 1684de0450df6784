"""The things: their names and groups, what is known of them, and their drawings.

`data/things/` holds the facts (`things.toml`) and one atlas, a sheet of small drawings, for each
style: "noto", and "fluent", another artist's, which training never shows. Its README says where
they come from.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from PIL import Image

from vlm_helpers._data import data_file
from vlm_helpers._words import did_you_mean, whole_number

VERSION = 1  # of things.toml; the atlases carry it too
CELL = 96  # side of a drawing's square in an atlas, in pixels
COLUMNS = 20
STAMP = "things"  # the text in an atlas's PNG that says which things it shows
SOLID = 96  # the least opacity, of 255, that counts as part of a thing


@dataclass(frozen=True)
class Fact:
    """Something that is known of things: true of `yes`, false of `no`, left open for all others.

    `one` ends "Which thing here ...", `many` ends "How many things here ...".
    """

    one: str
    many: str
    yes: frozenset[str]
    no: frozenset[str]


@dataclass(frozen=True)
class Theme:
    """What stands together: `core` things in three of four pictures, `others` now and then.

    `scene` is what a caption calls it, `setting` what is painted behind.
    """

    scene: str
    setting: str
    core: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class Things:
    """All that `things.toml` says.

    Attributes:
        icons: name of a thing: name of its drawing in the packages.
        groups: name of a thing: its group; "other" where none fits it alone.
        also: name of a thing: other groups that one may put it in.
        near: name of a thing: the things for which one may take its name as well.
        plurals, stuff: names without "a": "grapes", "bread".
        single: things of which no picture shows two.
        sky: things that stand in the sky.
        still: things that are not mirrored, since there is writing on them.
        facts, themes: by their names.
        styles: name of an atlas: the npm package that it was made of, and its release.
    """

    icons: dict[str, str]
    groups: dict[str, str]
    also: dict[str, frozenset[str]]
    near: dict[str, frozenset[str]]
    plurals: frozenset[str]
    stuff: frozenset[str]
    irregular: dict[str, str]
    single: frozenset[str]
    sky: frozenset[str]
    still: frozenset[str]
    facts: dict[str, Fact]
    themes: dict[str, Theme]
    styles: dict[str, dict[str, str]]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All things, in the order of their drawings."""
        return tuple(self.icons)

    @property
    def stamp(self) -> str:
        """What an atlas of these things carries."""
        return "\n".join([f"version {VERSION}", *self.names])


def _flat(entries, members: dict[str, list[str]]) -> frozenset[str]:
    """Names, with "@group" written out."""
    found = [members[e[1:]] if e.startswith("@") else [e] for e in entries]
    return frozenset(name for part in found for name in part)


@cache
def things() -> Things:
    """The facts of `data/things/things.toml`.

    Raises:
        FileNotFoundError: where the package came without it.
        ValueError: where it has another version than this code.
    """
    path = data_file("things/things.toml")
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    if read.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {read.get('version')!r}, this code needs {VERSION}: "
            "take data/things/ and vlm_helpers/ from the same commit."
        )
    members = {group: list(icons) for group, icons in read["things"].items()}
    icons = {name: icon for group in read["things"].values() for name, icon in group.items()}
    grammar, every = read["grammar"], frozenset(icons)
    facts = {}
    for key, fact in read["facts"].items():
        yes = _flat(fact["yes"], members)
        no = _flat(fact["no"], members) if "no" in fact else every - _flat(fact["unsure"], members)
        facts[key] = Fact(fact["one"], fact["many"], yes, no - yes)
    return Things(
        icons,
        {name: group for group, names in members.items() for name in names},
        {name: frozenset(groups) for name, groups in read["also"].items()},
        {name: _flat(others, members) - {name} for name, others in read["near"].items()},
        frozenset(grammar["plurals"]),
        frozenset(grammar["stuff"]),
        grammar["irregular"],
        frozenset(grammar["single"]),
        frozenset(grammar["sky"]),
        frozenset(grammar["still"]),
        facts,
        {n: Theme(t["scene"], t["setting"], tuple(t["core"]), tuple(t["others"]))
         for n, t in read["themes"].items()},
        read["styles"],
    )  # fmt: skip


# --- drawings -------------------------------------------------------------------------------------


def corner(number: int) -> tuple[int, int]:
    """Where the drawing of that number begins in an atlas: x and y of its top left pixel."""
    return number % COLUMNS * CELL, number // COLUMNS * CELL


@cache
def _sheet(style: str) -> tuple[Image.Image, dict[str, tuple[int, int, int, int]]]:
    """An atlas, and for each thing the tight box around its drawing, in the atlas's pixels."""
    known = things()
    path = data_file(f"things/{style}.png")
    sheet = Image.open(path)
    sheet.load()  # reads the stamp too
    if sheet.info.get(STAMP) != known.stamp:
        raise ValueError(
            f"{path} shows other things than things.toml names: rebuild it with "
            "python -m recipes.things, or take both from the same commit."
        )
    opacity = np.asarray(sheet.getchannel("A"))
    boxes = {}
    for number, name in enumerate(known.names):
        x, y = corner(number)
        solid = opacity[y : y + CELL, x : x + CELL] >= SOLID
        xs, ys = np.flatnonzero(solid.any(0)), np.flatnonzero(solid.any(1))
        boxes[name] = (x + int(xs[0]), y + int(ys[0]), x + int(xs[-1]) + 1, y + int(ys[-1]) + 1)
    return sheet.convert("RGBa"), boxes  # so that clear pixels lend no colour when it is scaled


def _checked(name: str, style: str) -> None:
    if name not in things().icons:
        raise ValueError(f"There is no thing {name!r}; {did_you_mean(name, things().names)}")
    if style not in things().styles:
        raise ValueError(f"There is no style {style!r}; {did_you_mean(style, things().styles)}")


def proportions(name: str, style: str = "noto") -> tuple[float, float]:
    """(width, height) of a thing's drawing; the longer side is 1."""
    _checked(name, style)
    x0, y0, x1, y1 = _sheet(style)[1][name]
    longest = max(x1 - x0, y1 - y0)
    return (x1 - x0) / longest, (y1 - y0) / longest


def picture(name: str, width: int, height: int, style: str = "noto", mirrored=False) -> Image.Image:
    """A thing's drawing, cut out tightly.

    Args:
        name: one of `things().names`.
        width, height: of the picture, in pixels; `proportions` says which go together.
        style: one of `things().styles`.
    Returns:
        An RGBA picture.
    Raises:
        ValueError: for a name or a style that does not exist, or a size below 1.
        FileNotFoundError: where the package came without the atlas.
    """
    _checked(name, style)
    size = whole_number("width", width, least=1), whole_number("height", height, least=1)
    return _scaled(name, style, *size, bool(mirrored))


@lru_cache(maxsize=1024)
def _scaled(name: str, style: str, width: int, height: int, mirrored: bool) -> Image.Image:
    sheet, boxes = _sheet(style)
    cut = sheet.crop(boxes[name])
    filter = Image.Resampling.HAMMING if width <= cut.width else Image.Resampling.BICUBIC
    small = cut.resize((width, height), filter).convert("RGBA")
    return small.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else small
