"""The life of a run's skills: when they open and close, and what happens when their tools change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import pytest

from perstack.core.contracts import Skill, Tell
from perstack.core.errors import InfrastructureError, UserError
from perstack.core.events import Event
from perstack.core.experts import Expert
from perstack.core.json import Json
from perstack.core.messages import ModelReply, ModelRequest, ToolMessage
from perstack.runtime import equipment
from perstack.testing import Collect, FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio


class Broken(FunctionSkill):
    """A skill that does not start."""

    async def open(self, tell: Tell) -> None:
        raise UserError("skill `broken` needs a key")


def growing(name: str, tools: dict[str, object]) -> FunctionSkill:
    """A skill whose tool `learn` adds more tools to it, all answering `ok`."""
    skill = FunctionSkill({}, name=name)

    def learn(_: Mapping[str, Json]) -> str:
        skill._tools.update({tool: lambda _: "ok" for tool in tools})
        return "learnt"

    skill._tools["learn"] = learn
    return skill


def making(*skills: FunctionSkill, log: list[str] | None = None) -> Bench:
    """A bench whose runner makes these skills for every expert."""

    async def skills_for(who: Expert) -> tuple[Skill, ...]:
        if log is not None:
            log.append(who.key)
        return skills

    return Bench([reply(calls=[("learn", {})]), done("ok")], skills_for=skills_for)


def offered(bench: Bench) -> list[list[str]]:
    return [[tool.name for tool in request.tools] for request in bench.scripted().requests]


async def test_a_run_that_brings_no_skills_gets_its_own_and_they_end_with_it() -> None:
    skill, log = growing("more", {}), list[str]()
    bench = making(FunctionSkill(), skill, log=log)
    assert (await bench.run(skills=())).status == "completed"
    assert log == ["tester"]
    assert skill.closed
    types = bench.collect.types("initializeRuntime", "skillConnected", "startRun", "completeRun", "skillDisconnected")
    assert types == [
        "initializeRuntime", "skillConnected", "skillConnected", "startRun", "completeRun",
        "skillDisconnected", "skillDisconnected",
    ]  # fmt: skip


async def test_skills_of_the_caller_are_opened_and_stay_open() -> None:
    bench = Bench([done("ok")])
    await bench.run()
    assert bench.collect.types("skillConnected", "skillDisconnected") == ["skillConnected"]
    assert not bench.skill.closed
    await bench.skill.close()
    assert bench.collect.types()[-1] == "skillDisconnected"


async def test_skills_of_a_run_that_waits_for_a_delegate_stay_open() -> None:
    team = experts(expert("a", "I am A.", delegates=("b",)), expert("b", "I am B."))
    made: dict[str, FunctionSkill] = {}
    states: list[bool] = []

    async def skills_for(who: Expert) -> tuple[Skill, ...]:
        made[who.key] = FunctionSkill()
        return (made[who.key],)

    def script(request: ModelRequest) -> ModelReply:
        if "I am B." in request.system:
            states.append(made["a"].closed)
            return done("B")
        states.extend(skill.closed for skill in made.values())
        return done("A") if len(request.messages) > 1 else reply(calls=[("b", {"query": "q"})])

    bench = Bench(script, skills_for=skills_for)
    await bench.run(team["a"], experts=team, skills=())
    assert states == [False, False, False, True]
    kinds = ("stopRunByDelegate", "skillDisconnected", "startRun", "completeRun")
    assert bench.collect.types(*kinds) == [
        "startRun", "stopRunByDelegate", "startRun", "completeRun", "skillDisconnected",
        "startRun", "completeRun", "skillDisconnected",
    ]  # fmt: skip
    last = [event for event in bench.events if event.type == "completeRun"][-1]
    assert bench.events[-1].run_id == last.run_id, "what a skill tells belongs to the segment under way"


async def test_a_skill_that_does_not_start_ends_the_run_and_closes_the_others() -> None:
    good = FunctionSkill()
    bench = making(good, Broken(name="broken"))
    with pytest.raises(UserError, match="needs a key"):
        await bench.run(skills=())
    assert good.closed
    assert bench.collect.types("startRun", "stopRunByError") == ["startRun", "stopRunByError"]
    assert bench.scripted().requests == []


async def test_a_skill_that_cannot_close_or_never_does_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(FunctionSkill):
        async def close(self) -> None:
            await anyio.sleep_forever()

    class Failing(FunctionSkill):
        async def close(self) -> None:
            raise InfrastructureError("still busy")

    monkeypatch.setattr(equipment, "CLOSING_S", 0.05)
    bench = making(FunctionSkill({"learn": lambda _: "ok"}), Stuck(name="stuck"), Failing(name="failing"))
    with anyio.fail_after(5):
        assert (await bench.run(skills=())).status == "completed"
    assert bench.collect.first("skillStderr").payload == {
        "skillName": "failing",
        "message": "cannot close: still busy",
    }


async def test_a_cancelled_run_closes_its_skills() -> None:
    called = anyio.Event()

    async def wait(_: Mapping[str, Json]) -> str:
        called.set()
        await anyio.sleep_forever()
        return ""

    skill = FunctionSkill({"learn": wait})
    bench = making(skill)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: bench.run(skills=()))
            await called.wait()
            group.cancel_scope.cancel()
    assert skill.closed


async def test_tools_that_a_skill_gains_are_there_in_the_next_step_at_the_end() -> None:
    bench = making(growing("more", {"fly": 1, "swim": 1}), FunctionSkill({"look": lambda _: "seen"}))
    await bench.run(skills=())
    assert offered(bench) == [
        ["learn", "look", "attemptCompletion"],
        ["learn", "look", "attemptCompletion", "fly", "swim"],
    ]


async def test_the_definitions_object_stays_the_same_while_the_tools_do() -> None:
    bench = making(FunctionSkill({"learn": lambda _: "ok"}))
    await bench.run(skills=())
    first, second = (request.tools for request in bench.scripted().requests)
    assert first is second


async def test_a_lost_tool_is_gone_and_a_call_of_it_is_answered() -> None:
    skill = FunctionSkill({}, name="more")

    def forget(_: Mapping[str, Json]) -> str:
        del skill._tools["look"]
        return "forgotten"

    skill._tools.update({"look": lambda _: "seen", "learn": forget})
    bench = Bench([reply(calls=[("learn", {})]), reply(calls=[("look", {})]), done("ok")])
    assert (await bench.run(skills=(FunctionSkill(), skill))).status == "completed"
    assert offered(bench)[1:] == [["attemptCompletion", "learn"]] * 2
    last = bench.scripted().requests[2].messages[-1]
    assert isinstance(last, ToolMessage)
    assert "Tool look not found" in last.results[0].text


@pytest.mark.parametrize("first", [True, False], ids=["the newcomer comes first", "the holder comes first"])
async def test_a_name_taken_later_stays_with_its_holder_and_is_told_once(first: bool) -> None:
    holder = FunctionSkill({"look": lambda _: "held"}, name="holder")
    newcomer = growing("newcomer", {"look": 1})
    skills: Sequence[FunctionSkill] = (newcomer, holder) if first else (holder, newcomer)
    bench = Bench([reply(calls=[("learn", {})]), reply(calls=[("look", {})]), reply("ok")])
    assert (await bench.run(skills=tuple(skills))).status == "completed"
    assert [call.tool_name for call in holder.called] == ["look"]
    told = [event.payload for event in bench.events if event.type == "skillStderr"]
    assert len(told) == 1
    assert told[0]["skillName"] == "newcomer"
    assert "two tools are named `look`" in str(told[0]["message"])


async def test_a_name_taken_twice_at_the_start_is_an_error() -> None:
    bench = Bench([])
    pair = (FunctionSkill({"look": lambda _: ""}), FunctionSkill({"look": lambda _: ""}, name="other"))
    with pytest.raises(UserError, match="two tools are named `look`"):
        await bench.run(skills=pair)


async def test_a_log_that_cannot_be_written_ends_the_run_with_that_error_and_closes_skills() -> None:
    class Full(Collect):
        def __call__(self, event: Event) -> None:
            if len(self.events) == 12:
                raise InfrastructureError("events.jsonl: cannot be written: No space left on device")
            super().__call__(event)

    skill = FunctionSkill({"learn": lambda _: "ok"})

    async def skills_for(_: Expert) -> tuple[Skill, ...]:
        return (skill,)

    bench = Bench(lambda _: reply(calls=[("learn", {})]), skills_for=skills_for, collect=Full())
    with pytest.raises(InfrastructureError, match="No space left"):
        await bench.run(skills=())
    assert skill.closed
    assert len(bench.events) == 12
