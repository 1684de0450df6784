"""What do OCR alone and a VLM alone answer, of the same questions about pages, charts and screens?

rapidocr 3.10 reads each page: lines of text with their boxes, and nothing else. A rule for each
skill, written by hand, looks for the answer among them: the amount in the row of the total or of
the item; what stands right of a label, or under it; the cell in the row and under the column that
the question names; the number in line with the label of a bar; the line that shares most with a
wish to click. No rule can say whether a box is ticked or which bar is largest: no letters do, and
the answer stays empty. `right`: the rule's answer is (values of charts within 5 %, clicks inside
the element). `there`: the true answer stands among what was read, word for word (a click: something
was read within the element), so that a better rule, or a language model, could have found it; 0
where no text on a page is the answer. pocket-llava-next is asked the same; it has no `there`.

Thirty pages of a kind from the split "test", with the questions that have an answer. Nothing is
trained and nothing drawn by chance but the pages: there is no seed to vary.

Needs `pip install -r recipes/ocr.txt`.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import NamedTuple

import numpy as np

import vlm_helpers as vh
from recipes.experiments import _asking

LIBRARIES = ("rapidocr", "onnxruntime")
ASKED = {
    "receipt": ("total", "price"), "form": ("field", "ticked"), "table": ("cell",),
    "bars": ("value", "largest"), "screen": ("entry", "ticked", "click"),
}  # fmt: skip
SEEDS = range(50_000, 50_030)
ONE_THREAD = {"EngineConfig.onnxruntime.intra_op_num_threads": 1}
AMOUNT = r"(?:EUR |[$€£] ?)?-?\d[\d.,']*(?: ?(?:EUR|€))?"
NUMBER = r"-?\d[\d.,]*%?"
# words of a question that are no name of anything
FORM = set(
    "a an answer at box cell click column do does field for form give how in is it much of on out "
    "point price read receipt row screen stands the then to value want what where which you "
    "high cost".split()
)


def settings() -> list[dict]:
    readers = ("rapidocr", "pocket-llava-next")
    return [{"reader": reader, "kind": kind} for reader in readers for kind in ASKED]


def run(reader: str, kind: str) -> list[dict]:
    rows = []
    for page in (vh.pages.sample(seed, "test", kind=kind) for seed in SEEDS):
        asked = [question for question in page.questions(ASKED[kind]) if question.answer != "none"]
        if not asked:
            continue
        if reader == "rapidocr":
            lines = read(page.image)
            answers = [RULES[q.skill](q.text, lines) if lines else "" for q in asked]
            found = [int(there(question, lines)) for question in asked]
        else:
            pictures = [page.image] * len(asked)
            vlm = _asking.model(reader)
            answers = vlm.ask(pictures, [q.text for q in asked], max_new_tokens=32)
            found = [None] * len(asked)
        rows += [
            {"seed": page.seed, "skill": question.skill, "truth": question.answer,
             "answer": answer, "right": int(right(answer, question)), "there": one}
            for question, answer, one in zip(asked, answers, found)
        ]  # fmt: skip
    return rows


# --- reading --------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line as it was read, and its box as fractions of the picture."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def x(self) -> float:
        return (self.x0 + self.x1) / 2

    @property
    def y(self) -> float:
        return (self.y0 + self.y1) / 2

    def beside(self, other: Line) -> bool:
        """Whether both stand in one row."""
        return abs(self.y - other.y) < 0.5 * max(self.y1 - self.y0, other.y1 - other.y0)


@functools.cache
def _engine():
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "error", **ONE_THREAD})


def read(picture) -> list[Line]:
    """The lines on a picture, from left to right in a row, the rows from top to bottom."""
    found = _engine()(np.asarray(picture.convert("RGB"))[:, :, ::-1])  # it takes BGR
    if found.boxes is None:
        return []
    corners = np.asarray(found.boxes) / picture.size  # [lines, 4, 2]
    lines = [
        Line(text, *map(float, (*box.min(0), *box.max(0))))
        for text, box in zip(found.txts, corners)
    ]
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.y):
        if rows and line.beside(rows[-1][0]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row)]


def _row(line: Line, lines: list[Line]) -> str:
    return " ".join(other.text for other in lines if line.beside(other))


# --- the rules ------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def alike(word: str, asked: set[str]) -> bool:
    """Whether a word was asked for; a long one may be read a little wrong."""
    return word in asked or len(word) > 3 and bool(difflib.get_close_matches(word, asked, 1, 0.78))


def named(question: str, lines: list[Line], more: str = "") -> Line | None:
    """The line that shares most letters of whole words with the question."""
    asked = (set(words(question)) - FORM) | set(words(more))

    def shared(line: Line) -> tuple[int, float]:
        hits = [len(word) for word in words(line.text) if alike(word, asked)]
        return sum(hits), len(hits) / max(1, len(words(line.text)))

    best = max(lines, key=shared, default=None)
    return best if best and shared(best)[0] else None


def total(question: str, lines: list[Line]) -> str:
    return amount(question, lines, "total sum due pay")


def amount(question: str, lines: list[Line], more: str = "") -> str:
    """The last amount in the row of what is named."""
    line = named(question, lines, more)
    found = re.findall(AMOUNT, _row(line, lines)) if line else []
    return found[-1] if found else ""


def beside(question: str, lines: list[Line]) -> str:
    """What stands right of a label: in its line, in its row, or else under it."""
    label = named(question, lines)
    if not label:
        return ""
    asked = set(words(question)) - FORM
    pieces = re.findall(r"\S+", label.text)
    last = max(i for i, piece in enumerate(pieces) if any(alike(w, asked) for w in words(piece)))
    if pieces[last + 1 :]:
        return " ".join(pieces[last + 1 :])
    right = [line for line in lines if line.beside(label) and line.x0 > label.x0]
    below = [
        line for line in lines
        if 0 < line.y - label.y < 3 * (label.y1 - label.y0) and line.x0 < label.x1
    ]  # fmt: skip
    return (right or below or [Line("", 0, 0, 0, 0)])[0].text


def cell(question: str, lines: list[Line]) -> str:
    """The text of the row, and of the column, that the question names."""
    column = named(question, [line for line in lines if line.y < lines[0].y + 0.25])
    rest = [line for line in lines if column and not line.beside(column) and line.y > column.y]
    row = named(question, rest)
    cells = [line for line in rest if row and line.beside(row) and line is not row]
    return min(cells, key=lambda line: abs(line.x - column.x)).text if cells else ""


def value(question: str, lines: list[Line]) -> str:
    """The nearest number straight above the label, or right of it, as some charts print them."""
    label = named(question, lines)
    numbers = [line for line in lines if label and re.fullmatch(NUMBER, line.text)]
    above = [n for n in numbers if abs(n.x - label.x) < 0.03 and n.y < label.y]
    right = [n for n in numbers if n.beside(label) and n.x > label.x]
    near = sorted(above or right, key=lambda n: abs(n.x - label.x) + abs(n.y - label.y))
    return near[0].text if near else ""


def click(question: str, lines: list[Line]) -> str:
    line = named(question, lines)
    return vh.pages.location_tokens([(line.x, line.y)]) if line else ""


def silent(question: str, lines: list[Line]) -> str:
    return ""


RULES = {
    "total": total, "price": amount, "field": beside, "entry": beside, "cell": cell,
    "value": value, "click": click, "ticked": silent, "largest": silent,
}  # fmt: skip


# --- the score ------------------------------------------------------------------------------------


def right(answer: str, question) -> bool:
    if question.skill == "click":
        points = vh.boxes.parse(answer, "pocket-llava").points[:1]
        return bool(vh.boxes.pointing_accuracy([*points, None][:1], [_target(question)]))
    if question.skill == "value":
        read_number = vh.evaluation.written_number
        return vh.evaluation.relaxed_accuracy(answer, question.answer, read=read_number)
    return vh.evaluation.exact(answer, {"answer": question.answer})


def there(question, lines: list[Line]) -> bool:
    """Whether the answer was read where it stands, so that a better rule could have found it."""
    if question.skill in ("ticked", "largest"):
        return False
    x0, y0, x1, y1 = question.objects[-1].box
    near = 0.08 if question.skill == "value" else 0.0  # a bar's value stands outside the bar
    lines = [
        line for line in lines
        if x0 - near <= line.x1 and line.x0 <= x1 + near
        and y0 - near <= line.y <= y1 + near
    ]  # fmt: skip
    if question.skill == "click":
        return any(x0 <= line.x <= x1 for line in lines)
    return any(f" {question.answer} " in f" {line.text} " for line in lines) or (
        f" {question.answer} " in f" {' '.join(line.text for line in lines)} "
    )


def _target(question) -> vh.boxes.Box:
    return vh.boxes.Box(*question.objects[0].box)
