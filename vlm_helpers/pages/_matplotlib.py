"""Draws charts with matplotlib, in the looks people know from it: the held-out style.

Where things stand is what matplotlib says, at the page's own size; so the boxes of these charts may
differ by a pixel between its versions.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from vlm_helpers._data import data_file
from vlm_helpers._draws import Draws
from vlm_helpers.pages import _plots, fonts
from vlm_helpers.pages._canvas import Canvas
from vlm_helpers.pages._kind import UNSEEN

POINTS = 72  # an inch
DPI = 100  # at the page's own size


def draw(kind: str, fields: dict, draws: Draws) -> Canvas:
    """The chart on a canvas: a picture by matplotlib, and all that is true of it."""
    page = draws.pick(((288, 192), (288, 288), (384, 192), (288, 192)))
    font, size = fonts.pick(draws, UNSEEN, "sans", "serif"), draws.pick((8.0, 9.0, 10.0))
    style = draws.pick(("plain", "grid", "gray"))
    flat, turn, shade = draws.chance(0.2), draws.below(360), draws.below(3)
    colors = {name: tuple(v / 255 for v in rgb[shade]) for name, rgb in _plots.COLORS.items()}
    for part in fields.get("series", fields.get("slices")):
        if part["color"] not in colors:
            raise ValueError(f"There is no color {part['color']!r} for charts.")

    def figure(scale: float):
        return _figure(kind, fields, page, font, size, style, flat, turn, colors, scale * DPI)

    canvas = Canvas(*page, crisp=False)

    def painted(width: int, height: int) -> Image.Image:
        drawn, _, _ = figure(width / page[0])
        drawn.canvas.draw()
        pixels = Image.fromarray(np.asarray(drawn.canvas.buffer_rgba()))
        return pixels if pixels.size == (width, height) else pixels.resize((width, height))

    canvas.picture(0, 0, *page, painted)
    drawn, marks, texts = figure(1)
    for role, name, box in marks:
        canvas.element(role, _flipped(box, page), name=name)
    for text, role, name, join in texts:
        _state(canvas, text, role, name, join, font, page)
    return canvas


def _flipped(box, page) -> tuple[float, float, float, float]:
    """matplotlib counts from the bottom."""
    (x0, y0), (x1, y1) = box.min, box.max
    return float(x0), page[1] - float(y1), float(x1), page[1] - float(y0)


def _state(canvas: Canvas, text, role: str, name: str, join, font: str, page) -> None:
    """States a text that matplotlib has drawn: where its box is, in the widths of the table."""
    x0, y0, x1, y1 = _flipped(text.get_window_extent(), page)
    size = text.get_fontsize() * DPI / POINTS
    wide = canvas.text_width(text.get_text(), font, size)
    high = fonts.ascent(font, size)
    if text.get_rotation() == 90:
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        canvas.text(middle[0] - wide / 2, middle[1] - high / 2, text.get_text(), font, size,
                    angle=90, pivot=middle, role=role, name=name, join=join, ink=False)  # fmt: skip
    else:
        canvas.text((x0 + x1 - wide) / 2, (y0 + y1 - high) / 2, text.get_text(), font, size,
                    role=role, name=name, join=join, ink=False)  # fmt: skip


def _figure(kind, fields, page, font, size, style, flat, turn, colors, dpi):
    """The drawn figure, its marks (role, name, box), its texts (text, role, name, join)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.transforms import Bbox

    shape = (page[0] / DPI, page[1] / DPI)
    drawn = Figure(shape, dpi=dpi, layout="tight")
    FigureCanvasAgg(drawn)
    axes = drawn.add_subplot()
    points = size * POINTS / DPI
    letters = FontProperties(
        fname=str(data_file(f"fonts/{fonts.table()[font]['file']}")), size=points
    )
    title = letters.copy()
    title.set_size(1.2 * points)
    texts = []
    if "title" in fields:
        texts.append((axes.set_title(fields["title"], fontproperties=title), "title", "title",
                      False))  # fmt: skip
    if kind == "pie":
        shares = _plots.slice_shares(fields)
        pieces = fields["slices"]
        wedges, names, printed = axes.pie(
            shares, labels=[piece["name"] for piece in pieces], startangle=turn,
            colors=[colors[piece["color"]] for piece in pieces], autopct="%1.0f%%",
            textprops={"fontproperties": letters},
        )  # fmt: skip
        for i, (name, share) in enumerate(zip(names, printed)):
            share.set_text(pieces[i]["value"])
            share.set_color(tuple(v / 255 for v in _plots.readable(_bytes(wedges[i]))))
            texts.append((name, "label", f"slices.{i}.name", False))
            texts.append((share, "share", f"slices.{i}.value", True))
        drawn.draw_without_rendering()
        marks = [("slice", f"slices.{i}.color", share.get_window_extent())
                 for i, share in enumerate(printed)]  # fmt: skip
        return drawn, marks, texts
    values, series, labels = _plots.values_of(fields), fields["series"], fields["labels"]
    middles = np.arange(len(labels))
    flat = flat and kind == "bars"
    patches: list = []
    for s, (column, one) in enumerate(zip(values, series)):
        color = colors[one["color"]]
        if kind == "lines":
            axes.plot(middles, column, "o-" if style != "gray" else "s--", color=color,
                      label=one["name"], markersize=4, linewidth=1.5)  # fmt: skip
            continue
        wide = 0.8 / len(series)
        at = middles + (s - (len(series) - 1) / 2) * wide
        draw_bars = axes.barh if flat else axes.bar
        patches.append(draw_bars(at, column, wide, color=color, label=one["name"]))
    if style == "gray":
        axes.set_facecolor("0.92")
        for spine in axes.spines.values():
            spine.set_visible(False)
    if style != "plain":
        axes.grid(True, axis="both" if kind == "lines" else "x" if flat else "y",
                  color="white" if style == "gray" else "0.8", linewidth=0.8)  # fmt: skip
        axes.set_axisbelow(True)
    if flat:
        axes.set_yticks(middles, labels)
        axes.invert_yaxis()
    else:
        axes.set_xticks(middles, labels)
    axes.tick_params(length=2.5, pad=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_formatter().fix_minus = str  # the fonts have a hyphen, and no minus sign
        for tick in axis.get_ticklabels():
            tick.set_fontproperties(letters)
    below, beside = fields.get("x"), fields.get("y")
    if flat:
        below, beside = beside, below
    if below:
        axes.set_xlabel(below, fontproperties=letters, labelpad=2)
    if beside:
        axes.set_ylabel(beside, fontproperties=letters, labelpad=2)
    legend = None
    if len(series) > 1:
        legend = axes.legend(prop=letters, handlelength=1.2, borderpad=0.3, labelspacing=0.25)
    for _ in range(4):  # labels that would touch become smaller
        drawn.draw_without_rendering()
        row = [tick for tick in axes.get_xticklabels() if tick.get_text()]
        boxes = [tick.get_window_extent() for tick in row]
        if all(a.x1 + 1 < b.x0 for a, b in zip(boxes, boxes[1:])):
            break
        for tick in row:
            tick.set_fontsize(tick.get_fontsize() * 0.85)
    if beside:
        texts.append((axes.yaxis.label, "axis", "x" if flat else "y", False))
    inside = drawn.bbox
    for axis, words in ((axes.yaxis, flat), (axes.xaxis, not flat)):
        ticks = [tick for tick in axis.get_ticklabels() if tick.get_text()]
        spots = [tick.get_window_extent() for tick in ticks]
        ticks = [tick for tick, spot in zip(ticks, spots)
                 if words or (inside.contains(*spot.min) and inside.contains(*spot.max)
                              and _within(axes, axis, tick))]  # fmt: skip
        if axis is axes.yaxis and not words:
            ticks = ticks[::-1]
        for i, tick in enumerate(ticks):
            role, name = ("label", f"labels.{i}") if words else ("tick", "")
            texts.append((tick, role, name, i > 0 and not (words and flat)))
    if below:
        texts.append((axes.xaxis.label, "axis", "y" if flat else "x", False))
    if legend:
        for s, text in enumerate(legend.get_texts()):
            texts.append((text, "legend", f"series.{s}.name", False))
    marks = []
    for s, column in enumerate(values):
        for i, value in enumerate(column):
            name = f"series.{s}.values.{i}"
            if kind == "bars":
                marks.append(("bar", name, patches[s][i].get_window_extent()))
            else:
                x, y = axes.transData.transform((i, value))
                box = Bbox.from_extents(x - 4, y - 4, x + 4, y + 4)
                marks.append(("point", name, box))
    return drawn, marks, texts


def _within(axes, axis, tick) -> bool:
    """Whether a tick lies in the range that is shown: matplotlib keeps one more on either side."""
    at = tick.get_position()[0 if axis is axes.xaxis else 1]
    low, high = sorted(axis.get_view_interval())
    return low - 1e-9 <= at <= high + 1e-9


def _bytes(wedge) -> tuple[int, int, int]:
    r, g, b, _ = wedge.get_facecolor()
    return round(255 * r), round(255 * g), round(255 * b)
