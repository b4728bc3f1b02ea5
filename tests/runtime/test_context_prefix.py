"""On the wire: each call of a run extends the one before it byte for byte, so that providers' caches can serve it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from perstack.core.errors import ProviderError
from perstack.core.json import JsonObject
from perstack.core.messages import ExpertMessage, FilePart, ImagePart, ModelReply, ModelRequest, TextPart, ToolResult
from perstack.core.usage import Usage
from perstack.providers import anthropic, openai
from perstack.providers.facts import Traits
from perstack.providers.google import GeminiProvider
from perstack.providers.openai_chat import OpenAIChatProvider
from perstack.providers.scripted import ScriptedProvider
from perstack.providers.wire import WireCache
from perstack.runtime.fold import fold
from perstack.testing import FunctionSkill, done, expert, experts, reply
from tests.runtime.running import Bench

pytestmark = pytest.mark.anyio

Body = Callable[[ModelRequest], bytes]
_END = b"]}"


def messages_body() -> Body:
    return WireCache(head=anthropic.head, message=anthropic.message, tail=_END).body


def responses_body() -> Body:
    return WireCache(head=openai.head, message=openai.message, tail=_END).body


def chat_body() -> Body:
    return OpenAIChatProvider(api_key="k", base_url="http://127.0.0.1:9/v1")._wire.body


def gemini_body() -> Body:
    return GeminiProvider(api_key="k", base_url="http://127.0.0.1:9/v1")._wire.body


WIRES = {"anthropic": messages_body, "openai": responses_body, "chat": chat_body, "google": gemini_body}


def skill() -> FunctionSkill:
    picture = ToolResult("", "look", (TextPart("a.png"), ImagePart("aGk=", "image/png")))
    paper = ToolResult("", "leaf", (TextPart("a.pdf"), FilePart("JVBERi0=", "application/pdf")))
    return FunctionSkill(
        {"read": lambda _: "line of a file\n" * 60, "look": lambda _: picture, "leaf": lambda _: paper}
    )


def script(steps: int) -> list[ModelReply]:
    """Parallel calls, thinking, images, a PDF and an empty reply that is asked for again."""
    kinds: tuple[list[tuple[str, JsonObject]], ...] = (
        [("read", {}), ("read", {"other": 1})],
        [("look", {})],
        [("leaf", {})],
        [("read", {})],
    )
    made = [reply("So.", calls=kinds[n % 4], thinking=f"t{n}", usage=Usage(100, 10)) for n in range(steps - 2)]
    return [*made[:5], ModelReply((), made[0].stop_reason, Usage(100, 1)), *made[5:], done("ok")]


async def requests_of(steps: int = 20) -> list[ModelRequest]:
    bench = Bench(script(steps), skill=skill())
    assert (await bench.run()).text == "ok"
    return bench.scripted().requests


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_each_body_extends_the_one_before(wire: Callable[[], Body]) -> None:
    body = wire()
    sent = [body(request) for request in await requests_of()]
    for before, after in itertools.pairwise(sent):
        assert after.startswith(before.removesuffix(_END))
    at_once = wire()((await requests_of())[-1])
    assert at_once == sent[-1], "a process that goes on from a log sends the same bytes"


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_at_least_85_percent_of_what_20_steps_send_was_sent_before(wire: Callable[[], Body]) -> None:
    body = wire()
    sent = [body(request) for request in await requests_of(20)]
    assert len(sent) == 20
    known = sum(len(before.removesuffix(_END)) for before in sent[:-1])
    assert known / sum(map(len, sent)) >= 0.85


@pytest.mark.slow
async def test_at_least_85_percent_could_be_cached_with_delegates_and_a_compaction_too() -> None:
    team = experts(expert("lead", "I lead.", delegates=("helper",)), expert("helper", "I help."))

    def play(request: ModelRequest) -> ModelReply:
        own = sum(isinstance(message, ExpertMessage) for message in request.messages)
        asked = len(bench.scripted().requests)
        if "I help." in request.system:
            return done("helped") if own >= 12 else reply(calls=[("read", {"n": own})], usage=Usage())
        if asked >= 70:
            return done("ok")
        call: tuple[str, JsonObject] = ("helper", {"query": "help"}) if asked % 20 == 5 else ("read", {"n": asked})
        return reply(calls=[call], usage=Usage())

    long = {"read": lambda _: "line of a file with words\n" * 150}
    bench = Bench(
        play,
        skill=FunctionSkill(long),
        child_skills={"helper": FunctionSkill(long)},
        traits_for=lambda _: Traits(window=30_000, output=4000),
    )
    assert (await bench.run(team["lead"], experts=team)).text == "ok"
    assert "compactContext" in bench.collect.types()
    before, known, total = dict[str, bytes](), 0, 0
    body = messages_body()
    for request in bench.scripted().requests:
        sent = body(request).removesuffix(_END)
        last = before.get(request.run_id, b"")
        known += len(last) if sent.startswith(last) else 0
        total += len(sent)
        before[request.run_id] = sent
    assert known / total >= 0.85


async def test_a_call_that_failed_on_its_way_is_made_again_with_the_same_bytes() -> None:
    replies, failed = iter(script(4)), list[ModelRequest]()

    def flaky(request: ModelRequest) -> ModelReply:
        if len(request.messages) == 5 and not failed:
            failed.append(request)
            raise ProviderError("cut off", retryable=True)
        return next(replies)

    bench = Bench(flaky, skill=skill())
    assert (await bench.run()).status == "completed"
    assert "retry" in bench.collect.types()
    again = [request for request in bench.scripted().requests if len(request.messages) == 5]
    assert len(again) == 2
    for wire in WIRES.values():
        assert wire()(again[0]) == wire()(again[1])


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_what_one_expert_thinks_is_sent_to_no_other(wire: Callable[[], Body]) -> None:
    team = experts(expert("lead", "I lead.", delegates=("helper",)), expert("helper", "I help."))

    def thinks(request: ModelRequest) -> ModelReply:
        if "I help." in request.system:
            return reply(calls=[("attemptCompletion", {"result": "helped"})], thinking="what the helper mulls over")
        if len(request.messages) > 1:
            return done("led")
        return reply(calls=[("helper", {"query": "help"})], thinking="what the leader mulls over")

    bench = Bench(thinks)
    await bench.run(team["lead"], experts=team)
    body = wire()
    sent = [(request.system, body(request).decode()) for request in bench.scripted().requests]
    assert len(sent) == 3
    assert all("leader mulls" not in text for system, text in sent if "I help." in system)
    assert all("helper mulls" not in text for system, text in sent if "I lead." in system)


async def test_a_resumed_run_extends_what_the_process_before_it_sent() -> None:
    first = Bench(script(10), skill=skill())
    await first.run()
    cut = [n for n, event in enumerate(first.events) if event.type == "continueToNextStep"][4]
    again = Bench(ScriptedProvider(script(10)[5:]), skill=skill())
    await again.runner.resume(again.request(), fold(first.events[: cut + 1]))
    before, after = first.scripted().requests[4], again.scripted().requests[0]
    for wire in WIRES.values():
        assert wire()(after).startswith(wire()(before).removesuffix(_END))


async def test_anthropic_gets_at_most_four_marks_and_openai_one_key_a_run() -> None:
    last = (await requests_of())[-1]
    assert 1 <= messages_body()(last).count(b'"cache_control"') <= 4
    assert responses_body()(last).count(b'"prompt_cache_key"') == 1
