"""A session over HTTP: streamable HTTP first, the older SSE where the endpoint speaks only that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import anyio
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from perstack.skills.mcp.contract import Connection, Pulse, SkillUnavailable
from perstack.skills.mcp.endpoint import Endpoint, Policy, check
from perstack.skills.mcp.noise import Noise
from perstack.skills.mcp.server import leaves
from perstack.skills.mcp.wire_session import (
    Questions,
    Reading,
    TooManyQuestions,
    Writing,
    blamed,
    connected,
    keep_quiet,
)
from perstack.skills.mcp.wire_sse import sse_streams
from perstack.skills.mcp.wire_web import MAX_BODY, Web, client

_NEEDS_LOGIN = (401, 403)


@asynccontextmanager
async def connect(noise: Noise, pulse: Pulse, *, endpoint: str, policy: Policy) -> AsyncIterator[Connection]:
    """Check the endpoint, shake hands with it, and speak until the context ends.

    Raises: SkillUnavailable; as a group where several things went wrong at once.
    """
    keep_quiet()
    pulse.begin()
    target = await check(endpoint, policy)
    async with blamed(endpoint), AsyncExitStack() as stack:
        yield await _first_that_speaks(stack, target, noise, pulse)


async def _first_that_speaks(stack: AsyncExitStack, target: Endpoint, noise: Noise, pulse: Pulse) -> Connection:
    """The protocol's own advice: post the handshake, and where that is answered with 4xx, listen in the old way.

    Raises: SkillUnavailable.
    """
    older = _older_session(target, noise, pulse)
    if urlsplit(target.url).path.rstrip("/").endswith("/sse"):
        return await stack.enter_async_context(older)
    web = Web(target)
    problems: list[str] = []
    try:
        return await stack.enter_async_context(_session(target, web, noise, pulse))
    except* SkillUnavailable as group:
        problems = [error.message for error in leaves(group)]
    if web.post_status in _NEEDS_LOGIN:
        raise SkillUnavailable(f"it answered {web.post_status}: it asks for a login, and a skill has none to give")
    if 400 <= web.post_status < 500:
        return await stack.enter_async_context(older)
    raise SkillUnavailable("; ".join(problems))


@asynccontextmanager
async def _session(target: Endpoint, web: Web, noise: Noise, pulse: Pulse) -> AsyncIterator[Connection]:
    async with (
        client(web) as http,
        streamable_http_client(target.url, http_client=http, max_sse_event_size=MAX_BODY) as streams,
        _relayed(streams, noise, pulse) as (read, write),
        connected(read, write, pulse, spawn_s=None) as connection,
    ):
        yield connection


@asynccontextmanager
async def _older_session(target: Endpoint, noise: Noise, pulse: Pulse) -> AsyncIterator[Connection]:
    async with (
        sse_streams(target, noise, pulse) as (read, write),
        connected(read, write, pulse, spawn_s=None) as connection,
    ):
        yield connection


@asynccontextmanager
async def _relayed(streams: TransportStreams, noise: Noise, pulse: Pulse) -> AsyncIterator[tuple[Reading, Writing]]:
    """The transport's streams with an ear on them: who hears the end says so before the session notices."""
    theirs, ours = streams
    to_session, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    questions = Questions()

    async def inward() -> None:
        async with to_session:
            try:
                async for item in theirs:
                    if isinstance(item, Exception):
                        noise.line(f"(unreadable message) {item}")
                        continue
                    questions.asked(item.message)
                    await to_session.send(item)
                pulse.end("it closed the connection")
            except (TooManyQuestions, anyio.BrokenResourceError, anyio.ClosedResourceError) as problem:
                pulse.end(str(problem) or "the connection broke")

    async def outward() -> None:
        async with from_session:
            try:
                async for item in from_session:
                    questions.answered(item.message)
                    await ours.send(item)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pulse.end("the connection broke")

    async with to_session, read, write, from_session, anyio.create_task_group() as tasks:
        tasks.start_soon(inward)
        tasks.start_soon(outward)
        yield read, write
        tasks.cancel_scope.cancel()
