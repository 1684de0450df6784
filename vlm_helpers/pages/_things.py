"""Scenes of things: what stands together, and questions that tell seeing from expecting.

The prior is there on purpose, and documented in data/things/README.md: three pictures of four have
a theme, such as a kitchen, and each of its four core things stands in three of four of those.
"""

from __future__ import annotations

from collections import Counter
from functools import cache, lru_cache, partial

import numpy as np
from PIL import Image

from vlm_helpers._draws import Draws
from vlm_helpers._questions import NONE, box_tokens, location_tokens, multiple_choice
from vlm_helpers._words import article, did_you_mean, listed, several
from vlm_helpers.pages import _settings
from vlm_helpers.pages._canvas import Canvas
from vlm_helpers.pages._kind import UNSEEN, Kind
from vlm_helpers.pages.atlas import picture, proportions, things

NOWHERE = "none"  # the theme of a picture that has none
CORE = 0.75  # how often a core thing stands in a picture of its theme
FROM_THEME = 0.75  # of the further things; the others may be anything
FURTHER, FURTHER_WEIGHTS = (2, 3, 4, 5), (2, 2, 1, 1)
SEVERAL = 0.35  # the share of pictures with several things of one kind
MOST = 9  # things in a picture
ADVERSARIAL = 3  # so many of the absent things that fit best may be asked for


def facts(draws: Draws, split: str) -> dict:
    kind = draws.weighted(("theme", "mixed", "odd"), (15, 3, 2))
    theme, known = NOWHERE, things()
    if kind == "theme":
        theme = draws.pick(tuple(known.themes))
        others = known.themes[theme].others
        found = [name for name in known.themes[theme].core if draws.chance(CORE)]
        further = len(found) + draws.weighted(FURTHER, FURTHER_WEIGHTS)
        while len(found) < further:
            name = draws.pick(others if draws.chance(FROM_THEME) else known.names)
            if name not in found:
                found.append(name)
    elif kind == "mixed":
        found = draws.shuffled(known.names)[: 2 + draws.below(7)]
    else:
        found = _odd_lot(draws)
    if kind != "odd" and draws.chance(SEVERAL):
        again = [n for n in found if n not in known.single | known.plurals | known.stuff]
        if again:
            found += [draws.pick(again)] * min(1 + draws.below(3), MOST - len(found))
    return {"theme": theme, "things": draws.shuffled(found)}


def _odd_lot(draws: Draws) -> list[str]:
    """3 to 5 things of one group, and one that is certainly not of it."""
    known = things()
    clear = {g: [n for n in names if n not in known.also] for g, names in _members().items()}
    group = draws.pick([g for g, names in clear.items() if len(names) >= 5])
    other = draws.pick([g for g in clear if not {g, group} <= {"fruit", "vegetable", "food"}
                        and g != group])  # fmt: skip
    return draws.shuffled(clear[group])[: 3 + draws.below(3)] + [draws.pick(clear[other])]


@cache
def _members() -> dict[str, list[str]]:
    """Group: its things; "other" is no group."""
    found: dict[str, list[str]] = {}
    for name, group in things().groups.items():
        if group != "other":
            found.setdefault(group, []).append(name)
    return found


# --- the picture ----------------------------------------------------------------------------------

SHAPES, SHAPE_WEIGHTS = ((192, 192), (288, 192), (192, 288), (288, 288)), (2, 2, 2, 3)
SMALLEST, LARGEST = 32, 88  # the longer side of a thing, in pixels
FULL = 0.36  # the share of the picture that things may take up
GAP = 2  # pixels between two things, at least


def check(names: list[str]) -> None:
    """Whether a picture can show these; else a ValueError."""
    if not 1 <= len(names) <= MOST:
        raise ValueError(f"A picture shows 1 to {MOST} things, not {len(names)}.")
    alone = things().single | things().plurals | things().stuff
    for name, times in Counter(names).items():
        if times > 1 and name in alone:
            raise ValueError(f"A picture shows {name!r} once at most; it is named {times} times.")


def _known(names: list) -> list[str]:
    """The names, which must be things'."""
    for name in names:
        if not isinstance(name, str) or name not in things().icons:
            raise ValueError(f"There is no thing {name!r}; {did_you_mean(name, things().names)}")
    return names


def draw(fields: dict, draws: Draws, split: str) -> Canvas:
    known, style = things(), "fluent" if split == UNSEEN else "noto"
    names = _known(fields["things"])
    if fields["theme"] not in (NOWHERE, *known.themes):
        raise ValueError(
            f"There is no theme {fields['theme']!r}; "
            f"{did_you_mean(fields['theme'], (NOWHERE, *known.themes))}"
        )
    sides = [SMALLEST * (LARGEST / SMALLEST) ** draws.uniform(0, 1) for _ in names]
    width, height = draws.weighted(SHAPES, SHAPE_WEIGHTS)
    smaller = min(1.0, (FULL * width * height / sum(side * side for side in sides)) ** 0.5)
    sides = [max(SMALLEST, side * smaller) for side in sides]
    canvas = Canvas(width, height)
    theme = known.themes.get(fields["theme"])
    setting = theme.setting if theme else "plain"
    horizon = _settings.paint(canvas, setting, draws, split == UNSEEN)
    high = [name in known.sky for name in names]
    places = _places(sides, high, width, height, horizon, draws)
    mirrored = [draws.chance(0.5) and name not in known.still for name in names]
    for i in sorted(range(len(names)), key=lambda i: places[i][1] + places[i][2]):
        x, y, side = places[i]
        wide, tall = (max(1, round(side * part)) for part in proportions(names[i], style))
        x, y = round(x + (side - wide) / 2), round(y + side - tall)
        if horizon and not high[i]:
            deep = max(4, round(0.16 * wide))
            canvas.picture(x, y + tall - 0.6 * deep, wide, deep, _shadow)
        cut_out = partial(picture, names[i], style=style, mirrored=mirrored[i])
        canvas.picture(x, y, wide, tall, cut_out)
    for i, name in enumerate(names):  # in the order of the fields, whatever hides what
        x, y, side = places[i]
        wide, tall = (max(1, round(side * part)) for part in proportions(name, style))
        x, y = round(x + (side - wide) / 2), round(y + side - tall)
        canvas.element("thing", (x, y, x + wide, y + tall), name, f"things.{i}")
    return canvas


@lru_cache(maxsize=256)
def _shadow(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    dx, dy = (2 * x + 1) / width - 1, (2 * y + 1) / height - 1
    shade = 90 * np.clip(1 - dx * dx - dy * dy, 0, 1)
    alpha = Image.fromarray(shade.astype(np.uint8))
    return Image.merge("RGBA", [Image.new("L", (width, height))] * 3 + [alpha])


def _places(sides, high, width, height, horizon, draws) -> list[tuple[float, float, float]]:
    """(x, y, side) of a square for each thing, none over another. Where nothing else fits, things
    become smaller, and those of the sky come down."""
    order = sorted(range(len(sides)), key=lambda i: -sides[i])
    shrink, strict = 1.0, True
    while True:
        placed: dict[int, tuple[float, float, float]] = {}
        for i in order:
            side = max(SMALLEST - 2, sides[i] * shrink)
            top, bottom = 2.0, height - side - 2
            if strict and horizon:
                if high[i]:
                    bottom = max(top, horizon - 0.7 * side)
                else:
                    top = min(bottom, max(top, horizon - 0.75 * side))
            for _ in range(24):
                x, y = draws.uniform(2, width - side - 2), draws.uniform(top, bottom)
                if all(
                    abs(x + side / 2 - px - other / 2) >= (side + other) / 2 + GAP
                    or abs(y + side / 2 - py - other / 2) >= (side + other) / 2 + GAP
                    for px, py, other in placed.values()
                ):
                    placed[i] = (x, y, side)
                    break
            else:
                break
        if len(placed) == len(sides):
            return [placed[i] for i in range(len(sides))]
        shrink *= 0.92
        strict = strict and shrink > 0.5


# --- what is likely to be there -------------------------------------------------------------------


@cache
def core() -> frozenset[str]:
    """The core things of all themes: the commonest of all."""
    return frozenset(name for theme in things().themes.values() for name in theme.core)


@cache
def _shares() -> np.ndarray:
    """How often each thing stands in a picture of each theme: [themes, things]."""
    known = things()
    number = {name: i for i, name in enumerate(known.names)}
    further = sum(n * w for n, w in zip(FURTHER, FURTHER_WEIGHTS)) / sum(FURTHER_WEIGHTS)
    shares = np.full((len(known.themes), len(known.names)), further * (1 - FROM_THEME))
    shares /= len(known.names)
    for row, theme in zip(shares, known.themes.values()):
        row[[number[name] for name in theme.core]] += CORE
        row[[number[name] for name in theme.others]] += further * FROM_THEME / len(theme.others)
    return shares


def likely(present) -> np.ndarray:
    """How likely each thing stands in a picture of some theme in which `present` stand [things]."""
    names = things().names
    with_them = np.log(_shares()[:, [names.index(name) for name in sorted(set(present))]]).sum(1)
    themes = np.exp(with_them - with_them.max())
    return themes @ _shares() / themes.sum()


def likely_absent(present) -> list[str]:
    """The things that are not there, those first that most often stand with what is there.

    `present`: the names of what is there. Left out are those by whose name something there may go.

    Raises `ValueError` for a name that is no thing's, and `TypeError` for no list of them.
    """
    present = _known(several("present", present))
    return _likeliest_first(_others(present), present)


def _likeliest_first(names, present) -> list[str]:
    """Equal ones stay in their order."""
    score = dict(zip(things().names, likely(present).round(9).tolist()))
    return sorted(names, key=lambda name: -score[name])


def _others(present) -> list[str]:
    known = things()
    return [name for name in known.names if name not in present
            and not known.near.get(name, frozenset()) & set(present)]  # fmt: skip


def absent(present, setting: str, draws: Draws) -> str:
    """A thing that is not there, as POPE asks for it.

    Args:
        present: the names of what is there.
        setting: "random": any other; "popular": one of the commonest others over all pictures, the
            core things of all themes; "adversarial": one of those that most often stand with what
            is there.
    """
    others = _others(present)
    if setting == "random":
        return draws.pick(others)
    if setting == "popular":
        return draws.pick([name for name in others if name in core()])
    ranked = _likeliest_first(draws.shuffled(others), present)  # so that equal ones take turns
    return draws.pick(ranked[:ADVERSARIAL])


# --- words ----------------------------------------------------------------------------------------


def a(name: str) -> str:
    """ "a cow", "an owl", "grapes"."""
    if name in things().plurals | things().stuff:
        return name
    return article(name)


def plural(name: str) -> str:
    if name in things().irregular:
        return things().irregular[name]
    if name.endswith(("s", "x", "ch", "sh")):
        return name + "es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def _is(name: str) -> str:
    return "are" if name in things().plurals else "is"


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


# --- questions ------------------------------------------------------------------------------------


def _things(page) -> tuple:
    return tuple(element for element in page.elements if element.role == "thing")


def _clear(page) -> list:
    """The things whose name means them alone here."""
    shown = _things(page)
    names = Counter(element.text for element in shown)
    return [e for e in shown if names[e.text] == 1
            and not things().near.get(e.text, frozenset()) & set(names)]  # fmt: skip


EXTREMES = {  # which of all things: the sign and the axis of what is smallest there
    "the leftmost thing": (1, 0), "the rightmost thing": (-1, 0),
    "the topmost thing": (1, 1), "the lowest thing": (-1, 1),
}  # fmt: skip


def _at(page, draws):
    """Words for one thing of the picture by its place, and the thing."""
    shown = _things(page)
    thing = draws.pick(shown)
    if draws.chance(0.45):
        words = draws.pick(tuple(EXTREMES))
        sign, axis = EXTREMES[words]
        first, *rest = sorted(shown, key=lambda e: sign * e.center[axis])
        apart = 12 / page.size[axis]
        if all(abs(e.center[axis] - first.center[axis]) > apart for e in rest):
            return words, first
    return f"at {box_tokens(thing.box)}", thing


def name(page, draws):
    words, thing = _at(page, draws)
    the = "" if words.startswith("the") else "the thing "
    wordings = ("What is {words}?", "Name {the}{words}.", "Which thing is {words}?",
                "What do you see {words}?" if the else "What is {words} called?")  # fmt: skip
    return draws.pick(wordings).format(words=words, the=the), thing.text, [thing], _names(page)


def _names(page) -> list[str]:
    return list(dict.fromkeys(page.fields["things"]))


def group(page, draws):
    words, thing = _at(page, draws)
    right = things().groups[thing.text]
    if right == "other" or thing.text in things().also:
        return None
    the = "" if words.startswith("the") else "the thing "
    wordings = ("What kind of thing is {words}?", "Which group does {the}{words} belong to?",
                "To what group does {the}{words} belong?")  # fmt: skip
    candidates = dict.fromkeys(things().groups[n] for n in page.fields["things"])
    candidates.pop("other", None)
    return draws.pick(wordings).format(words=words, the=the), right, [thing], list(candidates)


def theme(page, draws):
    if page.fields["theme"] == NOWHERE:
        return None
    wordings = ("What is the theme of the picture?", "What place or occasion is this?",
                "Name the theme.")  # fmt: skip
    return draws.pick(wordings), page.fields["theme"], (), tuple(things().themes)


def _exists(setting: str):
    def exists(page, draws):
        shown = _things(page)
        there = draws.chance(0.5)
        if there:  # in the popular setting common things too, or their names would give it away
            common = [name for name in _names(page) if name in core() and setting == "popular"]
            asked = draws.pick(common or _names(page))
        else:
            asked = absent(page.fields["things"], setting, draws)
        wordings = ("{Is} there {} in the picture?", "{Is} there {}?", "Do you see {}?")
        text = draws.pick(wordings).format(a(asked), Is=_is(asked).capitalize())
        found = [element for element in shown if element.text == asked]
        return text, "yes" if there else "no", found, ("yes", "no")

    return exists


def _countable(name: str) -> bool:
    return name not in things().plurals | things().stuff


def count(page, draws):
    known, shown = things(), _things(page)
    names = Counter(element.text for element in shown)
    how = draws.weighted(("kind", "group", "all"), (6, 3, 1))
    if how == "all":
        what, found = "things", shown
    elif how == "group":
        groups = [g for g in dict.fromkeys(known.groups[n] for n in names) if g in COUNTED]
        groups = [g for g in groups if not any(g in known.also.get(n, ()) for n in names)]
        if not groups:
            return None
        of = draws.pick(groups)
        what, found = COUNTED[of], [e for e in shown if known.groups[e.text] == of]
    else:
        other = absent(names, draws.pick(("random", "adversarial")), draws)
        present = [n for n in names if _countable(n)
                   and not known.near.get(n, frozenset()) & set(names)]  # fmt: skip
        several = [n for n in present if names[n] > 1]
        if several and draws.chance(0.55):
            present = several
        if _countable(other) and draws.chance(0.12):
            present = [other]
        if not present:
            return None
        asked = draws.pick(present)
        what, found = plural(asked), [e for e in shown if e.text == asked]
    wordings = ("How many {} are there?", "Count the {}.", "How many {} do you see?")
    candidates = dict.fromkeys(str(n) for n in (0, *names.values(), len(shown), len(found)))
    return draws.pick(wordings).format(what), str(len(found)), found, tuple(candidates)


COUNTED = {  # groups whose things can be counted without argument: the word for several
    "animal": "animals", "vehicle": "vehicles", "building": "buildings",
    "musical instrument": "musical instruments", "tool": "tools", "drink": "drinks",
    "fruit": "pieces of fruit",
}  # fmt: skip
SIDES = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}


def _offset(page, one, other) -> tuple[float, float]:
    """From the centre of `other` to that of `one`, in pixels."""
    width, height = page.size
    return (one.center[0] - other.center[0]) * width, (one.center[1] - other.center[1]) * height


def _side(page, one, other) -> str | None:
    """On which side of `other` is `one`, where one of the four is clearly right."""
    dx, dy = _offset(page, one, other)
    if max(abs(dx), abs(dy)) < 30 or max(abs(dx), abs(dy)) < 1.6 * min(abs(dx), abs(dy)):
        return None
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def _pair(page, draws):
    clear = _clear(page)
    pairs = [(e, o) for e in clear for o in clear if e is not o and _side(page, e, o)]
    return draws.pick(pairs) if pairs else None


def relation(page, draws):
    pair = _pair(page, draws)
    if not pair:
        return None
    one, other = pair
    wordings = ("On which side of the {other} {verb} the {one}?",
                "Where {verb} the {one}, seen from the {other}?",
                "Where {verb} the {one} relative to the {other}?")  # fmt: skip
    text = draws.pick(wordings).format(one=one.text, other=other.text, verb=_is(one.text))
    return text, _side(page, one, other), pair, tuple(SIDES)


def relation_yes_no(page, draws):
    pair = _pair(page, draws)
    if not pair:
        return None
    one, other = pair
    dx, dy = _offset(page, one, other)
    how_far = {"left": -dx, "right": dx, "above": -dy, "below": dy}
    right, there = _side(page, one, other), draws.chance(0.5)
    # a wrong side is one on which it does not stand at all, not even by a little
    side = right if there else draws.pick([s for s in SIDES if how_far[s] <= 0])
    wordings = ("{Is} the {one} {side} the {other}?", "Do you see the {one} {side} the {other}?")
    text = draws.pick(wordings).format(
        Is=_is(one.text).capitalize(), one=one.text, side=SIDES[side], other=other.text
    )
    return text, "yes" if there else "no", pair, ("yes", "no")


def _one(page, draws):
    """A name, and the only thing that it means; None where it is not there."""
    clear = _clear(page)
    if not clear or draws.chance(0.08):
        setting = draws.pick(("random", "popular", "adversarial"))
        return absent(page.fields["things"], setting, draws), None
    thing = draws.pick(clear)
    return thing.text, thing


def locate(page, draws):
    asked, thing = _one(page, draws)
    wordings = ("Locate the {}.", "Give the box of the {}.", "Find the {}.", "Where {verb} the {}?")
    text = draws.pick(wordings).format(asked, verb=_is(asked))
    candidates = [box_tokens(element.box) for element in _things(page)]
    return text, box_tokens(thing.box) if thing else NONE, [thing] if thing else [], candidates


def point(page, draws):
    asked, thing = _one(page, draws)
    wordings = ("Point to the {}.", "Point at the {}.")
    candidates = [location_tokens([element.center]) for element in _things(page)]
    answer = location_tokens([thing.center]) if thing else NONE
    return draws.pick(wordings).format(asked), answer, [thing] if thing else [], candidates


def odd_one_out(page, draws):
    """Asks for the only thing that is not of the others' group, of all or of those named."""
    shown, known = _things(page), things()
    clear = [n for n in _names(page) if n not in known.also and known.groups[n] != "other"]
    sizes = Counter(known.groups[n] for n in clear)
    outsiders = [n for n in clear if sizes[known.groups[n]] == 1]
    large = [g for g, n in sizes.items() if n >= 3]
    if not large or not outsiders:
        return None
    of, odd = draws.pick(large), draws.pick(outsiders)
    if {of, known.groups[odd]} <= {"fruit", "vegetable", "food", "drink"}:
        return None
    found = [element for element in shown if element.text == odd]
    if len(clear) == len(_names(page)) == sizes[of] + 1 and len(found) == 1:
        wordings = ("Which thing is the odd one out?", "Which thing does not belong to the others?",
                    "What is the odd one out here?")  # fmt: skip
        return draws.pick(wordings), odd, found, _names(page)
    others = draws.shuffled([n for n in clear if known.groups[n] == of])[:3]
    named = draws.shuffled([*others, odd])
    wordings = ("Which is the odd one out: {}?", "Which of these does not belong: {}?")
    text = draws.pick(wordings).format(listed([f"the {n}" for n in named], "or"))
    return text, odd, [e for e in shown if e.text in named], named


def knowledge(page, draws):
    """Asks for what has a fact: which one, how many, or whether one has it."""
    shown, names = _things(page), _names(page)
    known = things().facts.values()
    how = draws.weighted(("which", "one", "how many"), (5, 2, 2))
    if how == "one":  # of facts that some have here and some have not, so none gives itself away
        both = [fact for fact in known if fact.yes & set(names) and fact.no & set(names)]
        if not both:
            return None
        fact, there = draws.pick(both), draws.chance(0.5)
        thing = draws.pick([e for e in shown if e.text in (fact.yes if there else fact.no)])
        wordings = ("Is this right: the thing at {} {}?", "Is it true that the thing at {} {}?")
        text = draws.pick(wordings).format(box_tokens(thing.box), fact.one)
        return text, "yes" if there else "no", [thing], ("yes", "no")
    # of all that is here one has to know whether it has the fact
    settled = [(fact, [n for n in names if n in fact.yes]) for fact in known
               if fact.yes | fact.no >= set(names)]  # fmt: skip
    if how == "how many":
        fitting = [(fact, yes) for fact, yes in settled
                   if yes and all(map(_countable, yes))]  # fmt: skip
        if not fitting:
            return None
        fact, yes = draws.pick(fitting)
        found = [e for e in shown if e.text in yes]
        wordings = ("How many things here {}?", "How many things in the picture {}?")
        numbers = tuple(str(n) for n in range(len(shown) + 1))
        return draws.pick(wordings).format(fact.many), str(len(found)), found, numbers
    fitting = [(fact, yes) for fact, yes in settled if len(yes) == 1]
    if not fitting:
        return None
    fact, (right,) = draws.pick(fitting)
    wordings = ("Which thing here {}?", "Which thing in the picture {}?", "What here {}?")
    found = [e for e in shown if e.text == right]
    return draws.pick(wordings).format(fact.one), right, found, names


def choice(page, draws):
    """A multiple-choice question: by knowledge, or for a name or a group."""
    known, shown = things(), _things(page)
    n = draws.weighted((4, 3), (3, 1))
    how = draws.pick(("knowledge", "name", "group"))
    if how == "knowledge":
        names = _names(page)
        fitting = []
        for fact in known.facts.values():
            yes, no = ([x for x in names if x in some] for some in (fact.yes, fact.no))
            if yes and len(no) >= n - 1:
                fitting.append((fact, yes, no))
        if not fitting:
            return None
        fact, yes, no = draws.pick(fitting)
        right = draws.pick(yes)
        options = draws.shuffled([right, *draws.shuffled(no)[: n - 1]])
        found = [e for e in shown if e.text in options]
        return multiple_choice(f"Which of these {fact.one}?", options, right, found)
    asked = (name if how == "name" else group)(page, draws)
    if not asked:
        return None
    text, right, found, _ = asked
    if how == "group":
        wrong = draws.shuffled([g for g in _members() if g != right])
    else:
        others = {absent(page.fields["things"], setting, draws): None
                  for setting in ("random", "popular", "adversarial")}  # fmt: skip
        wrong = draws.shuffled([*others, *[x for x in _names(page) if x != right][:3]])
    return multiple_choice(text, draws.shuffled([right, *wrong[: n - 1]]), right, found)


def _across(page) -> list:
    """The things from left to right."""
    return sorted(_things(page), key=lambda element: element.center)


def _described(page) -> str:
    counted = Counter(element.text for element in _across(page))
    parts = [a(n) if k == 1 else f"{NUMBERS[k]} {plural(n)}" for n, k in counted.items()]
    return listed(parts)


def caption(page, draws):
    wordings = ("Describe the picture.", "What is in the picture?", "What do you see?")
    text = _described(page)
    if page.fields["theme"] != NOWHERE:
        text = f"{things().themes[page.fields['theme']].scene} with {text}"
    return draws.pick(wordings), text[0].upper() + text[1:] + ".", _across(page)


def list_all(page, draws):
    wordings = ("List the things from left to right.", "Name all things from left to right.")
    across = _across(page)
    return draws.pick(wordings), ", ".join(element.text for element in across), across


def grounded_caption(page, draws):
    wordings = ("Name every thing with its box.", "Describe the picture with boxes.")
    across = _across(page)
    return draws.pick(wordings), ", ".join(f"{e.text} {box_tokens(e.box)}" for e in across), across


KIND = Kind(
    "things",
    facts,
    draw,
    {
        "name": name,
        "group": group,
        "theme": theme,
        "exists_random": _exists("random"),
        "exists_popular": _exists("popular"),
        "exists_adversarial": _exists("adversarial"),
        "count": count,
        "relation": relation,
        "relation_yes_no": relation_yes_no,
        "locate": locate,
        "point": point,
        "odd_one_out": odd_one_out,
        "knowledge": knowledge,
        "choice": choice,
        "caption": caption,
        "list": list_all,
        "grounded_caption": grounded_caption,
    },
)
