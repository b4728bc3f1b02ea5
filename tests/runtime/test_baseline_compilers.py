"""A base that only a compiler or linter calls red is something to work against, and the builder gets its words."""

from __future__ import annotations

import pytest

from perstack.core.json import Json
from perstack.core.signals import Diagnostic, Measurement, Priority, SignalKind, SignalRun, SignalSpec, SignalStatus
from perstack.runtime.baseline import first_output, gating, is_red, unusable

ERROR = Diagnostic("a.py", 1, "error", "bad")
WARNING = Diagnostic("a.py", 1, "warning", "hm")


def measured(status: SignalStatus, *found: Diagnostic, kind: str = "compiler", **expect: Json) -> Measurement:
    spec = SignalSpec("lint", SignalKind(kind), ("lint",), expect=expect)
    return Measurement(spec, (SignalRun(status, 1.0, 0, diagnostics=found, output="a.py:1: bad"),))


@pytest.mark.parametrize(
    ("measurement", "red"),
    [
        (measured(SignalStatus.FAIL, ERROR), True),
        (measured(SignalStatus.PASS, ERROR), True),
        (measured(SignalStatus.PASS, WARNING), False),
        (measured(SignalStatus.PASS, WARNING, new="warning"), True),
        (measured(SignalStatus.PASS), False),
        (measured(SignalStatus.PASS, ERROR, kind="command"), False),
    ],
)
def test_a_linter_is_red_with_its_errors_whatever_its_exit_code(measurement: Measurement, red: bool) -> None:
    assert is_red(measurement) is red


def test_the_builder_gets_what_a_linter_says_that_ends_with_zero() -> None:
    assert first_output([measured(SignalStatus.PASS), measured(SignalStatus.PASS, ERROR)]) == "a.py:1: bad"


def test_signals_that_only_reject_or_report_give_nothing_to_work_against() -> None:
    reject = Measurement(SignalSpec("todo", SignalKind.COMMAND, ("grep",), reject=True), ())
    report = Measurement(SignalSpec("lint", SignalKind.COMPILER, ("ruff",), priority=Priority.SHOULD), ())
    assert gating((reject, report)) == ()
    assert "no signal can prove a fix" in unusable(gating((reject, report)))
