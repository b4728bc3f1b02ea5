"""Time limits, cancelling, waiting and what is sent: against a server that shows exact bytes and exact timing."""

from __future__ import annotations

import json
import logging
import socket
from functools import partial
from itertools import pairwise

import anyio
import pytest

from perstack.core.errors import ProviderError
from perstack.core.messages import (
    ExpertMessage,
    Message,
    TextPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.providers.exchange import Timeouts
from tests.providers.builders import KEY, PROVIDERS, Waits, answer, ask, ignore, provider
from tests.providers.loopback import Act, Exchange, loopback, refuse, stream

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("name", PROVIDERS)]
log = logging.getLogger(__name__)
IMPATIENT = Timeouts(first_byte_s=1.0, idle_s=20.0)
RESTLESS = Timeouts(first_byte_s=20.0, idle_s=0.5)


async def silent(exchange: Exchange) -> None:
    """Take the request and never answer."""
    await exchange.left.wait()


async def half(exchange: Exchange) -> None:
    """Begin a stream, with a sign of life that is no event, and then say nothing more."""
    await exchange.begin()
    await exchange.chunk(b": here\n\n")
    await exchange.left.wait()


def history(turns: int) -> list[Message]:
    """A query and `turns` whole turns with one tool call each."""
    found: list[Message] = [UserMessage("m0", (TextPart("go"),))]
    for turn in range(turns):
        call = ToolCall(f"call_{turn}", "read", {"path": f"ä/{turn}.txt"})
        found.append(ExpertMessage(f"e{turn}", (TextPart("reading"), call)))
        found.append(ToolMessage(f"t{turn}", (ToolResult(call.id, "read", (TextPart('a "quoted"\nline'),)),)))
    return found


async def test_each_turn_is_the_turn_before_and_more_byte_for_byte(name: str) -> None:
    messages = history(5)
    async with loopback(stream(answer(name))) as server:
        model = provider(name, server.url)
        for turn in range(6):
            await model.generate(ask(messages=messages[: 1 + 2 * turn]), ignore)
        await model.close()
    bodies = [exchange.body for exchange in server.exchanges]
    assert len(bodies) == 6
    for before, after in pairwise(bodies):
        assert before.endswith(b"]}")
        assert after.startswith(before[:-2])
        assert len(after) > len(before)
    assert all(json.loads(body)["model"] == "model-1" for body in bodies)


async def test_a_call_that_is_tried_again_sends_the_same_bytes(name: str) -> None:
    overloaded = refuse(503, {"error": {"message": "busy"}})
    async with loopback(overloaded, overloaded, stream(answer(name))) as server:
        model = provider(name, server.url)
        await model.generate(ask(messages=history(3)), ignore)
        await model.close()
    assert len({exchange.body for exchange in server.exchanges}) == 1


async def test_one_connection_serves_all_turns(name: str) -> None:
    async with loopback(stream(answer(name))) as server:
        model = provider(name, server.url)
        for _ in range(4):
            await model.generate(ask(), ignore)
        await model.close()
    assert server.connections == 1


async def test_the_key_goes_into_the_header_and_nowhere_else(name: str) -> None:
    async with loopback(stream(answer(name))) as server:
        model = provider(name, server.url, headers={"X-Team": "blue"})
        await model.generate(ask(), ignore)
        await model.close()
    seen = server.exchanges[0]
    assert KEY in (seen.headers.get("authorization", "") + seen.headers.get("x-api-key", ""))
    assert seen.headers["x-team"] == "blue"
    assert seen.headers["content-type"] == "application/json"
    assert KEY.encode() not in seen.body


async def test_the_key_is_in_no_log_even_at_the_lowest_level(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with loopback(refuse(500, {"error": {"message": KEY}}), stream(answer(name))) as server:
        model = provider(name, server.url, on_retry=lambda attempt, reason, delay: log.info(reason))
        await model.generate(ask(), ignore)
        await model.close()
    assert caplog.records
    assert KEY not in caplog.text


async def test_a_server_that_never_answers_is_left_after_the_first_limit(name: str) -> None:
    async with loopback(silent, stream(answer(name))) as server:
        reasons: list[str] = []
        model = provider(
            name, server.url, timeouts=IMPATIENT, on_retry=lambda attempt, reason, delay: reasons.append(reason)
        )
        with anyio.fail_after(10):
            reply = await model.generate(ask(), ignore)
            await server.exchanges[0].left.wait()
        await model.close()
    assert reply.contents == (TextPart("fine"),)
    assert reasons == [f"{name} was too slow: no answer within 1 s"]


async def test_a_stream_that_falls_silent_is_left_after_the_idle_limit(name: str) -> None:
    async with loopback(half, stream(answer(name))) as server:
        reasons: list[str] = []
        model = provider(
            name, server.url, timeouts=RESTLESS, on_retry=lambda attempt, reason, delay: reasons.append(reason)
        )
        with anyio.fail_after(10):
            await model.generate(ask(), ignore)
            await server.exchanges[0].left.wait()
        await model.close()
    assert reasons == [f"{name} was too slow: nothing more came within 0.5 s"]


async def test_signs_of_life_keep_a_slow_stream_but_not_past_the_whole_limit(name: str) -> None:
    async def chatty(exchange: Exchange) -> None:
        await exchange.begin()
        while not exchange.left.is_set():
            await exchange.chunk(b": still here\n\n")
            with anyio.move_on_after(0.05):
                await exchange.left.wait()

    async with loopback(chatty) as server:
        model = provider(name, server.url, timeouts=RESTLESS)
        with anyio.fail_after(10), pytest.raises(ProviderError, match=r"no complete reply within 1\.2 s"):
            await model.generate(ask(timeout_s=1.2), ignore)
        await model.close()
    assert len(server.exchanges) == 1


@pytest.mark.parametrize("act", [half, silent], ids=["in the stream", "before the headers"])
async def test_cancelling_closes_the_connection_at_once(name: str, act: Act) -> None:
    async with loopback(act) as server:
        model = provider(name, server.url)
        async with anyio.create_task_group() as group:
            group.start_soon(model.generate, ask(), ignore)
            with anyio.fail_after(10):
                await server.asked.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await server.exchanges[0].left.wait()
        await model.close()


async def test_cancelling_while_it_waits_to_ask_again_asks_nobody(name: str) -> None:
    waiting = anyio.Event()
    async with loopback(refuse(429, {"error": {"message": "later"}}, retry_after="60")) as server:
        model = provider(name, server.url, waits=anyio.sleep, on_retry=lambda *_: waiting.set())
        async with anyio.create_task_group() as group:
            group.start_soon(partial(model.generate, ask(timeout_s=300.0), ignore))
            with anyio.fail_after(10):
                await waiting.wait()
            group.cancel_scope.cancel()
        await model.close()
    assert len(server.exchanges) == 1


async def test_a_server_that_is_not_there_is_told_with_what_to_check(name: str) -> None:
    model = provider(name, "http://127.0.0.1:1", max_retries=1)
    with pytest.raises(ProviderError, match="no connection to") as caught:
        await model.generate(ask(), ignore)
    await model.close()
    assert caught.value.retryable
    assert "base URL" in caught.value.hint


async def test_a_connection_that_nobody_takes_is_given_up_after_its_own_limit(name: str) -> None:
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        for other in (first, second):  # they fill the queue of those who wait to be taken
            other.setblocking(False)
            other.connect_ex(busy.getsockname())
        url = f"http://127.0.0.1:{busy.getsockname()[1]}"
        model = provider(name, url, timeouts=Timeouts(connect_s=0.2), max_retries=0)
        with anyio.fail_after(10), pytest.raises(ProviderError, match=r"not made within 0\.2 s") as caught:
            await model.generate(ask(), ignore)
        await model.close()
    assert caught.value.retryable


async def test_the_servers_wish_to_wait_is_kept_unless_it_is_too_long(name: str) -> None:
    waits = Waits()
    error = {"error": {"type": "rate_limit_error", "message": "slow down"}}
    async with loopback(refuse(429, error, retry_after_ms="2500"), stream(answer(name))) as server:
        model = provider(name, server.url, waits=waits)
        await model.generate(ask(), ignore)
        await model.close()
    assert waits.seconds == [2.5]
    async with loopback(refuse(429, error, retry_after="4000")) as server:
        model = provider(name, server.url, waits=waits)
        with pytest.raises(ProviderError, match="asks to wait 4000 s"):
            await model.generate(ask(), ignore)
        await model.close()
    assert len(server.exchanges) == 1


async def test_a_wait_that_would_outlast_the_whole_limit_is_not_begun(name: str) -> None:
    waits = Waits()
    async with loopback(refuse(429, {"error": {"message": "no"}}, retry_after="30")) as server:
        model = provider(name, server.url, waits=waits)
        with pytest.raises(ProviderError, match="no time left"):
            await model.generate(ask(timeout_s=5.0), ignore)
        await model.close()
    assert waits.seconds == []


async def test_a_stream_of_rubbish_is_not_taken_for_a_reply(name: str) -> None:
    async with loopback(stream(b'data: {"type": \n\n'), stream(b"\xff\xfe\n\n"), stream(b"")) as server:
        reasons: list[str] = []
        model = provider(
            name, server.url, max_retries=2, on_retry=lambda attempt, reason, delay: reasons.append(reason)
        )
        with pytest.raises(ProviderError, match="ended before") as caught:
            await model.generate(ask(), ignore)
        await model.close()
    assert len(reasons) == 2
    assert all("cannot be read" in reason for reason in [*reasons, caught.value.message])


async def test_a_reply_that_is_whole_counts_even_if_the_server_then_cuts_the_line(name: str) -> None:
    async def abrupt(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(answer(name))
        exchange.cut()

    async with loopback(abrupt) as server:
        model = provider(name, server.url, max_retries=0)
        reply = await model.generate(ask(), ignore)
        await model.close()
    assert reply.contents == (TextPart("fine"),)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)


async def test_an_event_split_anywhere_is_read_the_same(name: str) -> None:
    whole = answer(name, "Zürich – 東京")

    async def dribble(exchange: Exchange) -> None:
        await exchange.begin()
        for at in range(0, len(whole), 7):
            await exchange.chunk(whole[at : at + 7])
        await exchange.end()

    async with loopback(dribble) as server:
        model = provider(name, server.url, max_retries=0)
        reply = await model.generate(ask(), ignore)
        await model.close()
    assert reply.contents == (TextPart("Zürich – 東京"),)


@pytest.mark.slow
async def test_ten_megabytes_of_one_result_and_two_hundred_calls_are_sent_whole(name: str) -> None:
    calls = tuple(ToolCall(f"call_{number}", "read", {"path": f"{number}.txt"}) for number in range(200))
    huge = "0123456789" * 1_000_000
    results = tuple(ToolResult(call.id, "read", (TextPart(huge if call is calls[0] else "x"),)) for call in calls)
    messages: list[Message] = [
        UserMessage("m0", (TextPart("go"),)),
        ExpertMessage("e0", calls),
        ToolMessage("t0", results),
    ]
    async with loopback(stream(answer(name))) as server:
        model = provider(name, server.url, max_retries=0)
        with anyio.fail_after(20):
            reply = await model.generate(ask(messages=messages), ignore)
        await model.close()
    assert reply.contents == (TextPart("fine"),)
    sent = server.exchanges[0].body.decode()
    assert huge in sent
    rest = sent.replace(huge, "")
    assert all(rest.count(f'"{call.id}"') == 2 for call in calls)
