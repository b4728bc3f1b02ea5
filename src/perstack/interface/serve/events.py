"""A job's events as server-sent events: read from its log at the reader's own pace. Holds no events.

Each event has its own id, so that a reader who comes back says which was the last (`Last-Event-ID`, or `?after=`) and
gets what follows, no more and no less. A slow reader costs one bounded piece of the log; one that reads nothing for
long is dropped.
Threat: words of models and tests that look like lines of the stream. Events are JSON in ASCII, on one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import anyio
from anyio import to_thread
from starlette.types import Receive, Scope, Send

from perstack import api
from perstack.core.errors import PerstackError
from perstack.core.events import Event
from perstack.core.json import JsonObject
from perstack.interface.history.grammar import Filter
from perstack.interface.serve.limits import Limits
from perstack.interface.serve.problems import Problem, problem_of
from perstack.interface.serve.work import Workshop

MEDIA = "text/event-stream"
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_PIECE = 65_536  # bytes that go out at once, at least one event


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader wants: types (empty: all), and filters that all must hold."""

    types: frozenset[str] = frozenset()
    filters: Sequence[Filter] = ()

    def keeps(self, event: Event) -> bool:
        """Whether the event goes out."""
        if self.types and event.type not in self.types:
            return False
        if not self.filters:
            return True
        data = event.to_json()
        return all(one(data) for one in self.filters)


def encoded(event: Event) -> bytes:
    """One event as lines of the stream."""
    head = f"id: {event.id}\n" if _ID.fullmatch(event.id) else ""
    return f"{head}data: {_line(event.to_json())}\n\n".encode()


def named(name: str, data: JsonObject) -> bytes:
    """A word of the server's own, which is no event of the job and has no id."""
    return f"event: {name}\ndata: {_line(data)}\n\n".encode()


def _line(data: JsonObject) -> str:
    return json.dumps(data, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else str(value)


@dataclass(slots=True)
class Reader:
    """One reader of one job, from its first event or after one of them."""

    following: api.Following
    workshop: Workshop
    wanted: Wanted
    limits: Limits
    rest: Sequence[Event] = ()

    async def skip(self, after: str) -> None:
        """Leave out everything up to the event `after`. Raises: Problem where the job has no such event."""
        while True:
            lot = await to_thread.run_sync(self.following.read)
            place = next((number for number, event in enumerate(lot) if event.id == after), None)
            if place is not None:
                self.rest = lot[place + 1 :]
                return
            if not lot:
                raise Problem(
                    "no-such-event",
                    f"job {self.following.job_id} has no event {after[:200]!r}",
                    "Leave `after` and `Last-Event-ID` out to read from the first event on.",
                )

    async def is_done(self) -> bool:
        """Whether nothing follows, and nobody works on the job."""
        if self.workshop.is_here(self.following.job_id) or await to_thread.run_sync(lambda: self.following.is_live):
            return False
        self.rest = self.rest or await to_thread.run_sync(self.following.read)
        return not self.rest

    async def pieces(self, ending: Callable[[], JsonObject]) -> AsyncGenerator[bytes]:
        """What goes out: events, heartbeats while there are none, and how the job stands at the end."""
        quiet_since = anyio.current_time()
        yield b"retry: 1000\n\n"
        try:
            while True:
                ticket = self.workshop.ticket(self.following.job_id)
                news = ticket.news if ticket is not None and ticket.is_open else None
                if await self.is_done():
                    break
                lot = self.rest or await to_thread.run_sync(self.following.read)
                self.rest = ()
                for piece in _joined(event for event in lot if self.wanted.keeps(event)):
                    quiet_since = anyio.current_time()
                    yield piece
                if not lot:
                    await self._rest(news, quiet_since)
                if anyio.current_time() - quiet_since >= self.limits.heartbeat_s:
                    quiet_since = anyio.current_time()
                    yield b": still here\n\n"
        except PerstackError as error:
            yield named("problem", problem_of(error).to_json())
        yield named("end", await to_thread.run_sync(ending))

    async def _rest(self, news: anyio.Event | None, quiet_since: float) -> None:
        """Until there is news, or it is time to look or to say something."""
        left = max(0.0, quiet_since + self.limits.heartbeat_s - anyio.current_time())
        with anyio.move_on_after(min(left, self.limits.poll_s)):
            await (news.wait() if news is not None else anyio.sleep_forever())


def _joined(events: Iterable[Event]) -> Iterator[bytes]:
    """Events in pieces of bounded size: one a piece would cost a system call each."""
    piece = bytearray()
    for event in events:
        piece += encoded(event)
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


@dataclass(frozen=True, slots=True)
class Stream:
    """The answer that stays open. `leave` is called when it ends, however it ends."""

    pieces: AsyncGenerator[bytes]
    leave: Callable[[], None]

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the reader is gone."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(_until_gone, receive, tasks.cancel_scope))
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                async with aclosing(self.pieces) as pieces:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                tasks.cancel_scope.cancel()
        finally:
            self.leave()


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
