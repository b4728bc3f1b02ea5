"""Jobs that this server works on: a bounded queue, a thread in which they run, their ends. Knows no HTTP.

Jobs run on an event loop of their own, so that a job that computes does not keep requests waiting. Runs share the one
workspace and take turns; a verification and a fix work on commits, beside them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from time import time
from types import TracebackType
from typing import Self

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from perstack import api
from perstack.core.errors import InvariantBroken, PerstackError
from perstack.core.events import Event, EventSink
from perstack.interface.serve.limits import Limits
from perstack.interface.serve.problems import Problem
from perstack.interface.serve.waiting import Asked, WaitingRoom

Machine = Callable[[], AbstractContextManager[api.Host]]
Work = Callable[[api.Host, EventSink], Awaitable[object]]
QUEUED, RUNNING, ENDED, CANCELLED, LEFT = "queued", "running", "ended", "cancelled", "left"
_REMEMBERED = 500  # ended jobs whose own word on their end is kept


@dataclass(slots=True)
class Ticket:
    """One job of this server. `work` does it, as `asked`; `error` is why it could not begin or go on."""

    job_id: str
    kind: str
    expert: str
    work: Work
    asked: Asked
    state: str = QUEUED
    asked_at: int = field(default_factory=lambda: int(time() * 1000))
    error: PerstackError | None = None
    news: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope | None = None  # touched in the thread of the jobs only
    is_cancelled: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it waits or is worked on."""
        return self.state in {QUEUED, RUNNING}

    def ring(self) -> None:
        """Wake whoever follows the job."""
        self.news.set()
        self.news = anyio.Event()


class Workshop:
    """The jobs of one server, as a context: leaving it cancels what is at work, and waits for it."""

    def __init__(self, machine: Machine, limits: Limits, room: WaitingRoom) -> None:
        self._machine = machine
        self.room = room
        self._limits = limits
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()
        self._idle = anyio.Event()
        self._context: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_stopping = False

    def __enter__(self) -> Self:
        """Raises: RuntimeError outside a running event loop, which it tells its news to."""
        self._loop = asyncio.get_running_loop()
        self._context = start_blocking_portal()
        self._portal = self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._context is not None:
            self._context.__exit__(kind, error, trace)

    def ticket(self, job_id: str) -> Ticket | None:
        """What is known here of a job."""
        return self._tickets.get(job_id)

    def tickets(self) -> tuple[Ticket, ...]:
        """All that are remembered, the oldest first."""
        return tuple(self._tickets.values())

    def is_here(self, job_id: str) -> bool:
        """Whether the job waits or is worked on here."""
        ticket = self._tickets.get(job_id)
        return ticket is not None and ticket.is_open

    def add(self, ticket: Ticket) -> None:
        """Queue a job, and start it when its turn comes.

        Raises: Problem where the server stops, its queue is full, or the job is there already.
        """
        if self.is_stopping:
            raise Problem("stopping", "the server is stopping: it starts no jobs", "Ask the next one.")
        if self.is_here(ticket.job_id):
            raise Problem("conflict", f"job {ticket.job_id} is being worked on", "Follow it, or cancel it first.")
        if (there := sum(one.is_open for one in self._tickets.values())) >= self._limits.running + self._limits.queued:
            raise Problem(
                "too-many-jobs",
                f"{there} jobs are at work or wait",
                "Ask again when one has ended; --max-queue sets how many may wait.",
                headers={"retry-after": "10"},
            )
        self._tickets.pop(ticket.job_id, None)
        self._tickets[ticket.job_id] = ticket
        self._start_next()

    def cancel(self, job_id: str) -> bool:
        """Take a job from the queue, or end what is at work on it. False where it is neither."""
        ticket = self._tickets.get(job_id)
        if ticket is None or not ticket.is_open:
            return False
        ticket.is_cancelled = True
        if ticket.state == QUEUED:
            ticket.state = CANCELLED
            self.room.drop(job_id)
            ticket.ring()
        elif self._portal is not None:
            self._portal.start_task_soon(_cancel, ticket)
        return True

    async def stop(self) -> tuple[Ticket, ...]:
        """End what is at work and wait for that; leave what waits to the next server. The jobs that were either."""
        self.is_stopping = True
        at_work = tuple(one for one in self._tickets.values() if one.is_open)
        for ticket in at_work:
            if ticket.state == QUEUED:
                ticket.state = LEFT
                ticket.ring()
        for job_id in list(self._tickets):
            self.cancel(job_id)
        with anyio.move_on_after(self._limits.stop_s):
            while any(one.state == RUNNING for one in self._tickets.values()):
                self._idle = anyio.Event()
                await self._idle.wait()
        return at_work

    def _start_next(self) -> None:
        for ticket in list(self._tickets.values()):
            at_work = [one for one in self._tickets.values() if one.state == RUNNING]
            if len(at_work) >= self._limits.running or self._portal is None:
                return
            if ticket.state != QUEUED or (ticket.kind == "run" and any(one.kind == "run" for one in at_work)):
                continue
            ticket.state = RUNNING
            self.room.drop(ticket.job_id)
            ticket.ring()
            self._portal.start_task_soon(self._carry_out, ticket).add_done_callback(partial(self._tell, ticket))

    async def _carry_out(self, ticket: Ticket) -> None:
        """In the thread of the jobs."""
        ticket.scope = anyio.CancelScope()
        with ticket.scope:
            if not ticket.is_cancelled:
                with self._machine() as host:
                    await ticket.work(host, lambda event: self._heard(ticket, event))

    def _heard(self, ticket: Ticket, _: Event) -> None:
        self._soon(ticket.ring)

    def _tell(self, ticket: Ticket, done: Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        self._soon(lambda: self._ended(ticket, error))

    def _soon(self, call: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def _ended(self, ticket: Ticket, error: BaseException | None) -> None:
        ticket.state = ENDED
        if error is not None:
            ticket.error = known_error(error) or InvariantBroken(f"a bug of perstack: {error!r}")
        ended = [one.job_id for one in self._tickets.values() if not one.is_open]
        for job_id in ended[:-_REMEMBERED]:
            del self._tickets[job_id]
        ticket.ring()
        self._idle.set()
        self._start_next()


def known_error(error: BaseException) -> PerstackError | None:
    """The first error of ours in nested groups."""
    if isinstance(error, PerstackError):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for one in inner if (found := known_error(one)) is not None), None)


def _cancel(ticket: Ticket) -> None:
    """In the thread of the jobs."""
    if ticket.scope is not None:
        ticket.scope.cancel()
