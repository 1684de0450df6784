"""A scene, and how one is drawn at random from a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from PIL.Image import Image

from vlm_helpers._draws import Draws
from vlm_helpers._questions import Question, conversation, to_messages
from vlm_helpers._words import did_you_mean, whole_number
from vlm_helpers.scenes import _drawing, _language
from vlm_helpers.scenes.world import (
    COLORS,
    HELD_OUT_SHAPES,
    MAX_OBJECTS,
    MIN_SIZE,
    PICTURE_SIZE,
    SHAPES,
    SIZES,
    SPLITS,
    UNSEEN_PAIRS,
    WORDS,
    Box,
    SceneObject,
    Sign,
    sign_size,
)


@dataclass(frozen=True)
class Scene:
    """A picture and everything that is true of it. Made by `sample`.

    The sign is not one of the objects: it is not counted, listed or given a size. It is named in
    captions, can be read, and can be located as "the sign".

    Attributes:
        seed, split: what it was made from.
        objects: the shapes, from left to right.
        sign: the sign, or None.
        background: three corner colours and the strength of the pattern on them.
    """

    seed: int
    split: str
    objects: tuple[SceneObject, ...]
    sign: Sign | None
    background: tuple = field(repr=False)

    @property
    def key(self) -> str:
        """Its name among all scenes, such as "train/3"."""
        return f"{self.split}/{self.seed}"

    @cached_property
    def image(self) -> Image:
        """The picture: RGB, 384 × 384 pixels, antialiased."""
        return self.render()

    def render(self, size: int = PICTURE_SIZE, supersample: int = 2) -> Image:
        """The picture, `size` pixels wide and high, drawn `supersample` times larger first.

        Raises:
            ValueError: for a size under 16, or a `supersample` under 1.
        """
        size = whole_number("size", size, least=MIN_SIZE)
        supersample = whole_number("supersample", supersample, least=1)
        return _drawing.render(self, size, supersample)

    def caption(self, style: str = "short") -> str:
        """What is in the picture, in a sentence or two.

        Args:
            style: "short" names the objects from left to right, "detailed" says where each one
                is and what the sign says, "grounded" gives each one's box in location tokens.
        Raises:
            ValueError: for another style.
        """
        return _language.caption(self, style)

    def questions(self, skills=None, per_skill: int = 1, seed: int = 0) -> list[Question]:
        """Questions about this picture with their answers.

        Args:
            skills: which of `SKILLS`, all by default; an empty list asks nothing. A skill that this
                scene has no question for (a relation needs two objects) is left out of the result.
            per_skill: how many of each; the same question never comes twice.
            seed: other seeds give other questions.
        Returns:
            A list of `Question`.
        Raises:
            ValueError: for a skill that does not exist, or a number below 1.
        """
        return _language.questions(self, skills, per_skill, seed)

    def messages(self, turns: int = 1, skills=None, seed: int = 0) -> dict:
        """A training row: a conversation about this picture.

        Args:
            turns: how many questions with their answers; fewer where the scene has no more.
            skills: what they are about, as in `questions`. By default anything; then about half
                of the conversations of 2 to 4 turns stay with one object and call it "it".
            seed: other seeds give other conversations.

        Returns:
            {"messages": [...], "images": [PIL image]} in the form that `datasets` and TRL take
            (the schema of HuggingFaceH4/llava-instruct-mix-vsft).
        Raises:
            ValueError: for fewer than one turn, or skills that give no question here.
        """
        talk = conversation(self, turns, skills, seed, _language.follow_ups)
        return {"messages": to_messages(talk), "images": [self.image]}


def sample(
    seed: int,
    split: str = "train",
    *,
    n_objects: int | None = None,
    sign: bool | str | None = None,
    shapes: tuple[str, ...] | None = None,
) -> Scene:
    """The scene that belongs to `seed` in `split`: always the same one.

    Args:
        seed: a whole number.
        split: one of `SPLITS`. The same seed gives unrelated scenes in two splits. Only
            "unseen_pairs" holds the colour-shape pairs of `UNSEEN_PAIRS`.
        n_objects: how many shapes, 1 to 6; by default the seed decides.
        sign: True or False for with or without one, or the text to put on it; by default the
            seed decides (45% have one).
        shapes: the shapes to draw from, by default `SHAPES`.
    Raises:
        TypeError, ValueError: for a seed, a split, a number, a sign or a shape that cannot be.
    """
    seed = whole_number("seed", seed)
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}; {did_you_mean(split, SPLITS)}")
    if n_objects is not None:
        n_objects = whole_number("n_objects", n_objects, 1, MAX_OBJECTS)
    if not isinstance(sign, bool | str | None):
        raise TypeError(f"sign must be True, False, None or the text on it, not {sign!r}.")
    for shape in shapes or ():
        if shape not in SHAPES + HELD_OUT_SHAPES:
            known = SHAPES + HELD_OUT_SHAPES
            raise ValueError(f"There is no shape {shape!r}; {did_you_mean(shape, known)}")
    if split == "unseen_pairs" and shapes and not any(s in shapes for s, _ in UNSEEN_PAIRS):
        raise ValueError(f"No unseen pair has one of the shapes {', '.join(shapes)}.")
    draws = Draws(f"{split}/{seed}")
    wanted = n_objects or draws.weighted((1, 2, 3, 4, 5, 6), (2, 4, 4, 3, 2, 1.5))
    the_sign = _draw_sign(draws, sign)
    objects = _draw_objects(draws, wanted, split, shapes or SHAPES, the_sign)
    objects.sort(key=lambda thing: thing.center[0])
    return Scene(seed, split, tuple(objects), the_sign, _draw_background(draws))


def _draw_sign(draws: Draws, sign: bool | str | None) -> Sign | None:
    with_sign, kind = draws.chance(0.45), draws.chance(0.5)
    text = str(draws.below(10 ** (1 + draws.below(3)))) if kind else draws.pick(WORDS)
    x, y = draws.uniform(0, 1), draws.uniform(0, 1)
    if isinstance(sign, str):
        text, with_sign = sign.strip().lower(), True
        if not (text.isascii() and text.isalnum() and sign_size(text)[0] < 0.9 * PICTURE_SIZE):
            raise ValueError(
                f"A sign takes one word or number that fits on the picture, not {sign!r}."
            )
    elif sign is not None:
        with_sign = bool(sign)
    if not with_sign:
        return None
    width, height = (side / PICTURE_SIZE for side in sign_size(text))
    x0, y0 = 0.02 + x * (0.96 - width), 0.02 + y * (0.96 - height)
    return Sign(text, (x0, y0, x0 + width, y0 + height))


def _draw_objects(draws, wanted, split, shapes, sign) -> list[SceneObject]:
    # A favourite colour or shape makes counts above one, and the pairs of objects that share
    # one attribute, as common as they need to be to be learnt.
    favourite_shape = draws.pick(shapes) if draws.chance(0.3) else None
    favourite_color = draws.pick(tuple(COLORS)) if draws.chance(0.3) else None
    large_share = 0.5 if wanted <= 3 else 0.3
    objects: list[SceneObject] = []
    names = set()
    for attempt in range(10_000):  # six objects beside a wide sign take a while to fit
        if len(objects) == wanted:
            break
        shape, color = draws.pick(shapes), draws.pick(tuple(COLORS))
        if favourite_shape and draws.chance(0.6):
            shape = favourite_shape
        if favourite_color and draws.chance(0.6):
            color = favourite_color
        if split == "unseen_pairs" and (not objects or draws.chance(0.4)):
            shape, color = draws.pick([pair for pair in UNSEEN_PAIRS if pair[0] in shapes])
        size = "large" if draws.chance(large_share) and attempt < 200 else "small"
        radius = draws.uniform(*SIZES[size]) / PICTURE_SIZE
        reach = 1.08 * radius + 0.01
        center = (draws.uniform(reach, 1 - reach), draws.uniform(reach, 1 - reach))
        unseen = (shape, color) in UNSEEN_PAIRS
        if (shape, color) in names or (unseen and split != "unseen_pairs"):
            continue
        if sign and _distance_to_box(center, sign.box) < 1.05 * radius + 0.01:
            continue
        if any(math.dist(center, o.center) < 1.05 * (radius + o.radius) + 0.01 for o in objects):
            continue
        names.add((shape, color))
        objects.append(SceneObject(shape, color, size, center, radius))
    return objects


def _distance_to_box(point, box: Box) -> float:
    (x, y), (x0, y0, x1, y1) = point, box
    return math.hypot(max(x0 - x, 0, x - x1), max(y0 - y, 0, y - y1))


def _draw_background(draws: Draws) -> tuple:
    base = [draws.uniform(170, 245) for _ in range(3)]
    grey = sum(base) / 3
    mute = draws.uniform(0.2, 0.8)  # pale and greyish, so that every object stands out
    base = [grey + (value - grey) * mute for value in base]
    corners = tuple(tuple(value + draws.uniform(-22, 10) for value in base) for _ in range(3))
    return corners, draws.uniform(0, 7) * draws.chance(0.6), draws.uniform(0, math.pi)
