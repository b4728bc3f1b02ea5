"""Did errors go away because types became looser, or were promised by a file without code?

Counts what says nothing on purpose: `Any`, casts, annotations that are gone from functions that stay. An honest change
may need one of them; no machine can tell, so that a person has to look.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from perstack.core.verdict import Reason, ReasonCode, SignalReport
from perstack.signals.syntax import parse
from perstack.signals.tree import Tree

TYPE_CHECKERS: Final = frozenset({"mypy", "pyright", "tsc", "auto"})
"""Tools whose errors go away with types."""
PYTHON: Final = (".py", ".pyi")
DECLARATIONS: Final = (".pyi", ".d.ts", ".d.mts", ".d.cts")
"""Files that a checker believes in place of code."""
TYPESCRIPT: Final = (".ts", ".tsx", ".mts", ".cts")
_RESULT = "the result"
_TS_LOOSE = re.compile(r"[:<|&]\s*any\b|,\s*any\s*[>,]|\bas\s+(?:any|never|unknown\s+as)\b")
_TS_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def looser_types(report: SignalReport, base: Tree, candidate: Tree) -> list[Reason]:
    """Where a type checker's errors may be gone because types say less than before, or are promised without code."""
    if report.changes is None or not report.changes.fixed:
        return []
    found = []
    for path in dict.fromkeys(diagnostic.path for diagnostic in report.changes.fixed if diagnostic.path):
        if path in base.files and path in candidate.files:
            texts = ((tree.read(path) or b"").decode("utf-8", "replace") for tree in (base, candidate))
            if how := loosened(path, *texts):
                found.append(f"{path}: {how}")
    promised = sorted(path for path in candidate.files - base.files if path.endswith(DECLARATIONS))
    found += [f"{path}: declares types that no checked code has to keep" for path in promised]
    return [Reason(ReasonCode.TYPES_LOOSENED, detail, report.name) for detail in found]


def loosened(path: str, before: str, after: str) -> str:
    """How types of a file became looser, as the end of a sentence; empty where they did not or cannot be read."""
    if path.endswith(PYTHON):
        return _python(before, after)
    if path.endswith(TYPESCRIPT):
        more = len(_TS_LOOSE.findall(_TS_COMMENT.sub("", after))) - len(_TS_LOOSE.findall(_TS_COMMENT.sub("", before)))
        return f"{more} more `any` or casts that say nothing" if more > 0 else ""
    return ""


def _python(before: str, after: str) -> str:
    try:
        old, new = parse(before), parse(after)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    known = {name: typed for name, typed, _ in _annotated(old)}
    for name, typed, taken in _annotated(new):
        lost = (known.get(name, frozenset()) - typed) & taken
        if lost:
            return f"`{name}` lost the types of {', '.join(sorted(lost))}"
    more = _count(new) - _count(old)
    return f"{more} more `Any` or `cast`" if more > 0 else ""


def _annotated(tree: ast.AST) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    """Each function with the names of its parameters that have a type, and of all; its result is one of them."""
    for name, node in _functions(tree):
        typed = {arg.arg for arg in _arguments(node) if arg.annotation is not None}
        taken = {arg.arg for arg in _arguments(node)} | {_RESULT}
        yield name, frozenset(typed | ({_RESULT} if node.returns is not None else set())), frozenset(taken)


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        else:
            yield from _functions(node, prefix)


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    args = node.args
    rest = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *rest]


def _count(tree: ast.AST) -> int:
    """Uses of `Any` and `cast`, imports left out."""
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    names += [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return sum(name in {"Any", "cast"} for name in names)
