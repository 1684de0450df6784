"""An answer that is to be JSON: valid, complete and right are three different things.

The form is that of a JSON Schema (json-schema.org, draft 2020-12), checked by the package
`jsonschema`; no schema is fetched from anywhere.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vlm_helpers.evaluation.rules._given import text

_NOTHING = object()
# Keywords that say something and ask for nothing.
_WORDS = ("$schema", "$id", "$comment", "title", "description", "default", "examples")


class JsonAnswer(NamedTuple):
    """What there is to say of an answer that is to be JSON.

    Attributes:
        value: what the answer holds; None where it is no JSON.
        faults: why it is not valid: no JSON, or not of the schema's form; a sentence each.
        missing: paths of what the schema requires, or the truth has, and the answer does not.
        wrong: paths of the values that are there and differ from the truth, as "items.0.price",
            and of items by which a list is longer than the truth's. (A key that the truth does not
            have is the schema's to refuse.)
    """

    value: Any
    faults: tuple[str, ...]
    missing: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.faults

    @property
    def complete(self) -> bool:
        """Whether everything is there, whatever it says."""
        return (self.valid or self.value is not None) and not self.missing  # null is a value

    @property
    def right(self) -> bool:
        """Whether it is valid and complete, and says the truth everywhere."""
        return self.valid and self.complete and not self.wrong


def json_answer(answer: str, schema: Mapping[str, Any], truth: Any) -> JsonAnswer:
    """An answer against a JSON Schema and against the truth.

    Args:
        answer: what the model wrote; words or fences around the JSON make it none.
        schema: a JSON Schema, as a dict.
        truth: the right value, such as the `fields` of a page that the schema asks for. Values are
            compared as they are, texts letter by letter.
    Raises:
        TypeError: for an answer that is no text, a schema that is no dict, or a truth that no JSON
            can hold.
        ValueError: for what is no JSON Schema, or a truth that it does not allow.
    """
    check, truth = _validator(schema), _as_json(truth)
    for error in _errors(check, truth):
        if error.validator != "required":  # it may say a part only
            raise ValueError(
                f"The schema does not allow the truth, {_written(tuple(error.absolute_path))}: "
                f"{error.message:.99}. Mend one of them, or give json.loads(truth)."
            )
    try:
        value = read_json(answer)
    except ValueError as error:
        return JsonAnswer(None, (str(error),), (), ())
    faults, required = [], []
    for error in _errors(check, value):
        place = tuple(error.absolute_path)
        if error.validator == "required":
            required += [(*place, n) for n in error.validator_value if n not in error.instance]
        else:
            faults.append(f"{_written(place)}: {error.message}.")
    found: dict[str, list[tuple]] = {"missing": required, "wrong": [], "more": []}
    for kind, path in _differences(value, truth):
        if not any(path[: len(one)] == one for one in required):  # told already
            found[kind].append(path)
    missing, wrong, more = ([*map(_written, paths)] for paths in found.values())
    return JsonAnswer(value, tuple(faults), tuple(dict.fromkeys(missing)), (*wrong, *more))


def read_json(answer: str) -> Any:
    """The value that an answer is, read as JSON and more strictly than by Python's own reader.

    That one takes NaN and Infinity, which JSON does not have, and of a key that stands twice in an
    object the last value, where another program may take the first.

    Raises:
        TypeError: for an answer that is no text.
        ValueError: it is no JSON, or a key stands twice; the message is a sentence that says why.
    """
    twice: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        return dict(pairs)

    try:
        value = json.loads(
            text("The answer", answer), object_pairs_hook=members, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"It is no JSON: {error}.") from None
    if twice:
        raise ValueError(
            f"The key {twice[0]!r} stands twice in an object: nobody knows which counts."
        )
    return value


def _validator(schema: Any) -> Any:
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry

    if not isinstance(schema, Mapping):
        raise TypeError(
            f"schema is of type {type(schema).__name__}: a JSON Schema is a dict such as "
            '{"type": "object", "properties": {"total": {"type": "string"}}}.'
        )
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path))
        raise ValueError(
            f"This is no JSON Schema: {error.message}{f' (at {place})' if place else ''}."
        ) from None
    _check_keywords(schema, "the schema", {*Draft202012Validator.VALIDATORS, "$defs"})
    return Draft202012Validator(schema, registry=Registry())  # an empty one fetches nothing


def _check_keywords(schema: Any, place: str, known: set[str]) -> None:
    """An example of the answer passes as a schema: it has no keyword, so it allows everything."""
    if not isinstance(schema, Mapping) or not schema:
        return
    if not known & set(schema) and not set(schema) <= {*_WORDS}:
        raise ValueError(
            f"{place[0].upper()}{place[1:]} is no JSON Schema but allows everything: it has no "
            f"keyword, such as 'type' or 'properties', only {', '.join(map(repr, schema))}."
        )
    for name, part in schema.get("properties", {}).items():
        _check_keywords(part, f"the property {name!r}", known)
    _check_keywords(schema.get("items"), "what 'items' says", known)


def _errors(check: Any, value: Any) -> list:
    from referencing.exceptions import Unresolvable

    try:
        return list(check.iter_errors(value))
    except Unresolvable as error:
        raise ValueError(f"The schema refers to {error.ref!r}, which is not in it.") from None
    except RecursionError:
        raise ValueError("The schema refers to itself without an end.") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no value in JSON")


def _differences(value: Any, truth: Any, path: tuple = ()) -> Iterator[tuple[str, tuple]]:
    """Each path of the truth that is "missing" in the value or "wrong" there, and the items by
    which a list is longer ("more"). Paths are keys of objects and numbers of list items."""
    if not isinstance(truth, dict | list):
        if value is _NOTHING or not _same(value, truth):
            yield "missing" if value is _NOTHING else "wrong", path
        return
    alike = type(value) is type(truth)
    if not truth and not alike:
        yield "missing" if value is _NOTHING else "wrong", path
    there = _parts(value) if alike else {}
    for key, part in _parts(truth).items():
        yield from _differences(there.get(key, _NOTHING), part, (*path, key))
    if alike and isinstance(truth, list):
        yield from (("more", (*path, n)) for n in range(len(truth), len(value)))


def _parts(value: dict | list) -> dict:
    return value if isinstance(value, dict) else dict(enumerate(value))


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _as_json(truth: Any) -> Any:
    """The truth as JSON's reader would give it: a table's row has arrays and numbers of numpy's."""
    if isinstance(truth, Mapping) and all(isinstance(key, str) for key in truth):
        return {key: _as_json(part) for key, part in truth.items()}
    truth = truth.tolist() if hasattr(truth, "tolist") else truth
    if isinstance(truth, list | tuple):
        return [*map(_as_json, truth)]
    if isinstance(truth, str | int | None) or (isinstance(truth, float) and math.isfinite(truth)):
        return truth
    raise TypeError(
        f"The truth holds {truth!r:.60}, which no JSON can: give texts, finite numbers, True, "
        "False, None, lists of them, and dicts with texts as keys."
    )


def _written(path: tuple) -> str:
    return ".".join(map(str, path)) or "the whole"
