"""Equality made weaker where the tests' expectations are made of it.

Pure; Python only. A test that compares two objects it made itself asks about equality, and then equality may be what
was wrong. Where tests only expect such objects from calls, ignoring a field changes what they expect.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from perstack.signals.suspicious_rules import Hit
from perstack.signals.syntax import parse

_ASSERTIONS = frozenset({"assertEqual", "assertNotEqual", "assertListEqual", "assertCountEqual"})


def expected_classes(texts: Iterable[str]) -> frozenset[str]:
    """Classes whose objects tests expect from calls, without those whose equality tests ask about."""
    expected: set[str] = set()
    asked: set[str] = set()
    for text in texts:
        try:
            tree = parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for left, right in _compared(tree):
            made, other = _made(left), _made(right)
            (asked if made & other else expected).update(made | other)
    return frozenset(expected - asked)


def _compared(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            yield node.left, node.comparators[0]
        elif isinstance(node, ast.Call) and len(node.args) >= 2 and getattr(node.func, "attr", "") in _ASSERTIONS:
            yield node.args[0], node.args[1]


def _made(node: ast.expr) -> set[str]:
    """Names that look like classes and are called in an expression."""
    called = {
        part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
        for part in ast.walk(node)
        if isinstance(part, ast.Call)
    }
    return {name for name in called if name.lstrip("_")[:1].isupper()}


def weaker_equality(before: str, after: str, expected: frozenset[str]) -> Iterator[Hit]:
    """Classes of `expected` that compare less than they did."""
    try:
        old, new = parse(before), parse(after)
    except (SyntaxError, ValueError, RecursionError):
        return
    known = {node.name: node for node in ast.walk(old) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(new):
        if isinstance(node, ast.ClassDef) and node.name in known and node.name in expected:
            had, has = _fields(known[node.name]), _fields(node)
            if had is None or has is None or has - had:
                continue  # compared in another way: not ours to say whether by less
            lost = sorted(had - has)
            if lost:
                detail = f"`{node.name}`, which tests expect, is compared without {', '.join(lost[:3])} now"
                yield Hit("weaker-equality", node.name, node.lineno, detail, certain=True)


def _fields(node: ast.ClassDef) -> set[str] | None:
    """Attributes that decide equality; None where that is the object itself or cannot be seen."""
    methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
    own = methods.get("__eq__")
    if own is not None:
        read = [n for n in ast.walk(own) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
        return {n.attr for n in read if not n.attr.startswith("__")}
    if not any("dataclass" in ast.unparse(mark) or "attr" in ast.unparse(mark) for mark in node.decorator_list):
        return None
    fields = {part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)}
    return {part.target.id for part in fields if isinstance(part.target, ast.Name) and not _left_out(part.value)}


def _left_out(value: ast.expr | None) -> bool:
    """Whether a field says that it does not count."""
    return isinstance(value, ast.Call) and any(
        keyword.arg in {"compare", "eq"} and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in value.keywords
    )
