"""Which test makes which attack, read from `@pytest.mark.threat` in the sources. Runs no test."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent


def marked() -> Mapping[str, tuple[str, ...]]:
    """Tests by threat: `tests/…/test_x.py::test_y`, in order."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        if "node_modules" in path.parts or (source := path.read_text("utf-8")).find(".threat(") < 0:
            continue
        for test in ast.parse(source).body:
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
                for threat in _threats(test):
                    found[threat].add(f"{path.relative_to(ROOT).as_posix()}::{test.name}")
    return {threat: tuple(sorted(tests)) for threat, tests in found.items()}


def _threats(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for each in test.decorator_list:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "pytest.mark.threat":
            yield from (str(word.value) for word in each.args if isinstance(word, ast.Constant))
