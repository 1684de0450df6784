"""`preflight_rewards`: rows and rewards of a reinforcement learning, tried before it begins."""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlm_helpers._words import as_number, count, first_line, listed, number, whole_number
from vlm_helpers.collators import RowError
from vlm_helpers.conversations import marks, read_prompt
from vlm_helpers.training._preflight import PreflightError, _check_rows, _fetchers

Reward = Callable[..., Sequence[float]]

_NO_PICTURE = "there is no picture, and other rows have one: add it, or drop the row."
# What a model may write at any time, whatever it was asked for.
_ANY = ("", "none", "<loc_99><loc_00>", '[{"box": [1, 2', "nan inf -1e999 \u2212 0", "x" * 2_000)
# What TRL hands to every reward, beside the columns; some it overwrites, at others it fails.
_TRLS = frozenset(
    ("prompts", "completions", "trainer_state", "log_extra", "log_metric", "environments")
)
_LARGEST = 3.4e38  # TRL keeps rewards in float32, in which more is infinite
_SAME = 1e-6  # TRL divides by the spread plus 1e-4: below, a group teaches nothing


class RewardError(ValueError):
    """A reward that a training would stumble over, or learn nothing from.

    Attributes:
        reward: its name.
        row: the row, counted from 0, that it was called for.
        answer: the answer that it fails at, or None.
    """

    def __init__(self, reward: str, why: str, answer: str | None = None, row: int = 0):
        self.reward, self.answer, self.row = reward, answer, row
        super().__init__(f"The reward {reward!r}, for row {row}, {why}")


@dataclass(frozen=True)
class RewardsPreflight:
    """What the rewards made of answers that were sampled before the training.

    Attributes:
        rows: how many rows were read.
        answers: of each row that was tried, the answers of its group.
        rewards: the same for the (weighted) sum of the rewards.
    """

    rows: int
    answers: list[list[str]]
    rewards: list[list[float]]

    @property
    def mean(self) -> float:
        """The mean reward of all answers."""
        return sum(map(sum, self.rewards)) / sum(map(len, self.rewards))

    @property
    def spread(self) -> float:
        """The share of groups whose answers do not all get the same: only these teach anything."""
        return sum(max(g) - min(g) > _SAME for g in self.rewards) / len(self.rewards)

    @property
    def warnings(self) -> list[str]:
        """Sentences about what is no fault and will still waste the training's time."""
        if self.spread:
            return []
        values = [group[0] for group in self.rewards]
        if max(values) - min(values) > _SAME:
            why = "the answers to one prompt are all alike: sample at a higher temperature"
        elif len({answer for group in self.answers for answer in group}) == 1:
            why = f"every answer is {self.answers[0][0]!r:.60}: the model does nothing else yet"
        else:
            never = "the model never does what is rewarded and must be shown first (a short SFT)"
            if values[0]:  # as much as can be earned, or a part of it
                never = (
                    "the model is at its ceiling and has nothing to learn here, or stands where "
                    "every answer earns the same part"
                )
            why = f"every answer gets {values[0]:g}: {never}"
        return [f"no group has a spread, so there is no gradient, for {why}."]

    def __str__(self) -> str:
        head = f"{count(self.rows, 'row')} can be learnt from."
        if not self.rewards:
            return head
        tried = count(sum(map(len, self.rewards)), "answer")
        line = (
            f"{tried} to {count(len(self.rewards), 'prompt')}: mean reward {self.mean:.2f}; "
            f"{self.spread:.0%} of the groups have a spread"
        )
        return "\n".join([head, line, *(f"Warning: {warning}" for warning in self.warnings)])


def preflight_rewards(
    rows: Iterable[dict[str, Any]],
    rewards: Reward | Sequence[Reward],
    vlm: Any = None,
    *,
    weights: Sequence[float] | None = None,
    groups: int = 16,
    num_generations: int = 8,
    temperature: float = 1.0,
    max_completion_length: int = 64,
) -> RewardsPreflight:
    """Reads every prompt, tries every reward, and sees whether there is anything to learn.

    Args:
        rows: a list or a data set for TRL's `GRPOTrainer`: a conversation in `prompt` that ends
            with the user, pictures in `images` or `image`, and what the rewards look at.
        rewards: functions as TRL calls them, `(prompts, completions, **columns) -> numbers`.
        vlm: the model that will learn, as a `VLM`. Without one, nothing is sampled, and the rewards
            are only called, for every row, with answers that a model might write.
        weights: of the rewards, by default 1 each.
        groups: so many of the first rows are tried with the model, `num_generations` answers each.
        temperature, max_completion_length: as in the training's `GRPOConfig`.
    Raises:
        PreflightError: with the faults of all rows; a row without a picture where others have one
            is one.
        RewardError: for a reward that raises, or gives anything but one finite number an answer.
        TypeError, ValueError: for no rows, no rewards, or options that cannot be.
    """
    groups = whole_number("groups", groups, 1)
    generations = whole_number("num_generations", num_generations, 2)
    length = whole_number("max_completion_length", max_completion_length, 1)
    temperature = number("temperature", temperature, above=0)
    functions = [rewards] if callable(rewards) else _listed(rewards)
    if not functions or not all(map(callable, functions)):
        raise TypeError("The rewards must be functions (prompts, completions, **columns).")
    if not (vlm is None or hasattr(vlm, "processor")):
        raise TypeError(f"vlm is of type {type(vlm).__name__}: it must be a VLM, vh.load(…).")
    weights = [1.0] * len(functions) if weights is None else _listed(weights)
    weights = [number(f"weights[{i}]", weight) for i, weight in enumerate(weights)]
    if len(weights) != len(functions):
        raise ValueError(f"There are {len(functions)} rewards and {len(weights)} weights.")
    total, first = _read(rows, marks(vlm.processor) if vlm else {}, groups, functions)
    answers, scores = [], []
    for place, (row, talk) in enumerate(first if vlm else ()):
        answers.append(_sampled(vlm, talk, generations, temperature, length))
        scores.append(_rewarded(functions, weights, row, place, answers[-1]))
    return RewardsPreflight(total, answers, scores)


def _listed(values: Any) -> list:
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []


def _read(
    rows: Iterable[dict], known: Mapping[str, str], keep: int, functions: list[Reward]
) -> tuple[int, list[tuple]]:
    """How many rows there are, and the first ones with their conversations.

    The rewards are tried with every row, as a fault may lie in what one row's columns hold.
    """
    _check_rows(rows)
    first, faults, bare, total, unfit = [], [], [], 0, None
    for total, fetch in enumerate(_fetchers(rows), start=1):
        row = None
        try:
            row = fetch()
            talk = _prompt(row, known)
        except Exception as error:  # a pass over all rows ends at none of them
            faults.append(RowError(total - 1, first_line(error), _id(row)))
            continue
        if not talk.pictures:
            bare.append(RowError(total - 1, _NO_PICTURE, _id(row)))
        if len(first) < keep:
            first.append((row, talk))
        if unfit is None:
            unfit = _unfit(functions, row, total - 1)
    if not total:
        raise ValueError("There is no row to learn from: the data set is empty.")
    if len(bare) + len(faults) < total:  # a set without any picture is one of plain text
        faults = sorted([*faults, *bare], key=lambda fault: fault.row)
    if faults:
        raise PreflightError(faults, total)
    if unfit:
        raise unfit
    return total, first


def _unfit(functions: list[Reward], row: dict, place: int) -> RewardError | None:
    """What is wrong with the rewards for this row; if one answer alone shows it, with that one."""
    weights = [1.0] * len(functions)
    try:
        _rewarded(functions, weights, row, place, list(_ANY))
    except RewardError as found:
        try:
            for text in _ANY:
                _rewarded(functions, weights, row, place, [text])
        except RewardError as narrower:
            return narrower
        return found
    return None


def _prompt(row: Any, known: Mapping[str, str]) -> Any:
    if isinstance(row, Mapping) and isinstance(row.get("prompt"), str):
        raise ValueError(
            "the prompt is a plain text, and with pictures TRL takes conversations only: "
            "[{'role': 'user', 'content': …}]."
        )
    if isinstance(row, Mapping) and (taken := _TRLS.intersection(row)):
        raise ValueError(
            f"the column {min(taken)!r} has the name of what TRL hands to rewards itself: rename "
            "it."
        )
    return read_prompt(row, known).opened()


def _id(row: Any) -> Any:
    return row.get("id") if isinstance(row, Mapping) else None


def _sampled(vlm: Any, talk: Any, generations: int, temperature: float, length: int) -> list[str]:
    """Answers of one group, sampled as `GRPOTrainer` samples them."""
    messages = talk.filled()
    model, processor = vlm.model, vlm.processor
    inputs = processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    ).to(model.device, model.dtype)
    learning = model.training
    output = model.eval().generate(
        **inputs, do_sample=True, temperature=temperature, top_k=0, top_p=1.0,
        num_return_sequences=generations, max_new_tokens=length,
    )  # fmt: skip
    model.train(learning)
    answers = output[:, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.batch_decode(answers, skip_special_tokens=True)


def _rewarded(
    functions: list[Reward], weights: list[float], row: dict, place: int, answers: list[str]
) -> list[float]:
    """The sum of the rewards for each answer to row number `place`, called as TRL calls them."""
    columns = {
        name: [value] * len(answers)
        for name, value in row.items()
        if name not in ("prompt", "completion", "completion_ids")
    }
    sums = [0.0] * len(answers)
    for function, weight in zip(functions, weights):
        name = getattr(function, "__name__", type(function).__name__)
        handed = {
            "prompts": [row["prompt"]] * len(answers),
            "completions": [[{"role": "assistant", "content": answer}] for answer in answers],
            "completion_ids": [[0]] * len(answers),
            "trainer_state": types.SimpleNamespace(global_step=0, max_steps=1),
            "log_extra": lambda *_, **__: None,
            "log_metric": lambda *_, **__: None,
            **columns,
        }
        _expect_columns(name, function, handed, columns, place)
        try:
            given = function(**handed)
            if _is_async(function):  # TRL waits for it; a notebook's own loop is running already
                with ThreadPoolExecutor(1) as thread:
                    given = thread.submit(asyncio.run, given).result()
        except (Exception, SystemExit) as error:
            shown = f" to the answer {answers[0]!r:.60}" if len(set(answers)) == 1 else ""
            raise RewardError(
                name,
                f"raises {type(error).__name__}{shown} ({first_line(error).rstrip('.')}): whatever "
                "a model writes must get a number, 0 where it cannot be read.",
                answers[0],
                place,
            ) from error
        values = _one_each(name, given, answers, place)
        sums = [total + weight * value for total, value in zip(sums, values)]
    return sums


def _expect_columns(name: str, function: Reward, handed: dict, columns: dict, place: int) -> None:
    try:
        inspect.signature(function).bind(**handed)
    except TypeError as error:
        raise RewardError(
            name,
            f"cannot be called with what a row has ({first_line(error).rstrip('.')}): TRL hands it "
            f"prompts, completions and the columns {listed(map(repr, columns)) or 'of the rows'}; "
            "name what it uses, and take the rest as **columns.",
            row=place,
        ) from None
    except ValueError:  # some built-in functions have no signature to look at
        pass


def _is_async(function: Any) -> bool:
    return any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))


def _one_each(name: str, given: Any, answers: list[str], place: int) -> list[float]:
    unordered = isinstance(given, str | bytes | Mapping | Set)
    if unordered or not hasattr(given, "__iter__") or getattr(given, "ndim", 1) == 0:
        raise RewardError(
            name,
            f"gives {type(given).__name__!r}, and must give a list: one number for each answer.",
            row=place,
        )
    given = list(given)
    if len(given) != len(answers):
        raise RewardError(
            name,
            f"gives {count(len(given), 'number')} for {count(len(answers), 'answer')}: one for "
            "each, in their order.",
            row=place,
        )
    values = []
    for answer, value in zip(answers, given):
        # Of arrays TRL makes a table, even of those with one number.
        found = None if isinstance(value, np.ndarray) else as_number(value, truth=True)
        if found is None or not abs(found) < _LARGEST:
            raise RewardError(
                name,
                f"gives {value!r:.40} to the answer {answer!r:.60}: it must be a finite number, "
                "in float32 too. TRL leaves out None and NaN, or counts them as 0 beside another "
                "reward, and one infinite reward makes its whole group's advantages 0.",
                answer,
                place,
            )
        values.append(found)
    return values
