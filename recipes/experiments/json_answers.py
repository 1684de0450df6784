"""Is the JSON that pocket-llava-next gives of a page valid, complete, right; and where is it wrong?

Pages of the split "test", two sets of them; a row an answer. What is asked for (`asked`, in the
words of `REQUESTS`): of a receipt shop, date and total by their "keys", the same keys in "another
order", and the same by a "template" that shows the keys with their types; of the same receipts, by
a template, the total and the "list" of items, each with name and price; of a "form" the title, the
name and the first other entry that is filled in. All five are wordings of its training. Receipts
without a date, or with quantities, are left out.

`json`: it is JSON, and no key stands twice in an object. `valid`: it fits the schema, but for keys
that are missing. `complete`: no key of the schema and no item is missing. `right`: all that, and
each text as on the page. `leaves`: the share of texts that are right in their place, of those of
the truth and of the answer together (0 where it is no JSON). `fault` is the first of: "no JSON",
"key twice", "not the schema" (mostly another key), "key missing" (or an item). `wrong`: keys with
another text than the page's, items without their numbers ("items" alone: an item too many).

Of a list: `said` items, where `items` are on the receipt; `names` and `pairs`: the share of its
names, and of its names with their prices, that the answer has in whatever place (empty where there
is no list). Of the page: its `tiles` without the overview, its `lines` of text, and how many pixels
high the smallest text asked for is (`print`).

Two floors. `grey_`: the model's answer about a grey picture of the same size. `common_`: the
commonest text of each key in the set (of a list the commonest length, and for each place the
commonest name and price): it knows the truths.

In training, lists were asked for as JSON where they had at most 220 characters: five items or so.
The words were chosen after a look at 48 other pages of each kind, for being far apart.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from PIL import Image

import vlm_helpers as vh
from recipes.experiments import _asking
from recipes.rewards import share

EACH = 150  # pages in a set
SETS = (86_000, 87_000)  # first seeds
REQUESTS = {
    "keys": "Give the receipt as JSON with the keys shop, date and total.",
    "another order": "Give the receipt as JSON with the keys total, shop and date.",
    "template": 'Return JSON of this form: {"shop": string, "date": string, "total": string}',
    "list": 'Return JSON of this form: {"total": string, "items": [{"name": string, '
    '"price": string}]}',
    "form": "Give the form as JSON with the keys title, name and {}.",
}
TOKENS = {"list": 300}  # at most; else 80: the longest truths have 266 and 61
TEXT = {"type": "string"}
ITEM = {"name": TEXT, "price": TEXT}


def settings() -> list[dict]:
    return [{"asked": asked, "first_seed": seed} for asked in REQUESTS for seed in SETS]


def keys(page, asked: str) -> tuple[str, ...]:
    """What is asked for; nothing where the page is left out."""
    if asked == "form":
        filled = [key for key, text in page.fields.items() if text and key != "boxes"]
        return tuple(filled[:3]) if len(filled) > 2 else ()
    plain = page.fields["items"][0].keys() == ITEM.keys() and "date" in page.fields
    wanted = ("total", "items") if asked == "list" else ("shop", "date", "total")
    return wanted if plain else ()


def pages(asked: str, first_seed: int) -> list[tuple]:
    """Each page with the keys that are asked for."""
    kind = "form" if asked == "form" else "receipt"
    drawn = (vh.pages.sample(s, "test", kind=kind) for s in itertools.count(first_seed))
    found = ((page, wanted) for page in drawn if (wanted := keys(page, asked)))
    return list(itertools.islice(found, EACH))


def closed(properties: dict) -> dict:
    """The schema of an object with just these keys."""
    return {"type": "object", "required": [*properties], "additionalProperties": False,
            "properties": properties}  # fmt: skip


def schema(wanted: Sequence[str]) -> dict:
    special = {"total": TEXT | {"pattern": r"\d[.,]\d\d"},
               "items": {"type": "array", "items": closed(ITEM)}}  # fmt: skip
    return closed({key: special.get(key, TEXT) for key in wanted})


def leaves(value, path: str = "") -> Iterator[tuple[str, str]]:
    """Each path such as "items.0.price" with what stands there, as JSON."""
    if isinstance(value, dict | list) and value:
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from leaves(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(value)


def commonest(truths: list[dict]) -> dict:
    """Of each key the commonest value; of a list the commonest length, and so on at each place."""
    values = defaultdict(list)
    for truth in truths:
        for key, value in truth.items():
            values[key].append(value)
    found = {}
    for key, some in values.items():
        if isinstance(some[0], list):
            length = Counter(map(len, some)).most_common(1)[0][0]
            at = [[one[n] for one in some if len(one) > n] for n in range(length)]
            found[key] = [commonest(one) for one in at]
        else:
            found[key] = Counter(some).most_common(1)[0][0]
    return found


def fault(answer: str, read) -> str:
    if read.value is None:
        try:
            json.loads(answer)
        except ValueError:
            return "no JSON"
        return "key twice"  # which Python takes
    if read.faults:
        return "not the schema"
    return "" if read.complete else "key missing"


def judged(answer: str, truth: dict) -> dict:
    """What there is to say of an answer."""
    read = vh.evaluation.json_answer(answer, schema([*truth]), truth)
    agreed = share(dict(leaves(read.value)), dict(leaves(truth))) if read.value else 0.0
    wrong = (re.sub(r"\.\d+", "", path) for path in read.wrong)
    return {
        "json": int(read.value is not None), "valid": int(read.valid),
        "complete": int(read.complete), "right": int(read.right), "leaves": round(agreed, 4),
        "fault": fault(answer, read), "wrong": " ".join(dict.fromkeys(wrong)),
    } | listed(read.value, truth)  # fmt: skip


def listed(value, truth: dict) -> dict:
    """Of a list of items how long it is, and what it has in whatever place."""
    items = value.get("items") if isinstance(value, dict) else None
    if "items" not in truth or not isinstance(items, list):
        return {"said": None, "names": None, "pairs": None}
    said = [one for one in items if isinstance(one, dict)]
    there = {
        "names": [one["name"] in [other.get("name") for other in said] for one in truth["items"]],
        "pairs": [one in said for one in truth["items"]],
    }
    shares = {name: round(sum(found) / len(found), 4) for name, found in there.items()}
    return {"said": len(items)} | shares


def answers(asked: Sequence[tuple], most: int) -> list[str]:
    """What the model answers to each (picture, question); what is asked twice is asked once."""
    once = {(id(picture), text): picture for picture, text in asked}
    shown = _asking.Shown([*once.values()], _asking.model("pocket-llava-next"))
    said = shown.ask([(n, text) for n, (_, text) in enumerate(once)], most=most)
    found = dict(zip(once, (answer for answer, _ in said), strict=True))
    return [found[id(picture), text] for picture, text in asked]


def run(asked: str, first_seed: int) -> list[dict]:
    drawn, most = pages(asked, first_seed), TOKENS.get(asked, 80)
    truths = [{key: page.fields[key] for key in wanted} for page, wanted in drawn]
    texts = [REQUESTS[asked].format(wanted[-1]) if asked == "form" else REQUESTS[asked]
             for _, wanted in drawn]  # fmt: skip
    sizes = {page.size for page, _ in drawn}
    grey = {size: Image.new("RGB", size, _asking.GREY) for size in sizes}
    said = answers([(page.image, text) for (page, _), text in zip(drawn, texts)], most)
    blind = answers([(grey[page.size], text) for (page, _), text in zip(drawn, texts)], most)
    common = commonest(truths)
    rows = []
    for (page, _), truth, answer, unseen in zip(drawn, truths, said, blind, strict=True):
        floor = json.dumps({key: common[key] for key in truth})
        floors = {"grey": judged(unseen, truth), "common": judged(floor, truth)}
        named = dict(leaves(truth))
        rows.append({
            "seed": page.seed, **judged(answer, truth),
            "items": len(page.fields["items"]) if asked == "list" else None,
            "tiles": page.size[0] * page.size[1] // _asking.TILE**2, "lines": len(page.lines),
            "print": min(element.size for element in page.elements if element.name in named),
            **{f"{name}_{what}": one[what] for name, one in floors.items()
               for what in ("valid", "right", "leaves")},
        })  # fmt: skip
    return rows
