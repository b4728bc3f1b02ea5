"""What may be known of the base by somebody who writes checks from a task alone: public names, signatures, docs.

Bodies, tests and candidates have no part in it. Pure reading; nothing is imported or run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from perstack.signals.held_out.plain import Python
from perstack.signals.syntax import parse
from perstack.signals.tree import Tree

MAX_TEXT, _DOC, _FILES = 16_000, 500, 200
_NOT_OFFERED = frozenset({"setup", "conftest", "__main__"})


@dataclass(frozen=True, slots=True)
class Target:
    """A function or class that a check may call: the module to import, and the file it is written in."""

    module: str
    path: str


@dataclass(frozen=True, slots=True)
class Surface:
    """`text` is for the author of checks; `targets` are by dotted name."""

    text: str
    targets: Mapping[str, Target]


def surface_of(tree: Tree, python: Python, is_test: Callable[[str], bool], first: Sequence[str] = ()) -> Surface:
    """The public surface of a tree, cut to a size that fits a prompt. `first` are paths of tests whose imports lead."""
    lead = " ".join(_text(tree, path) for path in first)
    modules = {path: name for path in sorted(tree.files) if (name := _module(path, python)) and not is_test(path)}
    ranked = sorted(modules, key=lambda path: (not _is_named(modules[path], lead), path))
    parts, targets, left = list[str](), dict[str, Target](), MAX_TEXT
    for path in ranked[:_FILES]:
        for name, text in _offers(_text(tree, path), modules[path]):
            if len(text) > left:
                return Surface("\n".join(parts), targets)
            left -= len(text) + 1
            parts.append(text)
            targets[name] = Target(modules[path], path)
    return Surface("\n".join(parts), targets)


def _module(path: str, python: Python) -> str:
    """The dotted name of a module of the project; empty for what is none, or is private."""
    if not path.endswith(".py"):
        return ""
    for root in sorted((*python.roots, "."), key=len, reverse=True):
        prefix = "" if root == "." else f"{root}/"
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).removesuffix(".py").removesuffix("/__init__").split("/")
        public = all(part.isidentifier() and not part.startswith("_") for part in parts)
        if public and parts[0] in python.provides and _NOT_OFFERED.isdisjoint(parts):
            return ".".join(parts)
    return ""


def _is_named(module: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(module)}\b", text) is not None


def _offers(text: str, module: str) -> Iterator[tuple[str, str]]:
    """Dotted names with what is told of them."""
    try:
        tree = parse(text)
    except SyntaxError:
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{module}.{node.name}", _signature(f"{module}.{node.name}", node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield f"{module}.{node.name}", _class(f"{module}.{node.name}", node)


def _signature(name: str, node: ast.FunctionDef, indent: str = "") -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{indent}{name}({ast.unparse(node.args)}){returns}{_doc(node, indent)}"


def _class(name: str, node: ast.ClassDef) -> str:
    lines = [f"class {name}{_doc(node, '')}"]
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[:1] != "_":
            lines.append(f"    {ast.unparse(item)}")
        elif isinstance(item, ast.FunctionDef) and (item.name == "__init__" or item.name[:1] != "_"):
            lines.append(_signature(item.name, item, "    "))
    return "\n".join(lines)


def _doc(node: ast.FunctionDef | ast.ClassDef, indent: str) -> str:
    text = ast.get_docstring(node) or ""
    return "".join(f"\n{indent}    {line}" for line in text[:_DOC].splitlines())


def _text(tree: Tree, path: str) -> str:
    return (tree.read(path) or b"").decode("utf-8", "replace")
