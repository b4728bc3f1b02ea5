"""What is told of a run that something killed from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import ReasonCode
from perstack.signals.channel import Channel
from perstack.signals.suites.python import unfinished

SPEC = SignalSpec("tests", SignalKind.TEST, ("python3", "-m", "pytest"), framework="pytest")


@pytest.mark.parametrize(("code", "told"), [(137, True), (1, False)])
def test_a_killed_run_says_that_memory_is_the_likely_limit_and_where_to_set_it(code: int, told: bool) -> None:
    begun = Channel(Path("unused"), [{"type": "start", "id": "tests/test_a.py::test_a"}], connected=True)
    found = unfinished("pytest", SPEC, ExecResult(code, b"", b"", 1.0), begun)
    assert found is not None
    assert found.code is ReasonCode.REPORT_MISSING
    assert f"exit code {code}" in found.text
    assert "last in tests/test_a.py::test_a" in found.text
    assert ("`[sandbox.limits] memoryMb`" in found.text) is told
