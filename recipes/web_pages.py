"""Writes `data/web-pages/`: a shop's pages as HTML, and what Chromium makes of them.

    python -m recipes.web_pages            write HTML, screenshots and boxes anew
    python -m recipes.web_pages --check    say what differs from what it would write

Each page has the facts of a screen that `vlm_helpers.pages` draws: the seeds in `SEEDS`, split
"test", kind "screen". So the same can be asked about the drawing and about the screenshot. Native
controls, one file each, no scripts, the style from the seed. `notice` is the first page again with
what its text does not tell: a notice over a part of the list, a button that is switched off, and
words that stand in the style sheet alone.

Needs `chromium` on the path, and the fonts DejaVu Sans and Liberation Sans (Debian's packages
fonts-dejavu-core and fonts-liberation). The boxes of `boxes.json` are those that Chromium lays out,
as fractions of the picture, by the names that elements have in `vlm_helpers.pages`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

import vlm_helpers as vh

FOLDER = Path(__file__).parents[1] / "data" / "web-pages"
SEEDS = (218, 366, 379, 483, 533, 581, 606, 625)
SIDE = 288  # of the square picture, in pixels: three by three tiles
FONTS = {"DejaVu Sans": 10.5, "Liberation Sans": 12}  # and the height of their letters
PALETTES = (  # page, header, its letters, accent
    ("#ffffff", "#24527a", "#ffffff", "#1a6fc4"),
    ("#f6f4ee", "#e6ded0", "#40301c", "#b3541e"),
    ("#ffffff", "#1f6f54", "#ffffff", "#178a61"),
    ("#f2f3f7", "#ffffff", "#22222a", "#8a2a5b"),
)
STYLE = """html, body {{ margin: 0; }}
body {{ width: {side}px; height: {side}px; overflow: hidden; position: relative;
       font: {size}px "{font}", sans-serif; color: #222; background: {page}; }}
header {{ background: {header}; padding: 6px 8px; }}
h1 {{ margin: 0; font-size: 1.2em; color: {title}; }}
nav {{ display: flex; gap: 14px; padding: 6px 8px; border-bottom: 1px solid #bbb; }}
a {{ color: #333; text-decoration: none; padding-bottom: 2px; }}
a[aria-current] {{ color: {accent}; font-weight: bold; border-bottom: 2px solid; }}
main {{ padding: 6px 8px; }}
p, fieldset {{ margin: 0 0 6px; padding: 0; border: 0; }}
input, button {{ font: inherit; }}
input[type=checkbox], input[type=radio] {{ margin: 0 3px; accent-color: {accent};
                                          vertical-align: -2px; }}
input[type=text] {{ width: 130px; }}
p > label:first-child:not(:only-child) {{ display: inline-block; width: 80px; }}
ul {{ list-style: none; margin: 0 0 8px; padding: 0; border: 1px solid #bbb; background: #fff; }}
li {{ padding: 2px 6px; border-top: 1px solid #ddd; }}
li[aria-selected=true] {{ background: {accent}; color: #fff; }}
footer {{ display: flex; gap: 4px; padding: 0 8px; }}
button {{ padding: 3px 4px; white-space: nowrap; }}"""
NOTICE_STYLE = """
li.gone::after { content: "sold out"; float: right; color: #b00020; }
aside { position: absolute; left: 20px; right: 20px; top: %dpx; padding: 7px; color: #fff;
        background: #333; text-align: center; }"""
NOTICE, NOTICE_TOP = "We use cookies.", 144  # it covers the last row
MEASURE = """<script>
const side = %d, found = {};
const box = (name, element) => {
  const r = element.getBoundingClientRect();
  found[name] = [r.left, r.top, r.right, r.bottom].map((v) => Math.round(1e4 * v / side) / 1e4);
};
const all = (some, name) => document.querySelectorAll(some).forEach((e, i) => box(name(e, i), e));
const label = (e) => e.labels[0].textContent.trim();
box("title", document.querySelector("h1"));
all("nav a", (e, i) => `tabs.${i}`);
all("input[type=text]", (e) => `entries.${label(e)}`);
all("label:has([type=checkbox])", (e) => `boxes.${e.textContent.trim()}`);
all("label:has([type=radio])", (e, i) => `choice.options.${i}`);
all("li", (e, i) => `rows.${i}`);
all("button", (e, i) => `buttons.${i}`);
document.body.textContent = "boxes:" + JSON.stringify(found) + ";";
</script>"""


# --- writing --------------------------------------------------------------------------------------


def page(seed: int) -> vh.pages.Page:
    """The drawn screen that has the facts of a web page."""
    return vh.pages.sample(seed, "test", kind="screen")


def html(seed: int, notice: bool = False) -> str:
    """The page of a seed as one HTML file."""
    fields, draws = page(seed).fields, random.Random(seed)
    font = draws.choice(tuple(FONTS))
    ground, header, title, accent = draws.choice(PALETTES)
    style = STYLE.format(
        side=SIDE, size=FONTS[font], font=font, page=ground, header=header, title=title,
        accent=accent,
    )  # fmt: skip
    parts = [f"<header><h1>{escape(fields['title'])}</h1></header>", "<nav>"]
    for tab in fields["tabs"]:
        current = ' aria-current="page"' if tab == fields["open"] else ""
        parts.append(f'<a href="#{tab.lower()}"{current}>{escape(tab)}</a>')
    parts += ["</nav>", "<main>"]
    for name, value in fields.get("entries", {}).items():
        parts.append(
            f'<p><label for="{name.lower()}">{escape(name)}</label> '
            f'<input type="text" id="{name.lower()}" value="{escape(value)}"></p>'
        )
    for name, state in fields["boxes"].items():
        checked = " checked" if state == "yes" else ""
        parts.append(f'<p><label><input type="checkbox"{checked}> {escape(name)}</label></p>')
    if choice := fields.get("choice"):
        parts.append(f"<fieldset>{escape(choice['label'])}:")
        for option in choice["options"]:
            checked = " checked" if option == choice["chosen"] else ""
            parts.append(
                f'<label><input type="radio" name="choice"{checked}> {escape(option)}</label>'
            )
        parts.append("</fieldset>")
    parts.append('<ul role="listbox">')
    for number, row in enumerate(fields["rows"]):
        gone = ' class="gone"' if notice and number == 0 else ""
        selected = str(row == fields["selected"]).lower()
        parts.append(f'<li role="option" aria-selected="{selected}"{gone}>{escape(row)}</li>')
    parts += ["</ul>", "</main>", "<footer>"]
    for number, button in enumerate(fields["buttons"]):
        off = " disabled" if notice and number == 0 else ""
        parts.append(f"<button{off}>{escape(button)}</button>")
    parts.append("</footer>")
    if notice:
        parts.append(f"<aside>{NOTICE}</aside>")
        style += NOTICE_STYLE % NOTICE_TOP
    head = f'<meta charset="utf-8">\n<title>{escape(fields["title"])}</title>'
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n<style>\n{style}\n</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _chromium(text: str, *what: str) -> str:
    """What Chromium prints when it opens a page with this HTML."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.html").write_text(text, encoding="utf-8")
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--hide-scrollbars", "--force-device-scale-factor=1", "--disable-lcd-text",
            "--window-size=600,600", f"--user-data-dir={folder}/profile", *what,
            f"file://{folder}/page.html",
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def screenshot(text: str, path: Path) -> None:
    """Chromium's picture of the page, the upper left square of `SIDE` pixels."""
    with tempfile.TemporaryDirectory() as folder:
        _chromium(text, f"--screenshot={folder}/whole.png")
        whole = Image.open(f"{folder}/whole.png").convert("RGB")
    whole.crop((0, 0, SIDE, SIDE)).save(path, optimize=True)


def boxes(text: str) -> dict[str, list[float]]:
    """Name of each element: its box as Chromium lays it out, fractions of the picture.

    Raises:
        ValueError: for an element that does not lie within the picture.
    """
    dom = _chromium(text.replace("</body>", MEASURE % SIDE + "</body>"), "--dump-dom")
    found = json.loads(re.search(r"boxes:(\{.*?\});", dom)[1])
    for name, box in found.items():
        if not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
            raise ValueError(f"{name} does not lie within the picture: give the page less to show.")
    return found


def write(folder: Path) -> None:
    texts = {str(seed): html(seed) for seed in SEEDS} | {"notice": html(SEEDS[0], notice=True)}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8", newline="\n")
        screenshot(text, folder / f"{name}.png")
    found = {name: boxes(text) for name, text in texts.items()}
    lines = ",\n".join(f'"{name}": {json.dumps(one)}' for name, one in found.items())
    (folder / "boxes.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8", newline="\n")


# --- reading --------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """The facts of a page of ours in the form of `Page.fields`, and its lines as they are shown."""

    LINES = {"h1", "nav", "p", "fieldset", "li", "footer"}  # what begins a line

    def __init__(self):
        super().__init__()
        self.fields: dict = {"tabs": [], "rows": [], "selected": "", "buttons": []}
        self.lines: list[list[str]] = []
        self.last: tuple[str, dict] = ("", {})  # the element that was opened last
        self.labels: dict[str, str] = {}  # of text fields, by id

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        self.last = tag, has
        if tag in self.LINES:
            self.lines.append([])
        elif tag == "input" and has["type"] == "text":
            self.fields.setdefault("entries", {})[self.labels[has["id"]]] = has["value"]
            self.lines[-1].append(has["value"])

    def handle_endtag(self, tag):
        self.last = "", {}

    def handle_data(self, data):
        text, (tag, has), fields = data.strip(), self.last, self.fields
        if not text or tag in ("title", "style"):
            return
        self.lines[-1].append(text)
        if tag == "h1":
            fields["title"] = text
        elif tag == "a":
            fields["tabs"].append(text)
            if "aria-current" in has:
                fields["open"] = text
        elif tag == "label":
            self.labels[has["for"]] = text
        elif tag == "input" and has["type"] == "checkbox":
            fields.setdefault("boxes", {})[text] = "yes" if "checked" in has else "no"
        elif tag == "fieldset":
            fields["choice"] = {"label": text.rstrip(":"), "options": []}
        elif tag == "input" and has["type"] == "radio":
            fields["choice"]["options"].append(text)
            if "checked" in has:
                fields["choice"]["chosen"] = text
        elif tag == "li":
            fields["rows"].append(text)
            if has["aria-selected"] == "true":
                fields["selected"] = text
        elif tag == "button":
            fields["buttons"].append(text)


def read(text: str) -> dict:
    """The facts of a page of ours, from its HTML alone, in the form of `Page.fields`."""
    reader = _Reader()
    reader.feed(text)
    return reader.fields


def visible(text: str) -> str:
    """What can be read on a page of ours, line by line, from its HTML alone."""
    reader = _Reader()
    reader.feed(text)
    return "\n".join(" ".join(line) for line in reader.lines)


def asked(fields: dict) -> list[dict]:
    """Questions about a page with these facts: dicts of skill, question, answer and candidates.

    They are worded as pocket-llava-next was asked in training, prices as of receipts.
    """
    wares = [row.split(", ") for row in fields["rows"]]
    names, prices = zip(*wares)
    found = [
        ("tab", "Which tab is open?", fields["open"], fields["tabs"]),
        ("button", "Read the leftmost button.", fields["buttons"][0], fields["buttons"]),
        ("button", "Read the rightmost button.", fields["buttons"][-1], fields["buttons"]),
    ]
    entries = fields.get("entries", {})
    for name, value in entries.items():
        found.append(("entry", f"What stands in the field {name}?", value, [*entries.values()]))
    for name, state in fields["boxes"].items():
        found.append(("ticked", f"Is {name} on?", state, ["yes", "no"]))
    if choice := fields.get("choice"):
        text = f"What is chosen for {choice['label']}?"
        found.append(("chosen", text, choice["chosen"], choice["options"]))
    if fields["selected"]:
        found.append(("row", "Which row is selected?", fields["selected"], fields["rows"]))
    for name, price in wares:
        if names.count(name) == 1:
            found.append(("price", f"What does {name} cost?", price, list(prices)))
    return [dict(zip(("skill", "question", "answer", "candidates"), one)) for one in found]


def clicks(seed: int, most: int = 3) -> list[tuple[str, str]]:
    """(question, name of the element) pairs: where to click on the page for what is wished."""
    drawn = page(seed).questions(["click"], per_skill=12)
    names = {q.objects[0].name: q.text for q in drawn if not q.objects[0].name.startswith("icons")}
    return [(text, name) for name, text in names.items()][:most]


# --- the command ----------------------------------------------------------------------------------


def differences(folder: Path) -> list[str]:
    """The files of `FOLDER` that are not those of another folder; pictures by their pixels."""
    found = []
    for new in sorted(folder.iterdir()):
        old = FOLDER / new.name
        if new.suffix == ".png" and old.exists():
            same = Image.open(new).tobytes() == Image.open(old).convert("RGB").tobytes()
        else:
            same = old.exists() and new.read_bytes() == old.read_bytes()
        found += [] if same else [new.name]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    args = parser.parse_args(arguments)
    if not shutil.which("chromium"):  # before anything is written
        raise SystemExit("There is no chromium on the path: install it, as in Debian's package.")
    if not args.check:
        FOLDER.mkdir(exist_ok=True)
        write(FOLDER)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        found = differences(Path(folder))
    if found:
        raise SystemExit(f"Not what is written now: {', '.join(found)}.")
    print("All files are what is written now.")


if __name__ == "__main__":
    main()
