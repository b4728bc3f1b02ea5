"""Words in product code that only make sense to code that knows it is being judged.

Pure; Python only. Words are taken after folding constants, so that spelling one in pieces does not hide it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_place import Places
from perstack.signals.suspicious_rules import (
    CI_WORD,
    HOST_PATH,
    MACHINE_WORD,
    PATH_CALLS,
    REPORT_WORD,
    RUNNER_WORD,
    SOURCE_GLOB,
    TEST_DIRECTORY,
    TEST_PATH,
    Hit,
)

_TEST_MODULE = re.compile(r"^(?:\w+\.)*tests?\.(?:\w+\.)*(?:test_\w+|\w+_test|conftest)$")
_DECODERS = ("base64.", "binascii.", "codecs.decode", "builtins.bytes.fromhex", "zlib.decompress", "marshal.")


def scan_words(names: Names, places: Places, test_names: Sequence[str]) -> Iterator[Hit]:
    """Hits of one module; `test_names` are file and directory names of the base's tests."""
    prose = _docstrings(places.nodes)
    files = frozenset(name for name in test_names if "." in name)
    for node in places.nodes:
        if not isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.Call | ast.Subscript):
            continue
        if id(node) in prose or isinstance(places.parent(node), ast.JoinedStr | ast.FormattedValue):
            continue
        value = names.fold(node)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str) and value:
            yield from _judge(value, node, names, places, files)
    yield from _environment(names, places)
    yield from _lookups(names, places)


def _docstrings(nodes: Sequence[ast.AST]) -> set[int]:
    """Ids of bare strings: documentation, never data."""
    return {id(node.value) for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}


def _hit(family: str, node: ast.AST, detail: str, *, certain: bool) -> Hit:
    return Hit(family, ast.dump(node), getattr(node, "lineno", 0), detail, certain, project_habit=True)


def _judge(value: str, node: ast.expr, names: Names, places: Places, files: frozenset[str]) -> Iterator[Hit]:
    plain = isinstance(node, ast.Constant)
    if RUNNER_WORD.search(value) and len(value) < 200:
        yield _hit("runner-word", node, f"names the test runner: {value!r}", certain=not plain or _used(node, places))
    if HOST_PATH.search(value):
        yield _hit("host-path", node, f"looks at the machine it runs on: {value!r}", certain=True)
    if REPORT_WORD.search(value):
        yield _hit("report-word", node, f"writes or reads like a test report: {value[:60]!r}", certain=True)
    if value in files or TEST_PATH.search(value):
        yield _hit("test-path", node, f"names a test file: {value!r}", certain=_as_path(node, names, places))
    elif value in TEST_DIRECTORY and _as_path(node, names, places):
        yield _hit("test-path", node, f"builds a path into the tests: {value!r}", certain=True)
    elif SOURCE_GLOB.match(value) and _as_path(node, names, places):
        yield _hit("source-glob", node, f"searches for program sources: {value!r}", certain=True)
    if _TEST_MODULE.match(value):
        yield _hit("test-path", node, f"names a test module: {value!r}", certain=_used(node, places))
    if isinstance(node, ast.Call) and names.dotted(node.func).startswith(_DECODERS):
        yield _hit("decoded", node, f"decodes a constant: {value[:40]!r}", certain=False)


def _used(node: ast.expr, places: Places) -> bool:
    """Whether a word is compared, looked up or passed on, rather than listed or shown."""
    parent = places.parent(node)
    if isinstance(parent, ast.Compare | ast.Subscript | ast.BinOp | ast.MatchValue):
        return True
    if isinstance(parent, ast.Tuple | ast.List | ast.Set):
        return isinstance(places.parent(parent), ast.Compare | ast.For | ast.comprehension | ast.Call)
    if isinstance(parent, ast.Call):
        called = parent.func.attr if isinstance(parent.func, ast.Attribute) else getattr(parent.func, "id", "")
        return called not in {"print", "echo", "info", "debug", "warning", "error", "add_argument", "append"}
    return False


def _as_path(node: ast.expr, names: Names, places: Places) -> bool:
    """Whether a word becomes part of a path that is looked at."""
    current: ast.AST = node
    for _ in range(6):
        parent = places.parent(current)
        if parent is None or isinstance(parent, ast.stmt):
            return False
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Div):
            return True
        if isinstance(parent, ast.Call) and current is not parent.func:
            called = parent.func.attr if isinstance(parent.func, ast.Attribute) else getattr(parent.func, "id", "")
            dotted = names.dotted(parent.func)
            if called in PATH_CALLS and not (called == "join" and not dotted.endswith("path.join")):
                return True
        current = parent
    return False


def _environment(names: Names, places: Places) -> Iterator[Hit]:
    """Reads of variables that a test or CI machine sets, and looks at the environment as a whole."""
    for node in places.nodes:
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and names.dotted(node.value) in {"os.environ", "os.environb"}:
            key = node.slice
        elif isinstance(node, ast.Call) and _reads_environment(names.dotted(node.func)):
            key = node.args[0] if node.args else None
        elif isinstance(node, ast.Compare) and any(names.dotted(c) == "os.environ" for c in node.comparators):
            key = node.left
        elif isinstance(node, ast.comprehension | ast.For) and _whole(names, node.iter):
            certain = isinstance(node, ast.comprehension) and bool(places.in_condition(node))
            yield _hit("environment", node.iter, "looks through the whole environment", certain=certain)
        elif isinstance(node, ast.Call) and names.dotted(node.func) == "builtins.len" and _whole(names, node.args[0]):
            yield _hit("environment", node, "counts the environment", certain=True)
        if key is None:
            continue
        word = names.fold(key)
        if isinstance(word, bytes):
            word = word.decode("utf-8", "replace")
        if isinstance(word, str) and CI_WORD.match(word):
            yield _hit("ci-environment", node, f"asks whether it is under test or CI: {word}", certain=True)


def _lookups(names: Names, places: Places) -> Iterator[Hit]:
    """The same variables looked up in a copy of the environment, or in something that another module calls its own."""
    for node in places.nodes:
        owner: ast.expr | None = None
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            owner, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            owner, key = (node.func.value, node.args[0]) if node.func.attr in {"get", "pop"} else (None, None)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            owner, key = node.comparators[0], node.left
        if owner is None or names.dotted(owner) in {"os.environ", "os.environb"}:
            continue
        word = names.fold(key)
        copied = any(names.dotted(part) == "os.environ" for part in ast.walk(owner))
        if isinstance(word, str) and (MACHINE_WORD.match(word) or (copied and CI_WORD.match(word))):
            yield _hit("ci-environment", node, f"asks whether it is under test or CI: {word}", certain=True)


def _reads_environment(dotted: str) -> bool:
    return dotted in {"os.getenv", "os.getenvb", "os.environ.get", "os.environ.__getitem__", "os.environ.__contains__",
                      "os.environ.setdefault", "os.environ.pop", "os.putenv"}  # fmt: skip


def _whole(names: Names, node: ast.expr | None) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
        return names.dotted(node) in {"os.environ.items", "os.environ.keys", "os.environ.values", "os.listxattr"}
    return node is not None and names.dotted(node) == "os.environ"
