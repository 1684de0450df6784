"""Boxes, points and outlines: one frame, everybody's text formats, and scores.

    parsed = vh.boxes.parse(answer, "qwen2.5-vl", image_size=(640, 480))
    parsed.boxes, parsed.dropped                      # what was well-formed; what was not, and why
    vh.boxes.write(parsed.boxes, "kosmos-2")
    vh.boxes.iou(one, other)
    vh.boxes.formats()                                # who writes how: a table, with sources

The frame is always the same: fractions of the picture, x to the right, y down. `parse` takes a
model's text into it, `write` brings it back. Every format has its own grid, so writing and parsing
gives a box back up to that grid.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from vlm_helpers._words import did_you_mean, listed
from vlm_helpers.boxes import _json
from vlm_helpers.boxes._formats import FACTS, Format
from vlm_helpers.boxes._formats import FORMATS as _FORMATS
from vlm_helpers.boxes._parsed import NUMBER, Dropped, Parsed, name
from vlm_helpers.boxes._scores import (
    average_precision,
    iou,
    mask_iou,
    match,
    pointing_accuracy,
    precision_recall,
)
from vlm_helpers.boxes._shapes import Box, Point, Polygon, size_of
from vlm_helpers.boxes._tokens import FLORENCE_TASKS

__all__ = [
    "FORMATS", "Box", "Dropped", "Parsed", "Point", "Polygon",
    "average_precision", "formats", "iou", "mask_iou", "match",
    "parse", "pointing_accuracy", "precision_recall", "resized_by_qwen", "write",
]  # fmt: skip

FORMATS = tuple(_FORMATS)
# The marks around a model's reasoning: what most models write, Mistral's, Kimi's and Gemma 4's.
# UI-TARS thinks without any.
_TAG = r"(?:\w+:)?(?:think(?:ing)?|thought|reasoning)>"
_THOUGHT = re.compile(
    rf"(?i)</{_TAG}|\[/THINK\]|◁/think▷|<channel\|>|<\|end_of_thought\|>"
    r"|\A\s*Thought:(?s:.*)\bAction:"
)
_THINKS = re.compile(rf"(?i)<{_TAG}|\[THINK\]|◁think▷|<\|channel>thought|<\|begin_of_thought\|>")
# Two numbers in brackets, four in a row, or one named x: a place, in whatever form.
_NUMBERS = re.compile(
    rf"[(\[]\s*{NUMBER}\s*,\s*{NUMBER}\s*[,)\]]|(?<![\d.]){NUMBER}(?:[,\s]+{NUMBER}){{3}}"
    rf"|\bx\w*\s*[:=]\s*{NUMBER}"
)


def formats() -> Any:
    """A pandas table of the formats: models, an example, frame, order, the prompt, the source.

    Every example shows one dog, from (0.25, 0.5) to (0.75, 0.875) of a picture of 640 x 480, or the
    point in its middle.
    """
    import pandas as pd

    return pd.DataFrame.from_dict(FACTS, "index").drop(columns="look").rename_axis("format")


def parse(
    text: str | dict | list,
    format: str,
    image_size: Sequence[int] | None = None,
    *,
    resized: Sequence[int] | None = None,
    task: str | None = None,
) -> Parsed:
    """The boxes, points and outlines in a model's output, and what was dropped.

    Never raises on what the model wrote, and takes time in proportion to its length. What is
    well-formed beside a fault is kept. What stands before a `</think>` is no answer, nor is what
    comes after a `<think>` that does not end. A side up to a quarter of the picture beyond the edge
    is moved to it, as Qwen's authors advise; Molmo's and MinerU's drop such places, and so does
    this. Fractions in a format of larger numbers are dropped. Where nothing is read, `dropped`
    names the format that the text looks like, or the numbers that it holds.

    `text`: the output, special tokens included; for formats in JSON also the objects themselves, as
    moondream's `detect` returns them. `format`: out of `FORMATS`. `image_size`: (width, height) of
    the picture in pixels, which formats in pixels need. `resized`: the size that the model saw it
    in, for "qwen2.5-vl"; by default what its processor makes of `image_size`.
    `task`: for "florence-2" the task that it was given, such as
    "<REFERRING_EXPRESSION_SEGMENTATION>". Boxes, quad boxes and outlines are all runs of tokens
    there: twelve of them are three boxes or one outline, and only the task settles which. Without
    it fours in order are boxes, eight tokens that are no two boxes a quad box, and other even
    numbers from six on, or what stands inside of <poly>, an outline.

    Raises:
        ValueError: an unknown format or task; the message names the nearest. A size that is
            missing, an argument that the format does not have.
        TypeError: `text` is no text.
    """
    found = _get(format)
    options = _options(format, found, image_size, resized, task)
    if isinstance(text, dict | list) and getattr(found.parse, "func", None) is _json.parse:
        return found.parse(json.dumps(text, default=float), *options)
    if not isinstance(text, str):
        raise TypeError(f"A model's output is a text, not {type(text).__name__}: decode it first.")
    answer = _THOUGHT.split(text)[-1]
    if again := _THINKS.search(answer):
        parsed = found.parse(answer[: again.start()], *options)
        parsed.drop(answer[again.start() :], "the reasoning does not end: no answer comes after it")
        return parsed
    parsed = found.parse(answer, *options)
    if parsed.shapes:
        return parsed
    looks = {name: re.search(facts["look"], answer) for name, facts in FACTS.items()}
    names = [name for name, look in looks.items() if look]
    if names and format not in names:
        start = looks[names[0]].start()
        parsed.drop(answer[start:], f"this looks like {listed(names, 'or')}: parse it as such")
    elif not parsed.dropped and (match := _NUMBERS.search(answer)):
        parsed.drop(match.group(), f"numbers, but not as {format} writes places")
    return parsed


def write(
    boxes: Sequence[Box | Point | Polygon],
    format: str,
    image_size: Sequence[int] | None = None,
    *,
    resized: Sequence[int] | None = None,
    task: str | None = None,
) -> str:
    """Boxes as a model of that format writes them, so that `parse` reads the same shapes again.

    What is outside of the picture is cut off; a point or corner there moves to its edge. Arguments
    as in `parse`. Points and outlines can be written in the formats that have them; Florence-2's
    quad boxes are outlines of four corners, written for `task="<OCR_WITH_REGION>"`. Scores are
    written in "coco" alone.

    Raises:
        ValueError: an unknown format; a size that is missing; a shape that the format has not; a
            label that would not be read back as it is, such as "cat; dog" where `;` separates
            boxes.
        TypeError: one shape in place of a list.
    """
    found = _get(format)
    if isinstance(boxes, Box | Point | Polygon | Parsed):
        raise TypeError(f"write takes a list of shapes, not a {type(boxes).__name__}.")
    options = _options(format, found, image_size, resized, task)
    quads = format == "minicpm-v" or FLORENCE_TASKS.get(task) == "quads"
    for shape in boxes:
        if not isinstance(shape, found.shapes):
            known = " or ".join(kind.__name__ for kind in found.shapes)
            raise ValueError(
                f"{format} has no way to write a {type(shape).__name__}, only {known}."
            )
        if isinstance(shape, Polygon) and quads and len(shape.points) != 4:
            raise ValueError(
                f"{format} writes outlines of four corners here, not of {len(shape.points)}."
            )
        if not isinstance(shape.label, str | None):
            raise ValueError(f"A label is a text or None, not {shape.label!r}.")
    inside = [shape.clipped() for shape in boxes]

    def back(text: str) -> list[tuple[str, str | None]]:
        return _labels(parse(text, format, image_size, resized=resized, task=task).shapes)

    text = found.write(inside, *options)
    if back(text) != _labels(inside):
        _blame(inside, format, lambda some: back(found.write(some, *options)))
    return text


def _labels(shapes: Sequence[Box | Point | Polygon]) -> list[tuple[str, str | None]]:
    """Kinds and labels; kind by kind, as parsing gives them."""
    return sorted(((type(s).__name__, name(s.label)) for s in shapes), key=lambda pair: pair[0])


def _blame(shapes: Sequence, format: str, again: Callable) -> NoReturn:
    """Say which label does not come back: the first that fails alone, or after another one."""
    for before, shape in zip([None, *shapes], shapes):
        for together in ([shape], [before, shape] if before else [shape]):
            back = again(together)
            if back == _labels(together):
                continue
            read = ", ".join(repr(label) for _, label in back) or "nothing"
            after, remedy = "", "Reword it."
            if len(together) == 2:
                after, remedy = f" after {before.label!r}", "Write the other shape first."
            raise ValueError(
                f"{format} cannot carry the label {shape.label!r}{after}: it would be read back as "
                f"{read}. {remedy}"
            )
    raise ValueError(f"{format} cannot carry these labels: they would be read back differently.")


def resized_by_qwen(
    image_size: Sequence[int], factor: int = 28, least: int = 3136, most: int = 12_845_056
) -> tuple[int, int]:
    """The size in which Qwen2-VL and Qwen2.5-VL see a picture: sides in multiples of `factor`.

    `image_size`: (width, height) in pixels. `least`, `most`: pixels of the resized picture.
    As `smart_resize` of the authors' own `qwen_vl_utils` does it. For strips of which one side is
    under 15 pixels transformers' function of that name gives another size, (28, 308) and not
    (28, 392) for (14, 400): where a picture went straight to its processor, give that as `resized`.
    """
    width, height = size_of(image_size)
    wide, high = (max(factor, round(side / factor) * factor) for side in (width, height))
    if wide * high > most:
        shrink = math.sqrt(width * height / most)
        wide, high = (
            max(factor, math.floor(s / shrink / factor) * factor) for s in (width, height)
        )
    elif wide * high < least:
        grow = math.sqrt(least / (width * height))
        wide, high = (math.ceil(s * grow / factor) * factor for s in (width, height))
    return wide, high


def _get(format: str) -> Format:
    if format in _FORMATS:
        return _FORMATS[format]
    raise ValueError(f"There is no box format {format!r}; {did_you_mean(format, FORMATS)}")


_ONLY = {"resized": "counts in a resized picture", "task": "has tasks"}


def _options(format: str, found: Format, image_size: Any, resized: Any, task: Any) -> tuple:
    """What the format's functions take: the size of the frame where it is in pixels, the task."""
    for what, size in (("image_size", image_size), ("resized", resized)):
        if size is not None:
            size_of(size, what)
    for what, value in (("resized", resized), ("task", task)):
        if value is not None and what not in found.takes:
            having = listed(other for other, that in _FORMATS.items() if what in that.takes)
            raise ValueError(
                f"Only {having} {_ONLY[what]}: leave out {what}={value!r} for {format}."
            )
    if "task" in found.takes:
        if task not in (None, *FLORENCE_TASKS):
            raise ValueError(
                f"There is no task of Florence-2 {task!r}; {did_you_mean(task, FLORENCE_TASKS)}"
            )
        return None, task
    if "image_size" not in found.takes:
        return (None,)
    if resized is not None:
        return (tuple(resized),)
    if image_size is None:
        raise ValueError(
            f"{format} counts in pixels: give image_size=(width, height) of the picture that it "
            "saw."
        )
    return (resized_by_qwen(image_size) if "resized" in found.takes else tuple(image_size),)
