"""Folding a log anew finds the first event that says something else than the events before it add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from perstack.core.events import Event
from perstack.core.storage import LogContents
from perstack.runtime.replay import check
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

TEAM = experts(expert("a", "I am A.", delegates=("b", "c")), expert("b", "I am B."), expert("c", "I am C."))


async def recorded() -> list[Event]:
    script = [reply(calls=[("look", {})]), reply(), reply(calls=[("b", {"query": "q"}), ("c", {"query": "r"})]),
              done("x"), done("y"), done("z")]  # fmt: skip
    bench = Bench(script, skill=FunctionSkill({"look": lambda _: "seen"}))
    await bench.run(TEAM["a"], experts=TEAM)
    return [event for event in bench.events if "tream" not in event.type]


def changed(events: list[Event], kind: str, change: Mapping[str, Any]) -> tuple[LogContents, int]:
    """The log with the last event of a type changed, and that event's line."""
    number = max(n for n, event in enumerate(events) if event.type == kind)
    payload = dict(events[number].payload)
    for key, value in change.items():
        inner: Any = payload.get(key)
        payload[key] = {**inner, **value} if isinstance(inner, dict) else value
    return LogContents((*events[:number], replace(events[number], payload=payload), *events[number + 1 :])), number + 2


async def test_a_log_as_it_was_written_replays() -> None:
    report = check(LogContents(tuple(await recorded())))
    assert report.ok
    assert (report.runs, report.checkpoints) == (3, 7)


@pytest.mark.parametrize(
    ("kind", "change", "where"),
    [
        ("continueToNextStep", {"checkpoint": {"messageCount": 9}}, "checkpoint.messageCount"),
        ("continueToNextStep", {"checkpoint": {"status": "completed"}}, "checkpoint.status"),
        ("continueToNextStep", {"checkpoint": {"usage": {"inputTokens": 1}}}, "checkpoint.usage"),
        ("continueToNextStep", {"checkpoint": {"stepNumber": 7}}, "checkpoint.stepNumber"),
        ("continueToNextStep", {"nextCheckpoint": {"stepNumber": 7}}, "nextCheckpoint.stepNumber"),
        ("completeRun", {"checkpoint": {"runId": "other"}}, "checkpoint.runId"),
        ("completeRun", {"checkpoint": {"usage": {"outputTokens": 4000}}}, "checkpoint.usage"),
        ("stopRunByDelegate", {"checkpoint": {"partialToolResults": [{"id": "call_9"}]}}, "partialToolResults"),
        ("startGeneration", {"messageCount": 0}, "messageCount"),
    ],
)
async def test_the_first_fact_that_does_not_fit_is_told_with_its_line(
    kind: str, change: Mapping[str, Any], where: str
) -> None:
    contents, line = changed(await recorded(), kind, change)
    difference = check(contents).difference
    assert difference is not None
    assert difference.line == line
    assert where in difference.where
    assert f"line {line}: {kind}: " in str(difference)


async def test_an_event_that_cannot_follow_is_told_with_its_line() -> None:
    events = await recorded()
    number = next(n for n, event in enumerate(events) if event.type == "callTools")
    difference = check(LogContents((*events[:number], *events[number + 1 :]))).difference
    assert difference is not None
    assert difference.line == number + 2
    assert "cannot happen in state GeneratingToolCall" in str(difference)


async def test_damage_of_the_log_is_no_success_and_a_cut_last_line_is_no_damage() -> None:
    events = tuple(await recorded())
    assert not check(LogContents(events, problem="e.jsonl:9: the line was changed", line=9)).ok
    assert check(LogContents(events, problem="e.jsonl:9: cut off", line=9, truncated=True)).ok
