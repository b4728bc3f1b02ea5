"""Edits of statements: changed, removed, moved, guarded, copied from nearby. Judges nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from perstack.providers.search.worker.expressions import replace
from perstack.providers.search.worker.scope import Scope
from perstack.providers.search.worker.source import FUNCTIONS, Edit

if TYPE_CHECKING:
    from perstack.providers.search.worker.source import Function

_AUGMENTED = {
    ast.Add: ("+=", (("-=", 0.9), ("=", 0.5), ("*=", 0.4))),
    ast.Sub: ("-=", (("+=", 0.9), ("=", 0.5))),
    ast.Mult: ("*=", (("/=", 0.7), ("+=", 0.5), ("=", 0.5))),
    ast.Div: ("/=", (("*=", 0.7), ("//=", 0.7))),
    ast.FloorDiv: ("//=", (("/=", 0.6), ("%=", 0.6))),
    ast.Mod: ("%=", (("//=", 0.7),)),
    ast.BitOr: ("|=", (("&=", 0.8), ("=", 0.5))),
    ast.BitAnd: ("&=", (("|=", 0.8), ("=", 0.5))),
}
_ERRORS = ("ValueError", "KeyError", "TypeError", "IndexError", "AttributeError", "LookupError", "RuntimeError")
_EMPTY = {"int": "0", "float": "0.0", "str": '""', "bool": "False", "list": "[]", "dict": "{}", "set": "set()",
          "tuple": "()", "List": "[]", "Dict": "{}", "Set": "set()", "None": "", "Decimal": 'Decimal("0")'}  # fmt: skip


def assignments(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """`+=` for `=`, another augmented operator, `yield` for `yield from`."""
    source = scope.source
    if isinstance(node, ast.AugAssign) and type(node.op) in _AUGMENTED:
        symbol, others = _AUGMENTED[type(node.op)]
        start = source.span(node.target)[1]
        at = source.text.find(symbol, start, source.span(node.value)[0])
        for text, weight in others:
            if at >= 0:
                yield Edit(source.path, at, at + len(symbol), text, "assignment operator", weight, node.lineno)
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        at = source.text.find("=", source.span(node.targets[0])[1], source.span(node.value)[0])
        again = _bound_before(node, scope)
        for text, weight in (("+=", 0.7), ("-=", 0.4), ("|=", 0.2)):
            if at >= 0 and not isinstance(node.targets[0], ast.Tuple):
                yield Edit(source.path, at, at + 1, text, "assignment operator", weight if again else 0.2, node.lineno)
    elif isinstance(node, ast.Yield) and node.value is not None:
        yield replace(scope, node, f"yield from {source.code(node.value)}", "yield", 0.5)
    elif isinstance(node, ast.YieldFrom):
        yield replace(scope, node, f"yield {source.code(node.value)}", "yield", 0.5)


def _bound_before(node: ast.Assign, scope: Scope) -> bool:
    target = node.targets[0]
    if not isinstance(target, ast.Name):
        return isinstance(target, (ast.Attribute, ast.Subscript))
    function = scope.source.function(node)
    return function is not None and any(
        isinstance(n, ast.Name) and n.id == target.id and isinstance(n.ctx, ast.Store) and n.lineno < node.lineno
        for n in ast.walk(function)
    )


def jumps(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """`break` for `continue`, what is raised and caught, a missing return at a function's end."""
    source = scope.source
    if isinstance(node, ast.Break):
        yield replace(scope, node, "continue", "jump", 0.8)
    elif isinstance(node, ast.Continue):
        yield replace(scope, node, "break", "jump", 0.8)
        yield replace(scope, node, "pass", "jump", 0.3)
    elif isinstance(node, (ast.Raise, ast.ExceptHandler)):
        target = node.exc if isinstance(node, ast.Raise) else node.type
        target = target.func if isinstance(target, ast.Call) else target
        if isinstance(target, ast.Name):
            others = [*scope.exceptions, *(n for n in scope.module_names if n.endswith(("Error", "Exception")))]
            for index, name in enumerate(dict.fromkeys([*others, *_ERRORS])):
                if name != target.id:
                    yield replace(scope, target, name, "exception", 0.5 if index < len(set(others)) else 0.35)
    elif isinstance(node, FUNCTIONS):
        last = node.body[-1]
        if not isinstance(last, (ast.Return, ast.Raise)) and not _is_none(node.returns):
            at = source.span(last)[1]
            pad = source.indent(node.body[-1])
            for name in [*scope.names_at(last)[:8], "True", "False", "self"]:
                yield Edit(source.path, at, at, f"\n{pad}return {name}", "missing return", 0.5, last.lineno)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield replace(scope, node, f"return {source.code(node.value)}", "missing return", 0.4)


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def removals(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A statement removed; an `if` made unconditional; `elif` for `if` and back."""
    source = scope.source
    if not isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign, ast.If, ast.Return, ast.Raise, ast.Continue,
                             ast.Break, ast.Assert, ast.Delete)):  # fmt: skip
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    lines = source.own_lines(node)
    siblings = _siblings(node, scope)
    if lines is None or siblings is None:
        return
    weight = 0.35 if isinstance(node, (ast.Assign, ast.Return)) else 0.5
    if len(siblings) > 1:
        if not (isinstance(node, ast.If) and source.text[source.span(node)[0] :].startswith("elif")):
            yield Edit(source.path, lines[0], lines[1], "", "removed statement", weight, node.lineno)
    else:
        yield replace(scope, node, "pass", "removed statement", weight * 0.6)
    if isinstance(node, ast.If):
        start = source.span(node)[0]
        if source.text[start:].startswith("elif"):
            yield Edit(source.path, start, start + 4, "if", "elif", 0.4, node.lineno)
        else:
            at = siblings.index(node)
            if at and isinstance(siblings[at - 1], ast.If) and not siblings[at - 1].orelse:  # type: ignore[attr-defined]
                yield Edit(source.path, start, start + 2, "elif", "elif", 0.4, node.lineno)


def _siblings(node: ast.stmt, scope: Scope) -> list[ast.stmt] | None:
    parent = scope.source.parents.get(node)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and node in block:
            return block
    return None


def moves(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A statement moved out of its block, into the block before it, or past its neighbour."""
    source = scope.source
    if not isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Raise, ast.If)):
        return
    siblings, lines, pad = _siblings(node, scope), source.own_lines(node), source.indent(node)
    if siblings is None or lines is None or not _simple_text(node, scope):
        return
    at, parent = siblings.index(node), source.parents.get(node)
    own = source.text[lines[0] : lines[1]]
    if at == len(siblings) - 1 and at and isinstance(parent, (ast.For, ast.While, ast.If, ast.With)):
        text = _shifted(own, pad, source.indent(parent))
        if not parent.orelse if not isinstance(parent, ast.With) else True:
            yield Edit(source.path, lines[0], lines[1], text, "moved out of block", 0.5, node.lineno)
    if at and isinstance(siblings[at - 1], (ast.For, ast.While, ast.If, ast.With)):
        before = siblings[at - 1]
        inner = getattr(before, "orelse", None) or before.body  # type: ignore[attr-defined]
        text = _shifted(own, pad, source.indent(inner[-1]))
        yield Edit(source.path, lines[0], lines[1], text, "moved into block", 0.5, node.lineno)
    if at:
        above = source.own_lines(siblings[at - 1])
        if above is not None and above[1] == lines[0]:
            text = own.rstrip("\n") + "\n" + source.text[above[0] : above[1]]
            yield Edit(source.path, above[0], lines[1], text, "swapped statements", 0.4, node.lineno)


def _simple_text(node: ast.stmt, scope: Scope) -> bool:
    """Multi-line strings must not be re-indented."""
    return '"""' not in scope.source.code(node) and "'''" not in scope.source.code(node)


def _shifted(text: str, old: str, new: str) -> str:
    return "".join(new + line[len(old) :] if line.startswith(old) else line for line in text.splitlines(True))


def guards(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A test for none or empty put in front of the first statement of a body."""
    if isinstance(node, FUNCTIONS):
        first = next((s for s in node.body if not _is_documentation(s)), None)
        names = [a.arg for a in node.args.args if a.arg not in {"self", "cls"}]
        exits = [f"return {value}".rstrip() for value in _results(node, scope)] + _raises(scope)
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        first = node.body[0]
        names = [n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)]
        exits = ["continue", "break"]
    else:
        return
    if first is None or scope.source.own_lines(first) is None:
        return
    start = scope.source.line_start(first.lineno)
    pad = scope.source.indent(first)
    step = "\t" if "\t" in pad else "    "
    for name in names[:4]:
        for test, weight in (
            (f"{name} is None", 0.3),
            (f"not {name}", 0.35),
            (f"{name} < 0", 0.2),
            (f"{name} <= 0", 0.2),
        ):
            for leave in exits:
                text = f"{pad}if {test}:\n{pad}{step}{leave}\n"
                yield Edit(scope.source.path, start, start, text, "added guard", weight, first.lineno)


def _is_documentation(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _results(node: Function, scope: Scope) -> list[str]:
    """What an early return may give: constants the function returns, and the empty value of its type."""
    found = [
        scope.source.code(n.value)
        for n in ast.walk(node)
        if isinstance(n, ast.Return) and isinstance(n.value, (ast.Constant, ast.List, ast.Dict, ast.Tuple))
    ]
    declared = node.returns.value if isinstance(node.returns, ast.Subscript) else node.returns
    if isinstance(declared, ast.Name) and declared.id in _EMPTY:
        found.append(_EMPTY[declared.id])
    elif isinstance(declared, ast.Constant) or declared is None:
        found.append("")
    return [text for text in dict.fromkeys(found) if len(text) < 30][:3]


def _raises(scope: Scope) -> list[str]:
    texts = [scope.source.code(n) for n in ast.walk(scope.source.tree) if isinstance(n, ast.Raise) and n.exc]
    return [text for text in dict.fromkeys(texts) if "\n" not in text][:4]


def grafts(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A simple statement or guard of the same function or class, copied in front of this statement."""
    source = scope.source
    if not isinstance(node, ast.stmt) or isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return
    function = source.function(node)
    lines = source.own_lines(node)
    if function is None or lines is None:
        return
    pad, known = source.indent(node), set(scope.names_at(node))
    home = source.owner(function) or function
    for donor in ast.walk(home):
        if not isinstance(donor, (ast.If, ast.AugAssign, ast.Expr, ast.Assign)) or donor is node:
            continue
        text = source.code(donor)
        if len(text) > 160 or text.startswith(("elif", '"""', "'''")) or (donor.end_lineno or 0) - donor.lineno > 2:
            continue
        if not _fits(donor, known, scope):
            continue
        moved = pad + _shifted(text, source.indent(donor), pad)[0:] if "\n" in text else pad + text
        weight = 0.22 if source.function(donor) is function else 0.16
        yield Edit(source.path, lines[0], lines[0], f"{moved}\n", "copied statement", weight, node.lineno)


def _fits(donor: ast.stmt, known: set[str], scope: Scope) -> bool:
    """All local names a donor reads are known at the place it is copied to."""
    module = set(scope.module_names)
    local = set(scope.names_at(donor)) | known
    read = {n.id for n in ast.walk(donor) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return all(name in known or name in module or name not in local for name in read)
