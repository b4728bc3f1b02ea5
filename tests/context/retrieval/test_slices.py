"""Slices: what stack traces and diagnostics of many languages name, nearest first, with its function, in a budget."""

from __future__ import annotations

import pytest

from perstack.context.retrieval.languages import language_of
from perstack.context.retrieval.outline import read
from perstack.context.retrieval.repository_map import tokens
from perstack.context.retrieval.slices import Place, places, render
from perstack.core.signals import Diagnostic, TestCase, TestStatus

CODE = "\n".join([f"# filler {n}" for n in range(1, 41)] + ["def total(x):", "    y = x + 1", "    return y / 0", ""])
FILES = {"src/shop/cart.py": CODE, "tests/test_cart.py": "def test_total():\n    assert total(1) == 2\n"}

TRACES = {
    "python": (
        ('Traceback (most recent call last):\n  File "/workspace/tests/t.py", line 2, in test\n'
        '  File "/usr/lib/python3.11/unittest/case.py", line 9, in run\n  File "/workspace/src/a.py", line 7, in f\n'),
        ["src/a.py", "tests/t.py"], [("src/a.py", 7), ("tests/t.py", 2)],
    ),
    "pytest": ("tests/t.py:4: in test\nsrc/a.py:9: ValueError", ["src/a.py", "tests/t.py"],
               [("src/a.py", 9), ("tests/t.py", 4)]),
    "javascript": (
        ("Error: no\n    at total (/srv/src/a.js:3:9)\n    at run (file:///srv/node_modules/x/src/a.js:1:1)\n"
        "    at test (file:///srv/test/t.mjs:5:3)\n    at node:internal/x.js:2:2\n"),
        ["src/a.js", "test/t.mjs"], [("src/a.js", 3), ("test/t.mjs", 5)],
    ),
    "go": ("panic: boom\nmain.f(...)\n\t/tmp/x/pkg/a.go:12 +0x1d\n\t/usr/lib/go/src/a.go:1\n    a_test.go:8: no\n",
           ["pkg/a.go", "pkg/a_test.go"], [("pkg/a.go", 12), ("pkg/a_test.go", 8)]),
    "rust": ("thread 'x' panicked at src/lib.rs:4:5:\n  at /rustc/a/core/src/lib.rs:3:1\n --> tests/t.rs:2:1\n",
             ["src/lib.rs", "tests/t.rs"], [("src/lib.rs", 4), ("tests/t.rs", 2)]),
    "java": (
        ("java.lang.Error\n\tat shop.Cart.total(Cart.java:11)\n\tat java.base/java.lang.Thread.run(Thread.java:5)\n"
        "\tat shop.CartTest.test(CartTest.java:3)\n"),
        ["src/main/java/shop/Cart.java", "src/test/java/shop/CartTest.java"],
        [("src/main/java/shop/Cart.java", 11), ("src/test/java/shop/CartTest.java", 3)],
    ),
    "sanitizer": (
        ("==1==ERROR: AddressSanitizer: heap-use-after-free\n    #0 0x4f in add /b/src/list.c:21:7\n"
        "    #1 0x50 in main /b/src/main.c:6\n    #2 0x51 (/lib/x86/libc.so.6+0x2)\n"),
        ["src/list.c", "src/main.c"], [("src/list.c", 21), ("src/main.c", 6)],
    ),
    "typescript": ("src/a.ts(14,3): error TS2322: no\n", ["src/a.ts"], [("src/a.ts", 14)]),
}  # fmt: skip


def case(message: str, **more: object) -> TestCase:
    return TestCase("tests/test_cart.py::test_total", TestStatus.FAILED, message=message, **more)  # type: ignore[arg-type]


def found(wanted: tuple[Place, ...]) -> list[tuple[str, int]]:
    return [(place.path, place.line) for place in wanted]


def show(wanted: tuple[Place, ...], budget: int = 1000) -> str:
    outlines = {path: read(language_of(path), text.encode()) for path, text in FILES.items()}
    return render(wanted, lambda path: FILES[path].encode() if path in FILES else None, outlines, budget=budget)


@pytest.mark.parametrize("kind", TRACES)
def test_project_frames_are_found_nearest_to_the_failure_first(kind: str) -> None:
    text, files, expected = TRACES[kind]
    assert found(places([case(text)], (), "", files)) == expected


def test_errors_come_before_warnings_and_before_tests() -> None:
    wanted = places(
        [case("a.py:1: boom")],
        [Diagnostic("b.py", 2, "warning", "w"), Diagnostic("b.py", 3, "error", "e"), Diagnostic("/x", 1, "error", "")],
        "", ["a.py", "b.py"],
    )  # fmt: skip
    assert found(wanted) == [("b.py", 3), ("b.py", 2), ("a.py", 1)]


def test_no_failure_crowds_out_another_and_a_place_is_told_once() -> None:
    wanted = places([case("a.py:1: x\na.py:2: x"), case("b.py:9: x\na.py:1: x")], (), "", ["a.py", "b.py"])
    assert found(wanted) == [("a.py", 2), ("a.py", 1), ("b.py", 9)]


def test_plain_output_counts_only_where_nothing_else_names_a_place() -> None:
    assert found(places((), (), "a.py:4: oops", ["a.py"])) == [("a.py", 4)]
    assert found(places([case("b.py:1: x")], (), "a.py:4: oops", ["a.py", "b.py"])) == [("b.py", 1)]


def test_a_name_that_two_files_have_is_not_guessed() -> None:
    assert places([case("util.go:3: x")], (), "", ["a/util.go", "b/util.go"]) == ()
    assert places([case("/etc/passwd.txt:1: ../../etc/passwd.txt:1:")], (), "", ["a.py"]) == ()


def test_a_slice_is_the_function_around_the_line_with_the_line_marked() -> None:
    text = show((Place("src/shop/cart.py", 43, "test_total [failed]"),))
    assert text == (
        "src/shop/cart.py:41-43  (test_total [failed])\n"
        "    41 def total(x):\n    42     y = x + 1\n>   43     return y / 0\n"
    )


def test_outside_of_functions_some_lines_around_are_shown() -> None:
    text = show((Place("src/shop/cart.py", 20, "x"),))
    assert text.startswith("src/shop/cart.py:14-26")
    assert ">   20 # filler 20" in text


def test_places_in_one_function_are_shown_once() -> None:
    text = show((Place("src/shop/cart.py", 43, "a"), Place("src/shop/cart.py", 42, "b")))
    assert text.count("def total") == 1
    assert ">   42" in text
    assert ">   43" in text


@pytest.mark.parametrize("budget", [0, 5, 30, 60, 120])
def test_slices_stay_in_their_budget(budget: int) -> None:
    wanted = (*tuple(Place("src/shop/cart.py", line, "x") for line in (43, 5, 25)), Place("tests/test_cart.py", 2, "y"))
    assert tokens(show(wanted, budget)) <= budget


def test_lines_that_a_file_does_not_have_and_files_that_are_gone_are_passed_over() -> None:
    assert show((Place("src/shop/cart.py", 999, "x"), Place("gone.py", 1, "x"))) == ""
