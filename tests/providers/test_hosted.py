"""Tools that a provider runs itself: named in the request, and what they did is sent back unchanged."""

from __future__ import annotations

import json

import pytest

from perstack.core.json import JsonObject
from perstack.core.messages import ExpertMessage, StopReason, TextPart, UserMessage
from perstack.providers import anthropic, openai
from perstack.providers.failures import Endpoint
from perstack.providers.hosted import not_sent
from perstack.providers.openai_stream import ResponseReader
from perstack.providers.scripted import ScriptedProvider
from perstack.providers.stream import EventDecoder
from perstack.testing import done, expert
from tests.providers.builders import answer, ask, ignore, provider, sse
from tests.providers.loopback import loopback, stream
from tests.runtime.running import Bench

OPTIONS: JsonObject = {
    "webSearch": {"maxUses": 3, "allowedDomains": ["docs.python.org"]},
    "fileSearch": {"vectorStoreIds": ["vs_1"], "maxNumResults": 4},
}
NAMES = ("webSearch", "webFetch", "codeExecution", "fileSearch", "codeInterpreter", "nobodyKnows")
SEARCH = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"encrypted_content": "opaque"}]}


def test_each_protocol_is_told_of_the_tools_it_has_and_of_no_others() -> None:
    request = ask(hosted=NAMES, hosted_options=OPTIONS)
    said = json.loads(anthropic.head(request) + b"]}")["tools"]
    assert [tool["name"] for tool in said] == ["read", "list", "web_search", "web_fetch", "code_execution"]
    assert (said[2]["max_uses"], said[2]["allowed_domains"]) == (3, ["docs.python.org"])
    said = json.loads(openai.head(request) + b"]}")["tools"]
    assert [tool["type"] for tool in said[2:]] == ["web_search", "file_search", "code_interpreter"]
    assert said[2]["filters"] == {"allowed_domains": ["docs.python.org"]}
    assert (said[3]["vector_store_ids"], said[3]["max_num_results"]) == (["vs_1"], 4)


@pytest.mark.anyio
async def test_a_tool_that_the_provider_does_not_have_is_told_once_and_the_run_goes_on() -> None:
    bench = Bench(ScriptedProvider([done("ok")], name="deepseek"))
    assert (await bench.run(expert(provider_tools=("webSearch",)))).text == "ok"
    (told,) = [event.payload["message"] for event in bench.events if event.type == "progress"]
    assert told == "tester: deepseek has no tool webSearch of its own for m: it is not asked for"
    assert not_sent("anthropic", "claude-x", ("webSearch", "fileSearch")) == ("fileSearch",)
    assert not_sent("google-vertex", "claude-x", ("webSearch",)) == ()
    assert not_sent("google-vertex", "gemini-x", ("webSearch",)) == ("webSearch",)
    assert not_sent("a program's own", "m", ("webSearch",)) == ()


@pytest.mark.anyio
async def test_a_turn_that_pauses_is_gone_on_with_and_its_blocks_come_back_as_they_were() -> None:
    paused = sse(
        [
            {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": SEARCH},
            {"type": "content_block_start", "index": 1, "content_block": FOUND},
            {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ]
    )
    async with loopback(stream(paused), stream(answer("anthropic"))) as server:
        model = provider("anthropic", server.url)
        reply = await model.generate(ask(hosted=("webFetch",)), ignore)
        await model.close()
    assert reply.stop_reason is StopReason.END
    assert reply.contents[-1] == TextPart("fine")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (6, 4)
    assert server.exchanges[0].headers["anthropic-beta"] == "web-fetch-2025-09-10"
    assert json.loads(server.exchanges[1].body)["messages"][-1] == {"role": "assistant", "content": [SEARCH, FOUND]}
    sent = json.loads(anthropic.message(ExpertMessage("e", reply.contents)))
    assert sent["content"][:2] == [SEARCH, FOUND]


def test_a_search_of_openai_is_sent_back_between_its_neighbours_and_to_nobody_else() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "found"}]}
    done = {"type": "response.completed", "response": {"status": "completed", "output": [search, text]}}
    request = ask(messages=[UserMessage("m1", (TextPart("x"),))])
    reader = ResponseReader(Endpoint("openai"), request, ignore)
    for event in EventDecoder().feed(sse([done])):
        reader.feed(event)
    said = ExpertMessage("e", reader.reply().contents)
    assert json.loads(b"[" + openai.message(said) + b"]") == [search, {"role": "assistant", "content": "found"}]
    assert json.loads(anthropic.message(said))["content"] == [{"type": "text", "text": "found"}]
