"""Remote skills: the everything server over streamable HTTP and SSE, and servers that lead astray."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from perstack.core.experts import SkillSpec
from perstack.infrastructure.process import open_process
from perstack.skills.mcp.contract import SkillUnavailable
from perstack.skills.mcp.endpoint import Policy
from perstack.skills.mcp.skill import HttpSkill
from tests.providers.loopback import Act, Exchange, Loopback, loopback, refuse
from tests.skills.mcp.certificate import certificate_for
from tests.skills.mcp.serving import EVERYTHING, PATH, PATIENCE, Told, call, images, names, texts

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NAME = "skills.example.test"


async def here(host: str, port: int) -> Sequence[str]:
    """Every name leads to this machine. The system knows none of them."""
    return ("127.0.0.1",)


LOOPBACK = Policy(schemes=("http", "https"), allows=lambda address: address.is_loopback, resolve=here)


@asynccontextmanager
async def skill_at(url: str, policy: Policy = LOOPBACK) -> AsyncIterator[HttpSkill]:
    """A skill at an endpoint, not opened yet."""
    async with anyio.create_task_group() as tasks:
        skill = HttpSkill(
            SkillSpec("remote", "mcpSseSkill", endpoint=url), tasks=tasks, patience=PATIENCE, policy=policy
        )
        try:
            yield skill
        finally:
            with anyio.fail_after(15, shield=True):
                await skill.close()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def everything(transport: str) -> AsyncIterator[tuple[str, int]]:
    """The reference server on a free port: its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with open_process([*EVERYTHING, transport], env={"PATH": PATH, "PORT": str(port)}) as process:
        assert process.stderr is not None
        with anyio.fail_after(20):
            said = b""
            while str(port).encode() not in said:
                said += await process.stderr.receive()
        yield f"http://{NAME}:{port}", process.pid


async def refusal(url: str, policy: Policy = LOOPBACK) -> str:
    """Why a skill at this endpoint does not start."""
    async with skill_at(url, policy) as skill:
        with pytest.raises(SkillUnavailable) as refused:
            await skill.open(Told())
    return str(refused.value)


@pytest.mark.parametrize(("transport", "path"), [("streamableHttp", "/mcp"), ("sse", "/sse"), ("sse", "/SSE")])
async def test_the_everything_server_works_over_http(transport: str, path: str) -> None:
    # The server's router does not mind capitals, so `/SSE` is an old endpoint that does not look like one.
    async with everything(transport) as (url, _), skill_at(url + path) as skill:
        told = Told()
        await skill.open(told)
        assert told.kinds() == ["skillConnected"]
        assert "spawnDurationMs" not in told.first("skillConnected")
        assert "echo" in await names(skill)
        assert texts(await call(skill, "echo", message="hello")) == ["Echo: hello"]
        assert len(images(await call(skill, "get-tiny-image"))) == 1
        assert (await call(skill, "get-sum", a="one")).is_error
        assert "completed" in (await call(skill, "trigger-long-running-operation", duration=0.2, steps=1)).text
        await skill.close()
        assert told.kinds() == ["skillConnected", "skillDisconnected"]


@pytest.mark.parametrize(("transport", "path"), [("streamableHttp", "/mcp"), ("sse", "/sse")])
async def test_a_remote_server_that_goes_away_costs_calls_and_not_the_run(transport: str, path: str) -> None:
    async with everything(transport) as (url, pid), skill_at(url + path) as skill:
        await skill.open(Told())
        os.kill(pid, signal.SIGKILL)
        lost = await call(skill, "echo", message="anybody?")
        assert lost.is_error
        again = await call(skill, "echo", message="anybody?")
        assert again.is_error
        assert "did not start" in again.text


def is_initialize(exchange: Exchange) -> bool:
    return b'"initialize"' in exchange.body


def answer(text: str, *, status: int = 200, kind: str = "application/json", **headers: str) -> Act:
    """Answer every request with the same body."""

    async def act(exchange: Exchange) -> None:
        await exchange.begin(status, kind, **headers)
        await exchange.chunk(text.encode())
        await exchange.end()

    return act


def handshake(on_call: Act) -> Act:
    """A server that shakes hands and lists one tool; `on_call` answers its calls."""

    async def act(exchange: Exchange) -> None:
        request = json.loads(exchange.body or b"{}")
        method = request.get("method", "")
        results = {
            "initialize": {
                "protocolVersion": request.get("params", {}).get("protocolVersion"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "small", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "get", "inputSchema": {"type": "object"}}]},
        }
        if method in results:
            body = {"jsonrpc": "2.0", "id": request["id"], "result": results[method]}
            await answer(json.dumps(body))(exchange)
        elif method == "tools/call":
            await on_call(exchange)
        else:
            await answer("", status=202 if method else 405)(exchange)

    return act


async def test_the_name_is_looked_up_once_and_stands_in_the_request() -> None:
    looked_up: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["127.0.0.99"]

    policy = Policy(schemes=("http",), allows=lambda address: address.is_loopback, resolve=resolve)
    async with (
        loopback(handshake(refuse(500, {}))) as web,
        skill_at(web.url.replace("127.0.0.1", NAME), policy) as skill,
    ):
        await skill.open(Told())
        assert await names(skill) == {"get"}
        assert looked_up == [NAME]
        assert all(exchange.headers["host"].startswith(f"{NAME}:") for exchange in web.exchanges)
        assert "authorization" not in web.exchanges[0].headers


async def test_a_redirect_is_not_followed_not_even_at_home() -> None:
    async with loopback(answer("", status=307, location="/other")) as web:
        message = await refusal(web.url)
        assert "not followed" in message
        assert [exchange.path for exchange in web.exchanges] == ["/"]


async def test_an_endpoint_of_the_old_kind_cannot_send_our_messages_elsewhere() -> None:
    async with loopback(handshake(refuse(500, {}))) as elsewhere:
        event = f"event: endpoint\ndata: {elsewhere.url}/steal\n\n"

        async def old(exchange: Exchange) -> None:
            await exchange.begin()
            await exchange.chunk(event.encode())
            await exchange.left.wait()

        async with loopback(old) as web:
            message = await refusal(f"{web.url}/sse")
            assert "a request to another place than the endpoint was refused" in message
            assert len(web.exchanges) == 1
        assert elsewhere.exchanges == []


async def test_an_endpoint_that_wants_a_login_says_so() -> None:
    async with loopback(refuse(401, {"error": "who are you?"})) as web:
        assert "answered 401: it asks for a login" in await refusal(web.url)


async def test_an_endpoint_that_is_neither_new_nor_old_is_refused() -> None:
    async with loopback(refuse(404, {})) as web:
        assert "404" in await refusal(web.url)
        # The handshake, the newest revision's discovery, and the old way.
        assert len(web.exchanges) == 3


async def test_a_failed_call_does_not_end_the_connection() -> None:
    page = answer("<h1>Sorry</h1>", status=502, kind="text/html")
    async with loopback(handshake(page)) as web, skill_at(web.url) as skill:
        await skill.open(Told())
        first = await call(skill, "get")
        assert first.is_error
        assert "the endpoint answered 502" in first.text
        assert (await call(skill, "get")).is_error
        assert len([exchange for exchange in web.exchanges if is_initialize(exchange)]) == 1


async def test_a_forgotten_session_is_begun_anew_with_the_next_call() -> None:
    calls = 0

    async def forgets(exchange: Exchange) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await refuse(404, {})(exchange)
        else:
            request = json.loads(exchange.body)
            result = {"content": [{"type": "text", "text": "here again"}]}
            await answer(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}))(exchange)

    inner = handshake(forgets)

    async def with_session(exchange: Exchange) -> None:
        if is_initialize(exchange):
            begin = exchange.begin

            async def begin_with_id(status: int = 200, kind: str = "", **headers: str) -> None:
                await begin(status, kind, mcp_session_id="s-1", **headers)

            exchange.begin = begin_with_id  # type: ignore[method-assign]
        await inner(exchange)

    async with loopback(with_session) as web, skill_at(web.url) as skill:
        await skill.open(Told())
        assert "it has forgotten our session" in (await call(skill, "get")).text
        assert texts(await call(skill, "get")) == ["here again"]


async def test_an_answer_over_the_limit_or_packed_is_an_error_and_not_our_memory() -> None:
    async def large(exchange: Exchange) -> None:
        await exchange.begin(200, "application/json")
        for _ in range(40):
            await exchange.chunk(b" " * 1024 * 1024)
        await exchange.end()

    async def packed(exchange: Exchange) -> None:
        await exchange.begin(200, "application/json", content_encoding="gzip")
        await exchange.chunk(gzip.compress(b" " * 1_000_000))
        await exchange.end()

    for act, words in ((large, "more than 33,554,432 bytes"), (packed, "compressed")):
        async with loopback(handshake(act)) as web, skill_at(web.url) as skill:
            await skill.open(Told())
            assert words in (await call(skill, "get")).text


@asynccontextmanager
async def over_tls(act: Act, folder: Path, name: str) -> AsyncIterator[tuple[str, Policy]]:
    """A server whose certificate is for `name`, and a policy that trusts it."""
    cert, key = certificate_for(name, folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Loopback([act])
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
    try:
        port = listener.sockets[0].getsockname()[1]
        trust = ssl.create_default_context(cafile=str(cert))
        yield f"https://{NAME}:{port}", Policy(allows=LOOPBACK.allows, resolve=here, tls=trust)
    finally:
        listener.close()
        await server.close()


async def test_the_certificate_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    act = handshake(refuse(500, {}))
    async with over_tls(act, tmp_path, NAME) as (url, policy), skill_at(url, policy) as skill:
        await skill.open(Told())
        assert await names(skill) == {"get"}
    async with over_tls(act, tmp_path, "other.example.test") as (url, policy):
        assert "certificate verify failed" in await refusal(url, policy)
