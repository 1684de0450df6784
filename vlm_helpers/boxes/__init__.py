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
| florence-2 | `label<loc_0>…` | middles of 1000 bins; boxes, quad boxes, outlines; transformers |
| deepseek-vl2 | `<\\|ref\\|>…<\\|/ref\\|><\\|det\\|>[[…]]<\\|/det\\|>` | 0 to 999 |
| fuyu | `<box>y0, x0, y1, x1</box>` | **y first**, pixels; raw tokens: half of them; transformers |
| moondream | dicts, `x_min` …, `x`, `y` | fractions |
| gemini | JSON, `box_2d`, `point` | **y first**, thousandths |
| pocket-llava | `label <loc_07>…`: two a point, four a box, more an outline | middles of 64 bins |
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from vlm_helpers.boxes import _json, _texts, _tokens
from vlm_helpers.boxes._parsed import Dropped, Parsed
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
from vlm_helpers.boxes._shapes import Box, Point, Polygon

__all__ = [
    "FORMATS", "Box", "Dropped", "Parsed", "Point", "Polygon",
    "accuracy", "average_precision", "generalized_iou", "iou", "mask_iou", "match", "parse",
    "pointing_accuracy", "precision_recall", "resized_by_qwen", "to_pixels", "write",
]  # fmt: skip


class _Format(NamedTuple):
    parse: Callable[[str, Any], Parsed]
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
    "florence-2": _Format(_tokens.parse_florence, _tokens.write_florence),
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
) -> Parsed:
    """The boxes, points and outlines in a model's output, and what was dropped.

    Never raises on what the model wrote, and takes time in proportion to its length.

    `text`: the output, special tokens included. `format`: out of `FORMATS`. `image_size`: (width,
    height) of the picture in pixels, which "qwen2.5-vl" and "fuyu" need. `resized`: the size that
    the model saw it in, for "qwen2.5-vl"; by default what its processor makes of `image_size`.

    Raises:
        ValueError: an unknown format; the message names the nearest. A size that is missing.
        TypeError: `text` is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"A model's output is a text, not {type(text).__name__}: decode it first.")
    found = _find(format)
    return found.parse(text, _frame(format, found, image_size, resized))


def write(
    boxes: Sequence[Box | Point | Polygon],
    format: str,
    image_size: Sequence[int] | None = None,
    *,
    resized: Sequence[int] | None = None,
) -> str:
    """Boxes as a model of that format writes them; parts outside of the picture are cut off.

    Arguments as in `parse`. Points and outlines can be written in the formats that have them.

    Raises:
        ValueError: an unknown format; a size that is missing; a shape that the format has not.
    """
    found = _find(format)
    for shape in boxes:
        if not isinstance(shape, found.shapes):
            known = " or ".join(kind.__name__ for kind in found.shapes)
            raise ValueError(
                f"{format} has no way to write a {type(shape).__name__}, only {known}."
            )
    inside = [shape.clipped() if isinstance(shape, Box) else shape for shape in boxes]
    return found.write(inside, _frame(format, found, image_size, resized))


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
    width, height = image_size
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
    near = difflib.get_close_matches(str(format).lower(), FORMATS, n=2, cutoff=0.4)
    meant = f"did you mean {' or '.join(map(repr, near))}?" if near else f"use one of {FORMATS}."
    raise ValueError(f"There is no box format {format!r}; {meant}")


def _frame(name: str, found: _Format, image_size: Any, resized: Any) -> tuple[int, int] | None:
    """The size that the numbers of a format are measured in, where they are pixels."""
    for what, size in (("image_size", image_size), ("resized", resized)):
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f"{what} must be (width, height) in pixels, not {size!r}.")
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
