"""Figures for what a model reads, points at and computes; each takes (answers, truths, pairs)."""

from __future__ import annotations

import numpy as np

from recipes import places
from vlm_helpers import boxes, evaluation


def exact(answers, truths, pairs) -> dict[str, float]:
    right = [a.strip() == t for a, t in zip(answers, truths)]
    return {"exact": float(np.mean(right))}


def anls(answers, truths, pairs) -> dict[str, float]:
    similar = [evaluation.anls(answer, truth) for answer, truth in zip(answers, truths)]
    return exact(answers, truths, pairs) | {"ANLS": float(np.mean(similar))}


def character_errors(answers, truths, pairs) -> dict[str, float]:
    return {"CER": evaluation.cer(answers, truths)}


def within_five_percent(answers, truths, pairs) -> dict[str, float]:
    """Relaxed accuracy, of numbers with units and marks for thousands too."""
    right = [
        evaluation.relaxed_accuracy(answer, truth, read=evaluation.written_number)
        for answer, truth in zip(answers, truths)
    ]
    return {"within 5 %": float(np.mean(right))}


def clicks(answers, truths, pairs) -> dict[str, float]:
    """The share of points that lie in the element."""
    points = [next(iter(boxes.parse(a, "pocket-llava").points), None) for a in answers]
    true = [boxes.Box(*question.objects[0].box) for _, question in pairs]
    return {"inside": boxes.pointing_accuracy(points, true)}


def located(answers, truths, pairs) -> dict[str, float]:
    pairs = zip(answers, truths)
    ious = [places.overlap(answer, truth, places.first_box) for answer, truth in pairs]
    at_half = float(np.mean(np.array(ious) >= 0.5))
    return {"accuracy at IoU 0.5": at_half, "mean IoU": float(np.mean(ious))}
