"""The package's structure: imports run downwards, private names stay at home, nothing grows unseen.

Read from the source, so that an import inside a function counts as much as one at the top.
"""

import ast
import re

from tools.structure import LAYERS, PACKAGE, PAGE, page

ROOT = PACKAGE.parent
LEVEL = {name: level for level, names in enumerate(LAYERS.values()) for name in names}
GROUND = LAYERS["the ground"]

# Lines of Python: what is there, and up to a twentieth more. To raise one, change its number here,
# in a commit that says what the lines are for, and why they are not in the place of others.
CEILINGS = {
    "exercises": 4511,
    "widgets": 185,
    "training": 1450,
    "figures": 1163,
    "evaluation": 4490,
    "collators": 735,
    "loading": 1825,
    "prompts": 350,
    "zoo": 630,
    "catalog": 430,
    "boxes": 2050,
    "scenes": 990,
    "pages": 7040,
    "the ground": 1945,
}


def home(path):
    """The subpackage, or the module of the ground, that a file belongs to; None for the façade."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return None if first == "__init__" else first


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if home(path)]


def imported(path):
    """(dotted name below `vlm_helpers`, the names it is bound to, line) of every import."""
    inside = path.relative_to(ROOT).parts[:-1]
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
    return f"{path.relative_to(ROOT)}:{line}"


def test_every_module_has_its_place_in_the_drawing():
    assert {home(path) for path in FILES} <= set(LEVEL)


def test_the_page_on_the_structure_is_what_the_code_says():
    """`python -m tools.structure` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()
    named = re.findall(r"`([\w/]+\.py)`", page().split("\n## ")[1])
    assert len(named) > 5 and all((PACKAGE / name).is_file() for name in named), named


def test_no_import_runs_upwards():
    upwards = [
        f"{where(path, line)} imports {'.'.join(name) or 'all of the package'}"
        for path in FILES
        for name, _, line in imported(path)
        if not name or LEVEL[name[0]] < LEVEL[home(path)]
    ]
    assert not upwards, upwards


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


def test_no_private_name_is_used_in_another_subpackage_nor_in_recipes_and_tools():
    """The ground's own modules begin with `_`, for they are the package's; their names do not."""
    used = []
    outside = [path for place in ("recipes", "tools") for path in (ROOT / place).rglob("*.py")]
    for path in [*FILES, *sorted(outside)]:
        bound = {}
        for name, alias, line in imported(path):
            if not name or (path in FILES and name[0] == home(path)):
                continue
            bound[alias] = ".".join(name)
            private = name[1:] if name[0] in GROUND else name
            if any(part.startswith("_") for part in private):
                used.append(f"{where(path, line)} imports {'.'.join(name)}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                own = node.attr.startswith("_") and not node.attr.startswith("__")
                if own and node.value.id in bound:
                    used.append(f"{where(path, node.lineno)}: {bound[node.value.id]}.{node.attr}")
    assert not used, used


def test_no_subpackage_grows_beyond_its_ceiling():
    lines = dict.fromkeys(CEILINGS, 0)
    for path in FILES:
        name = "the ground" if home(path) in GROUND else home(path)
        lines[name] += len(path.read_text(encoding="utf-8").splitlines())
    above = {name: (n, CEILINGS[name]) for name, n in lines.items() if n > CEILINGS[name]}
    assert not above, f"lines and ceiling: {above}"
