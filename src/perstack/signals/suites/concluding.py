"""From what test programs said to one run of a signal. Judges nothing: that is `compare.py`."""

from __future__ import annotations

import time
from collections.abc import Mapping

from perstack.core.signals import SignalRun, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.suites.contract import SuiteRun
from perstack.signals.suites.programs import Tally

_RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})
_SHOWN = 20


def concluded(tally: Tally, broken: Mapping[str, TestCase], *, started: float) -> SuiteRun:
    """The run. `broken` are files whose tests could not be built; `started` is a moment of the monotonic clock."""
    if tally.problem:
        return failed(tally.problem, tally.code, started=started, output=tally.output)
    tests = {**tally.tests, **broken}
    red = [case for case in tests.values() if case.status in _RED]
    text = "\n".join(f"{case.status.value.upper()} {case.id}\n{case.message}" for case in red[:_SHOWN])
    status = SignalStatus.FAIL if red else SignalStatus.PASS
    return SuiteRun(SignalRun(status, time.monotonic() - started, exit_code=int(bool(red)), tests=tests, output=text))


def failed(problem: str, code: ReasonCode, *, started: float, output: str = "") -> SuiteRun:
    """A run that proves nothing."""
    seconds = time.monotonic() - started
    return SuiteRun(SignalRun(SignalStatus.ERROR, seconds, problem=problem, problem_code=code.value, output=output))
