"""Edits of expressions: operators, literals, conditions, calls. Generators of proposals; they judge nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from perstack.providers.search.worker.scope import Scope, in_text
from perstack.providers.search.worker.source import FUNCTIONS, Edit

_COMPARE = {
    ast.Lt: (("<=", 1.0), (">", 0.6), (">=", 0.7), ("!=", 0.3), ("==", 0.3)),
    ast.LtE: (("<", 1.0), (">=", 0.6), (">", 0.7), ("==", 0.3)),
    ast.Gt: ((">=", 1.0), ("<", 0.6), ("<=", 0.7), ("!=", 0.3), ("==", 0.3)),
    ast.GtE: ((">", 1.0), ("<=", 0.6), ("<", 0.7), ("==", 0.3)),
    ast.Eq: (("!=", 0.9), (">=", 0.45), ("<=", 0.45), ("in", 0.2)),
    ast.NotEq: (("==", 0.9), ("<", 0.4), (">", 0.4), ("not in", 0.2)),
    ast.In: (("not in", 0.9), ("==", 0.2)),
    ast.NotIn: (("in", 0.9), ("!=", 0.2)),
    ast.Is: (("is not", 0.9), ("==", 0.5)),
    ast.IsNot: (("is", 0.9), ("!=", 0.5)),
}
_ARITHMETIC = {
    ast.Add: ("+", (("-", 0.9), ("*", 0.5))),
    ast.Sub: ("-", (("+", 0.9), ("/", 0.2), ("*", 0.2), ("%", 0.2))),
    ast.Mult: ("*", (("/", 0.8), ("+", 0.6), ("//", 0.5), ("**", 0.3), ("-", 0.2))),
    ast.Div: ("/", (("*", 0.8), ("//", 0.8), ("%", 0.3))),
    ast.FloorDiv: ("//", (("/", 0.8), ("%", 0.7), ("*", 0.5))),
    ast.Mod: ("%", (("//", 0.7), ("/", 0.3), ("*", 0.2))),
    ast.Pow: ("**", (("*", 0.7),)),
    ast.BitAnd: ("&", (("|", 0.9), ("^", 0.4), ("-", 0.4))),
    ast.BitOr: ("|", (("&", 0.9), ("^", 0.4))),
    ast.BitXor: ("^", (("|", 0.5), ("&", 0.5))),
    ast.LShift: ("<<", ((">>", 0.9),)),
    ast.RShift: (">>", (("<<", 0.9),)),
}
_SYMBOLS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: r"not\s+in", ast.Is: "is", ast.IsNot: r"is\s+not",
}  # fmt: skip


def replace(scope: Scope, node: ast.AST, text: str, kind: str, weight: float) -> Edit:
    """An edit of one node's own text."""
    start, end = scope.source.span(node)
    statement = scope.source.statement(node)
    line = statement.lineno if statement else getattr(node, "lineno", 1)
    return Edit(scope.source.path, start, end, text, kind, weight, line)


def _operator(scope: Scope, left: ast.AST, right: ast.AST, pattern: str, change: tuple[str, str, float]) -> list[Edit]:
    """Replace the operator between two operands. `change` is text, kind, weight."""
    source = scope.source
    start, end = source.span(left)[1], source.span(right)[0]
    match = re.search(pattern, re.sub(r"#[^\n]*", lambda m: " " * len(m.group()), source.text[start:end]))
    if match is None:
        return []
    statement = source.statement(left)
    line = statement.lineno if statement else 1
    text, kind, weight = change
    return [Edit(source.path, start + match.start(), start + match.end(), text, kind, weight, line)]


def comparisons(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Boundary, direction and membership of a comparison; its operands by one."""
    if not isinstance(node, ast.Compare):
        return
    lefts = [node.left, *node.comparators]
    for index, operator in enumerate(node.ops):
        left, right = lefts[index], lefts[index + 1]
        for text, weight in _COMPARE[type(operator)]:
            yield from _operator(scope, left, right, _SYMBOLS[type(operator)], (text, "comparison", weight))
        if isinstance(operator, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
            yield from _by_one(scope, right, 0.45)


def _by_one(scope: Scope, node: ast.AST, weight: float) -> Iterator[Edit]:
    """`x` → `x + 1`, `x - 1`."""
    if isinstance(node, (ast.Constant, ast.UnaryOp, ast.JoinedStr)) or in_text(scope.source, node):
        return
    text = scope.source.code(node)
    if isinstance(node, (ast.BoolOp, ast.IfExp, ast.Lambda, ast.Compare)):
        text = f"({text})"
    for sign in "+-":
        yield replace(scope, node, scope.source.hugged(node, f"{text} {sign} 1"), "off by one", weight)


def arithmetic(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Another operator, swapped or dropped operands, another grouping."""
    source = scope.source
    if not isinstance(node, ast.BinOp) or in_text(source, node):
        return
    symbol, others = _ARITHMETIC.get(type(node.op), ("@", ()))
    for text, weight in others:
        yield from _operator(scope, node.left, node.right, re.escape(symbol), (text, "arithmetic operator", weight))
    left, right = source.code(node.left), source.code(node.right)
    one = isinstance(node.right, ast.Constant) and node.right.value == 1
    yield replace(scope, node, source.hugged(node, left), "dropped operand", 0.9 if one else 0.4)
    yield replace(scope, node, source.hugged(node, right), "dropped operand", 0.3)
    if isinstance(node.op, (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod)):
        simple = (ast.Name, ast.Attribute, ast.Call, ast.Constant, ast.Subscript)
        a = left if isinstance(node.left, simple) else f"({left})"
        b = right if isinstance(node.right, simple) else f"({right})"
        yield replace(scope, node, source.hugged(node, f"{b} {symbol} {a}"), "swapped operands", 0.5)
    if isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(node.right, ast.BinOp):
        inner = node.right
        if isinstance(inner.op, (ast.Mult, ast.Div)):
            start, end = source.span(node)[0], source.span(inner.left)[1]
            text = f"({source.text[start:end]}){source.text[end : source.span(node)[1]]}"
            yield replace(scope, node, text, "grouping", 0.4)


def logic(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """`and`/`or`, dropped and negated operands, dropped `not`, branches of a conditional expression."""
    source = scope.source
    if isinstance(node, ast.BoolOp):
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]):  # noqa: B905  # Python 3.8
            yield from _operator(scope, left, right, rf"\b{word}\b", (other, "logical operator", 0.9))
        for drop in node.values:
            kept = [v for v in node.values if v is not drop]
            text = f" {word} ".join(_enclosed(scope, value) for value in kept)
            yield replace(scope, node, text if len(kept) == 1 else source.hugged(node, text), "dropped condition", 0.6)
        for value in node.values:
            yield from _negated(scope, value, 0.6)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        weight = 0.95 if isinstance(node.op, ast.Not) else 0.6
        yield replace(scope, node, source.hugged(node, source.code(node.operand)), "dropped negation", weight)
    elif isinstance(node, ast.IfExp):
        text = f"{source.code(node.orelse)} if {source.code(node.test)} else {source.code(node.body)}"
        yield replace(scope, node, text, "swapped branches", 0.6)
        yield replace(scope, node, source.hugged(node, source.code(node.body)), "dropped branch", 0.3)
        yield replace(scope, node, source.hugged(node, source.code(node.orelse)), "dropped branch", 0.3)


def conditions(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A negated test; a test extended by another condition of the same function."""
    test = getattr(node, "test", None)
    tests = [test] if isinstance(node, (ast.If, ast.While, ast.IfExp)) and test is not None else []
    if isinstance(node, ast.comprehension):
        tests += node.ifs
    if isinstance(node, ast.Return) and isinstance(node.value, (ast.Call, ast.Name, ast.Attribute, ast.Compare)):
        function = scope.source.function(node)
        returns = function.returns if function else None
        if isinstance(node.value, ast.Compare) or (isinstance(returns, ast.Name) and returns.id == "bool"):
            tests.append(node.value)
    for value in tests:
        if not isinstance(value, ast.BoolOp):
            yield from _negated(scope, value, 0.55)
        for text in _siblings(scope, value):
            yield replace(scope, value, text, "another condition", 0.3)
            for word in ("and", "or"):
                yield replace(scope, value, f"{_enclosed(scope, value)} {word} {text}", "added condition", 0.3)
        for text in (*_with_unused(scope, value), *_mirrored(scope, value)):
            for word in ("and", "or"):
                yield replace(scope, value, f"{_enclosed(scope, value)} {word} {text}", "missing half", 0.5)


def _with_unused(scope: Scope, node: ast.expr) -> Iterator[str]:
    """Conditions on parameters that the function never reads."""
    unused = scope.unused_at(node)
    for name in unused:
        yield from (name, f"not {name}")
        for other in scope.names_at(node):
            if other not in unused:
                yield from (f"{other} {sign} {name}" for sign in ("not in", "in", "<", "<=", ">", ">=", "==", "!="))


def _mirrored(scope: Scope, node: ast.expr) -> Iterator[str]:
    """`a.x < b.y` → `b.x < a.y`: a relation between two things often has to hold both ways."""
    names = list(dict.fromkeys(n.id for n in ast.walk(node) if isinstance(n, ast.Name)))
    if isinstance(node, ast.Compare) and len(names) == 2:
        one, other = names
        swap = {one: other, other: one}
        yield re.sub(rf"(?<![\w.])({one}|{other})\b", lambda m: swap[m.group()], scope.source.code(node))


def _siblings(scope: Scope, node: ast.expr) -> list[str]:
    function = scope.source.function(node)
    if function is None:
        return []
    found = [
        scope.source.code(n)
        for n in ast.walk(function)
        if isinstance(n, (ast.Compare, ast.UnaryOp)) and not in_text(scope.source, n) and n is not node
    ]
    return [text for text in dict.fromkeys(found) if text != scope.source.code(node)][:6]


def _negated(scope: Scope, node: ast.expr, weight: float) -> Iterator[Edit]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return  # the comparison's own opposite is proposed already
    yield replace(scope, node, scope.source.hugged(node, f"not {_enclosed(scope, node)}"), "negation", weight)


def _enclosed(scope: Scope, node: ast.AST) -> str:
    text = scope.source.code(node)
    tight = (ast.Name, ast.Attribute, ast.Call, ast.Constant, ast.Subscript, ast.Compare)
    return text if isinstance(node, tight) else f"({text})"


def literals(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Numbers by one and by sign, truth values, other literals of the same type in the file."""
    source = scope.source
    if not isinstance(node, ast.Constant) or in_text(source, node):
        return
    value = node.value
    if isinstance(value, bool):
        yield replace(scope, node, str(not value), "truth value", 0.9)
        return
    if isinstance(value, int):
        parent = source.parents.get(node)
        bound = isinstance(parent, (ast.Subscript, ast.Slice, ast.Compare, ast.Call))
        yield replace(scope, node, str(value + 1), "off by one", 1.0 if bound else 0.75)
        if value > 0 or not isinstance(parent, ast.UnaryOp):
            text = str(value - 1)
            yield replace(scope, node, source.hugged(node, text) if value < 1 else text, "off by one", 0.9)
        for text in ("0", "1", "2"):
            if text not in (str(value), str(value + 1), str(value - 1)):
                yield replace(scope, node, text, "constant", 0.4)
        for scaled in (value * 10, value // 10, value * 100):
            if abs(value) >= 10 and scaled:
                yield replace(scope, node, str(scaled), "constant", 0.2)
    if isinstance(value, (int, float)) and value > 0:
        yield replace(scope, node, source.hugged(node, f"-{source.code(node)}"), "sign", 0.4)
    if value is None or value is ...:
        return
    for text, near in scope.literals(node, type(value).__name__)[:40]:
        yield replace(scope, node, text, "constant", _literal_weight(source.code(node), text, near))


def _literal_weight(own: str, other: str, near: bool) -> float:
    """A literal of the same function, or of the same shape (all digits and dots), is likelier."""
    shape = re.sub(r"\d+", "9", own) == re.sub(r"\d+", "9", other)
    return (0.45 if near else 0.25) + (0.1 if shape else 0.0)


def bounds(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Indexes, slices, ranges and returned counts by one; slice ends dropped; default arguments aside."""
    source = scope.source
    if isinstance(node, ast.Subscript):
        index = node.slice
        if isinstance(index, ast.Slice):
            yield from _slice(scope, index)
            yield from _open_ends(scope, node, index)
        elif not isinstance(index, ast.Tuple):
            yield from _by_one(scope, index, 0.4)
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        for argument in node.args:
            if not isinstance(argument, (ast.Starred, ast.GeneratorExp)):
                yield from _by_one(scope, argument, 0.85 if name == "range" else 0.25)
        if name == "range" and len(node.args) == 1:
            yield replace(scope, node.args[0], f"1, {source.code(node.args[0])}", "range start", 0.6)
            yield replace(scope, node.args[0], f"1, {source.code(node.args[0])} + 1", "range start", 0.5)
        if name == "range" and len(node.args) == 2:
            yield replace(scope, node.args[0], f"{source.code(node.args[0])} + 1", "range start", 0.6)
    elif isinstance(node, (ast.Return, ast.Assign)) and isinstance(node.value, (ast.Call, ast.Name, ast.BinOp)):
        yield from _by_one(scope, node.value, 0.35)


def results(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """What a conditional expression or a comprehension yields, by one."""
    if isinstance(node, ast.IfExp):
        for branch in (node.body, node.orelse):
            yield from _by_one(scope, branch, 0.35)
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)) and not isinstance(node.elt, ast.IfExp):
        yield from _by_one(scope, node.elt, 0.3)


def _slice(scope: Scope, node: ast.Slice) -> Iterator[Edit]:
    for part in (node.lower, node.upper):
        if part is not None:
            yield from _by_one(scope, part, 0.7)
            yield replace(scope, part, "", "slice end", 0.5)
            yield replace(scope, part, f"-{scope.source.hugged(part, scope.source.code(part))}", "slice sign", 0.4)
    if node.upper is not None and node.lower is None:
        start, end = scope.source.span(node.upper)
        text = scope.source.text[start:end]
        yield replace(scope, node.upper, "", "slice end", 0.4)
        colon = scope.source.text.rfind(":", 0, start)
        statement = scope.source.statement(node.upper)
        if colon >= 0 and statement and node.step is None:
            yield Edit(scope.source.path, colon, end, f"{text}:", "slice side", 0.5, statement.lineno)


def _open_ends(scope: Scope, node: ast.Subscript, index: ast.Slice) -> Iterator[Edit]:
    """`[:]` → `[:-1]`, `[1:]`."""
    source = scope.source
    after = source.span(index.lower if index.lower is not None else node.value)[1]
    colon = source.text.find(":", after, source.span(node)[1])
    if colon < 0:
        return
    if index.upper is None:
        yield Edit(source.path, colon + 1, colon + 1, "-1", "slice end", 0.5, node.lineno)
    if index.lower is None:
        yield Edit(source.path, colon, colon, "1", "slice start", 0.5, node.lineno)


def defaults(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Exchange the positional parameters of a function that stand side by side."""
    if not isinstance(node, FUNCTIONS):
        return
    plain = [a for a in node.args.args if a.arg not in {"self", "cls"}]
    for one, other in zip(plain, plain[1:]):  # noqa: B905, RUF007  # Python 3.8
        start, end = scope.source.span(one)[0], scope.source.span(other)[1]
        middle = scope.source.text[scope.source.span(one)[1] : scope.source.span(other)[0]]
        if "=" in middle:
            continue
        text = scope.source.code(other) + middle + scope.source.code(one)
        yield Edit(scope.source.path, start, end, text, "swapped parameters", 0.25, node.lineno)
