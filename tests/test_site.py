"""The course as web pages: the glossary, what the builder gets, and the check of what it made."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

import vlm_helpers
from tools import api, links, site

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

# What the notebooks print in bold and is no term.
EMPHASIS = {
    "afterwards", "all the rest is written anew", "always look", "ask again afterwards", "both",
    "boxes", "counting", "kept", "learns", "learnt", "lists", "mixed in", "not", "not run here",
    "objects", "other", "positions", "rate", "repaired", "this", "truth", "try it",
    "what may change", "you will be able to",
}  # fmt: skip


def prose(name: str) -> str:
    """A notebook's text without code, in one line."""
    cells = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return " ".join(re.sub(r"^```.*?^```", "", "\n\n".join(texts), flags=re.M | re.S).split())


# --- the glossary ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_glossary_has_every_term_that_a_notebook_prints_in_bold(name):
    """A colon or a full stop within the asterisks makes a label, such as **Predict:**."""
    bold = {term.casefold() for term in re.findall(r"\*\*([^*]+)\*\*", prose(name))}
    terms = {term for term in bold if not term.endswith((":", "."))} - EMPHASIS
    defined = " ".join(GLOSSARY.split()).casefold()
    missing = {term for term in terms if f"**{term}**" not in defined}
    missing -= {term for term in missing if f"**{term.removesuffix('s')}**" in defined}
    assert missing == set(), (
        f"{name} prints these in bold: as terms they belong into docs/glossary.md, in a sentence "
        "or two, and else into EMPHASIS"
    )


ENTRIES = re.findall(
    r"^- \*\*(.+?)\*\*(?: \(\*\*.+?\*\*\))?: (.+?)(?=\n\n|\n- |\Z)", GLOSSARY, re.M | re.S
)


def test_glossary_is_in_order_under_its_letters():
    terms = [term for term, _ in ENTRIES]
    assert len(terms) == len(set(terms)) == GLOSSARY.count("\n- ") > 50
    assert terms == sorted(terms, key=str.casefold)
    letters = re.findall(r"^## (.)$", GLOSSARY, flags=re.M)
    assert letters == sorted({term[0].upper() for term in terms})


@pytest.mark.parametrize("term, text", ENTRIES, ids=[term for term, _ in ENTRIES])
def test_glossary_says_what_a_term_means_and_where_it_is_explained(term, text):
    said, name = re.fullmatch(r"(.+) \[\d\d\]\(\.\./notebooks/(.+)\)\s*", text, flags=re.S).groups()
    assert len(said.split()) >= 4
    assert term.casefold() in prose(name).casefold(), f"{name} does not speak of it"


# --- what the builder is given --------------------------------------------------------------------


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    return site.stage(tmp_path_factory.mktemp("site"))


def cells(folder, name):
    return json.loads((folder / "notebooks" / name).read_text(encoding="utf-8"))["cells"]


def test_every_notebook_and_every_document_is_a_page_and_in_the_sidebar(staged):
    listed = re.findall(r"^(?:.* <(.+)>|([\w/]+))$", site.contents(), flags=re.M)
    listed = sorted(one or other for one, other in listed)
    pages = [path for path in staged.rglob("*.*") if path.suffix not in site.PICTURES]
    made = [path.relative_to(staged).with_suffix("") for path in pages]
    assert listed + ["index"] == sorted(map(str, made), key=lambda name: (name == "index", name))
    assert {f"notebooks/{name[:-6]}" for name in NOTEBOOKS} <= set(listed)
    assert {f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")} <= set(listed)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_pictures_are_described_and_outputs_are_those_that_are_stored(staged, name):
    stored, given = cells(ROOT, name), cells(staged, name)
    assert len(stored) == len(given)
    for was, now in zip(stored, given):
        shows = [kind for out in was.get("outputs", []) for kind in out.get("data", {})]
        described = any(kind.startswith("image/") for kind in shows)
        assert ("mystnb" in now["metadata"]) == described
        if described:
            assert len(now["metadata"]["mystnb"]["image"]["alt"]) >= 30
        if site.WIDGET in shows:
            assert now["outputs"] == [
                {**was["outputs"][0], "data": {"text/markdown": site.NO_WIDGET}}
            ]
        elif was["cell_type"] == "code":
            assert (now["source"], now["outputs"]) == (was["source"], was["outputs"])


def test_alternative_text_is_the_beginning_of_the_figures_paragraph():
    text = "Before.\n\n*Figure:* **one** [box](a.md), in `x`, 1.5 by 2.5\nmetres. Blue.\n\nAfter"
    assert site.alternative(text, "") == "one box, in x, 1.5 by 2.5 metres."
    with pytest.raises(ValueError, match="notebook 7, cell 3.*Figure"):
        site.alternative("*Figure:* too short.", "notebook 7, cell 3")


def test_links_fit_the_site(monkeypatch):
    def made(text, name="notebooks/00_welcome.ipynb"):
        return site.relinked(text, name)

    monkeypatch.setattr(links, "address", lambda: None)
    same = "[a](https://x.org) [b](#c) [d](01_architecture.ipynb#e) `[f](g)`\n```\n[h](i)\n```\n"
    assert made(same) == same
    assert made("[home](../README.md#start)") == "[home](../index.md#start)"
    assert (
        made("[next](notebooks/00_welcome.ipynb)", "README.md")
        == "[next](notebooks/00_welcome.ipynb)"
    )
    assert made("[how](../docs/playground.md)", "site/playground.md") == "[how](docs/playground.md)"
    assert made("[in code](../recipes/sft.py)") == "in code (`recipes/sft.py`)"
    assert made("[recipes/sft.py](../recipes/sft.py)") == "recipes/sft.py"
    assert made("[![Badge](https://x.org/b.svg)](https://x.org)") == "[Badge](https://x.org)"
    assert site.launchers("notebooks/00_welcome.ipynb") == ""
    for dead in ["[a](nowhere.md)", "![a](nowhere.png)", "[a](../../outside.md)"]:
        with pytest.raises(ValueError, match="00_welcome.ipynb links to .*, which does not exist"):
            made(dead)

    monkeypatch.setattr(links, "address", lambda: "someone/course")
    at = "https://github.com/someone/course"
    assert made("[code](../recipes/sft.py)") == f"[code]({at}/blob/main/recipes/sft.py)"
    assert made("[data](../data)") == f"[data]({at}/tree/main/data)"
    colab, binder = re.findall(r"\((.+?)\)", site.launchers("notebooks/00_welcome.ipynb"))
    assert colab.endswith("/github/someone/course/blob/main/notebooks/00_welcome.ipynb")
    assert binder.endswith("/gh/someone/course/main?urlpath=lab/tree/notebooks/00_welcome.ipynb")


# --- the package's page ---------------------------------------------------------------------------


def test_package_page_has_the_public_names_and_their_docstrings():
    """Read without importing, they are those that an import gives."""
    assert api.parts() == list(vlm_helpers._SUBMODULES)
    page = api.page()
    for part in api.parts():
        module = importlib.import_module(f"vlm_helpers.{part}")
        assert list(getattr(module, "__all__", api.names(part))) == api.names(part)
        for name in api.names(part):
            assert f"vh.{part}.{name}" in page
            node = api.find(f"vlm_helpers.{part}", name)
            if not isinstance(node, ast.expr):
                first = api.prose(ast.get_docstring(node)).split("\n")[0]
                assert first and first in page, f"{part}.{name}"


def test_docstring_becomes_markdown():
    text = """One `a < b` < c.

    x = 1

Args:
    one, two: what
        goes on.
    **more: else.

Returns:
    a thing
    of two lines.
"""
    assert api.prose(text) == (
        "One `a < b` \\< c.\n\n```python\nx = 1\n```\n\n\n*Args:*\n\n- `one, two`: what\n"
        "  goes on.\n- `**more`: else.\n\n\n*Returns:*\n\n  a thing\n  of two lines."
    )


# --- the check of what was built ------------------------------------------------------------------


def test_check_finds_what_is_wrong_with_built_pages(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "style.css").write_text("a { background: url(https://x.org/a.png) }")
    (tmp_path / "sub" / "other.html").write_text(
        "<h1 id='top'>T</h1><a href='../index.html#here'>i</a>"
    )
    good = """<link rel="stylesheet" href="style.css"><a id="here" href="sub/other.html#top">a</a>
        <a href="https://elsewhere.org/">b</a><img src="data:x" alt="a star"><a href="#here">c"""
    index = tmp_path / "index.html"
    index.write_text(good)
    css = "style.css: fetches https://x.org/a.png from another host"
    assert list(site.faults(tmp_path)) == [css]
    for planted, said in {
        "<img src='style.css'>": "the picture style.css has no alternative text",
        "<img src='style.css' alt=' '>": "the picture style.css has no alternative text",
        "<script src='https://x.org/a'></script>": "fetches https://x.org/a from another host",
        "<iframe src='//x.org/'></iframe>": "fetches //x.org/ from another host",
        "<a href='gone.html'>x</a>": "the link gone.html is dead",
        "<a href='sub/other.html#gone'>x</a>": "the link sub/other.html#gone is dead",
        "<a href='#gone'>x</a>": "the link #gone is dead",
        "<a href='../outside.html'>x</a>": "the link ../outside.html is dead",
    }.items():
        index.write_text(good + planted)
        assert list(site.faults(tmp_path)) == [f"index.html: {said}", css]
