"""pocket-llava in other programs: onnxruntime, the playground's JavaScript, `transformers serve`.

Each is a function that takes pictures, what is asked as (number of the picture, question), and the
most tokens of an answer; it gives the answers, without the blanks around them. Where a program or
package is not here it raises `MissingTool`.
"""

from __future__ import annotations

import base64
import contextlib
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
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import vlm_helpers as vh
from recipes.experiments import MissingTool, _asking

ROOT = Path(__file__).parents[2]
Asked = Sequence[tuple[int, str]]


def _needed(tool: str) -> str:
    """The path of a program. Raises `MissingTool`."""
    path = shutil.which(tool)
    if not path:
        raise MissingTool(f"this needs {tool} on the path, and it is not there")
    return path


def _need_packages(*names: str) -> None:
    """Raises `MissingTool` where one of them cannot be imported."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingTool(f"this needs {', '.join(missing)}: pip install -r recipes/shipping.txt")


@functools.cache
def _graphs() -> tempfile.TemporaryDirectory:
    """The exported graphs, and those in 8 bits in "int8" inside of it."""
    _need_packages("onnx", "onnxscript", "onnxruntime")
    from recipes.export import export, to_int8

    folder = tempfile.TemporaryDirectory()
    export(_asking.model().model, folder.name)
    to_int8(folder.name, Path(folder.name) / "int8")
    return folder


def onnx(images: Sequence[Image.Image], asked: Asked, most: int, inside: str = "") -> list[str]:
    """`inside`: "int8" for the graphs in 8 bits."""
    folder, vlm = Path(_graphs().name) / inside, _asking.model()
    from recipes.export import OnnxVLM

    exported = OnnxVLM(folder, vlm.processor, vlm.model.generation_config.eos_token_id, most=most)
    return exported.ask([images[i] for i, _ in asked], [question for _, question in asked])


def _job(images: Sequence[Image.Image], asked: Asked, most: int) -> str:
    """What is asked, for `recipes/ask_playground.mjs`."""
    world = json.loads((ROOT / "site" / "playground" / "world.json").read_text(encoding="utf-8"))
    pictures = [
        {
            "width": image.width,
            "height": image.height,
            "rgb": base64.b64encode(image.convert("RGB").tobytes()).decode(),
        }
        for image in images
    ]
    return json.dumps({"prompt": world["prompt"], "most": most, "pictures": pictures,
                       "asked": asked})  # fmt: skip


def node(images: Sequence[Image.Image], asked: Asked, most: int) -> list[str]:
    command = [_needed("node"), str(ROOT / "recipes" / "ask_playground.mjs")]
    job = _job(images, asked, most)
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


ASKING = """<script type="module">
import { answers } from "/recipes/ask_playground.mjs";
const job = await (await fetch("job.json")).json();
const found = await answers(job, async (url) => (await fetch(url)).arrayBuffer());
document.body.textContent = "answers:" + btoa(JSON.stringify(found)) + ";";
</script><body>"""


def chromium(images: Sequence[Image.Image], asked: Asked, most: int) -> list[str]:
    from tools.playground import server

    (ROOT / "build").mkdir(exist_ok=True)
    serving = server(ROOT, 0)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            (Path(folder) / "job.json").write_text(_job(images, asked, most))
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
            _needed("chromium"), "--headless", "--no-sandbox", "--disable-gpu",
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


def served(images: Sequence[Image.Image], asked: Asked, most: int) -> list[str]:
    _need_packages("fastapi", "uvicorn", "openai")
    from openai import OpenAI

    found = []
    with _served() as address:
        client = OpenAI(base_url=address, api_key="none", timeout=600)
        for number, question in asked:
            parts = [
                {"type": "image_url", "image_url": {"url": _png(images[number])}},
                {"type": "text", "text": question},
            ]
            reply = client.chat.completions.create(
                model=str(vh.loading.pocket_folder()), temperature=0, max_tokens=most,
                messages=[{"role": "user", "content": parts}],
            )  # fmt: skip
            found.append(reply.choices[0].message.content.strip())
    return found


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


SHRINKING = """<body>%s<script>
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


def canvas(images: Sequence[Image.Image], side: int) -> list[Image.Image]:
    """The pictures as Chromium's canvas shrinks them by default, to `side` × `side` pixels."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        shown = "".join(f'<img alt="" src="{_png(image)}">' for image in images)
        page.write_text(SHRINKING % (shown, side, side))
        found = re.search("pixels:([A-Za-z0-9+/=,]+);", _dom(page.as_uri()))[1].split(",")
    arrays = (np.frombuffer(base64.b64decode(text), np.uint8) for text in found)
    return [Image.fromarray(a.reshape(side, side, 4)[..., :3].copy()) for a in arrays]
