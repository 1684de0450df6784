"""Builds `data/fonts/`: small subsets of openly licensed fonts, and a table of their measures.

    apt-get download fonts-liberation2 fonts-lato fonts-comic-neue fonts-inconsolata \\
        fonts-roboto-slab
    for package in *.deb; do dpkg-deb -x "$package" debian; done
    python -m recipes.fonts debian [--check]

The other fonts come out of the Python packages matplotlib and Pillow. `vlm_helpers.pages` lays
text out by the table, never by the font renderer of the machine, so that a page is the same
everywhere.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "fonts"
TABLE = "fonts.json"
# Latin letters, digits, punctuation and the signs of currencies
CHARACTERS = [chr(c) for c in (*range(0x20, 0x7F), *range(0xA0, 0x100))] + list("€–—‘’“”•…")

DEBIAN = "usr/share/fonts/"
LIBERATION = DEBIAN + "truetype/liberation2/Liberation"
# Name here (several licences reserve a font's own name for the unchanged file): where it is from,
# its style, whether it is kept for the split of unseen styles.
FONTS = {
    "deja": ("matplotlib", "DejaVuSans.ttf", "sans", False),
    "deja-bold": ("matplotlib", "DejaVuSans-Bold.ttf", "bold", False),
    "deja-mono": ("matplotlib", "DejaVuSansMono.ttf", "mono", False),
    "deja-serif": ("matplotlib", "DejaVuSerif.ttf", "serif", False),
    "deja-serif-bold": ("matplotlib", "DejaVuSerif-Bold.ttf", "bold", False),
    "grotesk": ("debian", LIBERATION + "Sans-Regular.ttf", "sans", False),
    "grotesk-bold": ("debian", LIBERATION + "Sans-Bold.ttf", "bold", False),
    "roman": ("debian", LIBERATION + "Serif-Regular.ttf", "serif", False),
    "roman-bold": ("debian", LIBERATION + "Serif-Bold.ttf", "bold", False),
    "typewriter": ("debian", LIBERATION + "Mono-Regular.ttf", "mono", False),
    "aileron": ("pillow", "load_default", "sans", False),
    "comic": ("debian", DEBIAN + "opentype/comic-neue/ComicNeue-Regular.otf", "hand", False),
    "humanist": ("debian", DEBIAN + "truetype/lato/Lato-Regular.ttf", "sans", True),
    "humanist-bold": ("debian", DEBIAN + "truetype/lato/Lato-Bold.ttf", "bold", True),
    "slab": ("debian", DEBIAN + "opentype/roboto/slab/RobotoSlab-Regular.otf", "serif", True),
    "code": ("debian", DEBIAN + "truetype/inconsolata/Inconsolata.otf", "mono", True),
}


def source(kind: str, name: str, debian: Path):
    """A file, or its bytes, of the whole font."""
    if kind == "debian":
        return debian / name
    if kind == "matplotlib":
        import matplotlib

        return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    from PIL import ImageFont

    return io.BytesIO(ImageFont.load_default(10).font_bytes)


def build(folder: Path, debian: Path) -> list[Path]:
    """Writes every font and the table into `folder`."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    folder.mkdir(parents=True, exist_ok=True)
    table, written = {}, []
    for name, (kind, where, style, held_out) in FONTS.items():
        font = TTFont(source(kind, where, debian), recalcTimestamp=False)
        options = Options(
            hinting=False, layout_features=[], name_IDs=[0, 1, 2, 3, 4, 6, 13, 14],
            drop_tables=["kern", "GPOS", "GSUB", "GDEF", "FFTM", "DSIG", "MATH"],
            notdef_outline=True, desubroutinize=False,
        )  # fmt: skip
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=[ord(c) for c in CHARACTERS])
        subsetter.subset(font)
        for record in font["name"].names:
            if record.nameID in (1, 3, 4, 6):
                record.string = f"Pages-{name}"
        target = folder / f"{name}{'.otf' if 'CFF ' in font else '.ttf'}"
        font.save(target)
        table[name] = measures(font) | {"file": target.name, "style": style, "held_out": held_out}
        written.append(target)
    rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in table.items()]
    (folder / TABLE).write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    return [*written, folder / TABLE]


def measures(font) -> dict:
    """Advance widths, and how high "d" and how deep "p" reach, in thousandths of the size."""
    from fontTools.pens.boundsPen import BoundsPen

    glyphs, names, unit = font.getGlyphSet(), font.getBestCmap(), font["head"].unitsPerEm
    widths = {
        c: round(1000 * glyphs[names[ord(c)]].width / unit) for c in CHARACTERS if ord(c) in names
    }

    def bounds(character: str):
        pen = BoundsPen(glyphs)
        glyphs[names[ord(character)]].draw(pen)
        return [round(1000 * value / unit) for value in pen.bounds]

    above, below = max(bounds(c)[3] for c in "dHk8"), -bounds("p")[1]
    return {"above": above, "below": below, "x_height": bounds("x")[3], "widths": widths}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("debian", type=Path, help="the folder that holds usr/share/fonts")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    args = parser.parse_args()
    if not args.check:
        for path in build(FOLDER, args.debian):
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
        return
    with tempfile.TemporaryDirectory() as scratch:
        for path in build(Path(scratch), args.debian):
            stored = FOLDER / path.name
            if not stored.exists() or stored.read_bytes() != path.read_bytes():
                raise SystemExit(f"{stored} is not what this command builds.")
            print(f"{path.name}: as built")


if __name__ == "__main__":
    main()
