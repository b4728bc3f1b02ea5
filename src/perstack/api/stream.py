"""A run as an async iterator of its events. Decides nothing about the run; leaving it ends it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from perstack.api.asking import RunResult
from perstack.core.contracts import Provider
from perstack.core.errors import PerstackError, UserError
from perstack.core.events import Event
from perstack.core.messages import Delta, ModelReply, ModelRequest

_DELTAS = frozenset({"streamReasoning", "streamRunResult"})
# How many waiting events are looked through for the delta that a new one continues.
_LOOK_BACK = 32


# So long a model call waits for the reader; far below the time limit of a call, which counts it.
_PATIENCE_S = 0.5


class RunStream:
    """One run at work, as `async with`: iterate over its events, then read `result`.

    Each model call waits a moment for the reader to have seen what came before it; a reader who takes longer does not
    hold up the run. What then waits to be read is bounded by the run's own limits: pieces of streamed text are joined,
    so a step adds a few events at most. Leaving the block early stops the run at once, ends what it started, and
    leaves its job so that `resume` can go on with it.
    """

    def __init__(self, work: Callable[[RunStream], Awaitable[RunResult]]) -> None:
        """`work` is the run: it hands its events to `add` and puts `paced` around its model."""
        self._work = work
        self._tasks: TaskGroup | None = None
        self._waiting: deque[Event] = deque()
        self._news = anyio.Event()
        self._idle = anyio.Event()
        self._ended = False
        self._result: RunResult | None = None
        self._error: PerstackError | None = None
        self._told = False
        self.job_id = ""

    @property
    def result(self) -> RunResult:
        """How the run ended.

        Raises: UserError while it has not ended; what ended it where it could not run.
        """
        if self._error is not None:
            self._told = True
            raise self._error
        if self._result is None:
            raise UserError("the run has not ended", hint="Read its events to the end, or `await run.wait()`.")
        return self._result

    async def wait(self) -> RunResult:
        """Read the rest of the events away and give the result. Raises: as `result`."""
        async for _ in self:
            pass
        return self.result

    def add(self, event: Event) -> None:
        """The next event of the run."""
        self.job_id = event.job_id
        if not (event.type in _DELTAS and self._joined(event)):
            self._waiting.append(event)
        self._idle = anyio.Event()
        self._news.set()

    def paced(self, provider: Provider) -> Provider:
        """The provider, with every call waiting for the reader, but not for long."""
        return _Paced(provider, self._caught_up)

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise UserError("a stream is for one run", hint="Call perstack.stream(…) again.")
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._tasks is None:
            return None
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await self._tasks.__aexit__(kind, error, trace)
        self._tasks.cancel_scope.cancel()
        # Without the caller's own error: a task group would wrap it, and it is to stay what it is.
        await self._tasks.__aexit__(None, None, None)
        if error is None and self._error is not None and not self._told:
            raise self._error
        return None

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events()

    async def _events(self) -> AsyncIterator[Event]:
        if self._tasks is None:
            raise UserError("the run has not started", hint="Use `async with perstack.stream(…) as run:`.")
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._ended:
                break
            self._news = anyio.Event()
            self._idle.set()
            await self._news.wait()
        if self._error is not None:
            self._told = True
            raise self._error

    async def _caught_up(self) -> None:
        with anyio.move_on_after(_PATIENCE_S):
            await self._idle.wait()

    async def _run(self) -> None:
        try:
            self._result = await self._work(self)
        except PerstackError as error:
            self._error = error
        finally:
            self._ended = True
            self._news.set()

    def _joined(self, event: Event) -> bool:
        """Whether a delta became part of the one it continues."""
        for back in range(1, min(_LOOK_BACK, len(self._waiting)) + 1):
            other = self._waiting[-back]
            if other.run_id != event.run_id:
                continue
            if other.type != event.type:
                return False
            text = f"{other.payload.get('delta', '')}{event.payload.get('delta', '')}"
            self._waiting[-back] = replace(other, payload={**other.payload, "delta": text})
            return True
        return False


class _Paced:
    """A provider whose calls wait for something first."""

    def __init__(self, provider: Provider, ready: Callable[[], Awaitable[None]]) -> None:
        self._provider = provider
        self._ready = ready

    @property
    def name(self) -> str:
        return self._provider.name

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        """As the provider's own."""
        await self._ready()
        return await self._provider.generate(request, on_delta)

    async def close(self) -> None:
        await self._provider.close()
