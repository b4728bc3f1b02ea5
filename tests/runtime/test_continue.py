"""Going on with a job that has ended or asked a question."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.experts import BASE_SKILL, Expert, SkillSpec
from perstack.core.json import Json
from perstack.core.messages import ToolMessage, UserMessage
from perstack.runtime.driver import RunOutcome
from perstack.runtime.fold import fold
from perstack.testing import FunctionSkill, done, expert, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

ASKING = expert(
    "a",
    skills={
        BASE_SKILL: SkillSpec(BASE_SKILL),
        "person": SkillSpec("person", "interactiveSkill", tools={"askUser": ("Ask.", '{"type":"object"}')}),
    },
)


async def proceed(bench: Bench, query: str, who: Expert | None = None) -> RunOutcome:
    return await bench.runner.proceed(bench.request(who, query), fold(bench.events))


async def test_a_completed_job_goes_on_with_a_new_message_in_its_history() -> None:
    bench = Bench([reply("First."), reply("Second.")])
    first = await bench.run(query="One?")
    second = await proceed(bench, "Two?")
    assert second.text == "Second."
    assert second.run_id == first.run_id
    request = bench.scripted().requests[1]
    assert len(request.messages) == 3
    assert isinstance(request.messages[2], UserMessage)
    assert "Two?" in str(request.messages[2].contents)
    starts = [event for event in bench.events if event.type == "startRun"]
    assert [event.step_number for event in starts] == [1, 2]
    types = bench.collect.types()
    assert types.index("initializeRuntime", 5) < types.index("startRun", 5)
    assert fold(bench.events).usage == second.usage


async def test_calls_that_an_error_left_open_are_answered_before_the_new_message() -> None:
    def die(_: Mapping[str, Json]) -> str:
        raise SandboxUnavailable("gone")

    bench = Bench([reply(calls=[("exec", {}), ("exec", {})]), reply("ok")], skill=FunctionSkill({"exec": die}))
    with pytest.raises(SandboxUnavailable):
        await bench.run()
    assert (await proceed(bench, "Again.")).text == "ok"
    messages = bench.scripted().requests[1].messages
    assert isinstance(messages[-2], ToolMessage)
    assert [result.is_error for result in messages[-2].results] == [True, True]
    assert isinstance(messages[-1], UserMessage)
    assert fold(bench.events).latest_run() is not None


async def test_questions_are_answered_one_at_a_time() -> None:
    two = reply(calls=[("askUser", {"q": 1}), ("askUser", {"q": 2})])
    bench = Bench([two, done("A")])
    assert (await bench.run(ASKING)).status == "stoppedByInteractiveTool"
    second = await bench.runner.answer(bench.request(ASKING), fold(bench.events), "yes")
    assert second.status == "stoppedByInteractiveTool"
    third = await bench.runner.answer(bench.request(ASKING), fold(bench.events), "no")
    assert (third.status, third.text) == ("completed", "A")
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [result.text for result in last.results] == ["yes", "no"]


async def test_an_open_question_must_be_answered_first() -> None:
    bench = Bench([reply(calls=[("askUser", {})])])
    await bench.run(ASKING)
    with pytest.raises(UserError, match="Interactive tool call result is undefined"):
        await proceed(bench, "Never mind.", ASKING)


async def test_an_answer_needs_a_question() -> None:
    bench = Bench([reply("done")])
    await bench.run()
    with pytest.raises(UserError, match="no open question"):
        await bench.runner.answer(bench.request(), fold(bench.events), "yes")
