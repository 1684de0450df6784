"""OCRBench: right where the truth occurs in the answer.

Source: `tasks/ocrbench/utils.py` of lmms-eval 0.7.3 (MIT), which is `OCRBench/example.py` of
github.com/Yuliang-Liu/MultimodalOCR at 794c36d (April 2026, MIT) but for fullwidth characters: the
original takes them as they are.
"""

from __future__ import annotations

from typing import Any

from vlm_helpers.evaluation.rules._given import text, truths

# Fullwidth forms of ASCII, and the ideographic space, as they stand in Chinese text.
NARROW = {**{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}, 0x3000: 0x20}


def ocrbench(answer: str, truth: Any, *, formula: bool = False) -> bool:
    """Whether one of the truths occurs in the answer, whatever their case.

    It may occur anywhere: who prints every word that there could be is always right, and "13" is
    found in "2013".

    Args:
        formula: for handwritten formulas: case counts, and spaces do not.
    """
    plain = _formula if formula else _line
    answer = plain(text("The answer", answer))
    return any(plain(one) in answer for one in truths(truth))


def _line(one: str) -> str:
    return one.translate(NARROW).lower().strip().replace("\n", " ")


def _formula(one: str) -> str:
    return one.strip().replace("\n", " ").replace(" ", "")
