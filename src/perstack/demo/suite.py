"""Run the demo project's suite in a sandbox session, to see whether a bug shows. Gives no verdict."""

from __future__ import annotations

import re
from pathlib import Path

from perstack.core.contracts import Session
from perstack.core.signals import TestCase, TestStatus
from perstack.demo.inject import RunTests, SuiteOutcome

_SUMMARY = re.compile(r"^(FAILED|ERROR) (\S+?(?:\[[^\n]*?\])?)(?: - (.*))?$", re.MULTILINE)
_OPTIONS = ("-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "--color=no")


def session_runner(session: Session, python: str = "python3", timeout_s: float = 30.0) -> RunTests:
    """A runner for `inject_bug` over a session whose workspace is the project.

    It raises SandboxUnavailable when the session died.
    """

    async def run(_project: Path) -> SuiteOutcome:
        argv = (python, "-m", "pytest", *_OPTIONS)
        env = {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}
        result = await session.run(argv, env=env, timeout_s=timeout_s)
        return read_summary(result.stdout.decode("utf-8", errors="replace"), result.exit_code)

    return run


def read_summary(text: str, exit_code: int) -> SuiteOutcome:
    """Failing tests from pytest's short summary; exit codes other than 0 and 1 mean that it could not run."""
    found = _SUMMARY.findall(text)
    errors = any(word == "ERROR" for word, _, _ in found)
    cases = tuple(
        TestCase(name, TestStatus.FAILED, message=message) for word, name, message in found if word == "FAILED"
    )
    return SuiteOutcome(cases, broken=errors or exit_code not in (0, 1))
