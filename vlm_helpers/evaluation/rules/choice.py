"""Multiple choice: the letter that a rule takes from an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vlm_helpers._draws import Draws
from vlm_helpers._words import whole_number
from vlm_helpers.evaluation.rules import leading, mathvista, mcq, mmmu, vlmevalkit
from vlm_helpers.evaluation.rules._given import known, lettered, text
from vlm_helpers.evaluation.rules._rule import Rule

RULES: dict[str, Callable[[str, Mapping[str, str]], str | None]] = {
    "mmmu": mmmu.mmmu,
    "mmmu-pro": mmmu.mmmu_pro,
    "lmms-eval mmmu": mmmu.lmms_eval,
    "lmms-eval mcq_extract": mcq.mcq_extract,
    "vlmevalkit": vlmevalkit.general,
    "scienceqa": leading.scienceqa,
    "ai2d": leading.ai2d,
    "mathvista": mathvista.option,
}
DRAWING = ("mmmu", "mmmu-pro", "lmms-eval mmmu")  # draw a letter where they find none


class Letter(str):
    """The letter of an option: a text that knows whether it was `drawn` by lot."""

    drawn: bool

    def __new__(cls, letter: str, drawn: bool = False) -> Letter:
        self = super().__new__(cls, letter)
        self.drawn = drawn
        return self

    def __getnewargs__(self) -> tuple[str, bool]:
        return str(self), self.drawn


def extract(answer: str, options: Any, rule: str, *, seed: int = 0) -> Letter | None:
    """The letter that a published rule takes from an answer.

    Args:
        answer: what the model said, whole.
        options: the options' texts, A first; or a mapping from letter to text.
        rule: one of `RULES`.
        seed: for the three rules of MMMU, which draw a letter where they find none. Here the
            draw depends on the seed and the answer only; theirs depends on how many letters were
            drawn before, so that the same answers in another order score differently.
    Returns:
        The `Letter`, or None where the rule finds none. It may be none of the options': "ai2d" and
        "scienceqa" take any, and "vlmevalkit" marks a refusal by "Z". `.drawn` is True where it was
        drawn.
    Raises:
        TypeError, ValueError: an answer or an option that is no text, options that are no list, or
            a rule that does not exist.
    """
    rule, seed = known("rule", rule, RULES), whole_number("seed", seed)
    answer, options = text("The answer", answer), lettered(options)
    letter = RULES[rule](answer, options)
    if letter is None and rule in DRAWING:
        return Letter(Draws(f"{rule}/{seed}/{answer}").pick(list(options)), drawn=True)
    return None if letter is None else Letter(letter)


def by_rule(rule: str, *, seed: int = 0) -> Rule:
    """A score for `quiz`: whether the letter that `rule` takes is the right one.

    It is for items with `options` (texts, or letter to text) and a letter as `answer`.
    """
    rule, seed = known("rule", rule, RULES), whole_number("seed", seed)

    def judge(answer: str, item: Mapping[str, Any]) -> tuple[Letter | None, bool]:
        if item.get("options") is None:
            columns = ", ".join(map(repr, item))
            raise ValueError(
                f"An item has no options, which the rule {rule!r} needs: give a list of texts in "
                f"the column 'options' (the item's columns: {columns})."
            )
        options = lettered(item["options"])
        right = item.get("answer")
        if right not in options:
            raise ValueError(
                f"An item's answer is {right!r}: the rule {rule!r} needs the letter of one "
                f"of its {len(options)} options."
            )
        letter = extract(answer, options, rule, seed=seed)
        # MathVista compares the options' texts, so that of two alike both are right.
        alike = rule == "mathvista" and options[letter] == options[right]
        return letter, alike or letter == right

    return Rule(f"{rule}, seed {seed}" if seed else rule, judge)
