"""Chat Completions as compatible servers really speak it: whole calls, missing ids, indexes, usage, endings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perstack.core.errors import ProviderError
from perstack.core.messages import (
    ExpertMessage,
    FilePart,
    ImagePart,
    ModelReply,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    TroubleKind,
    UserMessage,
)
from perstack.core.usage import Usage
from perstack.providers.exchange import Tuning
from perstack.providers.failures import Endpoint
from perstack.providers.openai_chat import OpenAIChatProvider
from perstack.providers.openai_chat_stream import ChatReader
from perstack.providers.repairs import settled
from perstack.providers.stream import EventDecoder
from tests.providers.builders import answer, ask, collector, ignore, provider, sse
from tests.providers.loopback import Exchange, loopback, refuse, stream


def chunk(delta: dict[str, Any], finish: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"model": "llama", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **rest}


def call(name: str | None = None, arguments: Any = None, **rest: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"tool_calls": [{"function": function, **rest}]}


def read(*events: dict[str, Any], done: bool = True) -> ModelReply:
    reader = ChatReader(Endpoint("here"), ask(), collector()[1])
    for event in EventDecoder().feed(sse(events, done=done)):
        reader.feed(event)
    return reader.reply()


READ_A = ToolCall("a", "read", {"path": "1"})
READ_B = ToolCall("b", "read", {"path": "2"})


@pytest.mark.parametrize(
    "deltas",
    [
        [  # as the protocol says
            call("read", "", id="a", index=0),
            call(None, '{"path": ', index=0),
            call("read", "", id="b", index=1),
            call(None, '"1"}', index=0),
            call(None, '{"path": "2"}', index=1),
        ],
        [call("read", '{"path": "1"}', id="a", index=0), call("read", '{"path": "2"}', id="b", index=0)],
        [call("read", '{"path": "1"}', id="a"), call("read", '{"path": "2"}', id="b")],
        [call("read", {"path": "1"}, id="a", index=0), call("read", {"path": "2"}, id="b", index=1)],
        [call("read", '{"path": ', id="a"), call(None, '"1"}'), call("read", '{"path": "2"}', id="b")],
    ],
    ids=["pieces", "every index 0", "no index", "objects for text", "pieces without index"],
)
def test_parallel_calls_are_told_apart_however_a_server_sends_them(deltas: list[dict[str, Any]]) -> None:
    reply = read(*(chunk(delta) for delta in deltas), chunk({}, "tool_calls"))
    assert reply.contents == (READ_A, READ_B)
    assert reply.stop_reason is StopReason.TOOL_CALLS


def test_calls_without_ids_get_ids_that_differ_within_a_run() -> None:
    reply = read(chunk(call("read", "{}", index=0)), chunk(call("list", "{}", index=1)), chunk({}, "stop"))
    ids = [part.id for part in reply.contents if isinstance(part, ToolCall)]
    assert ids == ["call_1_0", "call_1_1"]
    assert reply.stop_reason is StopReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", StopReason.END),
        ("length", StopReason.LENGTH),
        ("content_filter", StopReason.REFUSAL),
        ("eos", StopReason.UNKNOWN),
    ],
)
def test_every_finish_reason_has_its_meaning(finish: str, reason: StopReason) -> None:
    assert read(chunk({"content": "x"}, finish)).stop_reason is reason


def test_a_refusal_is_text_with_its_own_stop_reason() -> None:
    reply = read(chunk({"refusal": "I cannot."}, "stop"))
    assert reply.contents == (TextPart("I cannot."),)
    assert reply.stop_reason is StopReason.REFUSAL


def test_two_hundred_parallel_calls_are_all_kept() -> None:
    calls = [chunk(call("read", f'{{"path": "{n}"}}', id=f"c{n}", index=n)) for n in range(200)]
    reply = read(*calls, chunk({}, "tool_calls"))
    assert [part.id for part in reply.contents if isinstance(part, ToolCall)] == [f"c{n}" for n in range(200)]


def test_usage_may_come_late_in_another_shape_or_not_at_all() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}
    assert read(chunk({"content": "x"}, "stop"), {"choices": [], "usage": usage}).usage == Usage(9, 4, 0, 8)
    deepseek = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 6}
    assert read(chunk({"content": "x"}, "stop", usage=deepseek)).usage.cached_input_tokens == 6
    thoughts = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 113}
    assert read(chunk({"content": "x"}, "stop", usage=thoughts)).usage == Usage(9, 104, 100)


def test_usage_that_a_server_leaves_out_is_estimated_and_said_to_be() -> None:
    reply = settled(read(chunk({"content": "twelve words" * 10}, "stop", usage=None)), ask())
    assert [one.kind for one in reply.troubles] == [TroubleKind.NO_USAGE]
    usage = reply.usage
    assert usage.input_tokens > 0
    assert usage.output_tokens == 40
    assert usage.estimated_tokens == usage.total_tokens
    assert usage.to_json()["estimatedTokens"] == usage.total_tokens


def test_thoughts_of_gemini_are_thinking_and_no_text() -> None:
    thought = {"content": "<thought>Hm.", "extra_content": {"google": {"thought": True}}}
    assert read(chunk(thought), chunk({"content": "Four."}, "stop")).contents == (
        ThinkingPart("Hm."),
        TextPart("Four."),
    )


def test_a_done_mark_ends_a_reply_whose_server_gives_no_reason_but_a_cut_does_not() -> None:
    assert read(chunk({"content": "x"})).stop_reason is StopReason.END
    with pytest.raises(ProviderError, match="ended before"):
        read(chunk({"content": "x"}), done=False)
    with pytest.raises(ProviderError, match="ended before"):
        read()


def test_an_error_event_is_raised() -> None:
    with pytest.raises(ProviderError, match="broke off its reply: out of memory"):
        read(chunk({"content": "x"}), {"error": {"message": "out of memory", "code": 500}})


@pytest.mark.anyio
async def test_a_server_that_does_not_stream_is_understood() -> None:
    whole = {
        "model": "llama",
        "choices": [{"message": {"content": "all at once", "tool_calls": None}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3},
    }
    async with loopback(refuse(200, whole)) as server:
        model = provider("chat", server.url)
        reply = await model.generate(ask(), ignore)
        await model.close()
    assert reply.contents == (TextPart("all at once"),)
    assert reply.usage.input_tokens == 3


@pytest.mark.anyio
async def test_a_server_that_refuses_an_option_is_asked_without_it_from_then_on() -> None:
    async def picky(exchange: Exchange) -> None:
        body = json.loads(exchange.body)
        for known, complaint in (
            ("stream_options", "unknown field stream_options"),
            ("max_tokens", "use max_completion_tokens"),
        ):
            if known in body:
                return await refuse(400, {"error": {"message": complaint}})(exchange)
        return await stream(answer("chat"))(exchange)

    async with loopback(picky) as server:
        model = provider("chat", server.url)
        await model.generate(ask(), ignore)
        await model.generate(ask(), ignore)
        await model.close()
    assert len(server.exchanges) == 4
    assert json.loads(server.exchanges[-1].body)["max_completion_tokens"] == 8192


@pytest.mark.anyio
async def test_messages_are_plain_text_where_they_can_be_and_images_follow_their_results() -> None:
    picture = ImagePart("iVBO", "image/png")
    messages = (
        UserMessage("u", (TextPart("look"), picture, FilePart("aGk=", "text/plain"))),
        ExpertMessage("e", (ThinkingPart("hm"), ToolCall("a", "read", {"path": "é"}))),
        ToolMessage(
            "t", (ToolResult("a", "read", (picture,)), ToolResult("b", "read", (TextPart("no"),), is_error=True))
        ),
        ExpertMessage("n", ()),
        ExpertMessage("f", (TextPart("end"),)),
    )
    async with loopback(stream(answer("chat"))) as server:
        model = OpenAIChatProvider(base_url=f"{server.url}/v1", tuning=Tuning(reasoning_field="reasoning_content"))
        await model.generate(ask(messages=messages), ignore)
        await model.close()
    body = json.loads(server.exchanges[0].body)
    system, user, asked, first, second, shown, last = body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
    assert asked["content"] is None
    assert asked["reasoning_content"] == "hm"
    assert asked["tool_calls"][0]["function"] == {"name": "read", "arguments": '{"path":"é"}'}
    assert (first["content"], second["content"]) == ("(no output)", "Error: no")
    assert shown["role"] == "user"
    assert shown["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBO"
    assert last == {"role": "assistant", "content": "end"}
