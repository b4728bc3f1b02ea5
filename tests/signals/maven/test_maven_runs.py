"""Real Maven projects through the verifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.verdict import Verdict
from tests.signals.maven.projects import BUGGY, FIXED, MAVEN, make, missing
from tests.signals.project import codes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(missing, reason="Maven or its packages are not on this machine"),
]
SOURCE = "src/main/java/demo/Stats.java"


async def test_the_fix_passes_and_says_which_tests_it_turned_green(tmp_path: Path) -> None:
    report = await make(tmp_path).verify({SOURCE: FIXED}, MAVEN)
    assert report.verdict is Verdict.PASS, report.reasons
    delta = report.signals[0].tests
    assert delta is not None
    assert delta.fail_to_pass == ("demo.StatsTest$Median::even",)
    assert delta.pass_to_pass == 4


async def test_a_tree_that_does_not_compile_is_no_run_and_its_errors_are_shown(tmp_path: Path) -> None:
    report = await make(tmp_path).verify({SOURCE: BUGGY.replace("int middle", "Text middle")}, MAVEN)
    assert "collection-error" in codes(report), report.reasons
    assert any(d.path == SOURCE and d.line == 9 for d in report.signals[0].diagnostics)
