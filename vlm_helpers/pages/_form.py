"""Forms that somebody has filled in: printed labels, written values, boxes to tick."""

from __future__ import annotations

from vlm_helpers._draws import Draws
from vlm_helpers._questions import NONE, box_tokens
from vlm_helpers._words import listed
from vlm_helpers.pages import _lexicon, _reading, fonts
from vlm_helpers.pages._canvas import Canvas
from vlm_helpers.pages._kind import SIZES, UNSEEN, Kind
from vlm_helpers.pages._stamp import stamp

BLANK = 0.1  # the share of entries that nobody filled in

LABELS = {
    "title": "title",
    "name": "name",
    "street": "street",
    "city": "city",
    "phone": "phone number",
    "email": "email address",
    "born": "date of birth",
    "number": "number",
    "company": "company",
    "arrival": "date of arrival",
    "room": "room",
    "date": "date",
    "guests": "number of guests",
}
PRINTED = {
    "name": ("Name", "Full name", "Your name"),
    "street": ("Street", "Address"),
    "city": ("City", "Town", "City / Zip"),
    "phone": ("Phone", "Tel.", "Phone no."),
    "email": ("Email", "E-mail"),
    "born": ("Date of birth", "Born", "Birthday"),
    "number": ("No.", "Member no.", "Card no.", "ID"),
    "company": ("Company", "Employer"),
    "arrival": ("Arrival", "Date of arrival"),
    "room": ("Room", "Room no."),
    "date": ("Date", "Today's date"),
    "guests": ("Guests", "Persons"),
}
MAKERS = {
    "name": _lexicon.person,
    "street": _lexicon.street,
    "city": _lexicon.city,
    "phone": _lexicon.phone,
    "born": _lexicon.date,
    "number": _lexicon.code,
    "company": _lexicon.company,
    "arrival": _lexicon.date,
    "room": lambda draws: str(1 + draws.below(420)),
    "date": _lexicon.date,
    "guests": lambda draws: str(1 + draws.below(9)),
}
# Titles, their entries after the name, and groups of boxes: with True exactly one is ticked.
FORMS = (
    (("Registration", "Sign up", "New account", "Membership"),
     ("street", "city", "phone", "email", "born", "number", "date"),
     (("Newsletter", "Terms read", "Student", "Over 18"), False)),
    (("Hotel card", "Check-in", "Guest card"),
     ("city", "phone", "arrival", "room", "guests", "company"),
     (("Breakfast", "Parking", "Late checkout", "Pet"), False)),
    (("Order form", "Delivery", "Order"), ("street", "city", "phone", "email", "number", "date"),
     (("Cash", "Card", "Invoice", "Transfer"), True)),
    (("Library card", "School trip", "Course"), ("born", "city", "phone", "number", "date", "room"),
     (("Swimming", "Vegetarian", "Own bike", "Insurance"), False)),
    (("Visitor pass", "Badge", "Entry pass"), ("company", "phone", "date", "room", "number"),
     (("Morning", "Afternoon", "Evening"), True)),
    (("Repair", "Service", "Return slip"), ("street", "phone", "email", "number", "date"),
     (("Refund", "Exchange", "Repair"), True)),
    (("Job application", "Volunteers"), ("street", "city", "born", "phone", "email", "company"),
     (("Weekends", "Nights", "Remote", "Driving license"), False)),
)  # fmt: skip


def facts(draws: Draws, split: str) -> dict:
    titles, entries, (boxes, one) = draws.pick(FORMS)
    fields: dict = {"title": draws.pick(titles), "name": _lexicon.person(draws)}
    for key in _lexicon.several(draws, entries, 2 + draws.below(3)):
        make = MAKERS.get(key) or (lambda d: _lexicon.email(d, fields["name"]))
        value = make(draws)
        fields[key] = "" if draws.chance(BLANK) else value
    boxes = _lexicon.several(draws, boxes, draws.weighted((2, 3, min(4, len(boxes))), (2, 4, 2)))
    chosen = draws.pick(boxes)
    states = {box: draws.chance(0.5) for box in boxes}
    fields["boxes"] = {
        box: "yes" if (box == chosen if one else states[box]) else "no" for box in boxes
    }
    return fields


# --- drawing --------------------------------------------------------------------------------------

LAYOUTS = ("underlined", "boxed", "aligned")
PENS = ((30, 50, 140), (20, 20, 30), (40, 40, 90), (60, 30, 90))


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    layout = "grid" if split == UNSEEN else draws.pick(LAYOUTS)
    font = fonts.pick(draws, split, "sans", "serif")
    by_hand = draws.chance(0.5)
    hand = font
    if split != UNSEEN:
        hand = fonts.pick(draws, split, "hand") if by_hand else fonts.pick(draws, split, "mono")
    crisp, pen = draws.chance(0.5), draws.pick(PENS)
    wanted = draws.weighted((8.5, 9.5, 10.5, 11.5, 13), (1, 3, 3, 2, 1))
    tick, across = draws.pick(("check", "cross", "filled")), draws.chance(0.4)
    paper = draws.pick(((255, 255, 255), (250, 250, 246), (244, 248, 244), (255, 250, 238)))
    printed = {key: draws.pick(PRINTED[key]) for key in PRINTED}
    colon = draws.pick((":", ""))
    order = draws.shuffled([size for size in SIZES if size[0] >= 192 and size[1] >= 192])
    ink = (draws.pick((20, 40, 60)),) * 3
    entries = [key for key in fields if key in PRINTED]
    pitch = 2.7 if layout == "boxed" else 2.0
    boxes = list(fields["boxes"])

    def wide(text: str, name: str, size: float) -> float:
        return fonts.width(text, name, round(2 * size) / 2, crisp)

    def label(key: str) -> str:
        return printed[key] + ("" if layout in ("boxed", "grid") else colon)

    def column(size: float) -> float:
        return max(wide(label(key), font, size) for key in entries) + 0.8 * size

    def need(size: float) -> tuple[float, float]:
        written = max(wide(fields[key], hand, 1.1 * size) for key in entries)
        options = [wide(box, font, size) + 2.2 * size for box in boxes]
        width = max(
            wide(fields["title"], fonts.bold(font), 1.4 * size), written + size
            + (0 if layout == "boxed" else column(size)), sum(options) if across else max(options),
        )  # fmt: skip
        rows = pitch * len(entries) + 1.7 * (1 if across else len(boxes))
        return width + 12, size * (2.6 + rows + 0.6) + 12

    size = wanted
    while not (fitting := [s for s in order if all(a <= b for a, b in zip(need(size), s))]):
        size -= 0.5
        if size < 6:
            raise ValueError("This form is too long for a page: shorten its texts.")
    page = min(fitting[:2], key=lambda s: s[0] * s[1])
    spread = min(1.35, (page[1] - 12) / (need(size)[1] - 12))
    canvas = Canvas(*page, paper, crisp)
    x0, x1, y = 7, page[0] - 7, 6.0
    canvas.text(x0, y, fields["title"], fonts.bold(font), 1.4 * size, ink, role="title",
                name="title")  # fmt: skip
    y += 2.4 * size
    grey = (150, 150, 150)
    line_height = pitch * size * spread
    for number, key in enumerate(entries):
        name, value = label(key), fields[key]
        if layout == "boxed":
            canvas.rect(x0 - 1, round(y), x1, round(y + line_height), outline=grey)
            canvas.text(x0 + 2, y + 3, name, font, 0.8 * size, ink, role="label")
            left, top = x0 + 3, y + line_height - 1.35 * size
        else:
            left, top = x0 + column(size), y + (line_height - size) / 2 + 0.15 * size
            if layout == "grid":
                canvas.rect(x0, round(y), round(left - 0.4 * size), round(y + line_height),
                            (232, 232, 228))  # fmt: skip
                canvas.rect(x0, round(y), x1, round(y + line_height) + 1, outline=grey)
                left += 0.2 * size
            start = left - 0.6 * size - wide(name, font, size) if layout == "aligned" else x0 + 2
            canvas.text(start, top, name, font, size, ink, role="label")
            if layout != "grid":
                base = round(top + 0.95 * size)
                canvas.line([(left - 2, base), (x1, base)], grey, dash=1 if number < 0 else None)
        if value:
            canvas.text(left, top - 0.1 * size, value, hand, 1.1 * size, pen, role="value",
                        name=key, join=True)  # fmt: skip
        y += line_height
    y += 0.7 * size
    x = float(x0)
    for box in boxes:
        side = max(6, round(0.85 * size))
        _box(canvas, (round(x), round(y), round(x) + side, round(y) + side), fields["boxes"][box],
             tick, ink, pen, f"boxes.{box}")  # fmt: skip
        end = canvas.text(round(x) + side + 0.4 * size, y + (side - 0.74 * size) / 2, box, font,
                          size, ink, role="option", join=across and box != boxes[0])[2]  # fmt: skip
        if across:
            x = end + 0.8 * size
        else:
            y += 1.7 * size * min(spread, 1.2)
    stamp(canvas, draws, font)
    return canvas


def _box(canvas: Canvas, box, state: str, tick: str, ink, pen, name: str) -> None:
    if state not in ("yes", "no"):
        raise ValueError(f"A box is ticked, 'yes', or not, 'no'; {state!r} is neither.")
    x0, y0, x1, y1 = box
    canvas.rect(x0, y0, x1, y1, (255, 255, 255), ink)
    canvas.element("checkbox", box, name=name)
    if state == "no":
        return
    side = x1 - x0
    if tick == "filled":
        canvas.rect(x0 + 2, y0 + 2, x1 - 2, y1 - 2, pen)
    elif tick == "cross":
        canvas.line([(x0 + 1, y0 + 1), (x1 - 1, y1 - 1)], pen, 1.6)
        canvas.line([(x1 - 1, y0 + 1), (x0 + 1, y1 - 1)], pen, 1.6)
    else:
        canvas.line([(x0 + 0.2 * side, y0 + 0.5 * side), (x0 + 0.45 * side, y1 - 0.15 * side),
                     (x1 + 0.1 * side, y0 - 0.05 * side)], pen, 1.7)  # fmt: skip


# --- questions ------------------------------------------------------------------------------------


def ticked(page, draws):
    boxes = page.fields["boxes"]
    box = draws.pick(tuple(boxes))
    wordings = ("Is the box {} ticked?", "Is {} ticked?", "Is {} checked?")
    objects = [page.get(f"boxes.{box}")]
    return draws.pick(wordings).format(box), boxes[box], objects, ("yes", "no")


def which_ticked(page, draws):
    boxes = page.fields["boxes"]
    state, word = draws.weighted((("yes", "ticked"), ("no", "not ticked")), (3, 1))
    names = [box for box in boxes if boxes[box] == state]
    wordings = ("Which boxes are {}?", "Name the boxes that are {}.")
    candidates = (*boxes, listed(boxes), NONE)
    objects = [page.get(f"boxes.{box}") for box in names]
    answer = listed(names) if names else NONE
    return draws.pick(wordings).format(word), answer, objects, (*candidates, answer)


def count(page, draws):
    boxes = page.fields["boxes"]
    if draws.chance(0.4):
        return "How many boxes are there to tick?", str(len(boxes))
    wordings = ("How many boxes are ticked?", "Count the ticked boxes.")
    return draws.pick(wordings), str(list(boxes.values()).count("yes"))


def locate_box(page, draws):
    box = draws.pick(tuple(page.fields["boxes"]))
    wordings = ("Where is the box for {}?", "Locate the box of {}.")
    found = page.get(f"boxes.{box}")
    others = [box_tokens(e.box) for e in page.elements if e.role == "checkbox"]
    return draws.pick(wordings).format(box), box_tokens(found.box), [found], others


KIND = Kind(
    "form",
    facts,
    draw,
    _reading.PAPER
    | _reading.about_fields("form", LABELS)
    | {"ticked": ticked, "which_ticked": which_ticked, "count": count, "locate_box": locate_box},
    paper=True,
)
