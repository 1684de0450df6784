"""Which answers of pocket-llava change on the way to its users, and where?

One thing is changed at a time, and the same is asked as of the model in PyTorch, float32: eight
skills about 24 pictures, half of them with colour-shape pairs that it never saw in training,
where it is less sure. `same`: answers equal letter for letter; `right`: right ones ("locate" at IoU
0.5); `better`, `worse`: right where float32 is wrong, and the other way round.

*numbers*: weights rounded to whole numbers times a scale, one a row or one for 32 in a row,
products in float32; activations and weights rounded to bfloat16 or float16 after every module,
products in float32 (an emulation of a GPU, which this is not); weights and activations in 8 bits
by torch.ao. *program*: the same weights in onnxruntime. *picture*: everything as trained but the
pixels. "canvas" is a browser's shrinking of the picture, done in Chromium, the other resizings are
Pillow's and torch's. *blind*: grey pictures. Nothing is trained here: there is no seed to vary.

Needs `pip install -r recipes/shipping.txt`, and Chromium (`chromium` on the path).
"""

from __future__ import annotations

import base64
import copy
import functools
import io
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import vlm_helpers as vh
from recipes.experiments import _grounding

ROOT = Path(__file__).parents[2]
SKILLS = ("color", "shape", "count", "exists", "relation", "number", "word", "locate")
PICTURES = 12  # of each of two splits
FIRST_SEED = 80_000
SIDE = 96


@functools.cache
def _asked() -> tuple[list[Image.Image], list[int], list]:
    """Pictures, and for each question the number of its picture, and the question."""
    scenes = [
        vh.scenes.sample(seed, split)
        for split in ("test", "unseen_pairs")
        for seed in range(FIRST_SEED, FIRST_SEED + PICTURES)
    ]
    pairs = [(i, q) for i, scene in enumerate(scenes) for q in scene.questions(SKILLS)]
    numbers, questions = zip(*pairs)
    return [scene.image for scene in scenes], list(numbers), list(questions)


def torch_answers(vlm=None, pictures=None) -> list[str]:
    images, numbers, questions = _asked()
    shown = _grounding.Shown(pictures or images, vlm)
    asked = [(i, question.text) for i, question in zip(numbers, questions)]
    return [answer for answer, _ in shown.ask(asked, most=10)]


# --- numbers --------------------------------------------------------------------------------------


def rounded(bits: int, group: int | None = None, only: str = ""):
    """The model with weights rounded: of the linear layers with `only` in their name."""
    vlm = _grounding.model()
    model = copy.deepcopy(vlm.model)
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and only in name:
            weight = layer.weight.data  # [out, in]
            blocks = weight.reshape(-1, group or weight.shape[1])
            scale = blocks.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
            layer.weight.data = ((blocks / scale).round() * scale).view_as(weight)
    return vh.VLM(model, vlm.processor)


def half(dtype: torch.dtype):
    """The model with what every module computes rounded to `dtype`."""
    vlm = _grounding.model()
    model = copy.deepcopy(vlm.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))

    def rounding(module, args, output):
        return output.to(dtype).float() if isinstance(output, torch.Tensor) else output

    for module in model.modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(rounding)
    return vh.VLM(model, vlm.processor)


def torch_int8():
    from torch.ao.quantization import quantize_dynamic

    vlm = _grounding.model()
    return vh.VLM(quantize_dynamic(vlm.model, {torch.nn.Linear}, torch.qint8), vlm.processor)


# --- programs -------------------------------------------------------------------------------------


def onnx_answers() -> list[str]:
    """By the graphs in build/onnx: `python -m recipes.export build/onnx` first."""
    from recipes.export import OnnxVLM

    images, numbers, questions = _asked()
    vlm = _grounding.model()
    exported = OnnxVLM(
        ROOT / "build" / "onnx", vlm.processor, vlm.model.generation_config.eos_token_id, most=10
    )
    return exported.ask([images[i] for i in numbers], [question.text for question in questions])


# --- pictures -------------------------------------------------------------------------------------

PAGE = """<body>%s<script>
onload = () => {
  const answers = [...document.images].map((image) => {
    const canvas = new OffscreenCanvas(%d, %d), pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    return btoa(String.fromCharCode(...data));
  });
  document.body.textContent = "pixels:" + answers.join() + ";";
};
</script>"""


def canvas() -> list[Image.Image]:
    """The pictures as Chromium's canvas shrinks them by default."""
    urls = []
    for image in _asked()[0]:
        file = io.BytesIO()
        image.save(file, "png")
        urls.append("data:image/png;base64," + base64.b64encode(file.getvalue()).decode())
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        shown = "".join(f'<img alt="" src="{url}">' for url in urls)
        page.write_text(PAGE % (shown, SIDE, SIDE))
        command = [
            shutil.which("chromium") or "chromium", "--headless", "--no-sandbox", "--disable-gpu",
            f"--user-data-dir={folder}/profile", "--virtual-time-budget=100000",
            "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search("pixels:([A-Za-z0-9+/=,]+);", done.stdout)[1].split(",")
    arrays = (np.frombuffer(base64.b64decode(text), np.uint8) for text in found)
    return [Image.fromarray(a.reshape(SIDE, SIDE, 4)[..., :3].copy()) for a in arrays]


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
    vlm = _grounding.model()
    processor = copy.deepcopy(vlm.processor)
    processor.image_processor.image_mean = [0.48145466, 0.4578275, 0.40821073]
    processor.image_processor.image_std = [0.26862954, 0.26130258, 0.27577711]
    return vh.VLM(vlm.model, processor)


VARIANTS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "float32": ("numbers", lambda: torch_answers()),
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
    "3 bits, tower": ("numbers", lambda: torch_answers(rounded(3, 32, "vision_tower"))),
    "3 bits, decoder": ("numbers", lambda: torch_answers(rounded(3, 32, "language_model"))),
    "bfloat16": ("numbers", lambda: torch_answers(half(torch.bfloat16))),
    "float16": ("numbers", lambda: torch_answers(half(torch.float16))),
    "8 bits, activations too": ("numbers", lambda: torch_answers(torch_int8())),
    "canvas": ("picture", lambda: torch_answers(None, canvas())),
    "JPEG 30": ("picture", lambda: torch_answers(None, changed(jpeg(30)))),
    "onnxruntime": ("program", onnx_answers),
}


def settings() -> list[dict]:
    return [{"changed": kind, "variant": name} for name, (kind, _) in VARIANTS.items()]


@functools.cache
def _reference() -> list[str]:
    return torch_answers()


def run(changed: str, variant: str) -> list[dict]:
    answers, (_, _, questions) = VARIANTS[variant][1](), _asked()
    rows = []
    for skill in SKILLS:
        group = [
            (a, b, _grounding.right(a, q.answer), _grounding.right(b, q.answer))
            for a, b, q in zip(answers, _reference(), questions, strict=True)
            if q.skill == skill
        ]
        truths = Counter(q.answer for q in questions if q.skill == skill)
        rows.append({
            "skill": skill,
            "n": len(group),
            "same": sum(a == b for a, b, _, _ in group),
            "right": sum(now for _, _, now, _ in group),
            "better": sum(now and not before for _, _, now, before in group),
            "worse": sum(before and not now for _, _, now, before in group),
            "majority": max(truths.values()) / len(group),
        })  # fmt: skip
    return rows
