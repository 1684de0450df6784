"""Answers that are places: three readers, one judgement."""

from dataclasses import replace

import pytest

from recipes import places

BOX, OTHER = "<loc_10><loc_20><loc_30><loc_40>", "<loc_00><loc_00><loc_09><loc_09>"
HALF = "<loc_10><loc_20><loc_30><loc_30>"  # the upper half of BOX
POINT = "<loc_25><loc_30>"


@pytest.mark.parametrize(
    ("answer", "first", "one", "whole"),
    [
        (BOX, BOX, BOX, BOX),
        (f"It is at {BOX}.", BOX, BOX, None),
        (f"{OTHER} and {BOX}", OTHER, None, None),
        (f"{BOX}, {POINT}", BOX, BOX, None),
        (OTHER + BOX, None, None, OTHER + BOX),  # an outline of four corners
        (POINT, None, None, POINT),
        ("none", None, None, None),
        ("", None, None, None),
    ],
)
def test_readers_differ_in_what_may_stand_beside_a_place(answer, first, one, whole):
    readers = (places.first_box, places.one_box, places.whole)
    for read, wanted in zip(readers, (first, one, whole)):
        found = read(answer)
        text = found and places.write([replace(found, label=None)], places.FORM)
        assert text == wanted, read.__name__


@pytest.mark.parametrize(
    ("answer", "truth", "overlap"),
    [
        (BOX, BOX, 1),
        (HALF, BOX, 0.5),
        (BOX, HALF, 0.5),
        (OTHER, BOX, 0),
        (POINT, BOX, 0),
        ("none", BOX, 0),
        ("none", "none", 1),
        (BOX, "none", 0),
        ("None", "none", 0),
        ("red", "red", 1),
        ("", "red", 0),
    ],
)
def test_a_box_counts_by_its_iou_and_anything_else_letter_for_letter(answer, truth, overlap):
    for read in (places.first_box, places.one_box, places.whole):
        assert places.overlap(answer, truth, read) == pytest.approx(overlap)
    assert places.is_right(answer, truth) == (overlap >= 0.5)
