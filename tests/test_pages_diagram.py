"""Diagrams: arrows that can be followed with the eye, and questions about nothing else."""

import math
from collections import Counter

import numpy as np
import pytest

from vlm_helpers import pages
from vlm_helpers._draws import Draws
from vlm_helpers.pages import _diagram

MANY = [pages.sample(seed, "test", kind="diagram") for seed in range(200)]
UNSEEN = [pages.sample(seed, "unseen_styles", kind="diagram") for seed in range(60)]


def asked(skill, per_skill=2):
    return [(page, q) for page in MANY for q in page.questions(skill, per_skill)]


def pairs(page):
    """Labels (from, to) of all arrows."""
    boxes = page.fields["boxes"]
    return [(boxes[a["from"]], boxes[a["to"]]) for a in page.fields["arrows"]]


def test_labels_are_told_apart_and_no_arrow_is_doubled():
    kinds = Counter()
    for page in MANY + UNSEEN:
        labels = list(page.fields["boxes"].values())
        assert len(set(labels)) == len(labels) >= 3, page.fields
        assert len(set(pairs(page))) == len(page.fields["arrows"])
        assert all(one != other for one, other in pairs(page))
        kinds[page.fields["kind"]] += 1
    assert set(kinds) == set(_diagram._MAKERS) and min(kinds.values()) > 20


def test_boxes_keep_apart_and_no_arrow_crosses_a_third_one():
    for page in MANY + UNSEEN:
        marks = {mark.name: mark.box for mark in page.canvas.marks if mark.role == "box"}
        width, height = page.size
        shown = list(marks.values())
        for i, one in enumerate(shown):
            assert one[0] >= 1 and one[1] >= 1 and one[2] < width and one[3] < height, page.key
            assert all(_diagram._apart(one, other) >= 6 for other in shown[:i]), page.key
        drawn = [call[1] for call in page.canvas._calls if call[0] == "_line"]
        assert len(drawn) == len(page.fields["arrows"])
        for arrow, points in zip(page.fields["arrows"], drawn):
            for name, (x0, y0, x1, y1) in marks.items():
                if name.split(".")[1] in (arrow["from"], arrow["to"]):
                    continue
                for part in np.linspace(0, 1, 60):
                    x, y = (a + part * (b - a) for a, b in zip(points[0], points[-1]))
                    assert not (x0 - 2 < x < x1 + 2 and y0 - 2 < y < y1 + 2), page.key


def test_arrows_begin_and_end_at_their_boxes():
    for page in MANY + UNSEEN:
        marks = {mark.name: mark.box for mark in page.canvas.marks if mark.role == "box"}
        shafts = [call[1] for call in page.canvas._calls if call[0] == "_line"]
        heads = [call[1][0] for call in page.canvas._calls if call[0] == "_polygon"]
        for arrow, points, tip in zip(page.fields["arrows"], shafts, heads):
            for end, (x, y) in ((arrow["from"], points[0]), (arrow["to"], tip)):
                x0, y0, x1, y1 = marks[f"boxes.{end}"]
                outside = math.hypot(max(x0 - x, 0, x - x1), max(y0 - y, 0, y - y1))
                assert outside <= 3.5, (page.key, arrow)
            assert math.dist(points[0], tip) >= 12


def test_what_follows_and_what_comes_before():
    for page, question in asked("leads_to") + asked("comes_before"):
        name = question.objects[0].text
        assert name in question.text
        forward = question.skill == "leads_to"
        found = [b if forward else a for a, b in pairs(page) if (a if forward else b) == name]
        assert len(found) < 2 and question.answer == (found[0] if found else "none")
    answers = Counter(q.answer == "none" for _, q in asked("leads_to"))
    assert 0.02 < answers[True] / answers.total() < 0.2


def test_arrows_are_asked_for_as_often_in_vain_and_often_turned_around():
    answers, turned = Counter(), 0
    for page, question in asked("arrow"):
        one, other = (thing.text for thing in question.objects)
        assert question.text.index(f"from {one}") < question.text.index(f"to {other}")
        assert question.answer == ("yes" if (one, other) in pairs(page) else "no")
        answers[question.answer] += 1
        turned += question.answer == "no" and (other, one) in pairs(page)
    assert answers["yes"] / answers.total() == pytest.approx(0.5, abs=0.08)
    assert 0.35 * answers["no"] < turned < 0.85 * answers["no"]


def test_counts_branches_children_and_ends():
    for page, question in asked("count"):
        boxes = list(page.fields["boxes"].values())
        text = question.text.removeprefix("How many ").removesuffix("?")
        if text.startswith("arrows leave "):
            right = sum(a == text.removeprefix("arrows leave ") for a, _ in pairs(page))
        elif text.startswith("arrows end at "):
            right = sum(b == text.removeprefix("arrows end at ") for _, b in pairs(page))
        else:
            right = len(boxes) if text == "boxes are there" else len(pairs(page))
        assert question.answer == str(right)
    for page, question in asked("branch"):
        one, other = question.objects
        labels = {a["label"] for a, (x, y) in zip(page.fields["arrows"], pairs(page))
                  if (x, y) == (one.text, other.text)}  # fmt: skip
        assert labels.pop() in question.text and question.answer == other.text
    for page, question in asked("children"):
        name, *children = (thing.text for thing in question.objects)
        assert [b for a, b in pairs(page) if a == name] == children and len(children) > 1
    for page, question in asked("start_or_end"):
        end = 0 if "no arrow leave" in question.text or "end" in question.text else 1
        assert not any(pair[end] == question.answer for pair in pairs(page))


def test_two_steps_are_two_arrows():
    for page, question in asked("two_steps"):
        one, middle, other = (thing.text for thing in question.objects)
        assert (one, middle) in pairs(page) and (middle, other) in pairs(page)
        assert question.answer == other != one


def test_known_orders_are_sometimes_not_as_one_knows_them():
    """The prior and its breach: the share of cycles that are as everybody knows them."""
    usual = total = 0
    orders = {title: labels.split(",") for title, labels in _diagram.CYCLES.items()}
    for number in range(900):
        title, labels, _ = _diagram._cycle(Draws(f"{number}"))
        if title in orders:
            total += 1
            rounds = [orders[title][i:] + orders[title][:i] for i in range(len(labels))]
            usual += labels in rounds
    assert usual / total == pytest.approx(1 - _diagram.SWAPPED, abs=0.06)


def test_letters_are_large_enough_to_read():
    assert min(run.size for page in MANY + UNSEEN for run in page.canvas.texts) >= 8


def test_a_box_can_be_renamed_and_an_arrow_turned():
    page = next(page for page in MANY if page.fields["kind"] == "steps")
    renamed = page.with_field("boxes.a", "Zebra")
    assert "Zebra" in renamed.text and pairs(renamed)[0][0] == "Zebra"
    first = page.fields["arrows"][0]
    other = next(box for box in page.fields["boxes"] if box not in first.values())
    led = page.with_field("arrows.0.to", other)
    assert pairs(led)[0][1] == page.fields["boxes"][other]
    with pytest.raises(ValueError, match="An arrow goes to or from a box 'z'; the boxes are 'a'"):
        page.with_field("arrows.0.to", "z")
    with pytest.raises(ValueError, match="This diagram is too full: shorten its texts"):
        page.with_field("boxes.a", "x" * 80)
    with pytest.raises(ValueError, match="kind must be 'food chain', .*, not 'stepz'"):
        page.with_field("kind", "stepz")


def test_arrows_make_what_the_diagram_is_called():
    tree = next(page for page in MANY if page.fields["kind"] == "tree")
    for name, box in (("arrows.1.to", "b"), ("arrows.0.to", "a"), ("arrows.0.from", "b")):
        with pytest.raises(ValueError, match="These arrows make no tree"):
            tree.with_field(name, box)
    chain = next(page for page in MANY if page.fields["kind"] == "steps")
    with pytest.raises(ValueError, match="These arrows make no (flow chart|network)"):
        chain.with_field("kind", "network" if len(chain.fields["boxes"]) > 6 else "flow chart")
