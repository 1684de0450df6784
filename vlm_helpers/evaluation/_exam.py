"""Items from the course's own worlds: as many of each skill as wanted, drawn from seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vlm_helpers._questions import NONE
from vlm_helpers._words import several, whole_number

PATIENCE = 400  # pictures in a row without a question of a skill, before it counts as absent


class Exam(Sequence):
    """Items about drawn pictures. A picture is drawn when its item is taken, and not kept.

    Attributes:
        pairs: the (scene or page, question) pairs behind the items.
    """

    def __init__(self, pairs: Iterable[tuple[Any, Any]], pictures: bool = True):
        self.pairs = list(pairs)
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self.pairs)

    def without_pictures(self) -> Exam:
        """The same items without `image`: nothing is drawn."""
        return Exam(self.pairs, pictures=False)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Exam(self.pairs[index], self._pictures)
        sample, question = self.pairs[index]
        picture = {"image": sample.render()} if self._pictures else {}
        return {
            "id": f"{sample.split}/{sample.seed}/{question.skill}/{question.text}",
            **picture,
            "skill": question.skill,
            "question": question.text,
            "answer": question.answer,
            "candidates": list(question.candidates),
            "options": list(question.choices) or None,  # of multiple choice, by letter
        }


def exam(
    world: Any,
    skills: str | Sequence[str],
    n: int,
    *,
    split: str = "test",
    first_seed: int = 0,
    none: bool = False,
    **options: Any,
) -> Exam:
    """`n` questions of each skill, one of a skill from a picture, in the order of the skills.

    Args:
        world: `vh.scenes` or `vh.pages`: what has `sample(seed, split, **options)`.
        skills: as in the world's `SKILLS`.
        n: how many of each.
        split, first_seed: the pictures are those of `first_seed` and the seeds after it.
        none: whether to take questions whose answer is "none" as well.
        options: passed on to `sample`, such as `sign=False`.
    Raises:
        TypeError, ValueError: for a world, skills or a number that is none, and for a skill that
            does not exist, or that these pictures have no question for.
    """
    if not hasattr(world, "sample"):
        raise TypeError(f"world must be vh.scenes or vh.pages, not a {type(world).__name__}.")
    skills, n = several("skills", skills), whole_number("n", n, least=1)
    pairs = []
    for skill in skills:
        found, seed, last = [], first_seed, first_seed
        while len(found) < n:
            if seed - last > PATIENCE:
                raise ValueError(
                    f"{PATIENCE} pictures in a row of the split {split!r} have no question of the "
                    f"skill {skill!r}: ask for fewer than {n}, or draw other pictures."
                )
            sample, seed = world.sample(seed, split, **options), seed + 1
            for question in sample.questions([skill]):
                if none or question.answer != NONE:
                    found.append((sample, question))
                    last = seed
        pairs += found
    return Exam(pairs)
