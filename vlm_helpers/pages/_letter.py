"""Short letters. What matters in them (a day, a place, an amount) stands within a sentence."""

from __future__ import annotations

import re

from vlm_helpers._draws import Draws
from vlm_helpers.pages import _lexicon, _reading, fonts
from vlm_helpers.pages._canvas import Canvas
from vlm_helpers.pages._flow import Cell, Row, fit, height, write
from vlm_helpers.pages._kind import UNSEEN, Kind
from vlm_helpers.pages._stamp import stamp
from vlm_helpers.pages._table import WEEKDAYS

LABELS = {
    "sender": "name of the sender",
    "recipient": "name of the recipient",
    "date": "date of the letter",
    "subject": "subject",
    "event": "event",
    "day": "day",
    "time": "time",
    "place": "place",
    "number": "number",
    "arrival": "date of arrival",
    "gift": "gift",
    "amount": "amount",
    "deadline": "deadline",
    "thing": "item",
    "phone": "phone number",
    "quantity": "quantity",
    "city": "city",
    "start": "first day",
    "month": "month",
}


def _goods(draws: Draws) -> str:
    return draws.pick(draws.pick(tuple(_lexicon.SHOPS.values()))[1]).lower()


def _day(draws: Draws) -> str:
    return draws.pick(WEEKDAYS) if draws.chance(0.5) else _lexicon.date(draws, "day")


PLACES = (
    "the library", "the park", "room 12", "room 204", "the town hall", "the cafe", "my garden",
    "the museum", "the old mill", "the main hall", "our office", "the station", "the harbor",
    "the school", "the gym", "the church",
)  # fmt: skip
MAKERS = {
    "event": lambda d: d.pick(("meeting", "concert", "picnic", "workshop", "wedding", "talk",
                               "dinner", "party", "tour", "exam", "play", "market")),
    "day": _day, "time": _lexicon.clock, "place": lambda d: d.pick(PLACES),
    "number": _lexicon.code, "arrival": _day, "gift": _goods, "thing": _goods,
    "amount": lambda d: _lexicon.money(_lexicon.price(d, 90_000, 500), _lexicon.money_style(d, 0)),
    "deadline": _day, "phone": _lexicon.phone, "quantity": lambda d: str(2 + d.below(60)),
    "city": lambda d: d.pick(_lexicon.CITIES), "start": _day,
    "month": lambda d: d.pick(_lexicon.MONTHS),
}  # fmt: skip
# The fields of a letter's sentence tell which one it is: each set of them is here once.
BODIES = (
    "Please come to the {event} on {day} at {time}. We meet in {place}.",
    "Your order {number} is late. It will arrive on {arrival}.",
    "Thank you for the {gift}. We took it with us to {city}.",
    "The rent for {month} is {amount}. Please pay it by {deadline}.",
    "We found your {thing} in {place}. Please call {phone} to get it back.",
    "I would like to order {quantity} pieces of {thing}. Please send them to {city}.",
    "The {thing} that I bought from you is broken. Please send me {amount} by {deadline}.",
    "I can start on {start}. You can reach me at {phone}.",
    "The {event} in {city} starts at {time}. Your seat is {number}.",
    "We need {quantity} chairs for the {event} in {place}.",
    "Your appointment is on {day} at {time}. Please bring {amount} in cash.",
    "I am moving to {city} in {month}. My new number is {phone}.",
)
BEFORE = ("", "", "I hope you are well.", "Thank you for your letter.", "Just a short note.")
AFTER = ("", "", "Please let me know.", "We look forward to it.", "Many thanks for your help.")
SUBJECTS = ("News", "Your letter", "A question", "Please read", "Reminder", "Good news",
            "Short note", "Request", "Change of plan", "Confirmation")  # fmt: skip
GREETINGS = ("Dear {}", "Dear {}", "Hello {}", "Hi {}", "Good morning {}")
CLOSINGS = (
    "Kind regards",
    "Best wishes",
    "Yours",
    "Yours sincerely",
    "See you soon",
    "Many thanks",
)
SLOT = re.compile(r"\{(\w+)\}")


def facts(draws: Draws, split: str) -> dict:
    fields = {"sender": _lexicon.person(draws), "recipient": _lexicon.person(draws)}
    fields |= {"date": _lexicon.date(draws)} if draws.chance(0.8) else {}
    fields |= {"subject": draws.pick(SUBJECTS)} if draws.chance(0.5) else {}
    return fields | {slot: MAKERS[slot](draws) for slot in SLOT.findall(draws.pick(BODIES))}


LAYOUTS = ("block", "date right", "letterhead")


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    layout = "sender last" if split == UNSEEN else draws.pick(LAYOUTS)
    by_hand = split != UNSEEN and draws.chance(0.3)
    font = fonts.pick(draws, split, *(("hand",) if by_hand else ("serif", "sans", "mono")))
    crisp = draws.chance(0.4)
    ink = draws.pick(((20, 20, 24), (40, 40, 46), (30, 40, 110) if by_hand else (60, 60, 60)))
    wanted = draws.weighted((9, 10, 11, 12, 14), (2, 3, 3, 2, 1)) + by_hand
    width = draws.weighted((192, 288), (1, 1))
    margin, stretch = draws.uniform(0.05, 0.1), draws.uniform(1, 1.35)
    paper = draws.pick(((255, 255, 255), (252, 250, 244), (248, 244, 232), (244, 248, 252)))
    before, after = draws.pick(BEFORE), draws.pick(AFTER)
    greeting, closing = draws.pick(GREETINGS), draws.pick(CLOSINGS)
    comma = draws.pick((",", ","))
    slots = [key for key in fields if key in MAKERS]
    body = next(body for body in BODIES if SLOT.findall(body) == slots)
    text = " ".join(part for part in (before, body, after) if part)

    def rows(inner: float, size: float) -> list[Row]:
        sender = Cell(fields["sender"], 0, "l", "sender", bold=layout == "letterhead")
        if layout == "letterhead":
            sender = Cell(sender.text, 0.5, "m", "sender", bold=True)
        top = [Row((sender,), 1.15 if layout == "letterhead" else 1,
                   rule="line" if layout == "letterhead" else "")]  # fmt: skip
        date = []
        if "date" in fields:
            right = layout == "date right"
            date = [Row((Cell(fields["date"], *((1, "r") if right else (0, "l")), "date"),),
                        above=0.4)]  # fmt: skip
        subject = []
        if "subject" in fields:
            subject = [Row((Cell(fields["subject"], 0, "l", "subject", bold=True),), above=0.4)]
        start, end = greeting.split("{}")
        hello = Row((Cell(start.strip()), Cell(fields["recipient"], 0, "after", "recipient"),
                     Cell(end + comma, 0, "after", join="")), above=0.6)  # fmt: skip
        lines = wrapped(text, fields, inner, font, size, crisp)
        paragraph = [Row(cells, above=0.3 if i == 0 else 0) for i, cells in enumerate(lines)]
        bye = Row((Cell(closing + (comma if layout == "sender last" else "")),), above=0.6)
        if layout == "sender last":
            signature = Row((Cell(fields["sender"], 0, "l", "sender"),))
            return [*subject, hello, *paragraph, bye, signature, *date]
        return [*top, *date, *subject, hello, *paragraph, bye]

    page, size, edge = fit(rows, font, wanted, width, margin, crisp)
    written = rows(page[0] - 2 * edge, size)
    stretch = min(stretch, (page[1] - 2 * edge) / height(written, size))
    canvas = Canvas(*page, paper, crisp)
    write(canvas, written, font, size, (edge, edge, page[0] - edge, page[1]), ink, stretch)
    stamp(canvas, draws, font)
    return canvas


def wrapped(
    text: str, fields: dict, width: float, font: str, size: float, crisp: bool
) -> list[tuple[Cell, ...]]:
    """The cells of each line of a paragraph; what stands for a "{slot}" is never broken."""
    size = round(2 * size) / 2
    words: list[list[Cell]] = []
    for word in re.sub(r"\s+", " ", text).split(" "):
        slot = SLOT.search(word)
        if not slot:
            words.append([Cell(word, 0, "after")])
            continue
        before, after = word[: slot.start()], word[slot.end() :]
        pieces = [(before, ""), (fields[slot[1]], slot[1]), (after, "")]
        cells = [Cell(piece, 0, "after", name, join="") for piece, name in pieces if piece]
        words.append([Cell(cells[0].text, 0, "after", cells[0].name), *cells[1:]])
    gap = fonts.advance(font, size, crisp, " ")
    lines: list[list[Cell]] = [[]]
    end = 0.0
    for word in words:
        wide = sum(fonts.width(cell.text, font, size, crisp) for cell in word)
        if lines[-1] and end + gap + wide > width:
            lines.append([])
        end = end + gap + wide if lines[-1] else wide
        line = lines[-1]
        if line and not (line[-1].name or word[0].name):  # plain words go on as one cell
            line[-1] = Cell(f"{line[-1].text} {word[0].text}", 0, line[-1].anchor,
                            join=line[-1].join)  # fmt: skip
        else:
            line += word
    return [
        tuple(Cell(cell.text, 0, "after" if i else "l", cell.name, join=cell.join)
              for i, cell in enumerate(line))
        for line in lines
    ]  # fmt: skip


KIND = Kind(
    "letter",
    facts,
    draw,
    _reading.PAPER | _reading.about_fields("letter", LABELS),
    paper=True,
    blanks=False,
)
