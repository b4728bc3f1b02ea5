"""Branches on the clock, on chance and on how often something was called.

Pure; Python only. Names are followed inside one module without regard to order: enough to see a value reach a
condition, and it errs towards showing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_rules import ADDRESSES, CHANCE, CLOCKS, Hit

_EPOCH = 1e8  # numbers this large, compared with a clock, are points in time
_ISO_DATE = re.compile(r"^(?:19|20)\d\d\D?\d\d")
_CALENDAR = frozenset(
    {"year", "month", "day", "hour", "minute", "second", "microsecond", "weekday", "isoweekday", "tm_year", "tm_mon",
     "tm_mday", "tm_hour", "tm_wday", "tm_yday", "toordinal"}
)  # fmt: skip
_PERIODIC = (ast.Mod, ast.BitAnd, ast.FloorDiv)


def scan_flow(tree: ast.Module, names: Names) -> Iterator[Hit]:
    """Hits of one module."""
    clock = _Tainted(tree, names, "clock")
    chance = _Tainted(tree, names, "chance")
    address = _Tainted(tree, names, "address")
    conditions = list(_conditions(tree))
    for condition in conditions:
        if chance.reaches(condition):
            yield _hit("chance", condition, "decides by chance", certain=True, habit=True)
        elif clock.reaches(condition) and _by_period(condition, clock):
            yield _hit("clock-chance", condition, "decides by the clock's digits", certain=True)
        elif address.reaches(condition) and _by_period(condition, address):
            yield _hit("address", condition, "decides by an address or hash that changes from run to run", certain=True)
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and clock.reaches(node):
            if _asks_year(node, names) or any(_absolute(side, names) for side in (node.left, *node.comparators)):
                yield _hit("deadline", node, "compares the clock with a fixed point in time", certain=True)
            elif _calendar(node) and _has_number(node):
                yield _hit("calendar", node, "decides by the calendar", certain=False)
        elif isinstance(node, ast.Call) and chance.reaches(node.func) and _literal_arguments(node):
            yield _hit("chance", node, "picks one of several answers by chance", certain=True, habit=True)
    yield from _counters(tree)


def _hit(family: str, node: ast.AST, detail: str, *, certain: bool, habit: bool = False) -> Hit:
    return Hit(family, ast.dump(node), getattr(node, "lineno", 0), detail, certain, habit)


class _Tainted:
    """Names that hold a value from a source, and whether an expression uses one."""

    def __init__(self, tree: ast.Module, names: Names, source: str) -> None:
        self.names = names
        self.source = source
        self.tainted: set[str] = set()
        assigns = [n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AnnAssign | ast.NamedExpr)]
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        for _ in range(3):
            for node in assigns:
                if node.value is not None and self.reaches(node.value):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    self.tainted |= {t.id for t in targets if isinstance(t, ast.Name)}
            for function in functions:
                returned = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]
                if len(function.body) <= 2 and any(self.reaches(value) for value in returned):
                    self.tainted.add(function.name)

    def reaches(self, node: ast.AST) -> bool:
        return any(self._is_source(part) for part in ast.walk(node))

    def _is_source(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name) and node.id in self.tainted:
            return True
        if not isinstance(node, ast.Name | ast.Attribute):
            return False
        dotted = self.names.dotted(node)
        if self.source == "clock":
            return dotted in CLOCKS
        if self.source == "chance":
            return dotted.startswith(CHANCE)
        return dotted in ADDRESSES


def _conditions(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield node.test
        elif isinstance(node, ast.Compare):
            yield node
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.Match):
            yield node.subject
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Tuple | ast.List | ast.Dict):
            yield node.slice


def _by_period(condition: ast.expr, tainted: _Tainted) -> bool:
    """Whether a remainder, a bit or a digit of the value decides."""
    for node in ast.walk(condition):
        if isinstance(node, ast.BinOp) and isinstance(node.op, _PERIODIC) and tainted.reaches(node.left):
            return True
    return isinstance(condition, ast.BinOp) and isinstance(condition.op, _PERIODIC)


def _absolute(node: ast.expr, names: Names) -> bool:
    value = names.fold(node)
    if isinstance(value, int | float):
        return value >= _EPOCH
    if isinstance(value, str):
        return _ISO_DATE.match(value) is not None
    if isinstance(node, ast.Tuple) and node.elts:
        first = names.fold(node.elts[0])
        return isinstance(first, int) and first >= 1970
    if isinstance(node, ast.Call):
        numbers = [names.fold(argument) for argument in node.args]
        year = numbers[0] if numbers else None
        return all(n is not None for n in numbers) and (
            (isinstance(year, int) and year >= 1970) or (isinstance(year, str) and bool(_ISO_DATE.match(year)))
        )
    return False


def _calendar(node: ast.Compare) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr in _CALENDAR for part in ast.walk(node))


def _asks_year(node: ast.Compare, names: Names) -> bool:
    sides = (node.left, *node.comparators)
    asks = any(isinstance(side, ast.Attribute) and side.attr in {"year", "tm_year"} for side in sides)
    numbers = [names.fold(side) for side in sides]
    return asks and any(isinstance(number, int) and number >= 1970 for number in numbers)


def _has_number(node: ast.Compare) -> bool:
    return any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators))


def _literal_arguments(node: ast.Call) -> bool:
    """Whether what is chosen from is written down, or is a pair of results."""
    return any(isinstance(argument, ast.List | ast.Tuple) and len(argument.elts) >= 2 for argument in node.args)


def _counters(tree: ast.Module) -> Iterator[Hit]:
    """A module-wide count of calls that a condition looks at."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    own = {function.name for function in functions}
    for function in functions:
        shared = {name for n in ast.walk(function) if isinstance(n, ast.Global) for name in n.names}
        counted = {
            ast.dump(n.target) for n in ast.walk(function) if isinstance(n, ast.AugAssign) and _shared(n, shared, own)
        }
        loaded = {dump.replace("Store()", "Load()") for dump in counted}
        for node in ast.walk(function):
            counts = isinstance(node, ast.Compare) and _has_number(node)
            if counts and any(ast.dump(part) in loaded for part in ast.walk(node)):
                yield _hit("counter", node, "decides by how often it was called", certain=True)


def _shared(node: ast.AugAssign, shared: set[str], own: set[str]) -> bool:
    target = node.target
    if isinstance(target, ast.Name):
        return target.id in shared
    return isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id in own
