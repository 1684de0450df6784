"""Keep the repository's address the same everywhere, and out of everything until there is one.

    python -m tools.links                               write it into every badge and link
    python -m tools.links https://github.com/ME/COURSE  change it first, in pyproject.toml
    python -m tools.links check                         only say what does not agree with it

The address stands once, in pyproject.toml's `[project.urls]`. While its owner is `OWNER`, nobody's
yet, those lines are comments and nothing else names an address: a badge would be dead, and Colab
would run the code of whoever takes that name. What is written from it:

- in Markdown, what stands between `<!-- address: NAME -->` and `<!-- /address -->`: see `TEXTS`;
- CITATION.cff's line `repository-code`;
- each notebook's first code cell, which on Colab installs the course.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".github", "binder", "data", "docs", "notebooks", "recipes", "site", "vlm_helpers")
SUFFIXES = {"", ".cff", ".html", ".ipynb", ".js", ".md", ".py", ".toml", ".yaml", ".yml"}
FIRST = "notebooks/00_welcome.ipynb"

# A dot belongs to a name only if more of the name follows: neither ".git" nor a full stop.
_SLUG = r"[\w-]+/[\w-]+(?:\.(?!git\b)[\w-]+)*"
# Where only the course's own address can stand.
_OWN = re.compile(
    r"(?:colab\.research\.google\.com/github/|mybinder\.org/v2/gh/|^repository-code: \"https://"
    rf"github\.com/|git clone https://github\.com/|git\+https://github\.com/)({_SLUG})",
    flags=re.M,
)
_URLS = re.compile(r'^(?:# )?\[project\.urls\]\n(?:# )?Repository = ".*"$', flags=re.M)
_BLOCK = re.compile(r"(<!-- address: (\w+) -->\n)(.*?)(<!-- /address -->)", flags=re.S)
_INSTALL = re.compile(
    r'(?:^import sys\nif "google\.colab" in sys\.modules:.*\n(?:    .*\n)+)?'
    r"^import vlm_helpers as vh$",
    flags=re.M,
)


def address(root: Path = ROOT) -> str | None:
    """`OWNER/NAME`, from pyproject.toml; None until there is one.

    Raises ValueError if it is no GitHub repository, which Colab and Binder need.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url = project.get("urls", {}).get("Repository")
    return url and _slug(url)


def _slug(url: str) -> str | None:
    if not (found := re.fullmatch(rf"https://github\.com/({_SLUG})(?:\.git)?/?", url)):
        raise ValueError(
            f"{url!r} is no repository's address that Colab and Binder can use; it has the form "
            "https://github.com/OWNER/NAME"
        )
    return None if found.group(1).startswith("OWNER/") else found.group(1)


def give(url: str, root: Path = ROOT) -> None:
    """Write the address into pyproject.toml; as a comment if its owner is OWNER, nobody's yet."""
    slug = _slug(url)
    lines = f'[project.urls]\nRepository = "https://github.com/{slug or "OWNER/vlm-course"}"'
    if not slug:
        lines = re.sub(r"^", "# ", lines, flags=re.M)
    path = root / "pyproject.toml"
    text, count = _URLS.subn(lines, path.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError("pyproject.toml has no lines [project.urls] and Repository = to write to")
    path.write_text(text, encoding="utf-8", newline="\n")


# --- what is written from it ----------------------------------------------------------------------


def colab(slug: str, notebook: str) -> str:
    """The link that opens a notebook, such as notebooks/00_welcome.ipynb, in Colab."""
    return f"https://colab.research.google.com/github/{slug}/blob/main/{notebook}"


def binder(slug: str, notebook: str) -> str:
    """The link that opens a notebook in JupyterLab on Binder."""
    return f"https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/{notebook}"


def _start(slug: str | None, root: Path) -> str:
    if not slug:
        return "In the course's folder, where this file is:\n\n```bash\nmake lab\n```\n"
    lines = f"git clone https://github.com/{slug}\ncd {slug.partition('/')[2]}\nmake lab"
    return f"Get the course with git, and open it:\n\n```bash\n{lines}\n```\n"


def _launch(slug: str | None, root: Path) -> str:
    if not slug:
        return ""
    badges = (
        ("Colab", "https://colab.research.google.com/assets/colab-badge.svg", colab),
        ("Binder", "https://mybinder.org/badge_logo.svg", binder),
    )
    notebooks = sorted(f"notebooks/{path.name}" for path in (root / "notebooks").glob("*.ipynb"))
    lines = ["Without installing anything, in the browser:", ""]
    for name, picture, link in badges:
        numbers = [f"[{path[10:12]}]({link(slug, path)})" for path in notebooks]
        lines += [f"[![Open in {name}]({picture})]({link(slug, FIRST)})", *numbers, ""]
    return "\n".join(lines)


def _on_colab(slug: str | None, root: Path) -> str:
    if not slug:
        return ""
    return (
        "- **On Colab**, each notebook's first code cell installs the package and what it needs\n"
        "  but lacks; Colab's own torch and numpy stay ([what ran where](docs/machines.md)).\n"
    )


# What stands in Markdown between <!-- address: NAME --> and <!-- /address -->.
TEXTS = {"colab": _on_colab, "launch": _launch, "start": _start}


def set_up(slug: str | None, *extras: str) -> str:
    """The lines of a notebook's set-up cell that make the package importable."""
    line = "import vlm_helpers as vh"
    if not slug:
        return line
    arguments = ", ".join(f'"{extra}"' for extra in extras)
    return (
        "import sys\n"
        'if "google.colab" in sys.modules:  # a fresh Colab has no copy of the course\n'
        f'    %pip install -q --no-deps "vlm-helpers @ git+https://github.com/{slug}"\n'
        "    from vlm_helpers import colab\n"
        f"    colab.complete({arguments})\n"
        f"{line}"
    )


def with_address(text: str, slug: str | None) -> str:
    """A stored notebook with the set-up cell that belongs to an address, or to none."""
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in code]
    trains = any(re.search(r"^\s*(?:from|import) trl\b", source, re.M) for source in sources)
    lines = set_up(slug, *["training"] * trains)
    code[0]["source"] = _INSTALL.sub(lambda _: lines, sources[0]).splitlines(keepends=True)
    # As nbformat stores it.
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _citation(text: str, slug: str | None) -> str:
    without = re.sub(r"^repository-code:.*\n", "", text, flags=re.M)
    line = f'repository-code: "https://github.com/{slug}"\n' if slug else ""
    return re.sub(r"^license: .*\n", lambda found: found.group() + line, without, flags=re.M)


def _written(path: Path, text: str, slug: str | None, root: Path) -> str:
    """A file's text as the address has it. Raises ValueError for a block that has no text."""
    if path.suffix == ".ipynb":
        return with_address(text, slug)
    if path.name == "CITATION.cff":
        return _citation(text, slug)
    if path.suffix != ".md":
        return text
    if unknown := {name for _, name, *_ in _BLOCK.findall(text)} - set(TEXTS):
        raise ValueError(f"{path.name} has a block 'address: {min(unknown)}'; there is {[*TEXTS]}")
    return _BLOCK.sub(
        lambda found: found.group(1) + TEXTS[found.group(2)](slug, root) + found.group(4), text
    )


# --- the files ------------------------------------------------------------------------------------


def files(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Every text file of the repository that may hold its address, and its text."""
    inside = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))]
    for path in [*sorted(root.glob("*")), *inside]:
        if path.suffix in SUFFIXES and path.is_file() and "node_modules" not in path.parts:
            yield path, path.read_text(encoding="utf-8")


def rewrite(root: Path = ROOT) -> list[Path]:
    """Write the address wherever it belongs. Returns the files that changed."""
    slug, changed = address(root), []
    for path, before in files(root):
        if (after := _written(path, before, slug, root)) != before:
            path.write_text(after, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


def strangers(root: Path = ROOT) -> list[str]:
    """What does not agree with the address, as "file: what": nothing, where all is in step."""
    slug, found = address(root), []
    for path, text in files(root):
        name = path.relative_to(root).as_posix()
        found += [f"{name}: {other}" for other in _OWN.findall(text) if other != slug]
        if not any(line.startswith(f"{name}:") for line in found):
            if _written(path, text, slug, root) != text:
                found.append(f"{name}: not as `make links` writes it")
    return found


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        raise SystemExit(__doc__)
    try:
        if arguments == ["check"]:
            if found := strangers():
                print(*found, sep="\n")
                return 1
        else:
            for url in arguments:
                give(url)
            for path in rewrite():
                print(f"{path.relative_to(ROOT)} is written anew")
        slug = address()
    except ValueError as error:
        raise SystemExit(f"{error}.") from error
    print(f"Everything says {slug}." if slug else "Nothing names an address: there is none yet.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
