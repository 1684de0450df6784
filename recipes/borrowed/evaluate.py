"""How many photographs are named: `python -m recipes.borrowed.evaluate FOLDER`.

FOLDER holds the photographs of photos.tsv by the paths given there.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from PIL import Image

import vlm_helpers as vh
from recipes.borrowed.connector import Connector, tower
from vlm_helpers.pictures import to_rgb

NAME = "What is the leftmost thing?"  # the decoder's words for the one thing that is there


def photos() -> list[tuple[str, str, set[int]]]:
    """Each photograph's set ("scene" or "cut-out"), path and accepted classes, fixed beforehand."""
    lines = (Path(__file__).parent / "photos.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [(kind, path, {int(row) for row in accepted.split()}) for kind, path, accepted in rows]


def exists(thing: str) -> str:
    return f"Is there {'an' if thing[0] in 'aeiou' else 'a'} {thing} in the picture?"


def score(connector: Connector, features: torch.Tensor, accepted: list[set[int]]) -> dict:
    """Right answers of [n, 1280, 7, 7], beside floors and the tower's own, as `name: (right, n)`.

    A photograph counts if one of its accepted classes is a kind of a thing that the decoder knows.
    """
    kinds: dict[str, set[int]] = {name: set() for name in connector.names}
    for row, thing in zip(connector.rows.tolist(), connector.thing.tolist()):
        kinds[connector.names[thing]].add(row)
    right = [{name for name, rows in kinds.items() if rows & each} for each in accepted]
    known = [n for n, names in enumerate(right) if names]
    fc = connector.net._fc
    top = (
        (features.mean((2, 3)) @ fc.weight.T + fc.bias)
        .topk(min(5, fc.out_features))
        .indices.tolist()
    )
    tokens = connector.tokens(features)
    said = connector.ask(tokens, [NAME] * len(features))
    blind = connector.tokens(connector.features([Image.new("RGB", (224, 224), (127, 127, 127))]))
    unseen = connector.ask(blind, [NAME])[0]
    draws, asked = random.Random(0), []
    for n in known:
        absent = [name for other in known for name in sorted(right[other] - right[n])]
        asked.append((n, min(sorted(right[n]), key=lambda name: len(kinds[name])), "yes"))
        asked.append((n, draws.choice(absent), "no"))
    questions = [exists(thing) for _, thing, _ in asked]
    replies = connector.ask(tokens[[n for n, _, _ in asked]], questions, 3)
    different = list(dict.fromkeys(questions))
    of_grey = connector.ask(blind.expand(len(different), -1, -1), different, 3)
    grey = dict(zip(different, of_grey))

    def of_known(hits) -> tuple[int, int]:
        return sum(hits[n] for n in known), len(known)

    hits = [answer in names for answer, names in zip(said, right)]
    return {
        "tower, first": of_known([t[0] in a for t, a in zip(top, accepted)]),
        "tower, first five": of_known([bool(set(t) & a) for t, a in zip(top, accepted)]),
        "named": of_known(hits),
        "named, of all photographs": (sum(hits), len(hits)),
        "floor: commonest": max(of_known([name in names for names in right]) for name in kinds),
        "blind": of_known([unseen in names for names in right]),
        "yes or no": (sum(r == t for r, (_, _, t) in zip(replies, asked)), len(asked)),
        "yes": (sum(r == "yes" for r, (*_, t) in zip(replies, asked) if t == "yes"), len(known)),
        "no": (sum(r == "no" for r, (*_, t) in zip(replies, asked) if t == "no"), len(known)),
        "yes or no, blind": (sum(grey[q] == t for q, (*_, t) in zip(questions, asked)), len(asked)),
        "answers": said,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    connector = Connector(tower(), vh.load("pocket-llava-next", dtype="float32"))
    for kind in ("scene", "cut-out"):
        rows = [(path, accepted) for each, path, accepted in photos() if each == kind]
        features = torch.cat([connector.features([to_rgb(folder / path)]) for path, _ in rows])
        for name, result in score(connector, features, [accepted for _, accepted in rows]).items():
            if name != "answers":
                low, high = vh.evaluation.interval(*result)
                print(f"{kind}, {name}: {result[0]} of {result[1]} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
