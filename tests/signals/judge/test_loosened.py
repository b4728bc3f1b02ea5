"""Types that say less than before, and changes of types that say as much."""

from __future__ import annotations

import pytest

from perstack.signals.loosened import loosened

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
