"""Every format: the facts in `formats.toml`, and what reads and writes it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any, NamedTuple

from vlm_helpers.boxes import _json, _tags, _texts, _tokens
from vlm_helpers.boxes._shapes import Box, Point, Polygon


class Format(NamedTuple):
    """How a format is read and written.

    Attributes:
        parse, write: what does it.
        shapes: what it can carry.
        takes: which arguments of `parse` and `write` it has; sizes must be given, a task may be.
    """

    parse: Callable[..., Any]
    write: Callable[..., str]
    shapes: tuple[type, ...] = (Box,)
    takes: tuple[str, ...] = ()


def _rows(rows: _json.Rows, *shapes: type, takes: tuple[str, ...] = ()) -> Format:
    return Format(partial(_json.parse, rows=rows), partial(_json.write, rows=rows), shapes, takes)


def _tagged(tags: _tags.Tags, *shapes: type) -> Format:
    return Format(partial(_tags.parse, tags=tags), partial(_tags.write, tags=tags), shapes)


FORMATS = {
    "kosmos-2": Format(_tokens.parse_kosmos, _tokens.write_kosmos),
    "qwen-vl": _tagged(_tags.QWEN, Box),
    "qwen2-vl": _tagged(_tags.QWEN2, Box, Point),
    "qwen2.5-vl": _rows(_json.QWEN25, Box, Point, takes=("image_size", "resized")),
    "qwen3-vl": _rows(_json.QWEN3, Box, Point),
    "internvl": _tagged(_tags.INTERNVL, Box),
    "minicpm-v": _tagged(_tags.MINICPM, Box, Point, Polygon),
    "glm-4.5v": _rows(_json.GLM, Box, Point),
    "kimi-vl": _rows(_json.KIMI, Box, Point),
    "cogvlm": Format(_texts.parse_cogvlm, _texts.write_cogvlm),
    "paligemma": Format(_tokens.parse_paligemma, _tokens.write_paligemma),
    "florence-2": Format(_tokens.parse_florence, _tokens.write_florence, (Box, Polygon), ("task",)),
    "deepseek-vl2": _tagged(_tags.DEEPSEEK, Box),
    "mineru": _tagged(_tags.MINERU, Box),
    "fuyu": Format(_texts.parse_fuyu, _texts.write_fuyu, takes=("image_size",)),
    "moondream": _rows(_json.MOONDREAM, Box, Point),
    "gemini": _rows(_json.GEMINI, Box, Point),
    "molmo": Format(_texts.parse_molmo, _texts.write_molmo, (Point,)),
    "molmo2": Format(_texts.parse_molmo2, _texts.write_molmo2, (Point,)),
    "coco": _rows(_json.COCO, Box, takes=("image_size",)),
    "pocket-llava": Format(_tokens.parse_pocket, _tokens.write_pocket, (Box, Point, Polygon)),
}
# By format: models, example, frame, order, asked, source, look.
FACTS: dict[str, dict[str, str]] = tomllib.loads(
    (files(__package__) / "formats.toml").read_text(encoding="utf-8")
)
