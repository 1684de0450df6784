"""Yes or no: how POPE and the harnesses read an answer.

Sources: `evaluate.py` of github.com/AoiDragon/POPE at 08d957b (August 2025, MIT; Li et al. 2023);
`tasks/pope/utils.py` of lmms-eval 0.7.3 (MIT); `YOrN_Extraction` in
`vlmeval/dataset/utils/yorn.py` of VLMEvalKit at e8e78f0 (August 2026, Apache-2.0).
"""

from __future__ import annotations

from vlm_helpers.evaluation.rules import vqa
from vlm_helpers.evaluation.rules._given import known, text


def pope(answer: str) -> str:
    """No, if "No", "no" or "not" is a word of the first sentence; anything else is yes.

    So are an empty answer, a refusal, "NO" and "There isn't".
    """
    words = answer.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "no", "not"} & set(words) else "yes"


def lmms_eval(answer: str) -> str | None:
    """The whole answer must be "yes" or "no" in any case; "Yes." is none."""
    answer = answer.lower().strip()
    return answer if answer in ("yes", "no") else None


def vlmevalkit(answer: str) -> str | None:
    """The one of the words "yes" and "no" that is there, if not both are."""
    words = vqa.unpunctuated(answer.lower(), "vlmevalkit").split()
    found = [word for word in ("yes", "no") if word in words]
    return found[0] if len(found) == 1 else None


RULES = {"pope": pope, "lmms-eval": lmms_eval, "vlmevalkit": vlmevalkit}


def yes_or_no(answer: str, rule: str = "pope") -> str | None:
    """Yes, no, or None where the rule finds neither.

    Args:
        rule: "pope", the original; "lmms-eval"; or "vlmevalkit" (without a judge).
    """
    rule = known("rule for yes and no", rule, RULES)
    return RULES[rule](text("The answer", answer))
