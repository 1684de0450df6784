"""The public names of the package as a page, from signatures and docstrings alone.

Nothing is imported, so that the page can be made where torch is not installed. What is public is
what a part lists in `__all__`, or defines without a leading `_` where it has no such list.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "vlm_helpers"
WIDTH = 88  # of a signature; a longer one takes a line for each of its parameters

HEAD = """\
---
tocdepth: 3
---
# The package

What `import vlm_helpers as vh` gives, part by part, in the words of the docstrings. Sizes are
`(width, height)`, boxes fractions of the picture, memory GiB.
[How the package is built](docs/structure.md) says what rests on what.
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef | ast.expr


def parts() -> list[str]:
    """The package's public parts, in its own order."""
    return list(ast.literal_eval(_value(_tree(_file(PACKAGE)), "_SUBMODULES")))


def names(part: str) -> list[str]:
    """The public names of a part, in its own order."""
    tree = _tree(_file(f"{PACKAGE}.{part}"))
    if listed := _value(tree, "__all__"):
        if isinstance(listed, ast.Call):  # list(_NAMES): they come in when they are first used
            listed = _value(tree, ast.unparse(listed.args[0]))
        return list(ast.literal_eval(listed))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n.name for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


def page() -> str:
    """The whole page, in Markdown."""
    lines = [HEAD]
    for part in parts():
        module = f"{PACKAGE}.{part}"
        lines += [f"## vh.{part}", prose(ast.get_docstring(_tree(_file(module))))]
        for name in names(part):
            lines += entry(f"vh.{part}.{name}", find(module, name), level=3)
    return "\n\n".join(lines) + "\n"


def entry(name: str, node: Definition, level: int) -> Iterator[str]:
    """The pieces of Markdown about one name; a class is followed by its methods."""
    yield f"{'#' * level} {name.rpartition('.')[2]}"
    if isinstance(node, ast.expr):
        value = ast.unparse(node)
        shown = len(value) <= 2 * WIDTH and not re.search(r"\b_", value)
        yield _python(f"{name} = {value if shown else '...'}")
        return
    if isinstance(node, ast.ClassDef):
        start = next((n for n in _methods(node) if n.name == "__init__"), None)
        yield _python(f"class {name}" + (_parameters(start) if start else ""))
    elif any(_is_property(d) for d in node.decorator_list):
        yield _python(name + (f" -> {ast.unparse(node.returns)}" if node.returns else ""))
    else:
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        yield _python(f"{name}{_parameters(node, room=len(name) + len(returns))}{returns}")
    yield prose(ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        for method in _methods(node):
            if not method.name.startswith("_") and ast.get_docstring(method):
                yield from entry(f"{name}.{method.name}", method, level + 1)


def prose(docstring: str | None) -> str:
    """A docstring as Markdown.

    Its text is Markdown already, but for three things: an indented block is code if it is Python
    and else shown as it stands, a `<` outside code is a character, and what stands under "Raises:"
    and its like becomes a list.
    """
    blocks, lines = [], (docstring or "").split("\n")
    while lines:
        first = lines.pop(0)
        inner = []
        while lines and (not lines[0].strip() or lines[0].startswith("    ")):
            inner.append(lines.pop(0))
        if re.fullmatch(r"[A-Z][a-z]+( \([a-z ]+\))?:", first) and inner and inner[0].strip():
            blocks += ["", f"*{first}*", "", *_items(inner), ""]
            continue
        blocks.append(_text(first))
        if any(line.strip() for line in inner):
            code = dedent("\n".join(inner)).strip("\n")
            blocks += ["", f"```{'python' if _is_python(code) else 'text'}", code, "```", ""]
        else:
            blocks += inner
    return "\n".join(blocks).strip()


def find(module: str, name: str) -> Definition:
    """Where `name` is defined, followed through the imports of `module`.

    Raises:
        LookupError: it is defined nowhere that can be read.
    """
    file = _file(module)
    tree = _tree(file)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find(node.module, alias.name)
    if constant := _value(tree, name):
        return constant
    if late := _value(tree, "_NAMES"):
        return find(f"{module}.{ast.literal_eval(late)[name]}", name)
    raise LookupError(f"{name} is defined nowhere in {file}")


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _value(tree: ast.Module, name: str) -> ast.expr | None:
    """What a module's `name` is set to, alone or as one of several."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            return node.value
        for target in node.targets if isinstance(node, ast.Assign) else []:
            if ast.unparse(target) == name:
                return node.value
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts):
                    if ast.unparse(one) == name:
                        return value
    return None


def _methods(node: ast.ClassDef) -> list[Function]:
    return [n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _is_property(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).endswith("property")


def _parameters(function: Function, room: int = 0) -> str:
    """What stands in the brackets, brackets included, without `self`."""
    text = re.sub(r"^(?:self|cls)(?:, |$)", "", ast.unparse(function.args))
    if room + len(text) <= WIDTH:
        return f"({text})"
    # Between the parameters are those commas that no bracket and no string of one encloses.
    lines, depth, quote = [""], 0, ""
    for character in text:
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        depth += not quote and (character in "([{") - (character in ")]}")
        if character == "," and not depth and not quote:
            lines.append("")
        else:
            lines[-1] += character
    return "(\n" + "".join(f"    {line.strip()},\n" for line in lines) + ")"


def _python(code: str) -> str:
    return f"```python\n{code}\n```"


def _is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def _items(lines: list[str]) -> Iterator[str]:
    """A list of what begins with names and a colon; all other lines go on with what is before."""
    for line in dedent("\n".join(lines)).strip().split("\n"):
        if found := re.fullmatch(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*): (.+)", line):
            yield f"- `{found[1]}`: {_text(found[2])}"
        else:
            yield f"  {_text(line.strip())}"


def _text(line: str) -> str:
    """A line in which `<` and `*` outside of code are characters."""
    parts = line.split("`")
    parts[::2] = [re.sub(r"([<*])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
