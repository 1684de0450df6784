"""Exercises of notebook 06, choosing and evaluating."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby

from vlm_helpers._words import as_number, count
from vlm_helpers.exercises._engine import Exercise, NotAttempted, Wrong, call, call_each

# --- choosing_and_evaluating.circular -------------------------------------------------------------


def circular(turns):
    right = {}
    for question, truth, taken in turns:
        # one turn that is wrong, or that no letter was found in, and the question is lost
        right[question] = right.get(question, True) and taken == truth
    return sum(right.values()) / len(right)


# Turns of questions: (question, the letter that is right in this turn, the letter taken).
def _asked(**questions: str) -> list[tuple[str, str, str | None]]:
    """`king="AB BA C-"`: the right letter and the taken one, turn by turn; "-" is none."""
    return [
        (question, pair[0], None if pair[1] == "-" else pair[1])
        for question, pairs in questions.items()
        for pair in pairs.split()
    ]


_MIXED = _asked(
    hat="CC BB AA DD", fish="AA DA CC BB", tree="BB AA", boat="AC CB BA", star="DD C- BB AA",
    sign="BA AB", moon="CC BB AA",
)  # fmt: skip
TURNS = (
    _asked(hat="CC BB AA DD", fish="AA DA CC BB"),
    _MIXED,
    sorted(_MIXED, key=lambda turn: (turn[1], turn[0])),  # a file of a run in another order
    _asked(hat="AA DA CA BA", fish="BA AA DA CA"),  # always A
)


def _by_question(turns) -> dict[str, list[tuple[str, str | None]]]:
    groups = defaultdict(list)
    for question, truth, taken in turns:
        groups[question].append((truth, taken))
    return groups


def _share(rights) -> float:
    rights = list(rights)
    return sum(rights) / len(rights) if rights else 0.0


def _turn_by_turn(turns) -> float:
    return _share(truth == taken for _, truth, taken in turns)


def _mean_of_questions(turns) -> float:
    return _share(_share(t == s for t, s in pairs) for pairs in _by_question(turns).values())


def _any(turns) -> float:
    return _share(any(t == s for t, s in pairs) for pairs in _by_question(turns).values())


def _majority(turns) -> float:
    return _share(
        2 * sum(t == s for t, s in pairs) > len(pairs) for pairs in _by_question(turns).values()
    )


def _first(turns) -> float:
    return _share(pairs[0][0] == pairs[0][1] for pairs in _by_question(turns).values())


def _last(turns) -> float:
    return _share(pairs[-1][0] == pairs[-1][1] for pairs in _by_question(turns).values())


def _same_letter(turns) -> float:
    return _share(len({s for _, s in pairs}) == 1 for pairs in _by_question(turns).values())


def _missing_skipped(turns) -> float:
    return circular([turn for turn in turns if turn[2] is not None])


def _in_a_row(turns) -> float:
    groups = [list(group) for _, group in groupby(turns, key=lambda turn: turn[0])]
    return _share(all(t == s for _, t, s in group) for group in groups)


def _in_fours(turns) -> float:
    groups = [turns[i : i + 4] for i in range(0, len(turns), 4)]
    return _share(all(t == s for _, t, s in group) for group in groups)


def _only_fours(turns) -> float:
    return _share(
        len(pairs) == 4 and all(t == s for t, s in pairs) for pairs in _by_question(turns).values()
    )


def _over_turns(turns) -> float:
    return circular(turns) * len(_by_question(turns)) / len(turns)


def _how_many(turns) -> float:
    return circular(turns) * len(_by_question(turns))


# What somebody computes instead. It is told only where it gives all that was given.
_OTHERS = (
    (_turn_by_turn, "the share of all turns that are right. CircularEval counts questions: all "
     "turns of one are right, or it is lost."),
    (_mean_of_questions, "what you get if each question counts by the share of its turns that are "
     "right. CircularEval is stricter: one wrong turn, and the question counts nothing."),
    (_any, "the share of questions with a turn that is right: use `all`, not `any`."),
    (_majority, "the share of questions that are right in most of their turns. All must be right."),
    (_first, "the share right in the first turn: that is the score without CircularEval."),
    (_last, "the share right in the last turn. Does a later turn overwrite what an earlier one "
     "said of its question?"),
    (_same_letter, "the share of questions with the same letter in every turn. The right letter "
     "moves with its option, so that a model that always says A would pass."),
    (_missing_skipped, "what is left without the turns in which no letter was found. They were "
     "asked, and not answered right: such a question is lost."),
    (_in_fours, "what you get four turns at a time, in the order of the list. Questions have as "
     "many turns as options, and a file may hold them in any order: group by the question."),
    (_in_a_row, "what you get from turns that stand next to each other. A file may hold them in "
     "any order: collect the turns of a question first."),
    (_only_fours, "what you get if questions of fewer than four turns are lost. One with two "
     "options has two."),
    (_over_turns, "divided by the number of turns: divide by the number of questions."),
    (_how_many, "how many questions are right: divide by how many there are."),
    (lambda turns: 100 * circular(turns), "right in per cent: give a share, between 0 and 1."),
    (lambda turns: 1 - circular(turns), "the share of questions that are lost."),
)  # fmt: skip


def examine_circular(answer, cases) -> None:
    what = "give 0 where no question is right in all its turns."
    given = call_each(answer, [(list(turns),) for turns in cases], what)
    shares = []
    for value in given:
        if isinstance(value, (dict, list, tuple, set)):
            raise Wrong(
                f"It gives a {type(value).__name__}: return the share of questions that are right "
                "in all their turns, one number."
            )
        shares.append(as_number(value))
        if shares[-1] is None:
            raise Wrong(f"A score is a number between 0 and 1, and it gives {value!r}.")

    def gives(other) -> bool:
        return all(abs(share - other(turns)) < 1e-6 for share, turns in zip(shares, cases))

    if gives(circular):
        return
    off = (abs(share - circular(turns)) > 1e-6 for share, turns in zip(shares, cases))
    first = list(off).index(True)
    questions, right = len(_by_question(cases[first])), circular(cases[first])
    asked = f"For {count(questions, 'question')} in {len(cases[first])} turns"
    for other, what in _OTHERS:
        if gives(other):
            raise Wrong(f"{asked} it gives {shares[first]:.3g}: {what}")
    raise Wrong(f"{asked} the score is {right:.3g}, and your function gives {shares[first]:.3g}.")


# --- choosing_and_evaluating.extract --------------------------------------------------------------


def extract(answer, options):
    import re

    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)]
    # 1. said outright: "answer is (B)", "Answer: B", "option B", "boxed{B}"; the last counts
    outright = rf"(?:answer|option|choice|boxed)(?:\s+is)?[\s:*({{]*([{letters}])(?![\w'])"
    said = [letter for letter in re.findall(outright, answer, re.IGNORECASE) if letter.isupper()]
    if said:
        return said[-1]
    # 2. a letter and nothing else, in either case
    only = re.fullmatch(r"\W*([A-Za-z])\W*", answer)
    if only:
        return only[1].upper() if only[1].upper() in letters else None
    # 3. capitals that stand alone; "A" and "I" before a small letter are words
    alone = re.findall(rf"(?<![\w'])(?![AI]\s+[a-z])([{letters}])(?![\w'])", answer)
    if alone:
        return None if set(alone) == set(letters) else alone[-1]
    # 4. the only option that is named, where a longer name hides a shorter one in it
    rest, named = answer.lower(), []
    for option in sorted(options, key=len, reverse=True):
        shorter = re.sub(rf"(?<!\w){re.escape(option.lower())}(?!\w)", " ", rest)
        if shorter != rest:
            named.append(letters[options.index(option)])
        rest = shorter
    return named[0] if len(named) == 1 else None


@dataclass(frozen=True)
class Hostile:
    """An answer, the options, the letter that it means, and why that is not plain."""

    answer: str
    letter: str | None
    why: str
    options: tuple[str, ...] = ("red", "green", "blue", "yellow")


_NINE = ("ox", "cat", "dog", "hen", "pig", "cow", "ant", "bee", "owl")

HOSTILE = (
    Hostile("B", "B", "it is the letter and nothing else"),
    Hostile("c", "C", "it is a letter, in the other case"),
    Hostile("(D)", "D", "the letter stands in brackets"),
    Hostile("**B**", "B", "the stars are Markdown, for bold"),
    Hostile("B. green", "B", "letter and option agree, with a full stop between them"),
    Hostile("C)\n\nThe hat is blue.", "C", "a line break follows the letter, and no space"),
    Hostile("The answer is (B), as the sign says so.", "B", "the letter is not at the end"),
    Hostile("ANSWER: D", "D", "it is said outright, in capitals"),
    Hostile(r"So we get $\boxed{C}$.", "C", "mathematicians put their answer in a box"),
    Hostile("A dog wears it, so the answer is C.", "C", '"A" begins a phrase there: it is a word'),
    Hostile("A dog in a green hat.", "B", '"A" is a word there, and the answer names an option'),
    Hostile("The answer is blue.", "C", "what follows is a word that begins with b, and no letter"),
    Hostile("DNA says yellow.", "D", "the A is part of a word"),
    Hostile("A is too dark, B is too pale, so it is D.", "D", "the last one is what it settles on"),
    Hostile("It could be A, B, C or D.", None, "naming all options is no answer"),
    Hostile("I cannot tell whether it is red or green.", None, "two options, and none is chosen"),
    Hostile("I'm sorry, I can't help with that.", None, "a refusal holds no answer", _NINE),
    Hostile("I think it is B.", "B", '"I" is a word, though nine options make it a letter', _NINE),
    Hostile("It is dark red.", "B", '"red" is only part of what it names', ("red", "dark red")),
    Hostile("", None, "there is nothing in it, and drawing a letter would add luck"),
)


def examine_extract(answer, cases) -> None:
    shown = [
        f"Answer {number} of {len(cases)}, {case.answer!r} with the options {list(case.options)}"
        for number, case in enumerate(cases, 1)
    ]
    letters = [_taken(answer, case, name) for case, name in zip(cases, shown)]
    if all(letter is None for letter in letters):
        raise NotAttempted("`extract` finds nothing yet. If it is written, where is its `return`?")
    right = sum(letter == case.letter for case, letter in zip(cases, letters))
    so_far = f"It reads {right} of the {len(cases)}."
    for case, name, letter in zip(cases, shown, letters):
        if letter == case.letter:
            continue
        if letter is None:
            raise Wrong(f"{name}, means {case.letter}, and yours finds none: {case.why}. {so_far}")
        _odd_kind(letter, name, case.options)
        means = "no letter, so None is right" if case.letter is None else case.letter
        raise Wrong(f"{name}, means {means}, and yours gives {letter!r}: {case.why}. {so_far}")


def _taken(function, case: Hostile, name: str):
    options = list(case.options)
    try:
        letter = call(function, case.answer, options)
    except NotAttempted:
        return None
    except Wrong as reason:
        raise Wrong(f"{name}: {reason}") from None
    if options != list(case.options):
        raise Wrong(f"{name}: your function changed the list of options. Work on a copy.")
    return letter


def _odd_kind(found, shown: str, options: list[str]) -> None:
    """Raises `Wrong` for what is no letter of the options, or None."""
    letters = [chr(ord("A") + n) for n in range(len(options))]
    if isinstance(found, (int, float)):
        raise Wrong(f"{shown}: it gives the number {found!r}. Give the option's letter, a text.")
    if not isinstance(found, str):
        raise Wrong(f"{shown}: it gives a {type(found).__name__}. Give one letter, or None.")
    if found in options:
        raise Wrong(f"{shown}: it gives the option {found!r} itself. Give its letter.")
    if found not in letters:
        if found.strip().upper() in letters:
            raise Wrong(f"{shown}: it gives {found!r}. Give the letter as a bare capital.")
        raise Wrong(f"{shown}: it gives {found!r}, which is no option's letter. None means none.")


# --- choosing_and_evaluating.compare --------------------------------------------------------------


def carried():
    return {"B", "D", "F"}


# What is said of the comparison in the notebook: whether it carries it, and why (not).
STATEMENTS = {
    "A": (False, "an interval with 0 in it does not show that two are equal, only that these fifty "
          "questions do not tell them apart"),
    "B": (True, "that is what the interval of all thousand says"),
    "C": (False, "p is how often two of equal worth would differ as much by chance; it is no "
          "probability that they are equal"),
    "D": (True, "only the 101 and 17 on which one is right and the other wrong speak for one of "
          "them: that is why pairs tell more than two separate intervals"),
    "E": (False, "the questions were about colours and shapes in drawn pictures: of other tasks "
          "they say nothing"),
    "F": (True, "an interval shrinks with the square root of the number of questions: half as wide "
          "takes four times as many"),
    "G": (False, "a set of fifty moves by several points by luck alone: the figure shows a set in "
          "which the order is turned round"),
}  # fmt: skip


def examine_carried(answer, statements) -> None:
    if isinstance(answer, dict):
        answer = {letter for letter, holds in answer.items() if holds}
    try:
        said = {str(one).strip().upper() for one in answer} - {"", ",", " "}
    except TypeError:
        raise Wrong(
            f"Give the letters of the statements, as in {{'A', 'C'}}; this is of type "
            f"{type(answer).__name__}."
        ) from None
    if not said:
        raise NotAttempted("Put in the letters of the statements that the comparison carries.")
    if strange := sorted(said - statements.keys()):
        raise Wrong(f"There is no statement {strange[0]!r}: there are {', '.join(statements)}.")
    if said == statements.keys():
        raise Wrong("Not all of them: some say more than the interval does.")
    for letter, (holds, why) in statements.items():
        if letter in said and not holds:
            raise Wrong(f"{letter} is not carried: {why}.")
    for letter, (holds, why) in statements.items():
        if holds and letter not in said:
            raise Wrong(f"What you took is carried, and {letter} is too: {why}.")


EXERCISES = (
    Exercise(
        name="choosing_and_evaluating.extract",
        title="Twenty hostile answers",
        difficulty=4,
        minutes=25,
        takeaway=(
            "Yours reads all twenty. None of the published rules does; but the twenty-first is out "
            "there. So keep the raw answers, and look at those that your rule takes nothing from."
        ),
        hints=(
            "Go from what is certain to what is vague: a letter said outright, then a letter that "
            "stands alone, then an option's own text. The first stage that finds one decides.",
            r"A letter stands alone where no letter or digit touches it: `(?<!\w)([A-D])(?!\w)`"
            ' for `re.findall`. And "A" or "I" before a space and a small letter is a word.',
            "Options: look for the longest first, and take out what was found.",
        ),
        solved=extract,
        materials=lambda: HOSTILE,
        examine=examine_extract,
    ),
    Exercise(
        name="choosing_and_evaluating.circular",
        title="CircularEval",
        difficulty=2,
        minutes=8,
        takeaway=(
            "Somebody who guesses among four options is right in one turn of four, and in all four "
            "once in 256 questions. CircularEval buys that floor with four times the work."
        ),
        hints=(
            "A dictionary from question to the list of its turns makes the order of the list "
            "unimportant.",
            "`all(...)` over the turns of a question, then the share of questions.",
        ),
        solved=circular,
        materials=lambda: TURNS,
        examine=examine_circular,
    ),
    Exercise(
        name="choosing_and_evaluating.compare",
        title="What does the interval carry?",
        difficulty=2,
        minutes=6,
        takeaway=(
            "An interval says how large a difference can still be, not that there is none; and it "
            "speaks of questions like those that were asked."
        ),
        hints=(
            "Of each statement: is it about questions like these, and true all over the interval?",
            "Three of them hold.",
        ),
        start={...},
        solved=carried,
        materials=lambda: STATEMENTS,
        examine=examine_carried,
    ),
)
