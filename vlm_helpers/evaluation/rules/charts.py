"""Relaxed accuracy: a number may be off by 5 %.

Source: `tasks/chartqa/utils.py` of lmms-eval 0.7.3 (MIT), the same as Qwen-VL's and pix2struct's,
after Methani et al. 2020 (PlotQA) and section 5.1 of ChartQA (arxiv.org/abs/2203.10244).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from vlm_helpers._words import number
from vlm_helpers.evaluation.rules._given import text, truths

NUMBER = re.compile(r"[-\u2212]?(?:\d+|(?=[.,]\d))(?:['\u2019\s]\d{3}(?!\d)|[.,]\d+)*")


def chartqa_number(written: str) -> float | None:
    """What Python reads as a number, with "%" at the end a hundredth of it.

    So "12 kg", "1,500" and "$5" are none, "nan" and "1_000" are, and 12 % is not 12.
    """
    try:
        return float(written.rstrip("%")) / 100 if written.endswith("%") else float(written)
    except ValueError:
        return None


def written_number(written: str) -> float | None:
    """The first number in a text, whatever parts thousands and decimals; None where none is.

    A space or an apostrophe parts thousands: where other than three digits follow, a number ends.
    """
    found = NUMBER.search(text("What is written", written))
    if not found:
        return None
    digits = re.sub(r"['\u2019\s]", "", found.group()).replace("\u2212", "-")
    whole, mark, part = re.fullmatch(r"(.*?)(?:([.,])(\d*))?", digits).groups()
    if mark and len(part) == 3 and whole.strip("-0"):  # 1,500 and 1.500 are thousands
        whole, part = whole + part, ""
    return float(re.sub(r"[.,]", "", whole) + "." + (part or "0"))


def relaxed_accuracy(
    answer: str,
    truth: Any,
    tolerance: float = 0.05,
    read: Callable[[str], float | None] = chartqa_number,
) -> bool:
    """Whether the answer is within 5 % of the truth, or, where one is no number, the same text.

    Case does not count; spaces and full stops do. A truth of 0 must be written the same: there are
    no 5 % of it.

    Args:
        tolerance: the share of the truth by which a number may be off.
        read: `written_number` to read numbers with units and thousands, which is kinder than the
            published rule.
    """
    answer, tolerance = text("The answer", answer), number("tolerance", tolerance)
    said = read(answer)
    for one in truths(truth):
        there = read(one)
        if said is not None and there:
            right = abs(said - there) / abs(there) <= tolerance
        else:
            right = answer.lower() == one.lower()
        if right:
            return True
    return False
