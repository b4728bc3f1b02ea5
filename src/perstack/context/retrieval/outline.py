"""What one file defines and which names it uses where, read by tree-sitter. Pure; knows one file, no repository.

A file with syntax errors gives what its sound parts hold. Threat: contents are hostile. So nothing here recurses, a
parse stops after a while, and queries keep a bounded number of open matches; memory, and the time of a query, are
bounded by the process that this runs in (a progress callback of a query ends tree-sitter 0.26.1 with a fault).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from tree_sitter import Node, Parser, Point, Query, QueryCursor, Tree

from perstack.context.retrieval.languages import Grammar, grammar

MAX_DEFINITIONS = 5_000
MAX_NAMES = 20_000
MAX_LINES_A_NAME = 100
MAX_SIGNATURE = 160
MAX_NAME = 120

_PARSE_S = 2.0
_MATCH_LIMIT = 4_096
# Levels of a tree that are looked at. No person nests so deep; a query's time grows with the square of it.
_DEPTH = 256
# What a tree-sitter parser is handed at once: it asks how long it may go on between pieces.
_PIECE = 65_536
_SCOPE = "scope"
_SPACE = re.compile(r"\s+")
_SEPARATOR = re.compile(r"::|#|->")
_THIS = frozenset({"self", "cls", "this", "_"})
_TYPES = frozenset({"class", "struct", "interface", "enum"})


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition. Lines are 1-based and inclusive; `signature` is its head in one line.

    `qualified` has the names around it, outermost first, with dots in every language.
    """

    name: str
    kind: str
    qualified: str
    line: int
    end: int
    signature: str


@dataclass(frozen=True, slots=True)
class Outline:
    """One file: definitions in order, and the lines (1-based, ascending) at which a name is used, not defined.

    `partial`: the file has syntax errors, or was too much to read to its end.
    """

    definitions: tuple[Definition, ...] = ()
    names: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    partial: bool = False

    def around(self, line: int, *, kinds: frozenset[str] = frozenset()) -> Definition | None:
        """The innermost definition (of `kinds`, where given) that holds a line."""
        best = None
        for each in self.definitions:
            holds = each.line <= line <= each.end and (not kinds or each.kind in kinds)
            if holds and (best is None or each.end - each.line <= best.end - best.line):
                best = each
        return best


def read(language: str, data: bytes) -> Outline:
    """The outline of a file's bytes in one of `languages.LANGUAGES`."""
    known = grammar(language)
    tree = _parse(known, data, time.monotonic() + _PARSE_S)
    if tree is None:
        return Outline(partial=True)
    found, taken, cut = _definitions(known, tree, data)
    names, more = _names(known, tree, data, taken)
    return Outline(found, names, partial=cut or more or tree.root_node.has_error)


def _parse(known: Grammar, data: bytes, deadline: float) -> Tree | None:
    def piece(offset: int, _point: Point) -> bytes:
        return data[offset : offset + _PIECE]

    def late(_offset: int, _error: bool) -> bool:
        return time.monotonic() > deadline

    try:
        return Parser(known.language).parse(piece, progress_callback=late)
    except ValueError:  # the parser was told to stop
        return None


@dataclass(slots=True)
class _Found:
    """A definition before its place among the others is known."""

    node: Node
    name: Node
    kind: str
    owner: str


def _definitions(known: Grammar, tree: Tree, data: bytes) -> tuple[tuple[Definition, ...], frozenset[int], bool]:
    """Definitions in order, where their names begin (bytes), and whether some were left out."""
    cursor = _cursor(known.definitions)
    first: dict[tuple[int, int], _Found] = {}
    for _, captures in sorted(cursor.matches(tree.root_node), key=itemgetter(0)):
        found = _found(captures, data)
        if found is not None:
            # A later, looser pattern of the query (any type, after a struct) never renames what an earlier one said.
            first.setdefault((found.name.start_byte, found.kind == _SCOPE), found)
    ordered = sorted(first.values(), key=lambda each: (each.node.start_byte, -each.node.end_byte, each.name.start_byte))
    taken = frozenset(each.name.start_byte for each in ordered if each.kind != _SCOPE)
    made = _nested(ordered, data)
    cut = cursor.did_exceed_match_limit or len(made) > MAX_DEFINITIONS
    return tuple(made[:MAX_DEFINITIONS]), taken, cut


def _found(captures: Mapping[str, Sequence[Node]], data: bytes) -> _Found | None:
    name = captures.get("name")
    kind = next((key for key in captures if key not in {"name", "owner"}), "")
    if not name or not kind:
        return None
    owner = captures.get("owner")
    return _Found(captures[kind][0], name[0], kind, _text(owner[0], data) if owner else "")


def _nested(ordered: Sequence[_Found], data: bytes) -> list[Definition]:
    """Qualified names by which definition lies in which: one pass with a stack."""
    made: list[Definition] = []
    around: list[tuple[int, str, str]] = []  # end byte, qualified name, kind
    for each in ordered:
        while around and around[-1][0] <= each.node.start_byte:
            around.pop()
        _, outer, outer_kind = around[-1] if around else (0, "", "")
        own = _SEPARATOR.sub(".", _text(each.name, data))
        qualified = ".".join(part for part in (outer, each.owner, own) if part)[-4 * MAX_NAME :]
        kind = "method" if each.kind == "function" and outer_kind in _TYPES | {_SCOPE} else each.kind
        around.append((each.node.end_byte, qualified, each.kind))
        if each.kind != _SCOPE and own:
            name = own.rsplit(".", 1)[-1]
            place = each.node.start_point.row + 1, each.node.end_point.row + 1
            made.append(Definition(name, kind, qualified, *place, _signature(each.node, data)))
    return made


def _signature(node: Node, data: bytes) -> str:
    body = node.child_by_field_name("body") or node.child_by_field_name("value")
    end = body.start_byte if body is not None and body.start_byte > node.start_byte else node.end_byte
    raw = data[node.start_byte : min(end, node.start_byte + 4 * MAX_SIGNATURE)].decode("utf-8", "replace")
    if body is None:
        raw = raw.split("\n", 1)[0]
    text = _SPACE.sub(" ", raw).strip().rstrip("{=").rstrip()
    return text if len(text) <= MAX_SIGNATURE else text[: MAX_SIGNATURE - 1] + "…"


def _names(known: Grammar, tree: Tree, data: bytes, taken: frozenset[int]) -> tuple[dict[str, tuple[int, ...]], bool]:
    """Lines by name, and whether some were left out."""
    cursor = _cursor(known.names)
    lines: dict[str, list[int]] = {}
    cut = False
    for node in cursor.captures(tree.root_node).get("name", ()):
        name = _text(node, data)
        if node.start_byte in taken or len(name) < 2 or name in _THIS:
            continue
        at = lines.get(name)
        if at is None:
            if len(lines) >= MAX_NAMES:
                cut = True
                continue
            at = lines[name] = []
        line = node.start_point.row + 1
        if len(at) < MAX_LINES_A_NAME and (not at or at[-1] != line):
            at.append(line)
    return {name: tuple(at) for name, at in sorted(lines.items())}, cut


def _cursor(query: Query) -> QueryCursor:
    cursor = QueryCursor(query, match_limit=_MATCH_LIMIT)
    cursor.set_max_start_depth(_DEPTH)
    return cursor


def _text(node: Node, data: bytes) -> str:
    # Not `node.text`: for a tree that was read in pieces it reads a piece again for every name.
    return data[node.start_byte : min(node.end_byte, node.start_byte + MAX_NAME)].decode("utf-8", "replace")
