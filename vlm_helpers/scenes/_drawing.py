"""Draws a scene with Pillow."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vlm_helpers.scenes.world import COLORS, PICTURE_SIZE, font_size

if TYPE_CHECKING:
    from vlm_helpers.scenes._scene import Scene

SIGN_FILL, SIGN_EDGE, SIGN_TEXT = (255, 250, 225), (90, 70, 50), (30, 25, 20)


@lru_cache(maxsize=64)
def _font(pixels: float) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(pixels)  # Pillow carries this font: no file to look for


def render(scene: Scene, size: int, supersample: int) -> Image.Image:
    side = size * supersample
    image = _background(scene.background, side)
    draw = ImageDraw.Draw(image)
    for thing in scene.objects:
        edge = tuple(int(0.72 * value) for value in COLORS[thing.color])
        outer = [(x * side, y * side) for x, y in thing.outline()]
        (cx, cy), inset = thing.center, 1 - 2.2 / (thing.radius * PICTURE_SIZE)
        cx, cy = cx * side, cy * side
        draw.polygon(outer, fill=edge)
        inner = [(cx + (x - cx) * inset, cy + (y - cy) * inset) for x, y in outer]
        draw.polygon(inner, fill=COLORS[thing.color])
    if scene.sign:
        scale = side / PICTURE_SIZE
        x0, y0, x1, y1 = (value * side for value in scene.sign.box)
        draw.rounded_rectangle(
            (x0, y0, x1, y1), 8 * scale, SIGN_FILL, SIGN_EDGE, max(1, round(3 * scale))
        )
        text, font = scene.sign.text, _font(font_size(scene.sign.text) * scale)
        draw.text(
            ((x0 + x1) / 2, (y0 + y1) / 2), text.upper(), SIGN_TEXT, font, anchor="mm",
            stroke_width=1.2 * scale,
        )  # fmt: skip
    return image.reduce(supersample) if supersample > 1 else image


def _background(background: tuple, side: int) -> Image.Image:
    corners, strength, angle = background
    y, x = np.mgrid[0:24, 0:24] / 23
    a, b, c = (np.array(corner) for corner in corners)
    color = a + x[..., None] * (b - a) + y[..., None] * (c - a)
    wave = np.sin(22 * (x * math.cos(angle) + y * math.sin(angle)))
    color = color + strength * wave[..., None]
    small = Image.fromarray(np.clip(color, 0, 255).astype(np.uint8))
    return small.resize((side, side), Image.Resampling.BILINEAR)
