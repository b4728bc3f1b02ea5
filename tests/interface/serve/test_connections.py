"""Connections that only take room: a real server on loopback in this process, with short times and few places."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, nullcontext, suppress
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.abc import SocketStream
from starlette.types import Receive, Scope, Send

from perstack.interface.serve.limits import Access, Limits
from perstack.interface.serve.server import Service, bound, names_of, serve
from perstack.interface.serve.waiting import WaitingRoom
from perstack.interface.serve.work import Workshop

pytestmark = pytest.mark.anyio
TOKEN = "t" * 43
SHORT = Limits(head_s=0.3, send_s=0.3, connections=4)
MUCH = 8_000_000


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """`/v1/health` answers, `/body` when it was read, `/wait` never, `/much` says more than any buffer holds."""
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/wait":
        await send({"type": "http.response.body", "body": b"wait", "more_body": True})
        await anyio.sleep_forever()
    await send({"type": "http.response.body", "body": b"x" * (MUCH if scope["path"] == "/much" else 1)})


def _workshop(limits: Limits) -> Workshop:
    return Workshop(lambda: nullcontext(cast("Any", None)), limits, WaitingRoom(Path("/nowhere")))


@asynccontextmanager
async def answering(limits: Limits = SHORT) -> AsyncIterator[int]:
    """The port of a server."""
    opened = bound("127.0.0.1", 0)
    port = int(opened.getsockname()[1])
    with closing(opened), _workshop(limits) as workshop:
        it = Service(application, Access(TOKEN, names_of("127.0.0.1", port)), workshop, limits)
        ready = anyio.Event()
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve, it, opened, ready.set)
                await ready.wait()
                yield port
                tasks.cancel_scope.cancel()


def request(port: int, path: str = "/v1/health", token: str = TOKEN, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n{more}\r\n".encode()


async def rest(line: SocketStream) -> bytes:
    """All that comes until the server closes, however it does."""
    found = b""
    try:
        while True:
            found += await line.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return found


async def drip(line: SocketStream, text: bytes, pause: float = 0.05) -> None:
    """Bytes, one by one, until the server has enough of it."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            await line.send(text)
            await anyio.sleep(pause)


@pytest.mark.slow
async def test_who_says_nothing_or_never_comes_to_an_end_is_cut_and_told_why() -> None:
    async with answering() as port:
        async with await anyio.connect_tcp("127.0.0.1", port) as silent:
            assert await rest(silent) == b""
        async with await anyio.connect_tcp("127.0.0.1", port) as half, anyio.create_task_group() as tasks:
            await half.send(request(port)[:-2])
            tasks.start_soon(drip, half, b"a: b\r\n")
            head, _, body = (await rest(half)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 "), head
            assert json.loads(body)["type"] == "urn:perstack:problem:too-slow"
            await half.aclose()
        async with await anyio.connect_tcp("127.0.0.1", port) as body_only, anyio.create_task_group() as tasks:
            await body_only.send(request(port, "/jobs", token="wrong", more="Content-Length: 100000\r\n"))
            tasks.start_soon(drip, body_only, b"x")
            assert (await rest(body_only)).startswith(b"HTTP/1.1 401 ")
            await body_only.aclose()


async def test_what_is_no_request_is_answered_with_a_problem_and_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async with answering() as port:
        async with await anyio.connect_tcp("127.0.0.1", port) as line:
            await line.send(b"\x00\x01\r\n\r\n")
            head, _, body = (await rest(line)).partition(b"\r\n\r\n")
            assert b"application/problem+json" in head
            assert json.loads(body)["status"] == 400
        for place in ("/body", "/jobs"):
            async with await anyio.connect_tcp("127.0.0.1", port) as broken:
                chunked = request(port, place, more="Transfer-Encoding: chunked\r\n")
                await broken.send(chunked + b"no number\r\n")
                assert (await rest(broken)).startswith(b"HTTP/1.1 400 ")
    assert not caplog.records


@pytest.mark.parametrize("has_asked", [False, True])
async def test_those_without_a_token_make_room_and_those_with_one_stay(has_asked: bool) -> None:
    patient = Limits(connections=4)  # nobody is cut for being slow here
    async with answering(patient) as port:
        opened = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(3)]
        trusted = await anyio.connect_tcp("127.0.0.1", port)
        await trusted.send(request(port, "/wait"))
        assert b"200 OK" in await trusted.receive()
        if has_asked:
            for line in opened:
                await line.send(request(port, "/wait", token="wrong"))
                assert b"401" in await line.receive()
        for _ in range(6):
            async with await anyio.connect_tcp("127.0.0.1", port) as fresh:
                await fresh.send(request(port))
                assert b"200 OK" in await fresh.receive()
        assert await rest(opened[0]) == b"", "the oldest has gone"
        with pytest.raises(TimeoutError), anyio.fail_after(0.05):
            await trusted.receive()  # still open, and still waiting
        for line in (*opened, trusted):
            await line.aclose()


@pytest.mark.slow
async def test_an_answer_that_nobody_reads_is_dropped_and_one_that_is_read_slowly_is_not() -> None:
    async def read(line: SocketStream) -> int:
        size = 0
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while part := await line.receive(262_144):
                size += len(part)
                await anyio.sleep(0.02)
        return size

    async with answering() as port:
        async with await anyio.connect_tcp("127.0.0.1", port) as deaf:
            await deaf.send(request(port, "/much"))
            await anyio.sleep(1.2)
            assert len(await rest(deaf)) < MUCH
        async with await anyio.connect_tcp("127.0.0.1", port) as slow:
            await slow.send(request(port, "/much"))
            assert await read(slow) > MUCH
