"""Tables of two to four columns and three to five rows."""

from __future__ import annotations

import json
import re

from vlm_helpers._draws import Draws
from vlm_helpers._questions import NONE
from vlm_helpers.pages import _lexicon, _reading, fonts
from vlm_helpers.pages._canvas import Canvas
from vlm_helpers.pages._kind import SIZES, UNSEEN, Kind
from vlm_helpers.pages._lexicon import clock, date, digits, price

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ANIMALS = tuple(
    "Bear Cat Cow Deer Dog Duck Eagle Fox Frog Goat Hare Horse Lion Mouse Otter Owl Panda Pig "
    "Rabbit Seal Sheep Snake Swan Tiger Whale Wolf Zebra".split()
)
COLOR_WORDS = ("red", "blue", "green", "black", "white", "gray", "yellow", "pink")


def _whole(most: int):
    return lambda draws: str(draws.below(most) + 1)


def _one_of(*values: str):
    return lambda draws: draws.pick(values)


def _plain_price(draws):
    return _lexicon.money(price(draws), ("", ".", ""))


NUMBERS = {
    "Age": _whole(90), "Points": _whole(120), "Stock": _whole(400), "Units": _whole(60),
    "Room": _whole(420), "Year": lambda d: str(1950 + d.below(80)), "Goals": _whole(30),
    "Price": _plain_price, "Cost": _plain_price, "Weight": lambda d: f"{1 + d.below(99)} kg",
    "Share": lambda d: f"{1 + d.below(99)}%", "Length": lambda d: f"{1 + d.below(300)} m",
    "High": lambda d: str(d.below(36)), "Low": lambda d: str(d.below(20) - 10),
    "Votes": lambda d: f"{1 + d.below(9)},{digits(d, 3)}",
}  # fmt: skip
WORDS = {
    "City": _one_of(*_lexicon.CITIES), "Day": _one_of(*WEEKDAYS), "Time": clock,
    "Date": lambda d: date(d, d.pick(("iso", "dots", "slashes", "short"))),
    "Color": _one_of(*COLOR_WORDS), "Size": _one_of("S", "M", "L", "XL", "XS"),
    "Grade": _one_of("A", "B", "C", "D", "A+", "B+", "C-"), "Open": _one_of("yes", "no"),
    "Code": lambda d: _lexicon.letters(d, 2) + digits(d, 2 + d.below(3)),
    "Phone": lambda d: f"{digits(d, 3)}-{digits(d, 4)}",
    "Sky": _one_of("sunny", "cloudy", "rain", "snow", "fog", "windy"),
    "Status": _one_of("open", "done", "late", "paid", "new", "sent"),
}  # fmt: skip
COLUMNS = NUMBERS | WORDS
# Header of the first column, its entries, the columns that go with it, titles.
TOPICS = (
    ("Name", _one_of(*_lexicon.FIRST_NAMES),
     ("Age", "City", "Points", "Room", "Grade", "Phone", "Day", "Goals", "Code"),
     ("Team", "Class list", "Members", "Results", "Staff", "Guests")),
    ("Item", lambda d: d.pick(d.pick(tuple(_lexicon.SHOPS.values()))[1]),
     ("Price", "Stock", "Units", "Color", "Size", "Weight", "Code", "Status"),
     ("Price list", "Stock", "Orders", "Inventory", "Sale")),
    ("City", _one_of(*_lexicon.CITIES),
     ("High", "Low", "Sky", "Votes", "Share", "Time", "Year", "Cost"),
     ("Weather", "Election", "Departures", "Offices", "Branches")),
    ("Day", _one_of(*WEEKDAYS), ("High", "Low", "Sky", "Time", "Room", "Units", "Open"),
     ("This week", "Opening hours", "Forecast", "Timetable")),
    ("Month", _one_of(*_lexicon.MONTHS), ("Units", "Cost", "Share", "Stock", "High", "Votes"),
     ("Sales", "Budget", "Year plan", "Rainfall")),
    ("Animal", _one_of(*ANIMALS), ("Weight", "Length", "Age", "Color", "Units", "Code"),
     ("Zoo", "Animals", "Farm", "Sightings")),
)  # fmt: skip


def facts(draws: Draws, split: str) -> dict:
    first, entry, others, titles = draws.pick(TOPICS)
    n_columns, n_rows = draws.weighted((1, 2, 3), (2, 4, 3)), draws.weighted((3, 4, 5), (3, 4, 3))
    columns = _lexicon.several(draws, others, n_columns)
    names: list[str] = []
    while len(names) < n_rows:
        name = entry(draws)
        if name not in names:
            names.append(name)
    if first in ("Day", "Month"):
        names.sort(key=(WEEKDAYS if first == "Day" else _lexicon.MONTHS).index)
    fields: dict = {"title": draws.pick(titles)} if draws.chance(0.6) else {}
    rows = [[name, *(COLUMNS[column](draws) for column in columns)] for name in names]
    return fields | {"columns": [first, *columns], "rows": rows}


# --- drawing --------------------------------------------------------------------------------------

STYLES = ("grid", "lines", "zebra", "header", "plain")
HEADS = ((40, 70, 120), (60, 60, 66), (30, 110, 90), (130, 50, 60), (90, 60, 130), (200, 120, 30))


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    style = "columns" if split == UNSEEN else draws.pick(STYLES)
    font = fonts.pick(draws, split, "sans", "serif", "mono", "sans")
    crisp, ink = draws.chance(0.6), draws.pick((10, 25, 40, 70))
    wanted = draws.weighted((8, 9, 10, 11, 12, 14), (1, 2, 3, 3, 2, 1))
    head_color, right = draws.pick(HEADS), draws.chance(0.6)
    paper = draws.pick(((255, 255, 255), (255, 255, 255), (246, 248, 250), (252, 248, 238)))
    pad, air = draws.uniform(0.4, 0.9), draws.uniform(1.5, 2.3)
    u, v, wide = draws.uniform(0, 1), draws.uniform(0, 1), draws.uniform(0, 0.7)
    order = draws.shuffled([size for size in SIZES if size[0] >= 192])
    header = fields["columns"]
    grid = [header, *fields["rows"]]
    bold = fonts.bold(font)

    def measure(size: float):
        size = round(2 * size) / 2
        columns = [
            max(fonts.width(row[c], bold if r == 0 or (c == 0 and style == "columns") else font,
                             size, crisp) for r, row in enumerate(grid)) + 2 * pad * size
            for c in range(len(header))
        ]  # fmt: skip
        title = 2.2 * size if "title" in fields else 0
        heading = fonts.width(fields.get("title", ""), bold, round(2.5 * size) / 2, crisp)
        return columns, max(sum(columns), heading), title + len(grid) * air * size, title

    def roomy(size: float, page) -> bool:
        _, width, height, _ = measure(size)
        return width <= page[0] - 12 and height <= page[1] - 12

    size = wanted
    while True:
        fitting = [page for page in order if roomy(size, page)]
        if fitting:
            break
        size -= 0.5
        if size < 6:
            raise ValueError("This table is too large for a page: shorten its texts.")
    # the emptiest pages are the least likely ones
    page = min(fitting[:2], key=lambda page: page[0] * page[1])
    columns, width, height, title = measure(size)
    spare = page[0] - 12 - max(width, sum(columns))
    columns = [column + wide * spare / len(columns) for column in columns]
    line = air * size * min(1.5, (page[1] - 12 - title) / (len(grid) * air * size))
    x0 = 6 + u * (page[0] - 12 - max(width, sum(columns)))
    y0 = 6 + v * (page[1] - 12 - title - line * len(grid))
    x0, y0, line = round(x0), round(y0), int(line)
    canvas = Canvas(*page, paper, crisp)
    color = (ink,) * 3
    x1 = x0 + round(sum(columns))
    if title:
        canvas.text(
            x0 + 2, y0, fields["title"], bold, 1.25 * size, color, role="title", name="title"
        )
        y0 += round(title)
    y1 = y0 + line * len(grid)
    pale = tuple(int(200 + 0.22 * value) for value in head_color)
    dark = style in ("header", "zebra")
    if dark:
        canvas.rect(x0, y0, x1, y0 + line, head_color)
    if style == "zebra":
        for r in range(2, len(grid), 2):
            canvas.rect(x0, y0 + r * line, x1, y0 + (r + 1) * line, pale)
    edges = [x0, *(x0 + round(sum(columns[: c + 1])) for c in range(len(columns)))]
    grey = (min(200, ink + 110),) * 3
    if style == "grid":
        for x in edges:
            canvas.line([(x, y0), (x, y1 + 1)], grey)
    if style in ("grid", "lines"):
        for r in range(len(grid) + 1):
            canvas.line([(x0, y0 + r * line), (x1, y0 + r * line)], grey)
    if style == "columns":
        for x in edges[1:-1]:
            canvas.line([(x, y0), (x, y1)], head_color, 2)
    if style == "plain":
        canvas.line([(x0, y0 + line), (x1, y0 + line)], color)
    for r, row in enumerate(grid):
        for c, text in enumerate(row):
            numeric = right and header[c] in NUMBERS
            x = edges[c + 1] - pad * size if numeric else edges[c] + pad * size
            strong = r == 0 or (c == 0 and style == "columns")
            canvas.text(
                x, y0 + r * line + (line - 0.72 * size) / 2, text, bold if strong else font, size,
                (255, 255, 255) if dark and r == 0 else color, anchor="r" if numeric else "l",
                role="cell" if r else "header", join=c > 0,
                name=f"rows.{r - 1}.{c}" if r else f"columns.{c}",
            )  # fmt: skip
    return canvas


# --- questions ------------------------------------------------------------------------------------


def cell(page, draws):
    columns, rows = page.fields["columns"], page.fields["rows"]
    single = _reading.alone([row[0] for row in rows])
    if not single:
        return None
    r, c = draws.pick(single), 1 + draws.below(len(columns) - 1)
    name, column = rows[r][0], columns[c]
    candidates = [text for row in rows for text in row[1:]]
    if draws.chance(_reading.ABSENT):
        absent = [other for other in COLUMNS if other not in columns]
        text = f"What is the {draws.pick(absent)} of {name}?"
        return text, NONE, (), candidates
    wordings = ("What is the {c} of {r}?", "What is the {c} for {r}?", "Give the {c} of {r}.",
                "What stands in the row {r}, column {c}?")  # fmt: skip
    text = draws.pick(wordings).format(c=column, r=name)
    return text, rows[r][c], [page.get(f"rows.{r}.{c}")], candidates


def look_up(page, draws):
    """The other way round: from a value to the row."""
    columns, rows = page.fields["columns"], page.fields["rows"]
    choices = [
        (r, c) for r, row in enumerate(rows) for c in range(1, len(columns))
        if sum(other[c] == row[c] for other in rows) == 1
    ]  # fmt: skip
    if not choices:
        return None
    r, c = draws.pick(choices)
    wordings = ("Which {f} has the {c} {v}?", "Whose {c} is {v}?", "In which row is the {c} {v}?")
    text = draws.pick(wordings).format(f=columns[0], c=columns[c], v=rows[r][c])
    return text, rows[r][0], [page.get(f"rows.{r}.0")], [row[0] for row in rows]


NUMBER = re.compile(r"(-?\d+(?:,\d{3})*(?:\.\d+)?)(?: kg| m|%)?", re.ASCII)


def extreme(page, draws):
    columns, rows = page.fields["columns"], page.fields["rows"]
    numeric = [c for c in range(1, len(columns)) if columns[c] in NUMBERS]
    if not numeric:
        return None
    c = draws.pick(numeric)
    word, pick = draws.pick((("highest", max), ("lowest", min)))
    numbers = [NUMBER.fullmatch(row[c]) for row in rows]
    values = [float(found[1].replace(",", "")) for found in numbers if found]
    if len(values) < len(rows) or values.count(pick(values)) > 1:  # or one that was changed
        return None
    wordings = ("Which {f} has the {w} {c}?", "Who or what has the {w} {c}?",
                "Name the {f} with the {w} {c}.")  # fmt: skip
    r = values.index(pick(values))
    text = draws.pick(wordings).format(f=columns[0], w=word, c=columns[c])
    return text, rows[r][0], [page.get(f"rows.{r}.0")], [row[0] for row in rows]


def count(page, draws):
    rows, columns = page.fields["rows"], page.fields["columns"]
    if draws.chance(0.4):
        wordings = ("How many columns does the table have?", "Count the columns.")
        return draws.pick(wordings), str(len(columns))
    wordings = ("How many rows are below the header?", "How many rows does the table have, without "
                "its header?")  # fmt: skip
    return draws.pick(wordings), str(len(rows))


def exists(page, draws):
    names = [row[0] for row in page.fields["rows"]]
    entry = next((make for name, make, *_ in TOPICS if name == page.fields["columns"][0]), None)
    if not entry:
        return None
    name = draws.pick(names) if draws.chance(0.5) else entry(draws)
    wordings = ("Is {} in the table?", "Does the table list {}?", "Is there a row for {}?")
    objects = [page.get(f"rows.{names.index(name)}.0")] if name in names else []
    answer = "yes" if name in names else "no"
    return draws.pick(wordings).format(name), answer, objects, ("yes", "no")


def locate(page, draws):
    columns, rows = page.fields["columns"], page.fields["rows"]
    single = _reading.alone([row[0] for row in rows])
    if not single:
        return None
    r, c = draws.pick(single), 1 + draws.below(len(columns) - 1)
    wordings = ("Where is the {c} of {r}?", "Locate the {c} of {r}.", "Give the box of the {c} of "
                "{r}.")  # fmt: skip
    text = draws.pick(wordings).format(c=columns[c], r=rows[r][0])
    return _reading.place(page, text, f"rows.{r}.{c}")


def as_json(page, draws):
    columns, rows = page.fields["columns"], page.fields["rows"]
    single = _reading.alone([row[0] for row in rows])
    if not single:
        return None
    row = rows[draws.pick(single)]
    wordings = ("Give the row of {} as JSON with the keys {}.", "Row {} as JSON, keys {}.")
    text = draws.pick(wordings).format(row[0], ", ".join(columns))
    return text, json.dumps(dict(zip(columns, row)), ensure_ascii=False)


def markdown(page, draws):
    lines = [page.fields["columns"], ["---"] * len(page.fields["columns"]), *page.fields["rows"]]
    wordings = ("Give the table as Markdown.", "Write the table in Markdown.")
    return draws.pick(wordings), "\n".join(f"| {' | '.join(line)} |" for line in lines)


KIND = Kind(
    "table",
    facts,
    draw,
    _reading.READING
    | {"cell": cell, "look_up": look_up, "extreme": extreme, "count": count, "exists": exists}
    | {"locate": locate, "json": as_json, "markdown": markdown},
    paper=True,
    blanks=False,
)
