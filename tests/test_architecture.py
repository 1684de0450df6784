"""The package's structure: imports run downwards, and in no circle.

Read from the source, so that an import inside a function counts as much as one at the top.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "vlm_helpers"

# From what people touch down to the ground. Within a row an import may go sideways, in no circle.
ROWS = (
    ("exercises", "widgets"),
    ("training", "figures", "evaluation"),
    ("collators", "loading", "prompts", "zoo"),
    ("catalog", "boxes", "scenes", "pages"),
    (
        "conversations",
        "pictures",
        "_data",
        "_draws",
        "_locks",
        "_memory",
        "_questions",
        "_threads",
        "_words",
    ),  # fmt: skip
)
LEVEL = {name: level for level, row in enumerate(ROWS) for name in row}
GROUND = ROWS[-1]


def home(path):
    """The subpackage, or the module of the ground, that a file belongs to; None for the façade."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return None if first == "__init__" else first


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if home(path)]


def imported(path):
    """(dotted name below `vlm_helpers`, the names it is bound to, line) of every import."""
    inside = ("vlm_helpers", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "vlm_helpers":
                    yield alias.name.split(".")[1:], alias.asname, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else ()
            base = [*base, *(node.module or "").split(".")]
            if base[0] == "vlm_helpers":
                for alias in node.names:
                    name = [part for part in (*base[1:], alias.name) if part]
                    yield name, alias.asname or alias.name, node.lineno


def where(path, line):
    return f"{path.relative_to(PACKAGE.parent)}:{line}"


def test_every_module_has_its_place_in_the_drawing():
    assert {home(path) for path in FILES} <= set(LEVEL)


def test_no_import_runs_upwards():
    upwards = [
        f"{where(path, line)} imports {'.'.join(name) or 'all of the package'}"
        for path in FILES
        for name, _, line in imported(path)
        if not name or LEVEL[name[0]] < LEVEL[home(path)]
    ]
    assert not upwards


def test_no_import_runs_in_a_circle():
    below = {name: set() for name in LEVEL}
    for path in FILES:
        below[home(path)] |= {name[0] for name, *_ in imported(path) if name} - {home(path)}
    seen = []

    def walk(name, way):
        assert name not in way, " imports ".join([*way[way.index(name) :], name])
        if name not in seen:
            for other in sorted(below[name]):
                walk(other, [*way, name])
            seen.append(name)

    for name in sorted(below):
        walk(name, [])
