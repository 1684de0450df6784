"""Scenes of things: drawn as documented, boxes that are tight, questions with one right answer."""

import statistics
from collections import Counter

import numpy as np
import pytest

from vlm_helpers import pages
from vlm_helpers._draws import Draws
from vlm_helpers.pages import _settings, _things, atlas
from vlm_helpers.pages._canvas import Canvas

KNOWN = atlas.things()
MANY = [pages.sample(seed, "train", kind="things") for seed in range(240)]
ALL_STYLES = [pages.sample(s, split, kind="things") for s in range(40) for split in pages.SPLITS]


def asked(skill, per_skill=2, some=MANY):
    """(page, question) of one skill."""
    return [(page, q) for page in some for q in page.questions(skill, per_skill)]


def things_in(page):
    return [element for element in page.elements if element.role == "thing"]


def test_elements_are_the_things_of_the_fields_in_their_order():
    for page in ALL_STYLES:
        shown = things_in(page)
        assert [element.text for element in shown] == page.fields["things"]
        assert [element.name for element in shown] == [f"things.{i}" for i in range(len(shown))]
        assert 2 <= len(shown) <= _things.MOST and page.text == ""


def test_sizes_are_as_promised_and_nothing_overlaps():
    for page in ALL_STYLES:
        width, height = page.size
        boxes = []
        for element in things_in(page):
            x0, y0, x1, y1 = np.multiply(element.box, (width, height, width, height))
            assert 29 <= max(x1 - x0, y1 - y0) <= 89, (page.key, element)
            boxes.append((x0, y0, x1, y1))
        for i, (x0, y0, x1, y1) in enumerate(boxes):
            for u0, v0, u1, v1 in boxes[:i]:
                assert x1 <= u0 + 1 or u1 <= x0 + 1 or y1 <= v0 + 1 or v1 <= y0 + 1, page.key


def test_boxes_are_tight_around_what_is_painted():
    """Alone on magenta, a thing's ink reaches from edge to edge of its box, and not beyond."""
    for page in ALL_STYLES[:40]:
        boxes = [mark.box for mark in page.canvas.marks]
        for call in page.canvas._calls:
            if call[0] == "_picture" and call[2] is not _things._shadow:
                alone = Canvas(*page.size, (255, 0, 255))
                alone._calls = [call]
                ink = np.abs(np.asarray(alone.draw()).astype(int) - (255, 0, 255)).sum(-1) > 60
                ys, xs = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
                seen = (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1)
                off = [np.abs(np.subtract(box, seen)).max() for box in boxes]
                assert min(off) <= 1, (page.key, seen)
                boxes.pop(int(np.argmin(off)))
        assert not boxes


def test_the_held_out_artist_draws_the_unseen_split_and_no_other():
    for split in pages.SPLITS:
        for seed in range(5):
            calls = pages.sample(seed, split, kind="things").canvas._calls
            drawn = [c[2] for c in calls if c[0] == "_picture" and c[2] is not _things._shadow]
            styles = {cut_out.keywords["style"] for cut_out in drawn}
            assert styles == {"fluent" if split == "unseen_styles" else "noto"}


def test_what_stands_together_is_as_documented():
    drawn = [_things.facts(Draws(f"{i}"), "train") for i in range(6000)]
    themed = [fields for fields in drawn if fields["theme"] != "none"]
    assert len(themed) / len(drawn) == pytest.approx(0.75, abs=0.02)
    for name, theme in KNOWN.themes.items():
        of_it = [set(fields["things"]) for fields in themed if fields["theme"] == name]
        assert len(of_it) / len(themed) == pytest.approx(1 / len(KNOWN.themes), abs=0.015)
        for thing in theme.core:
            share = statistics.mean(thing in there for there in of_it)
            assert share == pytest.approx(_things.CORE, abs=0.12), (name, thing)
        others = statistics.mean(len(there & set(theme.others)) for there in of_it)
        assert others == pytest.approx(3.17 * 0.75, abs=0.35)
    several = statistics.mean(len(set(f["things"])) < len(f["things"]) for f in drawn)
    assert several == pytest.approx(_things.SEVERAL * 0.88, abs=0.03)
    assert {name for fields in drawn for name in fields["things"]} == set(KNOWN.names)
    for fields in drawn:
        counted = Counter(fields["things"])
        assert all(n == 1 for name, n in counted.items()
                   if name in KNOWN.single | KNOWN.plurals | KNOWN.stuff)  # fmt: skip


@pytest.mark.parametrize(
    "skill", ["exists_random", "exists_popular", "exists_adversarial", "relation_yes_no"]
)
def test_yes_and_no_are_balanced(skill):
    answers = Counter(q.answer for _, q in asked(skill))
    assert set(answers) == {"yes", "no"}
    assert answers["yes"] / answers.total() == pytest.approx(0.5, abs=0.06)


def test_exists_is_true_and_asks_for_nothing_that_goes_by_the_same_name():
    forms = {_things.a(name): name for name in KNOWN.names}
    for setting in ("random", "popular", "adversarial"):
        for page, question in asked(f"exists_{setting}"):
            text = question.text.removesuffix(" in the picture?").removesuffix("?")
            name = forms[text.split("there ")[-1].split("see ")[-1]]
            assert (name in page.fields["things"]) == (question.answer == "yes"), question
            assert {e.text for e in question.objects} == ({name} & set(page.fields["things"]))
            if question.answer == "no":
                assert not KNOWN.near.get(name, set()) & set(page.fields["things"]), question


def test_popes_three_settings_ask_for_what_they_say():
    """Absent things: any; the commonest of all pictures; those that fit to what is there."""
    alone = Counter(name for page in MANY for name in set(page.fields["things"]))
    common, fitting = {}, {}
    for setting in ("random", "popular", "adversarial"):
        names, fits = [], []
        for number, page in enumerate(MANY):
            theme = page.fields["theme"]
            if theme == "none":
                continue
            name = _things.absent(page.fields["things"], setting, Draws(f"{setting}{number}"))
            assert name not in page.fields["things"]
            names.append(alone[name])
            of_it = KNOWN.themes[theme].core + KNOWN.themes[theme].others
            fits.append(name in of_it)
        common[setting], fitting[setting] = statistics.mean(names), statistics.mean(fits)
    assert common["popular"] > 2 * common["random"]
    assert fitting["adversarial"] > 0.85 and fitting["popular"] < 0.25 > fitting["random"]


def test_a_missing_core_thing_is_what_fits_best():
    core = KNOWN.themes["kitchen"].core
    for missing in core:
        there = [name for name in core if name != missing]
        scores = dict(zip(KNOWN.names, _things.likely(there)))
        assert max((n for n in KNOWN.names if n not in there), key=scores.get) == missing


def test_names_and_groups_are_those_of_the_thing_that_is_meant():
    for page, question in asked("name") + asked("group"):
        (thing,) = question.objects
        right = {"name": thing.text, "group": KNOWN.groups[thing.text]}[question.skill]
        assert question.answer == right and question.answer in question.candidates
        if "most thing" in question.text or "lowest" in question.text:
            axis = 0 if "left" in question.text or "right" in question.text else 1
            sign = -1 if "right" in question.text or "lowest" in question.text else 1
            first = min(things_in(page), key=lambda e: sign * e.center[axis])
            assert first == thing
        else:
            assert pages._page._questions.box_tokens(thing.box) in question.text


def test_counts_are_right():
    plurals = {_things.plural(name): name for name in KNOWN.names}
    groups = {word: group for group, word in _things.COUNTED.items()}
    zero = several = 0
    for page, question in asked("count"):
        names = page.fields["things"]
        what = question.text.removeprefix("How many ").removeprefix("Count the ")
        what = what.removesuffix(" are there?").removesuffix(" do you see?").removesuffix(".")
        if what == "things":
            right = len(names)
        elif what in groups:
            right = sum(KNOWN.groups[name] == groups[what] for name in names)
        else:
            right = names.count(plurals[what])
        assert question.answer == str(right) == str(len(question.objects)), question
        zero += right == 0
        several += right > 1
    assert zero > 12 and several > 60


def test_relations_are_clear():
    for page, question in asked("relation"):
        one, other = question.objects
        dx = (one.center[0] - other.center[0]) * page.size[0]
        dy = (one.center[1] - other.center[1]) * page.size[1]
        side = ("left" if dx < 0 else "right") if abs(dx) > abs(dy) else (
            "above" if dy < 0 else "below"
        )  # fmt: skip
        assert question.answer == side and max(abs(dx), abs(dy)) >= 30
        assert page.fields["things"].count(one.text) == page.fields["things"].count(other.text) == 1
    assert len({q.answer for _, q in asked("relation")}) == 4


def test_knowledge_has_one_right_answer():
    by_word = {fact.one: fact for fact in KNOWN.facts.values()}
    by_words = {fact.many: fact for fact in KNOWN.facts.values()}
    answers = Counter()
    for page, question in asked("knowledge", 4):
        names = set(page.fields["things"])
        text = question.text.removesuffix("?")
        if text.startswith("Is "):
            (thing,) = question.objects
            fact = next(fact for one, fact in by_word.items() if text.endswith("> " + one))
            assert names & fact.yes and names & fact.no
            assert thing.text in (fact.yes if question.answer == "yes" else fact.no), question
            answers[question.answer] += 1
            continue
        if text.startswith("How many"):
            words = text.removeprefix("How many things here ")
            fact = by_words[words.removeprefix("How many things in the picture ")]
            right = str(sum(name in fact.yes for name in page.fields["things"]))
        else:
            fact = next(fact for one, fact in by_word.items() if text.endswith(" " + one))
            (right,) = names & fact.yes
        assert names <= fact.yes | fact.no and question.answer == right, question
    assert answers["yes"] / answers.total() == pytest.approx(0.5, abs=0.1)


def test_the_odd_one_is_the_only_one_of_another_group():
    alone = 0
    for page, question in asked("odd_one_out"):
        among = question.candidates
        groups = Counter(KNOWN.groups[name] for name in among)
        assert len(groups) == 2 and sorted(groups.values())[0] == 1 and len(among) >= 4
        assert groups[KNOWN.groups[question.answer]] == 1
        assert not any(name in KNOWN.also for name in among)
        alone += ":" not in question.text
        if ":" not in question.text:
            assert set(among) == set(page.fields["things"])
    assert alone > 10


def test_multiple_choice_has_one_right_option():
    by_word = {fact.one: fact for fact in KNOWN.facts.values()}
    for _, question in asked("choice"):
        right = question.choices["ABCD".index(question.answer)]
        assert len(set(question.choices)) == len(question.choices) in (3, 4)
        if question.text.startswith("Which of these"):
            fact = by_word[question.text.split("\n")[0][len("Which of these ") : -1]]
            assert right in fact.yes and set(question.choices) - {right} <= fact.no
    letters = Counter(q.answer for _, q in asked("choice"))
    assert max(letters.values()) < 0.5 * letters.total()


def test_captions_name_all_and_nothing_else():
    for page in MANY[:60]:
        (question,) = page.questions("caption")
        for name, n in Counter(page.fields["things"]).items():
            shown = _things.a(name) if n == 1 else f"{_things.NUMBERS[n]} {_things.plural(name)}"
            assert shown in question.answer.lower() or shown in question.answer
        (grounded,) = page.questions("grounded_caption")
        assert grounded.answer.count("<loc_") == 4 * len(page.fields["things"])


def test_words():
    assert [_things.a(n) for n in ("owl", "unicorn", "cow", "bread", "skis")] == [
        "an owl", "a unicorn", "a cow", "bread", "skis",
    ]  # fmt: skip
    names = ("cherry", "bus", "box", "sandwich", "fly", "wolf", "sheep", "toothbrush", "tulip")
    assert [_things.plural(n) for n in names[1:]] == [
        "buses", "boxes", "sandwiches", "flies", "wolves", "sheep", "toothbrushes", "tulips",
    ]  # fmt: skip
    assert len({_things.plural(n) for n in KNOWN.names}) == len(KNOWN.names)


def test_every_setting_is_painted_all_over():
    settings = {theme.setting for theme in KNOWN.themes.values()} | {"plain"}
    for setting in sorted(settings):
        for seed in range(6):
            canvas = Canvas(192, 288, (1, 254, 3))
            horizon = _settings.paint(canvas, setting, Draws(f"{setting}{seed}"), seed > 3)
            assert 0 <= horizon < 0.7 * 288
            bare = (np.asarray(canvas.draw()) == (1, 254, 3)).all(-1)
            assert not bare.any(), setting


def test_a_picture_shows_the_things_one_names():
    page = pages.picture_of(["cow", "kite", "cow"], "farm", seed=4)
    assert [element.text for element in things_in(page)] == ["cow", "kite", "cow"]
    assert page.questions("theme")[0].answer == "farm" and page.questions("list")
    assert page.image == pages.picture_of(["cow", "kite", "cow"], "farm", seed=4).image
    assert page.image != pages.picture_of(["cow", "kite", "cow"], "farm", seed=5).image
    assert things_in(pages.picture_of(["bread"]))[0].text == "bread"


@pytest.mark.parametrize(
    "things, theme, named",
    [
        ("cow", "farm", "'cow'"), (["cow", 3], "farm", "3"), ([], "farm", "not 0"),
        (["cow"] * 10, "farm", "not 10"), (["cwo"], "farm", "'cow'"), (["cow"], "fram", "'farm'"),
        (["bread", "bread"], "farm", "'bread' once"),
    ],
)  # fmt: skip
def test_what_no_picture_can_show_is_named(things, theme, named):
    with pytest.raises((TypeError, ValueError), match=named):
        pages.picture_of(things, theme)


def test_a_thing_can_be_swapped_and_the_others_stay():
    page = MANY[0]
    other = page.with_field("things.0", "dragon")
    assert other.get("things.0").text == "dragon"
    assert [e.box for e in things_in(other)[1:]] == [e.box for e in things_in(page)[1:]]
    assert page.with_field("theme", "ocean").image.tobytes() != page.image.tobytes()
    with pytest.raises(ValueError, match="no thing 'dragn'; did you mean 'dragon'"):
        page.with_field("things.0", "dragn")
    with pytest.raises(ValueError, match="no theme 'kitchn'; did you mean 'kitchen'"):
        page.with_field("theme", "kitchn")
