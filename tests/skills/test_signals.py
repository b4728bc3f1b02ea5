"""`runSignals` shows the harness's verdict as it is, and cannot change it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from perstack.core.errors import SandboxUnavailable
from perstack.core.messages import ToolCall
from perstack.core.signals import Priority, SignalKind, SignalStatus, TestCase, TestDelta, TestStatus
from perstack.core.verdict import Reason, ReasonCode, Report, SignalReport, Verdict
from perstack.skills.signals import RunSignalsSkill

pytestmark = pytest.mark.anyio

CASE = TestCase("tests/test_x.py::test_y", TestStatus.FAILED, message="assert 1 == 2", path="tests/test_x.py", line=3)
SIGNAL = SignalReport(
    name="tests",
    kind=SignalKind.TEST,
    priority=Priority.MUST,
    status=SignalStatus.FAIL,
    baseline=SignalStatus.FAIL,
    runs=2,
    seconds=1.5,
    tests=TestDelta(still_failing=(CASE.id,), pass_to_pass=41),
    failures=(CASE,),
)
REPORT = Report(
    verdict=Verdict.FAIL,
    reasons=(Reason(ReasonCode.STILL_FAILING, CASE.id, "tests"),),
    signals=(SIGNAL,),
    remarks=("what the builder said",),
)


class Harness:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.runs = 0

    async def __call__(self) -> Report:
        self.runs += 1
        return self.report


async def call(report: Report) -> str:
    result = await RunSignalsSkill(Harness(report)).call(ToolCall("c", "runSignals", {}))
    assert not result.is_error
    return result.text


async def test_the_report_is_shown_as_json() -> None:
    answer = json.loads(await call(REPORT))

    assert answer["verdict"] == "fail"
    assert answer["reasons"] == [{"code": "still-failing", "signal": "tests", "detail": CASE.id}]
    [signal] = answer["signals"]
    assert (signal["name"], signal["status"], signal["tests"]["pass_to_pass"]) == ("tests", "fail", 41)
    assert signal["failures"][0]["message"] == "assert 1 == 2"


async def test_nobody_elses_words_are_in_it() -> None:
    assert "builder said" not in await call(REPORT)


async def test_a_huge_report_stays_json_and_keeps_the_verdict_and_the_counts() -> None:
    many = tuple(replace(CASE, id=f"t::{number}", message="m" * 5000) for number in range(3000))
    delta = TestDelta(still_failing=tuple(case.id for case in many), broken=tuple("b" * 200 for _ in range(3000)))
    report = replace(
        REPORT,
        reasons=tuple(Reason(ReasonCode.STILL_FAILING, case.id, "tests") for case in many),
        signals=(replace(SIGNAL, failures=many, tests=delta),),
    )

    text = await call(report)

    answer = json.loads(text)
    assert len(text) <= 30_000
    assert answer["verdict"] == "fail"
    assert answer["counts"]["reasons"] == 3000
    assert answer["signals"][0]["testCounts"] == {"still_failing": 3000, "broken": 3000}


async def test_the_tool_has_no_arguments_and_runs_the_harness_once_a_call() -> None:
    harness = Harness(REPORT)
    skill = RunSignalsSkill(harness)

    [definition] = await skill.definitions()
    refused = await skill.call(ToolCall("c", "runSignals", {"verdict": "pass"}))
    await skill.call(ToolCall("c", "runSignals", {}))

    assert definition.input_schema["properties"] == {}
    assert refused.is_error
    assert harness.runs == 1


async def test_a_broken_sandbox_is_not_shown_as_a_verdict() -> None:
    async def broken() -> Report:
        raise SandboxUnavailable("the sandbox died")

    with pytest.raises(SandboxUnavailable):
        await RunSignalsSkill(broken).call(ToolCall("c", "runSignals", {}))
