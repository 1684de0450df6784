"""Screens: what can be clicked lies where the truth says, and is found by what one wants."""

from collections import Counter

import numpy as np
import pytest

from vlm_helpers import pages
from vlm_helpers._questions import location_tokens
from vlm_helpers.pages import _screen
from vlm_helpers.pages._apps import APPS, ENTRIES, ICONS

MANY = [pages.sample(seed, "test", kind="screen") for seed in range(160)]
UNSEEN = [pages.sample(seed, "unseen_styles", kind="screen") for seed in range(60)]


def asked(skill, per_skill=2, some=MANY):
    return [(page, q) for page in some for q in page.questions(skill, per_skill)]


def clickable(page):
    return [element for element in page.elements if element.role in _screen.CLICKABLE]


def test_every_screen_shows_its_fields():
    for page in MANY + UNSEEN:
        fields = page.fields
        assert page.get("title").text == fields["title"]
        for path in ("tabs", "rows", "buttons"):
            for i, text in enumerate(fields.get(path, ())):
                assert page.get(f"{path}.{i}").text == text and text in page.text
        for label, value in fields.get("entries", {}).items():
            assert page.get(f"entries.{label}").text == value
            assert f"{label} {value}".strip() in page.text.replace("\n", " ")
        for i, icon in enumerate(fields["icons"]):
            assert page.get(f"icons.{i}").role == "icon" and icon in ICONS


def test_what_can_be_clicked_does_not_overlap_and_can_be_hit():
    for page in MANY + UNSEEN:
        width, height = page.size
        shown = clickable(page)
        for i, one in enumerate(shown):
            x0, y0, x1, y1 = one.box
            assert (x1 - x0) * width >= 7 and (y1 - y0) * height >= 7, (page.key, one)
            for other in shown[:i]:
                wide = min(x1, other.box[2]) - max(x0, other.box[0])
                high = min(y1, other.box[3]) - max(y0, other.box[1])
                assert wide * width < 1 or high * height < 1.01, (page.key, one, other)


def test_letters_are_large_enough_to_read():
    sizes = [run.size for page in MANY + UNSEEN for run in page.canvas.texts]
    assert min(sizes) >= 7.5 and max(sizes) <= 16.5


def test_a_click_goes_to_what_fits_the_wish():
    names = Counter()
    for page, question in asked("click", 3):
        (target,) = question.objects
        assert question.answer == location_tokens([target.center])
        assert question.answer in question.candidates
        intents = _screen._intents(page)
        wish = [name for name, wishes in intents.items() if any(
            question.text.endswith((f" to {w}?", f" to {w}.", f" to {w}: where do you click?"))
            for w in wishes
        )]  # fmt: skip
        assert wish == [target.name], question
        if "dialog" in page.fields:
            assert target.name.startswith("dialog.")
        names[target.name.split(".")[0]] += 1
    assert set(names) >= {
        "icons",
        "tabs",
        "entries",
        "boxes",
        "choice",
        "rows",
        "buttons",
        "dialog",
    }


def test_every_wish_is_named_once_in_its_program():
    """Whatever is shown together, no wish fits two elements."""
    for key, app in APPS.items():
        wishes = [w for ws in app.buttons.values() for w in ws]
        wishes += [w for ws in app.tabs.values() for w in ws]
        wishes += [w for pair in app.boxes.values() for w in pair]
        wishes += [w for label in app.entries for w in ENTRIES.get(label, ())]
        wishes += [w for icon in app.icons for w in ICONS[icon]]
        for options in app.choices.values():
            wishes += [w for ws in options.values() for w in ws]
        assert len(wishes) == len(set(wishes)), key
        labels = [*app.buttons, *app.tabs, *app.entries, *app.boxes, *app.choices]
        assert len(labels) == len(set(labels)), key
        for buttons in app.dialogs.values():
            answers = [w for ws in buttons.values() for w in ws]
            assert len(answers) == len(set(answers))


def test_boxes_are_ticked_as_stated():
    """A box and its clearing differ inside the box, and nowhere else."""
    checked = 0
    for page in MANY[:60]:
        for label, state in list(page.fields.get("boxes", {}).items())[:1]:
            other = page.with_field(f"boxes.{label}", "no" if state == "yes" else "yes")
            changed = np.asarray(page.image).astype(int) - np.asarray(other.image)
            ys, xs = np.nonzero(np.abs(changed).sum(-1))
            x0, y0, x1, y1 = np.multiply(page.get(f"boxes.{label}").box, page.size * 2)
            assert len(ys) >= 4 and x0 - 1 <= xs.min() and xs.max() <= x1 + 1
            assert y0 - 1 <= ys.min() and ys.max() <= y1 + 1
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("skill", ["ticked", "toggle", "dialog"])
def test_both_answers_are_as_likely(skill):
    some = [pages.sample(seed, "train", kind="screen") for seed in range(500)]
    answers = Counter(q.answer for _, q in asked(skill, 1, some))
    one, other = ("on", "off") if skill == "toggle" else ("yes", "no")
    assert answers[one] / (answers[one] + answers[other]) == pytest.approx(0.5, abs=0.12)


def test_states_are_right():
    for page, question in asked("ticked") + asked("toggle"):
        (target,) = question.objects
        label = target.name.removeprefix("boxes.")
        boxes = page.fields["boxes"]
        ticked = list(boxes.values()).count("yes")
        if question.skill == "ticked":
            assert question.answer == boxes[label]
        elif question.answer in ("on", "off"):
            assert question.answer == {"yes": "off", "no": "on"}[boxes[label]]
        else:
            assert int(question.answer) - ticked == {"yes": -1, "no": 1}[boxes[label]]
    for page, question in asked("tab"):
        assert question.answer == page.fields["open"]
    for page, question in asked("chosen"):
        assert question.answer == page.fields["choice"]["chosen"]
    for _, question in asked("entry"):
        assert question.answer == (question.objects[0].text or "none")


def test_what_cannot_be_shown_is_said():
    boxes = next(page for page in MANY if "boxes" in page.fields)
    label = next(iter(boxes.fields["boxes"]))
    with pytest.raises(
        ValueError, match="A box is ticked, 'yes', or not, 'no'; 'maybe' is neither"
    ):
        boxes.with_field(f"boxes.{label}", "maybe")
    tabs = next(page for page in MANY if "tabs" in page.fields and "dialog" not in page.fields)
    with pytest.raises(ValueError, match="There is no tab 'Nowhere'; there"):
        tabs.with_field("open", "Nowhere")
    with pytest.raises(ValueError, match="There is no program 'mial'; did you mean 'mail'"):
        tabs.with_field("app", "mial")
    renamed = tabs.with_field("buttons.0", "Zig").with_field("title", "Zag")
    assert renamed.get("buttons.0").text == "Zig" in renamed.text
    assert all(q.objects[0].text != "Zig" for q in renamed.questions("click", 9))
    choice = next(page for page in MANY if "choice" in page.fields)
    with pytest.raises(ValueError, match="'Nothing' cannot be chosen; there are"):
        choice.with_field("choice.chosen", "Nothing")
    with pytest.raises(ValueError, match="too full: shorten its texts"):
        MANY[0].with_field("title", "x" * 90)
