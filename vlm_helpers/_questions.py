"""Questions about drawn pictures, and training rows made of them: what all drawn worlds share.

A world's picture (its subject here) has a `key`, text that no other picture has, and `questions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from vlm_helpers._draws import Draws
from vlm_helpers._words import did_you_mean, several, whole_number

N_LOCATIONS = 64  # location tokens <loc_00> ... <loc_63>: 1/64 of the picture's side each
NONE = "none"
LETTERS = "ABCD"

Turns = list[tuple[str, str]]


@dataclass(frozen=True)
class Question:
    """One question about a picture.

    Attributes:
        skill: one of the world's `SKILLS`.
        text: the question, as it goes into the prompt.
        answer: what is right: a word or two, yes/no, digits, a letter, location tokens, or a text.
        choices: the options of a multiple-choice question, in the order of their letters.
        objects: what it asks about, as far as it is there.
        candidates: the answers of this kind that the picture offers (every amount on a receipt,
            "yes" and "no"); picking one of them blindly is the floor. Empty where there is no
            such set.
    """

    skill: str
    text: str
    answer: str
    choices: tuple[str, ...] = ()
    objects: tuple = ()
    candidates: tuple[str, ...] = ()


def location_tokens(points) -> str:
    """Points as text: "<loc_XX><loc_YY>" each, x before y.

    Args:
        points: (x, y) fractions of the picture, x right, y down; a box is its two corners.
    Raises:
        ValueError: for a point that is not inside the picture.
    """
    points = list(points) if isinstance(points, Iterable) else [points]
    for point in points:
        if not _inside(point):
            raise ValueError(
                f"{point!r} is no point of the picture: give (x, y) as fractions from 0 to 1; "
                "pixels are to be divided by the picture's width and height."
            )
    return "".join(f"<loc_{_bin(value):02d}>" for point in points for value in point)


def _inside(point) -> bool:
    try:
        return len(point) == 2 and all(-1e-6 <= value <= 1 + 1e-6 for value in point)
    except TypeError:
        return False


def _bin(value: float) -> int:
    return min(N_LOCATIONS - 1, max(0, int(value * N_LOCATIONS)))


def box_tokens(box) -> str:
    """A box (x0, y0, x1, y1) of fractions as four location tokens: its two corners."""
    return location_tokens([box[:2], box[2:]])


def multiple_choice(question: str, choices, answer: str, objects=()) -> Question:
    """A lettered multiple-choice question in the form that pocket-llava was trained on.

    Args:
        question: what is asked.
        choices: two to four options, in the order of their letters.
        answer: the option that is right.
        objects: what the question asks about, as in `Question`.
    """
    choices = tuple(choices)
    if not 2 <= len(choices) <= len(LETTERS):
        raise ValueError(f"A question takes 2 to {len(LETTERS)} choices, not {len(choices)}.")
    if choices.count(answer) != 1:
        raise ValueError(f"The answer {answer!r} must be exactly one of the choices {choices}.")
    letters = LETTERS[: len(choices)]
    lines = [f"{letter}. {choice}" for letter, choice in zip(letters, choices)]
    text = "\n".join([question, *lines, "Answer with the letter."])
    right = letters[choices.index(answer)]
    return Question("choice", text, right, choices, tuple(objects), tuple(letters))


def ask(subject, makers: Mapping[str, Callable], draws: Draws, skill: str) -> Question | None:
    """One question of `skill`, or None where this draw finds none in the picture.

    Args:
        makers: for each skill a function (subject, draws) that gives a `Question`, the parts
            (text, answer[, objects[, candidates]]) of one, or None.
    """
    made = makers[skill](subject, draws)
    if made is None or isinstance(made, Question):
        return made
    text, answer, objects, candidates = (*made, *((), ())[len(made) - 2 :])
    return Question(skill, text, answer, (), tuple(objects), tuple(candidates))


def questions(
    subject,
    makers: Mapping[str, Callable],
    skills: str | Iterable[str] | None,
    per_skill: int,
    seed: int,
    known: Iterable[str] | None = None,
) -> list[Question]:
    """Up to `per_skill` different questions of each skill.

    Args:
        subject, makers: as in `ask`.
        skills: which, all of `makers` by default.
        known: further skills that exist in this world, though not for this picture: they give
            no question, where any other name is an error.
    Raises:
        TypeError, ValueError: for a skill that does not exist, a seed that is none, or a number
            below 1.
    """
    per_skill = whole_number("per_skill", per_skill, least=1)
    known = tuple(known or makers)
    seed = whole_number("seed", seed)
    wanted = several("skills", makers if skills is None else skills)
    for skill in wanted:
        if skill not in known:
            raise ValueError(f"There is no skill {skill!r}; {did_you_mean(skill, known)}")
    found = []
    for skill in wanted:
        if skill not in makers:
            continue
        draws = Draws(f"{subject.key}/questions/{seed}/{skill}")
        different: dict[str, Question] = {}
        for _ in range(4 * per_skill + 4):
            question = ask(subject, makers, draws, skill)
            if question:
                different.setdefault(question.text, question)
            if len(different) == per_skill:
                break
        found += different.values()
    return found


def conversation(
    subject,
    turns: int,
    skills: str | Iterable[str] | None,
    seed: int,
    follow_ups: Callable[[object, Draws, int], Turns] | None = None,
) -> Turns:
    """Up to `turns` questions with their answers about one picture.

    Args:
        follow_ups: (subject, draws, turns) -> a conversation that stays with one object; it takes
            half of the conversations of 2 to 4 turns that may be about anything.
    Raises:
        ValueError: for fewer than one turn, or skills that give no question here.
    """
    turns = whole_number("turns", turns, least=1)
    draws = Draws(f"{subject.key}/conversation/{whole_number('seed', seed)}")
    if follow_ups and skills is None and 1 < turns <= 4 and draws.chance(0.5):
        return follow_ups(subject, draws, turns)
    asked = subject.questions(skills, turns, seed)
    if not asked:
        name = type(subject).__name__
        raise ValueError(f"{name} {subject.key} has no question of the skills {skills}.")
    return [(question.text, question.answer) for question in draws.shuffled(asked)[:turns]]


def to_messages(turns: Turns) -> list[dict]:
    """Question-answer pairs as standard messages; the picture stands in the first one.

    Args:
        turns: (question, answer) pairs.
    """
    messages = []
    for number, (question, answer) in enumerate(turns):
        picture = [{"type": "image"}] if number == 0 else []
        messages.append({"role": "user", "content": [*picture, {"type": "text", "text": question}]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages
