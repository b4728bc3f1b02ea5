"""Examples of a tree's test files, with what a run says about their tests. Reads files; runs nothing."""

from __future__ import annotations

from pathlib import Path

from perstack.core.signals import SignalRun, TestStatus
from perstack.infrastructure import foreign
from perstack.signals.compare_tests import lies_in
from perstack.signals.held_out.examples import Example, examples_of
from perstack.signals.held_out.plain import Python
from perstack.signals.tree import Tree

# A conftest.py that does something of its own accord may be what the tests' answers depend on.
_BUSY = ("autouse", "pytest_configure", "pytest_sessionstart", "pytest_runtest", "environ[", "setattr(")


def examples_in(tree: Tree, path: str, python: Python) -> tuple[Example, ...]:
    """What one test file says about single calls; nothing where a `conftest.py` above it has a say."""
    if any(_is_busy(tree.path / folder / "conftest.py") for folder in _above(path)):
        return ()
    return examples_of(_text(tree.path / path), python.provides)


def test_key(identity: str, path: str) -> str:
    """`Class.test` of a test id of this file."""
    if "::" in identity:
        return identity.partition("::")[2].partition("[")[0].replace("::", ".")
    stem = path.rpartition("/")[2].removesuffix(".py")
    return identity.rpartition(f"{stem}.")[2]


def passes(example: Example, path: str, run: SignalRun) -> bool:
    """Whether the example's test passed in a run, in every variant."""
    cases = [case for i, case in run.tests.items() if lies_in(i, path) and test_key(i, path) == example.test]
    return bool(cases) and all(case.status is TestStatus.PASSED for case in cases)


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _is_busy(conftest: Path) -> bool:
    text = _text(conftest)
    return any(word in text for word in _BUSY)


def _text(path: Path) -> str:
    return foreign.read_text(path) if path.is_file() and not path.is_symlink() else ""
