"""What the Responses protocol needs of its own: items sent and read, encrypted reasoning replayed, endings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perstack.core.errors import ProviderError
from perstack.core.messages import (
    ExpertMessage,
    ImagePart,
    Message,
    ModelReply,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
)
from perstack.core.usage import Usage
from perstack.providers.failures import Endpoint
from perstack.providers.openai import head, message
from perstack.providers.openai_stream import ResponseReader
from perstack.providers.stream import EventDecoder
from tests.providers.builders import ask, collector, sse

REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Look first."}],
    "encrypted_content": "c2VjcmV0",
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "read", "arguments": '{"path": "x"}'}
TEXT = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]}


def items(source: Message) -> Any:
    return json.loads(b"[" + message(source) + b"]")


def read(*events: dict[str, Any]) -> ModelReply:
    reader = ResponseReader(Endpoint("openai"), ask(), collector()[1])
    for event in EventDecoder().feed(sse(events)):
        reader.feed(event)
    return reader.reply()


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def end(status: str = "completed", **rest: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": {"status": status, "model": "gpt-x", "output": [], **rest}}


def test_encrypted_reasoning_goes_back_in_front_of_the_call_it_led_to() -> None:
    reply = read(done(0, REASONING), done(1, CALL), end())
    assert reply.contents == (
        ThinkingPart("Look first.", signature="openai:rs_1", redacted="c2VjcmV0"),
        ToolCall("call_1", "read", {"path": "x"}),
    )
    assert reply.stop_reason is StopReason.TOOL_CALLS
    reasoning, call = items(ExpertMessage("e", reply.contents))
    assert reasoning == REASONING
    assert call == {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": '{"path":"x"}'}


def test_anthropics_reasoning_and_what_was_not_encrypted_stay_here() -> None:
    parts = (ThinkingPart("a", signature="c2ln"), ThinkingPart("b", signature="openai:rs_2"), TextPart("hi"))
    assert items(ExpertMessage("e", parts)) == [{"role": "assistant", "content": "hi"}]


def test_items_are_taken_from_the_last_event_where_they_did_not_come_alone() -> None:
    assert read(end(output=[TEXT])).contents == (TextPart("done"),)


def test_a_call_with_broken_arguments_becomes_a_problem() -> None:
    (part,) = read(done(0, {**CALL, "arguments": '["x"]'}), end()).contents
    assert isinstance(part, ToolCall)
    assert "must be a JSON object, not list" in part.problem


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([done(0, TEXT), end()], StopReason.END),
        ([end("incomplete", incomplete_details={"reason": "max_output_tokens"})], StopReason.LENGTH),
        ([end("incomplete", incomplete_details={"reason": "content_filter"})], StopReason.REFUSAL),
        ([end("incomplete", incomplete_details={"reason": "max_tools"})], StopReason.UNKNOWN),
        ([done(0, {**TEXT, "content": [{"type": "refusal", "refusal": "I cannot."}]}), end()], StopReason.REFUSAL),
        ([{"type": "response.completed", "response": {"status": "odd", "output": []}}], StopReason.UNKNOWN),
    ],
)
def test_every_ending_has_its_meaning(events: list[dict[str, Any]], reason: StopReason) -> None:
    assert read(*events).stop_reason is reason


def test_usage_is_read_with_its_details() -> None:
    usage = {
        "input_tokens": 90,
        "output_tokens": 30,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens_details": {"reasoning_tokens": 12},
    }
    reply = read(done(0, TEXT), end(usage=usage))
    assert reply.usage == Usage(90, 30, reasoning_tokens=12, cached_input_tokens=64)
    assert reply.model == "gpt-x"
    assert read(done(0, TEXT), end(usage=None)).usage == Usage()


@pytest.mark.parametrize(
    ("code", "again"), [("server_error", True), ("rate_limit_exceeded", True), ("invalid_prompt", False)]
)
def test_a_failed_response_says_whether_to_ask_again(code: str, again: bool) -> None:
    with pytest.raises(ProviderError, match=code) as caught:
        read(end("failed", error={"code": code, "message": "so it is"}))
    assert caught.value.retryable is again
    with pytest.raises(ProviderError) as caught:
        read({"type": "error", "code": code, "message": "so it is"})
    assert caught.value.retryable is again


def test_results_are_text_where_they_can_be() -> None:
    shown = ToolResult("b", "read", (TextPart("see"), ImagePart("iVBO", "image/png")))
    first, second, third = items(
        ToolMessage("t", (ToolResult("a", "read", (TextPart("x"),)), shown, ToolResult("c", "read", ())))
    )
    assert first == {"type": "function_call_output", "call_id": "a", "output": "x"}
    assert [part["type"] for part in second["output"]] == ["input_text", "input_image"]
    assert third["output"] == "(no output)"


def test_nothing_is_stored_and_a_run_keeps_its_cache() -> None:
    fields = json.loads(head(ask(model="gpt-5", reasoning_budget=10_000)) + b"]}")
    assert fields["store"] is False
    assert fields["prompt_cache_key"] == "run-1"
    assert fields["include"] == ["reasoning.encrypted_content"]
    assert fields["reasoning"]["effort"] == "high"
    assert fields["instructions"] == "Be brief."


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5-chat-latest", "chatgpt-4o-latest"])
def test_models_that_do_not_reason_are_not_asked_to(model: str) -> None:
    fields = json.loads(head(ask(model=model, reasoning_budget=2048)) + b"]}")
    assert "reasoning" not in fields
    assert "include" not in fields
