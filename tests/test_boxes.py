"""Boxes: every format there and back, as the published parsers read it; dirt; scores."""

import gc
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_helpers import boxes
from vlm_helpers.boxes import Box, Point, Polygon, parse, write

SIZE = (640, 480)
FORMATS = boxes.FORMATS
# the widest that a coordinate may move in writing and parsing, in fractions of the picture
GRID = {
    "kosmos-2": 1 / 32, "pocket-llava": 1 / 64, "paligemma": 1 / 1024, "moondream": 1e-9,
    "qwen2.5-vl": 1 / 400, "fuyu": 1 / 480,
}  # fmt: skip

fraction = st.floats(0, 1, allow_nan=False)
label = st.sampled_from(["dog", "a small red star", "Hund", "猫", "it's", "3 < 4", "a" * 600, None])
wild_label = st.text("ab 7.,;:'\"!?-()[]{}<>/|\\$_\n", max_size=12)
# formats whose labels are JSON strings, and so carry every text
JSON = ("qwen2.5-vl", "qwen3-vl", "gemini", "moondream")


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
@settings(max_examples=60, deadline=None)
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
@settings(max_examples=80, deadline=None)
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
        ("<b>", ("kosmos-2", "qwen-vl", "qwen2-vl", "paligemma", "florence-2", "deepseek-vl2")),
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
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_was_read_is_written_alike_for_ever(name, data):
    shapes = data.draw(some_boxes(name, max_size=3))
    once = parse(write(shapes, name, SIZE), name, SIZE).boxes
    twice = parse(write(once, name, SIZE), name, SIZE).boxes
    for got, want in zip(twice, once, strict=True):
        assert got.corners == pytest.approx(want.corners, abs=1e-9)


@pytest.mark.parametrize("name", ["qwen2.5-vl", "qwen3-vl", "gemini", "moondream", "pocket-llava"])
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


@pytest.mark.parametrize("name", ["qwen2.5-vl", "qwen3-vl", "gemini", "moondream", "pocket-llava"])
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


@settings(max_examples=100, deadline=None)
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
@pytest.mark.parametrize("name", JSON)
@pytest.mark.filterwarnings("error")
def test_literals_that_are_none_are_dropped(name, text):
    parsed = parse(text, name, SIZE)
    assert parsed.dropped and not parsed.boxes


@pytest.mark.parametrize("name", FORMATS)
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
    "<0x02>", "<0x03>", "<point>", "</point>", "[[1,2,3,4]]", "(1,2),(3,4)", "[0.1, 0.2, 0.3, 0.4]",
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


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("error")
@settings(max_examples=200, deadline=None)
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
@settings(max_examples=150, deadline=None)
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
    '{"bbox_2d":[1,2,3,4],"x":{',
]  # fmt: skip
# as long as nothing is open some pieces do no harm
INSIDE = ('"a', "{'\"\\", "'\\'", "< ", " ")
HOSTILE_INSIDE = [(start, piece) for start in ("[", '{"', "<ref>") for piece in INSIDE]


def seconds_to_parse(text, name, tries=3):
    """The least of several times, without the collector, which walks all that other tests left."""
    gc.disable()
    try:
        times = []
        for _ in range(tries):
            start = time.process_time()
            parse(text, name, SIZE)
            times.append(time.process_time() - start)
        return min(times)
    finally:
        gc.enable()


# one of the formats in JSON stands for all of them: they share what reads it
@pytest.mark.parametrize("name", [name for name in FORMATS if name not in JSON[1:]])
def test_hostile_texts_take_time_in_proportion_to_their_length(name):
    for start, piece in [("", piece) for piece in HOSTILE] + HOSTILE_INSIDE:
        short, long = (start + piece * (length // len(piece)) for length in (20_000, 160_000))
        # eight times as long: a quadratic parser would take sixty-four times as long
        allowed = 25 * max(seconds_to_parse(short, name), 0.01)
        assert seconds_to_parse(long, name, tries=1) < allowed, (start, piece)


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
    assert boxes.generalized_iou(one, other) == pytest.approx(1 / 7 - 2 / 9)
    far = Box(0.8, 0.8, 1, 1)
    assert boxes.iou(one, far) == 0 and boxes.generalized_iou(one, far) < -0.9
    assert boxes.iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0


def test_matching_is_one_to_one_and_by_label():
    truth = [Box(0, 0, 0.5, 0.5, "a"), Box(0.5, 0.5, 1, 1, "b")]
    twice = [truth[0], truth[0], Box(0.5, 0.5, 1, 1, "c")]
    assert boxes.match(twice, truth) == [(0, 0)]
    assert boxes.precision_recall([twice], [truth]) == (1 / 3, 1 / 2)
    assert boxes.precision_recall([[]], [[]]) == (1, 1)
    assert boxes.accuracy([truth[0], None], truth) == 0.5
    with pytest.raises(ValueError, match="one each"):
        boxes.accuracy([], [])


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
    assert boxes.accuracy([one], [twice]) == 1
    assert boxes.match([one], [twice]) == [(0, 0)]
    assert boxes.average_precision([[one]], [[twice]]) == pytest.approx(1)
    assert boxes.accuracy([one], [Box(0.1, 0.1, 0.3, 0.501)]) == 0


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
