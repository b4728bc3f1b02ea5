"""A session over the standard streams of a program in a sandbox: JSON lines in, JSON lines out, the rest is noise."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from perstack.core.contracts import Service
from perstack.core.errors import SandboxUnavailable
from perstack.skills.mcp.contract import Connection, Pulse
from perstack.skills.mcp.lines import Lines, LineTooLong
from perstack.skills.mcp.noise import MAX_LINE, Noise
from perstack.skills.mcp.wire_session import (
    Questions,
    Reading,
    TooManyQuestions,
    Writing,
    blamed,
    connected,
    message_of,
)

MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes of one message."""
_LINE_BYTES = 4 * MAX_LINE
# A child of the server may hold its output open after the server has ended; and its last words may be on the way.
_DRAIN_S = 0.5
_EXIT_S = 1.0
# What a server says faster than it is told, it says into a full pipe: our processor is for others too.
_CALM_S = 0.05


@asynccontextmanager
async def connect(
    noise: Noise, pulse: Pulse, *, serve: Callable[[], AbstractAsyncContextManager[Service]]
) -> AsyncIterator[Connection]:
    """Start the program and shake hands with it; it is dead when the context ends.

    Raises: SkillUnavailable, SandboxUnavailable; as a group where several things went wrong at once.
    """
    started = time.monotonic()
    async with serve() as service:
        spawned = time.monotonic() - started
        pulse.begin()
        async with (
            blamed("it broke the connection"),
            _streams(service, noise, pulse) as (read, write),
            connected(read, write, pulse, spawn_s=spawned) as connection,
        ):
            yield connection


@asynccontextmanager
async def _streams(service: Service, noise: Noise, pulse: Pulse) -> AsyncIterator[tuple[Reading, Writing]]:
    to_session, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    pipes = _Pipes(service, noise, pulse)
    async with to_session, read, write, from_session, anyio.create_task_group() as tasks:
        tasks.start_soon(pipes.read, to_session)
        tasks.start_soon(pipes.write, from_session)
        tasks.start_soon(pipes.listen)
        tasks.start_soon(pipes.watch)
        yield read, write
        tasks.cancel_scope.cancel()


class _Pipes:
    """The tasks between a service and a session. Whoever sees the end first says why, before the session notices."""

    def __init__(self, service: Service, noise: Noise, pulse: Pulse) -> None:
        self._service = service
        self._noise = noise
        self._pulse = pulse
        self._questions = Questions()
        self._reading = anyio.CancelScope()
        self._exited = anyio.Event()
        self._silent = anyio.Event()
        self._how = "it closed its input or output"

    async def read(self, into: ObjectSendStream[SessionMessage | Exception]) -> None:
        """Standard output → session."""
        async with into:
            try:
                with self._reading:
                    await self._read_all(into)
            except (LineTooLong, TooManyQuestions) as problem:
                self._pulse.end(str(problem).replace("a line of", "it sent a line of"))
                return
            except (SandboxUnavailable, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass
            await self._end()

    async def write(self, out: ObjectReceiveStream[SessionMessage]) -> None:
        """Session → standard input. Its own task: a message that was begun is sent to its end, whoever is cancelled."""
        async with out:
            try:
                async for item in out:
                    self._questions.answered(item.message)
                    text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await self._service.send(text.encode() + b"\n")
            except SandboxUnavailable:
                # A session that waits for an answer learns of the end from what it reads; one that writes, when it is
                # known why.
                self._reading.cancel()
                await self._pulse.wait_for_end()

    async def listen(self) -> None:
        """Standard error → told lines."""
        rest = b""
        try:
            while data := await self._service.receive_errors():
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[:_LINE_BYTES]
                if not self._tell(lines):
                    await anyio.sleep(_CALM_S)
        except SandboxUnavailable:
            pass
        self._tell([rest])
        self._noise.flush()
        self._silent.set()

    async def watch(self) -> None:
        """Wait for the program's end, which its output need not show."""
        self._how = _exit_words(await self._service.wait())
        self._exited.set()
        await anyio.sleep(_DRAIN_S)
        self._reading.cancel()

    async def _read_all(self, into: ObjectSendStream[SessionMessage | Exception]) -> None:
        lines = Lines(MAX_MESSAGE)
        while data := await self._service.receive():
            for line in lines.feed(data):
                await self._take(line, into)
        self._tell([lines.rest()])

    async def _take(self, line: bytes, into: ObjectSendStream[SessionMessage | Exception]) -> None:
        if not line.strip():
            return
        try:
            message = message_of(line)
        except ValidationError:
            # Servers print greetings and warnings there. It is no reason to give them up.
            self._tell([b"(on standard output) " + line])
            return
        self._questions.asked(message)
        await into.send(SessionMessage(message))

    def _tell(self, lines: list[bytes]) -> bool:
        """Whether all of it could be told."""
        for number, line in enumerate(lines, 1):
            if not self._noise.line(line[:_LINE_BYTES].decode("utf-8", errors="replace")):
                self._noise.skip(len(lines) - number)
                return False
        return True

    async def _end(self) -> None:
        with anyio.move_on_after(_EXIT_S):
            await self._exited.wait()
            await self._silent.wait()
        self._pulse.end(self._how)


def _exit_words(code: int) -> str:
    if code == 127:
        return "its program is not there (exit code 127)"
    if code > 128:
        return f"it was ended by signal {code - 128}"
    return f"it ended with exit code {code}"
