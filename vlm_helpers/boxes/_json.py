"""Formats that write boxes as JSON or Python literals: Qwen2.5-VL, Qwen3-VL, Gemini, moondream."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from vlm_helpers.boxes._literals import objects
from vlm_helpers.boxes._parsed import Parsed, name, numbers_of, rounded
from vlm_helpers.boxes._shapes import Box, Point

_BROKEN = "part of the object is neither JSON nor Python; the rest of it was read"


def _parse(
    text: str, box_keys: Sequence[str], point_keys: Sequence[str], place: Callable
) -> Parsed:
    """Objects with numbers under `box_keys` or `point_keys`; a bare list of four numbers is a box.

    Several keys have a number each, one key a list of them. `place`: the numbers, as they stand in
    the text, to fractions with x first.
    """
    found = Parsed()
    for row in objects(text, {*box_keys, *point_keys}, found):
        label = None
        if isinstance(row.value, list):
            is_box, values, what = True, _numbers(row.value, 4), "a list outside of any object"
        else:
            label = _label(row.value)
            is_box = any(key in row.value for key in box_keys)
            keys, count = (box_keys, 4) if is_box else (point_keys, 2)
            values, what = _under(row.value, keys, count), ", ".join(keys)
        if values is None:
            found.drop(row.text, f"{what}: not {'four' if is_box else 'two'} numbers")
            continue
        if row.broken:
            found.drop(row.text, _BROKEN)
        if is_box:
            found.add_box(place(values), label, row.text)
        else:
            found.add_point(*place(values), label, row.text)
    return found


def _under(row: dict, keys: Sequence[str], count: int) -> list[float] | None:
    return _numbers([row.get(k) for k in keys] if len(keys) > 1 else row[keys[0]], count)


def _numbers(value: Any, count: int) -> list[float] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    return value if all(isinstance(v, float) for v in value) else None


def _label(row: dict) -> str | None:
    value = next((row[k] for k in ("label", "text_content", "name") if k in row), None)
    return name(value) if isinstance(value, str) else None


def _fenced(rows: list[dict]) -> str:
    inside = ",\n".join(f"\t{json.dumps(row, ensure_ascii=False)}" for row in rows)
    return f"```json\n[\n{inside}\n]\n```"


def _qwen_row(shape: Box | Point, values: list[int]) -> dict:
    row: dict[str, Any] = {"bbox_2d" if isinstance(shape, Box) else "point_2d": values}
    return row | ({"label": shape.label} if shape.label else {})


def parse_qwen25(text: str, image_size: tuple[int, int]) -> Parsed:
    width, height = image_size

    def place(values: list[float]) -> list[float]:
        return [v / (height if i % 2 else width) for i, v in enumerate(values)]

    return _parse(text, ("bbox_2d",), ("point_2d",), place)


def write_qwen25(shapes: Sequence[Box | Point], image_size: tuple[int, int]) -> str:
    width, height = image_size
    return _fenced(
        [
            _qwen_row(
                s, [round(v * (height if i % 2 else width)) for i, v in enumerate(numbers_of(s))]
            )
            for s in shapes
        ]
    )


def parse_qwen3(text: str, image_size: object) -> Parsed:
    return _parse(text, ("bbox_2d",), ("point_2d",), lambda values: [v / 1000 for v in values])


def write_qwen3(shapes: Sequence[Box | Point], image_size: object) -> str:
    return _fenced([_qwen_row(s, [rounded(v, 1000) for v in numbers_of(s)]) for s in shapes])


def parse_gemini(text: str, image_size: object) -> Parsed:
    """y first, thousandths: `{"box_2d": [y0, x0, y1, x1], "label": …}`, points `[y, x]`."""

    def place(values: list[float]) -> list[float]:
        return [values[i ^ 1] / 1000 for i in range(len(values))]  # each pair the other way round

    return _parse(text, ("box_2d",), ("point",), place)


def write_gemini(shapes: Sequence[Box | Point], image_size: object) -> str:
    rows = []
    for shape in shapes:
        values = [rounded(v, 1000) for v in numbers_of(shape)]
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
    return _parse(text, _MOONDREAM, ("x", "y"), lambda values: values)


def write_moondream(shapes: Sequence[Box | Point], image_size: object) -> str:
    rows = []
    for shape in shapes:
        keys = _MOONDREAM if isinstance(shape, Box) else ("x", "y")
        row: dict[str, Any] = dict(zip(keys, numbers_of(shape)))
        rows.append(row | ({"label": shape.label} if shape.label else {}))
    key = "points" if shapes and all(isinstance(s, Point) for s in shapes) else "objects"
    return json.dumps({key: rows}, ensure_ascii=False)
