"""What can be said and asked about a scene: captions, questions with answers, conversations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vlm_helpers import _questions
from vlm_helpers._draws import Draws
from vlm_helpers._questions import (
    NONE,
    Question,
    Turns,
    box_tokens,
    location_tokens,
    multiple_choice,
)
from vlm_helpers._words import article, choice, listed
from vlm_helpers.scenes.world import COLORS, SHAPES, UNSEEN_PAIRS, WORDS, SceneObject

if TYPE_CHECKING:
    from vlm_helpers.scenes._scene import Scene


def caption(scene: Scene, style: str) -> str:
    choice("style", style, ("short", "detailed", "grounded"))
    if style == "grounded":
        return ", ".join(f"a {o.description} {box_tokens(o.box)}" for o in scene.objects)
    parts = [f"a {o.description}{f' {o.place}' * (style == 'detailed')}" for o in scene.objects]
    if style == "short" and scene.sign:
        parts.append("a sign")
    text = listed(parts)
    text = text[0].upper() + text[1:] + "."
    if style == "detailed" and scene.sign:
        text += f" A sign {scene.sign.place} says {scene.sign.text}."
    return text


# --- one function a skill: (scene, draws) -> Question, or None where the scene has none ---------


def _spell(draws: Draws, text: str) -> str:
    return text.replace("color", "colour") if draws.chance(0.5) else text


def _caption(style, scene, draws):
    wordings = {
        "short": ("Describe the picture.", "What is in the picture?", "What do you see?"),
        "detailed": ("Describe the picture in detail.", "Give a detailed description."),
        "grounded": ("Describe the picture with boxes.", "Name every object with its box."),
    }
    return draws.pick(wordings[style]), scene.caption(style), scene.objects


def _absent_name(scene: Scene, draws: Draws) -> str:
    """A "colour shape" that is not there, often made of a colour and a shape that are."""
    present = {(thing.shape, thing.color) for thing in scene.objects}
    shapes = [thing.shape for thing in scene.objects] if draws.chance(0.6) else SHAPES
    colors = [thing.color for thing in scene.objects] if draws.chance(0.6) else tuple(COLORS)
    for _ in range(40):
        pair = draws.pick(shapes), draws.pick(colors)
        # "no" for a pair that training never shows would teach that the pair does not exist
        if pair not in present and pair not in UNSEEN_PAIRS:
            return f"{pair[1]} {pair[0]}"
        shapes, colors = SHAPES, tuple(COLORS)
    raise AssertionError("a scene cannot hold every pair")


def _unique(scene: Scene, attribute: str) -> list[tuple[SceneObject, str]]:
    """The objects that `attribute` alone, or their size and it, tell apart, with those words."""
    found = []
    for thing in scene.objects:
        value = getattr(thing, attribute)
        same = [other for other in scene.objects if getattr(other, attribute) == value]
        if len(same) == 1:
            found.append((thing, value))
        elif sum(other.size == thing.size for other in same) == 1:
            found.append((thing, f"{thing.size} {value}"))
    return found


def _color(scene, draws):
    wordings = ("What color is the {}?", "What is the color of the {}?", "Name the {}'s color.")
    asked = _attribute(scene, draws, "color", "shape", SHAPES, wordings)
    return asked and (_spell(draws, asked[0]), *asked[1:])


def _shape(scene, draws):
    wordings = ("What shape is the {} object?", "What is the {} thing?", "Name the {} shape.")
    return _attribute(scene, draws, "shape", "color", tuple(COLORS), wordings)


def _attribute(scene, draws, wanted, given, values, wordings):
    """A question for the `wanted` attribute of the object that the `given` one tells apart."""
    if draws.chance(0.06):
        value = draws.pick(values)
        if all(getattr(thing, given) != value for thing in scene.objects):
            return draws.pick(wordings).format(value), NONE
    candidates = _unique(scene, given)
    if not candidates:
        return None
    thing, words = draws.pick(candidates)
    return draws.pick(wordings).format(words), getattr(thing, wanted), (thing,)


def _size(scene, draws):
    thing = draws.pick(scene.objects)
    wordings = (
        "What size is the {}?", "Is the {} small or large?", "How big is the {}?",
    )  # fmt: skip
    if draws.chance(0.06):
        return draws.pick(wordings).format(_absent_name(scene, draws)), NONE
    return draws.pick(wordings).format(thing.name), thing.size, (thing,)


def _kinds(scene, draws, absent_share) -> tuple[str, list[SceneObject]]:
    """A kind of object ("star", "red object", "small object", "object") and all of that kind."""
    thing = draws.pick(scene.objects)
    shape, color = thing.shape, thing.color
    if draws.chance(absent_share):
        shape, color = draws.pick(SHAPES), draws.pick(tuple(COLORS))
    how = draws.weighted(("shape", "color", "any", "size"), (4, 4, 1.2, 1.2))
    if how == "shape":
        return shape, [o for o in scene.objects if o.shape == shape]
    if how == "color":
        return f"{color} object", [o for o in scene.objects if o.color == color]
    if how == "size":
        return f"{thing.size} object", [o for o in scene.objects if o.size == thing.size]
    return "object", list(scene.objects)


def _plural(kind: str) -> str:
    return kind + "es" if kind.endswith("cross") else kind + "s"


def _count(scene, draws):
    kind, things = _kinds(scene, draws, 0.25)
    wordings = ("How many {} are there?", "Count the {}.", "How many {} do you see?")
    return draws.pick(wordings).format(_plural(kind)), str(len(things)), things


def _exists(scene, draws):
    there, about = draws.chance(0.5), ()
    if draws.chance(0.3):  # a shape or a colour alone
        attribute, values = draws.pick((("shape", SHAPES), ("color", tuple(COLORS))))
        present = sorted({getattr(thing, attribute) for thing in scene.objects})
        value = draws.pick(present if there else [v for v in values if v not in present])
        name = value if attribute == "shape" else f"{value} object"
        about = [o for o in scene.objects if getattr(o, attribute) == value]
    else:
        thing = draws.pick(scene.objects)
        name = thing.name if there else _absent_name(scene, draws)
        about = [thing] if there else []
    wordings = ("Is there {} in the picture?", "Is there {}?", "Do you see {}?")
    return draws.pick(wordings).format(article(name)), "yes" if there else "no", about


def _side(a: SceneObject, b: SceneObject) -> str | None:
    """On which side of b is a, where one of the four is clearly right."""
    dx, dy = a.center[0] - b.center[0], a.center[1] - b.center[1]
    if max(abs(dx), abs(dy)) < 0.12 or max(abs(dx), abs(dy)) < 1.5 * min(abs(dx), abs(dy)):
        return None
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def _related_pair(scene, draws):
    pairs = [(a, b) for a in scene.objects for b in scene.objects if a is not b and _side(a, b)]
    return draws.pick(pairs) if pairs else None


def _relation(scene, draws):
    pair = _related_pair(scene, draws)
    if not pair:
        return None
    a, b = pair
    wordings = (
        "On which side of the {b} is the {a}?",
        "Where is the {a}, seen from the {b}?",
        "Where is the {a} relative to the {b}?",
    )
    return draws.pick(wordings).format(a=a.name, b=b.name), _side(a, b), pair


SIDE_PHRASES = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
}


def _relation_yes_no(scene, draws):
    pair = _related_pair(scene, draws)
    if not pair:
        return None
    a, b = pair
    x, y = a.center[0] - b.center[0], a.center[1] - b.center[1]
    how_far = {"left": -x, "right": x, "above": -y, "below": y}
    true_side, there = _side(a, b), draws.chance(0.5)
    # a wrong side is one that a does not stand on at all, not even by a little
    asked = true_side if there else draws.pick([s for s in SIDE_PHRASES if how_far[s] <= 0])
    text = f"Is the {a.name} {SIDE_PHRASES[asked]} the {b.name}?"
    return text, "yes" if asked == true_side else "no", pair


def _compare(scene, draws):
    if draws.chance(0.4):  # two numbers
        number = {shape: sum(o.shape == shape for o in scene.objects) for shape in SHAPES}
        more = draws.chance(0.5)
        pairs = [
            (a, b)
            for a in SHAPES
            for b in SHAPES
            if a != b and (number[a] or number[b]) and (number[a] > number[b]) == more
        ]
        both = [(a, b) for a, b in pairs if number[a] and number[b]]
        a, b = draws.pick(both if both and draws.chance(0.7) else pairs)
        return f"Are there more {_plural(a)} than {_plural(b)}?", "yes" if more else "no"
    pairs = [(a, b) for a in scene.objects for b in scene.objects if a.size != b.size]
    if not pairs:
        return None
    a, b = draws.pick(pairs)
    if draws.chance(0.5):
        word, sign = draws.pick((("larger", 1), ("smaller", -1)))
        right = (a.radius - b.radius) * sign > 0
        return f"Is the {a.name} {word} than the {b.name}?", "yes" if right else "no", (a, b)
    word, sign = draws.pick((("larger", 1), ("smaller", -1)))
    answer = a if (a.radius - b.radius) * sign > 0 else b
    return f"Which is {word}, the {a.name} or the {b.name}?", f"the {answer.name}", (a, b)


def _sign(kind, scene, draws):
    """`kind`: "number" or "word"."""
    has = scene.sign is not None and scene.sign.kind == kind
    if not has and not draws.chance(0.05):
        return None
    wordings = ("What {} is on the sign?", "Read the {}.", "Which {} do you see?")
    return draws.pick(wordings).format(kind), scene.sign.text if has else NONE


def _one_object(scene, draws) -> tuple[str, SceneObject | None]:
    """Words for one object, and the object; None where it is not there."""
    if draws.chance(0.12):
        return _absent_name(scene, draws), None
    if draws.chance(0.3):
        attribute = draws.pick(("shape", "color"))
        alone = _unique(scene, attribute)
        if alone:
            thing, words = draws.pick(alone)
            return words if attribute == "shape" else f"{words} object", thing
    thing = draws.pick(scene.objects)
    return thing.name, thing


# Of skills that are about one object, the right answer.
_ANSWERS = {
    "color": lambda thing: thing.color,
    "shape": lambda thing: thing.shape,
    "size": lambda thing: thing.size,
    "locate": lambda thing: box_tokens(thing.box),
    "point": lambda thing: location_tokens([thing.center]),
    "outline": lambda thing: location_tokens(thing.outline(fine=False)),
    "region": lambda thing: f"a {thing.description}",
}
_PLACES = {
    "locate": ("Locate the {}.", "Give the box of the {}.", "Find the {}."),
    "point": ("Point to the {}.", "Point at the {}."),
    "outline": ("Outline the {}.", "Trace the {}."),
}


def _where(skill, scene, draws):
    """`skill`: one of `_PLACES`."""
    words, thing = _one_object(scene, draws)
    if skill == "locate" and draws.chance(0.08):
        words, thing = "sign", scene.sign
    about = (thing,) if isinstance(thing, SceneObject) else ()
    question = draws.pick(_PLACES[skill]).format(words)
    return question, _ANSWERS[skill](thing) if thing else NONE, about


def _locate_all(scene, draws):
    kind, things = _kinds(scene, draws, 0.1)
    wordings = ("Locate all {}.", "Give the boxes of all {}.", "Find all {}.")
    boxes = ", ".join(box_tokens(thing.box) for thing in things)
    return draws.pick(wordings).format(_plural(kind)), boxes or NONE, things


def _region(scene, draws):
    thing = draws.pick(scene.objects)
    wordings = ("What is at {}?", "Name the object at {}.")
    question = draws.pick(wordings).format(box_tokens(thing.box))
    return question, _ANSWERS["region"](thing), (thing,)


CHOICE_SKILLS = ("color", "shape", "size", "count", "relation", "number", "word")


def _options(scene: Scene, draws: Draws, skill: str, answer: str) -> list[str]:
    """Wrong answers of the right kind for a multiple-choice question."""
    if skill == "number":
        n, size = int(answer), len(answer)
        near = [n + d for d in (1, -1, 10, -10, 100)] + [draws.below(10**size) for _ in range(4)]
        pool = [str(value) for value in near if value >= 0]
    else:
        pool = {
            "color": tuple(COLORS),
            "shape": SHAPES,
            "size": ("small", "large"),
            "count": tuple("0123456"),
            "relation": tuple(SIDE_PHRASES),
            "word": WORDS,
        }[skill]
    return draws.shuffled(sorted(set(pool) - {answer}))


def _choice(scene, draws):
    skills = [s for s in CHOICE_SKILLS if s not in ("number", "word")]
    if scene.sign and draws.chance(0.5):
        skills = [scene.sign.kind]
    skill = draws.pick(skills)
    asked = _MAKERS[skill](scene, draws)
    if not asked or asked[1] == NONE:
        return None
    text, answer, *about = asked[:3]
    n = draws.weighted((4, 3, 2), (5, 2, 1))
    wrong = _options(scene, draws, skill, answer)[: n - 1]
    return multiple_choice(text, draws.shuffled([answer, *wrong]), answer, *about)


_MAKERS = {
    "caption": partial(_caption, "short"),
    "detailed_caption": partial(_caption, "detailed"),
    "grounded_caption": partial(_caption, "grounded"),
    "color": _color,
    "shape": _shape,
    "size": _size,
    "count": _count,
    "exists": _exists,
    "relation": _relation,
    "relation_yes_no": _relation_yes_no,
    "compare": _compare,
    "number": partial(_sign, "number"),
    "word": partial(_sign, "word"),
    "locate": partial(_where, "locate"),
    "locate_all": _locate_all,
    "point": partial(_where, "point"),
    "outline": partial(_where, "outline"),
    "region": _region,
    "choice": _choice,
}
SKILLS = tuple(_MAKERS)

# Naming any of these is a floor: the answers that each object of the picture would give, and the
# only ones that a skill has.
_ONLY = {"exists": ("yes", "no"), "relation_yes_no": ("yes", "no"), "relation": tuple(SIDE_PHRASES)}


def _with_candidates(maker, skill, scene, draws):
    made = maker(scene, draws)
    if made is None:
        return None
    candidates = _ONLY.get(skill) or [_ANSWERS[skill](thing) for thing in scene.objects]
    text, answer, *about = made
    return text, answer, about[0] if about else (), candidates


_MAKERS |= {s: partial(_with_candidates, _MAKERS[s], s) for s in (*_ANSWERS, *_ONLY)}


def ask(scene: Scene, draws: Draws, skill: str) -> Question | None:
    """One question of `skill`, or None where this draw finds none in the scene."""
    return _questions.ask(scene, _MAKERS, draws, skill)


def questions(scene: Scene, skills, per_skill: int, seed: int) -> list[Question]:
    return _questions.questions(scene, _MAKERS, skills, per_skill, seed)


# --- conversations --------------------------------------------------------------------------------


def follow_ups(scene: Scene, draws: Draws, turns: int) -> Turns:
    """Up to `turns` (2 to 5) questions about one object, which only the first one names."""
    thing = draws.pick(scene.objects)
    box = box_tokens(thing.box)
    # what is said, and what it gives away of the object
    openings = [
        (f"Is there {article(thing.name)} in the picture?", "yes", {"color"}),
        (f"Locate the {thing.name}.", box, {"color", "box"}),
    ]
    for other, words in _unique(scene, "shape"):
        if other is thing:
            known = {"box", "size"} if thing.size in words else {"box"}
            openings.append((f"Locate the {words}.", box, known))
    text, answer, known = draws.pick(openings)
    later = {
        "size": ("What size is it?", thing.size),
        "place": ("Where is it?", thing.place),
        "box": ("Give its box.", box),
        "point": ("Point to it.", location_tokens([thing.center])),
        "color": (_spell(draws, "What color is it?"), thing.color),
    }
    rest = draws.shuffled([turn for what, turn in later.items() if what not in known])
    return [(text, answer), *rest[: turns - 1]]
