"""What a failure is, in one word, for every provider; and that nothing of ours follows a redirect."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from perstack.api.choice import make_provider
from perstack.core.errors import AUTH, NO_MEDIA, OVERLOADED, QUOTA, RATE_LIMIT, TOO_LONG, ProviderError
from perstack.core.messages import TextPart
from perstack.definition.load import load_config
from perstack.providers.retry import retry_after_s
from perstack.providers.vertex import DefaultLogin
from tests.providers.builders import KEY, PROVIDERS, answer, ask, ignore, provider
from tests.providers.loopback import Act, Exchange, loopback, refuse, stream

# Status, body and kind, as each server says it.
FAILURES: dict[str, list[tuple[int, dict[str, Any], str]]] = {
    "anthropic": [
        (401, {"type": "authentication_error", "message": "invalid x-api-key"}, AUTH),
        (403, {"type": "permission_error", "message": "not yours"}, AUTH),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low to access"}, QUOTA),
        (429, {"type": "rate_limit_error", "message": "This request would exceed your rate limit"}, RATE_LIMIT),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, OVERLOADED),
        (400, {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000"}, TOO_LONG),
        (413, {"type": "request_too_large", "message": "Request exceeds the maximum size"}, TOO_LONG),
    ],
    "openai": [
        (401, {"code": "invalid_api_key", "message": "Incorrect API key provided"}, AUTH),
        (429, {"code": "insufficient_quota", "message": "You exceeded your current quota"}, QUOTA),
        (429, {"code": "rate_limit_exceeded", "message": "Rate limit reached for requests"}, RATE_LIMIT),
        (503, {"code": "server_is_overloaded", "message": "The server is overloaded"}, OVERLOADED),
        (400, {"code": "context_length_exceeded", "message": "exceeds the context window"}, TOO_LONG),
        (400, {"code": "invalid_value", "message": "This model does not support image inputs"}, NO_MEDIA),
    ],
    "openai-compatible": [
        (402, {"message": "Insufficient Balance"}, QUOTA),
        (429, {"message": "slow down"}, RATE_LIMIT),
        (503, {"message": "no instance"}, OVERLOADED),
        (400, {"message": "the request exceeds the available context size"}, TOO_LONG),
        (500, {"message": "image input is not supported - hint: you may need to provide the mmproj"}, NO_MEDIA),
        (400, {"message": "bad field"}, ""),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.anyio
async def test_every_failure_has_its_kind_and_only_those_that_pass_are_tried_again(name: str) -> None:
    for status, body, kind in FAILURES[name]:
        async with loopback(refuse(status, {"error": body})) as server:
            model = provider(name, server.url, max_retries=1)
            with pytest.raises(ProviderError) as caught:
                await model.generate(ask(), ignore)
            await model.close()
        assert caught.value.kind == kind, body
        passing = kind in {RATE_LIMIT, OVERLOADED}
        assert caught.value.retryable is passing or status == 500, body
        assert len(server.exchanges) == (2 if caught.value.retryable else 1)
        assert KEY not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.anyio
async def test_no_key_follows_a_redirect_and_the_way_out_is_said(name: str) -> None:
    async with loopback(stream(answer(name))) as elsewhere:
        for status in (301, 302, 307, 308):
            async with loopback(refuse(status, {}, location=f"{elsewhere.url}/v1")) as server:
                model = provider(name, server.url, headers={"X-Team-Key": KEY}, max_retries=0)
                with pytest.raises(ProviderError, match="sends the request to another address") as caught:
                    await model.generate(ask(), ignore)
                await model.close()
            assert "base URL" in caught.value.hint
    assert elsewhere.exchanges == []


@pytest.mark.anyio
async def test_googles_login_goes_by_the_proxy_that_is_passed_in_and_reads_no_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    session = DefaultLogin("", "", {"PERSTACK_PROXY_URL": "http://proxy.example:3128"})._session()
    assert (session.trust_env, session.proxies) == (False, {"https": "http://proxy.example:3128"})
    direct = DefaultLogin("", "", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".googleapis.com"})._session()
    assert direct.proxies == {}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 99:00:30 GMT"}, None),
    ],
)
def test_a_wish_to_wait_is_read_in_every_form_and_an_absurd_one_hurts_nobody(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers, 1_795_348_800.0) == seconds  # 2026-11-22 12:00 UTC


@pytest.mark.anyio
@pytest.mark.slow
async def test_waits_of_the_configuration_hold_a_trickle_lives_and_a_silence_dies() -> None:
    whole = stream_of_pieces(answer("chat"), 8)
    fine = stream(answer("chat"))
    assert await told_of("idle = 1.0", trickle(whole)) == []
    assert await told_of("idle = 0.3", silence, fine) == ["nothing more came within 0.3 s"]
    assert await told_of("firstToken = 0.2", never, fine) == ["no answer within 0.2 s"]


def stream_of_pieces(whole: bytes, count: int) -> list[bytes]:
    size = -(-len(whole) // count)
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def trickle(pieces: list[bytes]) -> Act:
    """A piece every fifth of a second: longer in all than the limit for one."""

    async def act(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in pieces:
            await exchange.chunk(piece)
            with anyio.move_on_after(0.2):
                await exchange.left.wait()
        await exchange.end()

    return act


async def silence(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.chunk(b": here\n\n")
    await exchange.left.wait()


async def never(exchange: Exchange) -> None:
    await exchange.left.wait()


async def told_of(waits: str, *acts: Act) -> list[str]:
    """Why a reply was asked for again, with these `[provider.timeouts]`."""
    told: list[str] = []
    async with loopback(*acts) as server:
        config = load_config(
            f'[provider]\nproviderName = "openai-compatible"\nsetting = {{ baseUrl = "{server.url}/v1" }}\n'
            f"[provider.timeouts]\n{waits}\n"
        )
        assert config.provider is not None
        model = make_provider(config.provider, {}, told.append)
        reply = await model.generate(ask(timeout_s=20.0), ignore)
        await model.close()
    assert reply.contents == (TextPart("fine"),)
    return [found.group(1) for line in told if (found := re.search(r"too slow: (.*?); attempt", line))]
