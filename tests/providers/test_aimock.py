"""All three wire protocols against aimock: texts, reasoning, tools, usage, failures and chaos."""

from __future__ import annotations

import pytest

from perstack.core.errors import ProviderError
from perstack.core.messages import (
    ExpertMessage,
    Message,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from tests.providers.builders import KEY, PROVIDERS, Waits, ask, collector, ignore, provider
from tests.providers.conftest import Aimock

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.parametrize("name", PROVIDERS)]


async def test_a_text_streams_in_pieces_and_its_usage_is_counted(name: str, aimock: Aimock) -> None:
    model = provider(name, aimock.url, headers=aimock.headers)
    deltas, on_delta = collector()
    reply = await model.generate(ask("greet"), on_delta)
    await model.close()
    assert [part.text for part in reply.contents if isinstance(part, TextPart)] == [
        "Good morning to all who read this test."
    ]
    assert len(deltas) >= 4
    assert "".join(delta.text for delta in deltas if delta.kind == "text").startswith("Good morning")
    assert reply.stop_reason is StopReason.END
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (120, 9)
    assert reply.model == "model-1"


async def test_reasoning_comes_before_the_text_and_is_marked_as_such(name: str, aimock: Aimock) -> None:
    model = provider(name, aimock.url, headers=aimock.headers)
    deltas, on_delta = collector()
    reply = await model.generate(ask("think first"), on_delta)
    await model.close()
    thinking, text = reply.contents
    assert isinstance(thinking, ThinkingPart)
    assert thinking.thinking == "The sum is four."
    assert text == TextPart("Four.")
    assert {delta.kind for delta in deltas} == {"text", "thinking"}


async def test_parallel_tool_calls_and_their_results_make_a_whole_turn(name: str, aimock: Aimock) -> None:
    model = provider(name, aimock.url, headers=aimock.headers)
    query = UserMessage("m1", (TextPart("two files"),))
    first = await model.generate(ask(messages=[query]), ignore)
    calls = [part for part in first.contents if isinstance(part, ToolCall)]
    assert [(call.id, call.tool_name, call.args) for call in calls] == [
        ("call_a", "read", {"path": "a.txt"}),
        ("call_b", "read", {"path": "b.txt"}),
    ]
    assert first.stop_reason is StopReason.TOOL_CALLS
    results = tuple(
        ToolResult(call.id, call.tool_name, (TextPart(word),))
        for call, word in zip(calls, ("alpha", "beta"), strict=True)
    )
    history: list[Message] = [query, ExpertMessage("m2", first.contents), ToolMessage("m3", results)]
    second = await model.generate(ask(messages=history), ignore)
    await model.close()
    assert TextPart("They hold alpha and beta.") in second.contents


async def test_an_output_limit_is_told_as_length(name: str, aimock: Aimock) -> None:
    model = provider(name, aimock.url, headers=aimock.headers)
    reply = await model.generate(ask("many files"), ignore)
    await model.close()
    assert reply.stop_reason is StopReason.LENGTH


async def test_an_overloaded_server_is_asked_again(name: str, aimock: Aimock) -> None:
    told: list[tuple[int, str]] = []
    waits = Waits()
    model = provider(
        name,
        aimock.url,
        headers=aimock.headers,
        waits=waits,
        on_retry=lambda attempt, reason, delay: told.append((attempt, reason)),
    )
    reply = await model.generate(ask("overloaded once"), ignore)
    await model.close()
    assert TextPart("now I can") in reply.contents
    assert told == [(1, f"{name} is in trouble (529): Overloaded")]
    assert len(waits.seconds) == 1


async def test_a_stream_cut_in_the_middle_is_asked_again_and_its_half_is_dropped(name: str, aimock: Aimock) -> None:
    told: list[int] = []
    model = provider(
        name, aimock.url, headers=aimock.headers, on_retry=lambda attempt, reason, delay: told.append(attempt)
    )
    reply = await model.generate(ask("cut once"), ignore)
    await model.close()
    texts = [part.text for part in reply.contents if isinstance(part, TextPart)]
    assert texts == ["whole at last"]
    assert told == [1]


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        ("dropRate", "is in trouble (500)"),
        ("malformedRate", "cannot be read"),
        ("disconnectRate", "was cut"),
        ("rateLimitRate", "too many requests"),
    ],
)
async def test_chaos_is_survived_when_it_ends_and_told_when_it_does_not(
    name: str, rate: str, words: str, aimock: Aimock
) -> None:
    reasons: list[str] = []

    def on_retry(attempt: int, reason: str, delay: float) -> None:
        reasons.append(reason)
        if attempt == 2:
            aimock.calm()

    model = provider(name, aimock.url, headers=aimock.headers, on_retry=on_retry)
    aimock.chaos(**{rate: 1})
    reply = await model.generate(ask("greet"), ignore)
    assert reply.stop_reason is StopReason.END
    assert len(reasons) == 2
    assert all(words in reason for reason in reasons)

    stubborn = provider(name, aimock.url, headers=aimock.headers, max_retries=1)
    aimock.chaos(**{rate: 1})
    with pytest.raises(ProviderError, match="gave up after 2 attempts") as caught:
        await stubborn.generate(ask("greet"), ignore)
    assert words in str(caught.value)
    assert caught.value.retryable
    aimock.calm()
    await model.close()
    await stubborn.close()


async def test_a_rate_limited_client_waits_as_long_as_the_server_asks(name: str, aimock: Aimock) -> None:
    waits = Waits()
    model = provider(
        name, aimock.url, headers=aimock.headers, waits=waits, on_retry=lambda attempt, reason, delay: aimock.calm()
    )
    aimock.chaos(rateLimitRate=1)
    await model.generate(ask("greet"), ignore)
    await model.close()
    assert waits.seconds == [1.0]


async def test_latency_and_a_slow_first_token_are_waited_for(name: str, aimock: Aimock) -> None:
    model = provider(name, aimock.url, headers=aimock.headers)
    aimock.chaos(latencyMs=200)
    reply = await model.generate(ask("slow start"), ignore)
    aimock.calm()
    await model.close()
    assert TextPart("late but good") in reply.contents


@pytest.mark.parametrize(
    ("text", "says", "status"),
    [
        ("bad key", "was rejected", 401),
        ("no such model", "unknown model", 404),
        ("too long", "the request is longer than model-1 can read", 400),
    ],
)
async def test_a_refusal_for_good_is_not_repeated_and_tells_no_secret(
    name: str, text: str, says: str, status: int, aimock: Aimock
) -> None:
    waits = Waits()
    model = provider(name, aimock.url, headers=aimock.headers, waits=waits)
    with pytest.raises(ProviderError, match=says) as caught:
        await model.generate(ask(text), ignore)
    await model.close()
    assert waits.seconds == []
    assert caught.value.status == status
    assert not caught.value.retryable
    assert caught.value.hint
    assert KEY not in str(caught.value)
