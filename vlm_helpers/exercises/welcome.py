"""Exercises of notebook 00, welcome."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vlm_helpers import scenes
from vlm_helpers._words import as_number
from vlm_helpers.exercises._engine import Exercise, NotAttempted, Wrong, call_each, pocket

# --- welcome.repair_question ----------------------------------------------------------------------

# The picture of the exercise is `vh.scenes.sample(7417, "test")`: two stars in it, of two sizes and
# two colours. Asked for "the star", the model speaks of one of them; meant is the other.
SEED, SPLIT = 7417, "test"
SHAPE, MEANT = "star", "large"


def question():
    # There are two stars: say which one is meant, in a word that the model knows.
    return "What color is the large star?"


@dataclass(frozen=True)
class Bench:
    """What the check runs on: the scene, and the model's answer to a question about it."""

    scene: scenes.Scene
    ask: Callable[[str], str]


def _pocket_bench() -> Bench:
    scene, vlm = scenes.sample(SEED, SPLIT), pocket()
    return Bench(scene, lambda text: vlm.ask(scene.image, text))


# Words of a question about colour that do not tell one thing from another.
_PLAIN = set(
    "a an and answer are can color colored colors colour coloured colours could do does for have "
    "has hey hi i in is it its me name of on one please s say see shown tell that the there "
    "this to what which you picture image scene".split()
)
_THINGS = {"object", "objects", "thing", "things", "one", "item"}
_SIZES = {
    "small": {"small", "smaller", "smallest", "little", "tiny"},
    "large": {"large", "larger", "largest", "big", "bigger", "biggest"},
}
_SIDES = {
    "left": {"left", "leftmost"},
    "right": {"right", "rightmost"},
    "top": {"top", "upper", "uppermost", "high", "higher", "highest"},
    "bottom": {"bottom", "lower", "lowermost", "low", "lowest"},
    "middle": {"middle", "center", "centre", "central"},
}
_NEGATIONS = {"not", "isn", "isnt", "aren", "no", "never", "neither", "except", "without"}


def _fitting(words: set[str], things: Sequence) -> list:
    """Those of the size, and at the side, of which the words speak."""
    sizes = {size for size, alike in _SIZES.items() if words & alike} or set(_SIZES)
    sides = {side for side, alike in _SIDES.items() if words & alike}
    return [t for t in things if t.size in sizes and sides <= set(t.place.split())]


def _named_by_size(said: list[str], objects: Sequence, meant: Any) -> None:
    """A thing may be named without its shape, as "the large object", where only one is meant."""
    words = set(said)
    if not words & _THINGS:
        plain = _PLAIN.union(_NEGATIONS, scenes.COLORS, *_SIZES.values(), *_SIDES.values())
        if strange := [word for word in said if word not in plain]:
            raise Wrong(
                f'Nothing that we ask about here goes by the name of "{strange[-1]}": name the '
                f"{SHAPE}."
            )
        raise Wrong("Your question names no thing in the picture: whose color do you ask for?")
    fit = [meant] if words & _NEGATIONS else _fitting(words, objects)
    if len(fit) > 1:
        raise Wrong(f"That can still mean {len(fit)} things in the picture: say which.")
    if not fit:
        raise Wrong(f"There is no such thing here: look where the {MEANT} {SHAPE} is.")
    if fit != [meant]:
        raise Wrong(f"That is another thing: we mean the {MEANT} {SHAPE}.")


def examine_question(answer, bench: Bench) -> None:
    """Look for what is wrong with a question, then put it to the model."""
    if not isinstance(answer, str):
        raise Wrong(
            f"A question is a text in quotation marks; this is of type {type(answer).__name__}."
        )
    in_order = re.findall(r"[a-z]+", answer.lower())
    words = set(in_order)
    if not words:
        raise NotAttempted("The question is empty.")
    objects = bench.scene.objects
    stars = [thing for thing in objects if thing.shape == SHAPE]
    (meant,) = (thing for thing in stars if thing.size == MEANT)
    (other,) = (thing for thing in stars if thing.size != MEANT)
    there = {thing.shape for thing in objects}
    known = scenes.SHAPES + scenes.HELD_OUT_SHAPES
    named = {shape for shape in known if words & {shape, f"{shape}s", f"{shape}es"}}

    if meant.color in words:
        raise Wrong(
            f"Your question gives the answer away, {meant.color}: the model should see it, not "
            "read it."
        )
    if not named:
        _named_by_size(in_order, objects, meant)
    elif absent := sorted(named - there):
        raise Wrong(
            f"There is no {absent[0]} in this picture. Asked about what is not there, the model "
            'says "none", or makes something up.'
        )
    if named and SHAPE not in named:
        raise Wrong(f"You ask about the {sorted(named)[0]}: it is the {MEANT} {SHAPE} we mean.")
    if not words & {"color", "colors", "colour", "colours", "colored", "coloured"}:
        raise Wrong("Your question does not ask for a color.")
    distinguishing = words - _PLAIN - _THINGS - {SHAPE, f"{SHAPE}s"}
    if not distinguishing:
        raise Wrong(
            f"That can still mean two things: there is a {stars[0].size} {SHAPE} and a "
            f"{stars[1].size} one, and the model picks one for you. Say which."
        )
    if re.search(rf"\b({'|'.join(_SIZES[MEANT])}) {SHAPE}s\b", answer.lower()):
        raise Wrong(
            f"Your question speaks of several {MEANT} {SHAPE}s, and there is one: write "
            f"`{SHAPE}`, without the s."
        )
    if named == {SHAPE} and not words & _NEGATIONS:
        fit = _fitting(words, stars)
        if not fit:
            raise Wrong(f"There is no such {SHAPE}: look where the {MEANT} one is.")
        if fit == [other]:
            raise Wrong(f"That is the other {SHAPE}: we mean the {MEANT} one.")
    said = bench.ask(answer)
    if said.strip(" .").lower() != meant.color:
        raise Wrong(
            f'The model answers "{said}", and the {MEANT} {SHAPE} is {meant.color}. It knows only '
            'the plain words it was trained on: keep close to "What color is the …?", and tell '
            "the two apart by size."
        )


# --- welcome.floor --------------------------------------------------------------------------------


def floor(truths):
    # What is said most often, said every time, is right as often as it occurs.
    return max(truths.count(truth) for truth in truths) / len(truths)


TRUTHS = (
    ["yes"] * 142 + ["no"] * 58,
    ["no", "yes", "no", "no"],
    ["2", "0", "1", "3", "1"],
    ["red"],
)


def examine_floor(answer, truth_lists) -> None:
    cases = [(list(truths),) for truths in truth_lists]
    answers = call_each(answer, cases, "it has a commonest answer too, if several are as common.")
    for truths, found in zip(truth_lists, answers):
        right, most = floor(truths), max(truths, key=truths.count)
        shown = f"{truths[:5]}{' and so on' if len(truths) > 5 else ''}"
        if isinstance(found, str) and found == most:
            raise Wrong(
                f"For {shown} it gives {found!r}, the commonest answer itself: return the share of "
                "questions on which that answer is right."
            )
        value = as_number(found)
        if value is None:
            raise Wrong(
                f"A score is a number between 0 and 1; for {shown} your function gives {found!r}."
            )
        if abs(value - right) < 1e-6:
            continue
        if abs(value - 100 * right) < 1e-4:
            raise Wrong(f"{value:g} is right in per cent: give a share, between 0 and 1.")
        if abs(value - truths.count(most)) < 1e-6:
            raise Wrong(
                f"{value:g} is how often {most!r} occurs in {shown}: divide it by the number of "
                "questions."
            )
        if abs(value - 1 / len(set(truths))) < 1e-6:
            raise Wrong(
                f"{value:g} is what guessing at random among the {len(set(truths))} different "
                "answers scores. Somebody who knows which one is the commonest does better."
            )
        if "yes" in truths and abs(value - truths.count("yes") / len(truths)) < 1e-6:
            raise Wrong(
                f'{value:g} is the share of "yes". In {shown} another answer is commoner: count '
                "every answer."
            )
        if abs(1 - value - right) < 1e-6:
            raise Wrong(f"{value:g} is how often that answer is wrong: give how often it is right.")
        raise Wrong(f"For {shown} the floor is {right:g}, and your function gives {value:g}.")


EXERCISES = (
    Exercise(
        name="welcome.repair_question",
        title="Repair a question",
        difficulty=1,
        minutes=3,
        takeaway=(
            "Now the question means one thing in this picture, and the model sees it. To the "
            "ambiguous one it gave an answer too, just as sure of itself: it never asks back."
        ),
        hints=(
            "Look at the picture: how many stars are there, and in what do they differ?",
            "The model knows `small` and `large`.",
        ),
        start="What color is the star?",
        solved=question,
        materials=_pocket_bench,
        examine=examine_question,
    ),
    Exercise(
        name="welcome.floor",
        title="The floor",
        difficulty=1,
        minutes=5,
        takeaway=(
            "The floor of your colleague's test is 0.71, and 0.74 is hardly above it: on 100 "
            "questions, an interval from 0.65 to 0.82 says that it may be no better at all."
        ),
        hints=(
            "`truths.count('yes')` says how often one answer occurs.",
            "`max(...)` over all answers of how often each one occurs, divided by `len(truths)`.",
        ),
        solved=floor,
        materials=lambda: TRUTHS,
        examine=examine_floor,
    ),
)
