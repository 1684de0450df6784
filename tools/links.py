"""Keep the repository's address the same everywhere.

    python -m tools.links          write the address into every badge, link and citation
    python -m tools.links check    only say where another one stands

The address stands once, in pyproject.toml's `[project.urls]`. All copies of it are written as
`OWNER/NAME`, inside links to GitHub, Colab or Binder. The address that they had before is the one
that CITATION.cff gives, so that links to other people's repositories stay as they are.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".github", "binder", "data", "docs", "notebooks", "recipes", "vlm_helpers")
SUFFIXES = {"", ".cff", ".ipynb", ".md", ".py", ".yaml", ".yml"}

# A dot belongs to a name only if more of the name follows: neither ".git" nor a full stop.
_SLUG = r"[\w-]+/[\w-]+(?:\.(?!git\b)[\w-]+)*"
# Where only the course's own address can stand.
_OWN = re.compile(
    r"(?:colab\.research\.google\.com/github/|mybinder\.org/v2/gh/"
    rf"|git clone https://github\.com/|git\+https://github\.com/)({_SLUG})"
)


def address(root: Path = ROOT) -> str:
    """`OWNER/NAME`, from pyproject.toml. Raises ValueError if it is no GitHub repository."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url = project["urls"]["Repository"]
    if not (found := re.fullmatch(rf"https://github\.com/({_SLUG})", url)):
        raise ValueError(
            f"pyproject.toml gives {url!r} as the repository; Colab and Binder need the form "
            "https://github.com/OWNER/NAME"
        )
    return found.group(1)


def cited(root: Path = ROOT) -> str:
    """`OWNER/NAME` as CITATION.cff has it: the address that the copies were last written with."""
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    found = re.search(rf'^repository-code: "https://github\.com/({_SLUG})"$', text, flags=re.M)
    if not found:
        raise ValueError('CITATION.cff has no line repository-code: "https://github.com/…"')
    return found.group(1)


def files(root: Path = ROOT) -> Iterator[Path]:
    """Every text file of the repository that may hold its address, save the one that rules."""
    inside = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))]
    for path in [*sorted(root.glob("*")), *inside]:
        if path.suffix in SUFFIXES and path.is_file():
            yield path


def rewrite(root: Path = ROOT) -> list[Path]:
    """Write the address wherever the previous one stands. Returns the files that changed."""
    old, new = cited(root), address(root)
    # As a whole, not as a part of a longer name.
    standing = re.compile(rf"(?<![\w.-]){re.escape(old)}(?![\w-]|\.(?!git\b)\w)".encode())
    changed = []
    # CITATION.cff last, so that a rewrite that was interrupted can be run again.
    for path in sorted(files(root), key=lambda path: path.name == "CITATION.cff"):
        before = path.read_bytes()
        after = standing.sub(new.encode(), before)
        if after != before:
            path.write_bytes(after)
            changed.append(path)
    return changed


def strangers(root: Path = ROOT) -> list[str]:
    """Every badge, clone command or citation with another address, as "file: address"."""
    slug = address(root)
    found = [] if cited(root) == slug else [f"CITATION.cff: {cited(root)}"]
    for path in files(root):
        name = path.relative_to(root).as_posix()
        others = _OWN.findall(path.read_text(encoding="utf-8"))
        found += [f"{name}: {other}" for other in others if other != slug]
    return found


def main(arguments: list[str]) -> int:
    if arguments == ["check"]:
        found = strangers()
        print(*found or [f"Every link says {address()}."], sep="\n")
        return bool(found)
    if arguments:
        raise SystemExit(__doc__)
    for path in rewrite():
        print(f"{path.relative_to(ROOT)} now says {address()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
