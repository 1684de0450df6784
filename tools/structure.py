"""The package's structure as a page, docs/structure.md: `python -m tools.structure` writes it.

The layers stand here, once; what each module is for is what its own docstring begins with.
`tests/test_architecture.py` holds the code to the layers, and the page to the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "vlm_helpers"
PAGE = Path(__file__).parents[1] / "docs" / "structure.md"

# From what people touch down to the ground. Within a row an import may go sideways, in no circle.
LAYERS = {
    "what people touch": ("exercises", "widgets"),
    "what notebooks do": ("training", "figures", "evaluation"),
    "models and their input": ("collators", "loading", "prompts", "zoo"),
    "facts, geometry, pictures": ("catalog", "boxes", "scenes", "pages"),
    "the ground": (
        "colab", "conversations", "pictures", "_data", "_draws", "_locks", "_memory", "_questions",
        "_threads", "_words",
    ),
}  # fmt: skip

HEAD = """\
# How the package is built

`vlm_helpers` holds what two notebooks need, or what would distract in one. Its parts lie in layers,
and imports run downwards only: what stands in a row may use its own row and all that is below. A
name that begins with `_` is used in its own part alone, but for the modules of the ground, which
are for the package's own use. `import vlm_helpers` imports none of this: each part comes with its
first use.

```
{layers}
```

This page is made from the code (`python -m tools.structure`), and a test compares the two.

## What happens when you ask

`vlm = vh.load(); vlm.ask(picture, "What is this?")` goes through these modules:

1. `loading/_load.py` puts the steps of `load` in order. `loading/_checkpoints.py` turns the name
   into a folder, with `loading/_hub.py` for a name on the Hub; `_memory.py` says whether it fits,
   before anything is read; `loading/_weights.py` checks the files, and `loading/_adapters.py` adds
   an adapter.
2. `loading/_vlm.py` is what comes back: the plain `model` and `processor`, and `ask`, `chat` and
   `stream` beside them.
3. `conversations.py` reads the question into messages, as it does for `prompts`, `collators` and
   `training`; `pictures.py` opens the picture, as it does for all of them and for `figures`.
4. `loading/_generation.py` settles how the answer is generated, and `_locks.py` keeps other threads
   from the tokenizer meanwhile.
5. Where the answer is about a place, `boxes` reads it; `evaluation` asks a whole set and scores it;
   `figures` draws it; `exercises` checks what you make of it.
"""


def doc(path: Path) -> str:
    """The first paragraph of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return " ".join(text.split("\n\n")[0].split())


def drawing() -> str:
    """The layers, one a line: what each is, and what is in it."""
    rows = {what: [name for name in names if list(modules(name))] for what, names in LAYERS.items()}
    width = max(map(len, rows)) + 4
    return "\n".join(f"{what:{width}}{'   '.join(names)}" for what, names in rows.items())


def modules(name: str) -> Iterator[str]:
    """A line for a part of the package, and one for each of its modules."""
    folder, file = PACKAGE / name, PACKAGE / f"{name}.py"
    if file.exists():
        yield f"- `{name}.py`: {doc(file)}"
    elif folder.exists():
        yield f"- **`{name}`**: {doc(folder / '__init__.py')}"
        inside = sorted(folder.glob("*.py"))
        yield from (f"  - `{f.name}`: {doc(f)}" for f in inside if f.name != "__init__.py")


def page() -> str:
    """The whole page."""
    lines = [HEAD.format(layers=drawing())]
    for what, names in LAYERS.items():
        lines += [f"## {what[0].upper()}{what[1:]}", ""]
        lines += [line for name in names for line in modules(name)]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
