"""One server through its life: started once for all who ask, watched, started again, closed. Knows no transport."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import anyio
from anyio.abc import TaskGroup

from perstack.core.errors import PerstackError
from perstack.skills.mcp.contract import (
    Attempt,
    CallFailed,
    Connect,
    Connection,
    Listed,
    Patience,
    SkillUnavailable,
)
from perstack.skills.mcp.noise import Noise

_CLOSING_S = 5.0
# A server that says without end that its list has changed is asked once in so many seconds.
_BETWEEN_LISTINGS_S = 1.0


class Observer:
    """Who is told about a server's life. The skill is one; does nothing by itself."""

    def on_start(self) -> None:
        """A start begins."""

    def on_connected(self, connection: Connection) -> None:
        """The server is there, with its first list."""

    def on_listing(self, listed: Sequence[Listed]) -> None:
        """The server has another list now."""

    def on_disconnected(self) -> None:
        """The server that was there is gone."""


class Server:
    """Its tasks live in `tasks`, whoever asks: a caller that is cancelled does not end a start others wait for."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        *,
        tasks: TaskGroup,
        patience: Patience,
        noise: Callable[[], Noise],
        observer: Observer,
    ) -> None:
        self._name = name
        self._connect = connect
        self._tasks = tasks
        self._patience = patience
        self._new_noise = noise
        self._observer = observer
        self._attempt: Attempt | None = None
        self._starts = 0

    @property
    def attempt(self) -> Attempt | None:
        """The start that counts now: under way, connected, or failed."""
        return self._attempt

    def begin(self) -> Attempt:
        """Start in the background, unless it is starting or there.

        Raises: SkillUnavailable where it was started too often.
        """
        attempt = self._attempt
        if attempt is not None and not attempt.pulse.ended and not attempt.done.is_set():
            return attempt
        if self._starts > self._patience.restarts:
            raise SkillUnavailable(
                f'the server of skill "{self._name}" ended {self._starts} times and is not started again',
                hint=f"The last time: {attempt.failure}" if attempt and attempt.failure else "",
            )
        self._starts += 1
        self._attempt = attempt = Attempt()
        self._tasks.start_soon(self._live, attempt)
        return attempt

    async def ready(self) -> Attempt:
        """The connected server, started if need be. Everyone who asks meanwhile shares one start.

        Raises: SkillUnavailable.
        """
        last = self._attempt
        if last is not None and last.pulse.ended:
            await last.done.wait()
        attempt = self.begin()
        await attempt.settled.wait()
        if attempt.connection is None:
            raise SkillUnavailable(attempt.failure)
        return attempt

    async def close(self) -> None:
        """End the server and wait until nothing of it is left; a later start begins anew."""
        attempt, self._attempt = self._attempt, None
        self._starts = 0
        if attempt is None or attempt.done.is_set():
            return
        attempt.closing = True
        if attempt.connection is None:
            attempt.scope.cancel()
        attempt.pulse.end("it was closed")
        await attempt.done.wait()

    async def _live(self, attempt: Attempt) -> None:
        noise = self._new_noise()
        self._observer.on_start()
        self._allow(attempt, self._patience.prepare_s)
        attempt.pulse.on_begin = partial(self._allow, attempt, self._patience.start_s)
        try:
            with attempt.scope:
                async with self._connect(noise, attempt.pulse) as connection:
                    self._allow(attempt, math.inf)
                    self._greet(attempt, connection)
                    await self._watch(attempt, connection, noise)
                    self._allow(attempt, _CLOSING_S)
        except* PerstackError as group:
            attempt.failure = "; ".join(dict.fromkeys(str(error) for error in leaves(group)))
        finally:
            self._bury(attempt, noise)

    @staticmethod
    def _allow(attempt: Attempt, seconds: float) -> None:
        attempt.scope.deadline = anyio.current_time() + seconds

    def _late(self, attempt: Attempt) -> str:
        if attempt.pulse.begun:
            return f"it did not start within {self._patience.start_s:g} s"
        return f"its sandbox and its package were not ready within {self._patience.prepare_s:g} s"

    def _greet(self, attempt: Attempt, connection: Connection) -> None:
        attempt.connection = connection
        self._observer.on_connected(connection)
        attempt.settled.set()

    async def _watch(self, attempt: Attempt, connection: Connection, noise: Noise) -> None:
        pulse = attempt.pulse
        while not pulse.ended:
            await pulse.wait()
            if pulse.take_change() and not pulse.ended:
                try:
                    with anyio.fail_after(self._patience.start_s):
                        self._observer.on_listing(await connection.list_again())
                except CallFailed as error:
                    noise.remark(f"its tools could not be listed again: {error.message}")
                except TimeoutError:
                    noise.remark(f"its tools could not be listed again within {self._patience.start_s:g} s")
                with anyio.move_on_after(_BETWEEN_LISTINGS_S):
                    await pulse.wait_for_end()

    def _bury(self, attempt: Attempt, noise: Noise) -> None:
        """Say what became of it. Also while being cancelled: nothing here waits."""
        connected = attempt.connection is not None
        if not attempt.failure:
            attempt.failure = attempt.pulse.reason or self._late(attempt)
        attempt.failure = self._with_last_words(attempt.failure, noise, connected=connected)
        attempt.pulse.end(attempt.failure)
        attempt.settled.set()
        attempt.done.set()
        if not attempt.closing:
            noise.remark(attempt.failure)
        noise.flush()
        if connected:
            self._observer.on_disconnected()

    def _with_last_words(self, reason: str, noise: Noise, *, connected: bool) -> str:
        if connected:
            return f'the server of skill "{self._name}" is gone: {reason}'
        words = noise.last_words()
        said = f"\nIts last lines:\n{words}" if words else ""
        return f'the server of skill "{self._name}" did not start: {reason}{said}'


def leaves(group: BaseExceptionGroup[PerstackError]) -> Iterator[PerstackError]:
    """The errors in a group of groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
