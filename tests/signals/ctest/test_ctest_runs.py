"""Real CMake projects through the verifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.verdict import Verdict
from tests.signals.ctest.projects import BUGGY, CTEST, FIXED, make
from tests.signals.project import codes

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_the_fix_passes_and_says_which_tests_it_turned_green(tmp_path: Path) -> None:
    report = await make(tmp_path).verify({"src/stats.c": FIXED}, replace(CTEST, repeat=2))
    assert report.verdict is Verdict.PASS, report.reasons
    delta = report.signals[0].tests
    assert delta is not None
    assert delta.fail_to_pass == ("even[/usr/bin/cmake -E env A=B test_stats even]",)
    assert delta.pass_to_pass == 5


async def test_a_comment_leaves_the_test_red_with_its_own_words(tmp_path: Path) -> None:
    report = await make(tmp_path).verify({"src/stats.c": f"/* */\n{BUGGY}"}, CTEST)
    assert codes(report) == {"still-failing", "nothing-red"}
    assert "Assertion" in report.signals[0].failures[0].message


async def test_a_tree_that_does_not_compile_is_no_run_and_its_errors_are_shown(tmp_path: Path) -> None:
    report = await make(tmp_path).verify({"src/stats.c": BUGGY.replace("sum / count", "sum / nothing")}, CTEST)
    assert "collection-error" in codes(report)
    assert any(d.path == "src/stats.c" and "nothing" in d.message for d in report.signals[0].diagnostics)


SHAPES = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.16)
project(shapes CXX)
enable_testing()
add_subdirectory(tests)
""",
    "tests/CMakeLists.txt": """\
add_executable(fixed test_shape.cpp ../src/shape.cpp)
target_link_options(fixed PRIVATE -static)
add_executable(checked test_shape.cpp ../src/shape.cpp)
target_compile_options(checked PRIVATE -fsanitize=address)
target_link_options(checked PRIVATE -fsanitize=address)
add_test(NAME fixed COMMAND fixed)
add_test(NAME checked COMMAND checked)
""",
    "src/shape.cpp": "int sides() { return 3; }\n",
    "tests/test_shape.cpp": """\
#include <iostream>
int sides();
int main() {
    if (sides() != 4) { std::cerr << "not four\\n"; return 1; }
    return 0;
}
""",
}


async def test_static_and_sanitized_programs_are_judged_too(tmp_path: Path) -> None:
    run = "cmake -S . -B build -DCMAKE_BUILD_TYPE=Debug && cmake --build build && ctest --test-dir build/tests"
    spec = replace(CTEST, run=("sh", "-ec", run))
    project = make(tmp_path, SHAPES)
    report = await project.verify({"src/shape.cpp": "int sides() { return 4; }\n"}, spec)
    assert report.verdict is Verdict.PASS, report.reasons
    delta = report.signals[0].tests
    assert delta is not None
    assert set(delta.fail_to_pass) == {"checked", "fixed"}
