"""Boxes: every format there and back, as the published parsers read it; dirt; scores."""

import gc
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
label = st.sampled_from(["dog", "a small red star", "Hund", "猫"])


@st.composite
def any_box(draw):
    x0, x1 = sorted((draw(fraction), draw(fraction)))
    y0, y1 = sorted((draw(fraction), draw(fraction)))
    return Box(x0, y0, x1, y1, draw(label))


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(shapes=st.lists(any_box(), min_size=1, max_size=4))
def test_written_boxes_are_read_again_up_to_the_grid(name, shapes):
    parsed = parse(write(shapes, name, SIZE), name, SIZE)
    assert not parsed.dropped
    assert [box.label for box in parsed.boxes] == [box.label for box in shapes]
    grid = GRID.get(name, 1 / 990)
    for got, want in zip(parsed.boxes, shapes, strict=True):
        assert got.corners == pytest.approx(want.corners, abs=grid)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None)
@given(shapes=st.lists(any_box(), min_size=1, max_size=3))
def test_what_was_read_is_written_alike_for_ever(name, shapes):
    once = parse(write(shapes, name, SIZE), name, SIZE).boxes
    twice = parse(write(once, name, SIZE), name, SIZE).boxes
    for got, want in zip(twice, once, strict=True):
        assert got.corners == pytest.approx(want.corners, abs=1e-9)


@pytest.mark.parametrize("name", ["qwen2.5-vl", "qwen3-vl", "gemini", "moondream", "pocket-llava"])
def test_points_go_there_and_back(name):
    (got,) = parse(write([Point(0.25, 0.75, "here")], name, SIZE), name, SIZE).points
    assert (got.x, got.y) == pytest.approx((0.25, 0.75), abs=0.01) and got.label == "here"


def test_outlines_go_there_and_back():
    star = Polygon(((0.1, 0.1), (0.9, 0.2), (0.5, 0.8)), "star")
    (got,) = parse(write([star], "pocket-llava"), "pocket-llava").polygons
    assert got.label == "star"
    assert np.allclose(got.points, star.points, atol=1 / 64)


def test_a_box_beyond_the_picture_is_cut_off():
    (got,) = parse(write([Box(-0.5, 0.2, 1.5, 0.4)], "qwen-vl"), "qwen-vl").boxes
    assert got.corners == pytest.approx((0, 0.2, 0.999, 0.4))


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
        ("gemini", '[{"box_2d": [1, 2], "label": "x"}]', 0, "neither box_2d"),
        ("pocket-llava", "star <loc_99><loc_00><loc_01><loc_02>", 0, "over 63"),
        ("pocket-llava", "star <loc_09><loc_00><loc_11>", 0, "3 location tokens"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_dropped_with_a_reason(name, text, kept, why):
    parsed = parse(text, name, SIZE)
    assert len(parsed.boxes) == kept
    assert any(why in dropped.why for dropped in parsed.dropped), parsed.dropped


@pytest.mark.parametrize("name", FORMATS)
def test_no_boxes_at_all(name):
    for text in ("", "There is nothing of that kind.", "none"):
        parsed = parse(text, name, SIZE)
        assert not (parsed.boxes or parsed.points or parsed.polygons or parsed.dropped)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None)
@given(
    text=st.text() | st.text("<>/|[](){}\",:;'0123456789 locbxrefpatch_indx_segpoly", max_size=300)
)
def test_parsing_never_raises(name, text):
    for box in parse(text, name, SIZE).boxes:
        assert 0 <= box.x0 <= box.x1 <= 1 and 0 <= box.y0 <= box.y1 <= 1


HOSTILE = [
    "[", "{", '"', "'", "{'", "<box>", "<loc_1>", "<loc0001>", "[[1,", "<object>", "<phrase>",
    "<|det|>[", "<|box_start|>", "(1,2),", '{"bbox_2d": [', "<patch_index_0001>", "<ref>", "\\",
    "<0x00>1 ", "9", "<poly>", "<seg001>", '{"a', " ", "<loc_01>",
]  # fmt: skip


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


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_texts_take_time_in_proportion_to_their_length(name):
    for piece in HOSTILE:
        short, long = (piece * (length // len(piece)) for length in (40_000, 320_000))
        # eight times as long: a quadratic parser would take sixty-four times as long
        allowed = 25 * max(seconds_to_parse(short, name), 0.02)
        assert seconds_to_parse(long, name) < allowed, piece


def test_wrong_arguments_are_said():
    with pytest.raises(ValueError, match="'qwen2.5-vl'"):
        parse("", "qwen2.5vl")
    with pytest.raises(ValueError, match="counts in pixels"):
        parse("", "fuyu")
    with pytest.raises(ValueError, match="image_size must be"):
        parse("", "fuyu", (0, 4))
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
    triangle = Polygon(((0, 0), (1, 0), (0, 1)))
    assert boxes.pointing_accuracy([Point(0.2, 0.2), Point(0.9, 0.9)], [triangle] * 2) == 0.5
    assert boxes.pointing_accuracy([Point(0.2, 0.2), None], [square.box] * 2) == 0.5


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
