"""Rules of generation, completion and limits, one by one: the event, its payload, and what the model sees next."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
import pytest

from perstack.core.errors import ProviderError
from perstack.core.json import Json
from perstack.core.messages import (
    Delta,
    FilePart,
    ImagePart,
    ModelReply,
    ModelRequest,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.core.usage import Usage
from perstack.providers.facts import Traits
from perstack.runtime import results
from perstack.skills.truncation import MAX_OUTPUT
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

SPENT = {"inputTokens": 10, "outputTokens": 5, "reasoningTokens": 0, "totalTokens": 15, "cachedInputTokens": 0}
FREE = dict.fromkeys(SPENT, 0)


@dataclass(frozen=True)
class Again:
    """A reply after which the model is asked again: the `retry` event, and the stop when that is over the limit."""

    reply: ModelReply | ProviderError
    error: str
    messages: tuple[str, ...]
    stop: tuple[str, str] = ("MaxRetriesExceeded", "Max retries (1) exceeded: No tool call or text generated")
    usage: Mapping[str, int] = field(default_factory=lambda: SPENT)
    calls: tuple[str, ...] = ()


OVERLOADED = ProviderError("overloaded", status=529, retryable=True)
AGAIN = {
    "nothing": Again(
        ModelReply((), StopReason.END, Usage(10, 5)), "Error: No tool call or text generated", ("userMessage",)
    ),
    "only thinking": Again(
        ModelReply((ThinkingPart("hm"),), StopReason.END, Usage(10, 5)), "Error: No tool call or text generated",
        ("userMessage",),
    ),
    "blank text": Again(
        reply(" \n"), "Error: No tool call or text generated", ("userMessage",)
    ),
    "calls cut by length": Again(
        reply("I", [("look", {}), ("look", {})], stop=StopReason.LENGTH), "Error: Tool call generation failed",
        ("expertMessage", "toolMessage"), calls=("look",),
        stop=("MaxRetriesExceeded", "Max retries (1) exceeded: Generation length exceeded"),
    ),
    "text cut by length": Again(
        reply("Half a", stop=StopReason.LENGTH), "Error: Text generation failed", ("expertMessage", "userMessage"),
        ("MaxRetriesExceeded", "Max retries (1) exceeded: Generation length exceeded"),
    ),
    "a refusal": Again(
        reply("No.", stop=StopReason.REFUSAL), "Error: Unexpected finish reason: refusal",
        ("expertMessage", "userMessage"), ("MaxRetriesExceeded", "Max retries (1) exceeded: The model refused: No."),
    ),
    "a silent refusal": Again(
        ModelReply((), StopReason.REFUSAL, Usage(10, 5)), "Error: Unexpected finish reason: refusal", ("userMessage",),
        ("MaxRetriesExceeded", "Max retries (1) exceeded: The model refused: no reason given"),
    ),
    "an overload": Again(
        OVERLOADED, "ProviderError", (), ("ProviderError", "Max retries (1) exceeded: overloaded"), usage=FREE
    ),
}  # fmt: skip


def playing(*script: ModelReply | ProviderError) -> Bench:
    left = iter(script)

    def answer(_: ModelRequest) -> ModelReply:
        item = next(left)
        if isinstance(item, ProviderError):
            raise item
        return item

    return Bench(answer, skill=FunctionSkill({"look": lambda _: "seen"}))


@pytest.mark.parametrize("case", AGAIN.values(), ids=AGAIN)
async def test_a_reply_that_is_no_use_is_told_and_asked_for_again(case: Again) -> None:
    bench = playing(case.reply, reply("ok"))
    outcome = await bench.run()
    assert (outcome.text, outcome.steps) == ("ok", 2), "each retry is a step"
    retry = bench.collect.first("retry").payload
    assert json.loads(str(retry["reason"])).keys() == {"error", "message"}
    assert json.loads(str(retry["reason"]))["error"] == case.error
    assert retry["usage"] == case.usage
    new = retry["newMessages"]
    assert isinstance(new, list)
    assert tuple(message["type"] for message in new) == case.messages
    calls, answers = retry.get("toolCalls", []), retry.get("toolResults", [])
    assert isinstance(calls, list)
    assert isinstance(answers, list)
    assert tuple(call["toolName"] for call in calls) == tuple(item["toolName"] for item in answers) == case.calls
    assert len(bench.scripted().requests[1].messages) == 1 + len(new)
    assert bench.skill.called == []


@pytest.mark.parametrize("case", AGAIN.values(), ids=AGAIN)
async def test_the_run_stops_when_it_was_asked_for_too_often(case: Again) -> None:
    bench = playing(case.reply, case.reply)
    outcome = await bench.run(max_retries=1)
    error = bench.collect.first("stopRunByError").payload["error"]
    assert isinstance(error, Mapping)
    assert (error["name"], error["message"], error["isRetryable"]) == (*case.stop, False)
    assert error.get("statusCode") == (529 if case.reply is OVERLOADED else None)
    assert (outcome.status, outcome.error) == ("stoppedByError", case.stop[1])
    assert bench.collect.first("stopRunByError").payload["checkpoint"]["error"] == error  # type: ignore[index,call-overload]


async def test_a_good_reply_takes_the_retries_back() -> None:
    bad, look = ModelReply((), StopReason.END), reply(calls=[("look", {})])
    bench = playing(bad, look, bad, look, bad, reply("ok"))
    assert (await bench.run(max_retries=1)).text == "ok"


@pytest.mark.parametrize("stop", [StopReason.END, StopReason.TOOL_CALLS, StopReason.UNKNOWN])
async def test_calls_are_made_and_text_is_the_result_however_the_end_is_called(stop: StopReason) -> None:
    bench = playing(reply("Look.", [("look", {})], stop=stop), reply("ok", stop=stop))
    assert (await bench.run()).text == "ok"
    assert len(bench.skill.called) == 1


async def test_calls_without_usable_ids_get_their_own() -> None:
    calls = tuple(ToolCall(name, "look", {"n": n}) for n, name in enumerate(("", "same", "same", "x" * 300)))
    bench = playing(ModelReply(calls, StopReason.TOOL_CALLS), reply("ok"))
    assert (await bench.run()).text == "ok"
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert len({result.id for result in last.results}) == 4
    assert last.results[1].id == "same"
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,255}", result.id) for result in last.results)
    assert [call.args["n"] for call in bench.skill.called] == [0, 1, 2, 3]


async def test_a_model_that_does_not_answer_in_time_is_asked_again() -> None:
    class Late:
        name = "late"
        asked = 0

        async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
            self.asked += 1
            if self.asked == 1:
                await anyio.sleep_forever()
            return reply("ok")

        async def close(self) -> None: ...

    bench = Bench(Late())
    with anyio.fail_after(5):
        assert (await bench.run(timeout_s=0.05)).text == "ok"
    assert "no complete reply within 50 ms" in str(bench.collect.first("retry").payload["reason"])


COMPLETIONS: Mapping[str, tuple[list[ModelReply], str, int]] = {
    "a result": ([done("r")], "r", 1),
    "a result beside a text": ([reply("Here.", [("attemptCompletion", {"result": "r"})])], "r", 1),
    "a text beside the call": ([reply("Here.", [("attemptCompletion", {})])], "Here.", 1),
    "neither: the text that is asked for": ([done(""), reply("Here.")], "Here.", 2),
    "neither: a result that is asked for": ([done(""), done("r")], "r", 2),
    "neither, twice": ([done(""), done("")], "", 2),
    "a result that is no text": ([reply(calls=[("attemptCompletion", {"result": 3})]), reply("three")], "three", 2),
    "claimed twice at once": ([reply(calls=[("attemptCompletion", {"result": n}) for n in "xy"])], "x", 1),
}  # fmt: skip


@pytest.mark.parametrize(("script", "text", "steps"), COMPLETIONS.values(), ids=COMPLETIONS)
async def test_a_claim_of_completion_ends_with_a_text(script: list[ModelReply], text: str, steps: int) -> None:
    bench = Bench(script)
    outcome = await bench.run()
    assert (outcome.status, outcome.text, outcome.steps) == ("completed", text, steps)
    end = bench.collect.first("completeRun").payload
    assert (end["text"], end["usage"]) == (text, SPENT)


async def test_a_claim_without_a_text_at_the_last_step_completes_all_the_same() -> None:
    outcome = await Bench([done("")]).run(max_steps=1)
    assert (outcome.status, outcome.text) == ("completed", "")


async def test_open_todos_beside_other_calls_keep_the_run_going_with_every_result() -> None:
    answers = iter(['{"remainingTodos":[{"id":0,"title":"x","completed":false}]}', "{}"])
    skill = FunctionSkill({"attemptCompletion": lambda _: next(answers), "look": lambda _: "seen"})
    both = reply(calls=[("attemptCompletion", {"result": "early"}), ("look", {})])
    bench = Bench([both, done("now")], skill=skill)
    assert (await bench.run()).text == "now"
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [(result.tool_name, "remainingTodos" in result.text) for result in last.results] == [
        ("attemptCompletion", True), ("look", False)
    ]  # fmt: skip


async def test_messages_are_in_the_order_thinking_text_calls_by_kind() -> None:
    team = experts(expert("a", delegates=("b",)), expert("b", "I am B."))
    parts = (ToolCall("1", "b", {"query": "q"}), TextPart("text"), ToolCall("2", "look", {}), ThinkingPart("hm", "s"))
    bench = Bench(
        [ModelReply(parts, StopReason.TOOL_CALLS), done("B"), reply("ok")], skill=FunctionSkill({"look": lambda _: ""})
    )
    await bench.run(team["a"], experts=team)
    message = bench.collect.first("callTools").payload["newMessage"]
    assert isinstance(message, Mapping)
    contents = message["contents"]
    assert isinstance(contents, list)
    assert [part.get("toolName", part["type"]) for part in contents] == ["thinkingPart", "textPart", "look", "b"]
    assert contents[0]["signature"] == "s"


async def test_usage_is_summed_and_the_end_tells_the_last_generation() -> None:
    first = reply(calls=[("look", {})], usage=Usage(100, 20, 7, 50))
    bench = playing(first, reply("ok", usage=Usage(200, 30, 8, 60)))
    outcome = await bench.run()
    assert outcome.usage == Usage(300, 50, 15, 110)
    end = bench.collect.first("completeRun").payload
    assert end["usage"] == Usage(200, 30, 8, 60).to_json()
    checkpoint = end["checkpoint"]
    assert isinstance(checkpoint, Mapping)
    assert checkpoint["usage"] == Usage(300, 50, 15, 110).to_json()


def huge(parts: tuple[TextPart | ImagePart | FilePart, ...]) -> Callable[[Mapping[str, Json]], ToolResult]:
    return lambda _: ToolResult("x", "look", parts)


async def shown(*parts: TextPart | ImagePart | FilePart) -> ToolResult:
    bench = Bench([reply(calls=[("look", {"a": 1})]), reply("ok")], skill=FunctionSkill({"look": huge(parts)}))
    await bench.run()
    last = bench.scripted().requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    return last.results[0]


async def test_nothing_and_nothing_written_are_told_as_such() -> None:
    assert (await shown()).text == 'Tool look returned nothing with arguments: {"a":1}'
    assert (await shown(TextPart(""))).text == "Error: No content"


async def test_many_texts_share_the_room_of_one() -> None:
    result = await shown(TextPart("a" * 20_000), TextPart("b" * 20_000), TextPart("c"), TextPart("d"))
    assert len(result.text) < MAX_OUTPUT + 200
    assert result.contents[0] == TextPart("a" * 20_000)
    assert "... [truncated:" in result.text
    assert result.text.endswith("... [truncated: 2 further texts are not shown]")


async def test_pictures_and_files_over_their_limits_become_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_IMAGE", 8)
    small, big = ImagePart("aaaa", "image/png"), ImagePart("a" * 12, "image/png")
    result = await shown(small, big, FilePart("a" * 12, "application/pdf"))
    assert result.contents[0] == small
    assert "the image (image/png" in result.text
    assert isinstance(result.contents[2], FilePart)
    crowd = await shown(*[small] * (results.MAX_MEDIA + 2))
    assert len(crowd.contents) == results.MAX_MEDIA + 1
    assert "2 further images and files" in crowd.text


async def test_what_was_refused_is_not_repeated_as_thinking() -> None:
    bench = playing(reply("No.", thinking="hm", stop=StopReason.REFUSAL), reply("ok"))
    await bench.run()
    assert "hm" not in str(bench.scripted().requests[1].messages)
    assert isinstance(bench.scripted().requests[1].messages[-1], UserMessage)


async def test_a_checkpoint_says_how_full_the_window_of_a_known_model_is() -> None:
    bench = Bench(
        [reply(calls=[("look", {})], usage=Usage(900, 100)), reply("ok", usage=Usage(1900, 100))],
        traits_for=lambda _: Traits(window=200_000),
    )
    await bench.runner.run(bench.request())
    first, last = (bench.collect.first(kind).payload["checkpoint"] for kind in ("continueToNextStep", "completeRun"))
    assert isinstance(first, Mapping)
    assert isinstance(last, Mapping)
    assert (first["contextWindow"], first["contextWindowUsage"]) == (200_000, 0.005)
    assert last["contextWindowUsage"] == 0.01, "the last generation counts, not the sum"
    unknown = playing(reply("ok"))
    await unknown.run()
    assert "contextWindow" not in str(unknown.collect.first("completeRun").payload)
