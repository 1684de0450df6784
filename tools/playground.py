"""Puts the playground together in a folder, and serves it on this machine: `make playground`.

    python -m tools.playground [FOLDER] [--port 8000] [--no-server]

The folder holds everything that the page asks for, the models' files included, and can be put on
any web server as it is. Python's standard library is enough, and nothing is fetched.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import re
import shutil
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "site" / "playground"
MODELS = (ROOT / "data" / "pocket-llava", ROOT / "data" / "pocket-llava-next")
# Of a model's folder, what the page reads
MODEL_FILES = ("config.json", "processor_config.json", "tokenizer.json", "model.safetensors")
FONT = ROOT / "data" / "fonts" / "aileron.ttf"


def build(folder: Path, where: Callable[[str], str] | None = None) -> Path:
    """Copies the page, the models and the font of signs into `folder`; gives it back, resolved.

    Args:
        where: gives the address of one of the course's pages, by its name in the repository. On
            its own the playground names notebooks and does not link them.
    Raises:
        ValueError: for a folder inside of what is copied.
    """
    folder = folder.resolve()
    if PAGE in (folder, *folder.parents):
        raise ValueError(f"{folder} holds the page's source: name a folder elsewhere.")
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    page = folder / "index.html"
    page.write_text(
        re.sub(
            r'<a data-page="([^"]+)">(.*?)</a>',
            lambda a: f'<a href="{where(a[1])}" target="_top">{a[2]}</a>' if where else a[2],
            page.read_text(encoding="utf-8"),
        ),
        encoding="utf-8",
    )
    shutil.copy(FONT, folder)
    for model in MODELS:
        (folder / model.name).mkdir(exist_ok=True)
        for name in MODEL_FILES:
            shutil.copy(model / name, folder / model.name)
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files with the types that browsers ask for, whatever this machine's registry says."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".json": "application/json",
        ".css": "text/css",
        ".ttf": "font/ttf",
        ".png": "image/png",
    }

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")  # a rebuilt page is the one that is seen
        super().end_headers()

    def log_message(self, format, *values):
        pass


def server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on this machine alone; port 0 takes any that is free."""
    handler = functools.partial(Handler, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "playground")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--no-server", action="store_true", help="only put the folder together")
    options = parser.parse_args()
    try:
        folder = build(options.folder)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"The playground is in {folder}.")
    if options.no_server:
        return
    try:
        serving = server(folder, options.port)
    except OSError as error:
        parser.exit(
            1, f"Port {options.port} can't be had ({error.strerror}): choose with --port.\n"
        )
    print(f"Open http://127.0.0.1:{serving.server_port} in a browser. To stop: Ctrl-C.", flush=True)
    try:
        serving.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
