"""Figures: what is drawn, what is refused, and that matplotlib's settings stay as they are."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tools import notebooks
from vlm_helpers import boxes, figures

PICTURES = [Image.new("RGB", (60, 40), color) for color in ("red", "green", "blue")]


class Words:
    """As much of a tokenizer as a figure needs."""

    names = ["Ġred", "▁blue", "<loc_07>", "Ċ", "</s>"]

    def convert_ids_to_tokens(self, token_id):
        assert type(token_id) is int
        return self.names[token_id]


STEPS = np.array([[0.7, 0.2, 0.05, 0.05, 0.0], [0.1, 0.2, 0.3, 0.4, 0.0]])


@pytest.fixture(autouse=True)
def _one_figure_without_traces():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def drawn():
    """The axes of the one new figure, after it was drawn as Jupyter draws it."""
    assert len(plt.get_fignums()) == 1
    plt.gcf().canvas.draw()
    return plt.gcf().axes


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_pictures_stand_side_by_side_with_their_texts_below():
    assert figures.show(PICTURES, ["one", "two $5 and $6", "three"], columns=2) is None
    first, second, third, empty = drawn()
    assert [ax.get_xlabel() for ax in (first, second, third)] == ["one", "two $5 and $6", "three"]
    assert first.get_images()[0].get_array().shape == (40, 60, 3)
    assert second.get_images()[0].get_array()[0, 0].tolist() == [0, 128, 0]
    assert first.get_position().x1 <= second.get_position().x0
    assert third.get_position().y1 < first.get_position().y0
    assert not empty.axison


def test_a_matrix_writes_each_number_where_it_can_be_read_and_leaves_gaps():
    table = pd.DataFrame({"color": [1.0, 0.2], "count": [0.5, np.nan]}, index=["right", "wrong"])
    figures.matrix(table)
    (ax,) = drawn()
    assert ticks(ax.xaxis) == ["color", "count"] and ticks(ax.yaxis) == ["right", "wrong"]
    written = {text.get_position(): (text.get_text(), text.get_color()) for text in ax.texts}
    assert written[0, 0] == ("1.00", "white") and written[0, 1] == ("0.20", figures.INK)
    assert (1, 1) not in written and ax.get_images()[0].get_clim() == (0, 1)


def test_one_picture_needs_no_list_and_no_text():
    figures.show(np.zeros((8, 8), np.uint8))
    (ax,) = drawn()
    assert ax.get_images()[0].get_array().shape == (8, 8, 3)
    assert ax.get_xlabel() == ""


def test_long_texts_are_wrapped_and_stay_clear_of_the_next_row():
    figures.show(PICTURES[:2], ["a rather long answer about this picture " * 3] * 2, columns=1)
    first, second = drawn()
    renderer = plt.gcf().canvas.get_renderer()
    text = first.xaxis.label.get_window_extent(renderer)
    assert text.width <= first.get_window_extent(renderer).width
    assert text.y0 > second.get_window_extent(renderer).y1


def test_lines_of_a_text_stay_lines():
    figures.show(PICTURES[0], "Is it red?  yes\n\nWhat is it?  red")
    assert drawn()[0].get_xlabel() == "Is it red?  yes\n\nWhat is it?  red"


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: figures.show([]), "no picture"),
        (lambda: figures.show(PICTURES, ["one"]), "3 pictures came with 1 title:"),
        (lambda: figures.show(PICTURES[0], ["one", "two"]), "1 picture came with 2 titles:"),
        (lambda: figures.show(PICTURES, columns=0), "columns"),
        (lambda: figures.next_tokens(STEPS[0], Words()), r"\[5\]"),
        (lambda: figures.next_tokens(np.log(STEPS + 1e-9), Words()), "softmax"),
        (lambda: figures.next_tokens(STEPS, Words(), [0]), "2 steps came with 1 chosen ids"),
        (lambda: figures.next_tokens(STEPS, Words(), titles=["a"]), "1 titles"),
        (lambda: figures.next_tokens(STEPS, Words(), beside=STEPS[:1]), r"\[1, 5\]"),
        (lambda: figures.next_tokens(STEPS, Words(), columns=0), "columns"),
        (lambda: figures.next_tokens(STEPS, Words(), top=0), "top"),
        (lambda: figures.spans({}, "ms"), "nothing to draw"),
        (lambda: figures.spans({"a": []}, "ms"), "nothing to draw"),
        (lambda: figures.spans({"a": [("x", -1.0)]}, "ms"), "-1.0 ms"),
        (lambda: figures.spans({"a": [("x", float("nan"))]}, "ms"), "nan ms"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence_and_leaves_no_figure(call, part):
    with pytest.raises(ValueError, match=part):
        call()
    assert not plt.get_fignums()


def bars(ax):
    return [(bar.get_width(), bar.get_facecolor()) for bar in ax.patches]


def test_next_tokens_are_sorted_and_the_chosen_one_is_coloured():
    figures.next_tokens(STEPS, Words(), top=3)
    first, second = drawn()
    assert ticks(first.yaxis)[:2] == ["␣red", "␣blue"]
    assert ticks(second.yaxis) == ["\\n", "<loc_07>", "␣blue"]
    assert [width for width, _ in bars(second)] == pytest.approx([0.4, 0.3, 0.2])
    blue, grey = (matplotlib.colors.to_rgba(color) for color in (figures.BLUE, figures.GREY))
    assert [color for _, color in bars(second)] == [blue, grey, grey]
    assert [text.get_text() for text in second.texts] == ["0.40", "0.30", "0.20"]
    assert first.get_title(loc="left") == "step 1"
    assert second.get_ylim()[0] > second.get_ylim()[1]  # the likeliest stands on top


def test_a_chosen_token_is_drawn_even_if_it_is_unlikely():
    figures.next_tokens(STEPS, Words(), [4, 3], top=2, titles=["sampled", "greedy"])
    first, second = drawn()
    assert ticks(first.yaxis) == ["␣red", "</s>"]
    assert [text.get_text() for text in first.texts] == ["0.70", "<.01"]
    assert bars(first)[1][1] == matplotlib.colors.to_rgba(figures.BLUE)
    assert first.get_title(loc="left") == "sampled"


def test_what_cannot_come_is_left_out():
    figures.next_tokens([[0.8, 0.2, 0, 0, 0]] * 2, Words(), [0, 2], top=4)
    first, second = drawn()
    assert ticks(first.yaxis) == ["␣red", "␣blue"]
    assert ticks(second.yaxis) == ["␣red", "␣blue", "<loc_07>"]
    assert first.get_ylim() == second.get_ylim()  # bars are as thick everywhere


def test_tensors_of_any_precision_are_taken_and_left_alone():
    half = torch.tensor(STEPS, dtype=torch.bfloat16, requires_grad=True)
    figures.next_tokens(half, Words(), torch.tensor([0, 3]), top=9)
    assert len(bars(drawn()[0])) == 4  # no more than there are
    assert half.dtype == torch.bfloat16


def test_diamonds_show_the_same_tokens_elsewhere():
    figures.next_tokens(STEPS, Words(), top=2, beside=STEPS[::-1], labels=("seen", "blind"))
    first, second = drawn()
    assert ticks(first.yaxis) == ticks(second.yaxis) == ["␣red", "\\n"]  # the likeliest of either
    assert first.lines[0].get_xdata() == pytest.approx([0.1, 0.4])
    assert second.lines[0].get_xdata() == pytest.approx([0.7, 0.05])
    (legend,) = plt.gcf().legends
    assert [text.get_text() for text in legend.texts] == ["seen", "blind"]


def test_panels_fill_rows_from_the_left():
    figures.next_tokens(np.tile(STEPS, (3, 1))[:5], Words(), columns=3)
    axes = drawn()
    assert len(axes) == 6 and not axes[5].axison
    assert axes[0].get_position().y0 == pytest.approx(axes[2].get_position().y0)
    assert axes[3].get_position().y1 < axes[0].get_position().y0


def test_spans_lie_end_to_end_in_one_colour_a_kind():
    rows = {
        "with": [("prefill", 8.0), ("decode", 2.0), ("decode", 3.0)],
        "without": [("decode", 9.0)],
    }
    figures.spans(rows, "ms")
    (ax,) = drawn()
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [
        (0, 8),
        (8, 2),
        (10, 3),
        (0, 9),
    ]
    prefill, *decodes = (bar.get_facecolor() for bar in ax.patches)
    assert set(decodes) == {matplotlib.colors.to_rgba(figures.PALETTE[1])} != {prefill}
    assert ticks(ax.yaxis) == ["with", "without"] and ax.get_xlabel() == "ms"
    assert [text.get_text() for text in ax.texts] == ["13 ms", "9 ms"]
    (legend,) = plt.gcf().legends
    assert [text.get_text() for text in legend.texts] == ["prefill", "decode"]


def test_spans_take_colours_and_leave_totals_out():
    figures.spans({"left": [("padding", 4)]}, "tokens", colors={"padding": "#123456"}, totals=False)
    (ax,) = drawn()
    assert ax.patches[0].get_facecolor() == matplotlib.colors.to_rgba("#123456")
    assert not ax.texts


def test_an_empty_figure_has_the_style_for_all_that_is_drawn_on_it():
    with figures.subplots(2, 2, size=(4, 3), sharey=True) as (figure, axes):
        axes[3].plot([0, 1], label="$5 and $6")
        axes[3].set(title="a title", xlabel="steps")
        axes[3].legend()
    *_, last = drawn()
    assert last is axes[3] and tuple(figure.get_size_inches()) == (4, 3)
    assert not last.spines["top"].get_visible() and last.title.get_fontsize() == 10
    assert not last.get_legend().get_texts()[0].get_parse_math()
    assert {label.get_color() for label in last.get_xticklabels()} == {figures.INK}
    assert {label.get_fontsize() for label in last.get_xticklabels()} == {9}


def test_a_figure_of_no_rows_is_refused_and_leaves_no_figure():
    with pytest.raises(ValueError, match="rows must be a whole number from 1 up, not 0"):
        with figures.subplots(0):
            pass
    assert not plt.get_fignums()


def test_no_two_colours_are_the_same():
    assert len({*figures.PALETTE, figures.GREY, figures.INK}) == len(figures.PALETTE) + 2


def test_jupyter_shows_each_figure_once_whatever_the_cell_ends_with(tmp_path):
    notebook = new_notebook(
        cells=[
            new_code_cell("import vlm_helpers as vh; grey = [[[128] * 3] * 4] * 4"),
            new_code_cell("import numpy as np; grey = np.uint8(grey); vh.figures.show(grey)"),
            new_code_cell("vh.figures.show(grey, 'grey')\nprint('and text')"),
            new_code_cell("vh.figures.spans({'a': [('b', 1)]}, 'ms')\n2 + 2"),
            new_code_cell("vh.figures.boxes(grey, [])"),  # which returns the figure
            new_code_cell("print('a')\nkept = vh.figures.boxes(grey, [])"),
            new_code_cell("kept"),
        ]
    )
    notebooks.run(notebook, tmp_path)
    shown = [[o.output_type for o in cell.outputs] for cell in notebook.cells]
    assert shown == [
        [],
        ["display_data"],
        ["stream", "display_data"],
        ["execute_result", "display_data"],
        ["display_data"],
        ["stream", "display_data"],
        ["display_data"],
    ]
    assert all("image/png" in c.outputs[-1].data for c in notebook.cells if c.outputs)


# --- architecture and prompts ---------------------------------------------------------------------


def texts_of(figure) -> str:
    return "\n".join(text.get_text() for ax in figure.axes for text in ax.texts)


def test_families_shows_every_part_by_its_name():
    figures.families(["fuyu", "cogvlm", "deepseek-vl"])
    shown = texts_of(plt.gcf())
    for words in ("Fuyu-8B", "no encoder", "visual expert", "SAM-B, 1024 px", "1,227 tokens"):
        assert words in shown
    with pytest.raises(ValueError, match="'fuyuu'"):
        figures.families(["fuyuu"])


def test_sequences_counts_pictures_and_words():
    figures.sequences({"one": [False, True, True, False]})
    (ax,) = plt.gcf().axes
    assert [bar.get_width() for bar in ax.patches[:3]] == [1, 2, 1]
    assert texts_of(plt.gcf()) == "2 + 2"
    with pytest.raises(ValueError, match="at least one token"):
        figures.sequences({"none": []})


def test_prompt_strips_shows_every_character_of_a_prompt_once():
    figures.prompt_strips({"a": [("user", "Hi\n"), ("special", "</s>")]})
    assert texts_of(plt.gcf()).replace("\n", "") == "aHi⏎</s>"
    figures.prompt_strips({"b": [("system", "x" * 300), ("assistant", "y" * 300)]})
    assert texts_of(plt.gcf()).count("x") == 48 and texts_of(plt.gcf()).count("y") == 300
    with pytest.raises(ValueError, match="kind 'tool'"):
        figures.prompt_strips({"c": [("tool", "z")]})
    with pytest.raises(ValueError, match="prompts is empty"):
        figures.prompt_strips({})


# --- boxes ----------------------------------------------------------------------------------------


def chips(ax):
    return {text.get_text(): text.get_window_extent() for text in ax.texts}


def test_boxes_points_and_outlines_stand_where_they_say():
    shapes = [
        boxes.Box(0.1, 0.2, 0.5, 0.6),
        boxes.Point(0.3, 0.4),
        boxes.Polygon(((0.1, 0.1), (0.9, 0.1), (0.5, 0.8))),
    ]
    assert figures.boxes(PICTURES[0], shapes, "three") is plt.gcf()
    (ax,) = drawn()
    assert ax.get_xlabel() == "three"
    rectangle = next(p for p in ax.patches if isinstance(p, Rectangle))
    assert rectangle.get_bbox().extents.tolist() == pytest.approx([0.1, 0.2, 0.5, 0.6])
    assert ax.lines[0].get_xydata().tolist() == [[0.3, 0.4]]
    outline = ax.patches[-1].get_xy()[:3].tolist()
    assert outline == [[0.1, 0.1], [0.9, 0.1], [0.5, 0.8]]


def test_chips_stay_inside_and_off_the_objects_and_each_other():
    found = [
        boxes.Box(0.02, 0.02, 0.3, 0.3, "in the corner"),
        boxes.Box(0.6, 0.5, 0.98, 0.9, "a large object"),
        boxes.Box(0.1, 0.5, 0.4, 0.8, "another"),
    ]
    figures.boxes(Image.new("RGB", (300, 300)), found)
    (ax,) = drawn()
    frame, labels = ax.get_window_extent(), chips(ax)
    assert set(labels) == {box.label for box in found}
    rectangles = [ax.transData.transform_bbox(p.get_bbox()) for p in ax.patches]
    for name, chip in labels.items():
        assert frame.x0 <= chip.x0 and chip.x1 <= frame.x1
        assert frame.y0 <= chip.y0 and chip.y1 <= frame.y1
        assert not any(chip.overlaps(other) for other in rectangles)
        assert not any(chip.overlaps(labels[other]) for other in labels if other != name)


def test_fourteen_boxes_on_a_photo_can_be_read():
    names = ["person", "car", "dog", "traffic light", "person on a bench"]
    places = [(0.05 + 0.24 * (i % 4), 0.05 + 0.24 * (i // 4)) for i in range(14)]
    found = [
        boxes.Box(x, y, x + 0.1 + 0.01 * i, y + 0.22, names[i % 5])
        for i, (x, y) in enumerate(places)
    ]
    figure = figures.boxes(Image.new("RGB", (1024, 768)), found)
    (ax,) = drawn()
    assert figure.get_figwidth() == 8 and {text.get_fontsize() for text in ax.texts} == {9}
    around = [text.get_window_extent() for text in ax.texts]
    assert len(around) == 14
    for i, chip in enumerate(around):
        assert not any(chip.overlaps(other) for other in around[:i])
    colors = {}
    for text in ax.texts:
        colors.setdefault(text.get_text(), set()).add(text.get_bbox_patch().get_facecolor())
    assert [len(of_one) for of_one in colors.values()] == [1] * 5  # a label has one colour,
    assert len(set.union(*colors.values())) == 5  # and it is its own


def test_a_label_has_one_colour_in_all_pictures_unless_colours_are_given():
    lists = [[boxes.Box(0, 0, 0.5, 0.5, name) for name in names] for names in ("ab", "bc", "")]

    def edges():
        return [[p.get_edgecolor() for p in ax.patches[1::2]] for ax in drawn()]

    figures.boxes(PICTURES, lists)
    first, second, _ = edges()
    assert first[1] == second[0] and len({*first, *second}) == 3
    plt.close("all")
    figures.boxes(PICTURES, lists, colors=["#ff0000", "#00ff00"])
    assert [edge[:3] for edge in edges()[1]] == [(1, 0, 0), (0, 1, 0)]


def test_several_pictures_have_a_list_each():
    figures.boxes(PICTURES, [[], [boxes.Box(0, 0, 1, 1)], []], ["a", "b", "c"])
    assert [len(ax.patches) for ax in drawn()] == [0, 2, 0]


def test_long_labels_are_cut_to_the_width_of_the_picture():
    label = "a very long label that says a lot about the object, $5 and $6_a, and then some more"
    figures.boxes(PICTURES, [[boxes.Box(0.1, 0.1, 0.4, 0.4, label)], [], []], columns=3)
    ax = drawn()[0]
    ((text, chip),) = chips(ax).items()
    assert text.endswith("…") and label.startswith(text[:-1]) and len(text) > 20
    frame = ax.get_window_extent()
    assert frame.x0 <= chip.x0 and chip.x1 <= frame.x1


def test_dollars_in_a_label_are_no_formula():
    figures.boxes(PICTURES[0], [boxes.Box(0.1, 0.1, 0.4, 0.4, "$x^$")])
    assert set(chips(drawn()[0])) == {"$x^$"}


def test_what_parse_gave_is_drawn_whole():
    parsed = boxes.parse("star <loc_00><loc_10><loc_20><loc_30>, <loc_09><loc_09>", "pocket-llava")
    figures.boxes(PICTURES[0], parsed)
    (ax,) = drawn()
    assert (len(ax.patches), len(ax.lines)) == (2, 1)
    plt.close("all")
    figures.boxes(PICTURES[:2], [parsed, []])
    assert [len(ax.patches) for ax in drawn()] == [2, 0]


@pytest.mark.parametrize(
    ("images", "shapes", "titles", "says"),
    [
        (PICTURES, [[]], None, "3 pictures came with 1 list"),
        ([], [], None, "no picture to show"),
        (PICTURES[:2], [[], []], ["one"], "2 pictures came with 1 title"),
    ],
)
def test_numbers_that_differ_are_refused(images, shapes, titles, says):
    with pytest.raises(ValueError, match=says):
        figures.boxes(images, shapes, titles)


def test_a_new_or_read_only_home_is_no_cause_for_warnings():
    """Elsewhere matplotlib begins a new list of fonts, and here says so at once, not after 5 s."""
    code = (
        "import threading, vlm_helpers\nTimer = threading.Timer\n"
        "threading.Timer = lambda _, warn: Timer(0, warn)\nimport matplotlib.pyplot"
    )
    environment = {**os.environ, "MPLCONFIGDIR": os.path.join(os.devnull, "matplotlib")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
