"""What a scene is made of: its vocabulary, the coloured shapes and the sign."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from vlm_helpers.scenes._shapes import outline

Box = tuple[float, float, float, float]

SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross", "heart")
HELD_OUT_SHAPES = ("moon",)  # never in a split: a new thing to teach a trained model
COLORS = {
    "red": (214, 39, 40),
    "orange": (250, 140, 20),
    "yellow": (250, 218, 40),
    "green": (44, 150, 60),
    "blue": (38, 96, 208),
    "purple": (128, 62, 168),
    "pink": (246, 140, 190),
    "black": (38, 38, 42),
}
SIZES = {"small": (29, 37), "large": (54, 68)}  # radius, in pixels of a picture 384 wide
WORDS = (
    "bakery bank beach bike boat book bread bus cafe cake camp cheese cinema coffee east exit farm "
    "ferry fish food garden gate gym hotel lake left library lift market milk museum music north "
    "office open park pizza police pool post quiet rent right river school shop slow south station "
    "stop street taxi tea tickets toilet toys train water west zoo"
).split()
MAX_OBJECTS = 6
# How wide the letters A to Z and the digits are in thousandths of the font's size. They stand here
# because a layout must not depend on the font renderer of the machine.
LETTER_WIDTHS = (
    639, 627, 699, 709, 587, 567, 710, 730, 264, 544, 609, 575, 866,
    718, 737, 598, 733, 619, 585, 612, 682, 622, 952, 625, 581, 591,
)  # fmt: skip
DIGIT_WIDTH = 580
PICTURE_SIZE = 384  # side of a picture, in pixels
MIN_SIZE = 16  # below this nothing can be told apart, and a sign has no room for its border

# One pair per shape and no colour twice: together they show a model every colour and every
# shape in other company, and never these seven.
UNSEEN_PAIRS = tuple(zip(SHAPES, ("blue", "pink", "red", "orange", "black", "green", "yellow")))
SPLITS = ("train", "validation", "test", "unseen_pairs")

PLACES = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the middle", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)


def _place(center: tuple[float, float]) -> str:
    column, row = (min(2, int(3 * c)) for c in center)
    return PLACES[row][column]


@dataclass(frozen=True)
class SceneObject:
    """One coloured shape. Lengths are fractions of the picture, x to the right, y down.

    Attributes:
        shape: one of `SHAPES` (or of `HELD_OUT_SHAPES`).
        color: one of `COLORS`.
        size: "small" or "large".
        center: (x, y).
        radius: half its nominal extent.
    """

    shape: str
    color: str
    size: str
    center: tuple[float, float]
    radius: float

    @property
    def name(self) -> str:
        """Colour and shape, such as "red star": no scene holds the same name twice."""
        return f"{self.color} {self.shape}"

    @property
    def description(self) -> str:
        """Size, colour and shape, such as "small red star"."""
        return f"{self.size} {self.color} {self.shape}"

    @property
    def place(self) -> str:
        """Where it is on a 3 × 3 grid, such as "at the top left"."""
        return _place(self.center)

    def outline(self, fine: bool = True) -> list[tuple[float, float]]:
        """Its polygon, as (x, y) fractions; at most 12 points unless `fine`."""
        (cx, cy), r = self.center, self.radius
        return [(cx + r * x, cy + r * y) for x, y in outline(self.shape, fine)]

    @cached_property
    def box(self) -> Box:
        """(x0, y0, x1, y1), the tightest box around the outline."""
        xs, ys = zip(*self.outline())
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class Sign:
    """A cream-coloured sign with a number or a word on it; `box` as in `SceneObject`."""

    text: str
    box: Box

    @property
    def kind(self) -> str:
        """ "number" or "word"."""
        return "number" if self.text.isdigit() else "word"

    @property
    def place(self) -> str:
        """Where it is on a 3 × 3 grid, such as "at the top left"."""
        x0, y0, x1, y1 = self.box
        return _place(((x0 + x1) / 2, (y0 + y1) / 2))


def font_size(text: str) -> int:
    """Of the writing on a sign, in pixels of a picture 384 wide."""
    if text.isdigit():
        return 66
    return 54 if len(text) <= 5 else 44


def sign_size(text: str) -> tuple[float, float]:
    """(width, height) of a sign, in pixels of a picture 384 wide."""
    widths = [
        DIGIT_WIDTH if c.isdigit() else LETTER_WIDTHS[ord(c.upper()) - ord("A")] for c in text
    ]
    return sum(widths) * font_size(text) / 1000 + 26, font_size(text) * 1.12 + 10
