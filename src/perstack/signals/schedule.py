"""Which signal goes first, and who may run now. Runs nothing itself.

Cheap signals come first, so that a candidate that a compiler refuses does not wait for its tests. Signals that cannot
decide come last.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from types import MappingProxyType
from typing import Final

import anyio

from perstack.core.signals import Priority, SignalKind, SignalSpec

GUESSED_S: Final = MappingProxyType(
    {
        SignalKind.COMPILER: 5.0,
        SignalKind.DIFF: 5.0,
        SignalKind.COMMAND: 10.0,
        SignalKind.HTTP: 15.0,
        SignalKind.TEST: 30.0,
        SignalKind.SCREENSHOT: 60.0,
    }
)
"""Seconds a run of a kind is taken to need before one was seen."""


def in_order(specs: Iterable[SignalSpec], seen_s: Callable[[SignalSpec], float | None]) -> tuple[SignalSpec, ...]:
    """Gating signals first, then by the seconds of a run: as seen, else as guessed by kind. Ties keep their order."""

    def rank(spec: SignalSpec) -> tuple[bool, float]:
        seen = seen_s(spec)
        return spec.priority is not Priority.MUST, GUESSED_S[spec.kind] if seen is None else seen

    return tuple(sorted(specs, key=rank))


class Slots:
    """Places for runs. Of those who wait, the one of the lowest rank comes next; first come, first served within it."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[int, int, anyio.Event]] = []
        self._number = count()

    @asynccontextmanager
    async def at(self, rank: int) -> AsyncIterator[None]:
        """Hold a place."""
        await self._acquire(rank)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, rank: int) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn = anyio.Event()
        entry = (rank, next(self._number), turn)
        heapq.heappush(self._waiting, entry)
        try:
            await turn.wait()
        except anyio.get_cancelled_exc_class():
            if turn.is_set():
                self._release()  # the place came at the very moment of the cancellation
            else:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    def _release(self) -> None:
        if self._waiting:
            heapq.heappop(self._waiting)[2].set()
        else:
            self._free += 1
