"""Which answers of pocket-llava change on the way to its users, and where?

One thing is changed at a time, and the same is asked as of the model in PyTorch, float32: eight
skills about 24 pictures, half of them with colour-shape pairs that it never saw in training,
where it is less sure. A line of the table is one question about one picture. `same`: whether the
answer is equal letter for letter; `right`: whether it is right ("locate" at IoU 0.5); `better`,
`worse`: right where float32 is wrong, and the other way round. Up to eight questions share a
picture, and are not independent: draw pictures, not questions, for an interval.

*numbers*: weights rounded to whole numbers times a scale, one a row or one for 32 in a row,
products in float32; activations and weights rounded to bfloat16 or float16 after every module,
products in float32 (an emulation of a GPU, which this is not); weights and activations in 8 bits
by torch.ao, and by onnxruntime ("ONNX int8", dynamic, as `quantize_dynamic` does it by default).
*program*: the same weights in onnxruntime, in the playground's JavaScript (in node, and in
Chromium), and behind `transformers serve --dtype float32`, asked over HTTP by OpenAI's client (by
itself the server takes the 16 bits that the model's file has). *picture*: everything as trained but
the pixels. "canvas" is a browser's shrinking of the picture, done in
Chromium, the other resizings are Pillow's and torch's. *blind*: grey pictures. *floor*: no model,
the commonest right answer of each skill. Blanks around an answer are not compared. Nothing is
trained here: there is no seed to vary.

Needs `pip install -r recipes/shipping.txt`, and `node` (18 or later) and `chromium` on the path.
What needs a tool that is not there is skipped, and the table waits for it.
"""

from __future__ import annotations

import collections
import copy
import functools
import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

import vlm_helpers as vh
from recipes.experiments import _asking, _programs
from recipes.experiments._rounding import half, rounded, torch_int8
from recipes.places import is_right

SKILLS = ("color", "shape", "count", "exists", "relation", "number", "word", "locate")
PICTURES = 12  # of each of two splits
FIRST_SEED = 80_000
SIDE = 96
MOST = 10  # tokens of an answer
LIBRARIES = ("onnx", "onnxruntime", "openai")  # for the card


@functools.cache
def _asked() -> tuple[list[Image.Image], list[tuple[int, str]], list]:
    """Pictures; what is asked, as (number of the picture, question); and the questions."""
    scenes = [
        vh.scenes.sample(seed, split)
        for split in ("test", "unseen_pairs")
        for seed in range(FIRST_SEED, FIRST_SEED + PICTURES)
    ]
    pairs = [(i, q) for i, scene in enumerate(scenes) for q in scene.questions(SKILLS)]
    asked = [(i, question.text) for i, question in pairs]
    return [scene.image for scene in scenes], asked, [question for _, question in pairs]


def torch_answers(vlm=None, pictures=None) -> list[str]:
    images, asked, _ = _asked()
    shown = _asking.Shown(pictures or images, vlm)
    return [answer for answer, _ in shown.ask(asked, most=MOST)]


def answers_of(program: Callable[..., list[str]], *more: str) -> list[str]:
    images, asked, _ = _asked()
    return program(images, asked, MOST, *more)


def commonest_answers() -> list[str]:
    """To each question the right answer that is the commonest among those of its skill."""
    questions = _asked()[2]
    counts = collections.defaultdict(collections.Counter)
    for question in questions:
        counts[question.skill][question.answer] += 1
    return [counts[question.skill].most_common(1)[0][0] for question in questions]


# --- pictures -------------------------------------------------------------------------------------


def changed(change: Callable[[Image.Image], Image.Image]) -> list[Image.Image]:
    return [change(image.convert("RGB")) for image in _asked()[0]]


def resized(how: Image.Resampling) -> list[Image.Image]:
    return changed(lambda image: image.resize((SIDE, SIDE), how))


def plain_bilinear(image: Image.Image) -> Image.Image:
    """Four neighbours of each point, whatever the scale: torch's default, and OpenCV's."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear")
    return Image.fromarray(small[0].permute(1, 2, 0).round().byte().numpy())


def jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def squeezed(image):
        file = io.BytesIO()
        image.save(file, "jpeg", quality=quality)
        return Image.open(file).convert("RGB")

    return squeezed


def cropped(image: Image.Image) -> Image.Image:
    """The middle seven eighths, as 224 pixels are cut out of 256."""
    edge = image.width // 16
    return image.crop((edge, edge, image.width - edge, image.height - edge))


def clip_normalized():
    """The processor with CLIP's mean and deviation in place of the model's."""
    vlm = _asking.model()
    processor = copy.deepcopy(vlm.processor)
    processor.image_processor.image_mean = [0.48145466, 0.4578275, 0.40821073]
    processor.image_processor.image_std = [0.26862954, 0.26130258, 0.27577711]
    return vh.VLM(vlm.model, processor)


VARIANTS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "float32": ("numbers", lambda: _reference()),
    "8 bits, a row": ("numbers", lambda: torch_answers(rounded(8))),
    "4 bits, a row": ("numbers", lambda: torch_answers(rounded(4))),
    "4 bits, groups of 32": ("numbers", lambda: torch_answers(rounded(4, 32))),
    "3 bits, a row": ("numbers", lambda: torch_answers(rounded(3))),
    "3 bits, groups of 32": ("numbers", lambda: torch_answers(rounded(3, 32))),
    "bilinear, plain": ("picture", lambda: torch_answers(None, changed(plain_bilinear))),
    "nearest": ("picture", lambda: torch_answers(None, resized(Image.Resampling.NEAREST))),
    "cropped": ("picture", lambda: torch_answers(None, changed(cropped))),
    "CLIP's mean and deviation": ("picture", lambda: torch_answers(clip_normalized())),
    "blue and red exchanged": (
        "picture",
        lambda: torch_answers(None, changed(lambda i: Image.merge("RGB", i.split()[::-1]))),
    ),
    "grey": (
        "blind",
        lambda: torch_answers(None, changed(lambda i: Image.new("RGB", i.size, (128,) * 3))),
    ),
    "commonest answer": ("floor", commonest_answers),
    "3 bits, tower": ("numbers", lambda: torch_answers(rounded(3, 32, "vision_tower"))),
    "3 bits, decoder": ("numbers", lambda: torch_answers(rounded(3, 32, "language_model"))),
    "bfloat16": ("numbers", lambda: torch_answers(half(torch.bfloat16))),
    "float16": ("numbers", lambda: torch_answers(half(torch.float16))),
    "8 bits, activations too": ("numbers", lambda: torch_answers(torch_int8())),
    "canvas": ("picture", lambda: torch_answers(None, _programs.canvas(_asked()[0], SIDE))),
    "JPEG 30": ("picture", lambda: torch_answers(None, changed(jpeg(30)))),
    "ONNX int8": ("numbers", lambda: answers_of(_programs.onnx, "int8")),
    "onnxruntime": ("program", lambda: answers_of(_programs.onnx)),
    "JavaScript in node": ("program", lambda: answers_of(_programs.node)),
    "JavaScript in Chromium": ("program", lambda: answers_of(_programs.chromium)),
    "transformers serve": ("program", lambda: answers_of(_programs.served)),
}


def settings() -> list[dict]:
    return [{"changed": kind, "variant": name} for name, (kind, _) in VARIANTS.items()]


@functools.cache
def _reference() -> list[str]:
    return torch_answers()


def run(changed: str, variant: str) -> list[dict]:
    answers, (_, asked, questions), rows = VARIANTS[variant][1](), _asked(), []
    for answer, before, (number, _), question in zip(
        answers, _reference(), asked, questions, strict=True
    ):
        now, then = (is_right(a, question.answer) for a in (answer, before))
        rows.append({
            "picture": number,
            "skill": question.skill,
            "same": int(answer == before),
            "right": int(now),
            "better": int(now and not then),
            "worse": int(then and not now),
        })  # fmt: skip
    return rows
