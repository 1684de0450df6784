"""Exercises of notebook 07, training a VLM."""

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


EXERCISES = (
    Exercise(
        name="training.what_learns",
        title="Choose what to freeze",
        difficulty=2,
        minutes=8,
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
)
