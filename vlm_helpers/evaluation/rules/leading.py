"""The letter at the front: lmms-eval's rules for AI2D and ScienceQA.

Sources: `tasks/ai2d/` and `tasks/scienceqa/utils.py` of lmms-eval 0.7.3 (MIT); the second goes back
to LLaVA's evaluation of ScienceQA. A whole sentence is wrong under both, whatever it says. Neither
looks at the options: the letter may be none of theirs.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

from vlm_helpers.evaluation.rules._given import LETTERS

PUNCTUATION = str.maketrans("", "", string.punctuation)


def ai2d(answer: str, options: Mapping[str, str]) -> str | None:
    """A capital and a stop in front; else the answer is the letter but for case and punctuation.

    Spaces count: "B " is none, " B. cat" is B.
    """
    found = re.match(r"\s*([A-Z])\.", answer)
    if found:
        return found[1]
    # numpy's text has a fixed width, so small letters take no more than capitals: "İ" is "i".
    return _capital(answer.lower()[: len(answer)].translate(PUNCTUATION))


def scienceqa(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter alone in either case, or a capital and a stop in front; "(B)" is none."""
    answer = answer.strip()
    short = answer[:1] if answer[:1].isupper() and answer[1:2] == "." else answer
    return _capital(short)


def _capital(letter: str) -> str | None:
    return next((one for one in LETTERS if one.lower() == letter.lower()), None)
