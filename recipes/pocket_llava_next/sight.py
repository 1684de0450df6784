"""What the tower learns before there is any language: labels on every patch of every tile.

A tile is 96 pixels wide and has 8 x 8 patches. A patch is labelled with

letters   the first `SLOTS` characters whose centres lie in it, in reading order, and whether a word
          begins at each
things    the thing (an animal, a cup, ...) that covers most of it, and the thing's box in the tile
shapes    what `recipes.pocket_llava` labels: coloured shapes and signs

Each of the three may be unknown.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from recipes.pocket_llava.packing import GRID
from recipes.pocket_llava.parts import IMAGE_SIZE, PATCH_SIZE
from recipes.pocket_llava.train import Seer
from vlm_helpers.pages import atlas

SLOTS = 3
READABLE = 5.5  # print lower than this, in pixels of the tile, is only known to be there
EMPTY, UNREADABLE = 0, 1
LETTERS = {chr(code): code - 33 + 2 for code in range(33, 127)}
LETTERS |= {letter: len(LETTERS) + 2 + i for i, letter in enumerate("€£°–•×é")}
N_LETTERS = len(LETTERS) + 2
UNKNOWN = -1  # no label


def normalized(pixels: np.ndarray) -> np.ndarray:
    """Grey levels [3, height, width] as the processor hands them over."""
    return (pixels.clip(0, 255).astype(np.float32) / 255 - 0.5) / 0.25


def letter_labels(letters, centers, heights, lines, begins) -> np.ndarray:
    """[64, 6]: three letters of each patch, and whether a word begins at each; see the module.

    Args: as in `text.Print`, in pixels of the tile; what lies outside is left out.
    """
    labels = np.zeros((GRID * GRID, 2 * SLOTS), np.int64)
    labels[:, SLOTS:] = UNKNOWN
    cells = np.floor(centers / PATCH_SIZE).astype(int)
    inside = np.flatnonzero(((cells >= 0) & (cells < GRID)).all(1))
    if not len(inside):
        return labels
    where = cells[inside, 1] * GRID + cells[inside, 0]
    order = np.lexsort((centers[inside, 0], lines[inside], where))
    inside, where = inside[order], where[order]
    first = np.r_[True, where[1:] != where[:-1]]
    starts = np.flatnonzero(first)
    rank = np.arange(len(where)) - np.repeat(starts, np.diff(np.r_[starts, len(where)]))
    for at, cell, slot in zip(inside, where, rank):
        if slot < SLOTS:
            if heights[at] < READABLE:
                labels[cell, slot] = UNREADABLE
            else:
                labels[cell, slot] = LETTERS.get(letters[at], UNKNOWN)
                labels[cell, SLOTS + slot] = begins[at]
    return labels


def thing_labels(boxes, names) -> np.ndarray:
    """[64, 6]: number of the thing (0 where there is none), its box, and 1 where there is one.

    Args:
        boxes: (x0, y0, x1, y1) of each thing in fractions of the tile; they may reach outside.
        names: what the things are called, nearer ones later.
    """
    labels = np.zeros((GRID, GRID, 6), np.float32)
    best = np.full((GRID, GRID), 0.25)  # a patch shows what covers at least a quarter of it
    edges = np.arange(GRID + 1) / GRID
    for box, name in zip(boxes, names):
        wide = np.clip(np.minimum(edges[1:], box[2]) - np.maximum(edges[:-1], box[0]), 0, None)
        high = np.clip(np.minimum(edges[1:], box[3]) - np.maximum(edges[:-1], box[1]), 0, None)
        cover = GRID**2 * high[:, None] * wide[None, :]
        here = cover >= best
        best = np.maximum(best, cover)
        labels[here] = (1 + atlas.things().names.index(name), *box, 1)
    return labels.reshape(-1, 6)


def unknown(tiles: int) -> dict[str, np.ndarray]:
    """Labels of tiles of which nothing is known yet."""
    labels = {
        "letters": np.full((tiles, GRID * GRID, 2 * SLOTS), UNKNOWN, np.int64),
        "things": np.zeros((tiles, GRID * GRID, 6), np.float32),
        "shapes": np.full((tiles, GRID * GRID, 12), UNKNOWN, np.float32),
    }
    labels["things"][..., 0] = UNKNOWN
    labels["shapes"][..., 11] = 0
    return labels


class Sight(torch.nn.Module):
    """The vision tower with the linear heads that read its patches; the heads do not ship."""

    def __init__(self, tower: torch.nn.Module, width: int):
        super().__init__()
        self.shapes = Seer(tower, width)
        self.letters = torch.nn.Linear(width, SLOTS * N_LETTERS)
        self.begins = torch.nn.Linear(width, SLOTS)
        self.things = torch.nn.Linear(width, 1 + len(atlas.things().names) + 4)
        weight = torch.ones(N_LETTERS)
        weight[EMPTY] = weight[UNREADABLE] = 0.3
        self.register_buffer("weight", weight, persistent=False)

    @property
    def tower(self) -> torch.nn.Module:
        return self.shapes.tower

    def heads(self) -> list[torch.nn.Parameter]:
        modules = (self.shapes.heads, self.letters, self.begins, self.things)
        return [p for module in modules for p in module.parameters()]

    def forget(self) -> None:
        """Sets the heads to zero, which says that they have learnt nothing."""
        for p in self.heads():
            torch.nn.init.zeros_(p)

    @property
    def forgotten(self) -> bool:
        return not any(p.any() for p in self.heads())

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.shapes.features(pixels)  # [tiles, 64, width]

    def losses(self, features, labels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """One for each kind of label."""
        return {
            "letters": self.letter_loss(features, labels["letters"]),
            "things": self._thing_loss(features, labels["things"]),
            "shapes": self.shapes.loss(features, labels["shapes"]),
        }

    def letter_loss(self, features, labels):
        scores = self.letters(features).view(-1, N_LETTERS).float()
        targets = labels[..., :SLOTS].reshape(-1)
        each = F.cross_entropy(scores, targets, self.weight, ignore_index=UNKNOWN, reduction="sum")
        weights = (self.weight[targets.clamp(min=0)] * (targets >= 0)).sum()
        begins = labels[..., SLOTS:]
        known = begins >= 0
        miss = F.binary_cross_entropy_with_logits(
            self.begins(features).float(), begins.clamp(min=0).float(), reduction="none"
        )
        said = each / weights.clamp(min=1)
        return said + 0.3 * (miss * known).sum() / known.sum().clamp(min=1)

    def _thing_loss(self, features, labels):
        scores = self.things(features).float()
        targets = labels[..., 0].long()
        weight = (targets >= 0) * torch.where(targets > 0, 1.0, 0.2)
        each = F.cross_entropy(
            scores[..., :-4].flatten(0, 1), targets.flatten(), ignore_index=UNKNOWN,
            reduction="none",
        )  # fmt: skip
        there = labels[..., 5:]
        miss = F.smooth_l1_loss(scores[..., -4:], labels[..., 1:5], reduction="none", beta=0.05)
        said = (each * weight.flatten()).sum() / weight.sum().clamp(min=1)
        # boxes weigh little: their gradients are forty times as large as the names'
        return said + 0.1 * (miss * there).sum() / there.sum().clamp(min=1)

    @torch.no_grad()
    def right(self, features, labels: dict[str, torch.Tensor]) -> dict[str, float]:
        """The share of readable letters, and of patches with a thing, that the heads name."""
        guess = self.letters(features).view(*features.shape[:2], SLOTS, N_LETTERS).argmax(-1)
        letters, things = labels["letters"][..., :SLOTS], labels["things"][..., 0]
        named = self.things(features)[..., :-4].argmax(-1)
        return {
            "letters right": (guess == letters)[letters > UNREADABLE].float().mean().item(),
            "things right": (named == things)[things > 0].float().mean().item(),
        }


def shown(printed, x: float, y: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """A tile whose top left corner is at (x, y) of the sheet, shrunk by `scale`: its grey levels
    [3, 96, 96], and the centres of all letters in its pixels."""
    side = IMAGE_SIZE * scale
    box = (x, y, x + side, y + side)
    ink = printed.ink.resize((IMAGE_SIZE,) * 2, Image.Resampling.BILINEAR, box=box)
    ground, dark = np.array(printed.colors, np.float32)[:, :, None, None]
    pixels = ground + (dark - ground) * (np.asarray(ink, np.float32) / 255)
    return pixels, (printed.centers - np.array([x, y], np.float32)) / scale


def cut(printed, x: float, y: float, scale: float, noise: np.ndarray):
    """A tile as it is `shown`, and its labels; `noise` [96, 96] is added, in grey levels."""
    pixels, centers = shown(printed, x, y, scale)
    labels = letter_labels(
        printed.letters, centers, printed.heights / scale, printed.lines, printed.begins
    )
    return normalized(pixels + noise), labels
