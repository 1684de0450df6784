"""Training examples: one picture, cut into tiles, and as many independent questions as fit.

As in `recipes.pocket_llava.packing`, a row is a shared prefix (`<s>USER: <image>…\n`) and then
segments that see the prefix and themselves only. Here a picture has as many tokens as its grid
asks for, so the prefixes of a batch have different lengths: they are padded to the longest, and
what follows is laid out the same for every row. Where a step is to be one graph on a GPU, they are
padded further, to one of `BUCKETS`, so that all batches of a stage have a few shapes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import LlavaNextProcessor
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.models.llava_next.modeling_llava_next import unpad_image

from recipes.pocket_llava.packing import GRID
from recipes.pocket_llava.parts import IMAGE_SIZE
from recipes.pocket_llava_next import sight
from recipes.pocket_llava_next.parts import PINPOINTS

Turns = list[tuple[str, str]]

# the most tiles of a picture, its overview among them, and the most tokens before its questions
BUCKETS = ((2, 144), (3, 224), (5, 352), (7, 512), (10, 688))
NOTHING = -100  # no token is learnt here: what cross entropy passes over


@dataclass
class Row:
    """One picture with its segments, each a question with its answer or a short conversation."""

    pixels: np.ndarray  # [1 + tiles, 3, 96, 96], 0 to 255
    order: np.ndarray  # `feature_order` of the picture
    segments: list[tuple[list[int], list[bool]]]  # token ids, and which of them are answers
    patches: dict[str, np.ndarray] = field(default_factory=dict)  # labels, [1 + tiles, 64, …] each

    @property
    def image_tokens(self) -> int:
        return len(self.order)


def feature_order(size: tuple[int, int]) -> np.ndarray:
    """Which patch stands at each image token of a picture, by the model's own arithmetic: patches
    are counted through the overview and then the tiles, and -1 is the newline.

    Args:
        size: (height, width) of the picture.
    """
    height, width = select_best_resolution(size, PINPOINTS)
    rows, columns = height // IMAGE_SIZE, width // IMAGE_SIZE
    tiles = np.arange(rows * columns * GRID * GRID).reshape(rows, columns, GRID, GRID)
    plane = GRID * GRID + tiles.transpose(0, 2, 1, 3).reshape(rows * GRID, columns * GRID)
    kept = unpad_image(torch.from_numpy(plane)[None], size)[0].numpy()
    kept = np.pad(kept, ((0, 0), (0, 1)), constant_values=-1)
    return np.concatenate([np.arange(GRID * GRID), kept.ravel()])


def levels(pixels: np.ndarray) -> np.ndarray:
    """Grey levels, 0 to 255, of what the processor hands over: a quarter of its bytes."""
    return np.rint((pixels * 0.25 + 0.5) * 255).clip(0, 255).astype(np.uint8)


def from_levels(pixels: torch.Tensor) -> torch.Tensor:
    """The other way."""
    return (pixels.float() / 255 - 0.5) / 0.25


class Packer:
    """Makes rows and batches of them.

    Args:
        processor: the model's; pictures go through its own image processor.
        room: tokens for the segments of one picture.
    """

    def __init__(self, processor: LlavaNextProcessor, room: int):
        self.processor, self.room = processor, room
        tokenizer = processor.tokenizer
        self.encode = tokenizer.backend_tokenizer.encode_batch
        self.eos, self.image = tokenizer.eos_token_id, processor.image_token_id
        text = tokenizer("USER: <image>\n").input_ids
        at = text.index(self.image)
        self.before, self.after = text[:at], text[at + 1 :]

    def prefix(self, row: Row) -> int:
        """Tokens before the first segment."""
        return len(self.before) + row.image_tokens + len(self.after)

    def segment(self, turns: Turns) -> tuple[list[int], list[bool]]:
        """Token ids after the prefix, and which of them are answers."""
        pieces = []
        for number, (question, answer) in enumerate(turns):
            pieces += [("USER: " if number else "") + question + " ASSISTANT:", " " + answer]
        ids, learnt = [], []
        for number, piece in enumerate(self.encode(pieces, add_special_tokens=False)):
            tokens = list(piece.ids) + ([self.eos] if number % 2 else [])
            ids += tokens
            learnt += [bool(number % 2)] * len(tokens)
        return ids, learnt

    def row(self, image, talks: Iterable[Turns], label: Callable | None = None) -> Row:
        """A picture with as many of `talks` as there is room for; those too long are passed over.

        Args:
            label: `Views` of the picture -> the labels of its patches.
        """
        made = self.processor.image_processor(image, return_tensors="np")
        height, width = made["image_sizes"][0].tolist()
        segments, left, misses = [], self.room, 0
        for turns in talks:
            found = self.segment(turns)
            if len(found[0]) <= left:
                segments.append(found)
                left -= len(found[0])
            else:
                misses += 1
            if misses == 3 or left < 8:
                break
        views = Views((width, height))
        patches = label(views) if label else {}
        order = feature_order((height, width))
        return Row(levels(made["pixel_values"][0]), order, segments, patches)

    def bucket(self, rows: list[Row]) -> tuple[int, int]:
        """The smallest of `BUCKETS` that takes each of the rows."""
        tiles = max(len(row.pixels) for row in rows)
        prefix = max(self.prefix(row) for row in rows)
        for bucket in BUCKETS:
            if tiles <= bucket[0] and prefix <= bucket[1]:
                return bucket
        raise ValueError(
            f"No bucket takes {tiles} tiles and {prefix} tokens before the questions: add one to "
            f"packing.BUCKETS, whose largest is {BUCKETS[-1]}."
        )

    def batch(self, rows: list[Row], fixed: bool = False) -> dict[str, torch.Tensor]:
        """Rows side by side.

        Args:
            fixed: with shapes that depend on the rows' bucket, their number and the room alone:
                every picture has the bucket's tiles, the last of them grey and without labels, and
                every place after the prefix is in `learnt`, most of them with `NOTHING` to learn.

        Returns:
            pixels [tiles of all rows, 3, 96, 96], 0 to 255
            order [rows, prefix]: which patch of all tiles stands there, if an image token does; the
                number after the last patch is the newline. Its shape tells the padded prefix
            ids, positions, owner [rows, prefix + room]: `owner` is 0 for the prefix, 1, 2, … for
                the segments, -1 for padding
            learnt [answer tokens of all rows]: where in the rows' states, flat and without the
                prefix, each answer token is told
            targets [answer tokens of all rows]
        """
        counts = [len(row.pixels) for row in rows]
        prefix = _rounded(max(self.prefix(row) for row in rows))
        room = max(1, *(sum(len(ids) for ids, _ in row.segments) for row in rows))
        if fixed:
            tiles, prefix = self.bucket(rows)
            counts, room = [tiles] * len(rows), self.room
        length = prefix + _rounded(room)
        *firsts, total = np.cumsum([0, *counts])
        pixels = np.full((total, *rows[0].pixels.shape[1:]), 128, np.uint8)
        labels = sight.unknown(total) if rows[0].patches else {}
        order = np.zeros((len(rows), prefix), np.int64)
        ids = np.zeros((len(rows), length), np.int64)
        owner = np.full((len(rows), length), -1, np.int64)
        positions = np.zeros((len(rows), length), np.int64)
        targets = np.full((len(rows), length), NOTHING, np.int64)
        for line, (row, first) in enumerate(zip(rows, firsts)):
            own, start = self.prefix(row), len(self.before)
            ids[line, :own] = self.before + [self.image] * row.image_tokens + self.after
            owner[line, :own] = 0
            positions[line, :own] = np.arange(own)
            patches = np.where(row.order < 0, GRID * GRID * total, GRID * GRID * first + row.order)
            order[line, start : start + row.image_tokens] = patches
            tiles = slice(first, first + len(row.pixels))
            pixels[tiles] = row.pixels
            for name, known in labels.items():
                known[tiles] = row.patches[name]
            at = prefix
            for number, (tokens, answers) in enumerate(row.segments, 1):
                span = slice(at, at + len(tokens))
                ids[line, span], owner[line, span] = tokens, number
                positions[line, span] = own + np.arange(len(tokens))
                # the state before a token tells it
                targets[line, at - 1 : at - 1 + len(tokens)] = np.where(answers, tokens, NOTHING)
                at += len(tokens)
        told = targets[:, prefix:].ravel()
        learnt = np.arange(len(told)) if fixed else np.flatnonzero(told != NOTHING)
        batch = {
            "pixels": pixels, "order": order, "ids": ids, "owner": owner, "positions": positions,
            "learnt": learnt, "targets": told[learnt],
        }  # fmt: skip
        return {name: torch.from_numpy(value) for name, value in (batch | labels).items()}


def _rounded(length: int) -> int:
    """Up to a multiple of 16, which attention on a GPU asks of a mask."""
    return -(-length // 16) * 16


def sorted_batches(rows: list[Row], size: int) -> Iterator[list[Row]]:
    """Rows in batches of `size`, each of rows with about as many picture tokens."""
    rows = sorted(rows, key=lambda row: row.image_tokens)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


class Views:
    """Where the pixels of a picture stand in its overview and its tiles.

    Args:
        size: (width, height) of the picture.
    """

    def __init__(self, size: tuple[int, int]):
        width, height = size
        grid = select_best_resolution((height, width), PINPOINTS)
        inner_height, inner_width = get_patch_output_size(
            np.empty((1, height, width)), grid, input_data_format="channels_first"
        )
        self.rows, self.columns = grid[0] // IMAGE_SIZE, grid[1] // IMAGE_SIZE
        left, top = (grid[1] - inner_width) // 2, (grid[0] - inner_height) // 2
        # each view: its origin, and pixels of the view to a whole width and height of the picture
        self.views = [((0.0, 0.0), (float(IMAGE_SIZE),) * 2)]
        for row in range(self.rows):
            for column in range(self.columns):
                corner = (column * IMAGE_SIZE - left, row * IMAGE_SIZE - top)
                self.views.append((corner, (float(inner_width), float(inner_height))))
        self.size = size

    def __len__(self) -> int:
        return len(self.views)

    def points(self, view: int, fractions: np.ndarray) -> np.ndarray:
        """Fractions of the picture, x and y in the last axis, as pixels of a view."""
        origin, scale = self.views[view]
        return fractions * np.array(scale, np.float32) - np.array(origin, np.float32)

    def shrink(self, view: int) -> float:
        """Pixels of the view to one of the picture, the smaller of the two directions."""
        (_, (x, y)), (width, height) = self.views[view], self.size
        return min(x / width, y / height)

    def letters(self, text: str, places: np.ndarray, lines: np.ndarray, begins: np.ndarray):
        """[views, 64, 6]: `sight.letter_labels` of each view.

        Args:
            places: [n, 3], centres and heights as fractions of width, height and height.
        """
        heights = places[:, 2] * self.size[1]
        return np.stack(
            [
                sight.letter_labels(
                    text, self.points(view, places[:, :2]), heights * self.shrink(view),
                    lines, begins,
                )
                for view in range(len(self))
            ]
        )  # fmt: skip
