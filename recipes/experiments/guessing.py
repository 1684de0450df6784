"""Does pocket-llava-next read an amount, or does it guess what is likely to stand there?

Receipts of the split "test" whose total is larger than every price, asked twice. *total*: as drawn,
then with the total and the largest price exchanged, so that the largest amount stands in the row of
an item. *price*: as drawn, then with the names of the first two items exchanged: the price asked
for stands in another row. The look of the page stays as it is. `said` sorts the answers by their
amount: "what stands there", "what stood there" (before the change), "the largest" (of the other
amounts), "another amount" of the page, "no amount of the page". Three sets of other pages.
"""

from __future__ import annotations

import re

import vlm_helpers as vh
from recipes.experiments import _asking

EACH = 30  # receipts in a set
SETS = (70_000, 71_000, 72_000)  # first seeds
NUMBER = re.compile(r"\d[\d.,']*\d")  # of an amount, without its currency
amount = vh.evaluation.written_number


def settings() -> list[dict]:
    return [
        {"asked": asked, "page": page, "first_seed": seed}
        for asked in ("total", "price") for page in ("as drawn", "changed") for seed in SETS
    ]  # fmt: skip


def changed(page, asked: str):
    """The page with total and largest price exchanged, or the names of its first two items."""
    items = page.fields["items"]
    if asked == "price":
        page = page.with_field("items.0.name", items[1]["name"])
        return page.with_field("items.1.name", items[0]["name"])
    most = max(range(len(items)), key=lambda i: amount(items[i]["price"]))
    total, price = page.fields["total"], items[most]["price"]
    page = page.with_field("total", NUMBER.sub(NUMBER.search(price)[0], total))
    return page.with_field(f"items.{most}.price", NUMBER.sub(NUMBER.search(total)[0], price))


def receipts(first_seed: int) -> list:
    """Receipts whose total is above all prices, of items with names and prices of their own."""
    found, seed = [], first_seed
    while len(found) < EACH:
        page, seed = vh.pages.sample(seed, "test", kind="receipt"), seed + 1
        names, prices = ([item[key] for item in page.fields["items"]] for key in ("name", "price"))
        own = len(set(names)) == len(names) and prices[0] != prices[1]
        if own and amount(page.fields["total"]) > max(map(amount, prices)):
            found.append(page)
    return found


def stands(page, asked: str, name: str) -> str:
    """The total, or the price of the item of that name."""
    if asked == "total":
        return page.fields["total"]
    return next(item["price"] for item in page.fields["items"] if item["name"] == name)


def run(asked: str, page: str, first_seed: int) -> list[dict]:
    drawn = receipts(first_seed)
    shown = [changed(one, asked) for one in drawn] if page == "changed" else drawn
    names = [one.fields["items"][0]["name"] for one in drawn]
    questions = [
        "What is the total?" if asked == "total" else f"What does {name} cost?" for name in names
    ]  # fmt: skip
    pictures = [one.image for one in shown]
    vlm = _asking.model("pocket-llava-next")
    answers = vlm.ask(pictures, questions, batch_size=10, max_new_tokens=16)
    return [
        {"seed": now.seed, "said": sort(answer, stands(now, asked, name),
                                        stands(before, asked, name), now)}
        for answer, now, before, name in zip(answers, shown, drawn, names)
    ]  # fmt: skip


def sort(answer: str, here: str, before: str, page) -> str:
    """What an answer is: what stands on the page, what stood there before, or what else."""
    said = amount(answer)
    if said == amount(here):
        return "what stands there"
    prices = [item["price"] for item in page.fields["items"]]
    others = [amount(text) for text in (*prices, page.fields["total"]) if text != here]
    if said == max(others):
        return "the largest"
    if said == amount(before):
        return "what stood there"
    return "another amount" if said in others else "no amount of the page"
