"""What the makers of pocket benchmarks share: pictures, questions about them, and options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from vlm_helpers import pages, scenes
from vlm_helpers._draws import Draws
from vlm_helpers._questions import NONE, Question

T = TypeVar("T")
SEEDS = 2**31
PATIENCE = 2_000  # tries, where one in a few succeeds


def first(draws: Draws, make: Callable[[Draws], T | None]) -> T:
    """The first thing that `make` does not refuse by None."""
    for _ in range(PATIENCE):
        made = make(draws)
        if made is not None:
            return made
    raise AssertionError(f"{make} made nothing in {PATIENCE} tries")


def page(draws: Draws, kind: str | tuple[str, ...]) -> pages.Page:
    """A clean page: noise would make its PNG five times as large."""
    return pages.sample(draws.below(SEEDS), "test", kind=kind, clean=True)


def scene(draws: Draws, **options: Any) -> scenes.Scene:
    return scenes.sample(draws.below(SEEDS), "test", **options)


def asked(
    subject: Any, draws: Draws, skill: str, fits: Callable[[Question], bool] = lambda _: True
) -> Question | None:
    """A question of that skill whose answer is there; None where the picture has none that fits.

    None speaks in location tokens, which only the pocket models know.
    """
    found = subject.questions([skill], per_skill=3, seed=draws.below(SEEDS))
    plain = (q for q in found if q.answer != NONE and "<loc_" not in q.text)
    return next(filter(fits, plain), None)


def options(draws: Draws, right: str, wrong: Iterable[str], n: int = 4) -> list[str] | None:
    """`n` options in any order, the wrong ones from the front of `wrong`; None if there is none."""
    others = [one for one in dict.fromkeys(wrong) if one != right][: n - 1]
    return draws.shuffled([right, *others]) if others else None


def other_labels(draws: Draws, diagram: pages.Page, question: str) -> list[str]:
    """Labels as wrong options: of the diagram, but for those asked about, then of another one."""
    own = [label for label in diagram.fields["boxes"].values() if label not in question]
    others = page(draws, "diagram").fields["boxes"].values()
    return [*draws.shuffled(own), *others]


def numbers_near(draws: Draws, right: str) -> list[str]:
    """Whole numbers that one could take for `right`, as wrong options."""
    n = int(right)
    near = [n + d for d in (-3, -2, -1, 1, 2, 3) if n + d >= 0]
    far = [n + d for d in (10, -10, 100) if n >= 10 and n + d >= 0]
    return [str(one) for one in draws.shuffled([*near, *far])]


def amounts_near(draws: Draws, cents: int) -> list[str]:
    """Amounts that one could take for so many cents, as wrong options."""
    steps = draws.shuffled((10, -10, 100, -100, 1000, -1000, 90, 900))
    return [amount(cents + step) for step in steps if cents + step > 0]


def amount(cents: int) -> str:
    """ "12.50"."""
    return f"{cents // 100}.{cents % 100:02d}"


def cents(price: str) -> int:
    """How many cents a printed price is: every price of a page has two decimals."""
    return int("".join(character for character in price if character.isdigit()))
