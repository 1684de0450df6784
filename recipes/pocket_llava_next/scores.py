"""Figures for what a model reads, points at and computes; each takes (answers, truths, pairs)."""

from __future__ import annotations

import re

import numpy as np

from vlm_helpers import boxes


def distance(a: str, b: str) -> int:
    """Levenshtein's: how many characters must be put in, left out or changed."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def exact(answers, truths, pairs) -> dict[str, float]:
    right = [a.strip() == t for a, t in zip(answers, truths)]
    return {"exact": float(np.mean(right))}


def anls(answers, truths, pairs) -> dict[str, float]:
    """Exact, and ANLS (Biten et al. 2019): similarity whatever the case, nothing below a half."""
    similar = []
    for answer, truth in zip(answers, truths):
        a, t = answer.strip().casefold(), truth.casefold()
        nearness = 1 - distance(a, t) / max(len(a), len(t), 1)
        similar.append(nearness if nearness >= 0.5 else 0.0)
    return exact(answers, truths, pairs) | {"ANLS": float(np.mean(similar))}


def character_errors(answers, truths, pairs) -> dict[str, float]:
    """Edits over characters of all answers together: 0 is best, and it can exceed 1."""
    edits = sum(distance(a.strip(), t) for a, t in zip(answers, truths))
    return {"CER": edits / sum(map(len, truths))}


def number(text: str) -> float | None:
    """The number in an answer, whatever stands for thousands and decimals; None where none is."""
    found = re.search(r"-?(?:\d|[.,](?=\d))[\d.,' ]*", text)
    if not found:
        return None
    digits = re.sub(r"[' ]", "", found.group()).rstrip(".,")
    whole, mark, part = re.fullmatch(r"(.*?)(?:([.,])(\d*))?", digits).groups()
    if mark and len(part) == 3 and whole.strip("-0"):  # 1,500 and 1.500 are thousands
        whole, part = whole + part, ""
    return float(re.sub(r"[.,]", "", whole) + "." + (part or "0"))


def within_five_percent(answers, truths, pairs) -> dict[str, float]:
    """Relaxed accuracy (Methani et al. 2020)."""
    right = []
    for answer, truth in zip(answers, truths):
        said, there = number(answer), number(truth)
        right.append(said is not None and abs(said - there) <= 0.05 * abs(there))
    return {"within 5 %": float(np.mean(right))}


def clicks(answers, truths, pairs) -> dict[str, float]:
    """The share of points that lie in the element."""
    points = [next(iter(boxes.parse(a, "pocket-llava").points), None) for a in answers]
    true = [boxes.Box(*question.objects[0].box) for _, question in pairs]
    return {"inside": boxes.pointing_accuracy(points, true)}


def located(answers, truths, pairs) -> dict[str, float]:
    ious = []
    for answer, truth in zip(answers, truths):
        found = boxes.parse(answer, "pocket-llava").boxes[:1]
        true = boxes.parse(truth, "pocket-llava").boxes[0]
        ious.append(boxes.iou(found[0], true) if found else 0.0)
    at_half = float(np.mean(np.array(ious) >= 0.5))
    return {"accuracy at IoU 0.5": at_half, "mean IoU": float(np.mean(ious))}
