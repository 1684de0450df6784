"""What happens to a paper page: light, a fold, a slight turn, the noise of a camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from vlm_helpers._draws import Draws

TILE = 640  # side of the noise that all pictures are cut from


@dataclass(frozen=True)
class Wear:
    """
    Attributes:
        turn: degrees, counter-clockwise around the middle of the page.
        noise: standard deviation of the noise, of 255, and where it is cut from.
        fold: (True for a horizontal fold, its place as a fraction, its darkness), or None.
        shade: how much darker the far side is, of 1, along x and along y.
        desk: the colour that shows in the corners of a turned page.
    """

    turn: float = 0.0
    noise: tuple[float, int, int] = (0.0, 0, 0)
    fold: tuple[bool, float, float] | None = None
    shade: tuple[float, float] = (0.0, 0.0)
    desk: tuple[int, int, int] = (120, 104, 88)


CLEAN = Wear()


def drawn(draws: Draws) -> Wear:
    """About half of the pages are as good as new."""
    worn = draws.chance(0.5)
    turn = draws.uniform(-1.6, 1.6) * draws.chance(0.5)
    noise = draws.uniform(1, 6), draws.below(TILE), draws.below(TILE)
    fold = draws.chance(0.5), draws.uniform(0.25, 0.75), draws.uniform(0.06, 0.22)
    shade = draws.uniform(-0.16, 0.16), draws.uniform(-0.16, 0.16)
    desk = draws.pick(((120, 104, 88), (70, 74, 80), (150, 150, 146), (60, 48, 40)))
    with_fold = draws.chance(0.35)
    return Wear(turn, noise, fold if with_fold else None, shade, desk) if worn else CLEAN


@cache
def _noise() -> np.ndarray:
    # RandomState is the generator of numpy whose stream never changes.
    one = np.random.RandomState(0).normal(size=(TILE, TILE, 3)).astype(np.float32)
    return np.tile(one, (2, 2, 1))


def apply(image: Image.Image, wear: Wear) -> Image.Image:
    if wear is CLEAN:
        return image
    if wear.turn:
        image = image.rotate(wear.turn, Image.Resampling.BILINEAR, fillcolor=wear.desk)
    pixels = np.asarray(image).astype(np.float32)
    height, width = pixels.shape[:2]
    across = np.linspace(0, 1, width, dtype=np.float32)
    down = np.linspace(0, 1, height, dtype=np.float32)
    light_x, light_y = (
        1 - abs(shade) * (along if shade > 0 else 1 - along)
        for shade, along in zip(wear.shade, (across, down))
    )
    if wear.fold:
        horizontal, place, depth = wear.fold
        along = down if horizontal else across
        distance = (along - place) * 288 / 6  # in sixths of a small page's crease
        crease = 1 - depth * np.exp(-np.abs(distance)) * (1 + 0.6 * np.tanh(8 * distance)) / 1.6
        if horizontal:
            light_y = light_y * crease
        else:
            light_x = light_x * crease
    pixels *= np.outer(light_y, light_x)[..., None]
    strength, x, y = wear.noise
    tile = _noise()
    if height <= TILE and width <= TILE:
        pixels += strength * tile[y : y + height, x : x + width]
    else:
        pixels += strength * np.resize(tile, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))
