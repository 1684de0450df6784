"""Published scoring rules under their own names: what each takes from an answer, oddities included.

    extract("A dog is blue.", ["cat", "dog"], rule="vlmevalkit")  # "A"
    quiz(vlm, items, score=by_rule("mmmu"))                       # items with `options`
    quiz(vlm, items, score=anls)                                  # or any other of these scores

A score is a function `(answer, truth)`; `truth` is a text, a list of texts that are all right, or
an item of `quiz`, whose `answers` or `answer` count. Each module names its source with version and
licence; no code is copied. `tests/rules.jsonl` holds what the sources' own code gives on shared
cases, `recipes/rules.py` makes it anew, and `docs/scoring.md` tells where the rules go wrong.
"""

from vlm_helpers.evaluation.rules._rule import Rule
from vlm_helpers.evaluation.rules.captions import cider
from vlm_helpers.evaluation.rules.charts import relaxed_accuracy, written_number
from vlm_helpers.evaluation.rules.choice import RULES, Letter, by_rule, extract
from vlm_helpers.evaluation.rules.mathvista import mathvista
from vlm_helpers.evaluation.rules.mmmu import mmmu_open
from vlm_helpers.evaluation.rules.ocrbench import ocrbench
from vlm_helpers.evaluation.rules.structured import JsonAnswer, json_answer, read_json
from vlm_helpers.evaluation.rules.text import anls, cer, wer
from vlm_helpers.evaluation.rules.vqa import vqa_accuracy
from vlm_helpers.evaluation.rules.yesno import yes_or_no

__all__ = [
    "RULES",
    "JsonAnswer",
    "Letter",
    "Rule",
    "anls",
    "by_rule",
    "cer",
    "cider",
    "extract",
    "json_answer",
    "mathvista",
    "mmmu_open",
    "ocrbench",
    "read_json",
    "relaxed_accuracy",
    "vqa_accuracy",
    "wer",
    "written_number",
    "yes_or_no",
]
