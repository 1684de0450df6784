"""Charts: pixels, axes and answers agree with the values, checked without the code that draws."""

import json
import re

import numpy as np
import pytest

from vlm_helpers import pages
from vlm_helpers.pages import _plots

KINDS = ("bars", "lines", "pie")
MANY = {kind: [pages.sample(seed, "test", kind=kind) for seed in range(50)] for kind in KINDS}
MATPLOTLIB = {
    kind: [pages.sample(seed, "unseen_styles", kind=kind) for seed in range(4)] for kind in KINDS
}


def pixels(page, box):
    width, height = page.size
    x0, y0, x1, y1 = box
    part = np.s_[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)]
    return np.asarray(page.image)[part].reshape(-1, 3).astype(int)


def share_of_color(page, box, name) -> float:
    inside = pixels(page, box)
    return max((np.abs(inside - shade).sum(-1) < 40).mean() for shade in _plots.COLORS[name])


@pytest.mark.parametrize("drawn_by", [MANY, MATPLOTLIB], ids=["Pillow", "matplotlib"])
def test_marks_have_their_colors_where_their_boxes_are(drawn_by):
    checked = 0
    for page in drawn_by["bars"] + drawn_by["lines"]:
        for s, series in enumerate(page.fields["series"]):
            for i in range(len(series["values"])):
                x0, y0, x1, y1 = page.get(f"series.{s}.values.{i}").box
                width, height = page.size
                if page.kind == "bars" and (x1 - x0) * width > 3 and (y1 - y0) * height > 3:
                    # a printed value or, by matplotlib, the legend may cover a part
                    enough = 0.55 if drawn_by is MANY else 0.2
                    assert share_of_color(page, (x0, y0, x1, y1), series["color"]) > enough, (
                        page.key
                    )
                    checked += 1
                elif page.kind == "lines" and s == len(page.fields["series"]) - 1:
                    assert share_of_color(page, (x0, y0, x1, y1), series["color"]) > 0.03, page.key
                    checked += 1
    for page in drawn_by["pie"]:
        for i, piece in enumerate(page.fields["slices"]):
            box = page.get(f"slices.{i}.color").box
            assert share_of_color(page, box, piece["color"]) > 0.3, (page.key, piece)
            checked += 1
    assert checked > 40


@pytest.mark.parametrize("drawn_by", [MANY, MATPLOTLIB], ids=["Pillow", "matplotlib"])
def test_values_are_what_the_axis_says(drawn_by):
    """A straight line through the printed ticks gives every value back."""
    for page in drawn_by["bars"] + drawn_by["lines"]:
        ticks = [element for element in page.elements if element.role == "tick"]
        numbers = [float(tick.text.replace("\N{MINUS SIGN}", "-")) for tick in ticks]
        across = np.ptp([t.center[0] for t in ticks]) > np.ptp([t.center[1] for t in ticks])
        axis = 0 if across else 1
        slope, start = np.polyfit([tick.center[axis] for tick in ticks], numbers, 1)
        spread = abs(slope) * 2.5 / page.size[axis]  # two and a half pixels
        for s, series in enumerate(page.fields["series"]):
            for i, text in enumerate(series["values"]):
                mark = page.get(f"series.{s}.values.{i}")
                x0, y0, x1, y1 = mark.box
                tip = (x1 if across else y0) if page.kind == "bars" else mark.center[axis]
                assert abs(start + slope * tip - float(text)) <= spread, (page.key, text)


def test_most_values_can_be_read_within_five_percent():
    """A pixel off is no excuse: it changes few of the values by more than that."""
    off = []
    for page in MANY["bars"] + MANY["lines"]:
        ticks = [element for element in page.elements if element.role == "tick"]
        spans = [abs(ticks[0].center[a] - ticks[-1].center[a]) * page.size[a] for a in (0, 1)]
        numbers = [float(tick.text) for tick in ticks]
        pixel = (max(numbers) - min(numbers)) / max(spans)
        values = [float(v) for series in page.fields["series"] for v in series["values"]]
        off += [pixel / value > 0.05 for value in values]
    assert np.mean(off) < 0.1


def series_of(page, question):
    """The series that a question names, or the only one."""
    series = page.fields["series"]
    named = [one for one in series if re.search(rf"\b{one['name']}\b", question.text)]
    return named if len(series) > 1 else series


def labels_in(page, text):
    found = [
        (re.search(rf"\b{re.escape(label)}\b", text), label) for label in page.fields["labels"]
    ]
    return [label for match, label in sorted((m.start(), label) for m, label in found if m)]


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_answers_follow_from_the_values(kind):
    seen = set()
    skills = ["value", "largest", "difference", "compare", "color", "json", "title"]
    for page in MANY[kind]:
        labels = page.fields["labels"]
        table = {
            (series["name"], label): float(value)
            for series in page.fields["series"]
            for label, value in zip(labels, series["values"])
        }
        for question in page.questions(skills, per_skill=3):
            seen.add((question.skill, question.answer in ("yes", "no", "none") and question.answer))
            where, which = labels_in(page, question.text), series_of(page, question)
            if question.skill == "value" and question.answer != "none":
                # a year may be the name of a series and a label
                assert float(question.answer) in [
                    table[one["name"], label] for one in which for label in where
                ], question
            elif question.skill == "value":
                assert not set(where) - {one["name"] for one in which}
            elif question.skill == "largest":
                best = min if "smallest" in question.text else max
                if question.text.startswith("Which series"):
                    column = {s: v for (s, label), v in table.items() if label == where[-1]}
                else:
                    column = {label: table[which[0]["name"], label] for label in labels}
                assert question.answer == best(column, key=column.get), question
            elif question.skill in ("difference", "compare"):
                values = []
                for thing in question.objects:
                    s, i = re.findall(r"\d+", thing.name)
                    series = page.fields["series"][int(s)]
                    assert labels[int(i)] in question.text
                    assert series["name"] in question.text or len(page.fields["series"]) == 1
                    values.append(float(series["values"][int(i)]))
                if question.skill == "difference":
                    assert float(question.answer) == pytest.approx(abs(values[0] - values[1]))
                else:
                    more = "smaller" not in question.text
                    assert question.answer == ("yes" if (values[0] > values[1]) == more else "no")
            elif question.skill == "color":
                pairs = {(one["name"], one["color"]) for one in page.fields["series"]}
                assert any(
                    question.answer in pair and (len(pairs) == 1 or set(pair) - {question.answer}
                                                 and any(p in question.text for p in pair))
                    for pair in pairs
                )  # fmt: skip
            elif question.skill == "json":
                assert any(
                    json.loads(question.answer) == {label: table[one["name"], label]
                                                    for label in labels} for one in which
                )  # fmt: skip
            else:
                assert question.answer == page.fields.get("title", "none")
    assert {("compare", "yes"), ("compare", "no"), ("value", "none")} <= seen


def test_trends_are_what_the_lines_do():
    answers = []
    for page in MANY["lines"]:
        for question in page.questions(["trend"], per_skill=4):
            answers.append(question.answer)
            which = series_of(page, question)
            right = []
            for one in which:
                values = [float(value) for value in one["values"]]
                if " to " in question.text:
                    a, b = (
                        page.fields["labels"].index(x) for x in labels_in(page, question.text)[-2:]
                    )
                    a, b = sorted((a, b))
                    right.append("rises" if values[b] > values[a] else "falls")
                else:
                    signs = [value > before for before, value in zip(values, values[1:])]
                    turns = [signs[0]] + [b for a, b in zip(signs, signs[1:]) if a != b]
                    right.append(", then ".join("rises" if up else "falls" for up in turns))
            assert question.answer in right, (question, page.fields)
    assert set(answers) == {"rises", "falls", "rises, then falls", "falls, then rises"}


def test_pies_ask_for_shares_only_where_they_are_printed():
    asked = 0
    for page in MANY["pie"]:
        pieces = {piece["name"]: piece for piece in page.fields["slices"]}
        assert sum(int(piece["value"][:-1]) for piece in pieces.values()) == 100
        for question in page.questions(per_skill=3):
            named = [name for name in pieces if re.search(rf"\b{name}\b", question.text)]
            shares = [int(pieces[name]["value"][:-1]) for name in named]
            if question.skill == "value":
                asked += 1
                assert question.answer == pieces[named[-1]]["value"]
                assert question.objects[0].text == question.answer
            elif question.skill == "largest":
                best = min if "smallest" in question.text else max
                right = best(pieces, key=lambda name: int(pieces[name]["value"][:-1]))
                assert question.answer == right
            elif question.skill == "compare":
                first = min(named, key=question.text.index)
                other = next(name for name in named if name != first)
                a, b = (int(pieces[name]["value"][:-1]) for name in (first, other))
                assert question.answer == (
                    "yes" if (a > b) == ("larger" in question.text) else "no"
                )
            elif question.skill == "difference":
                assert question.answer == f"{abs(shares[0] - shares[1])}%"
            elif question.skill == "color":
                assert any(
                    {piece["name"], piece["color"]} >= {question.answer}
                    and (piece["name"] in question.text or piece["color"] in question.text)
                    for piece in pieces.values()
                )
            elif question.skill == "count":
                assert question.answer == str(len(pieces))
    assert asked > 30


def test_a_changed_value_is_drawn():
    page = MANY["bars"][0]
    values = page.fields["series"][0]["values"]
    name = f"series.0.values.{values.index(min(values, key=float))}"
    (x0, y0, x1, y1), after = page.get(name).box, page.with_field(name, "0.01").get(name).box
    assert (after[2] - after[0]) * (after[3] - after[1]) < 0.5 * (x1 - x0) * (y1 - y0)
    for text in ("many", "nan", "1e400", "1_000", "+5", "5.", "1,5"):
        with pytest.raises(ValueError, match=re.escape(f"such as 12 or 0.5, not {text!r}")):
            page.with_field("series.0.values.0", text)
    below = pages.sample(0, "unseen_styles", kind="bars").with_field("series.0.values.0", "-900")
    assert "-500" in below.text  # the axis
    with pytest.raises(ValueError, match="no color 'blu' .*did you mean 'blue'"):
        page.with_field("series.0.color", "blu")
    with pytest.raises(ValueError, match="above 0"):
        MANY["pie"][0].with_field("slices.0.value", "0%")
    with pytest.raises(ValueError, match="such as 12%, not '1.5%'"):
        MANY["pie"][0].with_field("slices.0.value", "1.5%")
