"""What Anthropic's protocol needs of its own: blocks sent and read, reasoning replayed, caching, stop reasons."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from perstack.core.errors import TOO_LONG, ProviderError
from perstack.core.messages import (
    ExpertMessage,
    FilePart,
    ImagePart,
    Message,
    ModelReply,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.core.usage import Usage
from perstack.providers.anthropic import head, message
from perstack.providers.anthropic_stream import MessageReader
from perstack.providers.failures import Endpoint
from perstack.providers.stream import EventDecoder
from tests.providers.builders import ask, collector, sse

ENDPOINT = Endpoint("anthropic", "ANTHROPIC_API_KEY")


def sent(source: Message) -> Any:
    return json.loads(message(source))


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": 5, **usage}}}


def stop(reason: str, **usage: Any) -> list[dict[str, Any]]:
    return [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7, **usage}},
        {"type": "message_stop"},
    ]


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    begin = {"type": "content_block_start", "index": index, "content_block": content}
    pieces = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [begin, *pieces, {"type": "content_block_stop", "index": index}]


def read(*events: dict[str, Any]) -> ModelReply:
    reader = MessageReader(ENDPOINT, ask(), collector()[1])
    ended = [reader.feed(event) for event in EventDecoder().feed(sse(events))]
    assert ended[-1] is (events[-1]["type"] == "message_stop")
    return reader.reply()


def test_reasoning_is_read_with_its_signature_and_sent_back_unchanged() -> None:
    reply = read(
        start(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "two and "},
            {"type": "thinking_delta", "thinking": "two"},
            {"type": "signature_delta", "signature": "c2lnbg=="},
        ),
        *block(1, {"type": "redacted_thinking", "data": "b3BhcXVl"}),
        *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "four"}),
        *stop("end_turn"),
    )
    assert reply.contents == (
        ThinkingPart("two and two", signature="c2lnbg=="),
        ThinkingPart("", redacted="b3BhcXVl"),
        TextPart("four"),
    )
    assert sent(ExpertMessage("e", reply.contents))["content"] == [
        {"type": "thinking", "thinking": "two and two", "signature": "c2lnbg=="},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": "four"},
    ]


def test_reasoning_of_another_provider_is_not_sent() -> None:
    foreign = (ThinkingPart("x", signature="openai:rs_1", redacted="e"), ThinkingPart("unsigned"), TextPart("hi"))
    assert sent(ExpertMessage("e", foreign))["content"] == [{"type": "text", "text": "hi"}]


def test_tool_arguments_come_in_pieces_and_a_broken_one_becomes_a_problem() -> None:
    reply = read(
        start(),
        *block(
            0,
            {"type": "tool_use", "id": "a", "name": "read", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"path": '},
            {"type": "input_json_delta", "partial_json": '"x"}'},
        ),
        *block(
            1,
            {"type": "tool_use", "id": "b", "name": "read", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"path": "x'},
        ),
        *block(2, {"type": "tool_use", "id": "c", "name": "list", "input": {}}),
        *stop("tool_use"),
    )
    first, second, third = reply.contents
    assert first == ToolCall("a", "read", {"path": "x"})
    assert isinstance(second, ToolCall)
    assert second.args == {}
    assert "not valid JSON" in second.problem
    assert third == ToolCall("c", "list", {})
    assert reply.stop_reason is StopReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("end_turn", StopReason.END),
        ("stop_sequence", StopReason.END),
        ("max_tokens", StopReason.LENGTH),
        ("refusal", StopReason.REFUSAL),
        ("pause_turn", StopReason.PAUSE),
        ("yet_unheard_of", StopReason.UNKNOWN),
    ],
)
def test_every_stop_reason_has_its_meaning(wire: str, reason: StopReason) -> None:
    assert read(start(), *stop(wire)).stop_reason is reason


def test_a_window_that_is_full_is_told_as_length_after_a_text_and_as_too_long_without_one() -> None:
    full = stop("model_context_window_exceeded")
    said = block(0, {"type": "text", "text": "half"})
    assert read(start(), *said, *full).stop_reason is StopReason.LENGTH
    with pytest.raises(ProviderError, match="longer than") as caught:
        read(start(), *full)
    assert (caught.value.kind, caught.value.retryable) == (TOO_LONG, False)


def test_an_empty_reply_is_a_reply_without_parts() -> None:
    reply = read(start(), *stop("end_turn"))
    assert reply.contents == ()
    assert message(ExpertMessage("e", ())) == b""


def test_usage_counts_what_was_read_from_and_written_to_the_cache() -> None:
    reply = read(
        start(cache_read_input_tokens=100, cache_creation_input_tokens=20, output_tokens=1),
        *stop("end_turn", output_tokens_details={"thinking_tokens": 4}, cache_read_input_tokens=None),
    )
    assert reply.usage == Usage(
        input_tokens=125,
        output_tokens=7,
        reasoning_tokens=4,
        cached_input_tokens=100,
        cache_written_tokens=20,
    )
    assert reply.model == "claude-x"


def test_an_error_inside_the_stream_is_raised_and_says_whether_to_ask_again() -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    invalid = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    with pytest.raises(ProviderError, match=r"broke off its reply \(overloaded_error\): Overloaded") as caught:
        read(start(), overloaded)
    assert caught.value.retryable
    with pytest.raises(ProviderError) as caught:
        read(start(), invalid)
    assert not caught.value.retryable


def test_a_stream_without_its_end_is_no_reply() -> None:
    with pytest.raises(ProviderError, match="ended before") as caught:
        read(start(), *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "half"}))
    assert caught.value.retryable


def test_tool_results_carry_images_files_and_their_error() -> None:
    pdf, text = FilePart("JVBE", "application/pdf"), FilePart("aGk=", "text/plain")
    parts = (TextPart("seen"), ImagePart("iVBO", "image/png"), pdf, text, FilePart("AA==", "application/zip"))
    results = (ToolResult("a", "read", parts, is_error=True), ToolResult("b", "list", ()))
    first, second = sent(ToolMessage("t", results))["content"]
    assert first["is_error"] is True
    assert [found["type"] for found in first["content"]] == ["text", "image", "document", "text", "text"]
    assert first["content"][3]["text"] == "hi"
    assert "left out" in first["content"][4]["text"]
    assert second["content"] == [{"type": "text", "text": "(no output)"}]
    assert "is_error" not in second


def test_text_that_no_server_accepts_is_made_acceptable() -> None:
    assert sent(UserMessage("u", (TextPart("a\ud800b"),)))["content"][0]["text"] == "a?b"
    assert sent(UserMessage("u", (TextPart("  "),)))["content"] == [{"type": "text", "text": "(no output)"}]
    odd = ToolCall("a", "read file!", {})
    assert sent(ExpertMessage("e", (TextPart(""), odd)))["content"][0]["name"] == "read_file_"


def test_the_cache_marks_are_in_the_head_where_no_turn_moves_them() -> None:
    fields = json.loads(head(ask()) + b"]}")
    assert fields["cache_control"] == {"type": "ephemeral"}
    assert fields["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert [tool["name"] for tool in fields["tools"]] == ["read", "list"]
    assert fields["stream"] is True
    assert "thinking" not in fields


@pytest.mark.parametrize(
    ("model", "budget", "thinking", "max_tokens"),
    [
        ("claude-haiku-4-5", 2048, {"type": "enabled", "budget_tokens": 2048}, 8192),
        ("claude-sonnet-4-20250514", 10, {"type": "enabled", "budget_tokens": 1024}, 8192),
        ("claude-opus-4-5-20251101", 5000, {"type": "enabled", "budget_tokens": 5000}, 8192),
        ("claude-opus-4-6", 5000, {"type": "adaptive", "display": "summarized"}, 8192),
        ("claude-sonnet-5-5", 5000, {"type": "adaptive", "display": "summarized"}, 8192),
    ],
)
def test_a_reasoning_budget_is_said_as_each_generation_understands_it(
    model: str, budget: int, thinking: dict[str, Any], max_tokens: int
) -> None:
    fields = json.loads(head(ask(model=model, reasoning_budget=budget)) + b"]}")
    assert fields["thinking"] == thinking
    assert fields["max_tokens"] == max_tokens
    assert fields.get("output_config") == ({"effort": "medium"} if thinking["type"] == "adaptive" else None)


def test_an_odd_id_of_another_server_is_sent_as_one_that_is_accepted_and_meets_its_result() -> None:
    said = sent(ExpertMessage("e", (ToolCall("fn:read|1", "read", {}), ToolCall("fn:read|2", "read", {}))))
    told = sent(ToolMessage("t", tuple(ToolResult(f"fn:read|{n}", "read", (TextPart("x"),)) for n in (1, 2))))
    ids = [block["id"] for block in said["content"]]
    assert ids == [block["tool_use_id"] for block in told["content"]]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", one) for one in ids)
