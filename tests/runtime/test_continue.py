"""Going on with a job that has ended or asked a question."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.experts import BASE_SKILL, Expert, SkillSpec
from perstack.core.json import Json
from perstack.core.messages import ToolMessage, UserMessage
from perstack.core.usage import Usage
from perstack.runtime.driver import RunOutcome
from perstack.runtime.fold import fold
from perstack.testing import FunctionSkill, counting_ids, done, expert, experts, reply
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


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ('{"toolCallId": "call_1", "toolName": "askUser", "skillName": "person", "text": "yes"}', "yes"),
        ('{"toolCallId": "call_1", "text": {"choice": 2}}', '{"choice": 2}'),
        ('{"answer": 1}', '{"answer": 1}'),
        ("", "(no answer)"),
    ],
)
async def test_an_answer_may_be_text_or_the_json_of_the_format(text: str, heard: str) -> None:
    bench = Bench([reply(calls=[("askUser", {})]), done("A")])
    await bench.run(ASKING)
    assert (await bench.runner.answer(bench.request(ASKING), fold(bench.events), text)).status == "completed"
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [(result.id, result.text) for result in last.results] == [("call_1", heard)]
    told = [event for event in bench.events if event.type == "initializeRuntime"][1].payload
    assert told["interactiveToolCall"] == {"toolName": "askUser", "toolCallId": "call_1", "text": heard}
    assert "query" not in told


async def test_the_json_form_can_answer_a_later_question_first() -> None:
    bench = Bench([reply(calls=[("askUser", {"q": 1}), ("askUser", {"q": 2})]), done("A")])
    await bench.run(ASKING)
    answer = '{"toolCallId": "call_2", "text": "second"}'
    await bench.runner.answer(bench.request(ASKING), fold(bench.events), answer)
    with pytest.raises(UserError, match="does not wait for the tool call call_2"):
        await bench.runner.answer(bench.request(ASKING), fold(bench.events), answer)
    await bench.runner.answer(bench.request(ASKING), fold(bench.events), "first")
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [result.text for result in last.results] == ["first", "second"]


async def test_a_question_shows_its_arguments_at_the_checkpoint() -> None:
    bench = Bench([reply(calls=[("askUser", {"question": "really?"})])])
    await bench.run(ASKING)
    checkpoint = bench.collect.first("stopRunByInteractiveTool").payload["checkpoint"]
    assert isinstance(checkpoint, Mapping)
    assert checkpoint["status"] == "stoppedByInteractiveTool"
    assert checkpoint["pendingToolCalls"] == [
        {"id": "call_1", "skillName": "person", "toolName": "askUser", "args": {"question": "really?"}}
    ]


@pytest.mark.parametrize("kind", ["startRun", "startGeneration", "callTools", "startToolCall", "resolveToolResults"])
async def test_a_new_message_ends_what_a_crash_left_under_way(kind: str) -> None:
    whole = Bench([reply(calls=[("write", {}), ("look", {})]), reply("A")], skill=writing())
    await whole.run()
    cut = whole.collect.types().index(kind) + 1
    again = Bench([reply("ok")], skill=writing(), new_id=counting_ids("r"))
    again.events.extend(whole.events[:cut])
    assert (await proceed(again, "Stop that.")).text == "ok"
    assert again.collect.first("stopRunByError").payload["error"] == {
        "name": "Interrupted", "message": "The process ended before the run did.", "isRetryable": False
    }  # fmt: skip
    messages = again.scripted().requests[0].messages
    assert isinstance(messages[-1], UserMessage)
    told = str(messages)
    assert ("may or may not" in told) == (kind == "startToolCall")
    assert ("was not made" in told) == (kind in ("callTools", "startToolCall"))
    assert fold(again.events).latest_run() is not None


def writing() -> FunctionSkill:
    return FunctionSkill({"write": lambda _: "written", "look": lambda _: "seen"}, read_only=("look",))


async def test_a_message_is_needed_to_start_and_to_go_on() -> None:
    bench = Bench([reply("done")])
    with pytest.raises(UserError, match="Input message is undefined"):
        await bench.run(query="\n")
    assert bench.events == []
    await bench.run()
    with pytest.raises(UserError, match="Input message is undefined"):
        await proceed(bench, " ")


async def test_what_unfinished_delegates_have_cost_is_counted_when_a_job_goes_on_without_them() -> None:
    team = experts(expert("a", "I am A.", delegates=("b",)), expert("b", "I am B."))
    whole = Bench([reply(calls=[("b", {"query": "q"})]), reply(calls=[("fly", {})]), done("B"), done("A")])
    await whole.run(team["a"], experts=team)
    cut = whole.collect.types().index("resolveToolResults") + 1
    again = Bench([reply("ok")], new_id=counting_ids("r"))
    again.events.extend(whole.events[:cut])
    before = fold(again.events).usage
    outcome = await again.runner.proceed(again.request(team["a"], "On.", experts=team), fold(again.events))
    assert fold(again.events).usage == outcome.usage == before + Usage(10, 5)
