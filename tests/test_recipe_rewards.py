"""The rewards that ship, attacked; the truth of pages and scenes earns all of them."""

import json
import math

import pytest

import vlm_helpers as vh
from recipes import rewards
from vlm_helpers.training import RewardError, preflight_rewards

BOX, POINT = "<loc_10><loc_20><loc_30><loc_40>", "<loc_25><loc_30>"
OTHER = "<loc_00><loc_00><loc_63><loc_63>"
CORNERS = [0.3, 0.4, 0.5, 0.6]  # around POINT
RECEIPT = '{"shop": "A", "total": "1.50", "n": 1, "items": [{"a": "x", "b": null}], "none": null}'


def earned(reward, answer, **columns):
    """What one answer gets."""
    given = {name: [column] for name, column in columns.items()}
    (value,) = reward([[{"role": "assistant", "content": answer}]], **given, kind=["any"])
    assert isinstance(value, float) and math.isfinite(value) and 0 <= value <= 1
    return value


# What no reward pays for, whatever is right.
JUNK = (
    "", " ", "none of them", "nan", "inf", "-1e999", "null", "[]", "{}", "[" * 100_000, "x" * 9_000,
    "9" * 9_000, "<loc_99><loc_00>", "<loc_10><loc_20><loc_30>", "<think>", "\ufeff", "\ud800",
    '{"a":' * 900 + "1" + "}" * 900,
)  # fmt: skip
REWARDS = [
    (rewards.exact, "Yes", {"truth": "yes"}),
    (rewards.count, "3", {"truth": "3"}),
    (rewards.overlap, BOX, {"truth": BOX}),
    (rewards.click, POINT, {"box": CORNERS}),
    (rewards.fields, RECEIPT, {"truth": RECEIPT}),
]
GOOD = {reward: row for reward, _, row in REWARDS}


@pytest.mark.parametrize(("reward", "right", "row"), REWARDS, ids=lambda one: str(one)[:20])
def test_a_reward_pays_for_the_right_answer_alone(reward, right, row):
    assert earned(reward, right, **row) == earned(reward, f" {right}\n", **row) == 1
    cheats = (
        right + right, f"{right} {right}", f"{right}, {right}", f"The answer is {right}",
        f"{right} This is right.", f"```\n{right}\n```", f"[{right}]", f'"{right}"',
        f"{right}\n{OTHER}", f"{OTHER}{right}", f"{right[:-1]}", f"<think>{right}",
    )  # fmt: skip
    for answer in (*JUNK, *cheats):
        assert earned(reward, answer, **row) == 0, answer[:80]


@pytest.mark.parametrize(
    "answer", ["03", "3.0", "3e0", "+3", "-3", "33", "3 or 4", "3..", "٣", "³", "three", "3\n4"]
)
def test_a_count_is_one_whole_number_in_digits(answer):
    assert earned(rewards.count, answer, truth="3") == 0
    assert earned(rewards.count, "3.", truth=3) == 1 and earned(rewards.count, "0", truth=0) == 1


def test_the_overlap_is_the_iou_of_one_box_and_none_is_an_answer_of_its_own():
    assert earned(rewards.overlap, "none", truth="none") == 1
    for answer in ("None", "none.", BOX, ""):
        assert earned(rewards.overlap, answer, truth="none") == 0
    for answer in ("none", POINT, "<loc_30><loc_40><loc_10><loc_20>", "<loc_10>" * 4):
        assert earned(rewards.overlap, answer, truth=BOX) == 0
    assert earned(rewards.overlap, OTHER, truth=BOX) == pytest.approx(20 * 20 / 63**2)
    assert earned(rewards.overlap, "<loc_10> <loc_20> <loc_30> <loc_40>", truth=BOX) == 1


def test_a_click_is_one_point_in_the_element():
    for answer in (BOX, "<loc_01><loc_01>", "(0.4, 0.45)", f"{POINT}, <loc_01><loc_01>"):
        assert earned(rewards.click, answer, box=CORNERS) == 0
    assert earned(rewards.click, "<loc_00><loc_63>", box=[0, 0, 1, 1]) == 1


@pytest.mark.parametrize(
    ("change", "due"),
    [
        (("1.50", "1.5"), 0.8),
        (('"1.50"', "1.50"), 0.8),
        (('"n": 1', '"n": 1.0'), 0.8),
        (('"n": 1', '"n": true'), 0.8),
        (('"n": 1', '"n": "1"'), 0.8),
        (('"n": 1', '"n": 1e999'), 0.8),
        (('"b": null', '"b": 0'), 0.8),
        (('"n": 1, ', ""), 0.8),
        (('"n": 1', '"n": 1, "more": 1'), 5 / 6),
        (('"n": 1', '"n": 1, "n": 1'), 0),
        (('"b": null', '"b": 2, "b": null'), 0),
        (('"n": 1', '"n": NaN'), 0),
        (('"n": 1', '"n": -Infinity'), 0),
        (('"n": 1', '"n": ' + "9" * 9_000), 0),
        (("null}", "null,}"), 0),
        (("null", "None"), 0),
        (('"', "'"), 0),
    ],
)
def test_fields_are_told_apart(change, due):
    assert earned(rewards.fields, RECEIPT.replace(*change), truth=RECEIPT) == pytest.approx(due)


def test_json_may_be_written_in_other_ways():
    found = json.loads(RECEIPT)
    turned = {name: found[name] for name in reversed(found)}
    for answer in (json.dumps(turned, indent=1), json.dumps(found, separators=(",", ":"))):
        assert earned(rewards.fields, answer, truth=RECEIPT) == 1


@pytest.mark.parametrize(
    ("reward", "row", "says"),
    [
        (rewards.exact, {"truth": None}, "None is no text"),
        (rewards.count, {"truth": "three"}, "'three' is no whole number"),
        (rewards.count, {"truth": None}, "None is no whole number"),
        (rewards.overlap, {"truth": None}, "None is no text"),
        (rewards.overlap, {"truth": "yes"}, "'yes' is neither one box"),
        (rewards.overlap, {"truth": POINT}, "neither one box"),
        (rewards.click, {"box": None}, "None is no"),
        (rewards.click, {"box": [10, 20, 300, 40]}, "fractions of the picture"),
        (rewards.click, {"box": [0.5, 0, 0.4, 1]}, "is no .x0, y0, x1, y1."),
        (rewards.click, {"box": [0, 0, math.nan, 1]}, "is no .x0, y0, x1, y1."),
        (rewards.fields, {"truth": {"a": 1}}, "is no text"),
        (rewards.fields, {"truth": "[1]"}, "no JSON object with a field"),
        (rewards.fields, {"truth": "{}"}, "no JSON object with a field"),
    ],
)
def test_a_row_without_a_truth_is_named_before_the_training(reward, row, says):
    with pytest.raises(ValueError, match=says):
        earned(reward, "none", **row)
    prompt = {"prompt": [{"role": "user", "content": "What is there?"}]}
    with pytest.raises(RewardError, match="for row 1, .*" + says):
        preflight_rewards([prompt | GOOD[reward], prompt | row], reward)


@pytest.mark.parametrize(
    ("kind", "skill", "reward", "floor"),
    [
        ("receipt", "json", rewards.fields, 0.3),
        ("form", "json", rewards.fields, 0.3),
        ("receipt", "count", rewards.count, 0.5),
        ("things", "locate", rewards.overlap, 0.3),
        ("screen", "click", rewards.click, 0.3),
    ],
)
def test_the_truth_of_pages_earns_it_and_that_of_other_pages_does_not(kind, skill, reward, floor):
    pages = [vh.pages.sample(seed, "test", kind=kind) for seed in range(12)]
    asked = [one for page in pages for one in page.questions([skill])]
    answers = [question.answer for question in asked]
    columns = {"truth": answers, "box": [q.objects[0].box if q.objects else None for q in asked]}

    def mean(texts):
        given = [[{"role": "assistant", "content": text}] for text in texts]
        return sum(reward(given, **columns)) / len(texts)

    assert len(answers) >= 12 and mean(answers) == 1
    assert mean(answers[1:] + answers[:1]) < floor
