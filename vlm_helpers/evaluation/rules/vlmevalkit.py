"""VLMEvalKit's general rule for multiple choice, as it scores where no judge can be reached.

Source: `can_infer` in `vlmeval/utils/matching_util.py` of github.com/open-compass/VLMEvalKit at
e8e78f0 (August 2026, Apache-2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

REFUSAL = "Z"
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
SPACED = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
ANSWER_IS = re.compile(r"answer\s+is\s+\**([ABCD])", re.IGNORECASE)


def general(answer: str, options: Mapping[str, str]) -> str | None:
    """The only letter among the words, within the last four of them; else the only option named.

    "A dog is blue" has four words and is A. In between, since May 2026, comes what follows "answer
    is": it need be no letter that stands alone, so that "The answer is blue" is B. Options are
    sought in no answer that is more than twice as long as all of them together.

    Returns:
        A letter, "Z" for a refusal, or None, for which a judge would be asked.
    """
    return _letter(answer, options) or _named(answer.lower(), options)


def _letter(answer: str, options: Mapping[str, str]) -> str | None:
    if "Failed to obtain answer via API" in answer:
        return None
    if any(refusal in answer for refusal in REFUSALS):
        return REFUSAL
    words = answer.translate(SPACED).split()
    found = [letter for letter in options if letter in words]
    if len(found) == 1 and words.index(found[0]) > len(words) - 5:
        return found[0]
    if not found and REFUSAL in words:
        return REFUSAL
    said = ANSWER_IS.search(answer)
    return said[1].upper() if said and said[1].upper() in options else None


def _named(answer: str, options: Mapping[str, str]) -> str | None:
    if len(answer) > 2 * sum(map(len, options.values())):
        return None
    found = [letter for letter in options if options[letter].lower() in answer]
    return found[0] if len(found) == 1 else None
