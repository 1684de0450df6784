"""What is painted behind things: ground, sky, walls and tables, softly, and nothing with a name."""

from __future__ import annotations

import math

from vlm_helpers._draws import Draws
from vlm_helpers.pages._canvas import Canvas, Color


class _Painter:
    """Paints onto a canvas in colours that no two pictures share.

    Args:
        tint: the colour towards which everything leans, and how far, from 0 to 1.
    """

    def __init__(self, canvas: Canvas, draws: Draws, tint: tuple[Color, float]):
        self.canvas, self.draws, self.tint = canvas, draws, tint
        self.width, self.height = canvas.width, canvas.height
        self.shift = [draws.uniform(-12, 12) for _ in range(3)]

    def color(self, color: Color, lighter: float = 0) -> Color:
        toward, share = self.tint
        return tuple(
            max(0, min(255, round((1 - share) * (c + s + lighter) + share * t)))
            for c, s, t in zip(color, self.shift, toward)
        )

    def fade(self, y0: float, y1: float, top: Color, bottom: Color, bands: int = 12) -> None:
        """From one colour to another, downwards."""
        for i in range(bands):
            part = i / (bands - 1)
            mixed = tuple(a + part * (b - a) for a, b in zip(top, bottom))
            y, next_y = (y0 + (y1 - y0) * k / bands for k in (i, i + 1))
            self.canvas.rect(0, y, self.width, next_y, self.color(mixed))

    def hills(self, y: float, color: Color, rise: float, waves: float) -> None:
        """Ground from a wavy line around `y` down to the bottom of the hills."""
        start = self.draws.uniform(0, 7)
        xs = [self.width * i / 24 for i in range(25)]
        tops = [(x, y - rise * math.sin(start + waves * x / self.width)) for x in xs]
        self.canvas.polygon(
            [*tops, (self.width, y + rise + 2), (0, y + rise + 2)], self.color(color)
        )

    def tiles(self, y0: float, y1: float, color: Color, side: float, joint: float = -18) -> None:
        self.canvas.rect(0, y0, self.width, y1, self.color(color))
        lines = self.color(color, joint)
        x, y = self.draws.uniform(0, side), y1 - side
        while x < self.width:
            self.canvas.line([(x, y0), (x, y1)], lines, 1)
            x += side
        while y > y0:
            self.canvas.line([(0, y), (self.width, y)], lines, 1)
            y -= side

    def boards(self, y0: float, y1: float, color: Color, across: bool, size: float) -> None:
        """Wood: boards that lie across the picture, or stand upright."""
        ends = (y0, y1) if across else (0, self.width)
        at = ends[0]
        while at < ends[1]:
            shade = self.color(color, self.draws.uniform(-9, 9))
            end = min(ends[1], at + size)
            box = (0, at, self.width, end) if across else (at, y0, end, y1)
            self.canvas.rect(*box, shade)
            edge = [(0, at), (self.width, at)] if across else [(at, y0), (at, y1)]
            self.canvas.line(edge, self.color(color, -30), 1)
            at = end

    def table(self, y: float, color: Color) -> None:
        """A surface from `y` down, with its far edge in the light."""
        self.fade(y, self.height, color, tuple(c - 26 for c in color))
        self.canvas.rect(0, y, self.width, y + 2, self.color(color, 22))

    # --- the settings: each paints all over, and says how far down the ground begins ------------

    def kitchen(self) -> float:
        y = self.height * self.draws.uniform(0.34, 0.44)
        wall = self.draws.pick(((176, 208, 204), (206, 200, 172), (186, 202, 222)))
        self.tiles(0, y, wall, self.draws.uniform(15, 24))
        self.table(y, self.draws.pick(((178, 132, 92), (150, 112, 84), (168, 156, 146))))
        return y

    def meadow(self) -> float:
        y = self.height * self.draws.uniform(0.34, 0.44)
        self.fade(0, y + 8, (132, 184, 228), (196, 220, 232))
        self.hills(y, (134, 176, 110), 7, self.draws.uniform(4, 9))
        self.fade(y + 7, self.height, (140, 182, 98), (108, 158, 78))
        return y + 4

    def street(self) -> float:
        y = self.height * self.draws.uniform(0.32, 0.4)
        self.fade(0, y, (150, 188, 220), (208, 216, 220))
        curb = y + 0.13 * self.height
        self.canvas.rect(0, y, self.width, curb, self.color((176, 172, 166)))
        self.canvas.rect(0, curb, self.width, curb + 3, self.color((206, 203, 198)))
        self.fade(curb + 3, self.height, (124, 126, 132), (104, 106, 114))
        middle = curb + (self.height - curb) * 0.55
        for x in range(-10, self.width, 36):
            self.canvas.rect(x, middle, x + 20, middle + 3, self.color((214, 208, 180)))
        return y + 4

    def beach(self) -> float:
        y = self.height * self.draws.uniform(0.24, 0.32)
        self.fade(0, y, (126, 188, 232), (196, 226, 236))
        self.fade(y, y + 0.16 * self.height + 4, (70, 150, 190), (122, 190, 204))
        self.hills(y + 0.16 * self.height, (232, 212, 166), 3, self.draws.uniform(6, 12))
        self.fade(y + 0.16 * self.height + 3, self.height, (230, 208, 158), (214, 186, 132))
        return y + 0.12 * self.height

    def desk(self) -> float:
        y = self.height * self.draws.uniform(0.26, 0.36)
        wall = self.draws.pick(((190, 198, 200), (204, 192, 178), (176, 190, 178)))
        self.fade(0, y, wall, tuple(c + 12 for c in wall))
        self.table(y, self.draws.pick(((206, 176, 134), (164, 124, 92), (148, 152, 158))))
        return y

    def garden(self) -> float:
        y = self.height * self.draws.uniform(0.36, 0.46)
        self.fade(0, y, (158, 204, 230), (212, 228, 214))
        self.hills(y - 10, (104, 152, 92), 4, self.draws.uniform(18, 34))
        self.fade(y - 7, self.height, (150, 190, 104), (124, 168, 84))
        return y - 4

    def planks(self) -> float:
        y = self.height * self.draws.uniform(0.5, 0.6)
        self.boards(0, y, (172, 138, 100), False, self.draws.uniform(20, 30))
        self.table(y, self.draws.pick(((132, 98, 70), (120, 118, 116))))
        return y

    def party(self) -> float:
        y = self.height * self.draws.uniform(0.4, 0.5)
        wall = self.draws.pick(((238, 198, 206), (196, 214, 240), (244, 222, 170), (204, 232, 208)))
        self.fade(0, y, wall, tuple(c - 14 for c in wall))
        for _ in range(26):  # confetti
            x, top = self.draws.uniform(0, self.width), self.draws.uniform(0, y - 4)
            dot = self.draws.pick(((222, 96, 110), (92, 148, 210), (240, 190, 80), (110, 180, 120)))
            self.canvas.rect(x, top, x + 3, top + 3, self.color(dot, 24))
        self.table(y, self.draws.pick(((204, 136, 148), (136, 164, 204), (190, 158, 120))))
        return y

    def snow(self) -> float:
        y = self.height * self.draws.uniform(0.34, 0.44)
        self.fade(0, y + 8, (134, 164, 204), (186, 206, 228))
        self.hills(y, (206, 218, 234), 8, self.draws.uniform(4, 8))
        self.fade(y + 8, self.height, (206, 218, 234), (178, 194, 220))
        return y + 4

    def water(self) -> float:
        self.fade(0, self.height, (96, 178, 214), (30, 92, 150), 20)
        bottom = self.height * self.draws.uniform(0.84, 0.9)
        self.hills(bottom, (150, 148, 130), 5, self.draws.uniform(5, 9))
        self.canvas.rect(0, bottom + 5, self.width, self.height, self.color((144, 142, 124)))
        return 0

    def savanna(self) -> float:
        y = self.height * self.draws.uniform(0.32, 0.42)
        self.fade(0, y + 4, (240, 186, 112), (248, 222, 164))
        self.hills(y, (196, 160, 92), 4, self.draws.uniform(3, 7))
        self.fade(y + 4, self.height, (208, 174, 100), (182, 144, 78))
        return y + 2

    def forest(self) -> float:
        y = self.height * self.draws.uniform(0.42, 0.52)
        self.fade(0, y + 5, (120, 158, 130), (164, 188, 150))
        x = self.draws.uniform(-8, 8)
        while x < self.width:  # shade between trunks that are out of sight
            wide = self.draws.uniform(8, 18)
            self.canvas.rect(x, 0, x + wide, y + 5, self.color((118, 144, 118)))
            x += wide + self.draws.uniform(14, 34)
        self.hills(y, (112, 136, 84), 4, self.draws.uniform(6, 14))
        self.fade(y + 4, self.height, (118, 138, 86), (96, 108, 66))
        return y + 2

    def bathroom(self) -> float:
        y = self.height * self.draws.uniform(0.5, 0.6)
        wall = self.draws.pick(((150, 194, 210), (166, 200, 186), (206, 176, 180)))
        self.tiles(0, y, wall, self.draws.uniform(18, 26), 22)
        self.tiles(y, self.height, tuple(c - 44 for c in wall), self.draws.uniform(28, 40), -16)
        return y

    def room(self) -> float:
        y = self.height * self.draws.uniform(0.52, 0.62)
        wall = self.draws.pick(((214, 190, 160), (170, 190, 182), (182, 176, 204)))
        self.canvas.rect(0, 0, self.width, y, self.color(wall))
        for x in range(0, self.width, 24):
            self.canvas.rect(x, 0, x + 12, y, self.color(wall, -7))
        self.canvas.rect(0, y - 4, self.width, y, self.color(wall, 26))
        self.boards(y, self.height, (160, 118, 82), True, self.draws.uniform(13, 18))
        return y

    def stage(self) -> float:
        y = self.height * self.draws.uniform(0.54, 0.64)
        cloth = self.draws.pick(((136, 44, 56), (72, 52, 112), (36, 84, 92)))
        for x in range(0, self.width, 8):
            self.canvas.rect(x, 0, x + 8, y, self.color(cloth, 16 * math.sin(x / 7)))
        self.boards(y, self.height, (176, 132, 88), True, self.draws.uniform(12, 16))
        return y

    def field(self) -> float:
        y = self.height * self.draws.uniform(0.28, 0.38)
        self.fade(0, y, (140, 190, 230), (204, 222, 230))
        step = (self.height - y) / 6
        for i in range(6):
            green = (116, 172, 92) if i % 2 else (104, 160, 82)
            self.canvas.rect(0, y + i * step, self.width, y + (i + 1) * step, self.color(green))
        line = y + step * self.draws.uniform(1.5, 4.5)
        self.canvas.line([(0, line), (self.width, line)], self.color((224, 234, 220)), 3)
        return y + 2

    def cloth(self) -> float:
        self.canvas.rect(0, 0, self.width, self.height, self.color((132, 176, 96)))
        first = self.draws.pick(((206, 92, 92), (92, 132, 192), (214, 170, 84)))
        side, edge = self.draws.uniform(20, 28), self.draws.uniform(4, 12)
        pale, dark = (tuple(c + k * (236 - c) for c in first) for k in (0.75, 0.4))
        right, bottom = self.width - edge, self.height - edge
        self.canvas.rect(edge, edge, right, bottom, self.color(pale))
        for i in range(int((right - edge) // side) + 1):
            for j in range(int((bottom - edge) // side) + 1):
                if (i + j) % 2:
                    x, y = edge + i * side, edge + j * side
                    box = (x, y, min(right, x + side), min(bottom, y + side))
                    self.canvas.rect(*box, self.color(dark))
        return 0

    def plain(self) -> float:
        grey = self.draws.uniform(140, 214)
        color = tuple(grey + self.draws.uniform(-26, 26) for _ in range(3))
        self.fade(0, self.height, color, tuple(c + self.draws.uniform(-30, 20) for c in color))
        return 0


# The light of the split of unseen styles: dusk, lamplight, moss, and hardly any colour.
TINTS = (
    ((150, 90, 150), 0.4),
    ((236, 150, 90), 0.4),
    ((90, 130, 110), 0.45),
    ((150, 150, 150), 0.6),
)


def paint(canvas: Canvas, setting: str, draws: Draws, unseen: bool) -> float:
    """Paints a setting, such as "kitchen" or "plain", all over the canvas.

    Returns:
        How far down the ground begins, in pixels; 0 where there is no above and below.
    """
    tint = draws.pick(TINTS) if unseen else ((0, 0, 0), 0.0)
    return getattr(_Painter(canvas, draws, tint), setting)()
