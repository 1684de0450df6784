"""VQA accuracy: how many of ten people gave the answer, after both are normalised.

Sources: `PythonEvaluationTools/vqaEvaluation/vqaEval.py` of github.com/GT-Vision-Lab/VQA at a013f00
(March 2021, BSD-2-Clause; Antol et al. 2015); `tasks/vqav2` and `tasks/textvqa` of lmms-eval 0.7.3
(MIT); `vlmeval/dataset/utils/vqa_eval.py` of VLMEvalKit at e8e78f0 (August 2026, Apache-2.0).
"""

from __future__ import annotations

import re
from typing import Any

from vlm_helpers.evaluation.rules._given import known, text, truths

NUMBERS = {"none": "0", **{word: str(n) for n, word in enumerate(
    "zero one two three four five six seven eight nine ten".split()
)}}  # fmt: skip
ARTICLES = ("a", "an", "the")
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
# Words that get their apostrophe back, and those that lose it.
CONTRACTED = (
    "ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's "
    "how'd how'll how's isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've "
    "o'clock oughtn't shan't should've shouldn't that's there'd there're there's they'd they'll "
    "they're they've 'twas wasn't we've weren't what'll what're what's what've when's where'd "
    "where's where've who'd who'll who's who've why'll why're why's won't would've wouldn't "
    "y'all you'd you'll you're you've someone'd someone'll someone's something'd something'll"
).split()
TWICE = (  # of two apostrophes one may be missing, but not both
    "couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've "
    "someone'd've something'd've there'd've they'd've we'd've who'd've wouldn't've you'd've"
).split()
WORDS = {
    **{word.replace("'", ""): word for word in CONTRACTED},
    **{word.replace("'", "", 1): word for word in TWICE},
    **{word[::-1].replace("'", "", 1)[::-1]: word for word in TWICE},
    "somebody'd": "somebodyd", "somebodyll": "somebody'll", "somebodys": "somebody's",
    "ow's'at": "'ow's'at", "'ows'at": "'ow's'at", "'ow'sat": "'ow's'at",
    "yall'll": "y'all'll", "y'allll": "y'all'll",
    "yall'd've": "y'all'd've", "y'alld've": "y'all'd've", "y'all'dve": "y'all'd've",
}  # fmt: skip

STOPS = {"vlmevalkit": re.compile(r"(?<!\d)\.(?!\d)")}
RULES = ("vqa", "lmms-eval vqav2", "lmms-eval textvqa", "vlmevalkit")


def vqa_accuracy(answer: str, truth: Any, rule: str = "vqa") -> float:
    """The mean over the people of min(1, how many of the others gave the answer / 3).

    Each person is left out once, so that four of ten make it 1, three 0.9, and a single truth
    always 0: the rule needs several people's answers.

    Args:
        truth: the people's answers, one each (so they repeat), or an item with `answers`.
        rule: "vqa", the original, normalises nothing where all people agree. The others always do:
            "lmms-eval vqav2"; "lmms-eval textvqa", which first drops commas and question marks and
            parts 's from its word; and "vlmevalkit", to which "5." is not "5".
    """
    rule = known("rule of VQA accuracy", rule, RULES)
    answer, people = text("The answer", answer), truths(truth)
    if rule == "lmms-eval textvqa":
        answer, people = _apart(answer), [_apart(one) for one in people]
    answer, people = _line(answer), [_line(one) for one in people]
    if rule != "vqa" or len(set(people)) > 1:
        answer, people = _normal(answer, rule), [_normal(one, rule) for one in people]
    same = people.count(answer)
    return sum(min(1, (same - (one == answer)) / 3) for one in people) / len(people)


def _apart(one: str) -> str:
    return one.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()


def _line(one: str) -> str:
    return one.replace("\n", " ").replace("\t", " ").strip()


def _normal(one: str, rule: str) -> str:
    """Small letters, digits for "none" to "ten", no articles, apostrophes put back."""
    words = [NUMBERS.get(word, word) for word in unpunctuated(one, rule).lower().split()]
    return " ".join(WORDS.get(word, word) for word in words if word not in ARTICLES)


def unpunctuated(one: str, rule: str) -> str:
    """The text without punctuation.

    A mark goes where a space is beside one of its kind, or a comma stands between any two digits;
    else a space takes its place. Of stops, the first 32 go: a flag is given as their number.
    """
    commas = r"\d,+\d" if rule.startswith("lmms-eval") else r"\d,\d"
    joined, clean = re.search(commas, one) is not None, one
    for mark in PUNCTUATION:
        gone = joined or f"{mark} " in one or f" {mark}" in one
        clean = clean.replace(mark, "" if gone else " ")
    return STOPS.get(rule, re.compile(r"\.(?!\d)")).sub("", clean, count=32)
