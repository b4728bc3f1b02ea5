"""One finished compiler as a run: exit code, diagnostics, what people are shown."""

from __future__ import annotations

import pytest

from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalKind, SignalRun, SignalSpec, SignalStatus
from perstack.signals.compiler import judge_compiler
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.tools import Form

TSC = "src/a.ts(1,2): error TS2322: no\n/tree/node_modules/typescript/lib/lib.d.ts\n/tree/src/a.ts\n/tree/src/b.ts\n"


def judge(tool: str, stdout: str, exit_code: int, form: str = "text", **fields: object) -> SignalRun:
    spec = SignalSpec("x", SignalKind.COMPILER, ("x",), tool=tool)
    result = ExecResult(exit_code, stdout.encode(), b"", 0.1, **fields)  # type: ignore[arg-type]
    return judge_compiler(spec, Form((), form), result, Places("/tree", ".", lambda path: True))


def test_a_list_of_files_is_coverage_and_not_shown_to_people() -> None:
    run = judge("tsc", TSC, 2)
    assert run.status is SignalStatus.FAIL
    assert run.coverage.units == ("src/a.ts", "src/b.ts")
    assert run.output == "src/a.ts:1:2: error: no [TS2322]"


def test_a_structured_form_is_shown_as_lines() -> None:
    row = '{"file": "a.py", "line": 1, "column": 0, "message": "no", "code": "c", "severity": "error"}\n'
    assert judge("mypy", row, 1, "json").output == "a.py:1:1: error: no [c]"
    many = judge("mypy", row * 150, 1, "json").output.splitlines()
    assert (len(many), many[-1]) == (101, "[… 50 more …]")


def test_output_that_says_nothing_is_shown_as_it_is() -> None:
    assert judge("tsc", "Segmentation fault\n", 139).output == "Segmentation fault\n"
    assert judge("ruff", "panicked\n", 2, "json").output == "panicked\n"


@pytest.mark.parametrize(
    ("tool", "stdout", "exit_code", "fields", "code"),
    [
        ("mypy", "", 1, {"timed_out": True}, "timed-out"),
        ("mypy", "", 127, {}, "signal-error"),
        ("ruff", "[]", 0, {"truncated": True}, "output-limit"),
        ("ruff", "", 0, {}, "report-missing"),
        ("ruff", '[{"filename": "a.py", ', 1, {}, "report-invalid"),
        ("mypy", "", 0, {}, ""),
        ("mypy", "", 2, {}, "report-missing"),
        ("cargo", '{"reason": "compiler-artifact"}\n', 0, {}, "report-missing"),
        ("sarif", "{}", 0, {}, "report-missing"),
        ("none", "whatever", 1, {}, ""),
        ("auto", "whatever", 1, {}, ""),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_run(
    tool: str, stdout: str, exit_code: int, fields: dict[str, object], code: str
) -> None:
    form = "json" if tool in {"mypy", "ruff", "cargo"} else "text"
    run = judge(tool, stdout, exit_code, form, **fields)
    assert run.problem_code == code
    assert (run.status is SignalStatus.ERROR) is bool(code)
    assert run.diagnostics == ()


def test_a_reject_signal_is_its_exit_code() -> None:
    spec = SignalSpec("x", SignalKind.COMPILER, ("x",), tool="ruff", reject=True)
    run = judge_compiler(spec, Form((), "json"), ExecResult(0, b"", b"", 0.1), Places("/tree", ".", lambda path: True))
    assert (run.status, run.problem_code) == (SignalStatus.PASS, "")
