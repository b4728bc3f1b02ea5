"""Gemini, Azure, Bedrock and Vertex AI against servers that speak their real wire formats."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import Any

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from perstack.core.contracts import Provider
from perstack.core.errors import ProviderError, UserError
from perstack.core.messages import (
    ExpertMessage,
    Message,
    StopReason,
    TextPart,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.providers import catalogue
from perstack.providers.exchange import Tuning
from perstack.providers.vertex import VertexProvider
from tests.providers import aws
from tests.providers.builders import KEY, Waits, answer, ask, ignore, sse
from tests.providers.loopback import Act, Exchange, Loopback, loopback, refuse, stream

pytestmark = pytest.mark.anyio

CLAUDE = "anthropic.claude-sonnet-4-6:0"
SECRET = "aws/Secret+0123456789"
SIGNED = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-west-1"}


def made(name: str, url: str, env: dict[str, str], setting: dict[str, Any] | None = None) -> Provider:
    """A provider as a job makes it, with its base URL on loopback."""
    entry = catalogue.entry(name)
    found: Provider = catalogue.load(entry).create(
        catalogue.credentials(name, {entry.url_env: url, **env}, setting or {}), lambda message: None
    )
    return found


def frames(text: str = "fine") -> Act:
    """Anthropic's events in Amazon's frames, cut at places that no frame ends at."""
    events = [json.loads(line[6:]) for line in answer("anthropic", text).decode().splitlines() if line[:5] == "data:"]
    whole = b"".join(aws.chunk(event) for event in events)

    async def act(exchange: Exchange) -> None:
        await exchange.begin(kind="application/vnd.amazon.eventstream")
        for at in range(0, len(whole), 111):
            await exchange.chunk(whole[at : at + 111])
        await exchange.end()

    return act


def framed(*parts: bytes) -> Act:
    """These frames, then the end."""

    async def act(exchange: Exchange) -> None:
        await exchange.begin(kind="application/vnd.amazon.eventstream")
        await exchange.chunk(b"".join(parts))
        await exchange.end()

    return act


async def said(asked: Provider, server: Loopback, **rest: Any) -> Any:
    """Ask once, close, and give what the server was sent."""
    reply = await asked.generate(ask(**rest), ignore)
    await asked.close()
    assert reply.contents == (TextPart("fine"),)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)
    return json.loads(server.exchanges[-1].body)


async def test_bedrock_signs_what_it_sends_and_reads_amazons_frames() -> None:
    async with loopback(frames()) as server:
        body = await said(made("amazon-bedrock", server.url, SIGNED), server, model=CLAUDE)
        seen = server.exchanges[0]
    assert seen.path == f"/model/{CLAUDE}/invoke-with-response-stream"
    assert aws.signed_by(seen, SECRET)
    assert not aws.signed_by(seen, "another")
    assert "model" not in body
    assert "stream" not in body
    assert body["anthropic_version"]
    assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in body


async def test_bedrock_takes_a_session_token_or_a_bearer_token_and_reads_no_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "from-the-environment")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    async with loopback(frames()) as server:
        await said(made("amazon-bedrock", server.url, {**SIGNED, "AWS_SESSION_TOKEN": "t-1"}), server, model=CLAUDE)
        bearer = {"AWS_BEARER_TOKEN_BEDROCK": KEY, "AWS_REGION": "eu-west-1"}
        await said(made("amazon-bedrock", server.url, bearer), server, model=CLAUDE)
        first, second = server.exchanges
    assert first.headers["x-amz-security-token"] == "t-1"
    assert aws.signed_by(first, SECRET)
    assert second.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("act", "says", "retryable"),
    [
        (framed(aws.exception("throttlingException", "Too many tokens")), "throttlingException", True),
        (framed(aws.exception("modelStreamErrorException", "it fell over")), "it fell over", True),
        (framed(aws.exception("validationException", "Input is too long for requested model.")), "longer than", False),
        (framed(aws.chunk({"type": "ping"})[:-1] + b"!"), "a frame of the event stream is broken", True),
        (framed(aws.chunk({"type": "ping"})), "ended before", True),
        (refuse(400, {"message": "Input is too long for requested model."}), "is longer than", False),
        (refuse(403, {"message": f"The security token {SECRET} is invalid."}), "AWS_SECRET_ACCESS_KEY may not", False),
        (refuse(429, {"message": "Too many requests"}), "too many requests", True),
    ],
)
async def test_bedrocks_failures_are_told_as_what_they_are(act: Act, says: str, retryable: bool) -> None:
    async with loopback(act) as server:
        model = quick("amazon-bedrock", server.url, SIGNED)
        with pytest.raises(ProviderError, match=says) as caught:
            await model.generate(ask(model=CLAUDE), ignore)
        await model.close()
    assert caught.value.retryable is retryable
    assert len(server.exchanges) == (2 if retryable else 1)
    assert SECRET not in str(caught.value)


def quick(name: str, url: str, env: dict[str, str]) -> Provider:
    """One retry, no waiting."""
    model: Any = made(name, url, env)
    model._exchange._max_retries = 1
    model._exchange._tuning = Tuning(backoff=type(model._exchange._tuning.backoff)(sleep=Waits()))
    return model  # type: ignore[no-any-return]


async def test_each_turn_of_a_platform_differs_from_the_one_before_by_the_mark_alone() -> None:
    history: list[Message] = [UserMessage("m0", (TextPart("go"),))]
    async with loopback(frames()) as server:
        model = made("amazon-bedrock", server.url, SIGNED)
        for turn in range(3):
            await model.generate(ask(model=CLAUDE, messages=history), ignore)
            call = ToolCall(f"c{turn}", "read", {"path": "a"})
            history.append(ExpertMessage(f"e{turn}", (call,)))
            history.append(ToolMessage(f"t{turn}", (ToolResult(call.id, "read", (TextPart("b"),), is_error=True),)))
        await model.close()
    mark = b',"cache_control":{"type":"ephemeral"}'
    bodies = [exchange.body for exchange in server.exchanges]
    for before, after in pairwise(bodies):
        assert before.count(mark) == after.count(mark) == 2
        first, second, third = (json.loads(body)["messages"] for body in (before, after, before))
        third[-1]["content"][-1].pop("cache_control")
        assert second[: len(first)] == third


async def test_azure_asks_the_responses_api_or_the_address_of_a_deployment() -> None:
    env = {"AZURE_API_KEY": KEY}
    async with loopback(stream(answer("openai")), stream(answer("chat"))) as server:
        body = await said(made("azure-openai", server.url, env), server, model="my-gpt")
        assert body["model"] == "my-gpt"
        setting = {"useDeploymentBasedUrls": True, "apiVersion": "2025-01-01"}
        await said(made("azure-openai", server.url, env, setting), server, model="my gpt")
        first, second = server.exchanges
    assert first.path == "/v1/responses?api-version=v1"
    assert second.path == "/deployments/my%20gpt/chat/completions?api-version=2025-01-01"
    assert first.headers["api-key"] == second.headers["api-key"] == KEY
    own = catalogue.credentials("azure-openai", {**env, "AZURE_RESOURCE_NAME": "contoso"}, {})
    assert own.base_url == "https://contoso.openai.azure.com/openai"


async def test_gemini_is_given_its_thought_signatures_back() -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "read", "arguments": '{"path":"a"}'},
        "extra_content": {"google": {"thought_signature": "c2ln"}},
    }
    asked = sse([{"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "stop"}]}], done=True)
    async with loopback(stream(asked), stream(answer("chat"))) as server:
        model = made("google", server.url, {"GOOGLE_GENERATIVE_AI_API_KEY": KEY})
        first = await model.generate(ask(reasoning_budget=2048), ignore)
        assert first.stop_reason is StopReason.TOOL_CALLS
        results = ToolMessage("m3", (ToolResult("c1", "read", (TextPart("x"),)),))
        history = (UserMessage("m1", (TextPart("hello"),)), ExpertMessage("m2", first.contents), results)
        sent = await said(model, server, messages=history)
    assert server.exchanges[0].path == "/openai/chat/completions"
    assert json.loads(server.exchanges[0].body)["extra_body"] == {
        "google": {"thinking_config": {"thinking_budget": 2048, "include_thoughts": True}}
    }
    (again,) = sent["messages"][2]["tool_calls"]
    assert again["extra_content"] == {"google": {"thought_signature": "c2ln"}}


class _Login:
    """Stands for Google's: gives a new token every time."""

    def __init__(self, project: str = "") -> None:
        self.given = 0
        self._project = project

    async def token(self) -> str:
        self.given += 1
        return f"token-{self.given}"

    async def project(self) -> str:
        return self._project


def vertex(url: str, login: _Login, **env: str) -> VertexProvider:
    return VertexProvider(
        catalogue.credentials("google-vertex", {"GOOGLE_VERTEX_BASE_URL": url, **env}, {}), Tuning(), login
    )


async def test_vertex_asks_claude_and_gemini_each_in_its_own_protocol() -> None:
    async with loopback(stream(answer("anthropic")), stream(answer("chat"))) as server:
        model = vertex(server.url, _Login("p-1"), GOOGLE_VERTEX_LOCATION="europe-west1")
        first = await model.generate(ask(model="claude-sonnet-4-6"), ignore)
        second = await model.generate(ask(model="gemini-2.5-pro"), ignore)
        await model.close()
    assert first.contents == second.contents == (TextPart("fine"),)
    place = "/projects/p-1/locations/europe-west1"
    claude, gemini = server.exchanges
    assert claude.path == f"{place}/publishers/anthropic/models/claude-sonnet-4-6:streamRawPredict"
    assert gemini.path == f"{place}/endpoints/openapi/chat/completions"
    assert json.loads(gemini.body)["model"] == "google/gemini-2.5-pro"
    assert json.loads(claude.body)["anthropic_version"]
    assert (claude.headers["authorization"], gemini.headers["authorization"]) == ("Bearer token-1", "Bearer token-2")


async def test_vertex_without_a_project_says_so() -> None:
    with pytest.raises(UserError, match="GOOGLE_VERTEX_PROJECT is not set"):
        await vertex("http://127.0.0.1:1", _Login()).generate(ask(model="claude-x"), ignore)


async def test_vertex_gets_one_token_for_the_named_key_file_and_its_project(tmp_path: Any) -> None:
    async def token(exchange: Exchange) -> None:
        await exchange.begin(kind="application/json")
        await exchange.chunk(json.dumps({"access_token": "fresh", "expires_in": 3600, "token_type": "Bearer"}).encode())
        await exchange.end()

    async with loopback(token) as accounts, loopback(stream(answer("anthropic"))) as server:
        file = tmp_path / "login.json"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        login = {
            "type": "service_account",
            "client_email": "ci@p-2.example",
            "private_key": pem,
            "project_id": "p-2",
            "token_uri": accounts.url,
        }
        file.write_text(json.dumps(login))
        env = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
        model = made("google-vertex", server.url, env)
        await model.generate(ask(model="claude-sonnet-4-6"), ignore)
        await model.generate(ask(model="claude-sonnet-4-6"), ignore)
        await model.close()
    assert [exchange.headers["authorization"] for exchange in server.exchanges] == ["Bearer fresh"] * 2
    assert len(accounts.exchanges) == 1
    assert server.exchanges[0].path.startswith("/projects/p-2/")
    broken = made("google-vertex", "http://127.0.0.1:1", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/x.json"})
    with pytest.raises(ProviderError, match="no access to Vertex AI"):
        await broken.generate(ask(model="claude-x"), ignore)


PLATFORMS = {
    "google": {"GOOGLE_GENERATIVE_AI_API_KEY": KEY},
    "azure-openai": {"AZURE_API_KEY": KEY},
    "amazon-bedrock": SIGNED,
}


@pytest.mark.parametrize("name", sorted(PLATFORMS))
async def test_cancelling_a_platform_closes_its_connection(name: str) -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.left.wait()

    async with loopback(silent) as server:
        model = made(name, server.url, PLATFORMS[name])
        async with anyio.create_task_group() as group:
            group.start_soon(model.generate, ask(model="m"), ignore)
            with anyio.fail_after(10):
                await server.asked.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await server.exchanges[0].left.wait()
        await model.close()


@pytest.mark.parametrize("name", ["anthropic", "openai", "openai-compatible", *sorted(PLATFORMS)])
async def test_nothing_of_the_environment_is_sent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "ANTHROPIC_AUTH_TOKEN")
    for variable in (
        *names,
        "ANTHROPIC_API_KEY",
        "AZURE_OPENAI_AD_TOKEN",
        "AZURE_OPENAI_API_KEY",
        "OPENAI_API_VERSION",
    ):
        monkeypatch.setenv(variable, "of-the-environment")
    assert os.environ["OPENAI_ORG_ID"]
    key = catalogue.entry(name).key_env
    async with loopback(
        frames() if name == "amazon-bedrock" else stream(answer({"azure-openai": "openai"}.get(name, name)))
    ) as server:
        await said(made(name, server.url, PLATFORMS.get(name, {key: KEY})), server)
    assert "of-the-environment" not in str(server.exchanges[0].headers) + server.exchanges[0].path
