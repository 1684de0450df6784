"""What a page is drawn on: it keeps every mark, draws them at any scale, and knows where they are.

Lengths are pixels of the page at its own size, x to the right and y down, as floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from vlm_helpers.pages import fonts

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Color = tuple[int, int, int]

FINE = 4  # shapes with slanted or round edges are drawn so many times larger first
BLACK: Color = (0, 0, 0)


@dataclass(frozen=True)
class Mark:
    """What stands somewhere, in pixels: becomes an `Element`. `line`: it is part of the page's
    text; `join`: it goes on with the line before, after this text; False: it begins a line."""

    role: str
    text: str
    name: str
    box: Box
    size: float
    line: bool
    join: str | bool


@dataclass(frozen=True)
class Text:
    """A run of characters. `x` and `y`: where the pen starts, on the baseline. `angle`: in degrees,
    counter-clockwise around `pivot`."""

    x: float
    y: float
    text: str
    font: str
    size: float
    color: Color
    angle: float
    pivot: Point
    advances: tuple[float, ...]


def turned(point: Point, pivot: Point, degrees: float) -> Point:
    """`point` after a turn around `pivot`, counter-clockwise as one sees it."""
    a = math.radians(degrees)
    dx, dy = point[0] - pivot[0], point[1] - pivot[1]
    cos, sin = math.cos(a), math.sin(a)
    return pivot[0] + cos * dx + sin * dy, pivot[1] - sin * dx + cos * dy


def turned_box(box: Box, pivot: Point, degrees: float) -> Box:
    """The tightest box around `box` after a turn."""
    if not degrees:
        return box
    x0, y0, x1, y1 = box
    corners = [turned(p, pivot, degrees) for p in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    xs, ys = zip(*corners)
    return min(xs), min(ys), max(xs), max(ys)


class Canvas:
    """An empty page of `width` × `height` pixels.

    Args:
        background: its colour.
        crisp: whether letters sit on the pixel grid, as on a plain screen, or anywhere, as in
            print.
    """

    def __init__(self, width: int, height: int, background: Color = (255, 255, 255), crisp=True):
        self.width, self.height, self.background, self.crisp = width, height, background, crisp
        self.marks: list[Mark] = []
        self.texts: list[Text] = []
        self._calls: list[tuple] = []

    # --- truth ------------------------------------------------------------------------------------

    def element(
        self, role: str, box: Box, text: str = "", name: str = "", *, size: float = 0,
        line: bool = False, join: str | bool = False,
    ) -> None:  # fmt: skip
        """States that something stands in `box`, without any ink."""
        self.marks.append(Mark(role, text, name, box, size, line, " " if join is True else join))

    # --- text -------------------------------------------------------------------------------------

    def text_width(self, text: str, font: str, size: float) -> float:
        """How wide `text` comes out here."""
        return fonts.width(text, font, _half(size), self.crisp)

    def text(
        self, x: float, y: float, text: str, font: str, size: float, color: Color = BLACK, *,
        anchor: str = "l", role: str = "text", name: str = "", line: bool = True,
        join: str | bool = False, angle: float = 0, pivot: Point | None = None, ink: bool = True,
    ) -> Box:  # fmt: skip
        """Prints one line.

        Args:
            x, y: its left end, middle or right end as `anchor` ("l", "m", "r") says; the height
                of the top of its tall letters.
            size: the size of the font, to half a pixel.
            role, name, line, join: as in `Mark`; True joins with a space.
            angle: degrees, counter-clockwise around `pivot`, by default (x, y).
            ink: False states a text that something else has drawn.
        Returns:
            The box of the text: from pen start to pen end, from tall to deep letters.
        """
        size = _half(size)
        advances = tuple(fonts.advance(font, size, self.crisp, c) for c in text)
        width = sum(advances)
        left = x - {"l": 0, "m": width / 2, "r": width}[anchor]
        baseline = y + fonts.ascent(font, size)
        if self.crisp and not angle:
            left, baseline = round(left), round(baseline)
        pivot = pivot or (x, y)
        run = Text(left, baseline, text, font, size, color, angle, pivot, advances)
        self.texts.append(run)
        if ink:
            self._calls.append(("_text", run))
        top, bottom = baseline - fonts.ascent(font, size), baseline + fonts.descent(font, size)
        box = turned_box((left, top, left + width, bottom), pivot, angle)
        self.element(role, box, text, name, size=size, line=line, join=join)
        return box

    # --- shapes -----------------------------------------------------------------------------------

    def rect(self, x0, y0, x1, y1, fill=None, outline=None, width=1, radius=0) -> None:
        """A rectangle, filled, outlined (inside its edge) or both; `radius` rounds its corners."""
        self._calls.append(("_rect", (x0, y0, x1, y1), fill, outline, width, radius))

    def ellipse(self, x0, y0, x1, y1, fill=None, outline=None, width=1) -> None:
        """The ellipse that fits into the box."""
        self._calls.append(("_ellipse", (x0, y0, x1, y1), fill, outline, width))

    def polygon(self, points: Iterable[Point], fill: Color) -> None:
        self._calls.append(("_polygon", tuple(points), fill))

    def line(self, points: Iterable[Point], color: Color = BLACK, width=1, dash=None) -> None:
        """A line through `points`; `dash` is the length of a dash and of a gap, in pixels."""
        points = tuple(points)
        for piece in [points] if dash is None else _dashes(points, dash):
            self._calls.append(("_line", piece, color, width))

    def arrow(self, points: Sequence[Point], color: Color = BLACK, width=1.5, head=6) -> None:
        """A line through `points` with an arrowhead of length `head` at its end."""
        *before, (x0, y0), (x1, y1) = points
        length = math.dist((x0, y0), (x1, y1)) or 1
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        bx, by = x1 - head * ux, y1 - head * uy
        self.line([*before, (x0, y0), (bx + ux, by + uy)], color, width)
        side = 0.45 * head
        self.polygon([(x1, y1), (bx - side * uy, by + side * ux), (bx + side * uy, by - side * ux)],
                     color)  # fmt: skip

    def picture(self, x, y, width, height, image) -> None:
        """Pastes an RGBA picture into the box; or a function (width, height) -> RGBA picture of
        that size, in pixels of the page as it is drawn."""
        self._calls.append(("_picture", (x, y, x + width, y + height), image))

    # --- drawing ----------------------------------------------------------------------------------

    def draw(self, scale: float = 1) -> Image.Image:
        """The page as an RGB picture, `scale` times its own size."""
        return _Painter(self, scale).paint(self._calls)


class _Painter:
    """Replays the calls of a canvas. Text waits in one mask until its colour changes or a shape
    comes, since a page has hundreds of letters and few colours."""

    def __init__(self, canvas: Canvas, scale: float):
        self.scale, self.crisp = scale, canvas.crisp
        size = (round(canvas.width * scale), round(canvas.height * scale))
        self.image = Image.new("RGB", size, canvas.background)
        self.pen = ImageDraw.Draw(self.image)
        self.waiting = np.zeros(size[::-1], np.uint8)
        self.rows = [size[1], 0]  # the part of the mask that has ink
        self.color: Color | None = None

    def paint(self, calls: list[tuple]) -> Image.Image:
        for name, *arguments in calls:
            if name != "_text":
                self._flush()
            getattr(self, name)(*arguments)
        self._flush()
        return self.image

    def _flush(self) -> None:
        if self.color is not None:
            top, bottom = self.rows
            if top < bottom:
                ink = self.waiting[top:bottom]
                self.image.paste(self.color, (0, top), Image.fromarray(ink))
                ink[:] = 0
            self.rows, self.color = [len(self.waiting), 0], None

    # --- text

    def _text(self, run: Text) -> None:
        if self.color not in (None, run.color):
            self._flush()
        self.color = run.color
        if run.angle:
            self._slanted(run)
        else:
            self._letters(run, self.waiting, run.x * self.scale, run.y * self.scale)
            reach = 1.3 * run.size * self.scale  # no glyph is taller
            self._inked(run.y * self.scale - reach, run.y * self.scale + reach)

    def _letters(self, run: Text, onto: np.ndarray, x: float, baseline: float) -> None:
        height, width = onto.shape
        size, fine, scale = run.size * self.scale, fonts.FINE, self.scale
        row = round(baseline)
        for character, advance in zip(run.text, run.advances):
            if character != " ":
                steps = round(x) * fine if self.crisp else round(x * fine)
                ink, left, top = fonts.glyph(run.font, size, self.crisp, character, steps % fine)
                x0, y0 = steps // fine + left, row + top
                x1, y1 = x0 + ink.shape[1], y0 + ink.shape[0]
                if x0 < 0 or y0 < 0 or x1 > width or y1 > height:  # cut off at the page's edge
                    ink = ink[max(0, -y0) : height - y0, max(0, -x0) : width - x0]
                    x0, y0 = max(0, x0), max(0, y0)
                    x1, y1 = x0 + ink.shape[1], y0 + ink.shape[0]
                    if not ink.size:
                        x += advance * scale
                        continue
                place = onto[y0:y1, x0:x1]
                np.maximum(place, ink, out=place)
            x += advance * scale

    def _slanted(self, run: Text) -> None:
        """A run at an angle: written straight on a square of its own, which is then turned."""
        reach = 4 + math.ceil(self.scale * max(
            math.dist(run.pivot, corner) for corner in (
                (run.x, run.y - run.size), (run.x + sum(run.advances), run.y - run.size),
                (run.x, run.y + run.size), (run.x + sum(run.advances), run.y + run.size),
            )
        ))  # fmt: skip
        square = np.zeros((2 * reach, 2 * reach), np.uint8)
        px, py = run.pivot[0] * self.scale, run.pivot[1] * self.scale
        dx, dy = round(px) - reach, round(py) - reach
        self._letters(run, square, run.x * self.scale - dx, run.y * self.scale - dy)
        straight = Image.fromarray(square)
        if run.angle % 90 == 0:
            flat = straight.rotate(run.angle)
        else:
            flat = straight.rotate(run.angle, Image.Resampling.BICUBIC)
        ink = np.asarray(flat)
        height, width = self.waiting.shape
        y0, y1 = max(0, dy), min(height, dy + 2 * reach)
        x0, x1 = max(0, dx), min(width, dx + 2 * reach)
        place = self.waiting[y0:y1, x0:x1]
        np.maximum(place, ink[y0 - dy : y1 - dy, x0 - dx : x1 - dx], out=place)
        self._inked(y0, y1)

    def _inked(self, top: float, bottom: float) -> None:
        self.rows = [min(self.rows[0], max(0, int(top))),
                     max(self.rows[1], min(len(self.waiting), int(bottom) + 1))]  # fmt: skip

    # --- shapes

    def _masked(self, box: Box, color: Color, draw) -> None:
        """Calls draw(pen, put, FINE × scale) on a mask of the box, drawn larger; pastes it.

        `put` takes a point of the page to the mask."""
        x0, y0 = math.floor(box[0] * self.scale) - 1, math.floor(box[1] * self.scale) - 1
        x1, y1 = math.ceil(box[2] * self.scale) + 1, math.ceil(box[3] * self.scale) + 1
        mask = Image.new("L", ((x1 - x0) * FINE, (y1 - y0) * FINE))
        unit = self.scale * FINE

        def put(x: float, y: float) -> Point:
            return x * unit - x0 * FINE, y * unit - y0 * FINE

        draw(ImageDraw.Draw(mask), put, unit)
        self.image.paste(color, (x0, y0), mask.reduce(FINE))

    def _rect(self, box: Box, fill, outline, width, radius) -> None:
        x0, y0, x1, y1 = (value * self.scale for value in box)
        if not radius:
            place = (round(x0), round(y0), round(x1) - 1, round(y1) - 1)
            if place[0] <= place[2] and place[1] <= place[3]:
                self.pen.rectangle(place, fill, outline, max(1, round(width * self.scale)))
            return

        def draw(pen, corners, inset, unit, *look):
            pen.rounded_rectangle(corners, max(0, radius - inset) * unit, *look)

        self._ringed(box, fill, outline, width, draw)

    def _ellipse(self, box: Box, fill, outline, width) -> None:
        def draw(pen, corners, inset, unit, *look):
            pen.ellipse(corners, *look)

        self._ringed(box, fill, outline, width, draw)

    def _ringed(self, box: Box, fill, outline, width, shape) -> None:
        """An outline, and what it encloses on top of it; `shape` draws either into a mask."""
        for color, inset in ((outline, 0), (fill, width if outline else 0)):
            if color is None:
                continue
            ring = color is outline and fill is None

            def draw(pen, put, unit, inset=inset, ring=ring):
                a, b = put(box[0] + inset, box[1] + inset), put(box[2] - inset, box[3] - inset)
                look = (None, 255, round(width * unit)) if ring else (255, 255, 0)
                shape(pen, (*a, b[0] - 1, b[1] - 1), inset, unit, *look)

            self._masked(box, color, draw)

    def _polygon(self, points, fill) -> None:
        xs, ys = zip(*points)
        box = (min(xs), min(ys), max(xs), max(ys))
        self._masked(box, fill, lambda pen, put, _: pen.polygon([put(*p) for p in points], 255))

    def _line(self, points, color, width) -> None:
        xs, ys = zip(*points)
        thick = max(1, round(width * self.scale))
        if len(points) == 2 and (xs[0] == xs[1] or ys[0] == ys[1]):  # along the pixel grid
            x0, y0 = round(min(xs) * self.scale), round(min(ys) * self.scale)
            x1, y1 = round(max(xs) * self.scale), round(max(ys) * self.scale)
            if xs[0] == xs[1]:
                x0 = round(xs[0] * self.scale - thick / 2)
                x1 = x0 + thick
            else:
                y0 = round(ys[0] * self.scale - thick / 2)
                y1 = y0 + thick
            if x1 > x0 and y1 > y0:
                self.pen.rectangle((x0, y0, x1 - 1, y1 - 1), color)
            return
        box = (min(xs) - width, min(ys) - width, max(xs) + width, max(ys) + width)
        self._masked(box, color, lambda pen, put, unit: pen.line(
            [put(*p) for p in points], 255, max(FINE, round(width * unit)), joint="curve"
        ))  # fmt: skip

    def _picture(self, box: Box, image) -> None:
        x0, y0, x1, y1 = (round(value * self.scale) for value in box)
        size = (x1 - x0, y1 - y0)
        if callable(image):
            image = image(*size)
        elif image.size != size:
            image = image.resize(size, Image.Resampling.LANCZOS)
        self.image.paste(image, (x0, y0), image)


def _half(size: float) -> float:
    return round(2 * size) / 2


def _dashes(points: Sequence[Point], length: float) -> list[tuple[Point, Point]]:
    pieces = []
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        whole = math.dist((x0, y0), (x1, y1))
        for i in range(math.ceil(whole / (2 * length))):
            a, b = 2 * i * length / whole, min(1.0, (2 * i + 1) * length / whole)
            pieces.append((
                (x0 + a * (x1 - x0), y0 + a * (y1 - y0)), (x0 + b * (x1 - x0), y0 + b * (y1 - y0))
            ))  # fmt: skip
    return pieces
