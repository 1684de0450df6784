"""Where on a table does what pocket-llava-next answers stand, if it is not the cell asked for?

Cells of tables of the split "test". `right`: the answer is the cell's text. `there`: it is, letter
for letter, the text of some cell of the table; then `row` and `column` say whether such a cell
stands in the row, or in the column, that was asked for. `by_row` and `by_column` are the floors:
of the other cells, the share in that row and in that column. `any_row`, `any_column`: of all cells,
the share in that row and column; `alike`: of the other cells whose text has the same form, the
share in that column (empty where there is none). Three sets of other tables.
"""

from __future__ import annotations

import re

import vlm_helpers as vh
from recipes.experiments import _asking

EACH = 30  # questions in a set
SETS = (90_000, 91_000, 92_000)  # first seeds


def settings() -> list[dict]:
    return [{"first_seed": seed} for seed in SETS]


def places(page) -> dict[tuple[int, int], str]:
    """The text of each cell by row and column; the column of names is left out."""
    cells = [e for e in page.elements if e.name.startswith("rows.")]
    found = {tuple(map(int, e.name.split(".")[1:])): e.text for e in cells}
    return {place: text for place, text in found.items() if place[1] > 0}


def form(text: str) -> str:
    """How a text looks: 27 kg and 46 kg alike, 15.65 and 97% not."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def run(first_seed: int) -> list[dict]:
    exam = vh.evaluation.exam(vh.pages, "cell", EACH, first_seed=first_seed, kind="table")
    vlm = _asking.model("pocket-llava-next")
    answers = vh.evaluation.quiz(vlm, exam, batch_size=6, max_new_tokens=16)
    rows = []
    for (page, question), one in zip(exam.pairs, answers.rows):
        asked = tuple(map(int, question.objects[-1].name.split(".")[1:]))
        cells = places(page)
        said = [place for place, text in cells.items()
                if vh.evaluation.exact(one["answer"], {"answer": text})]  # fmt: skip
        others = [place for place in cells if place != asked]
        alike = [p for p in others if form(cells[p]) == form(cells[asked])]
        rows.append({
            "seed": page.seed, "right": int(one["score"]), "there": int(bool(said)),
            "row": int(any(place[0] == asked[0] for place in said)),
            "column": int(any(place[1] == asked[1] for place in said)),
            "by_row": round(sum(p[0] == asked[0] for p in others) / len(others), 4),
            "by_column": round(sum(p[1] == asked[1] for p in others) / len(others), 4),
            "any_row": round(sum(p[0] == asked[0] for p in cells) / len(cells), 4),
            "any_column": round(sum(p[1] == asked[1] for p in cells) / len(cells), 4),
            "alike": round(sum(p[1] == asked[1] for p in alike) / len(alike), 4) if alike else "",
        })  # fmt: skip
    return rows
