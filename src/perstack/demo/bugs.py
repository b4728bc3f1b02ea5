"""Bugs as people make them: where one could be in a file, and what it would look like. Pure; knows no repair.

The table is the demo's own. Nothing here is shared with the builder that searches for repairs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One wrong place. `before` and `after` are the changed lines; `path` is relative to the project."""

    path: str
    line: int
    kind: str
    before: str
    after: str
    description: str


@dataclass(frozen=True, slots=True)
class Slip:
    """Replace `start:end` (characters) by `text`."""

    start: int
    end: int
    text: str
    kind: str


class _File:
    """A file's text, its tree, and which function every node is in."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.inside: dict[ast.AST, ast.FunctionDef] = {}
        for function in ast.walk(self.tree):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    self.inside[node] = function

    def at(self, line: int, column: int) -> int:
        row = self.text[self.starts[line - 1] :].split("\n", 1)[0]
        return self.starts[line - 1] + len(row.encode()[:column].decode())

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self.at(node.lineno, node.col_offset), self.at(end_line, end_column)

    def code(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def between(self, left: ast.expr, right: ast.expr, word: str) -> tuple[int, int] | None:
        """Where an operator stands between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        match = re.search(re.escape(word), self.text[start:end])
        return (start + match.start(), start + match.end()) if match else None


_BOUNDARY = {ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">")}
_DIRECTION = {ast.Lt: ("<", ">"), ast.LtE: ("<=", ">="), ast.Gt: (">", "<"), ast.GtE: (">=", "<=")}
_EQUALITY = {ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
             ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is")}  # fmt: skip
_ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "+"), ast.Div: ("/", "//"),
               ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "//")}  # fmt: skip
_TWINS = {"min": "max", "max": "min", "any": "all", "all": "any", "append": "extend", "startswith": "endswith",
          "lower": "upper", "upper": "lower", "bisect_left": "bisect_right", "ljust": "rjust"}  # fmt: skip
_FORGETTABLE = {"lower", "upper", "strip", "abs", "sorted", "list"}


def _comparisons(file: _File, node: ast.AST) -> Iterator[Slip]:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return
    tables = ((_BOUNDARY, "boundary"), (_DIRECTION, "direction"), (_EQUALITY, "equality"))
    for table, kind in tables:
        words = table.get(type(node.ops[0]))
        place = file.between(node.left, node.comparators[0], words[0]) if words else None
        if words and place:
            yield Slip(*place, words[1], kind)


def _numbers(file: _File, node: ast.AST) -> Iterator[Slip]:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        start, end = file.span(node)
        yield Slip(start, end, str(node.value + 1), "off by one")
        if node.value > 0:
            yield Slip(start, end, str(node.value - 1), "off by one")
    if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and node.right.value == 1:
        yield Slip(*file.span(node), file.code(node.left), "forgotten one")


def _operators(file: _File, node: ast.AST) -> Iterator[Slip]:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        word, other = _ARITHMETIC[type(node.op)]
        place = file.between(node.left, node.right, word)
        if place:
            yield Slip(*place, other, "arithmetic")
    elif isinstance(node, ast.BoolOp):
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        place = file.between(node.values[0], node.values[1], word)
        if place and len(node.values) == 2:
            yield Slip(*place, other, "logic")
            yield Slip(*file.span(node), file.code(node.values[0]), "forgotten condition")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield Slip(*file.span(node), file.code(node.operand), "forgotten negation")
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
        word, other = ("+=", "-=") if isinstance(node.op, ast.Add) else ("-=", "+=")
        start = file.text.index(word, file.span(node.target)[1])
        yield Slip(start, start + 2, other, "accumulation")
        yield Slip(start, start + 2, "=", "accumulation")


def _names(file: _File, node: ast.AST) -> Iterator[Slip]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node in file.inside:
        parameters = [a.arg for a in file.inside[node].args.args if a.arg != "self"]
        for other in parameters:
            if node.id in parameters and other != node.id:
                yield Slip(*file.span(node), other, "wrong variable")
        if node.id in _TWINS:
            yield Slip(*file.span(node), _TWINS[node.id], "wrong function")
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node in file.inside:
        end = file.span(node)[1]
        if node.attr in _TWINS:
            yield Slip(end - len(node.attr), end, _TWINS[node.attr], "wrong function")
        receiver = file.code(node.value)
        siblings = {
            n.attr for n in ast.walk(file.tree) if isinstance(n, ast.Attribute) and file.code(n.value) == receiver
        }
        for other in sorted(siblings - {node.attr}):
            yield Slip(end - len(node.attr), end, other, "wrong field")


def _calls(file: _File, node: ast.AST) -> Iterator[Slip]:
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _FORGETTABLE and not node.keywords:
        inner = node.func.value if isinstance(node.func, ast.Attribute) else (node.args or [node.func])[0]
        yield Slip(*file.span(node), file.code(inner), "forgotten call")
    if len(node.args) >= 2:
        one, other = file.span(node.args[0]), file.span(node.args[1])
        text = file.text[other[0] : other[1]] + file.text[one[1] : other[0]] + file.text[one[0] : one[1]]
        yield Slip(one[0], other[1], text, "swapped arguments")
    for keyword in node.keywords:
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
            yield Slip(*file.span(keyword.value), str(not keyword.value.value), "wrong flag")


def _statements(file: _File, node: ast.AST) -> Iterator[Slip]:
    if isinstance(node, ast.Break):
        yield Slip(*file.span(node), "continue", "jump")
    elif isinstance(node, ast.Continue):
        yield Slip(*file.span(node), "break", "jump")
    elif isinstance(node, ast.Slice):
        for part in (node.lower, node.upper):
            if part is not None:
                yield Slip(*file.span(part), f"{file.code(part)} + 1", "slice bound")
                yield Slip(*file.span(part), "", "slice bound")
    elif isinstance(node, ast.IfExp):
        text = f"{file.code(node.orelse)} if {file.code(node.test)} else {file.code(node.body)}"
        yield Slip(*file.span(node), text, "swapped branches")
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool) and node in file.inside:
        yield Slip(*file.span(node), str(not node.value), "wrong flag")


_MAKERS: tuple[Callable[[_File, ast.AST], Iterator[Slip]], ...] = (
    _comparisons, _numbers, _operators, _names, _calls, _statements,
)  # fmt: skip


def possible_slips(text: str) -> list[Slip]:
    """Every slip the table knows for a file, in the order of the file. Raises: SyntaxError."""
    file = _File(text)
    hidden = {part for node in ast.walk(file.tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    found = {
        slip for node in ast.walk(file.tree) if node not in hidden for make in _MAKERS for slip in make(file, node)
    }
    return sorted(found, key=lambda s: (s.start, s.end, s.kind, s.text))


def as_bug(path: str, text: str, slip: Slip) -> Bug:
    """The slip as a bug of a file, with its whole lines."""
    start = text.rfind("\n", 0, slip.start) + 1
    end = text.find("\n", slip.end)
    end = len(text) if end < 0 else end
    line = text.count("\n", 0, slip.start) + 1
    before = text[start:end]
    after = text[start : slip.start] + slip.text + text[slip.end : end]
    return Bug(path, line, slip.kind, before, after, f"{slip.kind} in {path}:{line}")
