"""Running a job again against its own record: nothing differs, unless runtime, experts or record have changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perstack.core.contracts import Tell
from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.events import Event
from perstack.core.experts import Expert
from perstack.core.json import Json
from perstack.core.messages import ModelReply, StopReason
from perstack.core.storage import LogContents
from perstack.runtime.fold import fold as fold_of
from perstack.runtime.log import redacted
from perstack.runtime.replay import ReplayReport
from perstack.runtime.replay_rerun import rerun
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench
from tests.runtime.test_team_runs import CONFIG, Scene

pytestmark = pytest.mark.anyio

TEAM = experts(expert("a", "I am A.", delegates=("b", "c")), expert("b", "I am B."), expert("c", "I am C."))
SECRET = "password-1234567"


async def recorded(team: dict[str, Expert] = TEAM) -> tuple[Event, ...]:
    script = [reply(calls=[("write", {}), ("look", {})]), reply(calls=[("b", {"query": "q"}), ("c", {"query": "r"})]),
              done("x"), done("y"), done("z")]  # fmt: skip
    bench = Bench(script, skill=FunctionSkill({"look": lambda _: "seen", "write": lambda _: "ok"}, read_only=("look",)))
    await bench.run(team["a"], experts=team)
    return tuple(event for event in bench.events if "tream" not in event.type)


def number_of(events: tuple[Event, ...], kind: str) -> int:
    return next(number for number, event in enumerate(events) if event.type == kind)


async def replayed(events: tuple[Event, ...], team: Mapping[str, Expert] = TEAM) -> ReplayReport:
    return await rerun(LogContents(events), team)


async def test_a_job_comes_out_as_it_did() -> None:
    report = await replayed(await recorded())
    assert report.ok
    assert report.runs == 3


@pytest.mark.slow
async def test_every_beginning_of_a_record_is_followed_to_its_end() -> None:
    events = await recorded()
    for length in range(number_of(events, "startRun") + 1, len(events)):
        report = await replayed(events[:length])
        assert report.difference is None, f"after {length} events: {report.difference}"


async def test_a_changed_instruction_is_the_first_difference() -> None:
    team = {**TEAM, "b": replace(TEAM["b"], instruction="I am somebody else.")}
    events = await recorded()
    difference = (await replayed(events, team)).difference
    assert difference is not None
    line = next(n for n, event in enumerate(events) if event.type == "startRun" and event.expert_key == "b") + 2
    assert (difference.line, difference.event) == (line, "startRun")
    assert difference.where == "inputMessages[0].contents[0].text"
    assert "somebody else" in str(difference.replayed)


@pytest.mark.parametrize(
    ("kind", "change", "where"),
    [
        ("callTools", {"usage": {}}, "usage"),
        ("completeRun", {"text": "something else"}, "text"),
        ("stopRunByDelegate", {"step": {"stepNumber": 9}}, "step"),
    ],
)
async def test_a_changed_record_comes_out_otherwise(kind: str, change: dict[str, Any], where: str) -> None:
    events = await recorded()
    number = number_of(events, kind)
    changed = replace(events[number], payload={**events[number].payload, **change})
    difference = (await replayed((*events[:number], changed, *events[number + 1 :]))).difference
    assert difference is not None
    assert difference.line >= number + 2
    assert where in difference.where


async def test_an_expert_that_is_gone_is_said() -> None:
    with pytest.raises(UserError, match="run by the expert `a`, which is not defined"):
        await replayed(await recorded(), {})


async def test_a_run_that_somebody_went_on_with_after_a_crash_is_followed_to_the_crash() -> None:
    bench = Bench([reply(calls=[("look", {})]), done("x"), done("y")], skill=FunctionSkill({"look": lambda _: "seen"}))
    await bench.run()
    stored = [event for event in bench.events if "tream" not in event.type]
    crashed = stored[: number_of(tuple(stored), "continueToNextStep")]
    again = Bench([done("z")], skill=FunctionSkill({"look": lambda _: "seen"}))
    again.collect.events.extend(crashed)
    from_log = again.request(query="And now?")
    await again.runner.proceed(from_log, fold_of(crashed))
    events = tuple(event for event in again.events if "tream" not in event.type)
    assert (await replayed(events, experts(expert()))).difference is None


def dies(_: Mapping[str, Json]) -> str:
    raise SandboxUnavailable("the sandbox is gone")


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        ([reply(calls=[("look", {}), ("write", {}), ("die", {})])], "the sandbox is gone"),
        ([reply(calls=[("b", {"query": "q"})]), reply(calls=[("die", {})])], "stoppedByDelegate"),
        ([reply()] * 3, "Max retries (2) exceeded: No tool call or text generated"),
        ([reply("half", stop=StopReason.LENGTH)] * 3, "Max retries (2) exceeded: Generation length exceeded"),
        ([reply("no", stop=StopReason.REFUSAL)] * 3, "Max retries (2) exceeded: The model refused: no"),
        ([reply(stop=StopReason.REFUSAL)] * 3, "Max retries (2) exceeded: The model refused: no reason given"),
        ([], "the script has 0 replies; reply 1 was asked for"),
        ([reply(calls=[("look", {})])] * 6, "stoppedByExceededMaxSteps"),
        ([reply(calls=[("look", {})])] * 5 + [reply(calls=[("b", {"query": "q"})])], "stoppedByExceededMaxSteps"),
        ([reply(calls=[("b", {"query": "q"})]), done("x"), done("y")], "completed"),
    ],
)
async def test_however_a_job_ends_it_ends_so_again(script: list[ModelReply], ending: str) -> None:
    skill = FunctionSkill({"look": lambda _: "seen", "write": lambda _: "ok", "die": dies}, read_only=("look",))
    bench = Bench(script, skill=skill, child_skills={"b": FunctionSkill({"die": dies})})
    with contextlib.suppress(SandboxUnavailable):
        await bench.run(TEAM["a"], experts=TEAM, max_steps=6, max_retries=2)
    events = tuple(event for event in bench.events if "tream" not in event.type)
    run = fold_of(events).latest_run()
    assert run is not None
    assert ending in (run.error.message if run.error else run.status)
    report = await replayed(events)
    assert report.difference is None, str(report.difference)


async def test_a_delegate_that_could_not_start_does_not_start_again() -> None:
    class Broken(FunctionSkill):
        async def open(self, tell: Tell) -> None:
            raise UserError("no such server")

    bench = Bench([reply(calls=[("b", {"query": "q"})]), done("ok")], child_skills={"b": Broken()})
    await bench.run(TEAM["a"], experts=TEAM)
    assert "no such server" in str(bench.collect.first("stopRunByError").payload)
    events = tuple(event for event in bench.events if "tream" not in event.type)
    report = await replayed(events)
    assert report.difference is None, str(report.difference)


async def test_an_end_that_the_runtime_does_not_come_to_is_a_difference() -> None:
    events = await recorded()
    number = max(n for n, event in enumerate(events) if event.type == "completeRun")
    payload = {**events[number].payload, "error": {"name": "Bad", "message": "luck"}}
    changed = replace(events[number], type="stopRunByError", payload=payload)
    difference = (await replayed((*events[:number], changed))).difference
    assert difference is not None
    assert difference.line == number + 2


async def test_a_job_that_made_an_expert_makes_it_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.bench.run(CONFIG.experts["lead"], **scene.request)
    report = await replayed(tuple(event for event in scene.bench.events if "tream" not in event.type), CONFIG.experts)
    assert report.difference is None, str(report.difference)
    assert report.runs == 2


async def test_what_was_redacted_on_record_is_no_difference() -> None:
    team = {"a": expert("a", f"Use {SECRET}.")}
    bench = Bench([done("x")])
    await bench.run(team["a"], experts=team)
    hide = lambda text: text.replace(SECRET, "[redacted]")  # noqa: E731
    events = tuple(replace(e, payload=redacted(e.payload, hide)) for e in bench.events if "tream" not in e.type)
    assert (await rerun(LogContents(events), team)).difference is not None
    assert (await rerun(LogContents(events), team, redact=hide)).ok
