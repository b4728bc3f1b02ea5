"""The tests of a unittest suite: which there are, in which order, and whether what runs is what was collected.

Lies beside `runner.py` in the sandbox. It is imported before anything of the repository is.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import hashlib
import os
import re
import types
import unittest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HOLDER = re.compile(r"^(?:setUp|tearDown)(?:Class|Module) \((.+)\)$")
_LIBRARY = ("unittest", "doctest")
_SOURCE_LIMIT = 5000


def module_of(test: Any) -> str:
    """The module whose test this is."""
    return str(type(test).__module__)


def identity_of(test: Any) -> str:
    """`module.Class.method`; what the library's own classes say for tests that are no methods."""
    parent = getattr(test, "test_case", None)
    if parent is not None:
        return identity_of(parent)  # a subtest
    if module_of(test).partition(".")[0] in _LIBRARY or not hasattr(test, "_testMethodName"):
        return str(test.id())
    return "%s.%s.%s" % (module_of(test), type(test).__qualname__, test._testMethodName)  # noqa: UP031


def tests_in(suite: Any) -> Iterator[Any]:
    """All tests of a suite, in order."""
    for entry in suite:
        if isinstance(entry, unittest.BaseTestSuite):
            yield from tests_in(entry)
        elif entry is not None:
            yield entry


def arranged(suite: Any, order: str, only: Iterable[str]) -> Any:
    """The suite with its modules in another order, and only those that `only` names. Special suites stay whole."""
    wanted = list(only)
    if type(suite) is not unittest.TestSuite:
        return suite
    kept = []
    for entry in suite:
        if isinstance(entry, unittest.BaseTestSuite):
            part = arranged(entry, order, wanted)
            if part.countTestCases():
                kept.append(part)
        elif not wanted or any(target.startswith(module_of(entry) + ".") for target in wanted):
            kept.append(entry)
    if order and all(isinstance(entry, unittest.BaseTestSuite) for entry in kept):
        kept.sort(key=lambda part: hashlib.sha256((order + _first_module(part)).encode()).hexdigest())
    return unittest.TestSuite(kept)


def _first_module(suite: Any) -> str:
    return next((module_of(test) for test in tests_in(suite)), "")


class Sources:
    """The test files as they lie on disk before anything of the repository runs."""

    def __init__(self, roots: Iterable[str]) -> None:
        self._texts: dict[str, bytes] = {}
        self.add(roots)
        self._codes: dict[str, dict[tuple[str, int], types.CodeType]] = {}

    def add(self, roots: Iterable[str]) -> None:
        """Read more of them."""
        for path in _python_files(roots):
            with open(path, "rb") as file:
                self._texts[os.path.realpath(path)] = file.read()

    def has(self, path: str, name: str, code: types.CodeType) -> bool:
        """Whether the file says exactly this code under this name."""
        if path not in self._codes:
            self._codes[path] = dict(_functions(self._texts.get(path, b""), path))
        return self._codes[path].get((name, code.co_firstlineno)) == code


def _python_files(roots: Iterable[str]) -> Iterator[str]:
    count = 0
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".") and name != "node_modules"]
            for name in names:
                if name.endswith(".py") and count < _SOURCE_LIMIT:
                    count += 1
                    yield os.path.join(folder, name)


def _functions(text: bytes, path: str) -> Iterator[tuple[tuple[str, int], types.CodeType]]:
    try:
        waiting = [compile(text, path, "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):
        return
    while waiting:
        for constant in waiting.pop().co_consts:
            if isinstance(constant, types.CodeType):
                yield (constant.co_name, constant.co_firstlineno), constant
                waiting.append(constant)


class Collected:
    """What was collected, and what of it is not what its file says or was changed before it ran."""

    def __init__(self, suite: Any, sources: Sources) -> None:
        self._tests = list(tests_in(suite))
        self._parts = {id(test): _parts(test) for test in self._tests}
        self.changed: set[str] = set()
        for test in self._tests:
            path, code = _place(test)
            name = getattr(test, "_testMethodName", "")
            if code is not None and not sources.has(path, name, code):
                # generated tests are such too, on the base as well: the verifier compares
                self.changed.add("the code of " + identity_of(test) + ", which its file does not hold")

    def identities(self) -> list[str]:
        """Ids of all tests, in order."""
        return [identity_of(test) for test in self._tests]

    def look_at(self, test: Any) -> None:
        """Compare a test that starts or ends with what was collected."""
        before = self._parts.get(id(test))
        if before is None:
            self.changed.add("the test " + identity_of(test))
        elif before != _parts(test):
            self.changed.add("what is called for " + identity_of(test))

    def behind(self, holder: str) -> list[str]:
        """The tests that a fixture of a class or module stands for."""
        match = _HOLDER.match(holder)
        prefix = match.group(1) + "." if match else "\0"
        return [identity for identity in self.identities() if identity.startswith(prefix)]


_CALLED = ("run", "__call__", "_callTestMethod", "_callSetUp", "_callTearDown", "setUp", "tearDown", "id", "doCleanups")


def _parts(test: Any) -> tuple[Any, ...]:
    kind, name = type(test), getattr(test, "_testMethodName", "")
    own = frozenset(vars(test)) & {*_CALLED, name}
    found = (getattr(kind, part, None) for part in (*_CALLED, name))
    return (kind, own, *(getattr(function, "__code__", function) for function in found))


def _place(test: Any) -> tuple[str, types.CodeType | None]:
    """File and code of a test's own method, below its decorators."""
    function = getattr(type(test), getattr(test, "_testMethodName", ""), None)
    for _ in range(20):
        function = getattr(function, "__wrapped__", function)
    code = getattr(function, "__code__", None)
    return (os.path.realpath(code.co_filename), code) if isinstance(code, types.CodeType) else ("", None)
