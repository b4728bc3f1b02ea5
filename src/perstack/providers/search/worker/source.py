"""One Python file as text and syntax tree, with exact character spans. Reads nothing, changes nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Function = ast.FunctionDef | ast.AsyncFunctionDef
    Span = tuple[int, int]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_TIGHT = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Attribute, ast.Subscript, ast.Await, ast.Starred)


@dataclass(frozen=True)
class Edit:
    """Replace `start:end` (characters) of `path` by `text`. `weight` is the prior of its `kind`, 0 to 1.

    `line` is the line of the statement it belongs to, whose suspicion it inherits.
    """

    path: str
    start: int
    end: int
    text: str
    kind: str
    weight: float
    line: int

    def apply(self, text: str) -> str:
        """The file's text after the edit."""
        return text[: self.start] + self.text + text[self.end :]


@dataclass
class Source:
    """A parsed file. Nodes know their parents; offsets are characters, lines are 1-based."""

    path: str
    text: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)
    _ascii: bool = True

    @classmethod
    def parse(cls, path: str, text: str) -> Source:
        """Raises: SyntaxError, ValueError when the text is not Python."""
        source = cls(path, text, ast.parse(text))
        for node in ast.walk(source.tree):
            inner = getattr(node, "slice", None)
            if type(inner).__name__ == "Index":  # Python 3.8 wraps the index in a node without a place
                node.slice = inner.value  # type: ignore[attr-defined,union-attr]
        for parent in ast.walk(source.tree):
            for child in ast.iter_child_nodes(parent):
                source.parents[child] = parent
        offset = 0
        for line in text.split("\n"):
            source._starts.append(offset)
            offset += len(line) + 1
        source._ascii = text.isascii()
        return source

    def offset(self, line: int, column: int) -> int:
        """Character offset of an AST position, whose column counts UTF-8 bytes."""
        start = self._starts[line - 1]
        if self._ascii:
            return start + column
        row = self.text[start:].split("\n", 1)[0]
        return start + len(row.encode("utf-8")[:column].decode("utf-8", errors="ignore"))

    def span(self, node: ast.AST) -> Span:
        """Where a node's text is, parentheses around it excluded."""
        return (
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def code(self, node: ast.AST) -> str:
        """A node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_start(self, line: int) -> int:
        """Offset of a line's first character; one past the last line is the end of the text."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def indent(self, node: ast.AST) -> str:
        """The white space in front of a statement."""
        start = self.line_start(node.lineno)  # type: ignore[attr-defined]
        return self.text[start : self.span(node)[0]]

    def own_lines(self, node: ast.stmt) -> Span | None:
        """Span of a statement with its whole lines, or None where it shares them with others."""
        start = self.line_start(node.lineno)
        end = self.line_start((node.end_lineno or node.lineno) + 1)
        before = self.text[start : self.span(node)[0]]
        after = self.text[self.span(node)[1] : end].strip()
        if before.strip() or (after and not after.startswith("#")):
            return None
        return start, end

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Parents, nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The innermost statement a node belongs to."""
        if isinstance(node, ast.stmt):
            return node
        return next((a for a in self.ancestors(node) if isinstance(a, ast.stmt)), None)

    def function(self, node: ast.AST) -> Function | None:
        """The innermost function a node is inside of."""
        return next((a for a in self.ancestors(node) if isinstance(a, FUNCTIONS)), None)

    def owner(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class a node is inside of."""
        return next((a for a in self.ancestors(node) if isinstance(a, ast.ClassDef)), None)

    def hugged(self, node: ast.AST, text: str) -> str:
        """`text` as a replacement of `node`, in parentheses where operators around it would take it apart."""
        parent = self.parents.get(node)
        if isinstance(parent, ast.Subscript) and parent.value is not node:
            return text
        if isinstance(parent, _TIGHT) or (isinstance(parent, ast.Call) and parent.func is node):
            start, end = self.span(node)
            enclosed = self.text[:start].rstrip().endswith("(") and self.text[end:].lstrip().startswith(")")
            return text if enclosed else f"({text})"
        return text


def head_lines(node: ast.stmt) -> range:
    """Lines of a statement without the bodies of a compound one."""
    last = node.end_lineno or node.lineno
    first = node.lineno
    bodies = [getattr(node, name, None) for name in ("body", "handlers", "orelse", "finalbody")]
    inner = [body[0].lineno for body in bodies if isinstance(body, list) and body]
    if inner and min(inner) > first:
        last = min(inner) - 1
    return range(first, max(first, last) + 1)


def blocks(tree: ast.AST) -> Iterator[tuple[ast.AST, list[ast.stmt]]]:
    """Every block of statements with its owner."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                yield node, body
