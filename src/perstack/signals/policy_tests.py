"""What a change of an existing test file amounts to: an addition, new expectations, or taking tests away.

Pure. The protocol runs the base's version of such a file in any case; this decides only whether a human must look.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import PurePosixPath

from perstack.signals.policy_patch import Hunk
from perstack.signals.syntax import parse

_SILENCERS = re.compile(
    r"\bskip(?:if|unless|test)?\b|\bxfail\b|\bimportorskip\b|pytestmark|expectedFailure|pytest_plugins|\bcollect_ignore"
    r"|doctest:\s*\+SKIP|__test__|\bload_tests\b|addfinalizer|\bautouse\b"
    r"|\b(?:it|test|describe|suite|context)\.(?:skip|only|todo|fails|failing|fixme)\b|\b[xf](?:it|describe|test)\s*\("
    r"|\bt\.Skip|\btesting\.Short\b|//\s*go:build|//\s*\+build|#\[ignore|#\[should_panic|#\[cfg|cfg_attr"
    r"|@(?:Disabled|Ignore)\b|\bassume(?:True|False|That)\b|GTEST_SKIP|DISABLED_|WILL_FAIL|jest\.mock|vi\.mock",
    re.IGNORECASE,
)
_DEFINES = re.compile(
    r"\s*(?:@|#\[|//|/\*|\*|(?:it|test|describe|context|suite)(?:\.each)?\b|func\s+(?:Test|Benchmark|Fuzz|Example)"
    r"|(?:pub\s+)?(?:async\s+)?fn\s|(?:public|private|protected|void|fun|static)\b|TEST(?:_[FP])?\s*\()"
)
_HOOK = re.compile(r"pytest_\w+|(?:setup|teardown)(?:_\w+)?|setUp\w*|tearDown\w*|load_tests|run|__\w+__")


class TestEdit(Enum):
    """How far an edit of an existing test file goes."""

    __test__ = False

    ADDITION = "tests were added; what was there is unchanged"
    EXPECTATIONS = "existing expectations were changed"
    REMOVAL = "tests were removed, skipped or taken over"


def classify(path: str, before: str, after: str, hunks: Sequence[Hunk]) -> TestEdit:
    """Judge the edit of one existing test file, helper or data file."""
    added = "\n".join(line[1:] for hunk in hunks for line in hunk.lines if line[0] == "+")
    removed = "\n".join(line[1:] for hunk in hunks for line in hunk.lines if line[0] == "-")
    if len(_SILENCERS.findall(added)) > len(_SILENCERS.findall(removed)):
        return TestEdit.REMOVAL
    if PurePosixPath(path).suffix == ".py":
        return _classify_python(before, after)
    return TestEdit.ADDITION if _blocks_only(after, hunks) else TestEdit.EXPECTATIONS


def _classify_python(before: str, after: str) -> TestEdit:
    try:
        old, new = parse(before), parse(after)
    except (SyntaxError, ValueError, RecursionError):
        return TestEdit.REMOVAL
    if only_adds(old.body, new.body):
        return TestEdit.ADDITION
    lost = _test_names(old) - _test_names(new)
    taken_over = len(_names(new)) != len(set(_names(new))) and len(_names(old)) == len(set(_names(old)))
    return TestEdit.REMOVAL if lost or taken_over else TestEdit.EXPECTATIONS


def only_adds(old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> bool:
    """Whether `new` holds every statement of `old` unchanged and in order, and adds nothing but definitions.

    Added names must be new, so that nothing is redefined; hooks and set-up functions change other tests.
    """
    taken = set(_defined(old))
    waiting = list(old)
    for node in new:
        if waiting and _same(waiting[0], node):
            waiting.pop(0)
        elif not _harmless_addition(node, taken):
            return False
        else:
            taken |= set(_defined([node]))
    return not waiting


def _same(old: ast.stmt, new: ast.stmt) -> bool:
    if ast.dump(old) == ast.dump(new):
        return True
    if isinstance(old, ast.ImportFrom) and isinstance(new, ast.ImportFrom):
        return _same_import(old, new)
    if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
        return _shell(old) == _shell(new) and only_adds(old.body, new.body)
    if isinstance(old, ast.FunctionDef | ast.AsyncFunctionDef) and type(old) is type(new):
        return _more_parameters(old, new)  # type: ignore[arg-type]  # same class, just compared
    return False


def _same_import(old: ast.ImportFrom, new: ast.ImportFrom) -> bool:
    before, after = ({(a.name, a.asname) for a in node.names} for node in (old, new))
    return (old.module, old.level) == (new.module, new.level) and before <= after


def _shell(node: ast.ClassDef) -> str:
    return ast.dump(ast.ClassDef(node.name, node.bases, node.keywords, [], node.decorator_list))


def _more_parameters(old: ast.FunctionDef, new: ast.FunctionDef) -> bool:
    """Whether the same test only got more entries in the list of a `parametrize` decorator."""
    if len(old.decorator_list) != len(new.decorator_list) or old.name != new.name:
        return False
    if [ast.dump(n) for n in (old.args, *old.body)] != [ast.dump(n) for n in (new.args, *new.body)]:
        return False
    return all(_grown(a, b) for a, b in zip(old.decorator_list, new.decorator_list, strict=True))


def _grown(old: ast.expr, new: ast.expr) -> bool:
    if ast.dump(old) == ast.dump(new):
        return True
    if (
        not isinstance(old, ast.Call)
        or not isinstance(new, ast.Call)
        or not ast.unparse(old.func).endswith("parametrize")
    ):
        return False
    if ast.dump(old.func) != ast.dump(new.func) or len(old.args) != len(new.args) or len(old.args) < 2:
        return False
    if [ast.dump(n) for n in (old.args[0], *old.keywords)] != [ast.dump(n) for n in (new.args[0], *new.keywords)]:
        return False
    before, after = old.args[1], new.args[1]
    if not isinstance(before, ast.List | ast.Tuple) or type(before) is not type(after):
        return False
    waiting = [ast.dump(entry) for entry in before.elts]
    for entry in after.elts:
        if waiting and ast.dump(entry) == waiting[0]:
            waiting.pop(0)
    return not waiting


def _harmless_addition(node: ast.stmt, taken: set[str]) -> bool:
    names = list(_defined([node]))
    if any(name in taken or _HOOK.fullmatch(name) for name in names):
        return False
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return bool(names) and not any(isinstance(part, ast.Call) for part in ast.walk(node))
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _defined(body: Sequence[ast.stmt]) -> list[str]:
    """Names a sequence of statements binds; an attribute or subscript target binds none."""
    names: list[str] = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [t.id for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    return names


def _names(tree: ast.AST) -> list[str]:
    body = [node for node in getattr(tree, "body", []) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    nested = [f"{node.name}.{name}" for node in body if isinstance(node, ast.ClassDef) for name in _names(node)]
    return [node.name for node in body] + nested


def _test_names(tree: ast.AST) -> set[str]:
    return {name for name in _names(tree) if name.rpartition(".")[2].startswith("test")}


def _blocks_only(after: str, hunks: Sequence[Hunk]) -> bool:
    """Whether nothing was removed and each added block is a whole definition of its own, by brackets and indents."""
    lines = after.split("\n")
    for hunk in hunks:
        if any(line[0] == "-" for line in hunk.lines):
            return False
        at = hunk.new_start - 1
        block: list[str] = []
        for line in (*hunk.lines, " "):
            if line[0] == "+":
                block.append(line[1:])
            elif block:
                if not _whole_definition(block, lines[: at - len(block)]):
                    return False
                block = []
            at += 1
    return True


def _whole_definition(block: Sequence[str], above: Sequence[str]) -> bool:
    text = [line for line in block if line.strip()]
    if not text:
        return True
    first = _indent(text[0])
    before = next((line for line in reversed(above) if line.strip()), "")
    joined = "\n".join(text)
    balanced = all(joined.count(a) == joined.count(b) for a, b in ("()", "[]", "{}"))
    at_boundary = not before or (
        before.rstrip().endswith(("}", "});", "};", "{", ")", ");")) and _indent(before) <= first
    )
    return (
        balanced
        and at_boundary
        and _DEFINES.match(text[0]) is not None
        and all(_indent(line) >= first for line in text)
        and text[-1].strip()[:1] in {"}", ")"}
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
