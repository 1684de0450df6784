"""Charts: bars, lines and pies; what they show, and what is asked about them.

What stands in the fields of a chart is what it shows: its texts as they are printed, its values as
they are drawn (a share of the charts prints them too), its colours by name.
"""

from __future__ import annotations

import json

from vlm_helpers._draws import Draws
from vlm_helpers._questions import NONE, box_tokens, location_tokens
from vlm_helpers.pages import _lexicon, _plots, _reading
from vlm_helpers.pages._kind import Kind
from vlm_helpers.pages._table import ANIMALS, WEEKDAYS

MONTHS = tuple(month[:3] for month in _lexicon.MONTHS)
DAYS = tuple(day[:3] for day in WEEKDAYS)
CATEGORIES = {
    "city": _lexicon.CITIES,
    "name": _lexicon.FIRST_NAMES,
    "animal": ANIMALS,
    "item": tuple(
        item for _, items in _lexicon.SHOPS.values() for item in items if len(item) < 9
    ),
    "team": tuple(f"Team {letter}" for letter in "ABCDEFG"),
    "sport": ("Soccer", "Tennis", "Rugby", "Hockey", "Golf", "Judo", "Chess", "Rowing", "Cycling"),
    "expense": ("Rent", "Food", "Travel", "Books", "Phone", "Power", "Water", "Clothes", "Gifts",
                "Sport", "Savings", "Car", "Pets"),
    "vehicle": ("Car", "Bus", "Train", "Bike", "Tram", "Ferry", "Taxi", "Scooter", "On foot"),
}  # fmt: skip
MEASURES = tuple(
    "Sales Visitors Orders Votes Points Members Profit Calls Rain Output Downloads Hours Tickets "
    "Units Trips Guests Books".split()
)
# Names of two or three series that go together.
FAMILIES = (
    ("North", "South", "East", "West"), ("Online", "Shop", "Phone"), ("Women", "Men"),
    ("Adults", "Children"), ("Plan", "Actual"), ("Tea", "Coffee", "Juice"),
    ("Basic", "Plus", "Pro"), ("Summer", "Winter"), ("New", "Used"), ("Cats", "Dogs", "Birds"),
    ("Red Lions", "Blue Bears", "Hawks"), ("Home", "Abroad"), ("Model A", "Model B", "Model C"),
)  # fmt: skip
STEPS = {10: 0.5, 20: 0.5, 50: 1, 100: 1, 200: 2, 500: 5, 1000: 10, 2000: 20}


def written(value: float) -> str:
    """A value as it stands in the fields: "12" or "3.5"."""
    return f"{value:g}"


# --- facts ----------------------------------------------------------------------------------------


def _ordered(draws: Draws, n: int) -> tuple[str, ...]:
    """Labels in the order of time."""
    kind = draws.below(4)
    if kind == 0:
        start = 1990 + draws.below(36 - n)
        return tuple(str(start + i) for i in range(n))
    if kind == 1 and n <= 4:
        return tuple(f"Q{i + 1}" for i in range(n))
    names = DAYS if kind == 2 and n <= 7 else MONTHS
    start = draws.below(len(names) - n + 1)
    return names[start : start + n]


def _title(draws: Draws, measure: str, noun: str) -> str:
    return draws.pick((
        measure, f"{measure} by {noun}", f"{measure} in {draws.pick(_lexicon.CITIES)}",
        f"{measure} {2000 + draws.below(30)}", f"{measure} per {noun}",
    ))  # fmt: skip


def _series_names(draws: Draws, n: int) -> list[str]:
    if draws.chance(0.3):
        year = 2005 + draws.below(22)
        return [str(year + i) for i in range(n)]
    return _lexicon.several(draws, draws.pick([f for f in FAMILIES if len(f) >= n]), n)


def _framed(draws: Draws, labels, values: list[list[float]], measure: str) -> dict:
    """The fields of a chart with axes."""
    fields: dict = {}
    if draws.chance(0.8):
        fields["title"] = _title(draws, measure, noun_of(labels))
    if draws.chance(0.3):
        fields["x"] = noun_of(labels).capitalize()
    if draws.chance(0.4):
        fields["y"] = measure + draws.pick(("", "", " (%)", " (k)"))
    names = _series_names(draws, len(values)) if len(values) > 1 else [measure]
    colors = _lexicon.several(draws, tuple(_plots.COLORS), len(values))
    fields["labels"] = list(labels)
    fields["series"] = [
        {"name": name, "color": color, "values": [written(value) for value in column]}
        for name, color, column in zip(names, colors, values)
    ]
    return fields


def bar_facts(draws: Draws, split: str) -> dict:
    n_series = draws.weighted((1, 2, 3), (5, 3, 1))
    n = draws.weighted((3, 4, 5, 6), (2, 3, 3, 2)) - (n_series == 3)
    if draws.chance(0.45):
        labels = _ordered(draws, n)
    else:
        labels = _lexicon.several(draws, CATEGORIES[draws.pick(tuple(CATEGORIES))], n)
    top = draws.pick(tuple(STEPS))
    values = [[_level(draws.uniform(0.08, 1), top) for _ in range(n)] for _ in range(n_series)]
    return _framed(draws, labels, values, draws.pick(MEASURES))


def _level(fraction: float, top: int) -> float:
    step = STEPS[top]
    return max(1, round(fraction * top / step)) * step


TRENDS = ("rises", "falls", "rises, then falls", "falls, then rises")


def line_facts(draws: Draws, split: str) -> dict:
    n_series, n = draws.weighted((1, 2, 3), (4, 4, 2)), 4 + draws.below(5)
    top = draws.pick(tuple(STEPS))
    values = [_course(draws, n, top) for _ in range(n_series)]
    return _framed(draws, _ordered(draws, n), values, draws.pick(MEASURES))


def _course(draws: Draws, n: int, top: int) -> list[float]:
    """The values of a line: one of `TRENDS` in two of three, or up and down as it comes."""
    if draws.chance(0.33):
        return [_level(draws.uniform(0.08, 1), top) for _ in range(n)]
    trend = draws.pick(TRENDS)
    turn = {"rises": n - 1, "falls": 0}.get(trend, 1 + draws.below(n - 2))
    low, high = draws.uniform(0.08, 0.35), draws.uniform(0.65, 1)
    up = [draws.uniform(0.5, 1.5) for _ in range(n - 1)]  # steps of unequal height
    heights = [0.0]
    for i, step in enumerate(up):
        heights.append(heights[-1] + (step if i < turn else -step))
    least, most = min(heights), max(heights)
    heights = [(height - least) / (most - least) for height in heights]
    if trend in ("falls", "falls, then rises") and trend != "falls":
        heights = [1 - height for height in heights]
    return [_level(low + (high - low) * height, top) for height in heights]


def pie_facts(draws: Draws, split: str) -> dict:
    n = draws.weighted((2, 3, 4, 5, 6), (1, 3, 3, 3, 1))
    kind = draws.pick([kind for kind in CATEGORIES if kind not in ("city", "item")])
    names = _lexicon.several(draws, CATEGORIES[kind], n)
    weights = [draws.uniform(0.15, 1) for _ in names]
    shares = [max(4, round(100 * weight / sum(weights))) for weight in weights]
    shares[shares.index(max(shares))] += 100 - sum(shares)
    colors = _lexicon.several(draws, tuple(_plots.COLORS), n)
    fields: dict = {}
    if draws.chance(0.85):
        fields["title"] = _title(draws, draws.pick(MEASURES), kind)
    fields["slices"] = [
        {"name": name, "value": f"{share}%", "color": color}
        for name, share, color in zip(names, shares, colors)
    ]
    return fields


def noun_of(labels) -> str:
    """What the labels are: "month", "year", "city"."""
    for noun, names in (("month", MONTHS), ("day", DAYS), *CATEGORIES.items()):
        if set(labels) <= set(names):
            return noun
    return "quarter" if labels[0].startswith("Q") else "year"


# --- questions about bars and lines ---------------------------------------------------------------


def _values(page) -> list[str]:
    return [value for series in page.fields["series"] for value in series["values"]]


def _of(page, s: int) -> str:
    """ " of Online" where there are several series."""
    return f" of {page.fields['series'][s]['name']}" if len(page.fields["series"]) > 1 else ""


def _pick_series(page, draws) -> tuple[int, list[float]]:
    s = draws.below(len(page.fields["series"]))
    return s, [float(value) for value in page.fields["series"][s]["values"]]


def value(page, draws):
    s, _ = _pick_series(page, draws)
    labels, values = page.fields["labels"], page.fields["series"][s]["values"]
    wordings = ("What is the value{of} for {x}?", "What is the value{of} in {x}?",
                "Read the value{of} for {x}.", "How high is the value{of} for {x}?")  # fmt: skip
    if draws.chance(_reading.ABSENT / 2):
        pool = next((p for p in (MONTHS, DAYS, *CATEGORIES.values()) if labels[0] in p), ("Q9",))
        absent = [name for name in pool if name not in labels] or ["Q9"]
        text = draws.pick(wordings).format(of=_of(page, s), x=draws.pick(absent))
        return text, NONE, (), _values(page)
    single = _reading.alone(labels)
    if not single:
        return None
    i = draws.pick(single)
    text = draws.pick(wordings).format(of=_of(page, s), x=labels[i])
    return text, values[i], [page.get(f"series.{s}.values.{i}")], _values(page)


def largest(page, draws):
    labels, series = page.fields["labels"], page.fields["series"]
    word, best = draws.pick((("largest", max), ("smallest", min)))
    if len(series) > 1 and draws.chance(0.4):
        i = draws.below(len(labels))
        column = [float(one["values"][i]) for one in series]
        names = [one["name"] for one in series]
        text = f"Which series has the {word} value for {labels[i]}?"
    else:
        s, column = _pick_series(page, draws)
        names = labels
        wordings = ("Which {n} has the {w} value{of}?", "For which {n} is the value{of} {w}?")
        text = draws.pick(wordings).format(n=noun_of(labels), w=word, of=_of(page, s))
    if column.count(best(column)) > 1 or not _clear(column, best(column)):
        return None
    return text, names[column.index(best(column))], (), names


def _clear(column: list[float], value: float) -> bool:
    """Whether a value stands at least 3 % of the column's largest apart from all others."""
    return sum(abs(other - value) < 0.03 * max(column) for other in column) == 1


def _two(page, draws, apart: float):
    """Two values of one series, or of one label: (" of" the series or "", " for" the label or "",
    names, values, elements)."""
    labels, series = page.fields["labels"], page.fields["series"]
    if len(series) > 1 and draws.chance(0.4):
        i = draws.below(len(labels))
        a, b = _lexicon.several(draws, range(len(series)), 2)
        of, at, names = "", f" for {labels[i]}", (series[a]["name"], series[b]["name"])
        paths = (f"series.{a}.values.{i}", f"series.{b}.values.{i}")
    else:
        s = draws.below(len(series))
        a, b = _lexicon.several(draws, range(len(labels)), 2)
        of, at, names = _of(page, s), "", (labels[a], labels[b])
        paths = (f"series.{s}.values.{a}", f"series.{s}.values.{b}")
    values = [float(_reading.value(page.fields, path)) for path in paths]
    if abs(values[0] - values[1]) < apart * max(map(float, _values(page))):
        return None
    return of, at, names, values, [page.get(path) for path in paths]


def difference(page, draws):
    two = _two(page, draws, 0.08)
    if not two:
        return None
    of, at, (a, b), (x, y), objects = two
    wordings = ("What is the difference{of} between {a} and {b}{at}?",
                "By how much does the value{of} differ between {a} and {b}{at}?")  # fmt: skip
    text = draws.pick(wordings).format(of=of, a=a, b=b, at=at)
    return text, written(abs(x - y)), objects


def compare(page, draws):
    two = _two(page, draws, 0.04)
    if not two:
        return None
    of, at, (a, b), (x, y), objects = two
    word, more = draws.pick((("larger", True), ("smaller", False)))
    text = f"Is the value{of} {word} for {a} than for {b}{at.replace(' for ', ' in ')}?"
    if not of and draws.chance(0.4):
        more, text = True, f"Is {a} above {b}{at}?"
    return text, "yes" if (x > y) == more else "no", objects, ("yes", "no")


def color(page, draws):
    series = page.fields["series"]
    s = draws.below(len(series))
    name, shade = series[s]["name"], series[s]["color"]
    names = [one["name"] for one in series]
    if len(series) == 1:
        what = "bars" if page.kind == "bars" else "line"
        verb = "are" if what == "bars" else "is"
        return f"What color {verb} the {what}?", shade, (), tuple(_plots.COLORS)
    if draws.chance(0.5):
        wordings = (
            "What color is {}?",
            "Which color stands for {}?",
            "What color is the series {}?",
        )
        candidates = [one["color"] for one in series]
        return draws.pick(wordings).format(name), shade, (), candidates
    wordings = ("Which series is {}?", "What does {} stand for?", "Name the {} series.")
    return draws.pick(wordings).format(shade), name, (), names


def count(page, draws):
    labels, series = page.fields["labels"], page.fields["series"]
    if page.kind == "bars" and draws.chance(0.5):
        return "How many bars are there?", str(len(labels) * len(series))
    if draws.chance(0.4):
        return "How many series are there?", str(len(series))
    plural = {"city": "cities", "day": "days"}.get(noun_of(labels), noun_of(labels) + "s")
    return f"How many {plural} are shown?", str(len(labels))


def title(page, draws):
    wordings = ("What is the title of the chart?", "Read the title.", "What is the chart called?")
    found = [element for element in page.elements if element.role == "title"]
    return draws.pick(wordings), page.fields.get("title", NONE), found


def point(page, draws):
    s, _ = _pick_series(page, draws)
    labels = page.fields["labels"]
    i = draws.below(len(labels))
    found = page.get(f"series.{s}.values.{i}")
    others = [e for e in page.elements if e.name.startswith("series.") and ".values." in e.name]
    if page.kind == "bars":
        wordings = ("Locate the bar{of} for {x}.", "Where is the bar{of} for {x}?")
        answer, candidates = box_tokens(found.box), [box_tokens(e.box) for e in others]
    else:
        wordings = (
            "Point to the value{of} for {x}.",
            "Where on the chart is the value{of} for {x}?",
        )
        answer = location_tokens([found.center])
        candidates = [location_tokens([e.center]) for e in others]
    return draws.pick(wordings).format(of=_of(page, s), x=labels[i]), answer, [found], candidates


def trend(page, draws):
    s, column = _pick_series(page, draws)
    series, labels = page.fields["series"][s], page.fields["labels"]
    name = f"the line {series['name']}" if len(page.fields["series"]) > 1 else "the line"
    if draws.chance(0.5):
        a, b = sorted(_lexicon.several(draws, range(len(labels)), 2))
        if abs(column[a] - column[b]) < 0.05 * max(column):
            return None
        wordings = ("Does {n} rise or fall from {a} to {b}?", "From {a} to {b}, does {n} rise or "
                    "fall?")  # fmt: skip
        text = draws.pick(wordings).format(n=name, a=labels[a], b=labels[b])
        return text, "rises" if column[b] > column[a] else "falls", (), ("rises", "falls")
    course = trend_of(column)
    if course is None:
        return None
    wordings = ("What does {} do?", "What is the trend of {}?", "How does {} go?")
    return draws.pick(wordings).format(name), course, (), TRENDS


def trend_of(column: list[float]) -> str | None:
    """One of `TRENDS`, where every step of the line is clearly one way."""
    steps = [b - a for a, b in zip(column, column[1:])]
    if min(map(abs, steps)) < 0.02 * max(column):
        return None
    words = ["rises" if steps[0] > 0 else "falls"]
    for step in steps[1:]:
        word = "rises" if step > 0 else "falls"
        if word != words[-1]:
            words.append(word)
    text = ", then ".join(words)
    return text if text in TRENDS else None


def as_json(page, draws):
    s, _ = _pick_series(page, draws)
    series, labels = page.fields["series"][s], page.fields["labels"]
    of = f" of {series['name']}" if len(page.fields["series"]) > 1 else ""
    wordings = ("Give the values{} as JSON with the labels as keys.",
                'Return JSON{}: {{"label": value}}.')  # fmt: skip
    answer = {label: json.loads(text) for label, text in zip(labels, series["values"])}
    return draws.pick(wordings).format(of), json.dumps(answer, ensure_ascii=False)


# --- questions about pies -------------------------------------------------------------------------


def _share(piece: dict) -> int:
    return int(piece["value"].rstrip("%"))


def slice_value(page, draws):
    """Only where it is printed: nobody can tell 23 % from 25 % in a pie."""
    printed = {element.name: element for element in page.elements if element.role == "share"}
    pieces = page.fields["slices"]
    there = [i for i in range(len(pieces)) if f"slices.{i}.value" in printed]
    if not there:
        return None
    i = draws.pick(there)
    wordings = ("What is the share of {}?", "How large is the share of {}?", "What percentage is "
                "{}?")  # fmt: skip
    candidates = [piece["value"] for piece in pieces]
    text = draws.pick(wordings).format(pieces[i]["name"])
    return text, pieces[i]["value"], [printed[f"slices.{i}.value"]], candidates


def slice_largest(page, draws):
    pieces = page.fields["slices"]
    word, best = draws.pick((("largest", max), ("smallest", min)))
    shares = [_share(piece) for piece in pieces]
    i = shares.index(best(shares))
    if sum(abs(share - shares[i]) < 3 for share in shares) > 1:
        return None
    wordings = ("Which slice is the {}?", "What has the {} share?", "Name the {} slice.")
    names = [piece["name"] for piece in pieces]
    return draws.pick(wordings).format(word), names[i], [page.get(f"slices.{i}.name")], names


def _two_slices(page, draws, apart: int):
    pieces = page.fields["slices"]
    a, b = _lexicon.several(draws, range(len(pieces)), 2)
    if abs(_share(pieces[a]) - _share(pieces[b])) < apart:
        return None
    objects = [page.get(f"slices.{i}.name") for i in (a, b)]
    return pieces[a], pieces[b], objects


def slice_compare(page, draws):
    two = _two_slices(page, draws, 4)
    if not two:
        return None
    a, b, objects = two
    word, more = draws.pick((("larger", True), ("smaller", False)))
    wordings = ("Is {a} {w} than {b}?", "Is the slice of {a} {w} than that of {b}?")
    text = draws.pick(wordings).format(a=a["name"], b=b["name"], w=word)
    answer = "yes" if (_share(a) > _share(b)) == more else "no"
    return text, answer, objects, ("yes", "no")


def slice_difference(page, draws):
    printed = sum(element.role == "share" for element in page.elements)
    two = _two_slices(page, draws, 1)
    if not two or printed < len(page.fields["slices"]):
        return None
    a, b, objects = two
    text = f"What is the difference between {a['name']} and {b['name']}?"
    return text, f"{abs(_share(a) - _share(b))}%", objects


def slice_color(page, draws):
    pieces = page.fields["slices"]
    piece = draws.pick(pieces)
    if draws.chance(0.5):
        wordings = ("What color is {}?", "What color is the slice of {}?", "Which color has {}?")
        candidates = [one["color"] for one in pieces]
        return draws.pick(wordings).format(piece["name"]), piece["color"], (), candidates
    wordings = ("What is the {} slice?", "Which slice is {}?", "What does {} stand for?")
    candidates = [one["name"] for one in pieces]
    return draws.pick(wordings).format(piece["color"]), piece["name"], (), candidates


def slice_count(page, draws):
    wordings = ("How many slices are there?", "Count the slices.", "How many parts has the pie?")
    return draws.pick(wordings), str(len(page.fields["slices"]))


def slice_point(page, draws):
    pieces = page.fields["slices"]
    i = draws.below(len(pieces))
    found = [element for element in page.elements if element.role == "slice"]
    wordings = ("Point to the slice of {}.", "Where is the slice of {}?")
    candidates = [location_tokens([element.center]) for element in found]
    text = draws.pick(wordings).format(pieces[i]["name"])
    return text, location_tokens([found[i].center]), [found[i]], candidates


def slice_json(page, draws):
    printed = sum(element.role == "share" for element in page.elements)
    pieces = page.fields["slices"]
    if printed < len(pieces):
        return None
    wordings = ("Give the shares as JSON with the names as keys.",
                'Return JSON: {"name": "share"}.')  # fmt: skip
    answer = json.dumps({piece["name"]: piece["value"] for piece in pieces}, ensure_ascii=False)
    return draws.pick(wordings), answer


FRAMED = {
    "read": _reading.read, "title": title, "value": value, "largest": largest,
    "difference": difference, "compare": compare, "color": color, "count": count,
    "json": as_json,
}  # fmt: skip
BARS = Kind("bars", bar_facts, _plots.bars, FRAMED | {"locate": point}, blanks=False)
LINES = Kind(
    "lines", line_facts, _plots.lines, FRAMED | {"point": point, "trend": trend}, blanks=False
)
PIE = Kind(
    "pie",
    pie_facts,
    _plots.pie,
    {
        "read": _reading.read, "title": title, "value": slice_value, "largest": slice_largest,
        "difference": slice_difference, "compare": slice_compare, "color": slice_color,
        "count": slice_count, "json": slice_json, "point": slice_point,
    },
    blanks=False,
)  # fmt: skip
