"""The kind `command`: what exit codes and output patterns mean."""

from __future__ import annotations

import pytest

from perstack.core.json import JsonObject
from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalKind, SignalSpec, SignalStatus
from perstack.signals.command import judge_command


def judge(result: ExecResult, **expect: object) -> tuple[SignalStatus, str]:
    wanted: JsonObject = expect  # type: ignore[assignment]
    run = judge_command(SignalSpec("lint", SignalKind.COMMAND, ("lint", "."), expect=wanted), result)
    return run.status, run.problem_code


def result(exit_code: int = 0, stdout: bytes = b"", stderr: bytes = b"") -> ExecResult:
    return ExecResult(exit_code, stdout, stderr, 0.5)


@pytest.mark.parametrize(
    ("done", "expect", "status"),
    [
        (result(0), {}, SignalStatus.PASS),
        (result(1), {}, SignalStatus.FAIL),
        (result(3), {"exit": 3}, SignalStatus.PASS),
        (result(3), {"exit": [0, 3]}, SignalStatus.PASS),
        (result(0), {"exit": 1}, SignalStatus.FAIL),
        (result(0, b"0 errors\nok\n"), {"stdout": "^ok$"}, SignalStatus.PASS),
        (result(0, b"not ok\n"), {"stdout": "^ok$"}, SignalStatus.FAIL),
        (result(0, b"ok", b"\xff warn"), {"stderr": "warn"}, SignalStatus.PASS),
        (result(1, b"ok"), {"stdout": "ok"}, SignalStatus.FAIL),
    ],
)
def test_exit_code_and_patterns_decide(done: ExecResult, expect: dict[str, object], status: SignalStatus) -> None:
    assert judge(done, **expect) == (status, "")


def test_what_did_not_finish_or_start_is_an_error_that_says_so() -> None:
    assert judge(ExecResult(124, b"", b"", 300.0, timed_out=True)) == (SignalStatus.ERROR, "timed-out")
    assert judge(ExecResult(0, b"x", b"", 1.0, truncated=True)) == (SignalStatus.ERROR, "output-limit")
    assert judge(result(127)) == (SignalStatus.ERROR, "signal-error")
    assert judge(result(127), exit=127) == (SignalStatus.PASS, "")


def test_long_output_keeps_its_head_and_tail() -> None:
    spec = SignalSpec("lint", SignalKind.COMMAND, ("lint",))
    output = judge_command(spec, result(1, b"first\n" + b"x" * 100_000 + b"\nlast")).output
    assert output.startswith("first")
    assert output.endswith("last")
    assert "characters left out" in output
    assert len(output) < 20_000
