"""Builds the pictures in `data/things/`: `python -m recipes.things --source FOLDER [--check]`.

FOLDER is the `node_modules` that npm made of the two packages; data/things/README.md has the
commands and the versions with which the same bytes come out. `--check` says whether what lies in
`data/things/` is what it would write.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import sys
from pathlib import Path

from PIL import Image, PngImagePlugin

from vlm_helpers.pages import atlas

DATA = Path(__file__).parent.parent / "data" / "things"


def drawings(folder: Path, release: str) -> dict:
    """name of a drawing: its SVG, from an npm package of Iconify's."""
    try:
        found = json.loads((folder / "package.json").read_text("utf-8"))["version"]
        icons = json.loads((folder / "icons.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise SystemExit(
            f"{error.filename} is missing: --source is to be a node_modules folder."
        ) from None
    if found != release:
        raise SystemExit(f"{folder} is release {found}; things.toml asks for {release}.")
    sides = {key: icons[key] for key in ("width", "height")}
    return {
        name: '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'viewBox="0 0 {width} {height}">{body}</svg>'.format(**{**sides, **icon})
        for name, icon in icons["icons"].items()
    }


def build(style: str, source: Path) -> bytes:
    """The atlas of one style: a PNG of RGBA cells in the order of things.toml."""
    try:  # no part of the course's environment: only who rebuilds the atlases needs it
        resvg = importlib.import_module("resvg_py")
    except ImportError:
        raise SystemExit(
            "This needs resvg-py, which the course does without: data/things/README.md has the "
            "commands."
        ) from None
    things, cell = atlas.things(), atlas.CELL
    svgs = drawings(source / things.styles[style]["package"], things.styles[style]["release"])
    rows = -(-len(things.names) // atlas.COLUMNS)
    sheet = Image.new("RGBA", (atlas.COLUMNS * cell, rows * cell))
    for number, name in enumerate(things.names):
        drawn = resvg.svg_to_bytes(svg_string=svgs[things.icons[name]], width=cell, height=cell)
        sheet.paste(Image.open(io.BytesIO(bytes(drawn))), atlas.corner(number))
    stamp = PngImagePlugin.PngInfo()
    stamp.add_text(atlas.STAMP, things.stamp)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True, pnginfo=stamp)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="a node_modules folder")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    args = parser.parse_args()
    for style in atlas.things().styles:
        built, target = build(style, args.source), DATA / f"{style}.png"
        if not args.check:
            target.write_bytes(built)
        elif not target.exists() or target.read_bytes() != built:
            sys.exit(f"{target} is not what this command builds; run it without --check.")
        print(f"{target.name}: {len(built) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
