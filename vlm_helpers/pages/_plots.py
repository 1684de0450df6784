"""Draws charts with Pillow, so that what is true of them and their pixels agree."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from vlm_helpers._draws import Draws
from vlm_helpers._words import did_you_mean
from vlm_helpers.pages import fonts
from vlm_helpers.pages._canvas import Canvas, Color
from vlm_helpers.pages._kind import UNSEEN

# Each colour in a few shades; the first is the plainest.
COLORS: dict[str, tuple[Color, ...]] = {
    "blue": ((31, 119, 180), (52, 101, 204), (70, 130, 220)),
    "orange": ((245, 130, 30), (230, 120, 50), (250, 150, 60)),
    "green": ((44, 150, 60), (70, 170, 90), (30, 130, 80)),
    "red": ((214, 39, 40), (200, 50, 70), (225, 70, 60)),
    "purple": ((128, 62, 168), (148, 103, 189), (140, 70, 190)),
    "brown": ((130, 80, 50), (150, 100, 70), (110, 70, 45)),
    "pink": ((240, 130, 190), (245, 160, 195), (230, 110, 170)),
    "gray": ((127, 127, 127), (150, 150, 155), (110, 112, 118)),
    "yellow": ((245, 205, 40), (250, 215, 80), (235, 195, 30)),
    "black": ((40, 40, 44), (20, 20, 24), (55, 55, 62)),
    "teal": ((20, 160, 160), (60, 180, 175), (10, 140, 150)),
}
PAGES = ((288, 192), (288, 192), (192, 192), (288, 288), (384, 192), (192, 288))


@dataclass(frozen=True)
class Look:
    """How charts of one page look, apart from what they show."""

    font: str
    size: float
    crisp: bool
    paper: Color
    plot: Color | None
    ink: Color
    grid: Color | None
    dash: int | None
    frame: str
    legend: str
    shade: int
    printed: bool
    turn: int

    def color(self, name: str) -> Color:
        if name not in COLORS:
            raise ValueError(f"There is no color {name!r} for charts; {did_you_mean(name, COLORS)}")
        return COLORS[name][self.shade]


def look(draws: Draws, split: str, colors) -> Look:
    dark = draws.chance(0.12) and not {"black", "brown"} & set(colors)  # they would vanish
    paper = draws.weighted(((255, 255, 255), (248, 249, 251), (253, 250, 243)), (6, 2, 1))
    plot = draws.weighted((None, (238, 240, 244), (250, 250, 250)), (5, 2, 1))
    ink = draws.pick(((20, 20, 20), (50, 50, 56), (80, 80, 88)))
    grid = draws.weighted((None, (215, 215, 220), (190, 190, 196)), (2, 4, 1))
    if dark:
        paper, plot, ink, grid = (32, 36, 46), None, (225, 228, 235), (70, 76, 90)
    elif plot and grid:
        grid = (255, 255, 255) if sum(plot) < 735 else grid
    return Look(
        font=fonts.pick(draws, split, "sans", "sans", "serif"),
        size=draws.weighted((7.5, 8.5, 9.5, 10.5), (2, 4, 4, 1)),
        crisp=draws.chance(0.6),
        paper=paper, plot=plot, ink=ink, grid=grid,
        dash=draws.weighted((None, 2), (3, 1)),
        frame=draws.pick(("L", "L", "box", "bottom")),
        legend=draws.pick(("top", "right", "bottom")),
        shade=draws.below(3),
        printed=draws.chance(0.35),
        turn=draws.below(360),
    )  # fmt: skip


# --- axes -----------------------------------------------------------------------------------------


def ticks(least: float, most: float, wanted: int = 5) -> list[float]:
    """Round numbers from `least` or below to `most` or above, about `wanted` of them."""
    raw = (most - least) / (wanted - 1)
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(i * step, 6) for i in range(first, last + 1)]


def _number(text: str, form: str, such: str) -> float:
    if not re.fullmatch(form, text, re.ASCII):
        raise ValueError(f"A chart draws numbers only, such as {such}, not {text!r}.")
    return float(text.rstrip("%"))


def values_of(fields: dict) -> list[list[float]]:
    form = r"-?(0|[1-9]\d{,14})(\.\d+)?"  # as JSON has them: questions ask for it
    return [[_number(text, form, "12 or 0.5") for text in series["values"]]
            for series in fields["series"]]  # fmt: skip


@dataclass
class Frame:
    """The plot of a chart with axes, in pixels, and where values and labels are in it."""

    x0: float
    y0: float
    x1: float
    y1: float
    low: float
    high: float
    flat: bool  # bars that lie: values to the right, labels downwards

    def along(self, value: float) -> float:
        """Where a value stands on the axis of values."""
        share = (value - self.low) / (self.high - self.low)
        return (
            self.x0 + share * (self.x1 - self.x0)
            if self.flat
            else (self.y1 - share * (self.y1 - self.y0))
        )

    def slot(self, i: int, n: int) -> tuple[float, float]:
        """From where to where the i-th of n labels has its place."""
        start, end = (self.y0, self.y1) if self.flat else (self.x0, self.x1)
        return start + (end - start) * i / n, start + (end - start) * (i + 1) / n


class _Pen:
    """A canvas with the look of its chart."""

    def __init__(self, page: tuple[int, int], style: Look, size: float):
        self.canvas = Canvas(*page, style.paper, style.crisp)
        self.style, self.size = style, size

    def wide(self, text: str, scale: float = 1, bold: bool = False) -> float:
        font = fonts.bold(self.style.font) if bold else self.style.font
        return self.canvas.text_width(text, font, scale * self.size)

    def text(self, x, y, text, scale=1, bold=False, color=None, **more):
        font = fonts.bold(self.style.font) if bold else self.style.font
        return self.canvas.text(
            x, y, text, font, scale * self.size, color or self.style.ink, **more
        )


def _legend_size(pen: _Pen, names: list[str], place: str) -> tuple[float, float]:
    widths = [pen.wide(name) + 1.9 * pen.size for name in names]
    if place == "right":
        return max(widths) + 2, 1.4 * pen.size * len(names)
    return sum(widths), 1.5 * pen.size


def _legend(pen: _Pen, names, colors, place: str, x: float, y: float, mark) -> None:
    """Writes the names, each behind a sample of its colour; `mark` draws the sample."""
    size = pen.size
    for i, (name, color) in enumerate(zip(names, colors)):
        mark(pen.canvas, round(x), round(y + 0.02 * size), round(0.75 * size), color)
        end = pen.text(x + 1.1 * size, y, name, role="legend", name=f"series.{i}.name",
                       join=bool(i) and place != "right")[2]  # fmt: skip
        if place == "right":
            y += 1.4 * size
        else:
            x = end + 0.8 * size


def _square(canvas: Canvas, x: float, y: float, side: float, color: Color) -> None:
    canvas.rect(x, y, x + side, y + side, color)


def _dash(canvas: Canvas, x: float, y: float, side: float, color: Color) -> None:
    canvas.line([(x, y + side / 2), (x + side + 2, y + side / 2)], color, 2)


def _framed(fields: dict, draws: Draws, split: str, flat_share: float, from_zero: bool):
    """Title, axes, labels and legend; returns what the marks are to be drawn with."""
    style = look(draws, split, [series["color"] for series in fields["series"]])
    order = draws.shuffled(PAGES)
    values = values_of(fields)
    names = [series["name"] for series in fields["series"]]
    colors = [style.color(series["color"]) for series in fields["series"]]
    flat = draws.chance(flat_share)
    everything = [value for column in values for value in column]
    most, least = max(0.0, *everything), min(0.0, *everything)
    if not from_zero and min(everything) > 0.4 * most:
        least = min(everything) - 0.1 * (most - min(everything))
    if most == least:
        most = least + 1
    scale = ticks(least, most, draws.pick((4, 5, 6)))
    shown = [f"{value:g}" for value in scale]
    places = [style.legend, "top", "right", "bottom"] if len(names) > 1 else [""]
    vertical_title = draws.chance(0.6)
    mark = _square if from_zero else _dash
    for size in [style.size - 0.5 * i for i in range(7)]:
        for lying in dict.fromkeys((flat, False, True) if flat_share else (False,)):
            for page in order:
                for place in dict.fromkeys(places):
                    plan = _plan(fields, style, page, size, lying, place, shown, vertical_title)
                    if plan:
                        pen, frame, spots = plan
                        frame.low, frame.high = scale[0], scale[-1]
                        _axes(fields, pen, frame, scale, shown, vertical_title, spots)
                        at = spots.get("legend")
                        legend = place and (pen, names, colors, place, *at, mark)
                        return pen, frame, values, colors, legend
    raise ValueError("This chart has too much text for a page: shorten its labels.")


def _plan(fields, style, page, size, lying, place, shown, vertical_title):
    """Where title, axes and legend go on a page, or None where they leave too little room."""
    pen = _Pen(page, style, size)
    labels = fields["labels"]
    width, height = page
    x0, y0, x1, y1 = 6.0, 6.0, width - 8.0, height - 6.0
    spots: dict = {}
    if "title" in fields:
        if pen.wide(fields["title"], 1.2, True) > width - 12:
            return None
        spots["title"] = y0
        y0 += 1.75 * size
    names = [series["name"] for series in fields["series"]]
    if place:
        wide, high = _legend_size(pen, names, place)
        if place == "right":
            x1 -= wide + 4
        if place == "top":
            spots["legend"] = (max(6.0, (width - wide) / 2), y0)
            y0 += high
        if place == "bottom":
            y1 -= high
            spots["legend"] = (max(6.0, (width - wide) / 2), y1 + 0.4 * size)
        if wide > width - 12:
            return None
    below, beside = fields.get("x"), fields.get("y")
    if lying:
        below, beside = beside, below
    rows, columns = (labels, shown) if lying else (shown, labels)
    y0 += 0.6 * size
    if beside and not vertical_title:
        spots["beside"] = y0 - 0.4 * size
        y0 += 1.2 * size
    elif beside:
        if pen.wide(beside) > y1 - y0:
            return None
        spots["beside"] = x0
        x0 += 1.4 * size
    x0 += max(pen.wide(text) for text in rows) + 5
    if below:
        spots["below"] = y1 - 1.0 * size
        y1 -= 1.4 * size
    y1 -= 1.35 * size
    if not lying:
        x1 -= 2
    else:
        x1 -= pen.wide(columns[-1]) / 2
    across, down = x1 - x0, y1 - y0
    slot = across / (len(columns) if not lying else len(columns) - 1)
    step = down / (len(rows) if lying else len(rows) - 1)
    if across < 84 or down < 70 or max(pen.wide(text) for text in columns) > slot - 0.4 * size:
        return None
    if step < 1.35 * size:
        return None
    thick = (down if lying else across) / (len(labels) * (len(names) + 0.5))
    if thick < 4.5:
        return None
    if place == "right":
        spots["legend"] = (x1 + 8, y0 + 2)
        if 1.4 * size * len(names) > down:
            return None
    spots["columns"] = y1 + 0.4 * size
    return pen, Frame(round(x0), round(y0), round(x1), round(y1), 0, 1, lying), spots


def _axes(fields, pen: _Pen, frame: Frame, scale, shown, vertical_title, spots) -> None:
    canvas, style, size = pen.canvas, pen.style, pen.size
    if "title" in spots:
        pen.text(canvas.width / 2, spots["title"], fields["title"], 1.2, True, anchor="m",
                 role="title", name="title")  # fmt: skip
    if style.plot:
        canvas.rect(frame.x0, frame.y0, frame.x1, frame.y1, style.plot)
    spot = {value: round(frame.along(value)) for value in scale}
    if style.grid:
        for at in spot.values():
            ends = (
                [(at, frame.y0), (at, frame.y1)] if frame.flat else [(frame.x0, at), (frame.x1, at)]
            )
            canvas.line(ends, style.grid, dash=style.dash)
    names = fields["labels"]
    below, beside = fields.get("x"), fields.get("y")
    if frame.flat:
        below, beside = beside, below
    if beside and vertical_title:
        middle = (frame.y0 + frame.y1) / 2
        x = spots["beside"] + 0.5 * size
        pen.text(x, middle - 0.4 * size, beside, anchor="m", angle=90, pivot=(x, middle),
                 role="axis", name="x" if frame.flat else "y")  # fmt: skip
    elif beside:
        pen.text(6, spots["beside"], beside, role="axis", name="x" if frame.flat else "y")
    middles = [sum(frame.slot(i, len(names))) / 2 for i in range(len(names))]
    numbers = list(zip(spot.values(), shown, [""] * len(shown)))
    words = list(zip(middles, names, [f"labels.{i}" for i in range(len(names))]))
    rows, columns = (words, numbers) if frame.flat else (numbers[::-1], words)
    for i, (at, text, name) in enumerate(rows):
        pen.text(frame.x0 - 4, at - 0.36 * size, text, anchor="r", role="label" if name else "tick",
                 name=name, join=i > 0 and not name)  # fmt: skip
    for i, (at, text, name) in enumerate(columns):
        pen.text(at, spots["columns"], text, anchor="m", role="label" if name else "tick",
                 name=name, join=i > 0)  # fmt: skip
    if below:
        pen.text((frame.x0 + frame.x1) / 2, spots["below"], below, anchor="m", role="axis",
                 name="y" if frame.flat else "x")  # fmt: skip


def _finish(pen: _Pen, frame: Frame, legend) -> Canvas:
    """The lines of the axes, above bars and grid, and the legend."""
    canvas, color = pen.canvas, pen.style.ink
    x0, y0, x1, y1 = frame.x0, frame.y0, frame.x1, frame.y1
    if pen.style.frame == "box":
        canvas.rect(x0, y0, x1 + 1, y1 + 1, outline=color)
    else:
        if pen.style.frame == "L" or not frame.flat:
            canvas.line([(x0, y1), (x1, y1)], color)
        if pen.style.frame == "L" or frame.flat:
            canvas.line([(x0, y0), (x0, y1)], color)
    if legend:
        _legend(*legend)
    return canvas


# --- the three kinds ------------------------------------------------------------------------------


def bars(fields: dict, draws: Draws, split: str) -> Canvas:
    if split == UNSEEN:
        from vlm_helpers.pages import _matplotlib

        return _matplotlib.draw("bars", fields, draws)
    thickness = draws.uniform(0.5, 0.85)
    pen, frame, values, colors, legend = _framed(fields, draws, split, 0.25, from_zero=True)
    canvas = pen.canvas
    n, base = len(fields["labels"]), frame.along(0)
    for s, (column, color) in enumerate(zip(values, colors)):
        for i, value in enumerate(column):
            start, end = frame.slot(i, n)
            room = (end - start) * thickness / len(values)
            a = (start + end) / 2 - room * len(values) / 2 + s * room
            a, b = round(a), round(a + room)
            tip = frame.along(value)
            low, high = sorted((round(base), round(tip)))
            high = max(high, low + 1)
            box = (low, a, high, b) if frame.flat else (a, low, b, high)
            canvas.rect(*box, color)
            canvas.element("bar", box, name=f"series.{s}.values.{i}")
    _print_values(pen, frame, fields, values, thickness)
    return _finish(pen, frame, legend)


def _print_values(pen: _Pen, frame: Frame, fields: dict, values, thickness: float) -> None:
    """Prints the values at the ends of the bars, if the look has it and there is room."""
    style, size = pen.style, 0.9 * pen.size
    texts = [series["values"] for series in fields["series"]]
    n = len(fields["labels"])
    slot = (frame.slot(0, n)[1] - frame.slot(0, n)[0]) * thickness / len(values)
    need = 1.1 * size if frame.flat else max(pen.wide(t, 0.9) for row in texts for t in row) + 2
    if not style.printed or need > slot / (thickness if len(values) == 1 else 1):
        return
    for s, column in enumerate(values):
        for i, value in enumerate(column):
            start, end = frame.slot(i, n)
            room = (end - start) * thickness / len(values)
            middle = (start + end) / 2 - room * (len(values) - 1) / 2 + s * room
            tip = frame.along(value)
            if frame.flat:
                wide = pen.wide(texts[s][i], 0.9)
                left = tip + 3 if tip + 4 + wide < pen.canvas.width - 2 else tip - 3 - wide
                inside = left < tip
                pen.text(left, middle - 0.36 * size, texts[s][i], 0.9, role="value", line=False,
                         color=_on(style, fields, s) if inside else None)  # fmt: skip
            else:
                top = tip - 1.0 * size
                inside = top < frame.y0 - 1
                pen.text(middle, tip + 3 if inside else top, texts[s][i], 0.9, anchor="m",
                         role="value", line=False,
                         color=_on(style, fields, s) if inside else None)  # fmt: skip


def _on(style: Look, fields: dict, s: int) -> Color:
    """Black or white, whichever is read better on the colour of a series."""
    return readable(style.color(fields["series"][s]["color"]))


def readable(color: Color) -> Color:
    r, g, b = color
    return (20, 20, 20) if 0.3 * r + 0.59 * g + 0.11 * b > 140 else (255, 255, 255)


def lines(fields: dict, draws: Draws, split: str) -> Canvas:
    if split == UNSEEN:
        from vlm_helpers.pages import _matplotlib

        return _matplotlib.draw("lines", fields, draws)
    marker, width = draws.pick(("dot", "square", "dot", "")), draws.pick((1.6, 2, 2.6))
    pen, frame, values, colors, legend = _framed(fields, draws, split, 0, from_zero=False)
    canvas, n = pen.canvas, len(fields["labels"])
    for s, (column, color) in enumerate(zip(values, colors)):
        points = [(sum(frame.slot(i, n)) / 2, frame.along(v)) for i, v in enumerate(column)]
        canvas.line(points, color, width)
        for i, (x, y) in enumerate(points):
            r = width + 0.8
            if marker == "dot":
                canvas.ellipse(x - r, y - r, x + r, y + r, color)
            elif marker == "square":
                canvas.rect(round(x - r), round(y - r), round(x + r), round(y + r), color)
            canvas.element("point", (x - 4, y - 4, x + 4, y + 4), name=f"series.{s}.values.{i}")
    return _finish(pen, frame, legend)


def pie(fields: dict, draws: Draws, split: str) -> Canvas:
    if split == UNSEEN:
        from vlm_helpers.pages import _matplotlib

        return _matplotlib.draw("pie", fields, draws)
    style = look(draws, split, [piece["color"] for piece in fields["slices"]])
    order, ring = draws.shuffled(PAGES), draws.chance(0.25)
    printed = draws.weighted(("inside", "legend", ""), (4, 2, 2))
    names = [piece["name"] for piece in fields["slices"]]
    shares = slice_shares(fields)
    colors = [style.color(piece["color"]) for piece in fields["slices"]]
    places = ["beside", style.legend if style.legend != "top" else "right", "right", "bottom"]
    if draws.chance(0.6) or printed == "legend":
        places = places[1:]
    for size in [style.size - 0.5 * i for i in range(7)]:
        for page in order:
            for place in dict.fromkeys(places):
                pen = _Pen(page, style, size)
                if done := _pie(pen, fields, names, shares, colors, place, printed, ring):
                    return done
    raise ValueError("This chart has too much text for a page: shorten its names.")


def slice_shares(fields: dict) -> list[float]:
    """The shares of a pie's slices, as fractions of their sum."""
    parts = [_number(piece["value"], r"\d{1,15}%?", "12%") for piece in fields["slices"]]
    if min(parts) <= 0:
        raise ValueError(f"A slice has a share above 0, not {min(parts):g}.")
    return [part / sum(parts) for part in parts]


def _pie(pen: _Pen, fields, names, shares, colors, place, printed, ring) -> Canvas | None:
    canvas, style, size = pen.canvas, pen.style, pen.size
    width, height = canvas.width, canvas.height
    x0, y0, x1, y1 = 6.0, 6.0, width - 6.0, height - 6.0
    if "title" in fields:
        if pen.wide(fields["title"], 1.2, True) > width - 12:
            return None
        y0 += 2.0 * size
    values = [piece["value"] for piece in fields["slices"]]
    wides = [pen.wide(name) for name in names]
    if printed == "legend":
        wides = [wide + pen.wide(f" {value}") for wide, value in zip(wides, values)]
    if place == "right":
        x1 -= max(wides) + 2.2 * size
    elif place == "bottom":
        row = sum(wides) + 1.9 * size * len(names)
        if row > width - 12:
            return None
        y1 -= 1.9 * size
    else:
        x0, x1 = x0 + max(wides) + 6, x1 - max(wides) - 6
        y0, y1 = y0 + 1.2 * size, y1 - 1.2 * size
    radius = min(x1 - x0, y1 - y0) / 2
    if radius < 42 or (place == "right" and 1.5 * size * len(names) > y1 - y0):
        return None
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    if "title" in fields:
        pen.text(width / 2, 6, fields["title"], 1.2, True, anchor="m", role="title", name="title")
    angle = math.radians(style.turn)
    spots, halves = [], []
    for i, (share, color) in enumerate(zip(shares, colors)):
        end = angle + 2 * math.pi * share
        n = max(2, math.ceil(share * 90))
        rim = [
            (
                cx + radius * math.cos(angle + (end - angle) * k / n),
                cy + radius * math.sin(angle + (end - angle) * k / n),
            )
            for k in range(n + 1)
        ]
        canvas.polygon([(cx, cy), *rim], color)
        middle = (angle + end) / 2
        at = 0.78 if ring else 0.62
        spots.append((cx + at * radius * math.cos(middle), cy + at * radius * math.sin(middle)))
        halves.append(middle)
        r = 5.0
        x, y = spots[-1]
        canvas.element("slice", (x - r, y - r, x + r, y + r), name=f"slices.{i}.color")
        angle = end
    angle = math.radians(style.turn)
    for share in shares:
        rim = (cx + radius * math.cos(angle), cy + radius * math.sin(angle))
        canvas.line([(cx, cy), rim], style.paper, 1.2)
        angle += 2 * math.pi * share
    if ring:
        inner = 0.52 * radius
        canvas.ellipse(cx - inner, cy - inner, cx + inner, cy + inner, style.paper)
    taken: list = []
    if place == "beside":
        for i, (name, middle) in enumerate(zip(names, halves)):
            x, y = (
                cx + (radius + 4) * math.cos(middle),
                cy + (radius + 0.7 * size) * math.sin(middle),
            )
            wide = wides[i]
            left = x if math.cos(middle) >= 0 else x - wide
            top = y - 0.4 * size
            box = (left, top - 1, left + wide, top + size)
            if any(min(box[2], b[2]) > max(box[0], b[0]) and min(box[3], b[3]) > max(box[1], b[1])
                   for b in taken):  # fmt: skip
                return None
            taken.append(box)
            pen.text(left, top, name, role="label", name=f"slices.{i}.name")
    if printed == "inside":
        for i, ((x, y), value) in enumerate(zip(spots, values)):
            if shares[i] < 0.07:
                continue
            pen.text(x, y - 0.36 * size, value, anchor="m", role="share", line=False,
                     name=f"slices.{i}.value", color=readable(colors[i]))  # fmt: skip
    if place == "beside":
        return canvas
    x, y = x1 + 0.8 * size, max(y0, cy - 0.75 * size * len(names))
    if place == "bottom":
        x, y = (width - sum(wides) - 1.9 * size * len(names)) / 2, y1 + 0.7 * size
    for i, (name, color) in enumerate(zip(names, colors)):
        _square(canvas, round(x), round(y), round(0.75 * size), color)
        end = pen.text(x + 1.1 * size, y, name, role="legend", name=f"slices.{i}.name",
                       join=bool(i) and place == "bottom")[2]  # fmt: skip
        if printed == "legend":
            end = pen.text(end + pen.wide(" "), y, values[i], role="share",
                           name=f"slices.{i}.value", join=True)[2]  # fmt: skip
        if place == "bottom":
            x = end + 0.8 * size
        else:
            y += 1.5 * size
    return canvas
