"""Objects in a model's text that is JSON, a Python literal, or nearly one of the two.

One pass with a stack of its own, and not `json` or `ast`: a model leaves out quotes and brackets,
and one fault must not take the boxes beside it with it. No text can make it raise, and it takes
time in proportion to the text's length.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vlm_helpers.boxes._parsed import Parsed, number

_SHOWN = 80  # characters of an object that are kept, to show where one is dropped

_START = re.compile(r"[{\[]")
_TOKEN = re.compile(
    r"\s*(?:(?P<open>[{\[(])|(?P<close>[}\])])|(?P<mark>[,:])|(?P<quote>[\"'])"
    r"|(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)|(?P<word>-?[^\W\d]\w*)"
    r"|(?P<other>\\.|[^\s]))",
    re.DOTALL,
)
_STRING = {q: re.compile(rf"{q}[^{q}\\]*(?:\\.[^{q}\\]*)*{q}", re.DOTALL) for q in "\"'"}
_COLON = re.compile(r"\s*:")
_AFTER_STRING = re.compile(r"\s*(?:[,:}\])]|$)")
_WORDS = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None,
    "NaN": math.nan, "nan": math.nan, "Infinity": math.inf, "-Infinity": -math.inf,
    "inf": math.inf,
}  # fmt: skip
_CLOSES = {"}": "{", "]": "[", ")": "("}
_NOTHING = object()  # no key, no value


def is_number(value: Any) -> bool:
    """Whether it is an int or a float, and not True or False."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Found(NamedTuple):
    """What stood in a pair of brackets: a dict, or a list of numbers outside of any dict.

    Values inside are scalars and lists of them; anything else is left out as None.
    `broken`: it holds something that is neither JSON nor Python.
    """

    start: int
    text: str
    value: Any
    broken: bool


@dataclass
class _Open:
    """A bracket that is not closed yet, and what stood in it so far."""

    kind: str
    start: int
    pending: int  # how many objects without a box there were before it
    values: Any = field(default_factory=list)
    key: Any = _NOTHING
    waiting: Any = _NOTHING  # in a dict: a value that may become a key
    ready: bool = True  # whether a value may come here
    broken: bool = False
    rows: bool = False  # whether a row was found in it
    earlier: list[dict] = field(default_factory=list)  # its values before a key came again

    def take(self, value: Any) -> None:
        if not self.ready:
            self.broken = True
        elif self.kind != "{":
            self.values.append(value)
        elif self.key is _NOTHING:
            self.waiting = value
        else:
            if self.key in self.values:  # another object, as models go on without brackets
                self.earlier.append(self.values)
                self.values = {}
            self.values[self.key] = value
        self.ready = False

    def mark(self, mark: str) -> None:
        if mark == ",":
            self.broken |= self.ready or self.waiting is not _NOTHING
            self.key = self.waiting = _NOTHING
        elif isinstance(self.waiting, str):  # a colon
            self.key, self.waiting = self.waiting, _NOTHING
        else:
            self.broken = True
        self.ready = True


def objects(text: str, keys: Collection[str], found: Parsed) -> list[Found]:
    """The dicts with one of `keys`, and bare lists of numbers, in the order of the text.

    Other dicts are dropped, unless one that has the keys stands in them or around them.
    """
    return _Reader(text, frozenset(keys), found).read()


class _Reader:
    def __init__(self, text: str, keys: frozenset[str], found: Parsed) -> None:
        self.text, self.keys, self.found = text, keys, found
        self.open: list[_Open] = []
        self.dicts = 0  # how many of them are dicts
        self.rows: list[Found] = []
        self.pending: list[tuple[str, str]] = []  # objects without a box, and what is wrong
        self.unclosed: set[str] = set()  # kinds of quotes that have no partner any more

    def read(self) -> list[Found]:
        at = 0
        while at < len(self.text):
            if not self.open:  # quotes count inside of brackets only: in prose they are apostrophes
                start = _START.search(self.text, at)
                if start is None:
                    break
                at = start.start()
            token = _TOKEN.match(self.text, at)
            if token is None:  # white space at the end
                break
            at = self.token(token)
        self.finish()
        return sorted(self.rows, key=lambda row: row.start)

    def token(self, token: re.Match) -> int:
        """Work on one token; where the next one starts."""
        kind, piece = token.lastgroup, token[token.lastgroup]
        at = token.end()
        if kind == "open":
            values: Any = {} if piece == "{" else []
            self.open.append(_Open(piece, at - 1, len(self.pending), values))
            self.dicts += piece == "{"
            return at
        top = self.open[-1]
        if kind == "close":
            self.close(_CLOSES[piece], at)
        elif kind == "mark":
            top.mark(piece)
        elif kind == "number":
            top.take(number(piece))
        elif kind == "word" and _COLON.match(self.text, at):  # a key without quotes
            top.take(piece)
        elif kind == "word" and piece in _WORDS:
            top.take(_WORDS[piece])
        elif kind == "quote":
            return self.string(top, piece, at - 1)
        else:
            top.broken, top.ready = True, False
        return at

    def string(self, top: _Open, quote: str, start: int) -> int:
        """A string, if one can stand here and something sensible follows it; else a stray quote."""
        if top.ready and quote not in self.unclosed:
            match = _STRING[quote].match(self.text, start)
            if match is None:
                self.unclosed.add(quote)
            elif _AFTER_STRING.match(self.text, match.end()):
                top.take(_unquoted(match.group()))
                return match.end()
        top.broken, top.ready = True, False
        return start + 1

    def close(self, kind: str, end: int) -> None:
        if kind == "{" and self.dicts:
            while self.open[-1].kind != "{":  # brackets inside that are not closed
                self.open[-1].broken = True
                self.shut(end)
        elif self.open[-1].kind != kind:
            self.open[-1].broken = True
            return
        self.shut(end)

    def shut(self, end: int) -> None:
        """Take the innermost bracket off the stack, and give its value to the one around it."""
        top = self.open.pop()
        around = self.open[-1] if self.open else None
        piece = self.text[top.start : min(end, top.start + _SHOWN)]
        value = None
        if top.kind == "{":
            self.dicts -= 1
            top.broken |= top.waiting is not _NOTHING
            self.shut_dict(top, piece)
        elif not top.broken and all(
            v is None or isinstance(v, str | float | int) for v in top.values
        ):
            value = top.values
            if not self.dicts and len(value) > 1 and all(map(is_number, value)):
                self.rows.append(Found(top.start, piece, value, False))
                top.rows = True
        if around:
            around.take(value)
            around.rows |= top.rows
            around.broken |= top.broken and top.kind != "{"

    def shut_dict(self, top: _Open, piece: str) -> None:
        rows = [values for values in (*top.earlier, top.values) if not self.keys.isdisjoint(values)]
        if rows:
            del self.pending[top.pending :]
            self.rows += [Found(top.start, piece, values, top.broken) for values in rows]
            top.rows = True
        elif not top.rows and len(self.pending) == top.pending:
            why = "neither JSON nor a Python dict" if top.broken else "neither a box nor a point"
            self.pending.append((piece, why))

    def finish(self) -> None:
        """Report what is not closed at the end: rows, the innermost dict, or a list of numbers."""
        for piece, why in self.pending:
            self.found.drop(piece, why)
        dicts = [top for top in self.open if top.kind == "{"]
        rows = [top for top in dicts if not self.keys.isdisjoint(top.values)]
        for top in rows or dicts[-1:]:
            piece = self.text[top.start : top.start + _SHOWN]
            self.found.drop(piece, "the object is not closed")
        top = self.open[-1] if self.open and not dicts else None
        if top and not top.broken and len(top.values) > 1 and all(map(is_number, top.values)):
            self.found.drop(self.text[top.start : top.start + _SHOWN], "the list is not closed")


# Escapes that Python has and JSON has not, and all others, which are to be passed over.
_ESCAPE = re.compile(
    r'\\x([0-9a-fA-F]{2})|\\U(00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})|\\.|"', re.DOTALL
)


def _unquoted(literal: str) -> str:
    """The text of a string literal; where its escapes are wrong, they stay in it."""
    inside = literal[1:-1]
    try:
        return json.loads(f'"{_ESCAPE.sub(_as_json, inside)}"', strict=False)
    except ValueError:
        return inside


def _as_json(match: re.Match) -> str:
    code = match[1] or match[2]
    if code:
        return json.dumps(chr(int(code, 16)))[1:-1]
    return {"\\'": "'", '"': '\\"'}.get(match.group(), match.group())
