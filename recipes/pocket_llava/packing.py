"""Training examples: one picture and as many independent questions about it as fit.

A sequence is a shared prefix (`<s>USER: <image>…\n`) and then segments, each a question with its
answer or a short conversation. A segment sees the prefix and itself, never its neighbours, and
its positions go on from the prefix: so each one is, to the model, a prompt of its own, and the
64 picture tokens are computed once for all of them. Only answers and their `</s>` are learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from recipes.pocket_llava.parts import IMAGE_SIZE, N_PATCHES, PATCH_SIZE
from vlm_helpers import scenes
from vlm_helpers.scenes import Draws, ask, follow_ups

PREFIX = N_PATCHES + 5  # <s> "USER" ":" " " <image>… "\n"
GRID = IMAGE_SIZE // PATCH_SIZE
SHAPE_LABELS = ("nothing", *scenes.SHAPES, "number", "word")
COLOR_LABELS = tuple(scenes.COLORS)
BLANK = 10  # the digit label of a place that a shorter number does not have


@dataclass(frozen=True)
class Mixture:
    """What a stage draws: how often each skill is asked, and in which scenes."""

    weights: dict[str, float]
    objects: tuple[int, ...] | None = None  # how many objects, drawn evenly; None: as they come

    def scene(self, draws: Draws, seed: int) -> scenes.Scene:
        count = draws.pick(self.objects) if self.objects else None
        return scenes.sample(seed, n_objects=count)


# --- questions ----------------------------------------------------------------------------------

FIELDS = {
    "size": lambda o: o.size,
    "color": lambda o: o.color,
    "shape": lambda o: o.shape,
    "place": lambda o: o.place,
    "box": lambda o: scenes.location_tokens([o.box[:2], o.box[2:]]),
}


def listing(scene: scenes.Scene, draws: Draws):
    """The objects in random order, their attributes in an order that the question names.

    A caption always says size, colour, shape, so it teaches to find a shape by its colour and
    never the other way round. This teaches every way round.
    """
    names = draws.shuffled(tuple(FIELDS))[: 2 + draws.below(3)]
    rows = [" ".join(FIELDS[n](o) for n in names) for o in draws.shuffled(scene.objects)]
    return f"List the objects: {', '.join(names)}.", ", ".join(rows)


def turns_for(scene: scenes.Scene, draws: Draws, skill: str) -> list[tuple[str, str]]:
    if skill == "listing":
        return [listing(scene, draws)]
    if skill == "conversation":
        if draws.chance(0.5):
            return follow_ups(scene, draws, 2 + draws.below(3))
        # independent questions, one after the other
        rows = [ask(scene, draws, draws.pick(("color", "shape", "count", "exists", "locate")))
                for _ in range(3)]  # fmt: skip
        return [(row.text, row.answer) for row in rows if row]
    question = ask(scene, draws, skill)
    return [(question.text, question.answer)] if question else []


# --- pictures and what each patch shows ---------------------------------------------------------


def pixels(scene: scenes.Scene, draws: Draws) -> np.ndarray:
    """The picture as the processor would hand it over, [3, 96, 96], drawn more cheaply."""
    side = scenes.PICTURE_SIZE if draws.chance(0.35) else scenes.PICTURE_SIZE // 2
    image = scene.render(side, 1).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)
    return (np.asarray(image, np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.25


def patch_labels(scene: scenes.Scene) -> np.ndarray:
    """[64, 12]: shape, colour, size, word, three digits, box (4, fractions), 1.

    -1 where a patch has no such label. The last column is 0 where no box is to be learnt.
    """
    labels = np.full((GRID, GRID, 12), -1.0, np.float32)
    labels[..., 0] = labels[..., 11] = 0
    best = np.full((GRID, GRID), 0.2)  # a patch shows what covers at least a fifth of it
    edges = np.arange(GRID + 1) / GRID
    for thing in (*scene.objects, *([scene.sign] if scene.sign else [])):
        x0, y0, x1, y1 = thing.box
        wide = np.clip(np.minimum(edges[1:], x1) - np.maximum(edges[:-1], x0), 0, None) * GRID
        high = np.clip(np.minimum(edges[1:], y1) - np.maximum(edges[:-1], y0), 0, None) * GRID
        cover = high[:, None] * wide[None, :]
        here = cover > best
        best = np.maximum(best, cover)
        labels[here] = _label(thing)
    return labels.reshape(-1, 12)


def _label(thing) -> np.ndarray:
    row = np.full(12, -1.0, np.float32)
    row[7:11], row[11] = thing.box, 1
    if isinstance(thing, scenes.Sign):
        row[0] = SHAPE_LABELS.index(thing.kind)
        if thing.kind == "word":
            row[3] = scenes.WORDS.index(thing.text)
        else:
            digits = [int(d) for d in thing.text]
            row[4:7] = digits + [BLANK] * (3 - len(digits))
        return row
    row[0] = SHAPE_LABELS.index(thing.shape)
    row[1] = COLOR_LABELS.index(thing.color)
    row[2] = thing.size == "large"
    return row


# --- batches ------------------------------------------------------------------------------------


class Packer:
    """Makes batches of packed sequences of `length` tokens for a stage's mixture."""

    def __init__(self, tokenizer, length: int = 288):
        self.encode = tokenizer.backend_tokenizer.encode_batch
        self.eos = tokenizer.eos_token_id
        self.length = length
        image = tokenizer.convert_tokens_to_ids("<image>")
        text = tokenizer("USER: <image>\n").input_ids
        at = text.index(image)
        self.prefix = text[:at] + [image] * N_PATCHES + text[at + 1 :]
        assert len(self.prefix) == PREFIX
        self.image_start = at
        self.causal = np.tril(np.ones((length, length), bool))

    def segment(self, turns) -> tuple[list[int], list[bool]]:
        """Token ids after the prefix, and which of them are answers."""
        pieces = []
        for number, (question, answer) in enumerate(turns):
            pieces += [("USER: " if number else "") + question + " ASSISTANT:", " " + answer]
        ids, learnt = [], []
        for number, piece in enumerate(self.encode(pieces, add_special_tokens=False)):
            tokens = list(piece.ids)
            if number % 2:
                tokens.append(self.eos)
            ids += tokens
            learnt += [bool(number % 2)] * len(tokens)
        return ids, learnt

    def example(self, draws: Draws, mixture: Mixture, seed: int):
        scene = mixture.scene(draws, seed)
        room = self.length
        ids = np.zeros(room, np.int64)
        learnt = np.zeros(room, bool)
        owner = np.full(room, -1)
        positions = np.zeros(room, np.int64)
        ids[:PREFIX], owner[:PREFIX] = self.prefix, 0
        positions[:PREFIX] = np.arange(PREFIX)
        at, number, misses = PREFIX, 0, 0
        skills, weights = zip(*mixture.weights.items())
        while misses < 3:
            turns = turns_for(scene, draws, draws.weighted(skills, weights))
            if not turns:
                continue
            tokens, answers = self.segment(turns)
            if at + len(tokens) > room:
                misses += 1
                continue
            number += 1
            span = slice(at, at + len(tokens))
            ids[span], learnt[span], owner[span] = tokens, answers, number
            positions[span] = PREFIX + np.arange(len(tokens))
            at += len(tokens)
        mask = self.causal & ((owner[:, None] == owner[None, :]) | (owner[None, :] == 0))
        mask[np.arange(room), np.arange(room)] = True  # padding sees itself: no empty rows
        return pixels(scene, draws), ids, positions, mask, learnt, patch_labels(scene)

    def batch(self, draws: Draws, mixture: Mixture, seeds) -> dict[str, np.ndarray]:
        rows = [self.example(draws, mixture, seed) for seed in seeds]
        keys = ("pixels", "ids", "positions", "mask", "learnt", "patches")
        return {key: np.stack(column) for key, column in zip(keys, zip(*rows))}


def vision_batch(draws: Draws, mixture: Mixture, seeds, grey: float = 0.0) -> dict[str, np.ndarray]:
    """Pictures with patch labels; a share `grey` of them in shades of grey, colours unnamed."""
    pictures, labels = [], []
    for seed in seeds:
        scene = mixture.scene(draws, seed)
        picture, label = pixels(scene, draws), patch_labels(scene)
        if draws.chance(grey):
            shares = np.array([draws.uniform(0, 1) for _ in range(3)], np.float32)
            mixed = np.tensordot(shares / shares.sum(), picture, axes=1)
            picture = np.broadcast_to(mixed, picture.shape)
            label[:, 1] = -1
        pictures.append(picture)
        labels.append(label)
    return {"pixels": np.stack(pictures), "patches": np.stack(labels)}
