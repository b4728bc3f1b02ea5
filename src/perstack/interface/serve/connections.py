"""Connections and how long each may take: for the head of a request, for reading an answer. Knows no route.

Threat: who has no token and opens connections only to hold them: idle, with a head or a body that comes a byte at a
time, or with answers that are never read. Each has a time, and where there are too many, the oldest of those that
showed no token makes room for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import anyio
import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from perstack.interface.serve.limits import Limits
from perstack.interface.serve.problems import MEDIA, Problem

_ABORT, _TRUST = "perstack.abort", "perstack.trust"


class Connection(H11Protocol):
    """One connection, as patient as its limits. What answers on it can cut it."""

    def __init__(self, limits: Limits, **more: Any) -> None:
        super().__init__(**more)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self.began = 0.0
        self.is_trusted = False

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request, whatever it declares
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.began = self.loop.time()
        self.app_state = {**self.app_state, _ABORT: transport.abort, _TRUST: self._trust}
        self._wait(self._limits.head_s)
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.is_answering:
            self._stop_waiting()  # whoever answers has limits of its own

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.is_answering:
            self._unread = 0
            self._wait(self._limits.head_s)

    def send_400_response(self, msg: str) -> None:
        """What no request can be read from. Threat: `msg` is the library's, and says what it likes."""
        del msg
        self._refuse(Problem("bad-request", "this is no HTTP request", "Send HTTP/1.1."))

    def _trust(self) -> None:
        self.is_trusted = True

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """The time for a request is over; an answer that is still being read has as long as it gets on."""
        left = self.transport.get_write_buffer_size()
        if left and not 0 < self._unread <= left:
            self._unread = left
            self._wait(self._limits.send_s)
        elif self.conn.our_state is h11.IDLE and self.conn.trailing_data[0] and not self.transport.is_closing():
            self._refuse(
                Problem("too-slow", f"no whole request within {self._limits.head_s:g} s", "Send its head at once.")
            )
            self._wait(self._limits.head_s)
        else:
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer what is no request, and close; in the middle of an answer there is no place for another."""
        if self.is_answering:  # its body broke off: nobody reads what is still to be said
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()
            return
        answer = problem.response()
        body = bytes(answer.body)
        headers = [("content-type", MEDIA), ("content-length", str(len(body))), ("connection", "close")]
        reason = HTTPStatus(problem.status).phrase.encode()
        for event in (h11.Response(status_code=problem.status, headers=headers, reason=reason), h11.Data(data=body)):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _make_room(self) -> None:
        """Where there are too many: the oldest without a token goes, else the oldest that asks nothing, else this."""
        there = [one for one in self.connections if isinstance(one, Connection) and not one.transport.is_closing()]
        if len(there) <= self._limits.connections:
            return
        others = [one for one in there if one is not self and not (one.is_trusted and one.is_answering)]
        min(others, key=lambda one: (one.is_trusted, one.began), default=self).transport.abort()


def trust(scope: Scope) -> None:
    """Whoever asks on this connection has shown the token."""
    mark: Callable[[], None] | None = scope.get("state", {}).get(_TRUST)
    if mark is not None:
        mark()


@dataclass(frozen=True, slots=True)
class Patient:
    """Waits only so long for a reader. Threat: readers that never read, and hold what is sent to them for ever."""

    app: ASGIApp
    limits: Limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        abort = scope.get("state", {}).get(_ABORT)
        await self.app(scope, receive, partial(self._send, send, abort))

    async def _send(self, send: Send, abort: Callable[[], None] | None, message: Message) -> None:
        with anyio.move_on_after(self.limits.send_s) as waiting:
            await send(message)
        if waiting.cancelled_caught and abort is not None:
            abort()
