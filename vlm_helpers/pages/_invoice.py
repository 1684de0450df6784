"""Invoices: who asks whom for how much, and by when."""

from __future__ import annotations

from vlm_helpers._draws import Draws
from vlm_helpers.pages import _lexicon, _reading, _receipt, fonts
from vlm_helpers.pages._canvas import Canvas
from vlm_helpers.pages._flow import Cell, Row, fit, height, write
from vlm_helpers.pages._kind import UNSEEN, Kind
from vlm_helpers.pages._stamp import stamp

LABELS = {
    "company": "company that sends the invoice",
    "street": "street of the sender",
    "city": "city of the sender",
    "number": "invoice number",
    "date": "date of the invoice",
    "due": "date by which it is to be paid",
    "client": "name of the client",
    "client_city": "city of the client",
    "subtotal": "subtotal",
    "tax": "tax",
    "total": "total",
    "iban": "account number",
}
SERVICES = tuple(
    "Web Design,Logo,Repair,Painting,Cleaning,Transport,Delivery,Catering,Printing,Photography,"
    "Consulting,Translation,Training,Installation,Gardening,Plumbing,Hosting,Software,Support,"
    "Copywriting,Rent,Storage,Insurance,Legal Advice,Accounting,Inspection,Spare Parts,Materials,"
    "Travel,Labor,Design Hours,Workshop,License,Maintenance,Furniture,Flowers,Cables,Monitor,"
    "Keyboard,Desk Lamp,Office Chair,Paper".split(",")
)


def facts(draws: Draws, split: str) -> dict:
    style = _lexicon.money_style(draws, plain=0.2)
    inner = style if draws.chance(0.3) else ("", style[1], "")
    when = draws.pick(_lexicon.DATE_STYLES)
    fields = {"company": _lexicon.company(draws), "street": _lexicon.street(draws)}
    fields |= {"city": _lexicon.city(draws)} if draws.chance(0.6) else {}
    fields |= {"number": _lexicon.code(draws), "date": _lexicon.date(draws, when)}
    fields |= {"due": _lexicon.date(draws, when)} if draws.chance(0.5) else {}
    fields["client"] = _lexicon.person(draws) if draws.chance(0.6) else _lexicon.company(draws)
    fields |= {"client_city": _lexicon.city(draws)} if draws.chance(0.6) else {}
    names = _lexicon.several(draws, SERVICES, draws.weighted((1, 2, 3, 4), (1, 4, 4, 2)))
    prices = [_lexicon.price(draws, draws.pick((20_000, 90_000, 400_000)), 900) for _ in names]
    counted = draws.chance(0.5)
    fields["items"] = [
        {"name": name}
        | ({"quantity": str(draws.weighted((1, 2, 3, 5, 8, 12), (5, 3, 2, 2, 1, 1)))}
           if counted else {})
        | {"price": _lexicon.money(cents, inner)}
        for name, cents in zip(names, prices)
    ]  # fmt: skip
    total = sum(prices)
    if draws.chance(0.7):
        tax = total * draws.pick((5, 7, 10, 19, 20, 21)) // 100
        fields["subtotal"] = _lexicon.money(total, inner)
        fields["tax"] = _lexicon.money(tax, inner)
        total += tax
    fields["total"] = _lexicon.money(total, style)
    if draws.chance(0.4):
        fields["iban"] = _lexicon.iban(draws)
    return fields


LAYOUTS = ("beside", "below")


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    layout = "upside down" if split == UNSEEN else draws.pick(LAYOUTS)
    font = fonts.pick(draws, split, "sans", "serif", "sans")
    crisp, ink = draws.chance(0.5), (draws.pick((10, 30, 50)),) * 3
    wanted = draws.weighted((8, 9, 10, 11, 12), (1, 3, 3, 2, 1))
    width = draws.weighted((288, 192), (3, 1))
    margin, stretch = draws.uniform(0.04, 0.07), draws.uniform(1, 1.3)
    paper = draws.pick(((255, 255, 255), (255, 255, 255), (252, 251, 247), (246, 248, 252)))
    words = {
        "title": draws.pick(("Invoice", "INVOICE", "Bill", "Invoice")),
        "number": draws.pick(("No.", "Invoice no.", "Invoice", "#")),
        "date": draws.pick(("Date", "Date:", "Issued")),
        "due": draws.pick(("Due", "Pay by", "Due date")),
        "client": draws.pick(("To:", "Bill to", "For", "Client")),
        "tax": draws.pick(("Tax", "VAT", "Sales tax")),
        "total": draws.pick(("Total", "TOTAL", "Amount due", "Balance due")),
        "iban": draws.pick(("IBAN", "Account", "IBAN:")),
    }
    header = draws.chance(0.6)
    rows = _rows(fields, layout, words, header, draws.pick(("line", "", "line")))
    page, size, edge = fit(rows, font, wanted, width, margin, crisp)
    room = page[1] - 2 * edge
    stretch = min(stretch, room / height(rows, size))
    canvas = Canvas(*page, paper, crisp)
    if draws.chance(0.3):  # a band of colour on top
        canvas.rect(0, 0, page[0], 3, draws.pick(((40, 80, 150), (190, 60, 50), (40, 130, 100))))
    write(canvas, rows, font, size, (edge, edge, page[0] - edge, page[1]), ink, stretch)
    stamp(canvas, draws, font)
    return canvas


def _rows(fields: dict, layout: str, words: dict, header: bool, rule: str) -> list[Row]:
    meta = [key for key in ("number", "date", "due") if key in fields]
    sender = [key for key in ("company", "street", "city") if key in fields]
    client = [key for key in ("client", "client_city") if key in fields]

    def line(key: str, **more) -> Row:
        bold = key == "company"
        cell = Cell(fields[key], 0, "l", key, bold=bold)
        if key not in words:
            return Row((cell,), **more)
        return Row((Cell(words[key]), Cell(fields[key], 0, "after", key)), **more)

    def pair(key: str, label: str, **more) -> list[Row]:
        if key not in fields:
            return []
        bold = key == "total"
        cells = (Cell(label, 0.5, "l", bold=bold), Cell(fields[key], 1, "r", key, bold=bold))
        return [Row(cells, **more)]

    title = Row((Cell(words["title"], 0, "l", "", "title", bold=True),), 1.5)
    if layout == "beside":
        head = []
        for i in range(max(len(sender), len(meta))):
            cells = []
            if i < len(sender):
                cells.append(Cell(fields[sender[i]], 0, "l", sender[i], bold=i == 0))
            if i < len(meta):
                cells += [Cell(words[meta[i]], 0.56, "l"),
                          Cell(fields[meta[i]], 1, "r", meta[i])]  # fmt: skip
            head.append(Row(tuple(cells)))
        head = [title, *head]
    else:
        head = [line(key) for key in sender] + [Row(title.cells, 1.5, 0.4)]
        head += [line(key) for key in meta]
    head += [line(key, above=0.5 if i == 0 else 0) for i, key in enumerate(client)]
    items = []
    counted = "quantity" in fields["items"][0]
    if header:
        cells = [Cell("Item", bold=True), Cell("Amount", 1, "r", bold=True)]
        if counted:
            cells.insert(1, Cell("Qty", 0.68, "r", bold=True))
        items.append(Row(tuple(cells), rule=rule))
    for i, item in enumerate(fields["items"]):
        cells = [Cell(item["name"], 0, "l", f"items.{i}.name"),
                 Cell(item["price"], 1, "r", f"items.{i}.price")]  # fmt: skip
        if counted:
            cells.insert(1, Cell(item["quantity"], 0.68, "r", f"items.{i}.quantity"))
        items.append(Row(tuple(cells), above=0.0 if i or header else 0.5))
    items[0] = Row(items[0].cells, 1, 0.5, items[0].rule)
    items[-1] = Row(items[-1].cells, 1, items[-1].above, rule or items[-1].rule)
    sums = pair("subtotal", "Subtotal") + pair("tax", words["tax"]) + pair("total", words["total"])
    foot = [line("iban", above=0.5)] if "iban" in fields else []
    if layout == "upside down":
        first = [Row(title.cells, 1.5), *(line(key) for key in client), *items, *sums]
        last = [*(line(key) for key in meta), *foot, *(line(key) for key in sender)]
        return [*first, Row(last[0].cells, above=0.6), *last[1:]]
    return [*head, *items, *sums, *foot]


KIND = Kind(
    "invoice",
    facts,
    draw,
    _reading.PAPER
    | {key: _receipt.KIND.skills[key] for key in ("total", "price", "count")}
    | {"exists": _receipt.exists_on("invoice", lambda page: SERVICES)}
    | _reading.about_fields("invoice", LABELS),
    paper=True,
    blanks=False,
)
