"""Events as the public format names them: required payload keys, and which may follow which, over generated runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.core.errors import ProviderError
from perstack.core.events import RECORD_EVENTS, RUN_EVENTS, STREAMING_EVENTS, Event
from perstack.core.experts import BASE_SKILL, SkillSpec
from perstack.core.messages import Delta, ModelReply, ModelRequest, StopReason, TextPart, ThinkingPart, ToolCall
from perstack.testing import FunctionSkill, done, expert, experts, failing, reply
from tests.runtime.running import Bench

USAGE = {"inputTokens", "outputTokens", "reasoningTokens", "totalTokens", "cachedInputTokens"}
STOP = {"checkpoint", "step"}
PAYLOADS = {
    "startRun": {"initialCheckpoint", "inputMessages"},
    "startGeneration": {"messageCount", "occupancy"},
    "compactContext": {"reason", "occupancy", "elided", "until", "newMessages", "usage", "afterTokens"},
    "retry": {"reason", "newMessages", "usage"},
    "callTools": {"newMessage", "toolCalls", "usage"},
    "callInteractiveTool": {"newMessage", "toolCall", "usage"},
    "callDelegate": {"newMessage", "toolCalls", "usage"},
    "startToolCall": {"toolCallId", "partialToolResults"},
    "resolveToolResults": {"toolResults"},
    "finishToolCall": {"newMessages"},
    "resumeToolCalls": {"pendingToolCalls", "partialToolResults"},
    "finishAllToolCalls": {"newMessages"},
    "continueToNextStep": {*STOP, "nextCheckpoint"},
    "stopRunByInteractiveTool": STOP,
    "stopRunByDelegate": STOP,
    "stopRunByExceededMaxSteps": STOP,
    "stopRunByError": {*STOP, "error"},
    "completeRun": {*STOP, "text", "usage"},
}
STATUS = {
    "continueToNextStep": "proceeding",
    "stopRunByInteractiveTool": "stoppedByInteractiveTool",
    "stopRunByDelegate": "stoppedByDelegate",
    "stopRunByExceededMaxSteps": "stoppedByExceededMaxSteps",
    "stopRunByError": "stoppedByError",
    "completeRun": "completed",
}
AFTER_TOOLS = {"callDelegate", "callInteractiveTool", "resolveToolResults", "completeRun", "stopRunByError"}
FOLLOWING = {
    "startRun": {"startGeneration", "resumeToolCalls", "finishAllToolCalls", "stopRunByError"},
    "startGeneration": {"callTools", "completeRun", "retry", "stopRunByError"},
    "callTools": {"startToolCall", *AFTER_TOOLS},
    "startToolCall": {"startToolCall", *AFTER_TOOLS},
    "resumeToolCalls": {"startToolCall", *AFTER_TOOLS},
    "resolveToolResults": {"finishToolCall"},
    "callDelegate": {"stopRunByDelegate"},
    "callInteractiveTool": {"stopRunByInteractiveTool"},
    "retry": {"continueToNextStep", "stopRunByExceededMaxSteps"},
    "finishToolCall": {"continueToNextStep", "stopRunByExceededMaxSteps"},
    "finishAllToolCalls": {"continueToNextStep", "stopRunByExceededMaxSteps"},
    "continueToNextStep": {"startGeneration", "stopRunByError"},
}


TEAM = experts(
    expert("a", "I am A.", delegates=("b", "c")), expert("b", "I am B.", delegates=("c",)), expert("c", "I am C.")
)
CALLS = st.lists(
    st.sampled_from(
        [("look", {}), ("write", {"n": 1}), ("break", {}), ("fly", {}), ("b", {"query": "q"}), ("c", {"query": "r"}),
         ("c", {}), ("attemptCompletion", {"result": "r"}), ("attemptCompletion", {})]
    ), max_size=3,
)  # fmt: skip
REPLIES = st.builds(
    lambda text, calls, stop: reply(text, calls, stop=stop),
    st.sampled_from(["", "words"]),
    CALLS,
    st.sampled_from([None, None, None, StopReason.LENGTH, StopReason.REFUSAL, StopReason.UNKNOWN]),
)


def play(script: Sequence[ModelReply | None]) -> Bench:
    """A run of the team whose model gives these replies; None is an overload, the end of the script a final error."""
    left = iter(script)

    def answer(_: ModelRequest) -> ModelReply:
        given_reply = next(left, ...)
        if given_reply is ...:
            raise ProviderError("the script is over")
        if given_reply is None:
            raise ProviderError("overloaded", retryable=True)
        return given_reply

    tools = {"look": lambda _: "seen", "write": lambda _: "written", "break": failing("no")}
    bench = Bench(answer, skill=FunctionSkill(tools, read_only=("look",)))
    anyio.run(lambda: bench.run(TEAM["a"], experts=TEAM, max_steps=12, max_retries=2))
    return bench


def mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value


def assert_payload(event: Event) -> None:
    payload = event.payload
    assert PAYLOADS[event.type] <= payload.keys(), event.type
    checkpoint = payload.get("checkpoint") or payload.get("initialCheckpoint")
    if checkpoint:
        point = mapping(checkpoint)
        assert {"id", "jobId", "runId", "status", "stepNumber", "expert", "usage"} <= point.keys()
        assert point["runId"] == event.run_id
        assert point["stepNumber"] == event.step_number
        assert mapping(point["expert"]).keys() == {"key", "name", "version"}
        assert point["status"] == STATUS.get(event.type, point["status"])
    if "step" in payload:
        assert mapping(payload["step"]).keys() >= {"stepNumber", "usage", "startedAt", "finishedAt"}
    if "usage" in payload:
        assert mapping(payload["usage"]).keys() == USAGE


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), REPLIES), max_size=10))
def test_every_event_has_its_payload_and_follows_one_it_may_follow(script: list[ModelReply | None]) -> None:
    last: dict[str, str] = {}
    for event in play(script).events:
        if event.type not in RUN_EVENTS | RECORD_EVENTS:
            continue
        assert_payload(event)
        before = last.get(event.run_id)
        assert (before is None) == (event.type == "startRun")
        assert before is None or event.type in FOLLOWING[before], f"{event.type} after {before}"
        last[event.run_id] = event.type
    assert all(kind in STATUS and kind != "continueToNextStep" for kind in last.values()), "each segment has its end"


@pytest.mark.anyio
async def test_a_story_with_everything_holds_every_event_type_once_at_least() -> None:
    person = {
        BASE_SKILL: SkillSpec(BASE_SKILL),
        "person": SkillSpec("person", "interactiveSkill", tools={"ask": ("", "{}")}),
    }
    team = experts(expert("a", "I am A.", delegates=("b",), skills=person), expert("b", "I am B."))
    mixed = reply(calls=[("ask", {}), ("b", {"query": "q"}), ("look", {})], thinking="hm")

    def script(request: ModelRequest) -> ModelReply:
        if "I am B." in request.system:
            raise ProviderError("no such model", status=404)
        return reply() if len(request.messages) == 1 else mixed

    bench = Bench(script, skill=FunctionSkill({"look": lambda _: "seen"}))
    await bench.run(team["a"], experts=team)
    found = {event.type for event in bench.events}
    assert {
        "initializeRuntime", "skillConnected", "startRun", "startGeneration", "retry", "continueToNextStep",
        "callTools", "startToolCall", "callDelegate", "stopRunByDelegate", "stopRunByError", "resumeToolCalls",
        "callInteractiveTool", "stopRunByInteractiveTool",
    } <= found  # fmt: skip
    called, delegated, asked = (
        bench.collect.first(kind).payload for kind in ("callTools", "callDelegate", "callInteractiveTool")
    )
    assert called["newMessage"] == delegated["newMessage"] == asked["newMessage"]
    assert [call["toolName"] for call in mapping(called)["toolCalls"]] == ["look", "b", "ask"]  # type: ignore[attr-defined]
    assert [call["toolName"] for call in mapping(delegated)["toolCalls"]] == ["b"]  # type: ignore[attr-defined]
    assert mapping(asked["toolCall"])["toolName"] == "ask"
    assert asked["usage"] == called["usage"]
    waiting = mapping(bench.collect.first("stopRunByDelegate").payload["checkpoint"])
    assert waiting["delegateTo"] == [
        {"expert": {"key": "b", "name": "b", "version": "1.0.0"}, "toolCallId": "call_2", "toolName": "b", "query": "q"}
    ]
    (child,) = [event for event in bench.events if event.type == "startRun" and event.expert_key == "b"]
    start = mapping(child.payload["initialCheckpoint"])
    assert start["delegatedBy"] == {
        "expert": {"key": "a", "name": "a", "version": "1.0.0"}, "toolCallId": "call_2", "toolName": "b",
        "checkpointId": waiting["id"], "runId": waiting["runId"],
    }  # fmt: skip
    error = bench.collect.first("stopRunByError").payload["error"]
    assert error == {"name": "ProviderError", "message": "no such model", "isRetryable": False, "statusCode": 404}


@pytest.mark.anyio
async def test_what_a_run_works_with_is_told_first_and_once_a_segment() -> None:
    team = experts(expert("a", "I am A.", name="A team", delegates=("b",)), expert("b", "I am B."))
    bench = Bench([reply(calls=[("b", {"query": "q"})]), done("B"), done("A")])
    await bench.run(team["a"], "Do it.", experts=team, max_steps=9, max_retries=2, timeout_s=1.5)
    told = [event for event in bench.events if event.type == "initializeRuntime"]
    starts = [event for event in bench.events if event.type == "startRun"]
    assert [event.run_id for event in told] == [event.run_id for event in starts]
    first = dict(told[0].payload)
    assert first.pop("runtimeVersion")
    assert first == {
        "expertName": "A team", "experts": ["a", "b"], "model": "m", "maxSteps": 9, "maxRetries": 2,
        "timeout": 1500, "query": "Do it.",
    }  # fmt: skip
    assert [event.payload.get("query") for event in told] == ["Do it.", "q", None]


def streamed(bench: Bench) -> list[str]:
    return [event.type for event in bench.events if event.type in STREAMING_EVENTS]


@pytest.mark.anyio
async def test_reasoning_that_never_streamed_is_told_whole_and_tool_calls_never_stream() -> None:
    class Silent:
        name = "silent"

        async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
            parts = (ThinkingPart("hm"), ToolCall("1", "attemptCompletion", {"result": "r"}))
            return ModelReply(parts, StopReason.TOOL_CALLS)

        async def close(self) -> None: ...

    bench = Bench(Silent())
    await bench.run()
    assert streamed(bench) == ["completeStreamingReasoning"]
    assert bench.collect.first("completeStreamingReasoning").payload == {"text": "hm"}


@pytest.mark.anyio
async def test_a_stream_that_breaks_is_closed_before_the_retry() -> None:
    asked = 0

    class Breaking:
        name = "breaking"

        async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
            nonlocal asked
            asked += 1
            if asked == 1:
                on_delta(Delta("text", "half"))
                raise ProviderError("connection lost", retryable=True)
            return ModelReply((TextPart("whole"),), StopReason.END)

        async def close(self) -> None: ...

    bench = Bench(Breaking())
    assert (await bench.run()).text == "whole"
    types = bench.collect.types("streamRunResult", "completeStreamingRunResult", "retry", "completeRun")
    assert types == ["streamRunResult", "completeStreamingRunResult", "retry", "completeRun"]


@pytest.mark.anyio
async def test_a_provider_that_streams_twice_ends_with_the_text_that_counts() -> None:
    class Twice:
        name = "twice"

        async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
            for piece in ("ha", "whole"):
                on_delta(Delta("text", piece))
            return ModelReply((TextPart("whole"),), StopReason.END)

        async def close(self) -> None: ...

    bench = Bench(Twice())
    await bench.run()
    assert bench.collect.first("completeStreamingRunResult").payload == {"text": "whole"}


def test_the_events_of_a_run_are_all_in_the_table() -> None:
    unused: Sequence[str] = sorted(set(PAYLOADS) ^ (RUN_EVENTS | RECORD_EVENTS))
    assert unused == []
