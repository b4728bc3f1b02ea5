"""Edits of names, attributes and calls: what was meant instead, wrapped around, left out. Judges nothing."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from perstack.providers.search.worker.expressions import replace
from perstack.providers.search.worker.scope import Scope, in_text, likeness
from perstack.providers.search.worker.source import Edit

_FAMILIES = (
    ("min", "max"), ("any", "all"), ("floor", "ceil", "trunc", "round"), ("append", "extend", "add", "insert"),
    ("appendleft", "append"), ("popleft", "pop"), ("popitem", "pop"), ("strip", "lstrip", "rstrip"),
    ("lower", "upper", "title", "capitalize", "casefold"), ("startswith", "endswith"), ("find", "rfind", "index"),
    ("split", "rsplit", "splitlines"), ("partition", "rpartition"), ("keys", "values", "items"), ("sum", "len", "max"),
    ("union", "intersection", "difference", "symmetric_difference"), ("add", "discard", "remove"), ("get", "pop"),
    ("update", "setdefault"), ("isdigit", "isalpha", "isalnum", "isnumeric", "isdecimal"), ("sorted", "list"),
    ("sorted", "reversed"), ("int", "round", "float"), ("bisect_left", "bisect_right"), ("issubset", "issuperset"),
    ("ljust", "rjust", "center"), ("nlargest", "nsmallest"), ("heappush", "heappop"), ("index", "count"),
    ("match", "search", "fullmatch"), ("list", "set", "tuple"), ("date", "datetime"),
    ("days", "hours", "minutes", "seconds", "weeks"), ("weekday", "isoweekday"),
    ("ROUND_HALF_UP", "ROUND_HALF_EVEN", "ROUND_DOWN", "ROUND_UP", "ROUND_CEILING", "ROUND_FLOOR", "ROUND_HALF_DOWN"),
)  # fmt: skip
_WRAPPERS = ("abs", "int", "str", "len", "sorted", "list", "set", "round", "float", "tuple", "reversed", "bool")
_SUFFIXES = (".lower()", ".strip()", ".copy()", ".upper()", ".items()", ".values()", ".keys()")
_PLAIN = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)


def _family(name: str) -> list[str]:
    return [other for family in _FAMILIES if name in family for other in family if other != name]


def names(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Another name of the same scope, a relative of the same name, a field of the own object."""
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or in_text(scope.source, node):
        return
    parent = scope.source.parents.get(node)
    called = isinstance(parent, ast.Call) and parent.func is node
    for other in _family(node.id):
        yield replace(scope, node, other, "related name", 0.9 if called else 0.6)
    if called or node.id in scope.exceptions:
        yield from _other_functions(node, scope)
    elif not _is_annotation(scope, node):
        yield from _other_values(node, scope)


def _other_functions(node: ast.Name, scope: Scope) -> Iterator[Edit]:
    for other in scope.module_names:
        same = scope.arity.get(other) == scope.arity.get(node.id) and other in scope.arity
        if other != node.id and (same or (other[:1].isupper() and node.id[:1].isupper())):
            yield replace(scope, node, other, "another function", 0.25 + 0.2 * likeness(node.id, other))


def _other_values(node: ast.Name, scope: Scope) -> Iterator[Edit]:
    others = scope.names_at(node)
    unused = set(scope.unused_at(node))
    if node.id.isupper():
        others += [n for n in scope.module_names if n.isupper()]
    for other in others:
        if other != node.id:
            weight = 0.4 + 0.25 * likeness(node.id, other) + (0.2 if other in unused else 0.0)
            yield replace(scope, node, other, "another name", weight)
    owner = scope.source.owner(node)
    if owner is not None and node.id in scope.members(owner):
        yield replace(scope, node, f"self.{node.id}", "own field", 0.4)


def _is_annotation(scope: Scope, node: ast.AST) -> bool:
    child = node
    for ancestor in scope.source.ancestors(node):
        if getattr(ancestor, "annotation", None) is child or getattr(ancestor, "returns", None) is child:
            return True
        if isinstance(ancestor, ast.stmt):
            return False
        child = ancestor
    return False


def attributes(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Another attribute that the same object has, or a relative of the same method."""
    if not isinstance(node, ast.Attribute) or in_text(scope.source, node):
        return
    end = scope.source.span(node)[1]
    start = end - len(node.attr)
    if scope.source.text[start:end] != node.attr:
        return
    statement = scope.source.statement(node)
    line = statement.lineno if statement else node.lineno
    for other in _family(node.attr):
        yield Edit(scope.source.path, start, end, other, "related method", 0.7, line)
    if isinstance(node.ctx, ast.Load):
        function = scope.source.function(node)
        around = scope.source.code(function) if function else ""
        for other in scope.attributes_of(node.value, node):
            if other != node.attr:
                near = 0.1 if f".{other}" in around else 0.0
                weight = 0.35 + near + 0.25 * likeness(node.attr, other)
                yield Edit(scope.source.path, start, end, other, "another attribute", weight, line)


def arguments(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Exchanged, dropped and added arguments."""
    source = scope.source
    if not isinstance(node, ast.Call) or in_text(source, node):
        return
    for one, other in zip(node.args, node.args[1:]):  # noqa: B905  # Python 3.8
        start, end = source.span(one)[1], source.span(other)[0]
        if "(" in source.text[start:end] or ")" in source.text[start:end]:
            continue
        text = source.code(other) + source.text[start:end] + source.code(one)
        first, last = source.span(one)[0], source.span(other)[1]
        statement = source.statement(node)
        line = statement.lineno if statement else node.lineno
        yield Edit(source.path, first, last, text, "swapped arguments", 0.75, line)
    parts = [*node.args, *(k.value for k in node.keywords)]
    if len(parts) > 1:
        yield from _without_each(node, scope)
    for unused in scope.unused_at(node):
        close = source.span(node)[1] - 1
        for text in (unused, f"{unused}={unused}"):
            glue = ", " if parts and not source.text[:close].rstrip().endswith(",") else ""
            yield Edit(source.path, close, close, f"{glue}{text}", "unused parameter", 0.4, node.lineno)
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in {"sorted", "sort"} and all(k.arg != "reverse" for k in node.keywords):
        close = source.span(node)[1] - 1
        glue = ", " if parts else ""
        yield Edit(source.path, close, close, f"{glue}reverse=True", "sort order", 0.6, node.lineno)
    if name == "get" and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        for default in ("0", '""', "[]", "{}", "False"):
            end = source.span(node.args[0])[1]
            yield Edit(source.path, end, end, f", {default}", "default of get", 0.3, node.lineno)


def _without_each(node: ast.Call, scope: Scope) -> Iterator[Edit]:
    source = scope.source
    starts = [source.span(a) for a in node.args]
    for keyword in node.keywords:
        end = source.span(keyword.value)[1]
        name = keyword.arg or ""
        at = source.text.rfind(name, starts[-1][1] if starts else source.span(node.func)[1], end)
        starts.append((at if name and at >= 0 else source.span(keyword.value)[0] - 2, end))
    for index, (start, end) in enumerate(starts):
        if index:
            start = starts[index - 1][1]  # noqa: PLW2901  # takes the comma before it along
        elif len(starts) > 1:
            end = starts[1][0]  # noqa: PLW2901
        weight = 0.35 if index >= len(node.args) else 0.25
        yield Edit(source.path, start, end, "", "dropped argument", weight, node.lineno)


def wrappers(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A call taken away from around an expression, or put around it."""
    source = scope.source
    if isinstance(node, ast.Call) and not in_text(source, node):
        yield from _unwrapped(node, scope)
    for value in _wrappable(node):
        if not isinstance(value, (*_PLAIN, ast.BinOp)) or in_text(source, value):
            continue
        text = source.code(value)
        weight = 0.35 if isinstance(node, (ast.Return, ast.For)) else 0.25
        for name in _WRAPPERS:
            yield replace(scope, value, f"{name}({text})", "added call", weight)
        if isinstance(node, (ast.Return, ast.Assign)):
            yield replace(scope, value, f"max(0, {text})", "added limit", weight)
            yield replace(scope, value, source.hugged(value, f"-{text}"), "sign", 0.3)
        if isinstance(value, _PLAIN):
            for suffix in _SUFFIXES:
                yield replace(scope, value, f"{text}{suffix}", "added call", weight)


def _wrappable(node: ast.AST) -> list[ast.expr]:
    """The expressions of a node around which a call may be missing."""
    if isinstance(node, (ast.Return, ast.Assign, ast.AugAssign)):
        return [node.value] if node.value is not None else []
    if isinstance(node, ast.Call):
        return [a for a in node.args if not isinstance(a, ast.Starred)]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, (ast.For, ast.comprehension)):
        return [node.iter]
    if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
        return [node.slice]
    return []


def _unwrapped(node: ast.Call, scope: Scope) -> Iterator[Edit]:
    source = scope.source
    plain = [a for a in node.args if not isinstance(a, (ast.Starred, ast.GeneratorExp))]
    for argument in plain:
        builtin = isinstance(node.func, ast.Name) and hasattr(builtins, node.func.id)
        text = source.code(argument)
        weight = (0.6 if builtin else 0.3) / (1 if len(node.args) == 1 else 2)
        yield replace(scope, node, source.hugged(node, text), "dropped call", weight)
    if isinstance(node.func, ast.Attribute) and not node.keywords:
        weight = 0.5 if not node.args else 0.3
        yield replace(scope, node, source.code(node.func.value), "dropped call", weight)
    if not node.args and not node.keywords and isinstance(node.func, (ast.Name, ast.Attribute)):
        yield replace(scope, node, source.code(node.func), "dropped call", 0.15)


def lookups(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """`d[k]` with a default; `d.get(k)` as `d[k]`."""
    source = scope.source
    if in_text(source, node):
        return
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Slice):
        value, key = source.code(node.value), source.code(node.slice)
        for default in ("0", "None", '""', "[]"):
            yield replace(scope, node, f"{value}.get({key}, {default})", "lookup with default", 0.3)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        text = f"{source.code(node.func.value)}[{source.code(node.args[0])}]"
        yield replace(scope, node, text, "lookup without default", 0.3)
