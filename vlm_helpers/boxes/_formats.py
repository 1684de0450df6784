"""Every format: who writes it, how it looks, in which frame it counts, what reads and writes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from vlm_helpers.boxes import _json, _tags, _texts, _tokens
from vlm_helpers.boxes._shapes import Box, Point, Polygon

_GITHUB, _HUB = "https://github.com/", "https://huggingface.co/"


class Format(NamedTuple):
    """How a family of models writes places.

    Attributes:
        models: who writes so.
        example: a dog from (0.25, 0.5) to (0.75, 0.875), or the point in its middle, in a picture
            of 640 x 480.
        frame: what the numbers count. order: which comes first.
        asked: how the models are asked for places, after their authors' own examples.
        source: where the format is published.
        look: a pattern of texts that are in this format.
        parse, write: what reads and writes it.
        shapes: what it can carry.
        takes: which arguments of `parse` and `write` it has; sizes must be given, a task may be.
    """

    models: str
    example: str
    frame: str
    order: str
    asked: str
    source: str
    look: str
    parse: Callable[..., Any]
    write: Callable[..., str]
    shapes: tuple[type, ...] = (Box,)
    takes: tuple[str, ...] = ()


def _of(module: Any, facts: Any) -> tuple[Callable, Callable]:
    name = "tags" if isinstance(facts, _tags.Tags) else "rows"
    return partial(module.parse, **{name: facts}), partial(module.write, **{name: facts})


_XY, _YX = "x0 y0 x1 y1", "y0 x0 y1 x1"
_THOUSANDTHS = "thousandths of the picture"
_OBJECT = r"""["']%s["']\s*:"""
_BBOX_2D, _POINT_2D = _OBJECT % "bbox_2d", _OBJECT % "point_2d"
_REFERRED = "Please provide the bounding box coordinate of the region this sentence describes: "
_REFERRED += "<ref>the dog</ref>"

FORMATS = {
    "kosmos-2": Format(
        "KOSMOS-2",
        "<phrase>dog</phrase><object><patch_index_0520><patch_index_0888></object>",
        "cells of a grid of 32 x 32, row by row",
        "first cell, last cell",
        "<grounding><phrase>the dog</phrase>",
        _GITHUB + "huggingface/transformers/blob/main/src/transformers/models/kosmos2/"
        "processing_kosmos2.py",
        r"<patch_index_\d",
        _tokens.parse_kosmos,
        _tokens.write_kosmos,
    ),
    "qwen-vl": Format(
        "Qwen-VL, Qwen-VL-Chat",
        "<ref>dog</ref><box>(250,500),(750,875)</box>",
        _THOUSANDTHS,
        _XY,
        "<ref>the dog</ref><box>",
        _GITHUB + "QwenLM/Qwen-VL/blob/master/README.md",
        r"<box>\s*\(",
        *_of(_tags, _tags.QWEN),
    ),
    "qwen2-vl": Format(
        "Qwen2-VL, UI-TARS (a click is a point)",
        "<|object_ref_start|>dog<|object_ref_end|><|box_start|>(250,500),(750,875)<|box_end|>",
        _THOUSANDTHS,
        _XY,
        "<|object_ref_start|>the dog<|object_ref_end|><|box_start|>",
        "https://arxiv.org/abs/2409.12191",
        r"<\|box_start\|>\s*\(|_box=['\"]\(",
        *_of(_tags, _tags.QWEN2),
        (Box, Point),
    ),
    "qwen2.5-vl": Format(
        "Qwen2.5-VL",
        '```json\n[\n\t{"bbox_2d": [161, 238, 483, 416], "label": "dog"}\n]\n```',
        "pixels of the resized picture",
        _XY,
        "Outline the position of the dog and output all the coordinates in JSON format.",
        "https://arxiv.org/abs/2502.13923",
        f"{_BBOX_2D}|{_POINT_2D}",
        *_of(_json, _json.QWEN25),
        (Box, Point),
        ("image_size", "resized"),
    ),
    "qwen3-vl": Format(
        "Qwen3-VL",
        '```json\n[\n\t{"bbox_2d": [250, 500, 750, 875], "label": "dog"}\n]\n```',
        _THOUSANDTHS,
        _XY,
        'Locate every instance that belongs to the following categories: "dog". Report bbox '
        "coordinates in JSON format.",
        _GITHUB + "QwenLM/Qwen3-VL/blob/main/cookbooks/2d_grounding.ipynb",
        f"{_BBOX_2D}|{_POINT_2D}",
        *_of(_json, _json.QWEN3),
        (Box, Point),
    ),
    "internvl": Format(
        "InternVL",
        "<ref>dog</ref><box>[[250, 500, 750, 875]]</box>",
        _THOUSANDTHS + "; fractions are read too",
        _XY,
        _REFERRED,
        _GITHUB + "OpenGVLab/InternVL/blob/main/internvl_chat/eval/refcoco/evaluate_grounding.py",
        r"<box>\s*\[",
        *_of(_tags, _tags.INTERNVL),
    ),
    "minicpm-v": Format(
        "MiniCPM-V",
        "<ref>dog</ref><box>250 500 750 875</box>",
        _THOUSANDTHS,
        _XY,
        _REFERRED,
        _GITHUB + "OpenBMB/MiniCPM-V/issues/982",
        r"<(?:box|point|quad)>\s*\d+ \d",
        *_of(_tags, _tags.MINICPM),
        (Box, Point, Polygon),
    ),
    "glm-4.5v": Format(
        "GLM-4.1V, GLM-4.5V, GLM-4.6V",
        "The dog is at <|begin_of_box|>[[250,500,750,875]]<|end_of_box|>.",
        _THOUSANDTHS,
        _XY,
        "Please pinpoint the bounding box [[x1,y1,x2,y2], …] in the image as per the given "
        "description. the dog",
        _GITHUB + "zai-org/GLM-V/blob/main/README.md",
        r"<\|begin_of_box\|>",
        *_of(_json, _json.GLM),
        (Box, Point),
    ),
    "kimi-vl": Format(
        "Kimi-VL (as users report; its authors say nothing of boxes)",
        '{"bbox_2d": [0.250, 0.500, 0.750, 0.875], "label": "dog"}',
        "fractions of the picture",
        _XY,
        "Please observe the screenshot, please locate the following elements with action and "
        "point.<instruction> click the dog",
        _GITHUB + "MoonshotAI/Kimi-VL/issues/56",
        rf"{_BBOX_2D}\s*\[\s*0?\.\d|pyautogui\.\w+\(",
        *_of(_json, _json.KIMI),
        (Box, Point),
    ),
    "cogvlm": Format(
        "CogVLM",
        "a dog [[250,500,750,875]]",
        _THOUSANDTHS,
        _XY,
        "Where is the dog? answer in [[x0,y0,x1,y1]] format.",
        _GITHUB + "THUDM/CogVLM/blob/main/utils/utils/grounding_parser.py",
        r"\[\[\d{3},\d{3},\d{3},\d{3}",
        _texts.parse_cogvlm,
        _texts.write_cogvlm,
    ),
    "paligemma": Format(
        "PaliGemma, PaliGemma 2",
        "<loc0512><loc0256><loc0896><loc0768> dog",
        "1024ths of the picture (1023rds in its own code for masks)",
        _YX,
        "detect dog",
        _GITHUB
        + "google-research/big_vision/blob/main/big_vision/configs/proj/paligemma/README.md",
        r"<loc\d{4}>",
        _tokens.parse_paligemma,
        _tokens.write_paligemma,
    ),
    "florence-2": Format(
        "Florence-2",
        "dog<loc_250><loc_500><loc_750><loc_875>",
        "middles of 1000 bins",
        _XY,
        "<OD>",
        _GITHUB + "huggingface/transformers/blob/main/src/transformers/models/florence2/"
        "processing_florence2.py",
        r"<loc_(?:0|[1-9]\d{0,3})>",
        _tokens.parse_florence,
        _tokens.write_florence,
        (Box, Polygon),
        ("task",),
    ),
    "deepseek-vl2": Format(
        "DeepSeek-VL2, DeepSeek-OCR",
        "<|ref|>dog<|/ref|><|det|>[[250, 500, 749, 874]]<|/det|>",
        "0 to 999",
        _XY,
        "<|ref|>the dog<|/ref|>.",
        _GITHUB + "deepseek-ai/DeepSeek-VL2/blob/main/README.md",
        r"<\|det\|>",
        *_of(_tags, _tags.DEEPSEEK),
    ),
    "mineru": Format(
        "MinerU 2.5, regions of pages by kind",
        "<|box_start|>250 500 750 875<|box_end|><|ref_start|>dog<|ref_end|><|rotate_up|>",
        _THOUSANDTHS,
        _XY,
        "\nLayout Detection:",
        _GITHUB + "opendatalab/mineru-vl-utils/blob/main/mineru_vl_utils/mineru_client.py",
        r"<\|box_start\|>\s*\d",
        *_of(_tags, _tags.MINERU),
    ),
    "fuyu": Format(
        "Fuyu-8B",
        "dog<box>240, 160, 420, 480</box>",
        "pixels of the picture",
        _YX,
        "When presented with a box, perform OCR to extract text contained within it. If provided "
        "with text, generate the corresponding bounding box.\\ndog",
        _GITHUB + "huggingface/transformers/blob/main/src/transformers/models/fuyu/"
        "processing_fuyu.py",
        r"<box>\s*-?\d+\s*,|<0x0[02]>|[\x00\x02]",
        _texts.parse_fuyu,
        _texts.write_fuyu,
        (Box,),
        ("image_size",),
    ),
    "moondream": Format(
        "moondream",
        '{"objects": [{"x_min": 0.25, "y_min": 0.5, "x_max": 0.75, "y_max": 0.875}]}',
        "fractions of the picture",
        _XY,
        'model.detect(image, "dog")',
        _GITHUB + "vikhyat/moondream",
        _OBJECT % "x_min",
        *_of(_json, _json.MOONDREAM),
        (Box, Point),
    ),
    "gemini": Format(
        "Gemini",
        '```json\n[\n\t{"box_2d": [500, 250, 875, 750], "label": "dog"}\n]\n```',
        _THOUSANDTHS,
        _YX,
        "Detect all of the prominent items in the image. The box_2d should be [ymin, xmin, ymax, "
        "xmax] normalized to 0-1000.",
        "https://ai.google.dev/gemini-api/docs/image-understanding",
        _OBJECT % "box_2d",
        *_of(_json, _json.GEMINI),
        (Box, Point),
    ),
    "molmo": Format(
        "Molmo: points only",
        '<point x="50.0" y="68.8" alt="dog">dog</point>',
        "per cent of the picture",
        "x y",
        "Point to the dog.",
        _HUB + "allenai/Molmo-7B-O-0924/discussions/1",
        r"<points?\s[^<>]*\bx1?=",
        _texts.parse_molmo,
        _texts.write_molmo,
        (Point,),
    ),
    "molmo2": Format(
        "Molmo 2: points only",
        '<points coords="1 1 500 688">dog</points>',
        _THOUSANDTHS,
        "picture, then number x y of each point",
        "Point to the dog.",
        _HUB + "allenai/Molmo2-8B",
        r"<(?:points?|tracks)\s[^<>]*\bcoords=",
        _texts.parse_molmo2,
        _texts.write_molmo2,
        (Point,),
    ),
    "coco": Format(
        "no model: annotations and results in COCO's form",
        '[{"bbox": [160, 240, 320, 180], "label": "dog"}]',
        "pixels of the picture",
        "x0 y0 width height",
        "",
        "https://cocodataset.org/#format-data",
        _OBJECT % "bbox",
        *_of(_json, _json.COCO),
        (Box,),
        ("image_size",),
    ),
    "pocket-llava": Format(
        "pocket-llava",
        "a dog <loc_16><loc_32><loc_48><loc_56>",
        "middles of 64 bins; two numbers a point, four a box, more an outline",
        _XY,
        "Locate the dog.",
        "data/pocket-llava/README.md",
        r"(?s)\A(?!.*<loc_\d(?:\d\d+)?>).*<loc_\d\d>",
        _tokens.parse_pocket,
        _tokens.write_pocket,
        (Box, Point, Polygon),
    ),
}
