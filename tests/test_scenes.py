"""The scenes: the same everywhere, true to their own truth, and never leaking between splits."""

import hashlib
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vlm_helpers import scenes

TEST_SCENES = [scenes.sample(seed, "test") for seed in range(150)]


def facts(scene) -> str:
    things = [(o.shape, o.color, o.size, *(round(v, 9) for v in o.center)) for o in scene.objects]
    asked = [(q.skill, q.text, q.answer) for q in scene.questions()]
    return repr((things, scene.sign and (scene.sign.text, scene.sign.kind), asked))


def test_a_seed_gives_the_same_scene_for_ever():
    """The digest is what the first release drew: data sets and exercises stand on it."""
    text = "\n".join(
        facts(scenes.sample(seed, split)) for split in scenes.SPLITS for seed in range(40)
    )
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "e4bcc3b1a3101bff"


def test_picture_is_deterministic_rgb_and_large_enough_to_like():
    image = scenes.sample(5).image
    assert image.mode == "RGB" and image.size == (scenes.PICTURE_SIZE,) * 2
    assert image.tobytes() == scenes.sample(5).render().tobytes()


def test_splits_share_no_scene_and_only_one_holds_the_unseen_pairs():
    seen = {}
    for split in scenes.SPLITS:
        for seed in range(300):
            scene = scenes.sample(seed, split)
            key = tuple((o.shape, o.color, o.center) for o in scene.objects)
            assert key not in seen, f"{split}/{seed} is also {seen[key]}"
            seen[key] = f"{split}/{seed}"
            pairs = {(o.shape, o.color) for o in scene.objects} & set(scenes.UNSEEN_PAIRS)
            assert bool(pairs) == (split == "unseen_pairs")


def test_training_never_speaks_of_an_unseen_pair():
    unseen = re.compile("|".join(f"{color} {shape}" for shape, color in scenes.UNSEEN_PAIRS))
    for seed in range(200):
        scene = scenes.sample(seed)
        for question in scene.questions(per_skill=3):
            assert not unseen.search(question.text + question.answer), question


def test_every_shape_color_size_count_and_kind_of_sign_occurs():
    many = [scenes.sample(seed) for seed in range(400)]
    things = [o for scene in many for o in scene.objects]
    assert {o.shape for o in things} == set(scenes.SHAPES)
    assert {o.color for o in things} == set(scenes.COLORS)
    assert {o.size for o in things} == set(scenes.SIZES)
    assert {len(scene.objects) for scene in many} == {1, 2, 3, 4, 5, 6}
    assert {scene.sign.kind for scene in many if scene.sign} == {"number", "word"}
    assert 0.35 < np.mean([scene.sign is not None for scene in many]) < 0.55


def test_boxes_and_outlines_are_where_the_pixels_are():
    for scene in TEST_SCENES[:40]:
        picture = np.asarray(scene.image).astype(int)
        for thing in scene.objects:
            inside = Image.new("1", scene.image.size)
            corners = [
                (x * scenes.PICTURE_SIZE, y * scenes.PICTURE_SIZE) for x, y in thing.outline()
            ]
            ImageDraw.Draw(inside).polygon(corners, fill=1)
            close = np.abs(picture - scenes.COLORS[thing.color]).sum(-1) < 12
            mask = np.asarray(inside)
            assert close[mask].mean() > 0.6, (scene.seed, thing)  # the rest is its dark edge
            x0, y0, x1, y1 = (v * scenes.PICTURE_SIZE for v in thing.box)
            rows, columns = np.nonzero(mask)
            assert abs(columns.min() - x0) <= 2 and abs(columns.max() - x1) <= 2
            assert abs(rows.min() - y0) <= 2 and abs(rows.max() - y1) <= 2
            assert len(thing.outline(fine=False)) <= 12


def test_nothing_touches_or_leaves_the_picture():
    for scene in TEST_SCENES:
        boxes = [thing.box for thing in scene.objects] + ([scene.sign.box] if scene.sign else [])
        assert all(0 <= v <= 1 for box in boxes for v in box)
        for i, a in enumerate(scene.objects):
            for b in scene.objects[:i]:
                assert (
                    np.hypot(a.center[0] - b.center[0], a.center[1] - b.center[1])
                    > a.radius + b.radius
                )
        assert len({thing.name for thing in scene.objects}) == len(scene.objects)


def referred(scene, words):
    """The objects that `words` can mean, read without the code that wrote them."""
    fitting = scene.objects
    for word in words.split():
        for attribute, values in (
            ("size", scenes.SIZES),
            ("color", scenes.COLORS),
            ("shape", scenes.SHAPES),
        ):
            if word.rstrip("s") in {v.rstrip("s") for v in values}:
                fitting = [
                    o for o in fitting if getattr(o, attribute).rstrip("s") == word.rstrip("s")
                ]
    return fitting


@pytest.mark.parametrize("skill", ["color", "shape", "size"])
def test_attribute_questions_mean_one_object_and_get_its_attribute(skill):
    checked = 0
    for scene in TEST_SCENES:
        for question in scene.questions([skill], per_skill=3):
            words = re.sub(r"Is the (.*) small or large\?", r"\1", question.text)
            fitting = referred(scene, re.sub(r"[^\w ]|'s", " ", words))
            if question.answer == "none":
                assert not fitting
                continue
            assert len(fitting) == 1 and getattr(fitting[0], skill) == question.answer, question
            assert question.objects == tuple(fitting)
            checked += 1
    assert checked > 100


def test_counts_and_existence():
    answers = {"count": [], "exists": []}
    for scene in TEST_SCENES:
        for question in scene.questions(["count"], per_skill=3):
            words = re.sub(r"[^\w ]", " ", question.text.replace("crosses", "cross"))
            fitting = referred(scene, words.replace("objects", ""))
            assert question.answer == str(len(fitting)), question
            answers["count"].append(question.answer)
        for question in scene.questions(["exists"], per_skill=3):
            fitting = referred(scene, re.sub(r"[^\w ]", " ", question.text))
            assert question.answer == ("yes" if fitting else "no"), question
            answers["exists"].append(question.answer)
    assert set(answers["count"]) >= set("012345")
    assert 0.4 < np.mean([a == "yes" for a in answers["exists"]]) < 0.6


def test_relations_hold_plainly():
    offsets = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}
    seen = set()
    for scene in TEST_SCENES:
        for question in scene.questions(["relation"], per_skill=3):
            a, b = question.objects
            dx, dy = offsets[question.answer]
            gap = (a.center[0] - b.center[0]) * dx + (a.center[1] - b.center[1]) * dy
            other = abs(a.center[0] - b.center[0]) * abs(dy) + abs(a.center[1] - b.center[1]) * abs(
                dx
            )
            assert gap > 0.1 and gap > other, question
            assert question.text.index(a.name) != question.text.index(b.name)
            seen.add(question.answer)
    assert seen == set(offsets)


def test_yes_no_relations_and_comparisons():
    for scene in TEST_SCENES:
        for question in scene.questions(["relation_yes_no"], per_skill=3):
            a, b = question.objects
            x, y = a.center[0] - b.center[0], a.center[1] - b.center[1]
            says = {"left": -x, "right": x, "above": -y, "below": y}
            asked = next(side for side in says if side in question.text)
            assert (says[asked] > 0.05) == (question.answer == "yes"), question
        for question in scene.questions(["compare"], per_skill=3):
            if question.text.startswith("Which is"):
                other = [o for o in question.objects if f"the {o.name}" != question.answer]
                chosen = [o for o in question.objects if f"the {o.name}" == question.answer]
                larger = chosen[0].size == "large" and other[0].size == "small"
                assert larger == ("larger" in question.text)


def test_location_answers_lead_back_to_the_object():
    for scene in TEST_SCENES:
        for question in scene.questions(["locate", "point", "outline"], per_skill=2):
            values = [
                (int(v) + 0.5) / scenes.N_LOCATIONS
                for v in re.findall(r"<loc_(\d\d)>", question.answer)
            ]
            if question.answer == "none":
                assert not question.objects
            elif question.objects:
                (thing,) = question.objects
                expected = {
                    "locate": list(thing.box),
                    "point": list(thing.center),
                    "outline": [v for point in thing.outline(fine=False) for v in point],
                }[question.skill]
                assert np.abs(np.array(values) - expected).max() <= 0.5 / scenes.N_LOCATIONS + 1e-9


def test_multiple_choice_has_one_right_letter_in_every_position():
    letters = []
    for scene in TEST_SCENES:
        for question in scene.questions(["choice"], per_skill=2):
            assert len(set(question.choices)) == len(question.choices) in (2, 3, 4)
            right = question.choices["ABCD".index(question.answer)]
            assert f"{question.answer}. {right}\n" in question.text
            letters.append(question.answer)
    assert all(letters.count(letter) > 10 for letter in "ABCD")
    with pytest.raises(ValueError, match="exactly one"):
        scenes.multiple_choice("What color is it?", ["red", "blue"], "green")
    with pytest.raises(ValueError, match="2 to 4 choices"):
        scenes.multiple_choice("What color is it?", ["red"], "red")


def test_captions_name_every_object_once():
    for scene in TEST_SCENES[:40]:
        for style in ("short", "detailed", "grounded"):
            text = scene.caption(style)
            assert sum(text.lower().count(f"a {o.description}") for o in scene.objects) == len(
                scene.objects
            )
        if scene.sign:
            assert "sign" in scene.caption() and scene.sign.text in scene.caption("detailed")
    with pytest.raises(ValueError, match="'short'"):
        TEST_SCENES[0].caption("poem")


def test_messages_are_rows_that_datasets_and_trl_take():
    row = scenes.sample(1).messages(turns=3)
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 3
    parts = [part for message in row["messages"] for part in message["content"]]
    assert [part["type"] for part in parts].count("image") == len(row["images"]) == 1
    assert row["messages"][0]["content"][0] == {"type": "image"}


def test_questions_differ_within_a_skill_and_follow_their_seed():
    scene = scenes.sample(4, "test", n_objects=4)
    asked = scene.questions(["count"], per_skill=5)
    assert len({q.text for q in asked}) == len(asked) == 5
    assert asked == scene.questions(["count"], per_skill=5)
    assert asked != scene.questions(["count"], per_skill=5, seed=1)


def test_no_skills_no_questions():
    scene = scenes.sample(4, "test")
    assert scene.questions([]) == scene.questions(()) == []
    assert {q.skill for q in scene.questions()} == {q.skill for q in scene.questions(None)} != set()


def test_the_smallest_picture_has_room_for_any_sign():
    for sign in ("1", "900", "tickets"):
        for supersample in (1, 2):
            image = scenes.sample(3, sign=sign).render(16, supersample)
            assert image.size == (16, 16)


def test_a_scene_can_be_ordered():
    assert len(scenes.sample(2, n_objects=np.int64(5)).objects) == 5
    scene = scenes.sample(2, n_objects=5, sign="stop", shapes=("moon", "heart"))
    assert len(scene.objects) == 5 and scene.sign.text == "stop"
    assert {o.shape for o in scene.objects} <= {"moon", "heart"}
    assert scenes.sample(2, sign=False).sign is None


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: scenes.sample("3"), TypeError, "whole number"),
        (lambda: scenes.sample(True), TypeError, "whole number"),
        (lambda: scenes.sample(1, "tset"), ValueError, "no split 'tset'.*'test'"),
        (lambda: scenes.sample(1, n_objects=0), ValueError, "1 to 6"),
        (lambda: scenes.sample(1, n_objects=7), ValueError, "1 to 6"),
        (lambda: scenes.sample(1, n_objects=True), ValueError, "whole number from 1 to 6.*True"),
        (lambda: scenes.sample(1, n_objects=2.0), ValueError, "whole number from 1 to 6.*2.0"),
        (lambda: scenes.sample(1).render(0), ValueError, "^size .* from 16 up, not 0"),
        (lambda: scenes.sample(1).render(1), ValueError, "^size .* from 16 up, not 1"),
        (lambda: scenes.sample(1).render(64.0), ValueError, "^size must be a whole number"),
        (lambda: scenes.sample(1).render(64, 0), ValueError, "^supersample .* from 1 up, not 0"),
        (lambda: scenes.sample(1).messages(skills=[]), ValueError, r"of the skills \[\]"),
        (lambda: scenes.sample(1, shapes=("blob",)), ValueError, "no shape 'blob'.*circle"),
        (
            lambda: scenes.sample(1, sign="a very long sign"),
            ValueError,
            "one word or number that fits",
        ),
        (lambda: scenes.sample(1).questions(["colour"]), ValueError, "no skill 'colour'.*color"),
    ],
)
def test_bad_input_gets_one_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()
