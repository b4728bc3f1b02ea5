"""What doctor found: one thing that is well, worth knowing, or wrong, and what to change. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from perstack.core.errors import ExitCode, PerstackError
from perstack.core.json import JsonObject
from perstack.forge.workflow import workflow_command


class State(StrEnum):
    """How it stands. Only `problem` keeps a job from working."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


_SIGNS = {State.OK: "✓", State.NOTE: "·", State.WARNING: "!", State.PROBLEM: "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at; `hint` says what to change. `code` is what a problem makes of the exit code."""

    check: str
    state: State
    message: str
    hint: str = ""
    code: ExitCode = ExitCode.INFRASTRUCTURE
    data: JsonObject | None = None  # for programs only


def well(check: str, message: str) -> Finding:
    """Nothing to change."""
    return Finding(check, State.OK, message)


def failed(check: str, error: PerstackError, state: State = State.PROBLEM) -> Finding:
    """What an error says."""
    return Finding(check, state, error.message, error.hint, error.exit_code)


def exit_code(findings: Sequence[Finding]) -> ExitCode:
    """0 without problems, 4 where machinery does not work, else 2: something written or passed is wrong."""
    codes = {finding.code for finding in findings if finding.state is State.PROBLEM}
    return max(codes, default=ExitCode.OK)


def lines(findings: Sequence[Finding]) -> tuple[str, ...]:
    """For people: a line a finding, and what to change below it."""
    width = max((len(finding.check) for finding in findings), default=0)
    told: list[str] = []
    for finding in findings:
        told.append(f"{_SIGNS[finding.state]} {finding.check.ljust(width)}  {finding.message}")
        told += [f"  {' ' * width}  → {hint}" for hint in finding.hint.splitlines() if hint]
    return tuple(told)


def log_warnings(findings: Sequence[Finding]) -> tuple[str, ...]:
    """For a job log: a warning for each finding that somebody should read."""
    return tuple(
        workflow_command(
            "warning", "\n".join(filter(None, (finding.message, finding.hint))), {"title": f"Perstack: {finding.check}"}
        )
        for finding in findings
        if finding.state in {State.WARNING, State.PROBLEM}
    )


def document(findings: Sequence[Finding]) -> JsonObject:
    """For programs: `perstack doctor --format json`."""
    return {
        "ok": exit_code(findings) == ExitCode.OK,
        "findings": [
            {
                "check": each.check,
                "state": each.state.value,
                "message": each.message,
                "hint": each.hint,
                **({"data": each.data} if each.data is not None else {}),
            }
            for each in findings
        ],
    }
