"""The pocket benchmarks: rows drawn from a seed, in the columns of the benchmarks they follow.

Row `number` of a benchmark depends on the benchmark's name, the seed and the number, and on nothing
else, so that there are as many exams as seeds, and none that anybody can have learnt by heart. All
pictures are of the split "test", which no pocket model is trained on. Rows that share pictures are
drawn together, as a block.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from vlm_helpers._draws import Draws
from vlm_helpers.evaluation.pocket import ai2d, mathvista, mmbench, mmmu, ocrbench, pope, scienceqa


class Maker(NamedTuple):
    """How a benchmark's rows are made.

    `block(draws)` gives so many rows, in whose picture columns scenes and pages stand; `rows` is
    how many of them are stored in `data/benchmarks/`, all of seed 0.
    """

    block: Callable[[Draws], list[dict[str, Any]]]
    per_block: int
    rows: int


MAKERS = {
    "pocket-mmbench": Maker(mmbench.block, 10, 300),
    "pocket-mathvista": Maker(mathvista.block, 6, 300),
    "pocket-ai2d": Maker(ai2d.block, 2, 300),
    "pocket-scienceqa": Maker(scienceqa.block, 4, 300),
    "pocket-ocrbench": Maker(ocrbench.block, 6, 300),
    "pocket-mmmu": Maker(mmmu.block, 10, 300),
    "pocket-pope": Maker(pope.block, 6, 360),
}
NUMBERED = {  # the columns that say which row it is
    "pocket-mmbench": lambda number: {"index": number},
    "pocket-mathvista": lambda number: {
        "pid": str(number + 1), "image": f"images/{number + 1}.png"
    },
    "pocket-mmmu": mmmu.numbered,
    "pocket-pope": lambda number: {"id": str(number), "question_id": str(number + 1)},
}  # fmt: skip


def row(name: str, seed: int, number: int, pictures: bool = True) -> dict[str, Any]:
    """Row `number` of the exam of that seed.

    Args:
        name: one of `MAKERS`.
        pictures: whether to draw its pictures (RGB); without, their columns are left out.
    """
    maker = MAKERS[name]
    block = _block(name, seed, number // maker.per_block)
    made = block[number % maker.per_block]
    if name in NUMBERED:
        made = {**made, **NUMBERED[name](number)}
    drawn = {}
    for column, value in made.items():
        if not hasattr(value, "render"):
            drawn[column] = value
        elif pictures:
            drawn[column] = value.render()
    return drawn


@lru_cache(maxsize=8)
def _block(name: str, seed: int, block: int) -> list[dict[str, Any]]:
    return MAKERS[name].block(Draws(f"{name}/{seed}/{block}"))
