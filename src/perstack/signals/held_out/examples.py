"""Examples: what the base's tests say about single calls, read from their text. Pure.

Only tests that cannot depend on anything but their own lines are read: no fixtures, no set-up, no module that does
something when it is imported. What is not understood is left out; nothing is guessed.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from perstack.signals.syntax import parse

_BUILTINS = frozenset(
    {"abs", "bool", "bytes", "dict", "float", "frozenset", "int", "len", "list", "max", "min", "range", "repr", "round",
     "set", "sorted", "str", "sum", "tuple", "True", "False", "None"}
)  # fmt: skip
_SIMPLE = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp, ast.Subscript, ast.Slice, ast.Name,
    ast.Attribute, ast.Call, ast.keyword, ast.expr_context, ast.operator, ast.unaryop, ast.Starred,
)  # fmt: skip
_EQUAL = frozenset({"assertEqual", "assertEquals", "assertListEqual", "assertTupleEqual", "assertDictEqual",
                    "assertSetEqual", "assertSequenceEqual", "assertMultiLineEqual"})  # fmt: skip
_CLOCKS = frozenset({"now", "today", "utcnow", "time", "time_ns", "random", "uuid4", "cwd", "home", "getenv"})
_SET_UP = frozenset(
    {"setUp", "setUpClass", "setUpModule", "asyncSetUp", "setup", "setup_method", "setup_class", "setup_module",
     "setup_function", "pytest_configure", "pytest_sessionstart", "pytest_runtest_setup", "pytest_runtest_call"}
)  # fmt: skip
_MOST = 60


@dataclass(frozen=True, slots=True)
class Example:
    """One call that a test makes, as source text, and what the test wants of it.

    `call` and `expected` use names of `names` (name to module and attribute). `raises`: the exception's text instead.
    `arguments` are the call's own, as texts of literals, where `function` is called plainly (by place or keyword, or as
    a method of an object that is made of literals); None where it is not. `template` has a `{}` for each of them.
    """

    test: str
    call: str
    expected: str
    names: Mapping[str, tuple[str, str]]
    raises: str = ""
    tolerant: bool = False
    function: str = ""
    arguments: tuple[str, ...] | None = None
    template: str = ""

    @property
    def pattern(self) -> str:
        """The call with a `{}` for each argument."""
        return self.template or f"{self.function}({', '.join('{}' for _ in self.arguments or ())})"


@dataclass(slots=True)
class _Scope:
    """What names mean in one test."""

    imports: Mapping[str, tuple[str, str]]
    provided: Collection[str]
    values: dict[str, ast.expr] = field(default_factory=dict)


def examples_of(text: str, provided: Collection[str]) -> tuple[Example, ...]:
    """All examples of one test file. `provided` are the top-level packages of the project."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError):
        return ()
    if not is_quiet(tree):
        return ()
    scope = _Scope(_imports(tree), provided)
    for node in tree.body:
        if isinstance(node, ast.Assign):
            _assign(node, scope)
    found: list[Example] = []
    for name, function in _tests(tree):
        for values in _rows(function, scope):
            inner = _Scope(scope.imports, provided, {**scope.values, **values})
            found += _read(function.body, inner, name)
    return tuple(found[:_MOST])


def is_quiet(tree: ast.Module) -> bool:
    """Whether importing a file does nothing but define, and no fixture of it acts unasked."""
    for node in tree.body:
        defines = isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names = isinstance(node, ast.Assign) and _is_constant(node)
        main = isinstance(node, ast.If) and "__name__" in ast.dump(node.test)
        if not (defines or documents or names or main):
            return False
        if isinstance(node, ast.FunctionDef) and (node.name in _SET_UP or "autouse" in _decorators(node)):
            return False
    return True


def _is_constant(node: ast.Assign) -> bool:
    """Whether an assignment only gives a value a name: nothing is called but classes, builtins and marks."""
    calls = [ast.unparse(part.func) for part in ast.walk(node.value) if isinstance(part, ast.Call)]
    plain = all(
        name in _BUILTINS or name.rpartition(".")[2][:1].isupper() or name.startswith("pytest.") for name in calls
    )
    return plain and all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)


def _decorators(node: ast.FunctionDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def _imports(tree: ast.Module) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                front = alias.name.partition(".")[0]
                found[alias.asname or front] = (alias.name if alias.asname else front, "")
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.update({alias.asname or alias.name: (node.module, alias.name) for alias in node.names})
    return found


def _tests(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Test functions and methods with their names as in ids, without the file's."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.decorator_list and _stands_alone(node):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
            if any(item.name in _SET_UP or "fixture" in _decorators(item) for item in methods):
                continue
            yield from ((f"{node.name}.{item.name}", item) for item in methods if item.name.startswith("test"))


def _stands_alone(node: ast.ClassDef) -> bool:
    """Whether a class inherits no set-up of somebody else's."""
    return all(ast.unparse(base) in {"object", "TestCase", "unittest.TestCase"} for base in node.bases)


def _rows(function: ast.FunctionDef, scope: _Scope) -> Iterator[dict[str, ast.expr]]:
    """The values of a test's parameters, one row a run; nothing where it wants more than its own lines say."""
    wanted = [argument.arg for argument in function.args.args if argument.arg != "self"]
    if not function.decorator_list and not wanted:
        yield {}
    if len(function.decorator_list) != 1 or not wanted:
        return
    call = function.decorator_list[0]
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("parametrize") or len(call.args) != 2:
        return
    names, table = call.args
    given = _names(names)
    rows = scope.values.get(table.id) if isinstance(table, ast.Name) else table
    if sorted(given) != sorted(wanted) or not isinstance(rows, ast.List | ast.Tuple):
        return
    for row in rows.elts:
        cells = row.elts if isinstance(row, ast.Tuple | ast.List) and len(given) > 1 else [row]
        if len(cells) == len(given) and all(_is_simple(cell, scope) for cell in cells):
            yield dict(zip(given, cells, strict=True))


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [name.strip() for name in node.value.split(",") if name.strip()]
    if isinstance(node, ast.Tuple | ast.List):
        return [str(item.value) for item in node.elts if isinstance(item, ast.Constant)]
    return []


def _read(body: Sequence[ast.stmt], scope: _Scope, test: str) -> list[Example]:
    """The examples of some statements, up to the first that is not understood."""
    found: list[Example] = []
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Assign):
            if not _assign(node, scope):
                break
            continue
        more = _loop(node, scope, test) if isinstance(node, ast.For) else _statement(node, scope, test)
        if more is None:
            break
        found += more
    return found


def _assign(node: ast.Assign, scope: _Scope) -> bool:
    if len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name) or not _is_simple(node.value, scope):
        return False
    scope.values[node.targets[0].id] = _filled(node.value, scope)
    return True


def _loop(node: ast.For, scope: _Scope, test: str) -> list[Example] | None:
    """A loop over a table that is written down."""
    table = _filled(node.iter, scope)
    if not isinstance(table, ast.Tuple | ast.List) or node.orelse:
        return None
    found: list[Example] = []
    for row in table.elts[:20]:
        inner = _Scope(scope.imports, scope.provided, dict(scope.values))
        names = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
        cells = row.elts if isinstance(node.target, ast.Tuple) and isinstance(row, ast.Tuple | ast.List) else [row]
        if len(names) != len(cells) or not all(isinstance(name, ast.Name) for name in names):
            return None
        inner.values.update(
            {name.id: cell for name, cell in zip(names, cells, strict=True) if isinstance(name, ast.Name)}
        )
        found += _read(node.body, inner, test)
    return found


def _statement(node: ast.stmt, scope: _Scope, test: str) -> list[Example] | None:
    """The example of one assertion; None for what is no assertion that is understood."""
    if isinstance(node, ast.With) and len(node.items) == 1:
        return _with(node, node.items[0].context_expr, scope, test)
    if isinstance(node, ast.Assert):
        return _assertion(node.test, scope, test)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        call, word = node.value, node.value.func.attr
        if word in _EQUAL and len(call.args) >= 2:
            return _pair(call.args[0], call.args[1], scope, test)
        if word == "assertAlmostEqual" and len(call.args) == 2 and not call.keywords:
            return _pair(call.args[0], call.args[1], scope, test, tolerant=True)
        if word in {"assertTrue", "assertFalse", "assertIsNone"} and call.args:
            value = {"assertTrue": True, "assertFalse": False, "assertIsNone": None}[word]
            truth = call.args[0] if value is None else _truth(call.args[0])
            return _pair(truth, ast.Constant(value), scope, test)
        return [] if word.startswith("assert") else None
    return None


def _truth(node: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("bool", ast.Load()), [node], [])


def _assertion(node: ast.expr, scope: _Scope, test: str) -> list[Example]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq | ast.Is):
        return _pair(node.left, node.comparators[0], scope, test)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _pair(_truth(node.operand), ast.Constant(value=False), scope, test)
    return _pair(_truth(node), ast.Constant(value=True), scope, test) if isinstance(node, ast.Call) else []


def _with(node: ast.With, manager: ast.expr, scope: _Scope, test: str) -> list[Example] | None:
    if not isinstance(manager, ast.Call):
        return None
    word = ast.unparse(manager.func).rpartition(".")[2]
    if word == "subTest":
        return _read(node.body, scope, test)
    last = node.body[0]
    if word not in {"raises", "assertRaises", "assertRaisesRegex"} or len(node.body) != 1 or not manager.args:
        return None
    if not isinstance(last, ast.Expr) or not isinstance(manager.args[0], ast.Name):
        return None
    name, call = manager.args[0].id, _filled(last.value, scope)
    if not hasattr(builtins, name) or not _product_calls(call, scope) or not _is_simple(call, scope):
        return []
    return [_example(call, ast.Constant(None), scope, test, raises=name)]


def _pair(left: ast.expr, right: ast.expr, scope: _Scope, test: str, *, tolerant: bool = False) -> list[Example]:
    """An example out of two sides that must be equal; nothing where no side is the product's alone."""
    left, right = _filled(left, scope), _filled(right, scope)
    if not _product_calls(left, scope) or (_product_calls(right, scope) and not _is_made(right, scope)):
        left, right = right, left
    if isinstance(right, ast.Call) and _resolved(right.func, scope) == ("pytest", "approx") and not right.keywords:
        right, tolerant = right.args[0], True
    if not _product_calls(left, scope) or (_product_calls(right, scope) and not _is_made(right, scope)):
        return []
    if not (_is_simple(left, scope) and _is_simple(right, scope)):
        return []
    return [_example(left, right, scope, test, tolerant=tolerant)]


def _example(
    call: ast.expr, expected: ast.expr, scope: _Scope, test: str, *, raises: str = "", tolerant: bool = False
) -> Example:
    used = {node.id for side in (call, expected) for node in ast.walk(side) if isinstance(node, ast.Name)}
    shape = _shape(call, scope)
    return Example(
        test=test,
        call=ast.unparse(call),
        expected="" if raises else ast.unparse(expected),
        names={name: scope.imports[name] for name in sorted(used) if name in scope.imports},
        raises=raises,
        tolerant=tolerant,
        function=shape.function if shape else "",
        arguments=tuple(shape.arguments) if shape else None,
        template=shape.template if shape else "",
    )


@dataclass(slots=True)
class _Shape:
    """A call as a name, a text with a `{}` for each argument, and those arguments."""

    function: str
    template: str
    arguments: list[str]


def _shape(node: ast.expr, scope: _Scope) -> _Shape | None:
    """The shape of a plain call; None where more than literals go into it."""
    if not isinstance(node, ast.Call):
        return None
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    if not all(map(_is_literal, given)) or not all(keyword.arg for keyword in node.keywords):
        return None
    if _is_product(_resolved(node.func, scope), scope):
        front = _Shape(ast.unparse(node.func), ast.unparse(node.func), [])
    elif isinstance(node.func, ast.Attribute) and (made := _shape(node.func.value, scope)):
        front = _Shape(f"{made.function}.{node.func.attr}", f"{made.template}.{node.func.attr}", made.arguments)
    else:
        return None
    places = ["{}" for _ in node.args] + [f"{keyword.arg}={{}}" for keyword in node.keywords]
    return _Shape(
        front.function, f"{front.template}({', '.join(places)})", [*front.arguments, *map(ast.unparse, given)]
    )  # fmt: skip


class _Fill(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:  # the name is ast's
        return deepcopy(self._values.get(node.id, node))


def _filled(node: ast.expr, scope: _Scope) -> ast.expr:
    """The expression with local names replaced by what they stand for."""
    filled: ast.expr = _Fill(scope.values).visit(deepcopy(node))
    return filled


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _is_simple(node: ast.AST, scope: _Scope) -> bool:
    """Whether an expression's value depends on nothing but the project and its own text."""
    for part in ast.walk(node):
        if not isinstance(part, _SIMPLE):
            return False
        if isinstance(part, ast.Name) and part.id not in _BUILTINS and not hasattr(builtins, part.id):
            known = scope.imports.get(part.id)
            top = known[0].partition(".")[0] if known else ""
            if part.id not in scope.values and not (top in scope.provided or top in sys.stdlib_module_names):
                return False
        if isinstance(part, ast.Attribute | ast.Name):
            word = part.attr if isinstance(part, ast.Attribute) else part.id
            if word in _CLOCKS or word.startswith("__") or word in {"open", "eval", "exec", "input", "print", "id"}:
                return False
    return True


def _resolved(node: ast.expr, scope: _Scope) -> tuple[str, str]:
    """Module and attribute that a name or dotted name means."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in scope.imports:
        return "", ""
    module, attribute = scope.imports[node.id]
    return module, ".".join(part for part in (attribute, *reversed(parts)) if part)


def _is_product(meaning: tuple[str, str], scope: _Scope) -> bool:
    return bool(meaning[0]) and meaning[0].partition(".")[0] in scope.provided


def _product_calls(node: ast.AST, scope: _Scope) -> list[ast.Call]:
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    return [call for call in calls if _is_product(_resolved(call.func, scope), scope)]


def _is_made(node: ast.expr, scope: _Scope) -> bool:
    """Whether an expected value is an object of the project, put together by its class."""
    names = [_resolved(call.func, scope)[1].rpartition(".")[2] for call in _product_calls(node, scope)]
    return all(name[:1].isupper() for name in names)
