"""Receipts.

A prior on purpose, as in life: the total is mostly the sum of the items. In one receipt of five
(`ODD_SUM`) another amount is printed: whoever adds up, or takes the largest number, is wrong there.
"""

from __future__ import annotations

from vlm_helpers._draws import Draws
from vlm_helpers.pages import _lexicon, _reading, fonts
from vlm_helpers.pages._canvas import Canvas
from vlm_helpers.pages._flow import Cell, Row, fit, height, write
from vlm_helpers.pages._kind import UNSEEN, Kind
from vlm_helpers.pages._stamp import stamp

ODD_SUM = 0.2

LABELS = {
    "shop": "name of the shop",
    "address": "address",
    "city": "city",
    "phone": "phone number",
    "date": "date",
    "time": "time",
    "number": "receipt number",
    "subtotal": "subtotal",
    "discount": "discount",
    "tax": "tax",
    "total": "total",
    "payment": "way of payment",
    "cash": "cash given",
    "change": "change",
}


def facts(draws: Draws, split: str) -> dict:
    theme = draws.pick(tuple(_lexicon.SHOPS))
    style = _lexicon.money_style(draws)
    inner = style if draws.chance(0.4) else ("", style[1], "")  # most items show no currency
    fields: dict = {"shop": _lexicon.shop(draws, theme)}
    for key, share, make in (
        ("address", 0.45, _lexicon.street), ("city", 0.4, _lexicon.city),
        ("phone", 0.3, _lexicon.phone), ("date", 0.9, _lexicon.date), ("time", 0.4, _lexicon.clock),
        ("number", 0.45, _lexicon.code),
    ):  # fmt: skip
        if draws.chance(share):
            fields[key] = make(draws)
    n = draws.weighted((2, 3, 4, 5, 6, 7), (1, 3, 4, 4, 3, 2))
    names = _lexicon.several(draws, _lexicon.SHOPS[theme][1], n)
    prices = [_lexicon.price(draws, draws.pick((900, 3000, 9000))) for _ in names]
    counted = draws.chance(0.3)
    fields["items"] = [
        {"name": name}
        | ({"quantity": str(draws.weighted((1, 2, 3, 4, 6, 12), (9, 4, 2, 1, 1, 1)))}
           if counted else {})
        | {"price": _lexicon.money(cents, inner)}
        for name, cents in zip(names, prices)
    ]  # fmt: skip
    total = subtotal = sum(prices)  # a price is that of its whole row
    extra = draws.weighted(("", "tax", "discount", "included"), (5, 2, 1.5, 2))
    if extra in ("tax", "discount"):
        fields["subtotal"] = _lexicon.money(subtotal, inner)
        change = subtotal * draws.pick((5, 7, 8, 10, 19, 20)) // 100
        total = subtotal + change if extra == "tax" else subtotal - change
        fields[extra] = _lexicon.money(change if extra == "tax" else -change, inner)
    if draws.chance(ODD_SUM):
        total = _lexicon.price(draws, draws.pick((900, 3000, 9000, 20000)))
    if extra == "included":
        fields["tax"] = _lexicon.money(total * draws.pick((7, 10, 19, 20)) // 120, inner)
    fields["total"] = _lexicon.money(total, style)
    if draws.chance(0.5):
        fields["payment"] = draws.pick(("Cash", "Card", "Visa", "Debit", "Credit", "Voucher"))
        if fields["payment"] == "Cash" and draws.chance(0.7):
            note = draws.pick((500, 1000, 2000, 5000))
            cash = total + -total % note
            fields |= {"cash": _lexicon.money(cash, inner),
                       "change": _lexicon.money(cash - total, inner)}  # fmt: skip
    if draws.chance(0.5):
        fields["footer"] = draws.pick(
            ("Thank you!", "Have a nice day", "Come again!", "No returns", "Keep this receipt",
             "See you soon", "Thanks for your visit", "You were served by "
             + draws.pick(_lexicon.FIRST_NAMES))
        )  # fmt: skip
    return fields


# Layouts for training, and one that only the split of unseen styles has.
LAYOUTS = ("centered", "left", "boxed")
WIDTHS = (192, 96, 288)


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    layout = "total first" if split == UNSEEN else draws.pick(LAYOUTS)
    font = fonts.pick(draws, split, "mono", "sans", "serif")
    crisp = draws.chance(0.6)
    wanted = draws.weighted((7.5, 8.5, 9.5, 10.5, 11.5, 13), (0.6, 1.5, 3, 3, 2, 1))
    paper_width = draws.weighted(WIDTHS, (6, 1.5, 1))
    stretch, ink = draws.uniform(1, 1.35), draws.pick((15, 30, 45, 80))
    paper = draws.pick(((255, 255, 255), (252, 251, 246), (247, 247, 247), (250, 244, 230)))
    rules = draws.pick((("", ""), ("dash", "dash"), ("line", "line"), ("dash", "double")))
    words = {
        "total": draws.pick(("Total", "TOTAL", "Total:", "Amount due", "To pay", "Sum")),
        "date": draws.pick(("Date", "Date:", "")),
        "number": draws.pick(("No.", "Receipt", "Receipt no.", "#", "Order")),
        "phone": draws.pick(("Tel.", "Phone", "")),
        "tax": draws.pick(("Tax", "VAT", "incl. VAT" if "subtotal" not in fields else "Sales tax")),
        "payment": draws.pick(("Paid by", "Payment", "Paid:")),
    }
    large_total = draws.pick((1.0, 1.0, 1.25, 1.5))
    rows = _rows(fields, layout, words, rules, large_total)
    margin, shift, taller = draws.uniform(0.04, 0.08), draws.uniform(0.2, 0.8), draws.chance(0.2)
    (width, height_), size, edge = fit(rows, font, wanted, paper_width, margin, crisp, taller)
    room = height_ - 2 * edge
    canvas = Canvas(width, height_, paper, crisp)
    stretch = min(stretch, room / height(rows, size))
    top = edge + shift * (room - stretch * height(rows, size))
    if layout == "boxed":
        canvas.rect(2, 2, width - 2, height_ - 2, outline=(ink + 60,) * 3)
    write(canvas, rows, font, size, (edge, top, width - edge, height_), (ink,) * 3, stretch)
    stamp(canvas, draws, font)
    return canvas


def _rows(fields, layout, words, rules, large_total) -> list[Row]:
    side = ("m", 0.5) if layout in ("centered", "boxed") else ("l", 0.0)

    def single(key: str, **more) -> list[Row]:
        if key not in fields:
            return []
        anchor, at = side
        label = words.get(key, "")
        value = Cell(fields[key], at, anchor, key)
        if not label:
            return [Row((value,), **more)]
        return [Row((Cell(label, at, anchor), Cell(fields[key], 0, "after", key)), **more)]

    def pair(key: str, label: str, **more) -> list[Row]:
        if key not in fields:
            return []
        bold = key == "total"
        return [Row((Cell(label, bold=bold), Cell(fields[key], 1, "r", key, bold=bold)), **more)]

    anchor, at = side
    name = Cell(fields["shop"], at, anchor, "shop", "title", bold=True)
    head = [Row((name,), 1.2)]
    for key in ("address", "city", "phone"):
        head += single(key)
    when = [key for key in ("date", "time") if key in fields]
    meta = single("number")
    if len(when) == 2 and not words["date"]:
        meta.append(
            Row((Cell(fields["date"], 0, "l", "date"), Cell(fields["time"], 1, "r", "time")))
        )
    else:
        for key in when:
            meta += single(key)
    items = []
    for i, item in enumerate(fields["items"]):
        cells = []
        if "quantity" in item:
            cells.append(Cell(item["quantity"], 0, "l", f"items.{i}.quantity"))
        cells.append(Cell(item["name"], 0, "after" if cells else "l", f"items.{i}.name"))
        if layout == "total first":
            price = Cell(item["price"], 0, "l", f"items.{i}.price")
            cells = [price, *[Cell(c.text, 0, "after", c.name) for c in cells]]
        else:
            cells.append(Cell(item["price"], 1, "r", f"items.{i}.price"))
        items.append(Row(tuple(cells)))
    sums = pair("subtotal", "Subtotal") + pair("discount", "Discount")
    included = "subtotal" not in fields
    tax = pair("tax", words["tax"])
    total = pair("total", words["total"], scale=large_total)
    paid = pair("payment", words["payment"]) + pair("cash", "Cash") + pair("change", "Change")
    foot = single("footer", above=0.5)
    if layout == "total first":
        groups = [head, total, items, sums + tax, paid, meta, foot]
    else:
        groups = [head, meta, items, sums + ([] if included else tax) + total
                  + (tax if included else []) + paid, foot]  # fmt: skip
    rows: list[Row] = []
    for number, group in enumerate(g for g in groups if g):
        rule = rules[min(number, 1)]
        if rows and rule and number in (1, 2, 3):
            last = rows[-1]
            rows[-1] = Row(last.cells, last.scale, last.above, rule)
        elif rows:
            group = [Row(group[0].cells, group[0].scale, 0.5, group[0].rule), *group[1:]]
        rows += group
    return rows


# --- questions ------------------------------------------------------------------------------------


def _amounts(page) -> list[str]:
    return [
        element.text for element in page.elements
        if element.name in ("subtotal", "discount", "tax", "total", "cash", "change")
        or element.name.endswith(".price")
    ]  # fmt: skip


def total(page, draws):
    wordings = ("What is the total?", "How much is it in total?", "Read the total.",
                "How much was to pay?")  # fmt: skip
    return draws.pick(wordings), page.fields["total"], [page.get("total")], _amounts(page)


def price(page, draws):
    single = _reading.alone([item["name"] for item in page.fields["items"]])
    if not single:
        return None
    number = draws.pick(single)
    item = page.fields["items"][number]
    wordings = ("What does {} cost?", "What is the price of {}?", "How much is {}?",
                "Read the price of {}.")  # fmt: skip
    objects = [page.get(f"items.{number}.{key}") for key in ("name", "price")]
    return draws.pick(wordings).format(item["name"]), item["price"], objects, _amounts(page)


def exists_on(noun: str, pool):
    """The skill "exists" of a page with items; pool(page) gives names that could be there."""

    def exists(page, draws):
        names = [item["name"] for item in page.fields["items"]]
        other = [name for name in pool(page) if name not in names]
        name = draws.pick(names if draws.chance(0.5) or not other else other)
        wordings = ("Is {} on the {noun}?", "Does the {noun} list {}?", "Is {} among the items?")
        found = [page.get(f"items.{names.index(name)}.name")] if name in names else []
        answer = "yes" if name in names else "no"
        return draws.pick(wordings).format(name, noun=noun), answer, found, ("yes", "no")

    return exists


def same_shop(page) -> tuple[str, ...]:
    """What a shop that sells one of the page's items sells."""
    names = {item["name"] for item in page.fields["items"]}
    return next((items for _, items in _lexicon.SHOPS.values() if names & set(items)), ())


def count(page, draws):
    wordings = ("How many items are listed?", "Count the items.", "How many items are there?")
    return draws.pick(wordings), str(len(page.fields["items"]))


KIND = Kind(
    "receipt",
    facts,
    draw,
    _reading.PAPER
    | {"total": total, "price": price, "exists": exists_on("receipt", same_shop), "count": count}
    | _reading.about_fields("receipt", LABELS),
    paper=True,
    blanks=False,
)
