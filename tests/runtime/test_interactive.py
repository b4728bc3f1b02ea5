"""Questions to a person: beside other calls, over a crash, at the limit, and never from a delegate."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perstack.core.errors import UserError
from perstack.core.events import RECORD_EVENTS, RUN_EVENTS
from perstack.core.experts import BASE_SKILL, SkillSpec
from perstack.core.messages import ToolMessage
from perstack.runtime.fold import fold
from perstack.testing import FunctionSkill, counting_ids, done, expert, experts, reply
from tests.runtime.running import Bench
from tests.runtime.test_continue import ASKING

pytestmark = pytest.mark.anyio

BOTH = reply(calls=[("askUser", {"q": 1}), ("search", {"n": 1}), ("askUser", {"q": 2}), ("search", {"n": 2})])


def searching() -> FunctionSkill:
    return FunctionSkill({"search": lambda args: f"found {args['n']}"})


def run_types(bench: Bench) -> list[str]:
    return [event.type for event in bench.events if event.type in RUN_EVENTS | RECORD_EVENTS]


async def test_other_calls_are_made_first_and_every_result_reaches_the_model_in_order() -> None:
    bench = Bench([BOTH, done("A")], skill=searching())
    await bench.run(ASKING)
    assert run_types(bench)[2:] == [
        "callTools", "startToolCall", "startToolCall", "callInteractiveTool", "stopRunByInteractiveTool"
    ]  # fmt: skip
    checkpoint = bench.collect.first("stopRunByInteractiveTool").payload["checkpoint"]
    assert isinstance(checkpoint, Mapping)
    waiting = checkpoint["pendingToolCalls"]
    assert isinstance(waiting, list)
    assert [call["args"] for call in waiting] == [{"q": 1}, {"q": 2}]
    goes_on = ["continueToNextStep", "startGeneration", "callTools", "completeRun"]
    for answer, types in (
        ("first", ["startRun", "resumeToolCalls", "callInteractiveTool", "stopRunByInteractiveTool"]),
        ("second", ["startRun", "finishAllToolCalls", *goes_on]),
    ):
        before = len(run_types(bench))
        await bench.runner.answer(bench.request(ASKING), fold(bench.events), answer)
        assert run_types(bench)[before:] == types
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [(result.tool_name, result.text) for result in last.results] == [
        ("search", "found 1"), ("search", "found 2"), ("askUser", "first"), ("askUser", "second")
    ]  # fmt: skip


async def test_a_question_outlives_a_crash_before_and_after_it_was_put() -> None:
    whole = Bench([BOTH], skill=searching())
    await whole.run(ASKING)
    for limit in range(whole.collect.types().index("startRun") + 1, len(whole.events) - 1):  # the last: reportUsage
        again = Bench([BOTH], skill=searching(), new_id=counting_ids("r"))
        again.events.extend(whole.events[:limit])
        outcome = await again.runner.resume(again.request(ASKING), fold(again.events))
        assert outcome.status == "stoppedByInteractiveTool"
        run = fold(again.events).latest_run()
        assert run is not None
        assert [call.args for call in run.pending] == [{"q": 1}, {"q": 2}]
        assert len(run.partial) == 2
    with pytest.raises(UserError, match="Interactive tool call result is undefined"):
        await whole.runner.resume(whole.request(ASKING), fold(whole.events))


async def test_an_answer_at_the_last_step_is_kept_though_the_run_cannot_go_on() -> None:
    bench = Bench([reply(calls=[("askUser", {})]), done("A")])
    await bench.run(ASKING, max_steps=1)
    request = bench.request(ASKING, max_steps=1)
    assert (await bench.runner.answer(request, fold(bench.events), "yes")).status == "stoppedByExceededMaxSteps"
    more = bench.request(ASKING, "Go on.", max_steps=9)
    assert (await bench.runner.proceed(more, fold(bench.events))).text == "A"
    results = bench.scripted().requests[1].messages[-2]
    assert isinstance(results, ToolMessage)
    assert results.results[0].text == "yes"


async def test_a_delegate_that_asks_all_the_same_is_told_that_there_is_no_such_tool() -> None:
    asking = {
        BASE_SKILL: SkillSpec(BASE_SKILL),
        "person": SkillSpec("person", "interactiveSkill", rule="Ask often.", tools={"askUser": ("Ask.", "{}")}),
    }
    team = experts(expert("a", delegates=("b",)), expert("b", "I am B.", skills=asking))
    bench = Bench([reply(calls=[("b", {"query": "q"})]), reply(calls=[("askUser", {})]), done("B"), done("A")])
    assert (await bench.run(team["a"], experts=team)).text == "A"
    request = bench.scripted().requests[2]
    assert "Ask often." not in request.system
    last = request.messages[-1]
    assert isinstance(last, ToolMessage)
    assert "Tool askUser not found" in last.results[0].text
    assert "callInteractiveTool" not in run_types(bench)


async def test_an_interactive_tool_whose_schema_is_no_json_is_refused_at_the_start() -> None:
    bad = expert("a", skills={"person": SkillSpec("person", "interactiveSkill", tools={"askUser": ("Ask.", "{")})})
    with pytest.raises(UserError, match=r"a: person\.askUser: inputJsonSchema is not JSON"):
        await Bench([]).run(bad)
