"""Rewards before a training: what they may not do, and whether there is anything to learn."""

import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import vlm_helpers as vh
from vlm_helpers.training import PreflightError, RewardError, preflight_rewards

GREY = Image.new("RGB", (96, 96), "grey")


def row(text="What color is the star?", images=(GREY,), **columns):
    parts = [{"type": "image"}] * len(images) + [{"type": "text", "text": text}]
    return {"prompt": [{"role": "user", "content": parts}], "images": list(images), **columns}


def texts(completions):
    return [completion[0]["content"] for completion in completions]


def exact(completions, truth, **columns):
    return [float(text.strip() == right) for text, right in zip(texts(completions), truth)]


async def nothing_yet(completions, **columns):
    return [math.nan] * len(completions)


async def right(completions, truth, **columns):
    return exact(completions, truth)


@pytest.mark.parametrize(
    "reward",
    [
        right,
        lambda completions, truth, **_: np.array(exact(completions, truth)) > 0.5,
        lambda completions, truth, **_: torch.tensor(exact(completions, truth)) > 0.5,
        lambda completions, truth, **_: (value for value in exact(completions, truth)),
        lambda completions, truth, **_: [*map(np.bool_, exact(completions, truth))],
    ],
)
def test_what_trl_takes_is_taken(reward):
    assert preflight_rewards([row(truth="red")], reward).rows == 1


@pytest.mark.parametrize("name", ["prompts", "completions", "trainer_state", "log_extra"])
def test_a_column_that_trl_would_trip_over_is_told(name):
    with pytest.raises(PreflightError, match=f"the column '{name}' has the name of what TRL"):
        preflight_rewards([row(**{name: "x"})], exact)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rewards": None}, TypeError, "The rewards must be functions"),
        ({"weights": [None]}, ValueError, r"weights\[0\] must be a finite number, not None"),
        ({"weights": 2}, ValueError, "1 rewards and 0 weights"),
        ({"vlm": "pocket-llava"}, TypeError, "vlm is of type str: it must be a VLM"),
    ],
)
def test_options_that_cannot_be_are_told(options, error, words):
    with pytest.raises(error, match=words):
        preflight_rewards(**{"rows": [row(truth="red")], "rewards": exact, **options})


def test_a_reward_is_called_as_trl_calls_it():
    calls = []

    def spy(prompts, completions, completion_ids, trainer_state, log_extra, log_metric, **columns):
        assert len(prompts) == len(completions) == len(completion_ids) == len(columns["truth"])
        assert "prompt" not in columns and trainer_state.global_step == 0
        log_metric("seen", 1.0)
        log_extra("answers", texts(completions))
        calls.append(texts(completions))
        return [0.5] * len(completions)

    report = preflight_rewards([row(truth="red"), row(truth="blue")], spy)
    assert str(report) == "2 rows can be learnt from."
    assert len(calls) == 2 and "" in calls[1]  # for every row


@pytest.mark.parametrize(
    ("reward", "why"),
    [
        (lambda completions, **_: [float(t) for t in texts(completions)], "raises ValueError to"),
        (lambda completions, **_: [math.nan] * len(completions), "gives nan"),
        (lambda completions, **_: [-math.inf] * len(completions), "gives -inf"),
        (lambda completions, **_: [None] * len(completions), "gives None"),
        (lambda completions, **_: ["1"] * len(completions), "gives '1'"),
        (lambda completions, **_: [0.0], "gives 1 number for 6 answers"),
        (lambda completions, **_: 0.0, "gives 'float', and must give a list"),
        (lambda completions, gold, **_: [0.0], "cannot be called .* 'gold'.* 'truth'"),
        (lambda completions: [0.0], "cannot be called"),
        (lambda completions, **_: [[0.0, 1.0] for _ in completions], r"gives \[0.0, 1.0\]"),
        # what TRL's table of float32 does not take, or not in this order
        (lambda completions, **_: {*map(float, range(len(completions)))}, "gives 'set', and must"),
        (lambda completions, **_: np.array(1.0), "gives 'ndarray', and must give a list"),
        (lambda completions, **_: torch.tensor(1.0), "gives 'Tensor', and must give a list"),
        (lambda completions, **_: np.ones((len(completions), 1)), r"gives array\(\[1.\]\)"),
        (lambda completions, **_: [1e39] * len(completions), "gives 1e\\+39 .* in float32 too"),
        (lambda completions, **_: sys.exit(3), "raises SystemExit to"),
        (nothing_yet, "gives nan"),
        # only one kind of answer trips it
        (lambda completions, **_: [1 / (t != "none") for t in texts(completions)], "'none'"),
    ],
)
def test_a_faulty_reward_is_named_before_anything_is_trained(reward, why):
    with pytest.raises(RewardError, match=why):
        preflight_rewards([row(truth="red")], [exact, reward])


def test_a_reward_is_tried_with_what_every_row_holds():
    def first_word(completions, truth, **columns):
        return [float(text == right.split()[0]) for text, right in zip(texts(completions), truth)]

    rows = [row(truth="red star")] * 20 + [row(truth="")] + [row(truth="red")]
    with pytest.raises(RewardError, match="'first_word', for row 20, raises IndexError") as at:
        preflight_rewards(rows, first_word)
    assert at.value.row == 20
    rows[0] = {"prompt": "What?", "images": [GREY], "truth": "red"}
    with pytest.raises(PreflightError):  # faults of rows come first, all of them
        preflight_rewards(rows, first_word)


def test_all_rows_are_read_and_their_faults_come_together():
    answered = row()
    answered["prompt"] = [*answered["prompt"], {"role": "assistant", "content": "red"}]
    rows = [row(), row(images=()), answered, {"prompt": "What?", "images": [GREY]}, row()]
    rows += [{"prompt": row()["prompt"], "images": []}, {"images": [GREY]}]
    with pytest.raises(PreflightError) as caught:
        preflight_rewards(rows, lambda completions, **_: [0.0] * len(completions))
    assert [fault.row for fault in caught.value.faults] == [1, 2, 3, 5, 6]
    assert "Row 1: there is no picture, and other rows have one" in str(caught.value)


def test_what_is_no_set_of_rows_or_rewards_is_refused():
    with pytest.raises(ValueError, match="the data set is empty"):
        preflight_rewards([], exact)
    with pytest.raises(TypeError, match="must be functions"):
        preflight_rewards([row()], "a reward model")
    with pytest.raises(ValueError, match="1 rewards and 2 weights"):
        preflight_rewards([row(truth="red")], exact, weights=[1, 2])
    with pytest.raises(ValueError, match="num_generations"):
        preflight_rewards([row(truth="red")], exact, num_generations=1)


@pytest.fixture(scope="module")
def vlm():
    return vh.load("pocket-llava", dtype="float32", device="cpu")


def test_a_ceiling_and_a_floor_are_said_and_a_spread_is_seen(vlm):
    vlm.model.train()
    items = vh.evaluation.exam(vh.scenes, "color", 3, n_objects=1, sign=False)
    rows = [row(i["question"], [i["image"]], truth=i["answer"]) for i in items]
    options = {"num_generations": 4, "max_completion_length": 4}
    report = preflight_rewards(rows, exact, vlm, **options)
    assert vlm.model.training  # as it was
    assert report.mean == 1 and report.spread == 0 and len(report.answers[0]) == 4
    assert "every answer gets 1" in str(report) and "ceiling" in str(report)
    never = preflight_rewards(
        [{**one, "truth": "turquoise"} for one in rows], exact, vlm, **options
    )
    assert never.mean == 0 and "every answer gets 0: the model never does" in str(never)

    def first(completions, **_):  # the same answers, told apart
        return [float(place == 0) for place in range(len(completions))]

    spread = preflight_rewards(rows, first, vlm, weights=[2.0], **options)
    assert spread.spread == 1 and spread.mean == 0.5 and not spread.warnings
    vlm.model.eval()
