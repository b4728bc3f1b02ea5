"""Types that say less than before, and changes of types that say as much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.signals import Diagnostic, DiagnosticDelta, Priority, SignalKind, SignalStatus
from perstack.core.verdict import ReasonCode, SignalReport
from perstack.signals.loosened import loosened, looser_types
from perstack.signals.tree import Tree

BASE = "from typing import Any, cast\n\n\nclass A:\n    def f(self, a: int, b: str = '') -> int:\n        return g(a)\n"


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("a: int", "a", "lost the types of a"),
        ("-> int", "", "lost the types of the result"),
        ("a: int", "a: Any", "more `Any`"),
        ("-> int", "-> 'int | Any'", ""),
        ("g(a)", "cast(int, g(a))", "more `Any` or `cast`"),
        ("g(a)", "typing.cast(int, g(a))", "more `Any` or `cast`"),
        ("a: int, ", "", ""),
        ("a: int", "a: float", ""),
        ("g(a)", "int(g(a))", ""),
        ("def f", "def h", ""),
        ("g(a)", "g(a", ""),
    ],
)
def test_python(old: str, new: str, how: str) -> None:
    said = loosened("a.py", BASE, BASE.replace(old, new))
    assert (how in said) if how else said == ""


@pytest.mark.parametrize(
    ("line", "loose"),
    [
        ("const a: any = f();", True),
        ("const a = f() as any;", True),
        ("const a = f() as unknown as string;", True),
        ("const a = <any>f();", True),
        ("function f(a: any, b: Map<string, any>): any[] {}", True),
        ("let x: string | any;", True),
        ("const a: unknown = f();", False),
        ("const any = 3; // any", False),
        ("const text = 'any: any';", False),
        ("const many: string = company;", False),
    ],
)
def test_typescript(line: str, loose: bool) -> None:
    assert bool(loosened("a.ts", "export {};\n", f"export {{}};\n{line}\n")) is loose
    assert loosened("a.ts", f"{line}\n", f"{line}\n") == ""


def test_other_languages_and_what_cannot_be_read_are_left_alone() -> None:
    assert loosened("a.c", "int a;", "void *a;") == ""
    assert loosened("a.py", "def (", "x: Any = 1") == ""


@pytest.mark.parametrize(("path", "doubted"), [("body.pyi", True), ("src/body.d.ts", True), ("body.py", False)])
def test_a_promise_of_types_without_code_is_doubted(tmp_path: Path, path: str, doubted: bool) -> None:
    base = Tree("base", tmp_path, frozenset({"calc.py"}), "")
    candidate = Tree("candidate", tmp_path, frozenset({"calc.py", path}), "")
    (tmp_path / "calc.py").write_text(BASE)
    fixed = Diagnostic("calc.py", 1, "error", "wrong type")
    report = SignalReport("types", SignalKind.COMPILER, Priority.MUST, SignalStatus.PASS, SignalStatus.FAIL, 1, 1.0)
    found = looser_types(replace(report, changes=DiagnosticDelta(fixed=(fixed,))), base, candidate)
    assert [reason.code for reason in found] == ([ReasonCode.TYPES_LOOSENED] if doubted else [])
    assert looser_types(report, base, candidate) == []
