"""How well boxes, points and outlines agree with the truth."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from vlm_helpers.boxes._shapes import Box, Point, Polygon

# An IoU of exactly the threshold counts, though floats may give a little less, as in
# 0.49999999999999994 for half of a box, or 0.9999999999999999 for a box and itself.
_SLACK = 1e-9


def iou(one: Box, other: Box) -> float:
    """Intersection over union: 1 for equal boxes, 0 for boxes that do not overlap.

    Two boxes without an area have 0, even where they are equal.
    """
    shared = _overlap(one, other)
    union = one.area + other.area - shared
    return shared / union if union > 0 else 0.0


def _overlap(one: Box, other: Box) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0)


def _reaches(overlap: float, threshold: float) -> bool:
    return overlap >= threshold - _SLACK


def match(
    predicted: Sequence[Box], truth: Sequence[Box], threshold: float = 0.5
) -> list[tuple[int, int]]:
    """Pairs (index of a prediction, index of a truth), one to one, best overlap first.

    Only boxes with the same label go together, and only at an IoU of `threshold` or more. Upper and
    lower case of labels are alike, and a box without a label goes with any. Greedy: the best pair
    is taken, then the best of what is left, as detection benchmarks do; now and then another choice
    would have made one pair more.
    """
    overlaps = (
        (-iou(p, t), i, j)
        for i, p in enumerate(predicted)
        for j, t in enumerate(truth)
        if _label(p) == _label(t) or _label(p) is None or _label(t) is None
    )
    pairs = sorted(pair for pair in overlaps if _reaches(-pair[0], threshold))
    used_p, used_t, chosen = set(), set(), []
    for _, i, j in pairs:
        if i not in used_p and j not in used_t:
            used_p.add(i)
            used_t.add(j)
            chosen.append((i, j))
    return sorted(chosen)


def _label(box: Box) -> str | None:
    return box.label and box.label.strip().casefold() or None


def precision_recall(
    predicted: Sequence[Sequence[Box]], truth: Sequence[Sequence[Box]], threshold: float = 0.5
) -> tuple[float, float]:
    """Precision and recall over pictures, matched one to one in each.

    `predicted`, `truth`: for each picture its boxes; labels count as in `match`. Where nothing is
    predicted precision is 1, and where there is nothing to find recall is 1.

    Raises `ValueError` where the numbers of pictures differ, and warns where predictions and truth
    have labels, but none in common.
    """
    _same_pictures(predicted, truth)
    said, there = ({_label(b): b.label for p in ps for b in p} for ps in (predicted, truth))
    if None not in {**said, **there} and said and there and said.keys().isdisjoint(there):
        warnings.warn(
            f"Predictions and truth have no label in common, so that nothing can match: "
            f"{next(iter(said.values()))!r} in one, {next(iter(there.values()))!r} in the other.",
            stacklevel=2,
        )
    hits = sum(len(match(p, t, threshold)) for p, t in zip(predicted, truth))
    said, there = sum(map(len, predicted)), sum(map(len, truth))
    return (hits / said if said else 1.0, hits / there if there else 1.0)


def average_precision(
    predicted: Sequence[Sequence[Box]], truth: Sequence[Sequence[Box]], threshold: float = 0.5
) -> float:
    """Average precision as COCO defines it, of boxes without regard to their label.

    Predictions of all pictures are ranked by `score` (all need one); each takes the free truth of
    its picture with the best IoU of `threshold` or more. Precision, made to fall only, is read at
    recalls 0, 0.01, …, 1 and averaged (Lin et al. 2014, arXiv:1405.0312). Without any truth it is
    NaN.

    Two things are yours to do where you want COCO's number for many kinds of objects: `match` goes
    by the label, this does not, so call it with the boxes of one label at a time and average; and
    every prediction counts here, where pycocotools keeps the 100 best of a picture (`maxDets`).

    Raises `ValueError` where the numbers of pictures differ, or a prediction has no score.
    """
    import numpy as np

    _same_pictures(predicted, truth)
    ranked = []
    for picture, found in enumerate(predicted):
        for box in found:
            if box.score is None:
                raise ValueError(
                    f"A predicted box of picture {picture} has no score: average precision ranks "
                    "predictions, so each needs one."
                )
            ranked.append((box.score, picture, box))
    total = sum(map(len, truth))
    if not total:
        return float("nan")
    ranked.sort(key=lambda entry: -entry[0])  # stable: equal scores stay in their order
    free = [set(range(len(boxes))) for boxes in truth]
    hits = []
    for _, picture, box in ranked:
        overlaps = [(iou(box, truth[picture][j]), j) for j in sorted(free[picture])]
        best = max(overlaps, default=(0.0, -1), key=lambda entry: entry[0])
        hit = best[1] >= 0 and _reaches(best[0], threshold)
        if hit:
            free[picture].remove(best[1])
        hits.append(hit)
    found = np.cumsum(hits)
    recall, precision = found / total, found / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.mean([precision[p] if p < len(precision) else 0.0 for p in places]))


def pointing_accuracy(points: Sequence[Point | None], truth: Sequence[Box | Polygon]) -> float:
    """The share of points that lie in their box or outline; None is a miss.

    Raises `ValueError` for lists of different lengths, or empty ones.
    """
    _one_each("points", points, truth)
    return sum(p is not None and _inside(p, t) for p, t in zip(points, truth)) / len(truth)


def _inside(point: Point, shape: Box | Polygon) -> bool:
    if isinstance(shape, Box):
        return shape.x0 <= point.x <= shape.x1 and shape.y0 <= point.y <= shape.y1
    within, corners = False, shape.points
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0])):
        if (y0 > point.y) != (y1 > point.y):
            if point.x < x0 + (point.y - y0) / (y1 - y0) * (x1 - x0):
                within = not within
    return within


def mask_iou(one: Polygon, other: Polygon, side: int = 512) -> float:
    """Intersection over union of what two outlines enclose.

    Measured at `side` × `side` places, spread evenly over the smallest box around both, so that it
    is as exact for small outlines as for large ones. Where an outline crosses itself, what it
    encloses twice is outside. Two outlines without an area have 0.
    """
    a, b = one.box, other.box
    around = Box(min(a.x0, b.x0), min(a.y0, b.y0), max(a.x1, b.x1), max(a.y1, b.y1))
    if not around.area:
        return 0.0
    in_one, in_other = (_mask(shape, around, side) for shape in (one, other))
    union = (in_one | in_other).sum()
    return float((in_one & in_other).sum() / union) if union else 0.0


def _mask(polygon: Polygon, around: Box, side: int) -> Any:
    """[side, side], bool: which of the places in a box lie inside of an outline."""
    import numpy as np

    steps = (np.arange(side) + 0.5) / side
    rows = around.y0 + steps * (around.y1 - around.y0)
    crossings = np.zeros((side, side + 1), int)  # of the outline, left of each place in its row
    for (x0, y0), (x1, y1) in zip(polygon.points, (*polygon.points[1:], polygon.points[0])):
        row = np.flatnonzero((y0 > rows) != (y1 > rows))
        x = x0 + (rows[row] - y0) / ((y1 - y0) or 1) * (x1 - x0)  # a level edge crosses no row
        share = (x - around.x0) / (around.x1 - around.x0)
        column = np.ceil(share * side - 0.5).clip(0, side).astype(int)
        np.add.at(crossings, (row, column), 1)
    return np.cumsum(crossings, axis=1)[:, :side] % 2 == 1


def _one_each(what: str, found: Sequence, truth: Sequence) -> None:
    if len(found) != len(truth) or not truth:
        raise ValueError(
            f"{len(found)} {what} came with {len(truth)} truths: one each, and at least one."
        )


def _same_pictures(predicted: Sequence, truth: Sequence) -> None:
    if len(predicted) != len(truth):
        raise ValueError(
            f"There are predictions for {len(predicted)} pictures and truths for {len(truth)}: "
            "one list each, an empty one where there is nothing."
        )
