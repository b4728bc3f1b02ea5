"""The older HTTP transport: one event stream for what the server says, a second address for what we say.

The SDK has a client for it; that one takes 1 MiB a message, tells nobody when a message could not be posted, and waits
for ever for a server that names an address elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import anyio
import httpx2
import mcp_types as types
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from perstack.skills.mcp.contract import Pulse, SkillUnavailable
from perstack.skills.mcp.endpoint import Endpoint
from perstack.skills.mcp.noise import Noise
from perstack.skills.mcp.wire_session import Questions, Reading, TooManyQuestions, Writing, message_of
from perstack.skills.mcp.wire_web import MAX_BODY, REQUEST_S, Web, client


@asynccontextmanager
async def sse_streams(target: Endpoint, noise: Noise, pulse: Pulse) -> AsyncIterator[tuple[Reading, Writing]]:
    """Listen at the endpoint and wait for the address that takes messages.

    Raises: SkillUnavailable where it names none; httpx2.HTTPError where it cannot be reached.
    """
    to_session, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    headers = {"accept": "text/event-stream", "cache-control": "no-store"}
    async with (
        to_session,
        read,
        write,
        from_session,
        client(Web(target)) as http,
        http.stream("GET", target.url, headers=headers) as response,
    ):
        if response.status_code != httpx2.codes.OK:
            raise SkillUnavailable(f"it answered {response.status_code} where its events should come from")
        events = aiter(httpx2.EventSource(response, max_event_size=MAX_BODY))
        wires = _Wires(http, await _message_address(target, events), noise, pulse)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wires.read, events, to_session)
            tasks.start_soon(wires.write, from_session)
            yield read, write
            tasks.cancel_scope.cancel()


async def _message_address(target: Endpoint, events: AsyncIterator[httpx2.ServerSentEvent]) -> str:
    """The address of the first `endpoint` event. Another origin than the endpoint's is refused when it is used.

    Raises: SkillUnavailable.
    """
    async for event in events:
        if event.event == "endpoint":
            return urljoin(target.url, event.data)
    raise SkillUnavailable("it ended its events without an address for messages")


class _Wires:
    """The tasks between the endpoint and a session. Whoever sees the end first says why, before the session notices."""

    def __init__(self, http: httpx2.AsyncClient, address: str, noise: Noise, pulse: Pulse) -> None:
        self._http = http
        self._address = address
        self._noise = noise
        self._pulse = pulse
        self._questions = Questions()
        self._reading = anyio.CancelScope()

    async def read(
        self, events: AsyncIterator[httpx2.ServerSentEvent], into: ObjectSendStream[SessionMessage | Exception]
    ) -> None:
        """Events → session."""
        async with into:
            try:
                with self._reading:
                    async for event in events:
                        if event.event == "message" and event.data:
                            await self._take(event.data, into)
                self._pulse.end("it closed the connection")
            except (TooManyQuestions, httpx2.TransportError, httpx2.StreamError) as problem:
                self._pulse.end(str(problem) or "the connection broke")
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._pulse.end("the connection broke")

    async def write(self, out: ObjectReceiveStream[SessionMessage]) -> None:
        """Session → posts, one after the other: the server gets them in our order."""
        async with out:
            try:
                async for item in out:
                    self._questions.answered(item.message)
                    await self._post(item.message)
            except (SkillUnavailable, httpx2.TransportError, httpx2.StreamError) as problem:
                self._pulse.end(f"a message could not be posted to it: {problem}")
            except TimeoutError:
                self._pulse.end(f"it did not take a message within {REQUEST_S:g} s")
        # A session that waits for an answer learns of the end from what it reads.
        self._reading.cancel()

    async def _post(self, message: types.JSONRPCMessage) -> None:
        """Raises: SkillUnavailable, httpx2.TransportError, TimeoutError."""
        body = message.model_dump_json(by_alias=True, exclude_unset=True).encode()
        headers = {"content-type": "application/json"}
        with anyio.fail_after(REQUEST_S):
            response = await self._http.post(self._address, content=body, headers=headers)
        if not response.is_success:
            raise SkillUnavailable(f"it answered {response.status_code}")

    async def _take(self, data: str, into: ObjectSendStream[SessionMessage | Exception]) -> None:
        try:
            message = message_of(data)
        except ValidationError:
            self._noise.line(f"(among its messages) {data[:8_000]}")
            return
        self._questions.asked(message)
        await into.send(SessionMessage(message))
