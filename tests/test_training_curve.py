"""LiveCurve: what it collects, what Jupyter is shown and how often, and that it is else quiet."""

import base64
import io
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

import vlm_helpers as vh
from vlm_helpers.training import LiveCurve, _curve


class Screen:
    """Stands where IPython's display handle would: keeps what is shown."""

    shown: list

    def display(self, bundle, raw):
        assert raw
        type(self).shown = [bundle]

    def update(self, bundle, raw):
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def jupyter(monkeypatch):
    monkeypatch.setattr(_curve, "_in_jupyter", lambda: True)
    monkeypatch.setattr("IPython.display.DisplayHandle", Screen)
    return Screen


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still but for what a test adds, and for 0.1 s a drawing."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(_curve, "time", clock)
    return clock


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(color, png):
    """Of all pixels, those of this colour."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return (abs(pixels(png) - rgb).max(axis=-1) < 6).mean()


@pytest.mark.filterwarnings("error")
def test_numbers_and_series_are_collected_by_panel():
    with LiveCurve(3, panels=("loss", "accuracy")) as curve:
        curve.add(0, accuracy={"color": 0, "shape": 0.25})
        curve.add(1, loss=torch.tensor(2.0, requires_grad=True))
        curve.add(3, loss=1.5, accuracy={"shape": 0.5})
    assert curve.history == {
        "loss": {"loss": [(1, 2.0), (3, 1.5)]},
        "accuracy": {"color": [(0, 0.0)], "shape": [(0, 0.25), (3, 0.5)]},
    }


def test_outside_jupyter_nothing_is_shown_and_no_figure_is_left(capfd):
    with LiveCurve(2) as curve:
        curve.add(1, loss=1.0)
    assert capfd.readouterr() == ("", "")
    assert plt.get_fignums() == []


def test_the_picture_changes_in_place_and_the_last_has_no_bar(jupyter, clock):
    with LiveCurve(4, every=1) as curve:
        for step in range(1, 5):
            clock.now += 10
            curve.add(step, loss=1 / step)
    sizes = [pixels(base64.b64decode(b["image/png"])).shape for b in jupyter.shown]
    assert len(sizes) == 6 and len(set(sizes)) == 1  # the empty axes, four steps, the end
    assert jupyter.shown[-1]["text/plain"] == "Learning curves, 4 of 4 steps: loss"
    *_, with_bar, last = (base64.b64decode(b["image/png"]) for b in jupyter.shown)
    assert share_of(vh.figures.BLUE, with_bar) > 2 * share_of(vh.figures.BLUE, last) > 0
    assert last == curve.png()


def test_the_bar_grows_with_the_steps(jupyter, clock):
    with LiveCurve(4, every=1) as curve:
        for step in (1, 4):
            clock.now += 10
            curve.add(step, loss=float("nan"))  # no line to count
    _, first, second, _ = (base64.b64decode(b["image/png"]) for b in jupyter.shown)
    ratio = share_of(vh.figures.BLUE, second) / share_of(vh.figures.BLUE, first)
    assert ratio == pytest.approx(4, rel=0.05)


def test_pictures_come_at_most_every_so_often(jupyter, clock):
    with LiveCurve(100, every=1) as curve:
        for step in range(1, 101):
            clock.now += 0.1
            curve.add(step, loss=1.0)
    assert 10 <= len(jupyter.shown) <= 12


def test_slow_drawing_takes_a_small_share_of_the_time(jupyter, clock, monkeypatch):
    draw = LiveCurve._draw

    def slowly(self, bar):
        clock.now += 1.0
        return draw(self, bar)

    monkeypatch.setattr(LiveCurve, "_draw", slowly)
    start = clock.now
    with LiveCurve(1000, every=0.5) as curve:
        for step in range(1, 1001):
            clock.now += 0.1
            curve.add(step, loss=1.0)
    drawn = len(jupyter.shown)
    assert drawn / (clock.now - start) < 0.07
    assert drawn > 3


def test_an_interrupted_loop_leaves_its_curve(jupyter, clock):
    with pytest.raises(KeyboardInterrupt):
        with LiveCurve(10) as curve:
            curve.add(1, loss=1.0)
            raise KeyboardInterrupt
    assert jupyter.shown[-1]["text/plain"] == "Learning curves, 1 of 10 steps: loss"


def test_the_readers_own_figure_stays_the_current_one(jupyter):
    mine = plt.figure()
    try:
        with LiveCurve(1) as curve:
            curve.add(1, loss=1.0)
        assert plt.gcf() is mine
        assert plt.get_fignums() == [mine.number]
    finally:
        plt.close(mine)


def test_in_a_real_kernel_one_picture_is_stored_and_nothing_printed():
    import nbformat
    from nbclient import NotebookClient

    source = """
import vlm_helpers as vh
with vh.training.LiveCurve(5, panels=("loss", "accuracy"), every=0) as curve:
    for step in range(1, 6):
        curve.add(step, loss=1 / step, accuracy={"a": step / 5})
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3", timeout=None).execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert output.data["text/plain"] == "Learning curves, 5 of 5 steps: loss, accuracy"
    assert Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).width == 800


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 up, not 0"),
        ({"steps": 1.5}, "not 1.5"),
        ({"steps": 5, "panels": ()}, "at least one"),
        ({"steps": 5, "panels": ("loss", "loss")}, "each panel once"),
        ({"steps": 5, "levels": {"accuracy": {"blind": 0.1}}}, "the panels are loss"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        LiveCurve(**arguments)


@pytest.mark.parametrize(
    ("step", "values", "error", "says"),
    [
        (11, {"loss": 1}, ValueError, "Step 11 cannot follow step 3: steps go up to 10"),
        (2, {"loss": 1}, ValueError, "Step 2 cannot follow step 3"),
        (4, {"los": 1}, ValueError, "no panel 'los'; the panels are loss, accuracy"),
        (4, {"loss": "high"}, TypeError, "loss must be a number, not 'high'"),
        (4, {"accuracy": {"a": None}}, TypeError, "accuracy, a must be a number, not None"),
        (4, {"loss": torch.zeros(2)}, TypeError, "loss must be a number, not tensor"),
        (4, {"loss": 1, "accuracy": {"a": None}}, TypeError, "accuracy, a"),
    ],
)
def test_a_point_that_cannot_be_is_refused_and_nothing_is_kept(step, values, error, says):
    curve = LiveCurve(10, panels=("loss", "accuracy"))
    curve.add(3, loss=2.0)
    with pytest.raises(error, match=says):
        curve.add(step, **values)
    assert curve.history == {"loss": {"loss": [(3, 2.0)]}, "accuracy": {}}


def test_naming_the_package_imports_nothing_heavy():
    code = (
        "import sys, vlm_helpers as vh; vh.training; "
        "sys.exit(bool({'torch', 'matplotlib.pyplot', 'IPython'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert dir(vh.training) == sorted(vh.training.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Curve'"):
        _ = vh.training.Curve


# --- the drawing itself ---------------------------------------------------------------------------


@pytest.fixture
def axes():
    def draw(*args, **options):
        assert vh.figures.curves(*args, **options) is None
        return plt.gcf().axes

    yield draw
    plt.close("all")


def test_a_series_has_one_colour_in_all_panels(axes):
    points = [(0, 0.1), (10, 0.2)]
    left, right = axes({"loss": {"a": points, "b": points}, "share right": {"b": points}})
    assert [line.get_color() for line in left.lines] == [vh.figures.BLUE, vh.figures.ORANGE]
    assert [line.get_color() for line in right.lines] == [vh.figures.ORANGE]
    assert right.get_ylim() == (-0.02, 1.02)
    assert (left.get_ylabel(), left.get_ylim()[0], left.get_xlabel()) == ("loss", 0, "step")


def test_a_long_series_is_smoothed_over_its_own_pale_values(axes):
    values = [(i, i % 2) for i in range(100)]
    (ax,) = axes({"loss": {"a": values}})
    pale, line = ax.lines
    assert pale.get_ydata().tolist() == [v for _, v in values]
    assert pale.get_alpha() < 0.5
    assert np.ptp(line.get_ydata()[10:-10]) < 0.2


def test_levels_are_named_lines(axes):
    (ax,) = axes({"loss": {"a": [(0, 3.0), (5, 1.0)]}}, levels={"loss": {"blind": 2.0}})
    assert ax.lines[0].get_ydata() == [2.0, 2.0]
    assert [text.get_text() for text in ax.texts] == ["blind"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (({},), "nothing to draw"),
        (({"loss": {}},), None),
    ],
)
def test_no_panel_is_refused_and_an_empty_one_is_not(axes, arguments, says):
    if says:
        with pytest.raises(ValueError, match=says):
            axes(*arguments)
    else:
        assert len(axes(*arguments)) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"done": 2}, "done says how many of steps are done: give steps too"),
        ({"done": 5, "steps": 4}, "done must be a whole number from 0 to 4, not 5"),
        ({"done": 0, "steps": 0}, "steps must be a whole number from 1 up, not 0"),
    ],
)
def test_a_bar_of_steps_that_cannot_be_is_refused(axes, options, says):
    with pytest.raises(ValueError, match=says):
        axes({"loss": {"a": [(0, 1.0)]}}, **options)


def test_levels_of_a_panel_that_is_not_there_are_refused(axes):
    with pytest.raises(ValueError, match="levels has 'accuracy'; the panels are loss"):
        axes({"loss": {}}, levels={"accuracy": {"blind": 0.1}})
