"""Delegates: order of events, isolation, parallel branches, failures, interactive tools beside them."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest

from perstack.core.errors import BudgetExceeded, UserError
from perstack.core.experts import BASE_SKILL, SkillSpec
from perstack.core.json import Json
from perstack.core.messages import ModelReply, ModelRequest, ToolMessage, UserMessage
from perstack.core.usage import Usage
from perstack.runtime.driver import TokenBudget
from perstack.runtime.fold import fold
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

CHAIN = experts(
    expert("a", "I am A.", delegates=("b",)),
    expert("b", "I am B.", delegates=("c",), description="Second level."),
    expert("c", "I am C."),
)
ORDER = ("startRun", "callDelegate", "stopRunByDelegate", "completeRun", "stopRunByError", "retry")


def ask(*names: str, query: str = "test") -> ModelReply:
    return reply(calls=[(name, {"query": query}) for name in names])


def who(request: ModelRequest) -> str:
    """Which expert of these tests a request is for, by its instruction."""
    return next(key for key in "abc" if f"I am {key.upper()}." in request.system)


def answered(request: ModelRequest) -> bool:
    return isinstance(request.messages[-1], ToolMessage)


async def test_a_chain_of_three_has_the_published_event_order() -> None:
    bench = Bench([ask("b"), ask("c"), done("C"), done("B"), done("A")])
    outcome = await bench.run(CHAIN["a"], experts=CHAIN)
    assert bench.collect.tagged(*ORDER) == [
        "startRun:a", "callDelegate:a", "stopRunByDelegate:a", "startRun:b", "callDelegate:b", "stopRunByDelegate:b",
        "startRun:c", "completeRun:c", "startRun:b", "completeRun:b", "startRun:a", "completeRun:a",
    ]  # fmt: skip
    assert (outcome.status, outcome.text) == ("completed", "A")
    assert outcome.usage == Usage(50, 25)


async def test_a_delegate_sees_its_instruction_and_the_query_and_nothing_else() -> None:
    bench = Bench([ask("b", query="only this"), done("B"), done("A")])
    await bench.run(CHAIN["a"], "the secret plan", experts=CHAIN)
    request = bench.scripted().requests[1]
    assert len(request.messages) == 1
    message = request.messages[0]
    assert isinstance(message, UserMessage)
    assert "only this" in str(message.contents)
    assert "secret plan" not in repr(request)
    assert "I am A." not in request.system
    caller = bench.scripted().requests[2]
    assert "Second level." in caller.system
    assert "I am B." not in caller.system
    last = caller.messages[-1]
    assert isinstance(last, ToolMessage)
    assert last.results[0].text == "B"


async def test_steps_go_on_through_delegates_and_segments_have_their_own_run_id() -> None:
    bench = Bench([ask("b"), done("B"), done("A")])
    outcome = await bench.run(CHAIN["a"], experts=CHAIN)
    starts = [(e.expert_key, e.step_number) for e in bench.events if e.type == "startRun"]
    assert starts == [("a", 1), ("b", 2), ("a", 3)]
    assert len({e.run_id for e in bench.events if e.type == "startRun"}) == 3
    requests = bench.scripted().requests
    assert requests[0].run_id == requests[2].run_id == outcome.run_id


async def test_parallel_delegates_run_at_the_same_time_and_their_usage_is_summed() -> None:
    both = anyio.Event()
    waiting = 0

    async def meet(_: Mapping[str, Json]) -> str:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            both.set()
        with anyio.fail_after(5):
            await both.wait()
        return "met"

    def script(request: ModelRequest) -> ModelReply:
        name = who(request)
        if name == "a":
            return done("A") if answered(request) else ask("b", "c")
        return done(name.upper()) if answered(request) else reply(calls=[("meet", {})])

    team = experts(expert("a", "I am A.", delegates=("b", "c")), expert("b", "I am B."), expert("c", "I am C."))
    skills = {key: FunctionSkill({"meet": meet}) for key in ("b", "c")}
    bench = Bench(script, child_skills=skills)
    outcome = await bench.run(team["a"], experts=team)
    assert outcome.usage == Usage(60, 30)
    assert [e.expert_key for e in bench.events if e.type == "completeRun"][-1] == "a"
    last = bench.scripted().requests[-1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [result.text for result in last.results] == ["B", "C"]
    assert all(skill.closed for skill in bench.opened)


async def test_a_failed_delegate_is_told_to_its_caller_and_stays_on_record() -> None:
    def script(request: ModelRequest) -> ModelReply:
        if who(request) == "b":
            return ModelReply((), reply("x").stop_reason)
        return done("went on") if answered(request) else ask("b")

    bench = Bench(script)
    outcome = await bench.run(CHAIN["a"], experts=CHAIN, max_retries=0)
    assert outcome.text == "went on"
    assert "stopRunByError:b" in bench.collect.tagged("stopRunByError")
    last = bench.scripted().requests[-1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert last.results[0].text.startswith("Delegation to b failed: Max retries (0) exceeded")


async def test_a_delegate_whose_skills_do_not_start_leaves_its_two_events() -> None:
    async def broken(_: object) -> tuple[FunctionSkill, ...]:
        raise UserError("skill `search` needs EXA_API_KEY")

    bench = Bench([ask("b"), done("A")], skills_for=broken)
    assert (await bench.run(CHAIN["a"], experts=CHAIN)).status == "completed"
    assert bench.collect.tagged("startRun", "stopRunByError") == [
        "startRun:a",
        "startRun:b",
        "stopRunByError:b",
        "startRun:a",
    ]


async def test_experts_that_call_each_other_for_ever_end_by_the_step_limit() -> None:
    team = experts(expert("a", "I am A.", delegates=("b",)), expert("b", "I am B.", delegates=("a",)))
    bench = Bench(lambda request: ask("b" if who(request) == "a" else "a"))
    outcome = await bench.run(team["a"], experts=team, max_steps=6)
    assert outcome.status == "stoppedByExceededMaxSteps"
    assert "no steps left" in str([e.payload for e in bench.events if e.type == "stopRunByError"])


async def test_a_call_without_a_query_is_an_error_result_and_starts_nothing() -> None:
    bench = Bench([reply(calls=[("b", {"query": " "})]), done("A")])
    assert (await bench.run(CHAIN["a"], experts=CHAIN)).text == "A"
    assert bench.collect.tagged("startRun") == ["startRun:a"]
    assert "query is undefined for b" in str(bench.collect.first("resolveToolResults").payload)


async def test_a_missing_delegate_fails_before_any_model_call() -> None:
    bench = Bench([])
    with pytest.raises(UserError, match="delegates to `b`, which is not found"):
        await bench.run(CHAIN["a"])
    assert bench.scripted().requests == []
    assert bench.collect.types("startRun", "stopRunByError") == ["startRun", "stopRunByError"]


async def test_a_delegate_named_like_a_tool_is_refused() -> None:
    team = experts(expert("a", delegates=("@x/attemptCompletion",)), expert("@x/attemptCompletion"))
    with pytest.raises(UserError, match="two tools are named `attemptCompletion`"):
        await Bench([]).run(team["a"], experts=team)


async def test_the_budget_of_the_job_is_not_swallowed_by_a_delegation() -> None:
    bench = Bench([ask("b"), reply(calls=[("x", {})]), done("A")], tokens=TokenBudget(30))
    with pytest.raises(BudgetExceeded):
        await bench.run(CHAIN["a"], experts=CHAIN)


def with_person() -> dict[str, SkillSpec]:
    schema = '{"type":"object","properties":{"question":{"type":"string"}}}'
    return {
        BASE_SKILL: SkillSpec(BASE_SKILL),
        "person": SkillSpec("person", "interactiveSkill", tools={"askUser": ("Ask the user.", schema)}),
    }


async def test_mixed_calls_have_the_published_order_and_leave_the_question_pending() -> None:
    mixed = reply(calls=[("askUser", {"question": "ok?"}), ("b", {"query": "test"}), ("search", {"q": "x"})])
    team = experts(expert("a", "I am A.", delegates=("b",), skills=with_person()), expert("b", "I am B."))
    bench = Bench([mixed, done("B")], skill=FunctionSkill({"search": lambda _: "found"}))
    outcome = await bench.run(team["a"], experts=team)
    assert outcome.status == "stoppedByInteractiveTool"
    kept = (*ORDER, "callTools", "resumeToolCalls", "callInteractiveTool", "stopRunByInteractiveTool")
    assert bench.collect.tagged(*kept) == [
        "startRun:a", "callTools:a", "callDelegate:a", "stopRunByDelegate:a", "startRun:b", "callTools:b",
        "completeRun:b", "startRun:a", "resumeToolCalls:a", "callInteractiveTool:a", "stopRunByInteractiveTool:a",
    ]  # fmt: skip
    stopped = bench.collect.first("stopRunByDelegate").payload["checkpoint"]
    assert isinstance(stopped, Mapping)
    assert str(stopped["partialToolResults"]).count("search") == 1
    final = bench.collect.first("stopRunByInteractiveTool").payload["checkpoint"]
    assert isinstance(final, Mapping)
    assert isinstance(final["partialToolResults"], list)
    assert isinstance(final["pendingToolCalls"], list)
    assert (len(final["partialToolResults"]), len(final["pendingToolCalls"])) == (2, 1)
    run = fold(bench.events).latest_run()
    assert run is not None
    assert [r.text for r in run.partial] == ["found", "B"]


async def test_a_delegate_has_nobody_to_ask() -> None:
    team = experts(expert("a", "I am A.", delegates=("b",)), expert("b", "I am B.", skills=with_person()))
    bench = Bench([ask("b"), done("B"), done("A")])
    await bench.run(team["a"], experts=team)
    assert [tool.name for tool in bench.scripted().requests[1].tools] == ["attemptCompletion"]


async def test_a_completion_beside_a_delegate_waits_for_the_answer() -> None:
    bench = Bench([reply(calls=[("attemptCompletion", {}), ("b", {"query": "q"})]), done("B"), done("A")])
    assert (await bench.run(CHAIN["a"], experts=CHAIN)).text == "A"
    last = bench.scripted().requests[-1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [result.is_error for result in last.results] == [True, False]


async def test_a_delegate_runs_on_its_own_model() -> None:
    bench = Bench([ask("b"), done("B"), done("A")], model_for=lambda child: f"model of {child.key}")
    await bench.run(CHAIN["a"], experts=CHAIN)
    assert [request.model for request in bench.scripted().requests] == ["m", "model of b", "m"]


async def test_a_delegate_with_a_version_in_its_key_has_a_usable_tool_name() -> None:
    team = experts(expert("a", "I am A.", delegates=("@x/b.c@1.0.0",)), expert("@x/b.c@1.0.0", "I am B."))
    bench = Bench([ask("b_c"), done("B"), done("A")])
    assert (await bench.run(team["a"], experts=team)).text == "A"
    assert "- `b_c`:" in bench.scripted().requests[0].system
