"""Rows of text down a page, as large as they fit."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_helpers.pages import fonts
from vlm_helpers.pages._canvas import Canvas, Color
from vlm_helpers.pages._kind import SIZES

PITCH = 1.28  # from line to line, in sizes of the font
SMALLEST = 6.5


@dataclass(frozen=True)
class Cell:
    """A text at `at`, a fraction of the row's width, which is its left, middle or right end as
    `anchor` ("l", "m", "r") says; or "after" the cell before, as its next word or (with an empty
    `join`) right behind it."""

    text: str
    at: float = 0.0
    anchor: str = "l"
    name: str = ""
    role: str = "text"
    bold: bool = False
    join: str = " "  # what stands between it and the cell before in the page's text


@dataclass(frozen=True)
class Row:
    """Cells beside each other. `scale`: of their font; `above`: lines left free before;
    `rule`: a line after it ("line", "dash", "double")."""

    cells: tuple[Cell, ...]
    scale: float = 1.0
    above: float = 0.0
    rule: str = ""


def height(rows, size: float) -> float:
    return sum(
        (row.above + (0.5 if row.rule else 0)) * size + row.scale * size * PITCH for row in rows
    )


def places(row: Row, font: str, size: float, width: float, crisp: bool) -> list:
    """(x0, x1, font) of each cell of a row in pixels; `size` is that of the page."""
    size = round(2 * row.scale * size) / 2
    names = [fonts.bold(font) if cell.bold else font for cell in row.cells]
    widths = [fonts.width(cell.text, f, size, crisp) for cell, f in zip(row.cells, names)]
    gap = fonts.advance(font, size, crisp, " ")
    found: list = []
    for number, (cell, name) in enumerate(zip(row.cells, names)):
        if cell.anchor == "after":
            x0 = found[-1][1] + (gap if cell.join else 0)
        else:
            rest = [c.anchor for c in row.cells[number + 1 :]] + [""]
            together = rest.index(next(a for a in rest if a != "after")) + 1
            group = range(number, number + together)
            wide = sum(widths[i] + (gap if i > number and row.cells[i].join else 0) for i in group)
            x0 = cell.at * width - {"l": 0, "m": wide / 2, "r": wide}[cell.anchor]
        found.append((x0, x0 + widths[number], name))
    return found


def narrow(rows, font: str, size: float, width: float, crisp: bool) -> bool:
    """Whether all rows fit into `width` pixels, without any cells that touch."""
    for row in rows:
        end = 0.0
        for cell, (x0, x1, _) in zip(row.cells, places(row, font, size, width, crisp)):
            apart = 0 if cell.anchor == "after" else 0.5 * size
            if x0 < end + (apart if end else 0) - 0.01 or x1 > width + 0.01:
                return False
            end = x1
    return True


def fit(
    rows, font: str, size: float, page_width: int, margin: float, crisp: bool, taller: bool = False
) -> tuple[tuple[int, int], float, float]:
    """A page for the rows: the lowest at which they fit in the `size` that is wished for; smaller
    print where no page is high enough, or wide enough; the widest page where even that is too much.

    Args:
        rows: rows, or a function (width, size) -> rows for a text that has to be broken.
        margin: as a fraction of the page's width.
        taller: takes the next higher page.
    Returns:
        (width, height), the size of the font, the margin in pixels.
    """
    for width in dict.fromkeys((page_width, 192, 288)):
        edge = max(5.0, margin * width)
        heights = [h for w, h in SIZES if w == width]
        tried = size
        while tried >= SMALLEST:
            here = rows(width - 2 * edge, tried) if callable(rows) else rows
            needed = height(here, tried) + 2 * edge
            high = [h for h in heights if h >= needed]
            if high and narrow(here, font, tried, width - 2 * edge, crisp):
                return (width, high[min(taller, len(high) - 1)]), tried, edge
            tried -= 0.5
    raise ValueError("This text is too long for a page: shorten it.")


def write(
    canvas: Canvas, rows, font: str, size: float, box, color: Color, stretch: float = 1.0
) -> float:
    """Writes the rows into `box` (x0, y0, x1, y1) from its top; returns where they end.

    Args:
        stretch: of all heights.
    """
    x0, y, x1, _ = box
    for row in rows:
        y += row.above * size * stretch
        spans = places(row, font, size, x1 - x0, canvas.crisp)
        for number, (cell, (left, _, name)) in enumerate(zip(row.cells, spans)):
            canvas.text(
                x0 + left, y + 0.1 * row.scale * size, cell.text, name, row.scale * size, color,
                role=cell.role, name=cell.name, join=cell.join if number else False,
            )  # fmt: skip
        y += row.scale * size * PITCH * stretch
        if row.rule:
            middle = y + 0.15 * size
            for shift in (-1, 1) if row.rule == "double" else (0,):
                canvas.line([(x0, round(middle) + shift), (x1, round(middle) + shift)], color, 1,
                            dash=2 if row.rule == "dash" else None)  # fmt: skip
            y += 0.5 * size * stretch
    return y
