"""All edits of a set of files in the order in which they should be tried. Deterministic; runs nothing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from perstack.providers.search.worker import calls, expressions, statements
from perstack.providers.search.worker.scope import Scope
from perstack.providers.search.worker.source import FUNCTIONS, Edit, Source, head_lines

if TYPE_CHECKING:
    Operator = Callable[[ast.AST, Scope], Iterator[Edit]]

OPERATORS: tuple[Operator, ...]
OPERATORS = (
    expressions.comparisons, expressions.arithmetic, expressions.logic, expressions.conditions, expressions.literals,
    expressions.bounds, expressions.results, expressions.defaults, calls.names, calls.attributes, calls.arguments,
    calls.wrappers, calls.lookups, statements.assignments, statements.jumps, statements.removals, statements.moves,
    statements.guards, statements.grafts,
)  # fmt: skip
LIMIT = 30_000


def ranked(sources: Mapping[str, str], suspicion: Mapping[str, Mapping[int, float]]) -> list[Edit]:
    """Edits by suspicion of their line times prior of their kind, best first, equal results once."""
    found: list[tuple[float, int, Edit]] = []
    for path in sorted(suspicion):
        try:
            source = Source.parse(path, sources[path])
        except (SyntaxError, ValueError, KeyError):
            continue
        scores = statement_scores(source, suspicion[path])
        seen: set[tuple[int, int, str]] = set()
        for edit in _edits(source, scores):
            key = (edit.start, edit.end, edit.text)
            if key in seen or source.text[edit.start : edit.end] == edit.text:
                continue
            seen.add(key)
            found.append((-scores.get(edit.line, 0.0) * edit.weight, len(found), edit))
    found.sort(key=lambda item: item[:2])
    return [edit for _, _, edit in found[:LIMIT]]


def _edits(source: Source, scores: Mapping[int, float]) -> Iterable[Edit]:
    scope = Scope(source)
    for node in ast.walk(source.tree):
        line = getattr(node, "lineno", None)
        if isinstance(node, ast.comprehension):
            line = node.target.lineno
        if line is None or scores.get(line, 0.0) <= 0.0:
            continue
        for operator in OPERATORS:
            yield from operator(node, scope)


def statement_scores(source: Source, suspicion: Mapping[int, float]) -> dict[int, float]:
    """Suspicion of every line: the most suspicious line of its statement.

    A function's header gets most of its body's suspicion, as do module and class statements that name things the
    suspicious functions use: neither is executed while a test runs.
    """
    scores: dict[int, float] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.stmt):
            lines = head_lines(node)
            best = max((suspicion.get(line, 0.0) for line in lines), default=0.0)
            if isinstance(node, FUNCTIONS):
                best = max(best, 0.7 * _body_score(node, suspicion))
            for line in lines:
                scores[line] = max(scores.get(line, 0.0), best)
    for node, score in _static(source, suspicion):
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            scores[line] = max(scores.get(line, 0.0), score)
    return scores


def _body_score(node: ast.AST, suspicion: Mapping[int, float]) -> float:
    lines = (getattr(n, "lineno", 0) for n in ast.walk(node))
    return max((suspicion.get(line, 0.0) for line in lines), default=0.0)


def _static(source: Source, suspicion: Mapping[int, float]) -> Iterator[tuple[ast.stmt, float]]:
    """Assignments outside functions, with the suspicion of the most suspicious line that names their target."""
    uses: dict[str, float] = {}
    for node in ast.walk(source.tree):
        name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        if name and source.function(node) is not None:
            uses[name] = max(uses.get(name, 0.0), suspicion.get(node.lineno, 0.0))  # type: ignore[attr-defined]
    top = max(suspicion.values(), default=0.0)
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and source.function(node) is None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            used = max((uses.get(name, 0.0) for name in names), default=0.0)
            yield node, max(0.75 * used, 0.3 * top)
