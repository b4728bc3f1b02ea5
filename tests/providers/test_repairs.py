"""What is wrong with a reply and put right: each said once, on record, counted; a call without usage is estimated."""

from __future__ import annotations

from typing import Any

import pytest

from perstack.core.messages import ModelReply, StopReason, TextPart, ThinkingPart, ToolCall, TroubleKind
from perstack.core.usage import Usage
from perstack.interface.history.lines import View, event_lines
from perstack.providers.repairs import settled
from perstack.testing import FunctionSkill
from tests.providers.builders import PROVIDERS, ask, ignore, provider, sse
from tests.providers.loopback import loopback, stream
from tests.runtime.running import Bench

USED = Usage(9, 2)


@pytest.mark.parametrize(
    ("contents", "stop", "words"),
    [
        ((ToolCall("a", "read", {}, problem="not valid JSON"),), StopReason.TOOL_CALLS, ["no JSON object"]),
        (
            (ToolCall("a", "read", {}), ToolCall("a", "list", {})),
            StopReason.TOOL_CALLS,
            ["the id of another"],
        ),
        ((ToolCall("", "read", {}),), StopReason.TOOL_CALLS, ["has no id"]),
        ((ToolCall("call:1/ä", "read", {}),), StopReason.TOOL_CALLS, ["strict servers refuse"]),
        ((ToolCall("a", "", {}),), StopReason.TOOL_CALLS, ["names no tool"]),
        ((), StopReason.END, ["the reply is empty"]),
        ((TextPart("  \n"), ThinkingPart("hm")), StopReason.END, ["the reply is empty"]),
        ((), StopReason.REFUSAL, ["the model refused"]),
        ((TextPart("Well"),), StopReason.LENGTH, ["cut at its length limit"]),
        ((TextPart("fine"), ToolCall("a", "read", {})), StopReason.TOOL_CALLS, []),
    ],
)
def test_each_thing_that_is_put_right_is_said(contents: Any, stop: StopReason, words: list[str]) -> None:
    told = settled(ModelReply(contents, stop, USED), ask()).troubles
    assert len(told) == len(words)
    assert all(word in one.text for word, one in zip(words, told, strict=True))


def test_usage_that_nobody_said_is_estimated_and_two_hundred_troubles_are_cut_short() -> None:
    calls = tuple(ToolCall("same", "read", {}) for _ in range(200))
    reply = settled(ModelReply(calls, StopReason.TOOL_CALLS), ask())
    assert reply.usage.estimated_tokens == reply.usage.total_tokens > 200
    told = {one.kind: (one.count, one.sentence) for one in reply.troubles}
    assert told[TroubleKind.CALL_ID] == (199, "read: the call has the id of another one: it gets its own (199 times)")
    assert "200 calls" in told[TroubleKind.MANY_CALLS][1]
    many = tuple(ToolCall(f"c{n}", f"tool{n}", {}, problem="no JSON") for n in range(50))
    few = settled(ModelReply(many, StopReason.TOOL_CALLS, USED), ask()).troubles
    assert (len(few), sum(one.count for one in few)) == (21, 50)


# For each protocol a reply that ends for a reason nobody knows, with arguments that are no JSON, and no usage.
BROKEN: dict[str, list[dict[str, Any]]] = {
    "anthropic": [
        {"type": "message_start", "message": {"model": "m", "usage": None}},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "a", "name": "read", "input": None},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"path'}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": None}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hm."}},
        {"type": "message_delta", "delta": {"stop_reason": "tea_break"}, "usage": None},
        {"type": "message_stop"},
    ],
    "openai": [
        {
            "type": "response.output_item.done",
            "output_index": 1,
            "item": {"type": "function_call", "call_id": "a", "name": "read", "arguments": '{"path'},
        },
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "message", "content": [{"type": "output_text", "text": "Hm.", "annotations": None}]},
        },
        {"type": "response.completed", "response": {"status": "tea_break", "model": "m", "usage": None, "error": None}},
    ],
    "openai-compatible": [
        {
            "model": "m",
            "usage": None,
            "choices": [{"delta": {"content": "Hm.", "tool_calls": None, "refusal": None}, "finish_reason": None}],
        },
        {
            "choices": [
                {
                    "delta": {
                        "content": None,
                        "tool_calls": [{"index": None, "id": "a", "function": {"name": "read", "arguments": '{"path'}}],
                    },
                    "finish_reason": "tea_break",
                }
            ]
        },
    ],
}


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_broken_reply_is_used_told_and_counted_whoever_sent_it(name: str) -> None:
    chat = name == "openai-compatible"
    async with loopback(stream(sse(BROKEN[name], done=chat))) as server:
        model = provider(name, server.url, max_retries=0)
        reply = await model.generate(ask(), ignore)
        bench = Bench(model, skill=FunctionSkill({"read": lambda _: "x"}))
        outcome = await bench.run(max_steps=1)
        await model.close()
    assert [part for part in reply.contents if isinstance(part, TextPart)] == [TextPart("Hm.")]
    assert reply.usage.estimated_tokens > 0
    told = "\n".join(one.text for one in reply.troubles)
    for words in ("tea_break", "no JSON object", "is estimated", *(() if chat else ("out of order",))):
        assert words in told
    events = [event for event in bench.events if event.type == "repairReply"]
    assert [event.payload["message"] for event in events][: len(reply.troubles)] == [
        one.sentence for one in reply.troubles
    ]
    assert events[0].step_number == 1
    assert "tea_break" in "".join(line.plain for line in event_lines(events[0], View()))
    report = bench.events[-1]
    assert (report.type, report.payload["repairs"]) == ("reportUsage", len(events))
    assert outcome.models[0].repairs == len(events)
    assert f"{len(events)} repaired" in "".join(line.plain for line in event_lines(report, View()))
