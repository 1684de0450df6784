"""Rewards for `recipes.preferences grpo` and `trl grpo`, by their dotted names."""

from __future__ import annotations

from typing import Any


def exact(completions: list[list[dict]], truth: list[str], **columns: Any) -> list[float]:
    """1 for an answer that is the row's `truth`, but for case and the space around it; else 0."""
    said = [completion[0]["content"] for completion in completions]
    return [
        float(one.strip().casefold() == other.strip().casefold()) for one, other in zip(said, truth)
    ]
