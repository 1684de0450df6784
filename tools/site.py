"""The course as web pages, in build/site: `make site`.

    python -m tools.site            put the pages' sources together, build them, check them
    python -m tools.site check      only check build/site

The pages are made from what the repository holds anyway: the README, the notebooks with the outputs
that are stored in them (nothing is run), docs/, the package's docstrings and the playground.
`stage` makes Sphinx's sources of them and needs nothing but Python. It changes no word, but

- gives each picture in an output the paragraph `*Figure:*` under it as alternative text,
- says where a widget stands, which needs a live notebook,
- points links to files that are no pages at the repository, or names the file while it has no
  address, and takes out pictures from other hosts.

`faults` says what is wrong with the pages as built: dead links and anchors, pictures without
alternative text, and whatever a browser would fetch from another host.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools import api, links, playground

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "build" / "site-sources"
SITE = ROOT / "build" / "site"

# A page's place in the site by its file in the repository, where the two differ.
MOVED = {"README.md": "index.md", "site/playground.md": "playground.md"}
PICTURES = {".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"}
ALT_LENGTH = 30  # characters that an alternative text has, at the least
WIDGET = "application/vnd.jupyter.widget-view+json"
NO_WIDGET = (
    "*A widget stands here, and needs a live notebook: the text around it says what it shows.*"
)

# --- the pages' sources ---------------------------------------------------------------------------


def pages() -> list[str]:
    """The files of the repository that become pages."""
    found = [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("docs/*.md")]
    return [*MOVED, *sorted(path.relative_to(ROOT).as_posix() for path in found)]


def stage(folder: Path) -> Path:
    """Writes the sources of all pages into `folder`, which is emptied; gives it back.

    Raises:
        ValueError: for a link to a file that does not exist, or a picture that is not described.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in pages():
        text = (ROOT / name).read_text(encoding="utf-8")
        made = _notebook(text, name) if name.endswith(".ipynb") else relinked(text, name)
        if name == "README.md":
            made += "\n" + contents()
        _write(folder / MOVED.get(name, name), made)
        for picture in pictures(text, name):
            (folder / picture).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / picture, folder / picture)
    _write(folder / "api.md", api.page())
    return folder


def contents() -> str:
    """The order of the pages, for the sidebar."""
    chapters, others = [], []
    for name in pages():
        page = name.rpartition(".")[0]
        if name.endswith(".ipynb"):
            title = re.search(r"^# ([^:\n]+)", _source(_cells(name)[0]))[1]
            chapters.append(f"{Path(name).name[:2]} {title} <{page}>")
        elif name.startswith("docs/") and name != "docs/glossary.md":
            others.append(page)
    parts = {
        "The notebooks": chapters,
        "To try, to look up": ["playground", "docs/glossary", "api"],
        "Background": others,
    }
    return "".join(
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(names) + "\n```\n\n"
        for caption, names in parts.items()
    )


def _page(name: str) -> str:
    """A page's place in the site, without its ending."""
    return MOVED.get(name, name).rpartition(".")[0]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _cells(name: str) -> list[dict]:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _notebook(text: str, name: str) -> str:
    """A notebook as the builder takes it: the text of its file, changed as said at the top."""
    notebook = json.loads(text)
    cells = notebook["cells"]
    for i, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked(_source(cell), name)
            continue
        for output in cell["outputs"]:
            data = output.get("data", {})
            if WIDGET in data:
                output["data"] = {"text/markdown": NO_WIDGET}
            if any(kind.startswith("image/") for kind in data):
                below = _source(cells[i + 1]) if i + 1 < len(cells) else ""
                cell["metadata"]["mystnb"] = {"image": {"alt": alternative(below, f"{name}, {i}")}}
    if line := launchers(name):
        cells.insert(1, {"cell_type": "markdown", "metadata": {}, "source": line})
        if notebook["nbformat_minor"] >= 5:
            cells[1]["id"] = "launch"
    return json.dumps(notebook, ensure_ascii=False)


def alternative(text: str, where: str) -> str:
    """The alternative text that a picture gets from the Markdown below it.

    It is the beginning of the paragraph `*Figure:*`: as many sentences as make 30 characters.
    What else the paragraph says is read aloud after it anyway.

    Raises:
        ValueError: there is no such paragraph, or it is shorter; `where` says of which cell.
    """
    found = re.search(r"^\*Figure:\* (.+?)(?:\n\s*\n|\Z)", text, flags=re.M | re.S)
    whole = plain(found[1]) if found else ""
    if len(whole) < ALT_LENGTH:
        raise ValueError(f"{where}: under this picture no paragraph '*Figure:* …' describes it.")
    end = re.compile(r"(?<=[.!?])\s(?=[A-Z])").search(whole, ALT_LENGTH)
    return whole[: end.start()] if end else whole


def plain(markdown: str) -> str:
    """Markdown's words without its marks, in one line."""
    text = _LINK.sub(lambda link: link["label"], markdown)
    text = re.sub(r"\*\*?([^*]+)\*\*?", r"\1", text).replace("`", "")
    return " ".join(text.split())


def launchers(name: str) -> str:
    """A line of links that open a notebook elsewhere, or "" while the address is not known."""
    if not (slug := links.address()):
        return ""
    colab, binder = links.colab(slug, name), links.binder(slug, name)
    return f"Run it: [open in Colab]({colab}) · [open in Binder]({binder})"


# --- links in Markdown ----------------------------------------------------------------------------

_CODE = re.compile(r"^(```|~~~).*?^\1[ \t]*$|(`+)[^`\n].*?(?<!`)\2(?!`)", flags=re.M | re.S)
_LINK = re.compile(
    r"(?P<picture>!?)\[(?P<label>(?:[^\[\]]|!?\[[^\[\]]*\]\([^()]*\))*)\]"
    r"\((?P<target>[^\s()]+)(?P<title>[^()]*)\)"
)


def relinked(text: str, name: str) -> str:
    """Markdown of the file `name` with the links that fit the site.

    Raises:
        ValueError: for a link to a file that does not exist.
    """
    codes = []

    def hide(code: re.Match) -> str:
        codes.append(code[0])
        return f"\0{len(codes) - 1}\0"

    def fit(link: re.Match) -> str:
        label = _LINK.sub(fit, link["label"])
        return link["picture"] and _picture(link, name) or _link(label, link["target"], name)

    hidden = _CODE.sub(hide, text)
    return re.sub(r"\0(\d+)\0", lambda code: codes[int(code[1])], _LINK.sub(fit, hidden))


def pictures(text: str, name: str) -> Iterator[str]:
    """The repository's own pictures that the Markdown of `name` shows."""
    if not name.endswith(".ipynb"):
        for link in _LINK.finditer(_CODE.sub("", text)):
            for one in [link, *_LINK.finditer(link["label"])]:
                if one["picture"] and not _is_remote(one["target"]):
                    yield _inside(one["target"], name)


def _picture(link: re.Match, name: str) -> str:
    """A picture; one from elsewhere is only its alternative text, so that nothing is fetched."""
    if _is_remote(link["target"]):
        return link["label"]
    here = posixpath.dirname(MOVED.get(name, name))
    return f"![{link['label']}]({posixpath.relpath(_inside(link['target'], name), here or '.')})"


def _link(label: str, target: str, name: str) -> str:
    path, _, anchor = target.partition("#")
    if _is_remote(target) or not path:
        return f"[{label}]({target})"
    inside = _inside(path, name)
    if inside in pages():
        here = posixpath.dirname(MOVED.get(name, name))
        to = posixpath.relpath(MOVED.get(inside, inside), here or ".")
        return f"[{label}]({to}{'#' * bool(anchor)}{anchor})"
    if slug := links.address():
        kind = "tree" if (ROOT / inside).is_dir() else "blob"
        return f"[{label}](https://github.com/{slug}/{kind}/main/{inside})"
    return label if inside in label else f"{label} (`{inside}`)"


def _is_remote(target: str) -> bool:
    return bool(re.match(r"[a-z][a-z0-9+.-]*:|//", target, flags=re.I))


def _inside(target: str, name: str) -> str:
    """The repository's path of what `name` links to."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(target)))
    if path.startswith("..") or not (ROOT / path).exists():
        raise ValueError(f"{name} links to {target}, which does not exist.")
    return path


# --- the pages as built ---------------------------------------------------------------------------


class _Page(HTMLParser):
    """What a page refers to, what can be referred to in it, and its pictures' texts."""

    FETCHED = {
        "audio": "src", "embed": "src", "iframe": "src", "img": "src", "input": "src",
        "link": "href", "object": "data", "script": "src", "source": "src", "track": "src",
        "video": "src",
    }  # fmt: skip

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.undescribed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = {key: value or "" for key, value in attributes}
        self.anchors |= {has[key] for key in ("id", "name") if key in has}
        if tag == "a" and "href" in has:
            self.linked.append(has["href"])
        # A link of these kinds is only said, and not followed.
        elif (key := self.FETCHED.get(tag)) in has and has.get("rel") not in ("canonical", "next"):
            self.fetched.append(has[key])
        if tag == "img" and not has.get("alt", "").strip():
            self.undescribed.append(has.get("src", ""))


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with the pages in `folder`, a sentence each. `data:` is no other host."""
    found = {path: _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    for path, page in sorted(found.items()):
        name = path.relative_to(folder).as_posix()
        for source in page.undescribed:
            yield f"{name}: the picture {source} has no alternative text"
        for target in page.fetched:
            if _is_remote(target) and not target.startswith("data:"):
                yield f"{name}: fetches {target} from another host"
        for target in [*page.linked, *page.fetched]:
            if not _is_remote(target) and not _is_there(target, path, folder, found):
                yield f"{name}: the link {target} is dead"
    for path in sorted(folder.rglob("*.css")):
        for target in re.findall(r"url\(\s*[\"']?([^\"')]+)", path.read_text(encoding="utf-8")):
            if _is_remote(target) and not target.startswith("data:"):
                yield f"{path.relative_to(folder).as_posix()}: fetches {target} from another host"


def _is_there(target: str, path: Path, folder: Path, found: dict[Path, _Page]) -> bool:
    parts = urlsplit(target)
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    if file.is_dir():
        file /= "index.html"
    if not file.is_relative_to(folder.resolve()) or not file.exists():
        return False
    page = found.get(folder / file.relative_to(folder.resolve()))
    return not (page and parts.fragment) or unquote(parts.fragment) in page.anchors


def build() -> None:
    """Builds build/site anew; a warning is an error. Needs what site/requirements.txt names."""
    shutil.rmtree(SITE, ignore_errors=True)
    where = ["--doctree-dir", f"{SITE}-doctrees", "--conf-dir", str(ROOT / "site")]
    command = [sys.executable, "-m", "sphinx", "--fresh-env", "--fail-on-warning", "--quiet"]
    subprocess.run([*command, *where, str(stage(SOURCES)), str(SITE)], check=True)
    playground.build(SITE / "playground", lambda name: f"../{_page(name)}.html")


def main(arguments: Iterable[str]) -> int:
    if arguments not in ([], ["check"]):
        raise SystemExit(__doc__)
    if not arguments:
        build()
    found = list(faults(SITE))
    count = len(list(SITE.rglob("*.html")))
    print(*found or [f"{count} pages in build/site, and nothing wrong with them."], sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
