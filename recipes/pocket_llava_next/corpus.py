"""The text that the tokenizer's new tokens are learnt from."""

from __future__ import annotations

from collections.abc import Iterator

from recipes.pocket_llava_next import text
from vlm_helpers import pages
from vlm_helpers.pages import atlas
from vlm_helpers.scenes import Draws

EACH_THING = 12  # how often the name of each thing is said, beside where pages say it


def texts(n_pages: int = 3000) -> Iterator[str]:
    """What pages of the split "train" say, what is said about them, and names of things."""
    for seed in range(n_pages):
        page = pages.sample(seed)
        yield page.text
        for question in page.questions(seed=seed):
            if question.skill not in ("read", "json", "markdown") and "<loc" not in question.answer:
                yield f"USER: {question.text} ASSISTANT: {question.answer}"
    for name in atlas.things().names:
        yield from [f"a {name} {name}"] * EACH_THING
    draws = Draws("corpus")
    for _ in range(n_pages):
        yield " ".join(text.word(draws) for _ in range(8))
