"""A rubber stamp, askew, where the page has room for one."""

from __future__ import annotations

from vlm_helpers._draws import Draws
from vlm_helpers.pages import fonts
from vlm_helpers.pages._canvas import Canvas, turned, turned_box

SHARE = 0.15  # of the pages of paper that get one, if there is room
WORDS = ("PAID", "COPY", "RECEIVED", "APPROVED", "URGENT", "DRAFT", "VOID", "CHECKED", "SAMPLE")
COLORS = ((190, 40, 50), (40, 70, 160), (30, 120, 80), (120, 60, 140))


def stamp(canvas: Canvas, draws: Draws, font: str) -> None:
    """Stamps the page now and then: its text is then the last line of the page's text."""
    wanted, text, color = draws.chance(SHARE), draws.pick(WORDS), draws.pick(COLORS)
    size, angle = draws.pick((12, 14, 17, 20)), draws.uniform(-24, 24)
    places = [(draws.uniform(0, 1), draws.uniform(0, 1)) for _ in range(24)]
    if not wanted:
        return
    font = fonts.bold(font)
    half_width = canvas.text_width(text, font, size) / 2 + 0.45 * size
    half_height = 0.72 * size
    around = turned_box((-half_width, -half_height, half_width, half_height), (0, 0), angle)
    for u, v in places:
        x = 3 - around[0] + u * (canvas.width - 6 - around[2] + around[0])
        y = 3 - around[1] + v * (canvas.height - 6 - around[3] + around[1])
        box = (x + around[0], y + around[1], x + around[2], y + around[3])
        if box[0] < 2 or box[2] > canvas.width - 2 or any(_meet(box, m.box) for m in canvas.marks):
            continue
        sides = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        corners = [(x + a * half_width, y + b * half_height) for a, b in sides]
        ring = [turned(corner, (x, y), angle) for corner in corners]
        canvas.line([*ring, ring[0]], color, 1.6)
        top = y - fonts.ascent(font, size) / 2
        canvas.text(x, top, text, font, size, color, anchor="m", role="stamp", angle=angle,
                    pivot=(x, y))  # fmt: skip
        return


def _meet(a, b) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
