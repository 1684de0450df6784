"""Plain printed text for the tower to learn from: lines of words, prices and codes in many looks.

Not pages: no layout means anything here. It is what letters look like in several fonts, sizes and
colours, with noise, a slight turn and neighbours above and below.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from vlm_helpers.pages import fonts
from vlm_helpers.scenes import Draws

WORDS = (
    "the of and to in is you that it for was on are as with his they at be this from have or by "
    "one had not but what all were when we there can an your which their said if do will each "
    "about how up out them then she many some so these would other into has more her two like "
    "him see time could no make than first been its who now people my made over did down only "
    "way find use may water long little very after words called just where most know name price "
    "total date number amount paid cash card change items tax net gross invoice receipt order "
    "customer street city phone mail page table row column value sales year month week day "
    "January February March April May June July August September October November December "
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday open close save cancel delete "
    "settings search help file edit view home back next done yes no bread milk butter cheese "
    "apples eggs coffee tea sugar rice pasta juice soap paper pens lamp chair desk window "
    "garden school bank hotel museum north south east west green blue red yellow black white "
    "quick brown fox jumps lazy dog"
).split()
SYLLABLES = (
    "ba be bi bo bu ca ce chi co cu da de di do du fa fe fi fo fu ga ge gi go gu ha he hi ho hu "
    "ja jo ju ka ke ki ko la le li lo lu ma me mi mo mu na ne ni no nu pa pe pi po pu qua que "
    "ra re ri ro ru sa se si so su sha ta te ti to tu tho va ve vi vo wa we wi wo xa xi ya yo "
    "za ze zo an en in on un ar er or ur al el il st nd ck ly ing ton ment tion ville berg son "
    "ster field"
).split()
MARKS = "!#$%&()*+,-./:;=?@[]_'\"<>|{}~^`\\"


@cache
def _fonts() -> tuple[str, ...]:
    """The fonts that pages of the split "train" are printed in."""
    return tuple(name for name, font in fonts.table().items() if not font["held_out"])


def word(draws: Draws) -> str:
    kind = draws.uniform(0, 1)
    if kind < 0.35:
        made = draws.pick(WORDS)
    elif kind < 0.62:
        made = "".join(draws.pick(SYLLABLES) for _ in range(1 + draws.below(4)))
    elif kind < 0.85:
        return _number(draws)
    else:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + MARKS
        return "".join(draws.pick(letters) for _ in range(1 + draws.below(8)))
    case = draws.uniform(0, 1)
    made = made.upper() if case < 0.2 else made.capitalize() if case < 0.45 else made
    return made + (draws.pick(".,:;!?") if draws.chance(0.12) else "")


def _number(draws: Draws) -> str:
    n = draws.below(10 ** (1 + draws.below(5)))
    kind = draws.below(8)
    if kind == 0:
        return f"{draws.pick('$€£')}{n % 1000}.{draws.below(100):02d}"
    if kind == 1:
        return f"{n % 1000}{draws.pick('.,')}{draws.below(100):02d}"
    if kind == 2:
        day, month = 1 + draws.below(28), 1 + draws.below(12)
        return f"{day:02d}{draws.pick('./-')}{month:02d}.20{n % 40:02d}"
    if kind == 3:
        return f"{draws.below(24):02d}:{draws.below(60):02d}"
    if kind == 4:
        return f"{n % 101}%"
    if kind == 5:
        return f"{draws.pick('ABCDEFGHKLMNPRSTX')}{draws.pick('ABDEKMNPRT')}-{n}"
    if kind == 6:
        return f"{n:,}"
    return str(n)


@dataclass(frozen=True)
class Print:
    """Printed text and its characters: ink [side, side] from 0 to 255, colours of ground and ink,
    letters, their centres (x, y) and the height of their print in pixels, the number of the line,
    and whether a word begins there."""

    ink: Image.Image
    colors: tuple[tuple, tuple]
    letters: list[str]
    centers: np.ndarray  # [n, 2]
    heights: np.ndarray  # [n]
    lines: np.ndarray  # [n]
    begins: np.ndarray  # [n]


def _colors(draws: Draws, hard: float) -> tuple[tuple, tuple]:
    light, dark = (255, 255, 255), (0, 0, 0)
    if draws.chance(0.8 * hard):
        light = tuple(int(draws.uniform(205, 256)) for _ in range(3))
        light = (light[0],) * 3 if draws.chance(0.3) else light
    if draws.chance(0.7 * hard):
        dark = (int(draws.uniform(0, 90)),) * 3
        if draws.chance(0.4):
            dark = tuple(int(draws.uniform(0, 130)) for _ in range(3))
    return (dark, light) if draws.chance(0.12 * hard) else (light, dark)


PLAIN = ("deja", "deja-bold", "deja-serif", "typewriter")
SIZES, SIZE_WEIGHTS = (8, 9, 10, 11, 12, 13, 14), (2, 3, 3, 3, 3, 2, 1)


def sheet(draws: Draws, hard: float = 1.0, side: int = 240, plain: bool = False) -> Print:
    """A square full of text, its print mostly 8 to 14 pixels high, now and then larger.

    `plain` print keeps its colours, but has four fonts and whole sizes, sharp and straight.
    With `hard` near 0 nearly all is plain: black on white, 9 to 12 pixels, two fonts, straight.

    Its letters are those of pages: on the pixel grid or between, from the fonts of `data/fonts`.
    """
    ink = np.zeros((side, side), np.uint8)
    letters, centers, heights, lines, begins = [], [], [], [], []
    y, number = draws.uniform(-6, 6), 0
    font, size, crisp = draws.pick(("deja", "aileron")), 9 + draws.below(4), True
    while y < side:
        if number == 0 and draws.chance(hard) or draws.chance(0.25 * hard):  # another look
            font, crisp = draws.pick(PLAIN if plain else _fonts()), plain or draws.chance(0.5)
            size = 8 + draws.below(13) / 2 if draws.chance(0.9) else 14 + draws.below(18)
            size = draws.weighted(SIZES, SIZE_WEIGHTS) if plain else size
        if draws.chance(0.1):
            y += draws.uniform(0, 40)
        x = draws.uniform(-20, 12) if draws.chance(0.8) else draws.uniform(0, 200)
        top = round(y)
        baseline = top + round(fonts.ascent(font, size))
        while x < side:
            x = float(round(x)) if crisp else x  # as on a page
            for place, letter in enumerate(word(draws)):
                steps = round(x) * fonts.FINE if crisp else round(x * fonts.FINE)
                glyph, dx, dy = fonts.glyph(font, size, crisp, letter, steps % fonts.FINE)
                wide = fonts.advance(font, size, crisp, letter)
                gx, gy = steps // fonts.FINE + dx, baseline + dy
                x0, y0 = max(gx, 0), max(gy, 0)
                x1, y1 = min(gx + glyph.shape[1], side), min(gy + glyph.shape[0], side)
                if x1 > x0 and y1 > y0:
                    there = ink[y0:y1, x0:x1]
                    np.maximum(there, glyph[y0 - gy : y1 - gy, x0 - gx : x1 - gx], out=there)
                    letters.append(letter)
                    centers.append((x + wide / 2, baseline - 0.36 * size))  # as on a page
                    heights.append(size)
                    lines.append(number)
                    begins.append(place == 0)
                x += wide
            x += 0.3 * size * (1 if draws.chance(0.85) else draws.uniform(1, 12))
        bottom = top + round(1.25 * size)
        if draws.chance(0.06 * hard):  # white on a bar
            ink[max(top, 0) : max(bottom, 0)] = 255 - ink[max(top, 0) : max(bottom, 0)]
        y += size * draws.uniform(1.12, 1.7)
        number += 1
        if draws.chance(0.06 * hard) and 0 <= y < side:
            ink[int(y)] = 255
            y += 2
    xy, picture = np.array(centers, np.float32).reshape(-1, 2), Image.fromarray(ink)
    if not plain and draws.chance(0.3 * hard):
        angle = draws.uniform(-2.5, 2.5)
        picture = picture.rotate(angle, Image.Resampling.BILINEAR)
        a, middle = np.radians(angle), side / 2
        turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], np.float32)
        xy = (xy - middle) @ turn + middle
    if not plain and draws.chance(0.15 * hard):
        picture = picture.filter(ImageFilter.GaussianBlur(draws.uniform(0.2, 0.6)))
    return Print(
        picture,
        _colors(draws, hard),
        letters,
        xy.astype(np.float32),
        np.array(heights, np.float32),
        np.array(lines),
        np.array(begins),
    )
