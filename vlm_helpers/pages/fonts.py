"""The fonts of `data/fonts/`: their measures from a table, their glyphs as small masks.

A layout never asks the font renderer of the machine how wide a text is: that is what the table
is for. A font is called by its name there, such as "deja".
"""

from __future__ import annotations

import json
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vlm_helpers._data import data_file
from vlm_helpers._draws import Draws

FALLBACK = "grotesk"  # for characters that a font lacks
SPACE = 260  # thousandths of the size; the space of some fonts is too narrow for small print
FINE = 4  # smooth glyphs are drawn so many times larger first, and at so many shifts of a pixel


@cache
def table() -> dict[str, dict]:
    return json.loads(data_file("fonts/fonts.json").read_text(encoding="utf-8"))


@cache
def names(style: str, held_out: bool) -> tuple[str, ...]:
    """The fonts of a style ("sans", "serif", "mono", "hand") for training, or the held-out ones."""
    return tuple(
        name for name, font in table().items()
        if font["style"] == style and font["held_out"] == held_out
    )  # fmt: skip


def pick(draws: Draws, split: str, *styles: str) -> str:
    """A font of one of the `styles`; of the held-out ones where the split is for them."""
    return draws.pick([f for style in styles for f in names(style, split == "unseen_styles")])


@cache
def bold(font: str) -> str:
    """The bold font of the family, or the font itself where there is none."""
    return f"{font}-bold" if f"{font}-bold" in table() else font


@cache
def _width(font: str, character: str) -> tuple[str, int]:
    """Which font has the character, and its width in thousandths of the size."""
    for name in (font, FALLBACK):
        if character in table()[name]["widths"]:
            wide = table()[name]["widths"][character]
            return name, max(wide, SPACE) if character == " " else wide
    raise ValueError(
        f"No font here has {character!r}: pages print Latin letters, digits and punctuation."
    )


@cache
def advance(font: str, size: float, crisp: bool, character: str) -> float:
    """How far the pen moves, in pixels; whole pixels where the text is crisp."""
    pixels = _width(font, character)[1] * size / 1000
    return float(max(1, int(pixels + 0.5))) if crisp else pixels


def width(text: str, font: str, size: float, crisp: bool = False) -> float:
    """How wide a line of text is, in pixels."""
    return sum(advance(font, size, crisp, character) for character in text)


def ascent(font: str, size: float) -> float:
    """How far above the baseline the tallest letters reach, in pixels."""
    return table()[font]["above"] * size / 1000


def descent(font: str, size: float) -> float:
    """How far below the baseline the deepest letters reach, in pixels."""
    return table()[font]["below"] * size / 1000


@lru_cache(maxsize=512)
def _loaded(font: str, size: float) -> ImageFont.FreeTypeFont:
    path = data_file(f"fonts/{table()[font]['file']}")
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=60_000)
def glyph(
    font: str, size: float, crisp: bool, character: str, shift: int
) -> tuple[np.ndarray, int, int]:
    """A character's ink.

    Args:
        crisp: fitted to the pixel grid by the font renderer, as on a plain screen; or smooth, cut
            out of the true outline, as in print, at a `shift` of 0 to `FINE` - 1 parts of a pixel.
    Returns:
        The mask, uint8 [height, width], and where its top left corner lies, seen from the pen's
        place on the baseline, in pixels.
    """
    name = _width(font, character)[0]
    if crisp:
        mask, (left, top) = _ink(_loaded(name, size), character)
        return mask, left, top
    mask, (left, top) = _ink(_loaded(name, size * FINE), character)
    left += shift
    pad_left, pad_top = left % FINE, top % FINE
    height, columns = mask.shape
    padded = np.pad(mask, (
        (pad_top, -(pad_top + height) % FINE), (pad_left, -(pad_left + columns) % FINE),
    ))  # fmt: skip
    small = padded.reshape(padded.shape[0] // FINE, FINE, -1, FINE).mean((1, 3))
    return np.round(small).astype(np.uint8), (left - pad_left) // FINE, (top - pad_top) // FINE


def _ink(font: ImageFont.FreeTypeFont, character: str) -> tuple[np.ndarray, tuple[int, int]]:
    x0, y0, x1, y1 = font.getbbox(character, anchor="ls")
    left, top = int(x0) - 1, int(y0) - 1
    image = Image.new("L", (int(x1) + 2 - left, int(y1) + 2 - top))
    ImageDraw.Draw(image).text((-left, -top), character, 255, font, anchor="ls")
    tight = image.getbbox() or (0, 0, 1, 1)  # a space has no ink
    return np.asarray(image.crop(tight)), (left + tight[0], top + tight[1])
