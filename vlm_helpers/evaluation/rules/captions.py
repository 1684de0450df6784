"""CIDEr, by which captions are scored.

Source: `cider/cider_scorer.py` of github.com/salaniz/pycocoevalcap at ad63453 (November 2020,
BSD-2-Clause); Vedantam, Zitnick and Parikh 2015 (arxiv.org/abs/1411.5726).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm_helpers.evaluation.rules._given import texts, truths

LONGEST, SIGMA = 4, 6.0  # n-grams of 1 to 4 words; how far lengths may differ


def cider(captions: Any, references: Sequence[Any]) -> np.ndarray:
    """The CIDEr of each caption, [captions]; a set scores their mean (in papers, 100 times it).

    N-grams are weighed by how few pictures have them in a reference, so a score depends on the
    whole set, and of a single picture it is 0. Words are what stands between spaces: the COCO tools
    put captions through Stanford's tokenizer first, which takes case and punctuation away.

    Args:
        captions: a text a picture.
        references: for each picture, the texts that people wrote.
    """
    captions = texts("captions", captions)
    if len(captions) != len(references):
        raise ValueError(f"There are {len(captions)} captions for {len(references)} pictures.")
    people = [[_ngrams(one) for one in truths(several)] for several in references]
    pictures_with = Counter(ngram for several in people for ngram in set().union(*several))
    rarity = {
        ngram: math.log(len(captions)) - math.log(n) for ngram, n in pictures_with.items()
    }  # fmt: skip
    unseen = math.log(len(captions))

    def vector(counts: Counter) -> tuple[list[dict], list[float], int]:
        by_length: list[dict] = [{} for _ in range(LONGEST)]
        for ngram, n in counts.items():
            by_length[len(ngram) - 1][ngram] = n * rarity.get(ngram, unseen)
        norms = [math.sqrt(sum(w**2 for w in one.values())) for one in by_length]
        pairs = sum(n for ngram, n in counts.items() if len(ngram) == 2)
        return by_length, norms, pairs  # the length is told in pairs of words

    def likeness(one, other) -> float:
        total = 0.0
        for mine, theirs, my_norm, their_norm in zip(one[0], other[0], one[1], other[1]):
            shared = sum(min(w, theirs.get(ngram, 0.0)) * theirs.get(ngram, 0.0)
                         for ngram, w in mine.items())  # fmt: skip
            total += shared / (my_norm * their_norm) if my_norm and their_norm else 0.0
        return total / LONGEST * math.exp(-((one[2] - other[2]) ** 2) / (2 * SIGMA**2))

    scores = []
    for caption, several in zip(captions, people):
        mine = vector(_ngrams(caption))
        near = sum(likeness(mine, vector(one)) for one in several)
        scores.append(10 * near / len(several))
    return np.array(scores)


def _ngrams(caption: str) -> Counter:
    words = caption.split()
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, LONGEST + 1)
        for start in range(len(words) - n + 1)
    )
