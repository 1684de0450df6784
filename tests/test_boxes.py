"""Boxes: every format there and back, as the published parsers read it; dirt; scores."""

import json
import re
import signal
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_helpers import boxes
from vlm_helpers.boxes import Box, Point, Polygon, parse, write

SIZE = (640, 480)
ALL = boxes.FORMATS
FORMATS = [name for name in ALL if not name.startswith("molmo")]  # those that can write a box
# the widest that a coordinate may move in writing and parsing, in fractions of the picture
GRID = {
    "kosmos-2": 1 / 32, "pocket-llava": 1 / 64, "paligemma": 1 / 1024, "moondream": 1e-9,
    "qwen2.5-vl": 1 / 400, "fuyu": 1 / 480, "glm-4.5v": 1 / 990,
}  # fmt: skip

fraction = st.floats(0, 1, allow_nan=False)
label = st.sampled_from(["dog", "a small red star", "Hund", "猫", "it's", "3 < 4", "a" * 600, None])
wild_label = st.text("ab 7.,;:'\"!?-()[]{}<>/|\\$_\n", max_size=12)
# formats whose labels are JSON strings, and so carry every text
JSON = ("qwen2.5-vl", "qwen3-vl", "glm-4.5v", "kimi-vl", "gemini", "moondream", "coco")


@st.composite
def any_box(draw, labels=label):
    x0, x1 = sorted((draw(fraction), draw(fraction)))
    y0, y1 = sorted((draw(fraction), draw(fraction)))
    return Box(x0, y0, x1, y1, draw(labels))


def some_boxes(name, **sizes):
    """Boxes as a format can write them: Florence-2's labels hold for all the boxes that follow."""
    boxes_of_all_kinds = st.lists(any_box(), min_size=1, **sizes)
    if name != "florence-2":
        return boxes_of_all_kinds
    return boxes_of_all_kinds.map(lambda found: sorted(found, key=lambda box: bool(box.label)))


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25)
@given(data=st.data())
def test_written_boxes_are_read_again_up_to_the_grid(name, data):
    shapes = data.draw(some_boxes(name, max_size=12))
    parsed = parse(write(shapes, name, SIZE), name, SIZE)
    assert not parsed.dropped
    assert [box.label for box in parsed.boxes] == [box.label for box in shapes]
    grid = GRID.get(name, 1 / 990)
    for got, want in zip(parsed.boxes, shapes, strict=True):
        assert got.corners == pytest.approx(want.corners, abs=grid)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40)
@given(shapes=st.lists(any_box(wild_label | st.none()), min_size=1, max_size=4))
def test_a_label_is_carried_or_refused_but_never_changed(name, shapes):
    want = [(box.label or "").strip() or None for box in shapes]
    try:
        text = write(shapes, name, SIZE)
    except ValueError as error:
        assert name not in JSON
        assert str(error).startswith(f"{name} cannot carry the label ")
        assert any(repr(box.label) in str(error) for box in shapes)
    else:
        assert [box.label for box in parse(text, name, SIZE).boxes] == want


@pytest.mark.parametrize(
    ("text", "refused_by"),
    [
        ("3 < 4", ()),
        ("it's \"ok\" {a} \\ 'b", ()),
        ("a" * 600, ()),
        ("a" * 5000, ()),
        ("a, b", ("cogvlm",)),
        ("Mr. Smith", ("cogvlm",)),
        ("sign.", ("cogvlm",)),
        ("[1]", ("cogvlm",)),
        ("cat; dog", ("cogvlm", "paligemma")),
        (
            "<b>",
            (
                "kosmos-2",
                "qwen-vl",
                "qwen2-vl",
                "paligemma",
                "florence-2",
                "deepseek-vl2",
                "internvl",
                "minicpm-v",
                "mineru",
            ),
        ),
        ("a </think> b", FORMATS),
    ],
)
def test_the_labels_that_a_format_carries(text, refused_by):
    refused = []
    for name in FORMATS:
        try:
            (box,) = parse(write([Box(0.1, 0.1, 0.5, 0.5, text)], name, SIZE), name, SIZE).boxes
            assert box.label == text, name
        except ValueError as error:
            assert f"{name} cannot carry the label {text!r}: it would be read" in str(error)
            refused.append(name)
    assert sorted(refused) == sorted(refused_by)


def test_the_label_that_is_refused_is_the_one_that_is_named():
    shapes = [Box(0, 0, 1, 1, word) for word in ("cat", "a; b", "dog")]
    with pytest.raises(ValueError, match="paligemma cannot carry the label 'a; b': .* as 'a'"):
        write(shapes, "paligemma")
    after = [Box(0, 0, 1, 1, "dog"), Box(0, 0, 1, 1)]
    with pytest.raises(ValueError, match="cannot carry the label None after 'dog'"):
        write(after, "florence-2")
    with pytest.raises(ValueError, match="A label is a text or None, not 3"):
        write([Box(0, 0, 1, 1, 3)], "florence-2")


@pytest.mark.parametrize("word", [None, "dog"])
@pytest.mark.parametrize("name", FORMATS)
def test_many_boxes_with_one_label(name, word):
    parsed = parse(write([Box(0.1, 0.1, 0.5, 0.5, word)] * 400, name, SIZE), name, SIZE)
    assert [box.label for box in parsed.boxes] == [word] * 400 and not parsed.dropped


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=20)
@given(data=st.data())
def test_what_was_read_is_written_alike_for_ever(name, data):
    shapes = data.draw(some_boxes(name, max_size=3))
    once = parse(write(shapes, name, SIZE), name, SIZE).boxes
    twice = parse(write(once, name, SIZE), name, SIZE).boxes
    for got, want in zip(twice, once, strict=True):
        assert got.corners == pytest.approx(want.corners, abs=1e-9)


POINTS = ["qwen2-vl", "qwen2.5-vl", "qwen3-vl", "minicpm-v", "glm-4.5v", "kimi-vl", "moondream",
          "gemini", "molmo", "molmo2", "pocket-llava"]  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_points_go_there_and_back(name):
    (got,) = parse(write([Point(0.25, 0.75, "here")], name, SIZE), name, SIZE).points
    assert (got.x, got.y) == pytest.approx((0.25, 0.75), abs=0.01) and got.label == "here"


@pytest.mark.parametrize("name", ["pocket-llava", "florence-2"])
@pytest.mark.parametrize("corners", [3, 4, 6, 7])
def test_outlines_go_there_and_back(name, corners):
    angles = np.linspace(0, 6, corners)
    star = Polygon(tuple(zip(0.5 + 0.4 * np.cos(angles), 0.5 + 0.4 * np.sin(angles))), "star")
    (got, bare) = parse(write([star, Polygon(star.points, "x")], name), name).polygons
    assert (got.label, bare.label) == ("star", "x")
    assert np.allclose(got.points, star.points, atol=1 / 64)


def test_a_box_beyond_the_picture_is_cut_off():
    (got,) = parse(write([Box(-0.5, 0.2, 1.5, 0.4)], "qwen-vl"), "qwen-vl").boxes
    assert got.corners == pytest.approx((0, 0.2, 0.999, 0.4))


@pytest.mark.parametrize("name", POINTS)
def test_a_point_beyond_the_picture_moves_to_its_edge(name):
    (got,) = parse(write([Point(1.5, -0.2)], name, SIZE), name, SIZE).points
    assert (got.x, got.y) == pytest.approx((1, 0), abs=0.01)


def test_numbers_of_any_library_are_kept_as_floats():
    import torch

    want = Box(0.25, 0, 0.5, 1)
    for kind in (np.float32, np.float64, torch.tensor):
        assert Box(kind(0.25), np.int64(0), kind(0.5), 1) == want
        assert Point(kind(0.25), kind(0.5)) == Point(0.25, 0.5)
        assert Polygon(((kind(0), 0), (1, kind(0)), (1, 1))) == Polygon(((0, 0), (1, 0), (1, 1)))
    box = Box(np.float32(0.25), np.int64(0), torch.tensor(0.5), 1)
    assert all(type(value) is float for value in box.corners)
    assert write([box], "moondream") == write([want], "moondream")
    for wrong in ("0.5", True, np.bool_(True), None, 10**400, np.array([0.1, 0.2])):
        with pytest.raises(ValueError, match="finite numbers"):
            Box(0, 0, wrong, 1)


# --- as the published code reads it ---------------------------------------------------------------

SNOWMAN = (
    "<grounding> An image of<phrase> a snowman</phrase><object><patch_index_0044>"
    "<patch_index_0863></object> warming himself by<phrase> a fire</phrase><object>"
    "<patch_index_0005><patch_index_0911></object>."
)


def test_kosmos_2_reads_as_transformers_does():
    from transformers.models.kosmos2.processing_kosmos2 import (
        clean_text_and_extract_entities_with_bboxes as reference,
    )

    several = (
        "<phrase>dogs</phrase><object><patch_index_0000><patch_index_0033>"
        "</delimiter_of_multi_objects/><patch_index_0040><patch_index_0040></object>"
    )
    for text in (SNOWMAN, several):
        _, entities = reference(text)
        want = [(name, corners) for name, _, found in entities for corners in found]
        got = [(box.label, box.corners) for box in parse(text, "kosmos-2").boxes]
        assert got == [(name, pytest.approx(corners)) for name, corners in want]


@settings(max_examples=100)
@given(box=any_box())
def test_kosmos_2_writes_as_transformers_does(box):
    from transformers.models.kosmos2.processing_kosmos2 import coordinate_to_patch_index

    if box.x1 - box.x0 < 1e-6 or box.y1 - box.y0 < 1e-6 or max(box.x0, box.y0) == 1:
        return  # transformers takes no box without an area
    first, last = coordinate_to_patch_index(box.corners, 32)
    assert f"<patch_index_{first:04d}><patch_index_{last:04d}>" in write([box], "kosmos-2")


def test_florence_2_reads_as_transformers_does():
    import torch
    from transformers.models.florence2.processing_florence2 import Florence2PostProcessor

    class Words:
        all_special_tokens = ()

    reference = Florence2PostProcessor(None, Words())
    text = "</s><s>car<loc_52><loc_332><loc_932><loc_774>door handle<loc_425><loc_504><loc_474>"
    text += "<loc_516><loc_680><loc_500><loc_700><loc_520></s>"
    want = reference.parse_description_with_bboxes_from_text_and_spans(text, (1000, 1000))
    got = parse(text, "florence-2").boxes
    assert [box.label for box in got] == [row["cat_name"] for row in want]
    for box, row in zip(got, want, strict=True):
        assert [int(v) for v in box.to_pixels((1000, 1000))] == row["bbox"]
    assert torch.equal(
        reference.quantize(torch.tensor([[12.0, 0, 999.9, 500]]), (1000, 1000)),
        torch.tensor([[12, 0, 999, 500]]),
    )
    assert write([Box(0.012, 0, 0.9999, 0.5)], "florence-2") == "<loc_12><loc_0><loc_999><loc_500>"


def locations(*values):
    return "".join(f"<loc_{value}>" for value in values)


SIX_CORNERS = (100, 100, 200, 100, 220, 150, 210, 300, 150, 350, 100, 300)


def reference_of_florence_2():
    from transformers.models.florence2.processing_florence2 import Florence2PostProcessor

    class Words:
        all_special_tokens = ()

    kinds = ("ocr", "polygons", "description_with_polygons", "description_with_bboxes", "bboxes")
    return Florence2PostProcessor({kind: {} for kind in kinds}, Words())


@pytest.mark.parametrize(
    ("task", "kind", "text"),
    [
        ("<REFERRING_EXPRESSION_SEGMENTATION>", "polygons", locations(*SIX_CORNERS)),
        ("<REFERRING_EXPRESSION_SEGMENTATION>", "polygons", locations(*SIX_CORNERS[:8])),
        ("<REFERRING_EXPRESSION_SEGMENTATION>", "polygons", locations(1, 1, 8, 9, 20, 20, 40, 40)),
        ("<REFERRING_EXPRESSION_SEGMENTATION>", "polygons",
         locations(*SIX_CORNERS[:6]) + "<sep>" + locations(*SIX_CORNERS)),
        ("<REGION_TO_SEGMENTATION>", "polygons", "<poly>" + locations(*SIX_CORNERS) + "</poly>"),
        ("<OPEN_VOCABULARY_DETECTION>", "description_with_polygons",
         "a car<poly>" + locations(*SIX_CORNERS) + "</poly>"),
        ("<OCR_WITH_REGION>", "ocr",
         f"EXIT{locations(10, 10, 90, 12, 88, 40, 9, 38)}A b{locations(1, 1, 8, 9, 2, 2, 9, 9)}"),
        ("<OD>", "description_with_bboxes", "car" + locations(9, 1, 20, 20, 1, 1, 40, 40)),
        ("<REGION_PROPOSAL>", "bboxes", locations(9, 1, 20, 20, 1, 1, 40, 40, 2, 2, 5, 5)),
    ],
)  # fmt: skip
def test_florence_2_reads_a_task_as_transformers_does(task, kind, text):
    size = (1000, 1000)
    rows = reference_of_florence_2()(f"</s><s>{text}</s>", image_size=size, parse_tasks=kind)[kind]
    parsed = parse(f"</s><s>{text}</s>", "florence-2", task=task)
    assert rows and not parsed.dropped
    if "bbox" in rows[0]:
        want = [(row["cat_name"] or None, row["bbox"]) for row in rows]
        got = [(box.label, [int(v) for v in box.to_pixels(size)]) for box in parsed.boxes]
    else:
        outlines = [
            (row.get("cat_name", row.get("text")) or None, outline)
            for row in rows
            for outline in row.get("polygons", [row.get("quad_box")])
        ]
        want = outlines
        got = [
            (polygon.label, [int(v) for corner in polygon.to_pixels(size) for v in corner])
            for polygon in parsed.polygons
        ]
    assert got == want
    assert (parsed.boxes == []) != (parsed.polygons == [])


def test_what_florence_2_is_written_is_read_by_transformers():
    star = Polygon(((0.1, 0.1), (0.9, 0.2), (0.5, 0.8), (0.3, 0.7)), "star")
    text, kind = write([star], "florence-2"), "description_with_polygons"
    (row,) = reference_of_florence_2()(text, image_size=(1000, 1000), parse_tasks=kind)[kind]
    assert row == {"cat_name": "star", "polygons": [[100, 100, 900, 200, 500, 800, 300, 700]]}


def test_quad_boxes_are_written_for_their_task():
    quad = Polygon(((0.1, 0.1), (0.5, 0.12), (0.5, 0.3), (0.1, 0.3)), "EXIT")
    text = write([quad, Polygon(quad.points, "A b")], "florence-2", task="<OCR_WITH_REGION>")
    rows = reference_of_florence_2()(text, image_size=(1000, 1000), parse_tasks="ocr")["ocr"]
    assert [(row["text"], row["quad_box"]) for row in rows] == [
        (word, [100, 100, 500, 120, 500, 300, 100, 300]) for word in ("EXIT", "A b")
    ]
    (got,) = parse(write([quad], "minicpm-v"), "minicpm-v").polygons
    assert got.label == "EXIT" and np.allclose(got.points, quad.points)
    with pytest.raises(ValueError, match="four corners here, not of 3"):
        write([Polygon(quad.points[:3])], "florence-2", task="<OCR_WITH_REGION>")
    with pytest.raises(ValueError, match="no way to write a Polygon"):
        write([quad], "internvl")


def test_every_task_of_florence_2_may_be_named():
    text = "some object<loc_300><loc_400><loc_500><loc_600>"
    for task in ("<REGION_TO_CATEGORY>", "<REGION_TO_DESCRIPTION>", "<REGION_TO_OCR>", "<OD>"):
        (box,) = parse(text, "florence-2", task=task).boxes
        assert box.label == "some object"
        assert box.corners == pytest.approx((0.3, 0.4, 0.5, 0.6), abs=1e-3)
    assert not parse("a street", "florence-2", task="<MORE_DETAILED_CAPTION>").shapes


def test_tasks_are_florence_2s():
    with pytest.raises(ValueError, match="did you mean '<OCR_WITH_REGION>'"):
        parse("", "florence-2", task="<ocr_with_regions>")
    with pytest.raises(ValueError, match="Only florence-2 has tasks"):
        parse("", "kosmos-2", task="<OD>")
    for task, why in (
        ("<OD>", "1 location tokens too many"),
        ("<OCR_WITH_REGION>", "5 location tokens instead of eight"),
        ("<REGION_TO_SEGMENTATION>", "less than three corners"),
    ):
        (dropped,) = parse("car" + locations(1, 2, 3, 4, 5), "florence-2", task=task).dropped
        assert why in dropped.why


def test_florence_2_reads_quad_boxes_and_outlines():
    quad = "EXIT<loc_10><loc_10><loc_90><loc_12><loc_88><loc_40><loc_9><loc_38>"
    (got,) = parse(quad, "florence-2").polygons
    assert (len(got.points), got.label) == (4, "EXIT")
    mask = "<poly><loc_1><loc_1><loc_9><loc_1><loc_5><loc_9><sep><loc_20><loc_20></poly>"
    parsed = parse(mask, "florence-2")
    assert len(parsed.polygons) == 1 and "three corners" in parsed.dropped[0].why
    # <sep> tells outlines from boxes, in whatever order their numbers are
    one = locations(10, 10, 300, 12, 298, 60)
    parsed = parse(f"{one}<sep>{one}", "florence-2")
    assert len(parsed.polygons) == 2 and not parsed.boxes and not parsed.dropped


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        # README of Qwen-VL
        ("qwen-vl", "<ref>her dog</ref><box>(219,424),(576,896)</box>",
         [("her dog", (0.219, 0.424, 0.576, 0.896))]),
        # model card of Qwen2-VL
        ("qwen2-vl", "<|object_ref_start|>the eyes<|object_ref_end|><|box_start|>(176,12),(262,40)"
         "<|box_end|>", [("the eyes", (0.176, 0.012, 0.262, 0.04))]),
        # grounding_parser.py of CogVLM: several boxes in one pair of brackets
        ("cogvlm", "a dog [[100,200,300,400;500,600,700,800]] on grass",
         [("a dog", (0.1, 0.2, 0.3, 0.4)), ("a dog", (0.5, 0.6, 0.7, 0.8))]),
        # big_vision: y first
        ("paligemma", "<loc0256><loc0000><loc0768><loc0512> cat ; <loc0000><loc0000><loc1023>"
         "<loc1023> dog<eos>",
         [("cat", (0, 0.25, 0.5, 0.75)), ("dog", (0, 0, 1023 / 1024, 1023 / 1024))]),
        ("paligemma", "<loc0256><loc0000><loc0768><loc0512>" + "<seg001>" * 16 + " cat",
         [("cat", (0, 0.25, 0.5, 0.75))]),
        ("deepseek-vl2", "<|ref|>The giraffe at the back.<|/ref|><|det|>[[580, 270, 999, 904]]"
         "<|/det|><｜end▁of▁sentence｜>",
         [("The giraffe at the back.", (580 / 999, 270 / 999, 1, 904 / 999))]),
        ("fuyu", "Williams<box>388, 428, 404, 488</box>",
         [("Williams", (428 / 640, 388 / 480, 488 / 640, 404 / 480))]),
        ("moondream", '{"objects": [{"x_min": 0.1, "y_min": 0.2, "x_max": 0.5, "y_max": 0.6}]}',
         [(None, (0.1, 0.2, 0.5, 0.6))]),
        ("gemini", 'Here\'s:\n```json\n[{"box_2d": [100, 200, 300, 400], "label": "it\'s"}]\n```',
         [("it's", (0.2, 0.1, 0.4, 0.3))]),
        ("qwen2.5-vl", '```json\n[\n\t{"bbox_2d": [161, 0, 322, 238], "label": "car"}\n]\n```',
         [("car", (0.25, 0, 0.5, 0.5))]),
        # several boxes before one label: big_vision's own expression gives the label to the last
        ("paligemma", "<loc0001><loc0002><loc0003><loc0004>" * 17 + " cat",
         [(None, (2 / 1024, 1 / 1024, 4 / 1024, 3 / 1024))] * 16
         + [("cat", (2 / 1024, 1 / 1024, 4 / 1024, 3 / 1024))]),
        ("paligemma", "<loc0256><loc0000><loc0768><loc0512> cat</s><pad><pad>",
         [("cat", (0, 0.25, 0.5, 0.75))]),
        ("cogvlm", "a dog [[100,200,300,400],[500,600,700,800]]",
         [("a dog", (0.1, 0.2, 0.3, 0.4)), ("a dog", (0.5, 0.6, 0.7, 0.8))]),
        ("cogvlm", "[[[100,200,300,400]]]", [(None, (0.1, 0.2, 0.3, 0.4))]),
        ("qwen-vl", "<box>(0.1234567,2),(30,40)</box>",
         [(None, (0.0001234567, 0.002, 0.03, 0.04))]),
        # a bare list of four numbers is a box
        ("qwen2.5-vl", "[[161, 0, 322, 238]]", [(None, (0.25, 0, 0.5, 0.5))]),
        ("qwen3-vl", "[100, 200, 300, 400] and [200, 200, 300, 400]",
         [(None, (0.1, 0.2, 0.3, 0.4)), (None, (0.2, 0.2, 0.3, 0.4))]),
        ("gemini", "[[100, 200, 300, 400]]", [(None, (0.2, 0.1, 0.4, 0.3))]),
        ("moondream", "[0.1, 0.2, 0.3, 0.4]", [(None, (0.1, 0.2, 0.3, 0.4))]),
        # brackets inside, lists of lists, a comma too many, a mask as text
        ("qwen3-vl", '{"n": 1, "objects": [{"bbox_2d": [100, 200, 300, 400], "label": "a}b", '
         '"attributes": {"color": "red", "at": [{"x": 1}]}}]}', [("a}b", (0.1, 0.2, 0.3, 0.4))]),
        ("qwen3-vl", '[{"bbox_2d": (100, 200, 3e2, +400.0), "label": \'it\\\'s "a"\',},]',
         [('it\'s "a"', (0.1, 0.2, 0.3, 0.4))]),
        ("gemini", '[{"box_2d": [100, 200, 300, 400], "mask": "data:image/png;base64,'
         + "A" * 50_000 + '", "label": "cat"}]', [("cat", (0.2, 0.1, 0.4, 0.3))]),
        ("pocket-llava", "a large red star <loc_00><loc_16><loc_31><loc_47>, a sign",
         [("a large red star", (0.5 / 64, 16.5 / 64, 31.5 / 64, 47.5 / 64))]),
    ],
)  # fmt: skip
def test_published_examples(name, text, want):
    parsed = parse(text, name, SIZE)
    assert not parsed.dropped
    assert [(box.label, box.corners) for box in parsed.boxes] == [
        (word, pytest.approx(corners)) for word, corners in want
    ]


def test_raw_tokens_of_fuyu_are_half_of_what_it_saw():
    (small,) = parse("x <0x00>10 20 30 40<0x01>", "fuyu", SIZE).boxes
    assert small.to_pixels(SIZE) == pytest.approx((40, 20, 80, 60))
    (large,) = parse("x <0x00>10 20 30 40<0x01>", "fuyu", (3840, 2160)).boxes
    assert large.to_pixels((3840, 2160)) == pytest.approx((80, 40, 160, 120))


@pytest.mark.parametrize(
    ("size", "want"),
    [((640, 480), (644, 476)), ((28, 28), (56, 56)), ((5000, 4000), (4004, 3192)),
     ((10, 400), (28, 392))],
)  # fmt: skip
def test_qwen_resizes_to_multiples_of_28(size, want):
    wide, high = boxes.resized_by_qwen(size)
    assert wide % 28 == high % 28 == 0 and 3136 <= wide * high <= 12_845_056
    assert (wide, high) == want


# --- what models write in practice ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        # reasoning is no answer
        ("qwen3-vl", 'Maybe [100, 100, 200, 200].\n</think>\n[{"bbox_2d": [253, 231, 733, 787], '
         '"label": "kite"}]', [("kite", (0.253, 0.231, 0.733, 0.787))]),
        ("qwen3-vl", '<think>[{"bbox_2d": [1, 2, 3, 4]}] </think> no: </think>'
         '{"bbox_2d": [10, 20, 30, 40]}', [(None, (0.01, 0.02, 0.03, 0.04))]),
        ("kimi-vl", '◁think▷[0.1, 0.2, 0.3, 0.4]◁/think▷{"bbox_2d": [0.28, 0.5, 0.52, 0.7]}',
         [(None, (0.28, 0.5, 0.52, 0.7))]),
        ("qwen3-vl", '<seed:think>[1, 2, 30, 40]</seed:think>{"bbox_2d": [10, 20, 30, 40]}',
         [(None, (0.01, 0.02, 0.03, 0.04))]),
        ("qwen3-vl", '<|begin_of_thought|>[1, 2, 30, 40]<|end_of_thought|>[10, 20, 30, 40]',
         [(None, (0.01, 0.02, 0.03, 0.04))]),
        ("qwen2.5-vl", "Thought: not [1, 2, 30, 40].\nAction: click(start_box='[161,119,322,238]')",
         [(None, (0.25, 0.25, 0.5, 0.5))]),
        ("internvl", "<think><box>[[1,2,3,4]]</box></think>\n<ref>a</ref><box>[[10, 20, 30, 40]]"
         "</box>", [("a", (0.01, 0.02, 0.03, 0.04))]),
        ("florence-2", "car<loc_1><loc_2><loc_3><loc_4></think>dog<loc_9><loc_9><loc_10><loc_20>",
         [("dog", (0.0095, 0.0095, 0.0105, 0.0205))]),
        *[
            ("gemini", f'{start} [{{"box_2d": [1, 2, 30, 40], "label": "no"}}] {end}'
             '[{"box_2d": [100, 200, 300, 400], "label": "cat"}]', [("cat", (0.2, 0.1, 0.4, 0.3))])
            for start, end in (
                ("<|channel>thought", "<channel|>"), ("[THINK]", "[/THINK]"),
                ("<thought>", "</thought>"), ("<reasoning>", "</reasoning>"),
                ("<Thinking>", "</Thinking>"),
            )
        ],
        # slightly over the edge
        ("qwen2.5-vl", '[{"bbox_2d": [19, 300, 154, 496], "label": "trowel"}]',
         [("trowel", (19 / 644, 300 / 476, 154 / 644, 1))]),
        ("qwen3-vl", '[{"bbox_2d": [812, 40, 1003, 655], "label": "van"}]',
         [("van", (0.812, 0.04, 1, 0.655))]),
        ("qwen3-vl", '[{"bbox_2d": [-50, 0, 1200, 1000]}]', [(None, (0, 0, 1, 1))]),
        ("gemini", '[{"box_2d": [-3, 200, 1004, 400]}]', [(None, (0.2, 0, 0.4, 1))]),
        ("moondream", '[{"x_min": -0.01, "y_min": 0.2, "x_max": 1.02, "y_max": 0.9}]',
         [(None, (0, 0.2, 1, 0.9))]),
        ("cogvlm", "a dog [[900,020,1004,400]]", [("a dog", (0.9, 0.02, 1, 0.4))]),
        ("florence-2", "dog<loc_0><loc_0><loc_1000><loc_1000>", [("dog", (0.0005, 0.0005, 1, 1))]),
        # labels under other keys, and of other kinds
        *[
            ("qwen3-vl", f'[{{"bbox_2d": [100, 200, 300, 400], {label}}}]', [
                (want, (0.1, 0.2, 0.3, 0.4))])
            for label, want in (
                ('"class_name": "bird"', "bird"), ('"class": "fish"', "fish"),
                ('"category": "cat"', "cat"), ('"description": "猫"', "猫"),
                ('"label": 7', "7"), ('"label": 2.5', "2.5"), ('"label": ["cat", 3]', "cat, 3"),
                ('"label": null, "text_content": "EXIT"', "EXIT"),
                ('"label": " ", "name": "it\'s"', "it's"), ('"label": true', None),
                ('"description": "dog", "label": "cat"', "cat"), ('"object_name": "cup"', "cup"),
                ('"Label": "cup"', "cup"), ('"className": "cup", "type": "x"', "cup"),
                ('"labels": ["cup"]', "cup"), ('"element": "OK"', "OK"),
                ('"content": "EXIT"', "EXIT"), ('"phrase": "the cup"', "the cup"),
                ('"name/label": "cup"', "cup"), ('"Label Name": "cup"', "cup"),
                ('"sub_label": "mug", "label": "cup"', "cup"), ('"label": 0', "0"),
                ('"label": {"name": "cup"}', None), ('label: "cup"', "cup"),
            )
        ],
        ("gemini", '[{"box_2d": [100, 200, 300, 400], "class": 3}]', [("3", (0.2, 0.1, 0.4, 0.3))]),
        ("moondream", "[{'x_min': 0.1, 'y_min': 0.2, 'x_max': 0.3, 'y_max': 0.4, 'object': 'cup'}]",
         [("cup", (0.1, 0.2, 0.3, 0.4))]),
        # boxes under other keys: Qwen's models put x first whatever the key
        *[
            ("qwen3-vl", f'[{{"{key}": [195, 138, 617, 480], "label": "monitor"}}]', [
                ("monitor", (0.195, 0.138, 0.617, 0.48))])
            for key in ("bbox", "box_2d", "box", "bounding_box")
        ],
        # an action of CogAgent
        ("cogvlm", "Grounded Operation: CLICK(box=[[219,186,311,207]], element_info='OK')",
         [(None, (0.219, 0.186, 0.311, 0.207))]),
        # a key that comes again begins another object
        ("qwen3-vl", '{"bbox_2d": [1, 2, 30, 40], "label": "cup", "bbox_2d": [5, 6, 70, 80], '
         '"label": "pan"}',
         [("cup", (0.001, 0.002, 0.03, 0.04)), ("pan", (0.005, 0.006, 0.07, 0.08))]),
        ("qwen3-vl", '{"label": "cup", "bbox_2d": [1, 2, 30, 40], "label": "pan", '
         '"bbox_2d": [5, 6, 70, 80]}',
         [("cup", (0.001, 0.002, 0.03, 0.04)), ("pan", (0.005, 0.006, 0.07, 0.08))]),
        # tokenizers that put spaces between special tokens
        ("paligemma", "<loc0256> <loc0000> <loc0768>\n<loc0512> cat",
         [("cat", (0, 0.25, 0.5, 0.75))]),
        ("paligemma", "<loc0256> <loc0000> <loc0768> <loc0512> " + "<seg001> " * 16 + " cat",
         [("cat", (0, 0.25, 0.5, 0.75))]),
        ("florence-2", "car <loc_1> <loc_2> <loc_3> <loc_4>",
         [("car", (0.0015, 0.0025, 0.0035, 0.0045))]),
        ("pocket-llava", "star <loc_00> <loc_16> <loc_31> <loc_47>",
         [("star", (0.5 / 64, 16.5 / 64, 31.5 / 64, 47.5 / 64))]),
        ("kosmos-2", "<phrase> a cat </phrase> <object> <patch_index_0000> <patch_index_1023> "
         "</object>", [("a cat", (1 / 64, 1 / 64, 63 / 64, 63 / 64))]),
        ("qwen2-vl", "<|box_start|> (10, 20), (30, 40) <|box_end|>",
         [(None, (0.01, 0.02, 0.03, 0.04))]),
        # raw tokens of Fuyu, decoded
        ("fuyu", "x\x0010 20 30 40\x01|ENDOFTEXT|",
         [("x", (40 / 640, 20 / 480, 80 / 640, 60 / 480))]),
        # InternVL's own code decodes without special tokens, and reads fractions as fractions
        ("internvl", "<ref>dog</ref><box>[[250, 500, 750, 875], [1, 2, 30, 40]]</box>",
         [("dog", (0.25, 0.5, 0.75, 0.875)), ("dog", (0.001, 0.002, 0.03, 0.04))]),
        ("internvl", "The dog[[250, 500, 750, 875]], a cat [[0.1, 0.2, 0.3, 0.4]].",
         [("The dog", (0.25, 0.5, 0.75, 0.875)), ("a cat", (0.1, 0.2, 0.3, 0.4))]),
        # a label before its object, as the Qwen-VL kind and InternVL write one
        *[
            (name, text, [("dog", (0.1, 0.2, 0.3, 0.4))])
            for name, text in (
                ("internvl", '```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "dog"}]\n```'),
                ("internvl", '<ref>dog</ref>: {"bbox": [100, 200, 300, 400]}'),
                ("internvl", '{"bbox": [0.1, 0.2, 0.3, 0.4], "category": "dog"}'),
                ("internvl", "<ref>dog</ref>[[100, 200, 300, 400]]"),
                ("internvl", "dog[[100, 200, 300, 400]]"),
                ("qwen3-vl", '<ref>dog</ref>[{"bbox_2d": [100, 200, 300, 400]}]'),
                ("qwen3-vl", "<ref>dog</ref><box>[[100, 200, 300, 400]]</box>"),
                ("qwen3-vl", '<|object_ref_start|>dog<|object_ref_end|>{"bbox": [100, 200, 300, '
                 "400]}"),
                ("qwen3-vl", '<ref>cat</ref>{"bbox_2d": [100, 200, 300, 400], "label": "dog"}'),
                ("glm-4.5v", "<ref>dog</ref><|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"),
                ("glm-4.5v", "<ref>dog</ref> at <|begin_of_box|>100,200,300,400"),
                ("glm-4.5v", "<|begin_of_box|>[{'bbox_2d': [100,200,300,400], 'label': 'dog'}]"),
            )
        ],
        ("qwen3-vl", '<ref>a</ref>{"bbox": [1, 2, 30, 40]}<ref>b</ref>[[5, 6, 70, 80]]',
         [("a", (0.001, 0.002, 0.03, 0.04)), ("b", (0.005, 0.006, 0.07, 0.08))]),
        # a single bracket may stand in any sentence
        ("internvl", "The bounding box coordinates of the region are [250, 500, 750, 875].",
         [(None, (0.25, 0.5, 0.75, 0.875))]),
        ("qwen2-vl", "click(start_box='[246,113,300,200]')", [(None, (0.246, 0.113, 0.3, 0.2))]),
        # what stands before Fuyu's answer is the prompt
        ("fuyu", "find: x<0x04><0x00>10 20 30 40<0x01>",
         [(None, (40 / 640, 20 / 480, 80 / 640, 60 / 480))]),
        ("qwen3-vl", "[{bbox_2d: [100, 200, 300, 400]}]", [(None, (0.1, 0.2, 0.3, 0.4))]),
        # GLM: brackets of any kind, lists, JSON
        ("glm-4.5v", "<think>[[1,2,3,4]]</think><|begin_of_box|>[[94,598,177,991]]<|end_of_box|>.",
         [(None, (0.094, 0.598, 0.177, 0.991))]),
        ("glm-4.5v", "[1,2,3,4]: <|begin_of_box|>((94,598,177,991), <1,2,30,40>)<|end_of_box|>",
         [(None, (0.094, 0.598, 0.177, 0.991)), (None, (0.001, 0.002, 0.03, 0.04))]),
        ("glm-4.5v", "<|begin_of_box|>94,598,177,991<|end_of_box|>",
         [(None, (0.094, 0.598, 0.177, 0.991))]),
        ("glm-4.5v", "1. Person: box [100, 200, 300, 400]\n2. Person: box [500, 600, 700, 800].",
         [(None, (0.1, 0.2, 0.3, 0.4)), (None, (0.5, 0.6, 0.7, 0.8))]),
        ("glm-4.5v", "[{'label': 'car-1', 'bbox_2d': [1,2,30,40]}]",
         [("car-1", (0.001, 0.002, 0.03, 0.04))]),
        # MinerU: the label after the box, corners in any order
        ("mineru", "<|box_start|>100 200 300 400<|box_end|><|ref_start|>title<|ref_end|>"
         "<|rotate_up|>\n<|box_start|>300 200 100 400<|box_end|><|ref_start|>text<|ref_end|>"
         "<|box_start|>1 2 30 40<|box_end|>",
         [("title", (0.1, 0.2, 0.3, 0.4)), ("text", (0.1, 0.2, 0.3, 0.4)),
          (None, (0.001, 0.002, 0.03, 0.04))]),
        ("minicpm-v", "<box>250 500 750 875</box><ref>dog</ref><box> 1 2 30 40 </box>",
         [(None, (0.25, 0.5, 0.75, 0.875)), ("dog", (0.001, 0.002, 0.03, 0.04))]),
        ("coco", '[{"bbox": [160, 240, 320.0, 180], "category_id": 18, "image_id": 3}]',
         [("18", (0.25, 0.5, 0.75, 0.875))]),
        # cut lists of Florence-2 are boxes, where they look like boxes
        ("florence-2", "car" + locations(5, 5, 9, 9, 20, 20, 40, 40, 2, 3, 8, 9),
         [("car", (0.0055, 0.0055, 0.0095, 0.0095)), ("car", (0.0205, 0.0205, 0.0405, 0.0405)),
          ("car", (0.0025, 0.0035, 0.0085, 0.0095))]),
    ],
)  # fmt: skip
def test_what_models_write(name, text, want):
    parsed = parse(text, name, SIZE)
    assert not parsed.dropped and not parsed.points and not parsed.polygons
    assert [(box.label, box.corners) for box in parsed.boxes] == [
        (word, pytest.approx(corners)) for word, corners in want
    ]


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("qwen2-vl", "Action: click(start_box='<|box_start|>(246,113)<|box_end|>')",
         [(None, 0.246, 0.113)]),
        ("qwen2-vl", "drag(start_box='<|box_start|>(246,113)<|box_end|>', "
         "end_box='<|box_start|>(300,400)<|box_end|>')", [(None, 0.246, 0.113), (None, 0.3, 0.4)]),
        # UI-TARS 1 in thousandths, 1.5 in pixels; both decoded without tags too
        ("qwen2-vl", "Action: click(start_box='(246,113)')", [(None, 0.246, 0.113)]),
        ("qwen2-vl", "click(point='<point>246 113</point>')", [(None, 0.246, 0.113)]),
        ("qwen2.5-vl", "Thought: the box (1,2)\nAction: click(start_box='<|box_start|>(322,238)"
         "<|box_end|>')", [(None, 0.5, 0.5)]),
        ("qwen2.5-vl", "drag(start_box='(322, 238)', end_box='(161,119)')",
         [(None, 0.5, 0.5), (None, 0.25, 0.25)]),
        ("qwen2.5-vl", "left_double(point='<point>322 238</point>')", [(None, 0.5, 0.5)]),
        ("qwen2.5-vl", '{"start_coordinate": [322, 238], "coordinate": [161, 119]}',
         [(None, 0.25, 0.25), (None, 0.5, 0.5)]),
        ("qwen2.5-vl", '{"action": "left_click", "coordinate": [322, 238]}', [(None, 0.5, 0.5)]),
        ("qwen3-vl", '{"action": "swipe", "coordinate": [10, 20], "coordinate2": [30, 40]}',
         [(None, 0.01, 0.02), (None, 0.03, 0.04)]),
        # Qwen2.5-VL writes points as XML too, in pixels
        ("qwen2.5-vl", '<points x1="322" y1="238" x2="161" y2="119" alt="kite">kites</points>',
         [("kite", 0.5, 0.5), ("kite", 0.25, 0.25)]),
        ("qwen3-vl", '[{"point_2d": [1003, 500], "label": "cup"}]', [("cup", 1, 0.5)]),
        ("qwen3-vl", '[{"bbox_2d": null, "point_2d": [200, 300], "label": 3}]', [("3", 0.2, 0.3)]),
        ("kimi-vl", "Action: pyautogui.click(x=0.879, y=0.294)", [(None, 0.879, 0.294)]),
        ("kimi-vl", "pyautogui.doubleClick(0.5, .25)", [(None, 0.5, 0.25)]),
        ("glm-4.5v", "<|begin_of_box|>[[100, 200], [300, 400]]<|end_of_box|>",
         [(None, 0.1, 0.2), (None, 0.3, 0.4)]),
        ("minicpm-v", "<ref>dog</ref><point>100 200</point>", [("dog", 0.1, 0.2)]),
        ("molmo", 'The <point x="63.5" y=" 44.5" alt="dog">dog</point>.', [("dog", 0.635, 0.445)]),
        ("molmo", '<points x1="10.5" y1="20.0" x2="0.4" y2="0.9" alt="two">boats</points>',
         [("two", 0.105, 0.2), ("two", 0.004, 0.009)]),
        ("molmo", '<point x="50" y="50">dog</point> and <point x="1" y="2" />', [
            ("dog", 0.5, 0.5), (None, 0.01, 0.02)]),
        ("molmo2", '<points coords="1 1 073 160 2 173 600">the boats</points>: 2.',
         [("the boats", 0.073, 0.16), ("the boats", 0.173, 0.6)]),
        ("molmo2", '<tracks coords="0.5 1 1000 000"/> x', [(None, 1, 0)]),
    ],
)  # fmt: skip
def test_points_that_models_write(name, text, want):
    parsed = parse(text, name, SIZE)
    assert not parsed.dropped and not parsed.boxes
    assert [(p.label, p.x, p.y) for p in parsed.points] == [
        (word, pytest.approx(x), pytest.approx(y)) for word, x, y in want
    ]


def test_a_box_and_a_point_of_one_object_are_both_read():
    for name, text in (
        ("qwen3-vl", '{"bbox_2d": [100, 200, 300, 400], "point_2d": [200, 300], "label": "cup"}'),
        ("gemini", '{"point": [300, 200], "box_2d": [200, 100, 400, 300], "label": "cup"}'),
        ("moondream", '{"x_min": 0.1, "y_min": 0.2, "x_max": 0.3, "y_max": 0.4, "x": 0.2, '
         '"y": 0.3, "label": "cup"}'),
    ):  # fmt: skip
        parsed = parse(text, name)
        assert (parsed.boxes, parsed.points, parsed.dropped) == (
            [Box(0.1, 0.2, 0.3, 0.4, "cup")], [Point(0.2, 0.3, "cup")], [],
        )  # fmt: skip


def test_confidences_are_kept():
    for score, want in (("0.8", 0.8), ('"0.8"', 0.8), ('"80 %"', 0.8), ("NaN", None), ("1", 1),
                        ('"high"', None), ("true", None), ("null", None)):  # fmt: skip
        (found,) = parse(f'{{"bbox_2d": [1, 2, 30, 40], "Confidence_Score": {score}}}',
                         "qwen3-vl").boxes  # fmt: skip
        assert found.score == want
        (found,) = parse(f'[{{"bbox_2d": [1, 2, 30, 40], "bbox confidence": {score}}}]',
                         "qwen3-vl").boxes  # fmt: skip
        assert found.score == want
        for name, key in (("qwen3-vl", "bbox_2d"), ("gemini", "box_2d")):
            row = f'[{{"{key}": [1, 2, 30, 40], "label": "cat", "confidence": {score}}}]'
            (box,) = parse(row, name).boxes
            assert (box.score, box.label) == (want, "cat")
    found = [Box(0, 0, 0.5, 0.5, "cat", score=0.9), Box(0, 0, 1, 1, score=0.1)]
    back = parse(write(found, "coco", SIZE), "coco", SIZE).boxes
    assert back == found and boxes.average_precision([back], [[found[0]]]) == 1


def test_objects_are_taken_as_they_are():
    detected = {"objects": [{"x_min": 0.1, "y_min": 0.2, "x_max": np.float32(0.5), "y_max": 0.4}]}
    assert parse(detected, "moondream").boxes == [Box(0.1, 0.2, 0.5, 0.4)]
    assert parse({"points": [{"x": 0.1, "y": 0.2}]}, "moondream").points == [Point(0.1, 0.2)]
    rows = [{"bbox": [160, 240, 320, 180], "label": "</think>", "score": 0.5}]
    assert parse(rows, "coco", SIZE).boxes == [Box(0.25, 0.5, 0.75, 0.875, "</think>", score=0.5)]
    for name in ("paligemma", "molmo"):
        with pytest.raises(TypeError, match="decode it first"):
            parse(rows, name)


LOOKS = {
    "kosmos-2": ["<phrase>dog</phrase><object><patch_index_0044><patch_index_0863></object>"],
    "qwen-vl": ["<ref>dog</ref><box>(221,423),(569,886)</box>"],
    "qwen2-vl": ["<|object_ref_start|>dog<|object_ref_end|><|box_start|>(221,423),(569,886)"
                 "<|box_end|>"],
    "qwen3-vl": ['[{"bbox_2d": [221, 423, 569, 886], "label": "dog"}]', "{'point_2d': [1, 20]}"],
    "kimi-vl": ['{"bbox_2d": [0.1, 0.2, 0.3, 0.4]}'],
    "internvl": ["<ref>dog</ref><box>[[221, 423, 569, 886]]</box>"],
    "minicpm-v": ["<ref>dog</ref><box>221 423 569 886</box>", "<point>510 150</point>"],
    "glm-4.5v": ["<|begin_of_box|>[[94,598,177,991]]<|end_of_box|>"],
    "cogvlm": ["a dog [[221,423,569,886]]"],
    "paligemma": ["<loc0256><loc0256><loc0768><loc0768> cat"],
    "florence-2": ["cat<loc_53><loc_334><loc_933><loc_775>"],
    "deepseek-vl2": ["<|ref|>dog<|/ref|><|det|>[[580, 270, 999, 904]]<|/det|>"],
    "fuyu": ["dog<box>388, 428, 404, 488</box>"],
    "moondream": ['{"objects": [{"x_min": 0.1, "y_min": 0.2, "x_max": 0.3, "y_max": 0.4}]}'],
    "gemini": ['[{"box_2d": [100, 200, 300, 400]}]'],
    "molmo": ['<point x="63.5" y="44.5" alt="dog">dog</point>', '<points x1="1" y1="2">a</points>'],
    "molmo2": ['<points coords="1 1 073 160 2 173 600">boats</points>'],
    "pocket-llava": ["a star <loc_01><loc_16><loc_31><loc_63>"],
}  # fmt: skip


@pytest.mark.parametrize(("looks_like", "texts"), LOOKS.items())
def test_another_models_format_is_read_or_named(looks_like, texts):
    """Read rightly where the two agree; else there is a word on what it looks like."""
    for text in texts:
        right = parse(text, looks_like, SIZE)
        assert right.shapes and not right.dropped
        silent = []
        for name in ALL:
            parsed = parse(text, name, SIZE)
            words = (f"looks like {looks_like}", f" or {looks_like}", f"such as {looks_like}")
            words += ("in another frame",)
            named = any(word in dropped.why for word in words for dropped in parsed.dropped)
            if not parsed.shapes and not named:
                silent.append((name, parsed.dropped))
        assert not silent, text


@pytest.mark.parametrize(
    "name",
    ["qwen-vl", "qwen2-vl", "qwen2.5-vl", "qwen3-vl", "minicpm-v", "glm-4.5v", "cogvlm",
     "deepseek-vl2", "mineru", "fuyu", "gemini"],
)  # fmt: skip
def test_fractions_where_larger_numbers_are_due_are_no_tiny_boxes(name):
    written = write([Box(0.25, 0.5, 0.75, 1)], name, SIZE)
    for fractions in (("0.25", ".50", "0.75", "1"), ("0.0", "0.0", "1.0", "1.0"),
                      ("0.25", "0.5", "1.002", "1.0")):  # fmt: skip
        left = iter(fractions)
        text = re.sub(r"\b\d+\b", lambda number, left=left: next(left), written)
        parsed = parse(text, name, SIZE)
        assert not parsed.boxes and "fractions, where numbers up to" in parsed.dropped[0].why


def test_outlines_of_fractions_or_far_outside_are_none():
    for numbers, why in (("0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9", "fractions, where"),
                         ("100 100 3000 100 3000 900 100 900", "another frame")):  # fmt: skip
        parsed = parse(f"<quad>{numbers}</quad>", "minicpm-v")
        assert not parsed.shapes and why in parsed.dropped[0].why


def test_a_box_of_a_thousandth_is_one():
    assert parse('{"bbox_2d": [0, 0, 1, 1]}', "qwen3-vl").boxes == [Box(0, 0, 0.001, 0.001)]


def test_every_format_has_its_row_in_the_table():
    table = boxes.formats()
    assert list(table.index) == list(ALL) and not (table.drop("coco") == "").any(axis=None)
    middle, dog = Point(0.5, 0.6875), Box(0.25, 0.5, 0.75, 0.875)
    for name, example in table["example"].items():
        parsed = parse(example, name, SIZE)
        (shape,) = parsed.shapes
        assert not parsed.dropped and shape.label in ("dog", "a dog", None), name
        grid = GRID.get(name, 1 / 900)
        if isinstance(shape, Box):
            assert shape.corners == pytest.approx(dog.corners, abs=grid), name
        else:
            assert (shape.x, shape.y) == pytest.approx((middle.x, middle.y), abs=grid), name


# --- dirt -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "kept", "why"),
    [
        ("kosmos-2", SNOWMAN[:100], 0, "not closed"),
        ("kosmos-2", "<object><patch_index_0044></object>", 0, "1 patch indices"),
        ("kosmos-2", "<object><patch_index_0044><patch_index_4000></object>", 0, "1024 or more"),
        ("qwen-vl", "<ref>a</ref><box>(1,2),(3,4)", 0, "not closed"),
        ("qwen-vl", "<box>(500,2),(3,4)</box><box>(1,2),(3,4)</box>", 1, "exchanged"),
        ("qwen-vl", "<box>(1,2),(3)</box>", 0, "3 numbers"),
        ("qwen2-vl", "<|box_start|>(1,2),(3,4000)<|box_end|>", 0, "outside"),
        ("qwen2.5-vl", '[{"bbox_2d": [1, 2, 3, 4]}, {"bbox_2d": [1, 2,', 1, "not closed"),
        ("qwen2.5-vl", '[{"bbox_2d": [1, 2, 3]}]', 0, "not four numbers"),
        ("qwen3-vl", '[{"bbox_2d": [1, 2, 3, "4"]}]', 0, "not four numbers"),
        ("qwen3-vl", "{'bbox_2d': [1, 2, 3, 4]} and {nonsense}", 1, "neither JSON"),
        ("cogvlm", "x [[001,002,003]] y [[001,002,003,004]]", 1, "3 numbers"),
        ("cogvlm", "x [[001,002,003,004", 0, "not closed"),
        ("paligemma", "<loc0001><loc0002> cat", 0, "2 location tokens"),
        ("paligemma", "<seg001><seg002>", 0, "16 segmentation tokens"),
        ("florence-2", "car<loc_1><loc_2><loc_3><loc_4><loc_5>", 1, "1 location tokens too many"),
        ("florence-2", "car<loc_1><loc_2><loc_3><loc_4000>", 0, "over 999"),
        ("deepseek-vl2", "<|det|>[[1, 2, 3, 4], [5, 6", 1, "not closed"),
        ("deepseek-vl2", "<|det|>none<|/det|>", 0, "no row"),
        ("fuyu", "<box>1, 2, 3</box>", 0, "3 numbers"),
        ("moondream", '{"objects": [{"x_min": 0.1, "y_min": 0.9, "x_max": 0.5, "y_max": 0.6}]}', 0,
         "exchanged"),
        ("gemini", '[{"box_2d": [1, 2], "label": "x"}]', 0, "not four numbers"),
        ("gemini", '[{"box": [1, 2, 3, 4]}]', 0, "neither a box nor a point"),
        ("gemini", "[1, 2, 3]", 0, "a list outside of any object: not four numbers"),
        ("qwen3-vl", "<think>It is at [100, 200, 300, 400], or", 0, "reasoning does not end"),
        ("qwen3-vl", 'Well. <think>It is at {"bbox_2d": [1, 2, 30, 40]}', 0, "does not end"),
        ("qwen3-vl", '<think>a</think>{"bbox_2d": [1, 2, 30, 40]}<think>', 1, "does not end"),
        # numbers in no form at all
        ("qwen3-vl", "It is at (250, 500), (750, 875).", 0, "not as qwen3-vl writes places"),
        ("moondream", "x, y: 0.25, 0.5, 0.75, 0.875", 0, "not as moondream writes places"),
        ("minicpm-v", '{"POINT": [246, 113]}', 0, "not as minicpm-v writes places"),
        ("molmo", "Click(12.3, 45.6)", 0, "not as molmo writes places"),
        ("qwen3-vl", "click(start_box='(246,113)')", 0, "looks like qwen2-vl or qwen2.5-vl"),
        ("qwen2-vl", "click(start_box='(246,113,5)')", 0, "not as qwen2-vl writes places"),
        ("qwen3-vl", "dog 250 500 750 875", 0, "not as qwen3-vl writes places"),
        ("qwen3-vl", "x_min: 100, y_min: 200, x_max: 300", 0, "not as qwen3-vl writes places"),
        ("mineru", "100 200 300 400 text", 0, "not as mineru writes places"),
        ("kimi-vl", "click(x=0.879, y=0.294)", 0, "not as kimi-vl writes places"),
        ("kimi-vl", "pyautogui.click(x=879, y=294)", 0, "another frame"),
        ("florence-2", '{"bboxes": [[34.2, 160.1, 597.4, 371.8]]}', 0, "not as florence-2 writes"),
        ("qwen3-vl", '{"dog": [100, 200, 300, 400]}', 0, "neither a box nor a point"),
        ("qwen3-vl", '{"bbox_2d": {"x1": 1, "y1": 2, "x2": 30, "y2": 40}}', 0, "not four numbers"),
        ("qwen3-vl", '{"bbox_2d": "[1, 2, 30, 40]"}', 0, "not four numbers"),
        ("qwen3-vl", '{"bbox_2d": [1, 2, 30, 40, 0.9]}', 0, "not four numbers"),
        ("qwen3-vl", "[100, 200]", 0, "not four numbers"),
        ("qwen3-vl", '{"bbox_2d": [1, 2, 30, 40], "label": “dog”}', 1, "part of the object"),
        ("qwen3-vl", '{"bbox_2d": [1, 2, 30, 40], // a\n"label": "dog"}', 1, "part of the object"),
        ("deepseek-vl2", "<|det|>[[0, 50, 55, 9999]]<|/det|>", 0, "outside"),
        ("kosmos-2", "<object><patch_index_0863><patch_index_0044></object>", 0, "exchanged"),
        ("paligemma", "<loc0000><loc0000><loc1024><loc1024> cat", 0, "over 1023"),
        ("qwen3-vl", '[{"bbox_2d": [1812, 40, 1900, 900]}]', 0, "outside"),
        ("qwen3-vl", '[{"bbox_2d": [1000, 40, 1003, 120]}]', 0, "outside"),
        ("qwen3-vl", '[{"bbox_2d": [-30, 40, -3, 120]}]', 0, "outside"),
        ("qwen3-vl", '[{"bbox_2d": [10, 40, 3, 120]}]', 0, "exchanged"),
        ("qwen3-vl", '[{"bbox_2d": [10%, 20%, 30%, 40%]}]', 0, "not four numbers"),
        ("qwen3-vl", '[{"point_2d": [10, 20], "bbox_2d": [1, 2, 3]}]', 0, "bbox_2d: not four"),
        ("qwen3-vl", "[[100, 200, 300, 400], [100, 20", 1, "the list is not closed"),
        ("glm-4.5v", "<|begin_of_box|>[100, 200, 300", 0, "the list is not closed"),
        ("kimi-vl", '[{"bbox_2d": [280, 500, 520, 700]}]', 0, "another frame"),
        ("mineru", "<|box_start|>100 200 300 1001<|box_end|>", 0, "outside"),
        ("mineru", "<|box_start|>100 200 300<|box_end|>", 0, "3 numbers"),
        ("minicpm-v", "<box>1 2 3</box><box>1 2 30 40", 0, "not closed"),
        ("minicpm-v", "<quad>1 2 3 4</quad>", 0, "4 numbers instead of eight"),
        ("internvl", "<box>[[1, 2, 30, 40], [1, 2", 1, "<box> is not closed"),
        ("internvl", "<box>dog</box>", 0, "no row of four"),
        ("coco", '[{"bbox": [160, 240, -32, 180]}]', 0, "exchanged"),
        ("molmo", '<point x="10.5" y="120.0">a</point>', 0, "outside"),
        ("molmo", '<point x="10.5" y="12', 0, "not closed"),
        ("molmo", "<point>1 2</point>", 0, "no x and y"),
        ("molmo2", '<points coords="1 1 073 160 2 173">a</points>', 0, "not three numbers"),
        ("molmo2", '<points coords="1 1 073 160;2 1 173 600">a</points>', 0, "in picture 2"),
        ("molmo2", '<points coords="1 1 073 160', 0, "not closed"),
        ("fuyu", "\x00194213202244\x01|ENDOFTEXT|", 0, "decode its tokens one by one"),
        ("fuyu", "<box>(1,2),(3,4)</box>", 0, "else than numbers"),
        ("florence-2", locations(53, 334, 933, 775, 711, 203, 906, 546, 585, 309, 774, 709, 577), 3,
         "1 location tokens too many"),
        ("florence-2", "car" + locations(53, 334, 933, 775, 711, 203), 1, "2 location tokens"),
        ("florence-2", "car" + locations(53, 334, 933), 0, "3 location tokens instead of four"),
        ("qwen3-vl", '{"bbox_2d": [[1, 2, 3, 4]]}', 0, "not four numbers"),
        ("qwen3-vl", '{"bbox_2d": [1, 2 3, 4]}', 0, "not four numbers"),
        ("qwen3-vl", '{"bbox_2d": [1, 2, 3, 4}, {"bbox_2d": [1, 2, 3, 4]}', 1, "not four numbers"),
        ("qwen3-vl", '[{"bbox_2d": [1, 2, 3, 4], "label": "car}, {"bbox_2d": [1, 2, 3, 4], '
         '"label": "dog"}]', 2, "part of the object"),
        ("qwen3-vl", '{"bbox_2d": [1, 2, 3, 4], "label": the car}', 1, "part of the object"),
        ("qwen3-vl", "{'bbox_2d': [1, 2, 3, 4], 'label': 'the dog's'}", 1, "part of the object"),
        ("qwen3-vl", '{"bbox_2d": [1, 2, 3, 4], "of": {"color": "re', 0, "not closed"),
        ("kosmos-2", "<object></object>", 0, "0 patch indices"),
        ("kosmos-2", "<object><patch_index_00", 0, "not complete"),
        ("kosmos-2", "<object>", 0, "not closed"),
        ("kosmos-2", "<object><patch_index_" + "1" * 5000 + ">", 0, "not complete"),
        ("qwen-vl", "a dog (1,2),(3,4)", 0, "outside of the format's tags"),
        ("qwen2-vl", "a dog(1,2),(3,4)", 0, "outside of the format's tags"),
        ("qwen-vl", "<quad>(1,2),(3,4),(5,6),(7,8)</quad><box>(1,2),(3,4)</box>", 1,
         "four corners"),
        ("deepseek-vl2", "a dog [[1, 2, 3, 4]]", 0, "outside of the format's tags"),
        ("cogvlm", "a dog [[1,2,30,40] and", 1, "second bracket"),
        ("cogvlm", "a dog [[1,2,30,40;1,2", 1, "not closed"),
        ("paligemma", "<loc1><loc2><loc3><loc4> cat", 0, "four digits"),
        ("paligemma", "<loc0001><loc0002><loc0003><loc0004> cat<loc00", 1, "four digits"),
        ("paligemma", "<loc0001><loc0002><loc0003><loc0004><loc0005>", 1, "1 location tokens"),
        ("paligemma", "<loc0001><loc0002><loc0003><loc0004>" + "<seg128>" * 16, 1, "over 127"),
        ("florence-2", "car<loc_1><loc_2><loc_3><loc_4>a<loc_12345>b<loc_", 1, "not a location"),
        ("fuyu", "<0x00>1 2 3 4", 0, "not closed"),
        ("fuyu", "<0x00><0x01>", 0, "0 numbers instead of four"),
        ("fuyu", "<0x02>1 2 3<0x03>", 0, "3 numbers instead of two"),
        ("fuyu", "1 2 3 4<0x01>", 0, "nothing that this could close"),
        ("fuyu", "<box>1, 2, 3, 4</point>", 0, "opened by <box>, but closed by </point>"),
        ("pocket-llava", "<loc_01><loc_02><loc_03><loc_04> a <loc_", 1, "not a location"),
        ("pocket-llava", "star <loc_99><loc_00><loc_01><loc_02>", 0, "over 63"),
        ("pocket-llava", "star <loc_09><loc_00><loc_11>", 0, "3 location tokens"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_dropped_with_a_reason(name, text, kept, why):
    parsed = parse(text, name, SIZE)
    assert len(parsed.boxes) == kept
    assert any(why in dropped.why for dropped in parsed.dropped), parsed.dropped


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("paligemma", "<loc0001><loc0002><loc0003><loc0004> cat<loc00", ["cat"]),
        ("paligemma", "<loc0001><loc0002><loc0003><loc0004> cat<eos><loc0001>", ["cat"]),
        ("qwen3-vl", '[{"bbox_2d": [1, 2, 3, 4], "label": "car}, {"bbox_2d": [1, 2, 3, 4], '
         '"label": "dog"}]', [None, "dog"]),
        ("qwen3-vl", '[{"bbox_2d": [1, 2, 3, 4], "label": car", "x": 1}]', [None]),
        ("florence-2", "car<loc_1><loc_2><loc_3><loc_4><loc_x", ["car"]),
        ("pocket-llava", "a <loc_01><loc_02>, b<loc_1>c <loc_01><loc_02><loc_03><loc_04>.", ["c"]),
    ],
)  # fmt: skip
def test_labels_keep_no_debris(name, text, labels):
    assert [box.label for box in parse(text, name, SIZE).boxes] == labels


NO_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "1" + "0" * 5000, "true",
              "null", '"3"', "[1]", "{}")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("qwen2.5-vl", '[{"bbox_2d": [%s, 2, 300, 400]}]'),
        ("qwen2.5-vl", '[{"point_2d": [%s, 2]}]'),
        ("qwen3-vl", '[{"bbox_2d": [%s, 2, 300, 400]}]'),
        ("qwen3-vl", "[%s, 2, 300, 400]"),
        ("gemini", '[{"box_2d": [%s, 2, 300, 400]}]'),
        ("gemini", '[{"point": [2, %s]}]'),
        ("moondream", '{"x_min": %s, "y_min": 0.1, "x_max": 0.5, "y_max": 0.6}'),
        ("moondream", '{"x": %s, "y": 0.1}'),
    ],
)
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_is_dropped(name, row, value):
    parsed = parse(row % value, name, SIZE)
    assert not (parsed.boxes or parsed.points)
    if not (row.startswith("[%") and value in ("true", "null", '"3"', "[1]", "{}")):
        (dropped,) = parsed.dropped  # prose may hold a list of anything
        known = {"NaN": "NaN is no place"}
        finite = value.strip("-")[:1] in ("I", "1")
        assert known.get(value, "outside" if finite else "not ") in dropped.why


@pytest.mark.parametrize(
    "text",
    ["{[1]: 2}", "{set()}", "{set(): 1}", "{1, 2}", '{"a": 1is 2}', r"{'\d': 1}", "{'a': 0o8}",
     '{"a": ' + "[" * 1500 + "]" * 1500 + "}", '{"a":' * 1500 + "1" + "}" * 1500,
     '{"a": ' + "-" * 3900 + "1}", '{"a": ' + "(" * 1900 + ")" * 1900 + "}", "{" * 5000],
)  # fmt: skip
@pytest.mark.parametrize("name", ["qwen3-vl", "moondream"])
@pytest.mark.filterwarnings("error")
def test_literals_that_are_none_are_dropped(name, text):
    parsed = parse(text, name, SIZE)
    assert parsed.dropped and not parsed.boxes


@pytest.mark.parametrize("name", ALL)
def test_no_boxes_at_all(name):
    for text in ("", "There is nothing of that kind.", "none"):
        parsed = parse(text, name, SIZE)
        assert not (parsed.boxes or parsed.points or parsed.polygons or parsed.dropped)


# what the texts of models are made of, whole and in parts, in any order
PIECES = [
    "NaN", "-Infinity", "1e999", "9" * 400, "9" * 5000, "0", "12", ".5", "-1", "null", "True", "is",
    "bbox_2d", '"bbox_2d"', "'point_2d'", '"box_2d"', '"point"', '"x_min"', '"label"', "'x'", '"y"',
    "{", "}", "[", "]", "(", ")", ",", ":", ";", '"', "'", "\\", "\n", " ", "猫", "\ud800",
    "<box>", "</box>", "<ref>", "</ref>", "<|box_start|>", "<|box_end|>", "<|det|>", "<|/det|>",
    "<object>", "</object>", "<phrase>", "</phrase>", "<patch_index_0044>", "<patch_index_",
    "<loc_01>", "<loc0001>", "<loc_", "<seg001>", "<poly>", "</poly>", "<sep>", "<0x00>", "<0x01>",
    "<0x02>", "<0x03>", "<point>", "</point>", "\0", "\x01", "<|begin_of_box|>", "<|ref_start|>",
    "<|end_of_box|>", "<points ", 'x1="5" y1="6"', 'coords="1 1 5 6"', "</think>", "<quad>",
    "pyautogui.click(x=.1, y=1.)", "[[1,2,3,4]]", "(1,2),(3,4)", "[0.1, 0.2, 0.3, 0.4]",
    '{"bbox_2d": [1, 2, 3, 4]}', "{'x': 0.5, 'y': 0.5}",
]  # fmt: skip
numbers_of_all_kinds = st.one_of(
    st.floats(), st.integers(-(10**500), 10**500), st.booleans(), st.none(), st.text(max_size=3)
)
nested = st.recursive(
    numbers_of_all_kinds,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["bbox_2d", "box_2d", "point", "x", "label"]), inner)
        | st.tuples(inner, inner, inner, inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("error")
@settings(max_examples=80)
@given(
    text=st.text()
    | st.text("<>/|[](){}\",:;'0123456789 locbxrefpatch_indx_segpoly", max_size=300)
    | st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
    | nested.map(repr)
    | nested.map(json.dumps)
)
def test_parsing_never_raises(name, text):
    parsed = parse(text, name, SIZE)
    for box in parsed.boxes:
        assert 0 <= box.x0 <= box.x1 <= 1 and 0 <= box.y0 <= box.y1 <= 1
    for point in parsed.points:
        assert 0 <= point.x <= 1 and 0 <= point.y <= 1
    assert all(dropped.why for dropped in parsed.dropped)


row = st.fixed_dictionaries(
    {"bbox_2d": st.tuples(*[st.integers(0, 400)] * 2, *[st.integers(500, 900)] * 2).map(list)},
    optional={"label": st.text(max_size=5), "attributes": st.dictionaries(st.text(), nested)},
)


@pytest.mark.parametrize("written", [json.dumps, repr])
@settings(max_examples=80)
@given(rows=st.lists(row, max_size=4))
def test_objects_are_read_as_json_and_python_read_them(written, rows):
    found = parse(f"Here's: {written(rows)}", "qwen3-vl").boxes
    got = [(box.corners, box.label) for box in found]  # attributes may hold boxes too
    for row in rows:
        want = tuple(v / 1000 for v in row["bbox_2d"]), row.get("label", "").strip() or None
        assert want in got


HOSTILE = [
    "[", "{", '"', "'", "{'", "<box>", "<loc_1>", "<loc0001>", "[[1,", "<object>", "<phrase>",
    "<|det|>[", "<|box_start|>", "(1,2),", '{"bbox_2d": [', "<patch_index_0001>", "<ref>", "\\",
    "<0x00>1 ", "9", "<poly>", "<seg001>", '{"a', " ", "<loc_01>", '"}, {"', '{"a":', "[1] ",
    '{"bbox_2d":[1,2,3,4],"x":{', "<points ", '<point x="1" y="2">', "</think>",
    "<|begin_of_box|>(", '{"bbox_2d":[1,2,3,4],"bbox_2d":',
]  # fmt: skip
# as long as nothing is open some pieces do no harm
INSIDE = ('"a', "{'\"\\", "'\\'", "< ", " ")
HOSTILE_INSIDE = [(start, piece) for start in ("[", '{"', "<ref>") for piece in INSIDE]


@contextmanager
def computing_at_most(seconds):
    """Raises AssertionError where the block computes for longer; waiting does not count."""

    def stop(*_):
        raise AssertionError(f"still computing after {seconds} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


# one of the formats in JSON, and one between tags, stand for all of them: they share what reads it
SHARED = {*JSON, "internvl", "minicpm-v", "mineru", "qwen2-vl"} - {"glm-4.5v"}


@pytest.mark.parametrize("name", [name for name in ALL if name not in SHARED])
def test_hostile_texts_are_parsed_in_one_pass(name):
    for start, piece in [("", piece) for piece in HOSTILE] + HOSTILE_INSIDE:
        text = start + piece * (60_000 // len(piece))
        # One pass takes 0.3 s on a slow core; one for each character would take some 10 s.
        with computing_at_most(5):
            parse(text, name, SIZE)


def test_wrong_arguments_are_said():
    with pytest.raises(ValueError, match="'qwen2.5-vl'"):
        parse("", "qwen2.5vl")
    with pytest.raises(ValueError, match="counts in pixels"):
        parse("", "fuyu")
    with pytest.raises(ValueError, match="image_size must be"):
        parse("", "fuyu", (0, 4))
    for size in ((640,), 640, (640, 480, 3), "ab"):
        for ask in (boxes.Box(0, 0, 1, 1).to_pixels, boxes.resized_by_qwen):
            with pytest.raises(ValueError, match=r"image_size must be \(width, height\)"):
                ask(size)
        with pytest.raises(ValueError, match="resized must be"):
            parse("", "qwen2.5-vl", SIZE, resized=size)
    with pytest.raises(TypeError, match="a list of shapes, not a Box"):
        write(Box(0, 0, 1, 1), "qwen-vl")
    with pytest.raises(TypeError, match="decode it first"):
        parse([1, 2], "fuyu", SIZE)
    with pytest.raises(ValueError, match="Only qwen2.5-vl counts in a resized picture: leave out"):
        parse("", "qwen3-vl", SIZE, resized=SIZE)
    with pytest.raises(ValueError, match="four corners here, not of 3"):
        write([Polygon(((0, 0), (1, 0), (1, 1)))], "minicpm-v")
    with pytest.raises(ValueError, match="no way to write a Polygon"):
        write([Polygon(((0, 0), (1, 0), (1, 1)))], "qwen-vl")
    with pytest.raises(ValueError, match="exchanged"):
        Box(0.5, 0, 0.4, 1)
    with pytest.raises(ValueError, match="finite"):
        Box(0, 0, float("nan"), 1)
    with pytest.raises(ValueError, match="three corners"):
        Polygon(((0, 0), (1, 1)))


# --- scores ---------------------------------------------------------------------------------------


def test_overlaps_by_hand():
    one, other = Box(0, 0, 0.2, 0.2), Box(0.1, 0.1, 0.3, 0.3)
    assert boxes.iou(one, other) == pytest.approx(1 / 7)
    far = Box(0.8, 0.8, 1, 1)
    assert boxes.iou(one, far) == 0
    assert boxes.iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0


def test_matching_is_one_to_one_and_by_label():
    truth = [Box(0, 0, 0.5, 0.5, "a"), Box(0.5, 0.5, 1, 1, "b")]
    twice = [truth[0], truth[0], Box(0.5, 0.5, 1, 1, "c")]
    assert boxes.match(twice, truth) == [(0, 0)]
    assert boxes.precision_recall([twice], [truth]) == (1 / 3, 1 / 2)
    assert boxes.precision_recall([[]], [[]]) == (1, 1)


def test_labels_are_alike_in_any_case_and_none_goes_with_any():
    truth = [[Box(0, 0, 0.5, 0.5, "Dog ")]]
    assert boxes.precision_recall([[Box(0, 0, 0.5, 0.5, "dog")]], truth) == (1, 1)
    assert boxes.precision_recall([[Box(0, 0, 0.5, 0.5)]], truth) == (1, 1)
    assert boxes.precision_recall(truth, [[Box(0, 0, 0.5, 0.5, "")]]) == (1, 1)
    with pytest.warns(UserWarning, match="no label in common.*'a dog' in one, 'Dog ' in the other"):
        assert boxes.precision_recall([[Box(0, 0, 0.5, 0.5, "a dog")]], truth) == (0, 0)


def test_masks_and_points():
    square = Polygon(((0, 0), (1, 0), (1, 1), (0, 1)))
    half = Polygon(((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
    assert boxes.mask_iou(square, half) == pytest.approx(0.5, abs=0.01)
    assert boxes.mask_iou(half, half) == 1
    below = Polygon(((0.5, 0), (1, 0), (1, 1), (0.5, 1)))
    assert boxes.mask_iou(half, below) == 0  # neighbours share nothing
    assert boxes.mask_iou(*[Polygon(((0, 0), (1, 1), (0.5, 0.5)))] * 2) == 0
    triangle = Polygon(((0, 0), (1, 0), (0, 1)))
    assert boxes.mask_iou(triangle, square) == pytest.approx(0.5, abs=0.01)
    assert boxes.pointing_accuracy([Point(0.2, 0.2), Point(0.9, 0.9)], [triangle] * 2) == 0.5
    assert boxes.pointing_accuracy([Point(0.2, 0.2), None], [square.box] * 2) == 0.5


@pytest.mark.parametrize("side", [1e-4, 0.005, 0.02, 0.5])
def test_outlines_of_any_size_are_measured_alike(side):
    def square(x, y):
        return Polygon(((x, y), (x + side, y), (x + side, y + side), (x, y + side)))

    for shift in (0, 0.25, 0.5, 0.75):
        got = boxes.mask_iou(square(0.1, 0.3), square(0.1 + shift * side, 0.3))
        assert got == pytest.approx((1 - shift) / (1 + shift), abs=0.01)


def test_an_overlap_of_exactly_the_threshold_counts():
    one, twice = Box(0.1, 0.1, 0.3, 0.3, score=1), Box(0.1, 0.1, 0.3, 0.5)
    assert boxes.iou(one, twice) < 0.5  # as floats have it
    assert boxes.match([one], [twice]) == [(0, 0)]
    assert boxes.average_precision([[one]], [[twice]]) == pytest.approx(1)
    assert boxes.match([one], [Box(0.1, 0.1, 0.3, 0.501)]) == []


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_pycocotools(seed, capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(seed)
    truth, predicted, annotations, results = [], [], [], []
    for picture in range(12):
        there = []
        for _ in range(rng.integers(0, 5)):
            x, y, w, h = rng.uniform(0, 60), rng.uniform(0, 60), *rng.uniform(10, 40, 2)
            there.append(Box.from_pixels((x, y, x + w, y + h), (100, 100)))
            annotations.append({
                "id": len(annotations) + 1, "image_id": picture, "category_id": 1, "iscrowd": 0,
                "bbox": [x, y, w, h], "area": w * h,
            })  # fmt: skip
        said = []
        for box in [*there, *there, Box(0, 0, 0.3, 0.3)]:
            if rng.uniform() < 0.3:
                continue
            left, top, right, bottom = box.to_pixels((100, 100)) + rng.normal(0, 4, 4)
            right, bottom, score = max(right, left + 1), max(bottom, top + 1), rng.uniform()
            corners = Box.from_pixels((left, top, right, bottom), (100, 100)).corners
            said.append(Box(*corners, score=score))
            results.append({
                "image_id": picture, "category_id": 1, "score": score,
                "bbox": [left, top, right - left, bottom - top],
            })  # fmt: skip
        truth.append(there)
        predicted.append(said)
    coco = COCO()
    coco.dataset = {
        "info": {}, "images": [{"id": i} for i in range(12)], "annotations": annotations,
        "categories": [{"id": 1}],
    }  # fmt: skip
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
    evaluation.params.iouThrs = np.array([0.5, 0.75])
    evaluation.evaluate()
    evaluation.accumulate()
    expected = evaluation.eval["precision"][:, :, 0, 0, 2].mean(axis=1)
    capsys.readouterr()
    got = [boxes.average_precision(predicted, truth, threshold) for threshold in (0.5, 0.75)]
    assert got == pytest.approx(expected, abs=1e-6)


def test_average_precision_needs_scores_and_something_to_find():
    box = Box(0, 0, 1, 1)
    with pytest.raises(ValueError, match="picture 1 has no score"):
        boxes.average_precision([[], [box]], [[], [box]])
    assert np.isnan(boxes.average_precision([[]], [[]]))
    assert boxes.average_precision([[]], [[box]]) == 0
