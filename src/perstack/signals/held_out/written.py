"""Checks that an expert wrote from the task alone: read as data, and weighed before any candidate is seen. Pure.

A model's word is soft. Its checks count only where a second author, asked for the results of the same calls in a
context of its own, says the same, and both know what the base's passing tests say of the functions they write about.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from perstack.core.errors import ToolError
from perstack.core.json import JsonObject
from perstack.signals.held_out.examples import Example
from perstack.signals.held_out.plain import Python
from perstack.signals.held_out.surface import Target
from perstack.signals.held_out.values import encoded, loosely_same
from perstack.signals.syntax import literal_value, parse

MAX_CHECKS, MAX_CONTROLS, _LONGEST = 20, 4, 600
_BUILDERS = frozenset({"list", "tuple", "set", "dict", "frozenset", "sorted", "len", "sum", "str", "repr", "abs",
                       "round", "bool", "int", "float", "min", "max"})  # fmt: skip
_NODES = (
    ast.Expression, ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.USub, ast.UAdd, ast.Name,
    ast.Attribute, ast.Call, ast.keyword, ast.Load, ast.Subscript,
)  # fmt: skip


class UnusableCheck(ToolError):
    """A check that cannot be read or asked; its author is told why."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a call should come to, exactly one of: the text of a literal, an exception's name, another call's result."""

    expected: str = ""
    raises: str = ""
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class WrittenCheck:
    """One check. `function` is the dotted name it is about; `names` are the imports its calls need."""

    call: str
    result: Result
    function: str
    path: str
    names: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """A call whose result the base's tests state. `passing`: the base gives that result."""

    call: str
    function: str
    result: Result
    passing: bool


@dataclass(frozen=True, slots=True)
class WrittenChecks:
    """The checks that count for a job, and where they are asked. `signal` is the suite they stand beside."""

    checks: tuple[WrittenCheck, ...]
    python: Python
    signal: str

    def to_json(self) -> JsonObject:
        """As evidence keeps it."""
        return cast("JsonObject", json.loads(json.dumps(asdict(self))))  # lists in place of tuples

    @classmethod
    def from_json(cls, data: JsonObject) -> WrittenChecks:
        """Raises: KeyError, TypeError, ValueError for another form."""
        row, listed = cast("dict[str, Any]", data["python"]), cast("list[dict[str, Any]]", data["checks"])
        files = tuple((str(path), str(name)) for path, name in row["version_files"])
        python = Python(str(row["interpreter"]), tuple(row["roots"]), tuple(row["provides"]), files)
        return cls(tuple(map(_check, listed)), python, str(data["signal"]))


def _check(row: Mapping[str, Any]) -> WrittenCheck:
    names = {str(name): (str(module), str(attribute)) for name, (module, attribute) in row["names"].items()}
    return WrittenCheck(
        str(row["call"]), Result(**row["result"]), str(row["function"]), str(row["path"]), names
    )  # fmt: skip


def read_check(call: str, result: Result, targets: Mapping[str, Target]) -> WrittenCheck:
    """Raises: UnusableCheck with what is wrong."""
    given = [name for name in ("expected", "raises", "same_as") if getattr(result, name)]
    if len(given) != 1:
        raise UnusableCheck("give exactly one of `expected`, `raises` and `sameAs`")
    text, used = _read_call(call, targets)
    if result.expected:
        result = Result(expected=literal(result.expected))
    elif result.raises:
        known = {name.rpartition(".")[2] for name in targets}
        if not (isinstance(getattr(builtins, result.raises, None), type) or result.raises in known):
            raise UnusableCheck(f"`raises` names no exception that is known: {result.raises[:80]}")
    else:
        other, more = _read_call(result.same_as, targets)
        if other == text:
            raise UnusableCheck("`sameAs` is the call itself")
        result, used = Result(same_as=other), (*used, *more)
    names: dict[str, tuple[str, str]] = {}
    for place, name in enumerate(dict.fromkeys(used)):
        top = name.partition(".")[0]
        names[f"_{place}"] = (targets[name].module, "")  # imports the module, so that the dotted name can be read
        names[top] = (top, "")
    return WrittenCheck(text, result, used[0], targets[used[0]].path, names)


def literal(text: str) -> str:
    """The text of a literal, in one spelling. Raises: UnusableCheck."""
    try:
        value = literal_value(text[: _LONGEST * 4].strip())
    except SyntaxError as error:
        raise UnusableCheck(f"not a Python literal: {text[:80]}") from error
    if encoded(value)[0] == "large":
        raise UnusableCheck("the value is not plain data")
    return repr(value)


def example_of(check: WrittenCheck, call: str) -> Example:
    """A call of a check as the asker of trees takes it."""
    return Example("", call, "", check.names)


def known_call(example: Example) -> tuple[str, str]:
    """An example's call and function with the dotted names of what it imports."""
    full = {name: ".".join(filter(None, meaning)) for name, meaning in example.names.items()}
    front, dot, rest = example.function.partition(".")
    function = full.get(front, front) + dot + rest
    return f"{function}({', '.join(example.arguments or ())})", function


def settle(
    checks: Sequence[WrittenCheck],
    known: Sequence[Known],
    answers: Mapping[tuple[str, str], Result],
    controls: Sequence[Known],
) -> tuple[WrittenCheck, ...]:
    """The checks that count: not what the tests say already, and nothing an author was wrong about.

    `answers` are the second author's, by call and what it is compared with. `controls` are calls of `known` it was
    asked about beside the checks.
    """
    stated = {_key(one.call): one for one in known}
    doubted = {_last(one.function) for one in controls if not _agree(answers.get((one.call, "")), one.result)}
    wanted: dict[str, list[Result]] = defaultdict(list)
    for check in checks:
        wanted[check.call].append(check.result)
        fact = stated.get(_key(check.call))
        if fact is not None and not check.result.same_as and not _agree(check.result, fact.result):
            doubted.add(_last(check.function))
    kept: dict[tuple[str, str], WrittenCheck] = {}
    for check in checks:
        said = answers.get((check.call, check.result.same_as))
        undisputed = all(_agree(check.result, other) for other in wanted[check.call] if not other.same_as)
        if _last(check.function) in doubted or _key(check.call) in stated or not undisputed:
            continue
        if _agree(said, check.result):
            kept[check.call, check.result.same_as] = check
    return tuple(kept.values())


def controls_for(checks: Sequence[WrittenCheck], known: Sequence[Known]) -> tuple[Known, ...]:
    """Calls with a known result, of the functions the checks are about: who writes checks must get them right."""
    about = {_last(check.function) for check in checks}
    fitting = [one for one in known if one.passing and _last(one.function) in about]
    return tuple({one.call: one for one in fitting}.values())[:MAX_CONTROLS]


def _agree(one: Result | None, other: Result) -> bool:
    if one is None:
        return False
    if one.expected and other.expected:
        values = [encoded(literal_value(result.expected)) for result in (one, other)]
        return loosely_same(*values) is True
    return one == other


def _key(call: str) -> str:
    """A call without the path to its function: tests may import it from elsewhere."""
    front, bracket, rest = call.partition("(")
    return f"{_last(front)}{bracket}{rest}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _read_call(text: str, targets: Mapping[str, Target]) -> tuple[str, tuple[str, ...]]:
    """A call in one spelling, and the targets it uses, in their order."""
    if len(text) > _LONGEST:
        raise UnusableCheck(f"a call has at most {_LONGEST} characters")
    try:
        tree = parse(text.strip(), "eval")
    except SyntaxError as error:
        raise UnusableCheck(f"not a Python expression: {text[:80]}") from error
    used: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise UnusableCheck(f"only calls with literal arguments can be asked, not {type(node).__name__}")
        if isinstance(node, ast.Call):
            used += [(node.col_offset, name) for name in _callee(node.func, targets)]
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise UnusableCheck(f"private names cannot be asked: {node.attr}")
    tops = {name.partition(".")[0] for name in targets}
    strange = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in tops | _BUILDERS]
    if strange or not used:
        what = f"unknown name {strange[0]}" if strange else "the call reaches nothing of the project"
        raise UnusableCheck(what, hint="Call functions by the full dotted names you were given.")
    return ast.unparse(tree), tuple(name for _, name in sorted(used))


def _callee(node: ast.expr, targets: Mapping[str, Target]) -> list[str]:
    """The target that is called; nothing for a builder, and for a method of something that was made before."""
    name = ast.unparse(node)
    if name in targets:
        return [name]
    inner = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    if name in _BUILDERS or isinstance(inner, ast.Call):
        return []
    raise UnusableCheck(f"unknown function {name[:80]}", hint="Call functions by the full dotted names you were given.")
