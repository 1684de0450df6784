"""Boxes, points and outlines: one frame, everybody's text formats, and scores.

    parsed = vh.boxes.parse(answer, "qwen2.5-vl", image_size=(640, 480))
    parsed.boxes, parsed.dropped                      # what was well-formed; what was not, and why
    vh.boxes.write(parsed.boxes, "kosmos-2")
    vh.boxes.iou(one, other)

The frame is always the same: fractions of the picture, x to the right, y down. `parse` takes a
model's text into it, `write` brings it back. Every format has its own grid, so writing and parsing
gives a box back up to that grid.

| format | where | frame |
|---|---|---|
| kosmos-2 | `<phrase>…</phrase><object><patch_index_0044><patch_index_0863></object>` | \
cells of 32 x 32; transformers, `processing_kosmos2.py` |
| qwen-vl | `<ref>…</ref><box>(x0,y0),(x1,y1)</box>` | thousandths; QwenLM/Qwen-VL, README |
| qwen2-vl | `<\\|box_start\\|>(x0,y0),(x1,y1)<\\|box_end\\|>` | thousandths; arXiv:2409.12191 |
| qwen2.5-vl | JSON, `bbox_2d`, `point_2d` | pixels of the *resized* picture; arXiv:2502.13923 |
| qwen3-vl | JSON, `bbox_2d`, `point_2d` | thousandths; QwenLM/Qwen3-VL, 2d grounding cookbook |
| cogvlm | `[[x0,y0,x1,y1;…]]` | thousandths; THUDM/CogVLM, `grounding_parser.py` |
| paligemma | `<loc0256>…` | **y first**, 1024ths; google-research/big_vision |
| florence-2 | `label<loc_0>…` | middles of 1000 bins; boxes, quad boxes, outlines: see `task`; \
transformers |
| deepseek-vl2 | `<\\|ref\\|>…<\\|/ref\\|><\\|det\\|>[[…]]<\\|/det\\|>` | 0 to 999 |
| fuyu | `<box>y0, x0, y1, x1</box>` | **y first**, pixels; raw tokens: half of them; transformers |
| moondream | dicts, `x_min` …, `x`, `y` | fractions |
| gemini | JSON, `box_2d`, `point` | **y first**, thousandths |
| pocket-llava | `label <loc_07>…`: two a point, four a box, more an outline | middles of 64 bins |
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

from vlm_helpers.boxes import _json, _texts, _tokens
from vlm_helpers.boxes._parsed import Dropped, Parsed, name
from vlm_helpers.boxes._scores import (
    accuracy,
    average_precision,
    generalized_iou,
    iou,
    mask_iou,
    match,
    pointing_accuracy,
    precision_recall,
)
from vlm_helpers.boxes._shapes import Box, Point, Polygon, size_of

__all__ = [
    "FORMATS", "Box", "Dropped", "Parsed", "Point", "Polygon",
    "accuracy", "average_precision", "generalized_iou", "iou", "mask_iou", "match", "parse",
    "pointing_accuracy", "precision_recall", "resized_by_qwen", "to_pixels", "write",
]  # fmt: skip


class _Format(NamedTuple):
    parse: Callable[..., Parsed]
    write: Callable[[Sequence, Any], str]
    shapes: tuple[type, ...] = (Box,)
    needs_size: bool = False


_FORMATS = {
    "kosmos-2": _Format(_tokens.parse_kosmos, _tokens.write_kosmos),
    "qwen-vl": _Format(_texts.parse_qwen, _texts.write_qwen),
    "qwen2-vl": _Format(_texts.parse_qwen2, _texts.write_qwen2),
    "qwen2.5-vl": _Format(_json.parse_qwen25, _json.write_qwen25, (Box, Point), True),
    "qwen3-vl": _Format(_json.parse_qwen3, _json.write_qwen3, (Box, Point)),
    "cogvlm": _Format(_texts.parse_cogvlm, _texts.write_cogvlm),
    "paligemma": _Format(_tokens.parse_paligemma, _tokens.write_paligemma),
    "florence-2": _Format(_tokens.parse_florence, _tokens.write_florence, (Box, Polygon)),
    "deepseek-vl2": _Format(_texts.parse_deepseek, _texts.write_deepseek),
    "fuyu": _Format(_texts.parse_fuyu, _texts.write_fuyu, (Box,), True),
    "moondream": _Format(_json.parse_moondream, _json.write_moondream, (Box, Point)),
    "gemini": _Format(_json.parse_gemini, _json.write_gemini, (Box, Point)),
    "pocket-llava": _Format(_tokens.parse_pocket, _tokens.write_pocket, (Box, Point, Polygon)),
}
FORMATS = tuple(_FORMATS)


def parse(
    text: str,
    format: str,
    image_size: Sequence[int] | None = None,
    *,
    resized: Sequence[int] | None = None,
    task: str | None = None,
) -> Parsed:
    """The boxes, points and outlines in a model's output, and what was dropped.

    Never raises on what the model wrote, and takes time in proportion to its length. What is
    well-formed beside a fault is kept.

    `text`: the output, special tokens included. `format`: out of `FORMATS`. `image_size`: (width,
    height) of the picture in pixels, which "qwen2.5-vl" and "fuyu" need. `resized`: the size that
    the model saw it in, for "qwen2.5-vl"; by default what its processor makes of `image_size`.
    `task`: for "florence-2" the task that it was given, such as
    "<REFERRING_EXPRESSION_SEGMENTATION>". Boxes, quad boxes and outlines are all runs of tokens
    there: twelve of them are three boxes or one outline, and only the task settles which. Without
    it four tokens are a box, eight that are no two boxes a quad box, and other even numbers from
    six on, or what stands inside of <poly>, an outline.

    Raises:
        ValueError: an unknown format or task; the message names the nearest. A size that is
            missing.
        TypeError: `text` is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"A model's output is a text, not {type(text).__name__}: decode it first.")
    found = _find(format)
    frame = _frame(format, found, image_size, resized)
    if task is None:
        return found.parse(text, frame)
    if format != "florence-2":
        raise ValueError(f"Only florence-2 has tasks: leave out task={task!r} for {format}.")
    if task not in _tokens.FLORENCE_TASKS:
        raise ValueError(_unknown("task of Florence-2 with places", task, _tokens.FLORENCE_TASKS))
    return found.parse(text, frame, task)


def write(
    boxes: Sequence[Box | Point | Polygon],
    format: str,
    image_size: Sequence[int] | None = None,
    *,
    resized: Sequence[int] | None = None,
) -> str:
    """Boxes as a model of that format writes them, so that `parse` reads the same shapes again.

    What is outside of the picture is cut off; a point or corner there moves to its edge. Arguments
    as in `parse`. Points and outlines can be written in the formats that have them.

    Raises:
        ValueError: an unknown format; a size that is missing; a shape that the format has not; a
            label that would not be read back as it is, such as "cat; dog" where `;` separates
            boxes.
        TypeError: one shape in place of a list.
    """
    found = _find(format)
    if isinstance(boxes, Box | Point | Polygon | Parsed):
        raise TypeError(f"write takes a list of shapes, not a {type(boxes).__name__}.")
    for shape in boxes:
        if not isinstance(shape, found.shapes):
            known = " or ".join(kind.__name__ for kind in found.shapes)
            raise ValueError(
                f"{format} has no way to write a {type(shape).__name__}, only {known}."
            )
        if not isinstance(shape.label, str | None):
            raise ValueError(f"A label is a text or None, not {shape.label!r}.")
    frame = _frame(format, found, image_size, resized)
    inside = [shape.clipped() for shape in boxes]
    text = found.write(inside, frame)
    if _labels(found.parse(text, frame).shapes) != _labels(inside):
        _blame(inside, format, found, frame)
    return text


def _labels(shapes: Sequence[Box | Point | Polygon]) -> list[tuple[str, str | None]]:
    """Kinds and labels; kind by kind, as parsing gives them."""
    return sorted(((type(s).__name__, name(s.label)) for s in shapes), key=lambda pair: pair[0])


def _blame(shapes: Sequence, format: str, found: _Format, frame: Any) -> NoReturn:
    """Say which label does not come back: the first that fails alone, or after another one."""
    for before, shape in zip([None, *shapes], shapes):
        for together in ([shape], [before, shape] if before else [shape]):
            back = _labels(found.parse(found.write(together, frame), frame).shapes)
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


def to_pixels(box: Box, image_size: Sequence[int]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a box in pixels of a picture of `image_size`."""
    return box.to_pixels(image_size)


def resized_by_qwen(
    image_size: Sequence[int], factor: int = 28, least: int = 3136, most: int = 12_845_056
) -> tuple[int, int]:
    """The size in which Qwen2-VL and Qwen2.5-VL see a picture: sides in multiples of `factor`.

    `image_size`: (width, height) in pixels. `least`, `most`: pixels of the resized picture
    (`smart_resize` in QwenLM/Qwen2.5-VL, `qwen_vl_utils`).
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


def _find(format: str) -> _Format:
    if format in _FORMATS:
        return _FORMATS[format]
    raise ValueError(_unknown("box format", format, FORMATS))


def _unknown(what: str, given: object, known: Iterable[str]) -> str:
    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(str(given).lower(), by_lower, n=2, cutoff=0.4)
    words = [repr(by_lower[word]) for word in near] or [repr(word) for word in by_lower.values()]
    meant = f"did you mean {' or '.join(words)}?" if near else f"use one of {', '.join(words)}."
    return f"There is no {what} {given!r}; {meant}"


def _frame(name: str, found: _Format, image_size: Any, resized: Any) -> tuple[int, int] | None:
    """The size that the numbers of a format are measured in, where they are pixels."""
    for what, size in (("image_size", image_size), ("resized", resized)):
        if size is not None:
            size_of(size, what)
    if not found.needs_size:
        return None
    if name == "qwen2.5-vl":
        if resized is not None:
            return tuple(resized)
        if image_size is not None:
            return resized_by_qwen(image_size)
    elif image_size is not None:
        return tuple(image_size)
    raise ValueError(
        f"{name} counts in pixels: give image_size=(width, height) of the picture that it saw."
    )
