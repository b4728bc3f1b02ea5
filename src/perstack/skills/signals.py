"""The tool `runSignals`: shows an expert what the harness's protocol says. It can never change the verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from perstack.core.json import Json, compact
from perstack.core.signals import TestCase
from perstack.core.verdict import Report, SignalReport
from perstack.skills.single import DataSkill
from perstack.skills.tool import Answer, Arguments, Tool
from perstack.skills.truncation import MAX_OUTPUT

SKILL_NAME = "perstack/signals"
_FAILURES_SHOWN = (20, 5, 0)
_MESSAGE = 1000


class RunSignalsSkill(DataSkill):
    """One tool without arguments. `run` is the harness's own verification of the current candidate."""

    def __init__(self, run: Callable[[], Awaitable[Report]]) -> None:
        words = (
            "Runs the harness's verification protocol on the change and returns its verdict, the reasons, and "
            "every signal. The verdict is final: nothing you do changes it."
        )
        super().__init__(Tool("runSignals", words, self._answer), SKILL_NAME)
        self._run = run

    async def _answer(self, _: Arguments) -> Answer:
        report = await self._run()
        answers = (_payload(report, shown) for shown in _FAILURES_SHOWN)
        return Answer(next((one for one in answers if len(compact(one)) <= MAX_OUTPUT), _verdict_only(report)))


def _payload(report: Report, shown: int) -> dict[str, Json]:
    """The report as the model gets it; at most `shown` of each long list, with how many there are."""
    return {
        **_verdict_only(report),
        "reasons": [reason.to_json() for reason in report.reasons[: max(shown, 5)]],
        "policy": [finding.to_json() for finding in report.policy[: max(shown, 5)]],
        "signals": [_signal(signal, shown) for signal in report.signals],
    }


def _verdict_only(report: Report) -> dict[str, Json]:
    return {
        "verdict": report.verdict.value,
        "counts": {"reasons": len(report.reasons), "policy": len(report.policy), "signals": len(report.signals)},
    }


def _signal(signal: SignalReport, shown: int) -> dict[str, Json]:
    full = dict(signal.to_json())
    full["diagnostics"] = [diagnostic.to_json() for diagnostic in signal.diagnostics[:shown]]
    full["failures"] = [_failure(case) for case in signal.failures[:shown]]
    if signal.tests is not None:
        tests = signal.tests.to_json()
        full["tests"] = {
            key: value[: max(shown, 5)] if isinstance(value, list) else value for key, value in tests.items()
        }
        full["testCounts"] = {key: len(value) for key, value in tests.items() if isinstance(value, list) and value}
    return full


def _failure(case: TestCase) -> dict[str, Json]:
    message = case.message[:_MESSAGE]
    return {"id": case.id, "status": case.status.value, "message": message, "path": case.path, "line": case.line}
