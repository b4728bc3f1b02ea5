"""Answers that depend on how often something was called before.

Pure; Python only. What is counted may be kept anywhere that outlives a call: a module's or closure's variable, an
attribute of a function or class, an entry of a table, a default argument, an iterator, the statistics of a cache. A
gauge, which goes down as well, is none; nor is anything kept in an object of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_place import Places
from perstack.signals.suspicious_rules import Hit

_SHRINKS = frozenset({"clear", "pop", "popitem", "popleft", "remove", "discard"})
_GROWS = frozenset({"append", "add", "appendleft", "extend", "setdefault", "update", "insert"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def scan_state(names: Names, places: Places) -> Iterator[Hit]:
    """Hits of one module."""
    shared = _shared_names(places)
    yield from _counted(places)
    yield from _collections(names, places, shared | _defaults(places))
    yield from _iterators(names, places, shared)
    for node in places.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "cache_info" and places.in_condition(node):
            yield _hit(node)


def _hit(node: ast.AST) -> Hit:
    return Hit(
        "counter", ast.dump(node), getattr(node, "lineno", 0), "decides by how often it was called", certain=True
    )


def _shared_names(places: Places) -> frozenset[str]:
    """Names bound at import."""
    return frozenset(
        target.id
        for node in places.nodes
        if isinstance(node, ast.Assign) and places.at_import(node) and places.function(node) == ""
        for target in node.targets
        if isinstance(target, ast.Name)
    )


def _defaults(places: Places) -> frozenset[str]:
    """Parameters with a default that outlives a call: a list, a table, a set."""
    found: set[str] = set()
    for node in places.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            places_of = (
                [*arguments.posonlyargs, *arguments.args][-len(arguments.defaults) :] if arguments.defaults else []
            )
            pairs = [
                *zip(places_of, arguments.defaults, strict=True),
                *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
            ]
            found |= {name.arg for name, value in pairs if isinstance(value, ast.List | ast.Dict | ast.Set)}
    return frozenset(found)


def _counted(places: Places) -> Iterator[Hit]:
    """Counts that a condition compares with a number."""
    added = [n for n in places.nodes if isinstance(n, ast.AugAssign) and isinstance(n.op, ast.Add | ast.Sub)]
    if not added:
        return
    functions = [n for n in places.nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    owners = {n.name for n in places.nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    tables = _shared_names(places) | _defaults(places)
    ways = {(ast.dump(n.target), type(n.op)) for n in added}
    counted: set[str] = set()
    ticking: set[str] = set()
    for function in functions:
        declared = {name for n in ast.walk(function) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
        for node in ast.walk(function):
            if not isinstance(node, ast.AugAssign) or not _outlives(node.target, declared, owners, tables):
                continue
            dump = ast.dump(node.target)
            gauge = {(dump, ast.Add), (dump, ast.Sub)} <= ways and not isinstance(node.target, ast.Name)
            if not gauge:
                counted.add(dump.replace("Store()", "Load()"))
                ticking |= _callers(function, node, functions, places) if isinstance(node.target, ast.Name) else set()
    for node in places.nodes:
        if isinstance(node, ast.Compare) and any(_is_number(side) for side in (node.left, *node.comparators)):
            ticks = any(isinstance(part, ast.Call) and _called(part) in ticking for part in ast.walk(node))
            if places.function(node) and (ticks or any(ast.dump(part) in counted for part in ast.walk(node))):
                yield _hit(node)


def _outlives(target: ast.expr, declared: set[str], owners: set[str], tables: frozenset[str]) -> bool:
    """Whether what is counted is still there at the next call."""
    if isinstance(target, ast.Name):
        return target.id in declared
    if isinstance(target, ast.Attribute):
        return isinstance(target.value, ast.Name) and target.value.id in owners
    if not isinstance(target, ast.Subscript) or not isinstance(target.slice, ast.Constant):
        return False
    return isinstance(target.value, ast.Name) and target.value.id in tables


def _callers(function: _Function, count: ast.AugAssign, functions: Sequence[_Function], places: Places) -> set[str]:
    """Names under which a function that gives its own count back is called."""
    target = count.target
    gives = any(
        isinstance(n, ast.Return)
        and isinstance(n.value, ast.Name)
        and isinstance(target, ast.Name)
        and n.value.id == target.id
        for n in ast.walk(function)
    )
    if not gives:
        return set()
    around = {outer.name for outer in functions if any(part is function for part in ast.walk(outer))}
    bound = {
        t.id
        for n in places.nodes
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call) and _called(n.value) in around
        for t in n.targets
        if isinstance(t, ast.Name)
    }
    return {function.name, *bound}


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _collections(names: Names, places: Places, kept: frozenset[str]) -> Iterator[Hit]:
    """Collections that only grow and are then measured, or that were filled once and only shrink."""
    used = [
        (n.func.value.id, n.func.attr)
        for n in places.nodes
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and isinstance(n.func.value, ast.Name)
    ]
    deleted = {
        target.value.id
        for n in places.nodes
        if isinstance(n, ast.Delete)
        for target in n.targets
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)
    }
    grown = {name for name, method in used if method in _GROWS}
    shrunk = {name for name, method in used if method in _SHRINKS} | deleted
    spent = (shrunk - grown) & _repeated(places) & kept
    for node in places.nodes:
        if isinstance(node, ast.Compare) and not places.at_import(node):
            sides = (node.left, *node.comparators)
            if any(isinstance(names.fold(side), int | float) for side in sides) and any(
                _length_of(side, names) in (grown - shrunk) & kept for side in sides
            ):
                yield _hit(node)
        elif isinstance(node, ast.Name) and node.id in spent and places.in_condition(node):
            yield _hit(node)


def _length_of(node: ast.expr, names: Names) -> str:
    if isinstance(node, ast.Call) and len(node.args) == 1 and names.dotted(node.func) == "builtins.len":
        return node.args[0].id if isinstance(node.args[0], ast.Name) else ""
    return ""


def _repeated(places: Places) -> frozenset[str]:
    """Names of lists that were filled with so many times the same."""
    return frozenset(
        target.id
        for node in places.nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.Mult)
        and any(isinstance(side, ast.List) for side in (node.value.left, node.value.right))
        for target in node.targets
        if isinstance(target, ast.Name)
    )  # fmt: skip


def _iterators(names: Names, places: Places, shared: frozenset[str]) -> Iterator[Hit]:
    """The next item of something that is shared, as a condition."""
    for node in places.nodes:
        if not isinstance(node, ast.Call) or names.dotted(node.func) != "builtins.next" or not node.args:
            continue
        first = node.args[0]
        if (
            isinstance(first, ast.Name)
            and first.id in shared
            and places.in_condition(node)
            and not places.at_import(node)
        ):
            yield _hit(node)
