"""Exercises of notebook 07, training a VLM."""

from vlm_helpers import evaluation
from vlm_helpers._words import as_number
from vlm_helpers.exercises._engine import Exercise, Wrong, call_each, pocket

# --- training.what_learns -------------------------------------------------------------------------


def what_learns(name, stage):
    if "vision_tower" in name:
        return False  # frozen in both stages
    if "multi_modal_projector" in name:
        return True
    return stage == 2  # the decoder, its embeddings and its output layer


def _names() -> list[str]:
    """The parameters of a real LLaVA, by their names."""
    return [name for name, _ in pocket().model.named_parameters()]


def _part(name: str) -> str:
    return next(
        (p for p in ("vision_tower", "multi_modal_projector", "lm_head") if p in name),
        "language_model",
    )


_TOO_MANY = {
    (1, "vision_tower"): "In stage one {name} learns, which belongs to the vision tower: it is "
    "frozen. Do you look for `proj`? The attention layers of the tower have a `q_proj` each.",
    (1, "language_model"): "In stage one {name} learns, which belongs to the decoder. Only the "
    "projector learns then; look for the whole `multi_modal_projector`, for every attention layer "
    "has a `q_proj`.",
    (1, "lm_head"): "In stage one the decoder's output layer, {name}, learns: it belongs to the "
    "decoder, which is frozen.",
    (2, "vision_tower"): "In stage two {name} learns, which belongs to the vision tower: LLaVA "
    "keeps that frozen in both stages.",
}
_TOO_FEW = {
    (1, "multi_modal_projector"): "In stage one {name} does not learn, and the projector is all "
    "that does.",
    (2, "multi_modal_projector"): "In stage two the projector goes on learning, and {name} does "
    "not.",
    (2, "language_model"): "In stage two the decoder learns, and {name} does not.",
    (2, "lm_head"): "In stage two the output layer, {name}, belongs to the decoder and learns with "
    "it, though `language_model` is not in its name.",
}


def examine_what_learns(answer, names) -> None:
    cases = [(name, stage) for stage in (1, 2) for name in names]
    search = "Is it what `re.search` gives, a match or None? Wrap it in `bool(…)`."
    for (name, stage), learns in zip(cases, call_each(answer, cases, f"return False. {search}")):
        if learns not in (True, False):
            raise Wrong(f"Return True or False; for `{name}` it is {learns!r}. {search}")
        if learns != what_learns(name, stage):
            words = (_TOO_MANY if learns else _TOO_FEW)[stage, _part(name)]
            raise Wrong(words.format(name=f"`{name}`"))


# --- training.surely_above ------------------------------------------------------------------------


def surely_above(points, floor):
    from vlm_helpers.evaluation import interval

    sure = []
    for step, right, n in points:
        low, high = interval(right, n)
        if low > floor:
            sure.append(step)
    return sure


# (points, floor): a curve that crosses its floor early and surely late; one that falls back; one
# that never gets there; one that lies surely below; one whose first point has too few questions.
_CURVES = (
    ([(20, 9, 24), (40, 14, 24), (80, 40, 48), (160, 47, 48)], 0.5),
    ([(10, 20, 24), (20, 21, 24), (30, 15, 24), (60, 22, 24)], 0.6),
    ([(50, 33, 60), (100, 36, 60), (200, 35, 60)], 0.55),
    ([(25, 0, 40), (75, 3, 40), (125, 10, 40)], 0.45),
    ([(40, 20, 20), (80, 57, 60), (160, 58, 60)], 0.86),
)


def _picked(points, floor, beats) -> list[int]:
    """The steps of the points whose score, low and high end are enough for `beats`."""
    shares = [(step, right / n, *evaluation.interval(right, n)) for step, right, n in points]
    return [step for step, share, low, high in shares if beats(share, low, high, floor)]


_MISTAKES = (
    (
        lambda share, low, high, floor: share > floor,
        "At step {step} {right} of {n} are right: the score lies above the floor of {floor}, but "
        "its interval, {low:.2f} to {high:.2f}, holds the floor, so luck can do that. Compare the "
        "low end.",
    ),
    (
        lambda share, low, high, floor: high > floor,
        "At step {step} it is the high end of the interval, {low:.2f} to {high:.2f}, that lies "
        "above the floor of {floor}. The score is surely above where even the low end is.",
    ),
    (
        lambda share, low, high, floor: low > floor or high < floor,
        "At step {step} the interval, {low:.2f} to {high:.2f}, does not hold the floor of {floor} "
        "because all of it lies below. Asked are the steps that are above.",
    ),
    (
        lambda share, low, high, floor: low <= floor,
        "At step {step} the low end, {low:.2f}, is not above the floor of {floor}: these are the "
        "steps that are not sure. Turn the comparison round.",
    ),
    (
        lambda share, low, high, floor: low > floor or share == 1 and floor < 1,
        "At step {step} {right} of {n} are right, and yet the 95 % interval begins at {low:.2f}, "
        "not above the floor of {floor}: take what `interval(right, n)` gives as it is. A lower "
        "level, or the share minus standard errors (0 where all are right), promises too much.",
    ),
)


def _steps(answer) -> list:
    try:
        steps = [as_number(step) for step in answer]
    except TypeError:
        raise Wrong(
            "Return a list of steps; this is of type "
            f"{type(answer).__name__}. Where no step is sure, the list is empty."
        ) from None
    if None in steps:
        raise Wrong(
            "Return the steps alone, one number for each: no yes or no, and not the whole points."
        )
    return [int(step) if step == int(step) else step for step in steps]


def examine_surely_above(answer, curves) -> None:
    empty = "an empty list, `[]`, says that no step is sure."
    given = [_steps(found) for found in call_each(answer, curves, empty)]
    rights = [surely_above(*case) for case in curves]
    if given == rights:
        return
    for beats, message in _MISTAKES:
        if given == [_picked(*case, beats) for case in curves]:
            points, floor, wrong = next(
                (points, floor, steps)
                for (points, floor), steps, right in zip(curves, given, rights)
                if steps != right
            )
            right = surely_above(points, floor)
            step, good, n = next(p for p in points if (p[0] in wrong) != (p[0] in right))
            low, high = evaluation.interval(good, n)
            raise Wrong(message.format(step=step, right=good, n=n, floor=floor, low=low, high=high))
    wrong = [case for case in zip(curves, given, rights) if case[1] != case[2]]
    cut = [case for case in wrong if case[1]]
    if cut and all(steps == right[: len(steps)] for _, steps, right in wrong):
        (points, floor), steps, right = cut[0]
        raise Wrong(
            f"For the points {points} and the floor {floor} only {steps} is given; all of {right} "
            "are sure. Does your loop end too early, by a `return` inside it or at the first step "
            "that is not sure?"
        )
    (points, floor), steps, right = wrong[0]
    case = f"For the points {points} and the floor {floor}"
    if steps == [i for i, point in enumerate(points) if point[0] in right]:
        raise Wrong(f"{case} you give {steps}: these are places in the list. Give the steps.")
    never = "" if any(given) else " `interval` wants how many are right, not their share."
    raise Wrong(f"{case} the steps that are surely above are {right}, and you give {steps}.{never}")


EXERCISES = (
    Exercise(
        name="training.what_learns",
        title="Choose what to freeze",
        difficulty=1,
        minutes=3,
        takeaway="These few lines are what tells the two stages apart. Whatever you train, print "
        "what learns before you start: a pattern that hits too much is not noticed otherwise.",
        hints=(
            "A LLaVA has four parts: `vision_tower`, `multi_modal_projector`, `language_model` and "
            "`lm_head`. Which learn in which stage?",
            "Begin with the part that never learns, then the one that always does; what is left "
            "depends on the stage.",
        ),
        solved=what_learns,
        materials=_names,
        examine=examine_what_learns,
    ),
    Exercise(
        name="training.surely_above",
        title="Is it above its floor?",
        difficulty=2,
        minutes=10,
        takeaway="A curve that touches its floor has shown nothing yet. Ask more questions, or "
        "train on, until the whole interval is above.",
        hints=(
            "A point is `(step, right, n)`. `vh.evaluation.interval(right, n)` gives the low and "
            "the high end of the true share.",
            "Luck is ruled out where even the low end lies above the floor. Collect the steps of "
            "such points in a list.",
        ),
        solved=surely_above,
        materials=lambda: _CURVES,
        examine=examine_surely_above,
    ),
)
