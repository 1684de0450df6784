"""lmms-eval's general reader of letters.

Source: `extract_mcq_answer` in `tasks/_task_utils/mcq_extract.py` of lmms-eval 0.7.3 (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping

PHRASES = (
    *(
        f"{the}{what} is"
        for the in ("the ", "")
        for what in (
            "answer", "correct answer", "best answer", "correct option", "best option", "choice",
            "correct choice",
        )
    ),
    "i choose", "i select", "i pick", "my answer is", "my choice is",
    "옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは",
)  # fmt: skip
FORMS = {"({})": 6, "{}.": 5, "{}:": 4, "{})": 3, "{} ": 2}  # within words too: "A " in "DNA "
PHRASE, START, END = 7, 10, 9


def mcq_extract(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter in the form that counts most, and of several in it the last.

    A letter at the start counts most, so that "A dog is blue" is A; then one at the end, then
    whatever capital follows "the answer is" and its like, within words too: "The answer is Blue and
    so on" is B. Where no form is found, any capital will do.
    """
    inner = answer.strip()
    for mark in ",.!?;:'\"":
        inner = inner.strip(mark)
    padded, inner = f" {inner} ", inner.strip()
    small = padded.lower()
    found = []  # (how much its form counts, where it stands, letter)
    for letter in options:
        for form, weight in FORMS.items():
            found.append((weight, padded.rfind(form.format(letter)), letter))
        for phrase in PHRASES:
            start = small.find(phrase)
            if start >= 0:
                found.append((PHRASE, padded.find(letter, start + len(phrase)), letter))
        if inner.startswith(letter) and not inner[1:2].isalpha():
            found.append((START, 0, letter))
        if inner.endswith(letter) and not inner[-2:-1].isalpha():
            found.append((END, 0, letter))
    found = [one for one in found if one[1] >= 0]
    if not found:
        found = [(0, padded.rfind(letter), letter) for letter in options if letter in padded]
    return max(found)[2] if found else None
