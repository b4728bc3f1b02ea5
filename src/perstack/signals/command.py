"""The signal kind `command`: an exit code and, where wanted, patterns in the output."""

from __future__ import annotations

import re
from collections.abc import Mapping

from perstack.core.json import Json
from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import ReasonCode

OUTPUT_LIMIT = 4_000_000
_KEEP_HEAD = 4_000
_KEEP_TAIL = 12_000
_MISSING_PROGRAM = 127


def judge_command(spec: SignalSpec, result: ExecResult, *, limit: int = OUTPUT_LIMIT) -> SignalRun:
    """What one finished command means for its signal. A time-out or output cut at `limit` bytes is never green."""
    code, problem = _problem(spec, result, limit)
    if problem:
        return SignalRun(
            SignalStatus.ERROR,
            result.seconds,
            exit_code=result.exit_code,
            output=kept_output(result),
            problem=problem,
            problem_code=code,
        )
    wanted = spec.expect.get("exit", 0)
    codes = wanted if isinstance(wanted, list | tuple) else [wanted]
    green = result.exit_code in codes and all(
        _matches(spec.expect, name, stream) for name, stream in (("stdout", result.stdout), ("stderr", result.stderr))
    )
    return SignalRun(
        SignalStatus.PASS if green else SignalStatus.FAIL,
        result.seconds,
        exit_code=result.exit_code,
        output=kept_output(result),
    )


def _problem(spec: SignalSpec, result: ExecResult, limit: int) -> tuple[str, str]:
    if result.timed_out:
        return ReasonCode.TIMED_OUT.value, f"`{spec.run[0]}` was stopped after {spec.timeout_s:g} s"
    if result.exit_code == _MISSING_PROGRAM and spec.expect.get("exit", 0) != _MISSING_PROGRAM:
        return ReasonCode.SIGNAL_ERROR.value, f"`{spec.run[0]}` is not in the sandbox, or could not start a program"
    if result.truncated:
        return ReasonCode.OUTPUT_LIMIT.value, f"`{spec.run[0]}` wrote more than {limit} bytes"
    return "", ""


def _matches(expect: Mapping[str, Json], name: str, stream: bytes) -> bool:
    """Whether a pattern is found in a stream; no pattern is always found."""
    pattern = expect.get(name)
    if not isinstance(pattern, str) or not pattern:
        return True
    return re.search(pattern, stream.decode("utf-8", "replace"), re.MULTILINE) is not None


def kept_output(result: ExecResult) -> str:
    """Head and tail of both streams as text."""
    text = result.text()
    if len(text) <= _KEEP_HEAD + _KEEP_TAIL:
        return text
    left_out = len(text) - _KEEP_HEAD - _KEEP_TAIL
    return f"{text[:_KEEP_HEAD]}\n[… {left_out} characters left out …]\n{text[-_KEEP_TAIL:]}"
