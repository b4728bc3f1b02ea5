"""Edits of existing tests: additions, new expectations, and taking tests away."""

# one case a line reads better than code about code broken up

from __future__ import annotations

import difflib

import pytest

from perstack.signals.policy_in_file import in_file_edit
from perstack.signals.policy_patch import parse_patch
from perstack.signals.policy_tests import TestEdit, classify

BASE = """import pytest
from m import f


@pytest.mark.parametrize("a", [1, 2])
def test_a(a):
    assert f(a) == a


class TestB:
    def test_c(self):
        assert f(1)
"""


def edit(after: str, before: str = BASE, path: str = "tests/test_m.py") -> TestEdit:
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}")
    return classify(path, before, after, parse_patch("".join(lines))[0].hunks)


@pytest.mark.parametrize(
    "after",
    [
        BASE + "\n\ndef test_new():\n    assert f(3) == 3\n",
        BASE + "\n    def test_d(self):\n        assert f(2)\n",
        BASE.replace("from m import f\n", "from m import f, g\n") + "\n\ndef test_g():\n    assert g()\n",
        BASE.replace("[1, 2]", "[1, 2, 3]"),
        BASE.replace("from m import f\n", "from m import f\nimport os\n\nLIMIT = 3\n"),
        BASE.replace("class TestB", "class TestNew:\n    def test_x(self):\n        pass\n\n\nclass TestB"),
    ],
)
def test_new_tests_beside_old_ones_are_additions(after: str) -> None:
    assert edit(after) is TestEdit.ADDITION


@pytest.mark.parametrize(
    "after",
    [
        BASE.replace("== a", "== a + 1"),
        BASE.replace("[1, 2]", "[1]"),
        BASE.replace("    assert f(1)\n", "    return\n        assert f(1)\n".replace("    return", "    return", 1)),
        BASE.replace('"a", [1, 2]', '"a", []'),
        BASE + "\nf = lambda x: x\n",
    ],
)
def test_other_edits_are_never_additions(after: str) -> None:
    assert edit(after) is not TestEdit.ADDITION


@pytest.mark.parametrize(
    "after",
    [
        BASE.replace("def test_a", "def check_a"),
        BASE.replace("class TestB", "@pytest.mark.skip\nclass TestB"),
        BASE.replace("import pytest\n", "import pytest\n\npytestmark = pytest.mark.xfail\n"),
        BASE + "\n\ndef test_a():\n    pass\n",
        BASE[: BASE.index("class TestB")],
        BASE + "\n\n@pytest.fixture(autouse=True)\ndef quiet():\n    yield\n",
        "def test_a(:\n",
    ],
)
def test_taking_tests_away_is_removal(after: str) -> None:
    assert edit(after) is TestEdit.REMOVAL


JS = "describe('m', () => {\n  it('a', () => {\n    expect(f(1)).toBe(1);\n  });\n});\n"


def test_whole_blocks_in_other_languages_are_additions_and_lines_inside_are_not() -> None:
    more = JS.replace("  });\n});", "  });\n\n  it('b', () => {\n    expect(f(2)).toBe(2);\n  });\n});")
    assert edit(more, JS, "src/m.test.js") is TestEdit.ADDITION
    inside = JS.replace("    expect", "    return;\n    expect")
    assert edit(inside, JS, "src/m.test.js") is TestEdit.EXPECTATIONS
    assert edit(JS.replace("it(", "it.skip("), JS, "src/m.test.js") is TestEdit.REMOVAL
    go = "package m\n\nfunc TestA(t *testing.T) {\n\tf()\n}\n"
    assert edit(go + "\nfunc TestB(t *testing.T) {\n\tf()\n}\n", go, "m_test.go") is TestEdit.ADDITION


def test_tests_inside_product_files_are_found() -> None:
    rust = "fn f() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() { assert_eq!(1, 1); }\n}\n"
    assert in_file_edit("a.rs", rust, rust.replace("fn f() {}", "fn f() { g() }"), doctests=False) is None
    assert in_file_edit("a.rs", rust, rust.replace("(1, 1)", "(1, 2)"), doctests=False) is TestEdit.EXPECTATIONS
    assert in_file_edit("a.rs", rust, rust.replace("#[test]", ""), doctests=False) is TestEdit.REMOVAL
    python = 'def f():\n    """\n    >>> f()\n    1\n    """\n    return 1\n'
    assert in_file_edit("a.py", python, python.replace("    1\n", "    2\n"), doctests=True) is TestEdit.EXPECTATIONS
    assert (
        in_file_edit("a.py", python, python.replace("f()\n    1", "f()  # doctest: +SKIP\n    1"), doctests=True)
        is TestEdit.REMOVAL
    )
    assert in_file_edit("a.py", python, python.replace("    1\n", "    2\n"), doctests=False) is None
