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

import base64
import collections
import contextlib
import copy
import functools
import importlib.util
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import vlm_helpers as vh
from recipes.experiments import MissingTool, _grounding

ROOT = Path(__file__).parents[2]
SKILLS = ("color", "shape", "count", "exists", "relation", "number", "word", "locate")
PICTURES = 12  # of each of two splits
FIRST_SEED = 80_000
SIDE = 96
MOST = 10  # tokens of an answer
LIBRARIES = ("onnx", "onnxruntime", "openai")  # for the card


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
    return [answer for answer, _ in shown.ask(asked, most=MOST)]


def needed(tool: str) -> str:
    """The path of a program. Raises `MissingTool`."""
    path = shutil.which(tool)
    if not path:
        raise MissingTool(f"this needs {tool} on the path, and it is not there")
    return path


def need_packages(*names: str) -> None:
    """Raises `MissingTool` where one of them cannot be imported."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingTool(f"this needs {', '.join(missing)}: pip install -r recipes/shipping.txt")


def commonest_answers() -> list[str]:
    """To each question the right answer that is the commonest among those of its skill."""
    questions = _asked()[2]
    counts = collections.defaultdict(collections.Counter)
    for question in questions:
        counts[question.skill][question.answer] += 1
    return [counts[question.skill].most_common(1)[0][0] for question in questions]


# --- numbers --------------------------------------------------------------------------------------


def round_weights(model: torch.nn.Module, bits: int, group: int | None = None, only: str = ""):
    """Rounds, in place, the linear layers with `only` in their name; gives the model back.

    An adapter's own matrices, which LoRA puts beside a layer, stay as they are.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and only in name and "lora_" not in name:
            weight = layer.weight.data  # [out, in]
            blocks = weight.reshape(-1, group or weight.shape[1])
            scale = blocks.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
            layer.weight.data = ((blocks / scale).round() * scale).view_as(weight)
    return model


def rounded(bits: int, group: int | None = None, only: str = ""):
    """The model with weights rounded, as `round_weights` does it."""
    vlm = _grounding.model()
    return vh.VLM(round_weights(copy.deepcopy(vlm.model), bits, group, only), vlm.processor)


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


@functools.cache
def _graphs() -> tempfile.TemporaryDirectory:
    """The exported graphs, and those in 8 bits in "int8" inside of it."""
    need_packages("onnx", "onnxscript", "onnxruntime")
    from recipes.export import export, to_int8

    folder = tempfile.TemporaryDirectory()
    export(_grounding.model().model, folder.name)
    to_int8(folder.name, Path(folder.name) / "int8")
    return folder


def onnx_answers(inside: str = "") -> list[str]:
    from recipes.export import OnnxVLM

    images, numbers, questions = _asked()
    vlm = _grounding.model()
    end = vlm.model.generation_config.eos_token_id
    exported = OnnxVLM(Path(_graphs().name) / inside, vlm.processor, end, most=MOST)
    return exported.ask([images[i] for i in numbers], [question.text for question in questions])


def _job() -> str:
    """What is asked, for `recipes/ask_playground.mjs`."""
    images, numbers, questions = _asked()
    world = json.loads((ROOT / "site" / "playground" / "world.json").read_text(encoding="utf-8"))
    pictures = [
        {
            "width": image.width,
            "height": image.height,
            "rgb": base64.b64encode(image.convert("RGB").tobytes()).decode(),
        }
        for image in images
    ]
    asked = [(i, question.text) for i, question in zip(numbers, questions)]
    return json.dumps({"prompt": world["prompt"], "most": MOST, "pictures": pictures,
                       "asked": asked})  # fmt: skip


def node_answers() -> list[str]:
    command = [needed("node"), str(ROOT / "recipes" / "ask_playground.mjs")]
    done = subprocess.run(command, input=_job(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


ASKING = """<script type="module">
import { answers } from "/recipes/ask_playground.mjs";
const job = await (await fetch("job.json")).json();
const found = await answers(job, async (url) => (await fetch(url)).arrayBuffer());
document.body.textContent = "answers:" + btoa(JSON.stringify(found)) + ";";
</script><body>"""


def chromium_answers() -> list[str]:
    from tools.playground import server

    (ROOT / "build").mkdir(exist_ok=True)
    serving = server(ROOT, 0)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            (Path(folder) / "job.json").write_text(_job())
            (Path(folder) / "page.html").write_text(ASKING)
            address = f"http://127.0.0.1:{serving.server_port}/build/{Path(folder).name}/page.html"
            found = re.search("answers:([A-Za-z0-9+/=]+);", _dom(address))[1]
    finally:
        serving.shutdown()
        serving.server_close()
    return json.loads(base64.b64decode(found))


def _dom(address: str) -> str:
    """A page as it is in Chromium once its scripts have run."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            needed("chromium"), "--headless", "--no-sandbox", "--disable-gpu",
            f"--user-data-dir={profile}", "--virtual-time-budget=100000", "--dump-dom", address,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def _served() -> Iterator[str]:
    """The address of `transformers serve` with the model, as long as the context lasts."""
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]  # nobody else's
    command = [
        sys.executable, "-m", "transformers.cli.transformers", "serve",
        str(vh.loading.pocket_folder()), "--device", "cpu", "--dtype", "float32",
        "--port", str(port),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while True:
                try:
                    urllib.request.urlopen(f"http://localhost:{port}/health", timeout=5)
                    break
                except OSError:
                    if server.poll() is not None:
                        log.seek(0)
                        raise RuntimeError(log.read()[-600:].decode()) from None
                    time.sleep(1)
            yield f"http://localhost:{port}/v1"
        finally:
            server.terminate()
            server.wait()


def served_answers() -> list[str]:
    need_packages("fastapi", "uvicorn", "openai")
    from openai import OpenAI

    images, numbers, questions = _asked()
    found = []
    with _served() as address:
        client = OpenAI(base_url=address, api_key="none", timeout=600)
        for number, question in zip(numbers, questions):
            parts = [
                {"type": "image_url", "image_url": {"url": _png(images[number])}},
                {"type": "text", "text": question.text},
            ]
            reply = client.chat.completions.create(
                model=str(vh.loading.pocket_folder()), temperature=0, max_tokens=MOST,
                messages=[{"role": "user", "content": parts}],
            )  # fmt: skip
            found.append(reply.choices[0].message.content.strip())
    return found


# --- pictures -------------------------------------------------------------------------------------


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


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
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        shown = "".join(f'<img alt="" src="{_png(image)}">' for image in _asked()[0])
        page.write_text(PAGE % (shown, SIDE, SIDE))
        found = re.search("pixels:([A-Za-z0-9+/=,]+);", _dom(page.as_uri()))[1].split(",")
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
    "canvas": ("picture", lambda: torch_answers(None, canvas())),
    "JPEG 30": ("picture", lambda: torch_answers(None, changed(jpeg(30)))),
    "ONNX int8": ("numbers", lambda: onnx_answers("int8")),
    "onnxruntime": ("program", onnx_answers),
    "JavaScript in node": ("program", node_answers),
    "JavaScript in Chromium": ("program", chromium_answers),
    "transformers serve": ("program", served_answers),
}


def settings() -> list[dict]:
    return [{"changed": kind, "variant": name} for name, (kind, _) in VARIANTS.items()]


@functools.cache
def _reference() -> list[str]:
    return torch_answers()


def run(changed: str, variant: str) -> list[dict]:
    answers, (_, numbers, questions) = VARIANTS[variant][1](), _asked()
    rows = []
    for answer, before, number, question in zip(
        answers, _reference(), numbers, questions, strict=True
    ):
        now, then = (_grounding.right(a, question.answer) for a in (answer, before))
        rows.append({
            "picture": number,
            "skill": question.skill,
            "same": int(answer == before),
            "right": int(now),
            "better": int(now and not then),
            "worse": int(then and not now),
        })  # fmt: skip
    return rows
