"""One expert's loop: event order, completion, retries, limits, bad calls."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
import pytest

from perstack.core.errors import BudgetExceeded, ProviderError, SandboxUnavailable
from perstack.core.events import RUN_EVENTS
from perstack.core.experts import BASE_SKILL
from perstack.core.json import Json
from perstack.core.messages import (
    ExpertMessage,
    ModelReply,
    ModelRequest,
    StopReason,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from perstack.core.usage import Usage
from perstack.runtime.driver import TokenBudget
from perstack.testing import FunctionSkill, done, failing, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio


def run_types(bench: Bench) -> list[str]:
    return [event.type for event in bench.events if event.type in RUN_EVENTS]


def assert_no_dangling_calls(bench: Bench) -> None:
    """Every request answers every call of the history, in one message right after it."""
    for request in bench.scripted().requests:
        for message, following in zip(request.messages, [*request.messages[1:], None], strict=True):
            if isinstance(message, ExpertMessage) and message.tool_calls:
                assert isinstance(following, ToolMessage)
                assert {r.id for r in following.results} == {c.id for c in message.tool_calls}


async def test_a_run_emits_the_published_event_order() -> None:
    bench = Bench([reply(calls=[("look", {})]), done("ready")], skill=FunctionSkill({"look": lambda _: "seen"}))
    outcome = await bench.run()
    assert (outcome.status, outcome.text, outcome.steps) == ("completed", "ready", 2)
    assert [t for t in bench.collect.types() if "Streaming" not in t] == [
        "initializeRuntime", "skillConnected", "startRun",
        "startGeneration", "callTools", "startToolCall", "resolveToolResults", "finishToolCall", "continueToNextStep",
        "startGeneration", "callTools", "completeRun", "reportUsage",
    ]  # fmt: skip
    assert outcome.usage == Usage(20, 10)


async def test_payloads_have_the_published_shape() -> None:
    bench = Bench([reply("Looking.", [("look", {"path": "a"})], thinking="hm"), done()],
                  skill=FunctionSkill({"look": lambda _: "seen"}))  # fmt: skip
    await bench.run()
    called = bench.collect.first("callTools").to_json()
    assert called["expertKey"] == "tester"
    assert called["stepNumber"] == 1
    assert called["toolCalls"] == [
        {"id": "call_1", "skillName": "@perstack/base", "toolName": "look", "args": {"path": "a"}}
    ]
    message = called["newMessage"]
    assert isinstance(message, Mapping)
    contents = message["contents"]
    assert isinstance(contents, list)
    assert [part["type"] for part in contents] == ["thinkingPart", "textPart", "toolCallPart"]
    resolved = bench.collect.first("resolveToolResults").payload["toolResults"]
    assert resolved == [{"id": "call_1", "skillName": "@perstack/base", "toolName": "look",
                         "result": [{"type": "textPart", "text": "seen"}]}]  # fmt: skip
    started = bench.collect.first("startRun").payload["inputMessages"]
    assert isinstance(started, list)
    assert [item["type"] for item in started] == ["instructionMessage", "userMessage"]
    runtime = bench.collect.first("initializeRuntime").to_json()
    assert "expertKey" not in runtime
    assert "stepNumber" not in runtime


async def test_text_without_a_call_completes_the_run() -> None:
    bench = Bench([reply("All done.")])
    outcome = await bench.run()
    assert (outcome.status, outcome.text) == ("completed", "All done.")
    assert run_types(bench) == ["startRun", "startGeneration", "completeRun"]


async def test_completion_without_a_result_keeps_the_text_beside_it() -> None:
    bench = Bench([reply("Fixed it.", [("attemptCompletion", {})])])
    assert (await bench.run()).text == "Fixed it."


async def test_open_todos_send_the_expert_back_to_work() -> None:
    answers = iter(['{"remainingTodos":[{"id":0,"title":"x","completed":false}]}', "{}"])
    bench = Bench([done("early"), done("now")], skill=FunctionSkill({"attemptCompletion": lambda _: next(answers)}))
    outcome = await bench.run()
    assert (outcome.text, outcome.steps) == ("now", 2)
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert "remainingTodos" in last.results[0].text


async def test_calls_beside_a_completion_run_first_and_get_results() -> None:
    skill = FunctionSkill({"write": lambda _: "written"})
    bench = Bench([reply(calls=[("attemptCompletion", {"result": "r"}), ("write", {})])], skill=skill)
    outcome = await bench.run()
    assert outcome.text == "r"
    assert [call.tool_name for call in skill.called] == ["write", "attemptCompletion"]
    completed = bench.collect.first("completeRun").payload["newMessages"]
    assert isinstance(completed, list)
    assert {part["toolCallId"] for part in completed[0]["contents"]} == {"call_1", "call_2"}


async def test_a_failed_call_beside_a_completion_keeps_the_run_going() -> None:
    skill = FunctionSkill({"write": failing("disk is read-only")})
    bench = Bench([reply(calls=[("write", {}), ("attemptCompletion", {})]), reply("gave up")], skill=skill)
    assert (await bench.run()).text == "gave up"
    assert [call.tool_name for call in skill.called] == ["write"]
    assert_no_dangling_calls(bench)


async def test_an_unknown_tool_is_answered_with_the_names_there_are() -> None:
    bench = Bench([reply(calls=[("fly", {})]), reply("ok")])
    assert (await bench.run()).status == "completed"
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert last.results[0].is_error
    assert "Tool fly not found" in last.results[0].text
    assert "attemptCompletion" in last.results[0].text


async def test_unusable_arguments_are_told_and_the_tool_is_not_run() -> None:
    skill = FunctionSkill({"look": lambda _: "seen"})
    broken = ModelReply((ToolCall("c", "look", {}, problem="Expecting value at 1"),), StopReason.TOOL_CALLS)
    bench = Bench([broken, reply("ok")], skill=skill)
    assert (await bench.run()).status == "completed"
    assert skill.called == []
    assert_no_dangling_calls(bench)


async def test_a_tool_error_is_a_result_not_the_end() -> None:
    bench = Bench(
        [reply(calls=[("look", {})]), reply("ok")], skill=FunctionSkill({"look": failing("File a does not exist.")})
    )
    await bench.run()
    assert "does not exist" in json.dumps(bench.collect.first("resolveToolResults").payload)


async def test_an_empty_reply_is_retried_and_the_model_told_why() -> None:
    bench = Bench([ModelReply((TextPart("  "),), StopReason.END), reply("ok")])
    assert (await bench.run()).status == "completed"
    assert run_types(bench) == [
        "startRun", "startGeneration", "retry", "continueToNextStep", "startGeneration", "completeRun"
    ]  # fmt: skip
    reason = json.loads(str(bench.collect.first("retry").payload["reason"]))
    assert reason["error"] == "Error: No tool call or text generated"
    assert isinstance(bench.scripted().requests[1].messages[-1], UserMessage)


async def test_empty_replies_end_the_run_after_max_retries() -> None:
    bench = Bench(lambda _: ModelReply((), StopReason.END, Usage(1, 0)))
    outcome = await bench.run(max_retries=2)
    assert outcome.status == "stoppedByError"
    assert outcome.error == "Max retries (2) exceeded: No tool call or text generated"
    assert outcome.usage == Usage(3, 0)


async def test_a_reply_cut_by_length_is_retried_without_dangling_calls() -> None:
    cut = reply("Let me", [("look", {}), ("look", {})], stop=StopReason.LENGTH)
    bench = Bench(
        [cut, reply("Half a sen", stop=StopReason.LENGTH), reply("ok")], skill=FunctionSkill({"look": lambda _: "s"})
    )
    assert (await bench.run()).text == "ok"
    assert run_types(bench).count("retry") == 2
    assert_no_dangling_calls(bench)
    assert isinstance(bench.scripted().requests[2].messages[-1], UserMessage)


async def test_a_retryable_provider_error_is_retried_with_the_history_untouched() -> None:
    seen: list[ModelRequest] = []

    def script(request: ModelRequest) -> ModelReply:
        seen.append(request)
        if len(seen) == 1:
            raise ProviderError("overloaded", retryable=True)
        return reply("ok")

    bench = Bench(script)
    assert (await bench.run()).status == "completed"
    assert seen[0].messages == seen[1].messages


async def test_a_final_provider_error_stops_the_run_and_says_why() -> None:
    def script(_: ModelRequest) -> ModelReply:
        raise ProviderError("no such model `m`")

    outcome = await Bench(script).run()
    assert (outcome.status, outcome.error) == ("stoppedByError", "no such model `m`")


async def test_a_refusal_is_fed_back_and_its_cut_calls_are_not_made() -> None:
    skill = FunctionSkill({"look": lambda _: "seen"})
    bench = Bench([reply("I cannot.", [("look", {})], stop=StopReason.REFUSAL), reply("Then so.")], skill=skill)
    assert (await bench.run()).text == "Then so."
    assert skill.called == []
    reason = json.loads(str(bench.collect.first("retry").payload["reason"]))
    assert reason["error"] == "Error: Unexpected finish reason: refusal"
    messages = bench.scripted().requests[1].messages
    assert [type(message).__name__ for message in messages] == ["UserMessage", "ExpertMessage", "UserMessage"]


async def test_refusals_stop_the_run_after_max_retries() -> None:
    outcome = await Bench(lambda _: reply("I cannot help.", stop=StopReason.REFUSAL)).run(max_retries=1)
    assert outcome.status == "stoppedByError"
    assert outcome.error == "Max retries (1) exceeded: The model refused: I cannot help."


async def test_the_run_stops_when_its_steps_are_used_up() -> None:
    bench = Bench(lambda _: reply(calls=[("look", {})]), skill=FunctionSkill({"look": lambda _: "s"}))
    outcome = await bench.run(max_steps=3)
    assert (outcome.status, outcome.steps) == ("stoppedByExceededMaxSteps", 3)
    assert run_types(bench)[-1] == "stopRunByExceededMaxSteps"


async def test_a_budget_stops_before_the_call_that_would_exceed_it() -> None:
    tokens = TokenBudget(2110)
    look = reply(calls=[("look", {})], usage=Usage(2000, 100))
    bench = Bench(lambda _: look, skill=FunctionSkill({"look": lambda _: "s"}), tokens=tokens)
    with pytest.raises(BudgetExceeded, match="of 2,110"):
        await bench.run()
    assert len(bench.scripted().requests) == 1
    assert run_types(bench)[-1] == "stopRunByError"


async def test_a_first_call_that_no_budget_holds_is_not_made() -> None:
    bench = Bench([reply("never")], tokens=TokenBudget(20))
    with pytest.raises(BudgetExceeded, match="of 20"):
        await bench.run()
    assert bench.scripted().requests == []


async def test_a_dead_sandbox_ends_the_run_after_it_is_on_record() -> None:
    def die(_: Mapping[str, Json]) -> str:
        raise SandboxUnavailable("the container is gone")

    bench = Bench([reply(calls=[("exec", {})])], skill=FunctionSkill({"exec": die}))
    with pytest.raises(SandboxUnavailable):
        await bench.run()
    error = bench.collect.first("stopRunByError").payload["error"]
    assert error == {"name": "SandboxUnavailable", "message": "the container is gone", "isRetryable": False}


async def test_reasoning_is_streamed_and_closed_before_the_text() -> None:
    bench = Bench([reply("Answer", thinking="hmm")])
    await bench.run()
    assert [t for t in bench.collect.types() if "treaming" in t or t.startswith("stream")] == [
        "startStreamingReasoning", "streamReasoning", "completeStreamingReasoning",
        "startStreamingRunResult", "streamRunResult", "completeStreamingRunResult",
    ]  # fmt: skip


async def test_empty_and_huge_results_become_usable_text() -> None:
    skill = FunctionSkill({"quiet": lambda _: "", "loud": lambda _: "x" * 100_000})
    bench = Bench([reply(calls=[("quiet", {}), ("loud", {})]), reply("ok")], skill=skill)
    await bench.run()
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert last.results[0].text == "Error: No content"
    assert "... [truncated:" in last.results[1].text
    assert len(last.results[1].text) < 31_000


@pytest.mark.parametrize("name", [BASE_SKILL, "search"])
async def test_calls_of_servers_overlap_and_base_tools_that_change_files_do_not(name: str) -> None:
    running = most = 0

    async def work(args: Mapping[str, Json]) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - int(str(args["n"]))):
            await anyio.lowlevel.checkpoint()
        running -= 1
        return f"worked {args['n']}"

    skill = FunctionSkill({"work": work}, name=name)
    bench = Bench([reply(calls=[("work", {"n": n}) for n in range(3)]), reply("ok")], skill=skill)
    await bench.run()
    assert most == (1 if name == BASE_SKILL else 3)
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [result.text for result in last.results] == ["worked 0", "worked 1", "worked 2"]
    assert run_types(bench).count("callTools") == 1
    assert len(bench.collect.types("startToolCall")) == 3
