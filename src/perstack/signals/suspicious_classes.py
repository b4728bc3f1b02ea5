"""Classes whose objects lie about what they are: equal to everything, of every type.

Pure; Python only. A comparison that looks at both sides is a comparison; one that does not is an answer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_rules import Hit

_COMPARISONS = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"})
_SPOOFS = frozenset({"__instancecheck__", "__subclasscheck__", "__getattribute__", "__class__"})
_VALUES = frozenset({"float", "int", "str", "bytes", "complex", "list", "tuple", "dict", "set", "frozenset", "bool"})

# text may be compared without case; numbers and collections are equal or they are not
_MEASURED = _VALUES - {"str", "bytes"}
_ARITHMETIC = frozenset(
    {"__sub__", "__rsub__", "__abs__", "__round__", "__mod__", "__rmod__", "__truediv__", "__rtruediv__", "__len__",
     "__bool__", "__iter__", "__float__", "__int__", "__index__", "__hash__"}
)  # fmt: skip
_SURFACE = frozenset({"len", "type", "isinstance", "issubclass", "bool", "id", "callable", "hasattr"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def scan_classes(nodes: Sequence[ast.AST], names: Names) -> Iterator[Hit]:
    """Judge every class statement, `type(…)` call and assigned comparison of a module."""
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            bases = {_last(names.dotted(base)) for base in node.bases}
            mixed = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
            for part in (node, *(mixed if bases & _VALUES else ())):
                yield from _class(part, bases, functions)
        elif isinstance(node, ast.Call):
            yield from _call(node, names)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in _COMPARISONS | _SPOOFS:
                    yield _hit(target.attr, node, "is assigned from outside its class", certain=True)


def _hit(method: str, node: ast.AST, what: str, *, certain: bool) -> Hit:
    line = getattr(node, "lineno", 0)
    return Hit("equality", f"{method}:{ast.dump(node)}", line, f"`{method}` {what}", certain=certain)


def _last(dotted: str) -> str:
    """The value type that a base is, or stands for: `UserList` is a `list`."""
    return (
        dotted.rpartition(".")[2].removeprefix("User").lower() if "User" in dotted else dotted.removeprefix("builtins.")
    )


def _class(node: ast.ClassDef, bases: set[str], functions: Mapping[str, ast.FunctionDef]) -> Iterator[Hit]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            yield from _method(statement.name, statement, bases, node.name)
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name) and target.id in _COMPARISONS:
                    if isinstance(statement.value, ast.Lambda):
                        yield from _method(target.id, statement.value, bases, node.name)
                    elif isinstance(statement.value, ast.Name) and statement.value.id in functions:
                        yield from _method(target.id, functions[statement.value.id], bases, node.name)
                    elif not isinstance(statement.value, ast.Name | ast.Attribute | ast.Constant):
                        yield _hit(target.id, statement, "is made by an expression", certain=False)


def _method(name: str, function: _Function, bases: set[str], owner: str) -> Iterator[Hit]:
    if name in {"__instancecheck__", "__subclasscheck__"} and _constant_answer(function):
        yield _hit(name, function, "answers without looking", certain=True)
    elif name == "__class__":
        yield _hit(name, function, "claims another type", certain=True)
    elif name in _COMPARISONS:
        verdict = _honest(name, function, owner)
        if verdict:
            yield _hit(name, function, verdict, certain=True)
        elif bases & _VALUES:
            weaker = bool(bases & _MEASURED) and not _asks_its_base(function)
            yield _hit(name, function, f"changes how a {min(bases & _VALUES)} compares", certain=weaker)
    elif name in _ARITHMETIC and bases & _VALUES and _constant_answer(function):
        yield _hit(name, function, "answers without looking", certain=True)


def _results(function: _Function) -> list[ast.expr]:
    if isinstance(function, ast.Lambda):
        return [function.body]
    return [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]


def _constant_answer(function: _Function) -> bool:
    results = _results(function)
    return bool(results) and all(_is_constant(result) for result in results)


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_constant(node.operand)
    if isinstance(node, ast.BoolOp):
        first = node.values[0]
        decided = isinstance(first, ast.Constant) and bool(first.value) is isinstance(node.op, ast.Or)
        return decided or all(_is_constant(value) for value in node.values)
    return isinstance(node, ast.Constant)


def _honest(name: str, function: _Function, owner: str) -> str:
    """Why a comparison is none; empty when it is one."""
    results = [r for r in _results(function) if not (isinstance(r, ast.Name) and r.id == "NotImplemented")]
    parameters = [argument.arg for argument in function.args.args]
    if not results or len(parameters) != 2:
        return ""
    answers = {result.value for result in results if isinstance(result, ast.Constant)}
    positive = name not in {"__ne__", "__lt__", "__gt__"}
    if all(_is_constant(result) for result in results):
        if answers == {not positive} or name in {"__lt__", "__le__", "__gt__", "__ge__"}:
            return ""  # a value unlike any other, or an extreme of an order
        return "" if _looks_at_both(function, parameters) else "gives one answer whatever it is compared with"
    used = {node.id for result in results for node in ast.walk(result) if isinstance(node, ast.Name)}
    body = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    if parameters[1] not in body:
        return "does not look at what it is compared with"
    if name == "__contains__":
        return ""
    if name in {"__eq__", "__ne__"} and not _beneath_surface(function, parameters, owner):
        return "looks only at the kind or the length of what it is compared with"
    if parameters[0] not in body and owner not in body and not used & {"self", "cls"}:
        return "does not look at its own value"
    return ""


def _looks_at_both(function: _Function, parameters: list[str]) -> bool:
    """Whether constant answers hang on a comparison of the two, or come both ways after looking at both."""
    compared = {
        n.id for c in ast.walk(function) if isinstance(c, ast.Compare) for n in ast.walk(c) if isinstance(n, ast.Name)
    }
    if set(parameters) <= compared:
        return True
    answers = {result.value for result in _results(function) if isinstance(result, ast.Constant)}
    read = {n.value.id for n in ast.walk(function) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
    return {True, False} <= answers and set(parameters) <= read


def _beneath_surface(function: _Function, parameters: list[str], owner: str) -> bool:
    """Whether the other side is used for more than its size and a kind that is not this one's."""
    this, other = parameters
    outside: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else list(function.body)
    while outside:
        node = outside.pop()
        if isinstance(node, ast.Name) and node.id == other:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SURFACE:
            named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            if node.func.id == "isinstance" and named & {owner, this}:
                return True  # every object of the class is the same
            continue
        if isinstance(node, ast.Attribute) and node.attr in {"__class__", "__len__"}:
            continue
        outside.extend(ast.iter_child_nodes(node))
    return False


def _asks_its_base(function: _Function) -> bool:
    """Whether the type it derives from has a say: `super().__eq__(other) and …`."""
    return any(isinstance(n, ast.Attribute) and n.attr in _COMPARISONS for n in ast.walk(function))


def _call(node: ast.Call, names: Names) -> Iterator[Hit]:
    called = names.dotted(node.func)
    if {keyword.arg for keyword in node.keywords} & (_COMPARISONS | _SPOOFS):
        yield _hit("__eq__", node, "is given to a class made at run time", certain=True)
    if called == "builtins.type" and len(node.args) == 3 and isinstance(node.args[2], ast.Dict):
        keys = {names.fold(key) for key in node.args[2].keys if key is not None}
        if keys & (_COMPARISONS | _SPOOFS):
            yield _hit("__eq__", node, "is given to a class made at run time", certain=True)
    elif called == "builtins.setattr" and len(node.args) == 3 and names.fold(node.args[1]) in _COMPARISONS | _SPOOFS:
        yield _hit(str(names.fold(node.args[1])), node, "is assigned from outside its class", certain=True)
    elif called in {"unittest.mock.ANY", "mock.ANY"}:
        yield _hit("__eq__", node, "is that of an object equal to everything", certain=True)
