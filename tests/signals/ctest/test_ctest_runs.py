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
