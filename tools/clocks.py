"""No test and no notebook may hang on how fast the machine is.

    python -m tools.clocks    say which tests read a clock

A busy machine is slower by any factor: whatever asserts a duration fails there, though nothing is
wrong. So a test counts work (calls, tokens, bytes) and reads no clock; a notebook may show how long
something took, and asserts nothing about it. Speed is measured by `recipes/benchmark.py`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CLOCKS = re.compile(
    r"time\.(time|perf_counter|monotonic|process_time|thread_time|clock_gettime)(_ns)?"
    r"|timeit\.\w+|datetime\.(datetime|date)\.(now|utcnow|today)|os\.times"
)
FILLS = {"add", "append", "extend", "insert", "put", "update"}


class _Scopes(ast.NodeTransformer):
    """Gives what is local to a function or a comprehension a name that nothing else has."""

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) or hasattr(node, "generators"):
            names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
            local = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)} - {"self"}
            local |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
            for name in (name for name in names if name.id in local):
                name.id += f"@{node.lineno}:{node.col_offset}"
        return node


class _Code:
    """Python code, and which of its names and keys hold what was read from a clock."""

    def __init__(self, source: str):
        self.tree = _Scopes().visit(ast.parse(source))
        self.modules: dict[str, str] = {}  # local name → what was imported under it
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.modules[alias.asname or alias.name] = alias.name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def is_clock(self, node: ast.AST) -> bool:
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return False
        first, _, rest = ast.unparse(node).partition(".")
        whole = f"{self.modules.get(first, '')}.{rest}".rstrip(".")
        return bool(CLOCKS.fullmatch(whole))

    def clocks(self) -> Iterator[int]:
        """The lines that read a clock."""
        return (node.lineno for node in ast.walk(self.tree) if self.is_clock(node))

    def follow(self) -> None:
        """Find `names` and `keys`, from one to the next until there are no more."""
        self.names: set[str] = set()
        self.keys: set[str] = set()
        known = None
        while known != (known := (len(self.names), len(self.keys))):
            for statement in self.tree.body:
                self._visit(statement)

    def _visit(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self._visit(child)
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self._assign(target, node.value)
        elif isinstance(node, (ast.For, ast.comprehension)):
            self._assign(node.target, node.iter)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and self.timed(value):
                    self.keys.add(key.value)
        elif isinstance(node, (ast.Return, ast.Yield)) and node.value and self.timed(node.value):
            self.names.add("return")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in FILLS and any(map(self.timed, node.args)):
                self._mark(node.func.value)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            # A function that returns a duration, a class whose objects keep one.
            for inside in ("return", "self"):
                if inside in self.names and isinstance(node, ast.ClassDef) == (inside == "self"):
                    self.names.discard(inside)
                    self.names.add(node.name)

    def _assign(self, target: ast.AST, value: ast.AST | None) -> None:
        if isinstance(target, ast.Tuple):
            same = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
            for i, each in enumerate(target.elts):
                self._assign(each, value.elts[i] if same else value)
        elif value is not None and self.timed(value):
            self._mark(target)

    def _mark(self, target: ast.AST) -> None:
        """From now on `target`, which a duration was put into, counts as one."""
        if isinstance(target, ast.Name):
            self.names.add(target.id)
        elif isinstance(target, ast.Attribute):
            self.keys.add(target.attr)
        elif isinstance(target, ast.Subscript):
            if isinstance(target.slice, ast.Constant):
                self.keys.add(target.slice.value)
            else:
                self._mark(target.value)
        elif isinstance(target, ast.Starred):
            self._mark(target.value)

    def timed(self, node: ast.AST) -> bool:
        """Whether an expression holds a duration; a dict's constant keys are told apart."""
        if self.is_clock(node):
            return True
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.Attribute) and node.attr in self.keys:
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return node.slice.value in self.keys or self.timed(node.value)
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values)
            return any(self.timed(v) for k, v in pairs if not isinstance(k, ast.Constant))
        return any(map(self.timed, ast.iter_child_nodes(node)))

    def asserted(self) -> Iterator[int]:
        """The lines that assert something about a duration."""
        self.follow()
        for node in ast.walk(self.tree):
            said = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2]
            if isinstance(node, ast.Assert) or said and said.startswith("assert"):
                if self.timed(node):
                    yield node.lineno


def read(source: str) -> list[int]:
    """The lines that read a clock: a test has none."""
    return sorted(set(_Code(source).clocks()))


def asserted(source: str) -> list[int]:
    """The lines that assert something about a duration: a notebook has none."""
    return sorted(set(_Code(source).asserted()))


def main() -> int:
    found = 0
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for line in read(path.read_text(encoding="utf-8")):
            found += 1
            print(f"{path.relative_to(ROOT)}:{line} reads a clock: count work instead")
    if not found:
        print("No test reads a clock.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
