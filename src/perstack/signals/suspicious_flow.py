"""Branches on the clock and on chance.

Pure; Python only. Names are followed inside one module without regard to order: enough to see a value reach a
condition, and it errs towards showing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_place import Places
from perstack.signals.suspicious_rules import ADDRESSES, CHANCE, CLOCKS, RULES, Hit, When

_EPOCH = 1e8  # numbers this large, compared with a clock, are points in time
_ISO_DATE = re.compile(r"^(?:19|20)\d\d(?:\D?\d\d|$)")
_CALENDAR = frozenset(
    {"year", "month", "day", "hour", "minute", "second", "microsecond", "weekday", "isoweekday", "tm_year", "tm_mon",
     "tm_mday", "tm_hour", "tm_wday", "tm_yday", "toordinal"}
)  # fmt: skip
_FILE_TIMES = frozenset({"st_mtime", "st_ctime", "st_atime", "st_birthtime", "st_mtime_ns", "st_ctime_ns"})
_CIRCUMSTANCES = frozenset(name for rule in RULES if rule.when is When.CONDITION for name in rule.names) - {
    "os.getppid",
    "traceback.format_stack",
    "traceback.print_stack",
}
_PERIODIC = (ast.Mod, ast.BitAnd, ast.FloorDiv)


def scan_flow(names: Names, places: Places) -> Iterator[Hit]:
    """Hits of one module."""
    clock, chance, address = (_Tainted(names, places, source) for source in ("clock", "chance", "address"))
    if clock.used or chance.used or address.used:
        yield from _branches(names, places, clock, chance, address)
    yield from _circumstances(names, places)
    yield from _file_times(places.nodes, names)


def _branches(names: Names, places: Places, clock: _Tainted, chance: _Tainted, address: _Tainted) -> Iterator[Hit]:
    for condition in _conditions(places.nodes):
        if _draws_again(condition, places):
            continue
        if chance.reaches(condition):
            yield _hit("chance", condition, "decides by chance", certain=True, habit=True)
        elif clock.reaches(condition) and _by_period(condition, clock):
            yield _hit("clock-chance", condition, "decides by the clock's digits", certain=True)
        elif address.reaches(condition) and _by_period(condition, address):
            yield _hit("address", condition, "decides by an address or hash that changes from run to run", certain=True)
    for node in places.nodes:
        if isinstance(node, ast.Compare) and clock.reaches(node):
            if _asks_year(node, names) or any(_absolute(side, names) for side in (node.left, *node.comparators)):
                yield _hit("deadline", node, "compares the clock with a fixed point in time", certain=True)
            elif _calendar(node) and _has_number(node):
                yield _hit("calendar", node, "decides by the calendar", certain=False)
        elif isinstance(node, ast.Call) and chance.reaches(node.func) and _literal_arguments(node):
            yield _hit("chance", node, "picks one of several answers by chance", certain=True, habit=True)


def _hit(family: str, node: ast.AST, detail: str, *, certain: bool, habit: bool = False) -> Hit:
    return Hit(family, ast.dump(node), getattr(node, "lineno", 0), detail, certain, habit)


class _Tainted:
    """Names that hold a value from a source, and which expressions use one."""

    def __init__(self, names: Names, places: Places, source: str) -> None:
        self._parents = places.parents
        self._reached: set[int] = set()
        direct = [n for n in places.nodes if isinstance(n, ast.Name | ast.Attribute) and _from(names.dotted(n), source)]
        self.used = bool(direct)
        for node in direct:
            self._mark(node)
        if self.used:
            self._follow(places.nodes)

    def reaches(self, node: ast.AST) -> bool:
        """Whether a value from the source is somewhere in the expression."""
        return id(node) in self._reached

    def _mark(self, node: ast.AST | None) -> None:
        while node is not None and id(node) not in self._reached and not isinstance(node, ast.stmt):
            self._reached.add(id(node))
            node = self._parents.get(id(node))

    def _follow(self, nodes: Sequence[ast.AST]) -> None:
        """Through assignments and short functions, three steps far."""
        assigns = [n for n in nodes if isinstance(n, ast.Assign | ast.AnnAssign | ast.NamedExpr)]
        returns = [
            (f.name, n) for f in nodes if isinstance(f, ast.FunctionDef) and len(f.body) <= 2 for n in _returns(f)
        ]
        loads = [n for n in nodes if isinstance(n, ast.Name)]
        known: set[str] = set()
        for _ in range(3):
            tainted = {name for name, value in returns if self.reaches(value)}
            for node in assigns:
                if node.value is not None and self.reaches(node.value):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    tainted |= {t.id for t in targets if isinstance(t, ast.Name)}
            for load in loads:
                if load.id in tainted - known:
                    self._mark(load)
            known |= tainted


def _circumstances(names: Names, places: Places) -> Iterator[Hit]:
    """Who or where the program runs, kept in a name and then asked in a condition."""
    tainted = _Tainted(names, places, "circumstance")
    for condition in _conditions(places.nodes) if tainted.used else ():
        if tainted.reaches(condition):
            yield _hit("circumstance", condition, "decides by who or where it runs", certain=True, habit=True)


def _file_times(nodes: Sequence[ast.AST], names: Names) -> Iterator[Hit]:
    """The age of a file compared with a fixed point in time."""
    for node in nodes:
        if isinstance(node, ast.Compare):
            asks = any(isinstance(part, ast.Attribute) and part.attr in _FILE_TIMES for part in ast.walk(node))
            if asks and any(_absolute(side, names) for side in (node.left, *node.comparators)):
                yield _hit("deadline", node, "compares a file's time with a fixed point in time", certain=True)


def _draws_again(condition: ast.expr, places: Places) -> bool:
    """Whether a loop draws once more while something is taken already: what it ends with is as good as the first."""
    loop = places.parent(condition)
    if not isinstance(loop, ast.While) or loop.test is not condition or not isinstance(condition, ast.Compare):
        return False
    drawn = condition.left
    again = [
        node
        for node in loop.body
        if isinstance(node, ast.Assign) and isinstance(drawn, ast.Name) and _plain_names(node.targets) == [drawn.id]
    ]
    return isinstance(condition.ops[0], ast.In) and len(again) == len(loop.body) == 1


def _plain_names(targets: Sequence[ast.expr]) -> list[str]:
    """Plain names among the targets of an assignment."""
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _returns(function: ast.FunctionDef) -> list[ast.expr]:
    return [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]


def _from(dotted: str, source: str) -> bool:
    if source == "clock":
        return dotted in CLOCKS
    if source == "chance":
        return dotted.startswith(CHANCE)
    if source == "circumstance":
        return any(dotted == name or dotted.startswith(f"{name}.") for name in _CIRCUMSTANCES)
    return dotted in ADDRESSES


def _conditions(nodes: Sequence[ast.AST]) -> Iterator[ast.expr]:
    for node in nodes:
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
