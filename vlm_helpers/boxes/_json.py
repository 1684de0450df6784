"""Formats that write boxes as JSON or Python literals: Qwen2.5-VL, Qwen3-VL, Gemini, moondream."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vlm_helpers.boxes._parsed import Parsed, name, rounded
from vlm_helpers.boxes._shapes import Box, Point

_LONGEST = 4000  # characters of one object
_INSIDE = re.compile(r'[{}]|"(?:[^"\\\n]|\\.){0,1000}"|\'[^\'\n]{0,1000}\'')


def _objects(text: str, found: Parsed) -> Iterator[dict]:
    """Every innermost {…} in a text, whatever stands around it; what cannot be read is dropped."""
    start = text.find("{")
    while start >= 0:
        # Quotes count inside of an object only: outside they are apostrophes.
        end = None
        for match in _INSIDE.finditer(text, start + 1):
            if match.group() == "{":
                start = match.start()
            elif match.group() == "}":
                end = match.end()
                break
        if end is None:
            found.drop(text[start : start + _LONGEST], "the object is not closed")
            return
        piece = text[start:end]
        value = _read(piece) if len(piece) <= _LONGEST else None
        if isinstance(value, dict):
            yield value
        else:
            found.drop(piece, "neither JSON nor a Python dict")
        start = text.find("{", end)


def _read(piece: str) -> Any:
    import ast

    try:
        return json.loads(piece)
    except ValueError:
        pass
    try:  # single quotes, as Python prints a dict
        return ast.literal_eval(piece)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _numbers(value: Any, count: int) -> list[float] | None:
    if not isinstance(value, list | tuple) or len(value) != count:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        return None
    return [float(v) for v in value]


def _label(row: dict) -> str | None:
    value = next((row[k] for k in ("label", "text_content", "name") if k in row), None)
    return name(value) if isinstance(value, str) else None


def _qwen(text: str, fractions: Callable[[list[float]], list[float]]) -> Parsed:
    found = Parsed()
    for row in _objects(text, found):
        if "bbox_2d" in row:
            values = _numbers(row["bbox_2d"], 4)
            if values is None:
                found.drop(row, "bbox_2d is not four numbers")
            else:
                found.add_box(fractions(values), _label(row), row)
        elif "point_2d" in row:
            values = _numbers(row["point_2d"], 2)
            if values is None:
                found.drop(row, "point_2d is not two numbers")
            else:
                found.add_point(*fractions(values), _label(row), row)
        else:
            found.drop(row, "neither bbox_2d nor point_2d")
    return found


def _fenced(rows: list[dict]) -> str:
    inside = ",\n".join(f"\t{json.dumps(row, ensure_ascii=False)}" for row in rows)
    return f"```json\n[\n{inside}\n]\n```"


def _qwen_row(shape: Box | Point, values: list[int]) -> dict:
    row: dict[str, Any] = {"bbox_2d" if isinstance(shape, Box) else "point_2d": values}
    return row | ({"label": shape.label} if shape.label else {})


def _places(shape: Box | Point) -> tuple[float, ...]:
    return shape.corners if isinstance(shape, Box) else (shape.x, shape.y)


def parse_qwen25(text: str, image_size: tuple[int, int]) -> Parsed:
    width, height = image_size
    return _qwen(text, lambda v: [x / (height if i % 2 else width) for i, x in enumerate(v)])


def write_qwen25(shapes: Sequence[Box | Point], image_size: tuple[int, int]) -> str:
    width, height = image_size
    return _fenced(
        [
            _qwen_row(
                s, [round(v * (height if i % 2 else width)) for i, v in enumerate(_places(s))]
            )
            for s in shapes
        ]
    )


def parse_qwen3(text: str, image_size: object) -> Parsed:
    return _qwen(text, lambda values: [v / 1000 for v in values])


def write_qwen3(shapes: Sequence[Box | Point], image_size: object) -> str:
    return _fenced([_qwen_row(s, [rounded(v, 1000) for v in _places(s)]) for s in shapes])


def parse_gemini(text: str, image_size: object) -> Parsed:
    """y first, thousandths: `{"box_2d": [y0, x0, y1, x1], "label": …}`, points `[y, x]`."""
    found = Parsed()
    for row in _objects(text, found):
        box, point = _numbers(row.get("box_2d"), 4), _numbers(row.get("point"), 2)
        if box is not None:
            y0, x0, y1, x1 = (v / 1000 for v in box)
            found.add_box((x0, y0, x1, y1), _label(row), row)
        elif point is not None:
            found.add_point(point[1] / 1000, point[0] / 1000, _label(row), row)
        else:
            found.drop(row, "neither box_2d of four numbers nor point of two")
    return found


def write_gemini(shapes: Sequence[Box | Point], image_size: object) -> str:
    rows = []
    for shape in shapes:
        values = [rounded(v, 1000) for v in _places(shape)]
        if isinstance(shape, Box):
            x0, y0, x1, y1 = values
            row: dict[str, Any] = {"box_2d": [y0, x0, y1, x1]}
        else:
            row = {"point": values[::-1]}
        rows.append(row | ({"label": shape.label} if shape.label else {}))
    return _fenced(rows)


_MOONDREAM = ("x_min", "y_min", "x_max", "y_max")


def parse_moondream(text: str, image_size: object) -> Parsed:
    """Dicts in fractions: `x_min, y_min, x_max, y_max` for boxes, `x, y` for points."""
    found = Parsed()
    for row in _objects(text, found):
        box = _numbers([row.get(key) for key in _MOONDREAM], 4)
        point = _numbers([row.get(key) for key in "xy"], 2)
        if box is not None:
            found.add_box(box, _label(row), row)
        elif point is not None:
            found.add_point(*point, _label(row), row)
        else:
            found.drop(row, "neither x_min … y_max nor x and y, as numbers")
    return found


def write_moondream(shapes: Sequence[Box | Point], image_size: object) -> str:
    rows = []
    for shape in shapes:
        keys = _MOONDREAM if isinstance(shape, Box) else ("x", "y")
        row: dict[str, Any] = dict(zip(keys, _places(shape)))
        rows.append(row | ({"label": shape.label} if shape.label else {}))
    key = "points" if shapes and all(isinstance(s, Point) for s in shapes) else "objects"
    return json.dumps({key: rows}, ensure_ascii=False)
