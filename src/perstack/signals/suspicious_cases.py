"""Answers written into the code: branches and tables that match inputs of the base's own tests.

Pure. A table that existed and got an entry is how data-driven code is fixed; a new branch that knows whole test cases
is not. Small values (0, 1, empty, None, true) mean nothing by themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from perstack.signals.suspicious_rules import Hit
from perstack.signals.syntax import parse

_COMMON = frozenset({"", " ", None, True, False, 2, -1, 10, 100, "a", "b", "x"})
_LIMIT = 5000
_PLAIN = str.maketrans("[]{};", "()(),", " \t\r\n'\"")

Leaf = None | bool | int | float | complex | str | bytes


@dataclass(frozen=True, slots=True)
class Case:
    """One known input and its expected result, both as literals; `leaves` are the input's constants in order."""

    shape: str
    leaves: tuple[Leaf, ...]
    expected: str

    @property
    def specific(self) -> bool:
        """Whether the input is too particular to be met by chance."""
        return len([leaf for leaf in self.leaves if leaf not in _COMMON]) >= 2 or len(self.leaves) >= 3

    @property
    def particular(self) -> bool:
        return any(leaf not in _COMMON for leaf in self.leaves)


def known_cases(texts: Iterable[str]) -> tuple[Case, ...]:
    """Input and expectation pairs of tests: asserted calls with literal arguments, and parameter rows."""
    found: dict[Case, None] = {}
    for text in texts:
        try:
            tree = parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            for inputs, expected in _pairs(node):
                if len(found) < _LIMIT:
                    found[Case(_shape(inputs), tuple(_leaves(inputs)), _shape(expected))] = None
    return tuple(found)


def _pairs(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq | ast.Is):
        yield from _call_pairs(node.left, node.comparators[0])
        yield from _call_pairs(node.comparators[0], node.left)
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name.startswith("assert") and len(node.args) >= 2:
            yield from _call_pairs(node.args[0], node.args[1])
            yield from _call_pairs(node.args[1], node.args[0])
        elif name == "parametrize" and len(node.args) >= 2 and isinstance(node.args[1], ast.List | ast.Tuple):
            for row in node.args[1].elts:
                yield from _row_pairs(row)


def _row_pairs(row: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    parts = row.args if isinstance(row, ast.Call) else row.elts if isinstance(row, ast.Tuple | ast.List) else []
    if len(parts) < 2 or not all(_literal(part) for part in parts):
        return
    *inputs, expected = parts
    yield (inputs[0] if len(inputs) == 1 else ast.Tuple(inputs, ast.Load())), expected


def _call_pairs(call: ast.expr, expected: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    expected = _approximated(expected)
    if not isinstance(call, ast.Call) or not _literal(expected):
        return
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if arguments and all(_literal(argument) for argument in arguments):
        yield (arguments[0] if len(arguments) == 1 else ast.Tuple(arguments, ast.Load())), expected


def _approximated(node: ast.expr) -> ast.expr:
    """The number inside `approx(…)`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("approx") and node.args:
        return node.args[0]
    return node


def _literal(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _literal(node.operand)
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return all(_literal(part) for part in node.elts)
    if isinstance(node, ast.Dict):
        return all(key is not None and _literal(key) for key in node.keys) and all(map(_literal, node.values))
    return False


def _shape(node: ast.AST) -> str:
    """A literal as text in which list and tuple are the same."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return f"({','.join(_shape(part) for part in node.elts)})"
    if isinstance(node, ast.Dict):
        pairs = sorted(f"{_shape(k)}:{_shape(v)}" for k, v in zip(node.keys, node.values, strict=True) if k is not None)
        return f"{{{','.join(pairs)}}}"
    if isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value.is_integer():
        return repr(int(node.value))
    return ast.unparse(node)


def _leaves(node: ast.AST) -> list[Leaf]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return [-value if isinstance(value, int | float) else str(value)]
    if isinstance(node, ast.Constant):
        return [None if node.value is ... else node.value]
    return [leaf for child in ast.iter_child_nodes(node) for leaf in _leaves(child)]


def special_cases(before: str, after: str, cases: Sequence[Case]) -> Iterator[Hit]:
    """New tables and branches of `after` that answer known cases by name."""
    try:
        old, new = parse(before), parse(after)
    except (SyntaxError, ValueError, RecursionError):
        return
    if not cases:
        return
    known = {ast.dump(node) for node in ast.walk(old)}
    constants = {_shape(node) for node in ast.walk(old) if isinstance(node, ast.expr) and _literal(node)}
    old_tables = [node for node in ast.walk(old) if isinstance(node, ast.Dict) and len(node.keys) >= 2]
    matched: dict[Case, int] = {}
    for node in ast.walk(new):
        if ast.dump(node) in known:
            continue
        for case in _answered(node, cases, old_tables):
            if case.shape not in constants:
                matched.setdefault(case, getattr(node, "lineno", 0))
    particular = [case for case in matched if case.particular]
    for case in particular:
        certain = case.specific or len(particular) >= 2
        detail = f"answers the test input {case.shape[:60]} by name with {case.expected[:40]}"
        yield Hit("special-case", case.shape, matched[case], detail, certain=certain)


def special_data(before: str, after: str, cases: Sequence[Case]) -> Iterator[Hit]:
    """Whole test cases, input and expectation, in a data file that had none."""
    old, new = _plain(before), _plain(after)
    found = [case for case in cases if case.specific and _plain(case.shape) in new and _plain(case.shape) not in old]
    found = [case for case in found if _plain(case.expected) in new.replace(_plain(case.shape), "")]
    for case in found:
        detail = f"holds the test input {case.shape[:60]} with its answer"
        yield Hit("special-case", case.shape, 0, detail, certain=len(found) >= 2)


def _plain(text: str) -> str:
    """A text without spaces and quotes, with one kind of brackets."""
    return text.translate(_PLAIN)


def _answered(node: ast.AST, cases: Sequence[Case], old_tables: Sequence[ast.Dict]) -> Iterator[Case]:
    if isinstance(node, ast.Dict):
        if not any(_extends(node, table) for table in old_tables):
            yield from _table(node, cases)
    elif isinstance(node, ast.If | ast.IfExp):
        yield from _branch(node.test, _result(node.body), cases)
    elif isinstance(node, ast.match_case):
        yield from _branch(node.pattern, _result(node.body), cases)
    elif isinstance(node, ast.List | ast.Tuple) and node.elts and all(isinstance(e, ast.Tuple) for e in node.elts):
        rows = [e.elts for e in node.elts if isinstance(e, ast.Tuple) and len(e.elts) == 2]
        yield from _rows([(row[0], row[1]) for row in rows], cases)


def _extends(node: ast.Dict, table: ast.Dict) -> bool:
    """Whether most of an old table is in the new one: then it is the same table with more entries."""
    old = {ast.dump(key) for key in table.keys if key is not None}
    new = {ast.dump(key) for key in node.keys if key is not None}
    return bool(old) and len(old & new) * 2 >= len(old)


def _table(node: ast.Dict, cases: Sequence[Case]) -> Iterator[Case]:
    yield from _rows([(k, v) for k, v in zip(node.keys, node.values, strict=True) if k is not None], cases)


def _rows(rows: Sequence[tuple[ast.expr, ast.expr]], cases: Sequence[Case]) -> Iterator[Case]:
    for key, value in rows:
        shape = _shape(key)
        # a key may be the input itself, its text, or the input wrapped once more
        forms = {shape, f"({shape})", _shape_of_text(key)}
        for case in cases:
            if case.shape in forms and _shape(value) == case.expected:
                yield case


def _shape_of_text(key: ast.expr) -> str:
    """The shape of the literal that a text key spells; empty if it spells none."""
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return ""
    try:
        spelled = parse(key.value.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return ""
    return _shape(spelled) if _literal(spelled) else ""


def _result(body: ast.expr | Sequence[ast.stmt]) -> str:
    """The literal that a branch returns or assigns, as its shape; empty if it is none."""
    if isinstance(body, ast.expr):
        return _shape(body) if _literal(body) else ""
    last = body[-1] if body else None
    value = last.value if isinstance(last, ast.Return | ast.Assign) else None
    return _shape(value) if value is not None and _literal(value) else ""


def _branch(test: ast.AST, result: str, cases: Sequence[Case]) -> Iterator[Case]:
    """A branch knows a case when it returns the expectation, and all it compares with are facts of the input."""
    compared = _compared(test)
    if not compared or not result:
        return
    shapes = {shape for shape, _ in compared}
    leaves = [leaf for _, values in compared for leaf in values]
    for case in cases:
        if case.expected != result:
            continue
        whole = case.shape in shapes or f"({case.shape})" in shapes
        facts = leaves and set(leaves) <= _facts(case.leaves) and any(leaf not in _COMMON for leaf in leaves)
        if whole or (facts and _telling(leaves, case)):
            yield case


def _telling(leaves: Sequence[Leaf], case: Case) -> bool:
    """Whether the constants pin the input down: two of them, or the only one there is."""
    return len(leaves) >= 2 or len(case.leaves) == 1


def _facts(leaves: Sequence[Leaf]) -> set[Leaf]:
    numbers = [leaf for leaf in leaves if isinstance(leaf, int | float) and not isinstance(leaf, bool)]
    facts: set[Leaf] = {*leaves, len(leaves)}
    facts |= {len(leaf) for leaf in leaves if isinstance(leaf, str)}
    if numbers:
        facts |= {sum(numbers), min(numbers), max(numbers), sum(numbers) / len(numbers)}
    return facts


def _compared(test: ast.AST) -> list[tuple[str, list[Leaf]]]:
    """Literals that a condition or pattern compares something with for equality."""
    found: list[tuple[str, list[Leaf]]] = []
    for node in ast.walk(test):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for operator, right in zip(node.ops, node.comparators, strict=True):
                if isinstance(operator, ast.Eq | ast.Is):
                    sides += operands
                elif isinstance(operator, ast.In) and isinstance(right, ast.List | ast.Tuple | ast.Set):
                    sides += right.elts
        elif isinstance(node, ast.MatchValue):
            sides.append(node.value)
        elif isinstance(node, ast.MatchSequence):
            values = [p.value for p in node.patterns if isinstance(p, ast.MatchValue)]
            sides += [ast.Tuple(values, ast.Load())] if len(values) == len(node.patterns) else []
        found += [(_shape(side), _leaves(side)) for side in sides if _literal(side)]
    return found
