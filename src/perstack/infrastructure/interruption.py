"""An event loop whose work a signal cancels: once, as a cancel scope does, so that what cleans up is not disturbed.

Neither a task's own cancellation nor a KeyboardInterrupt does that: both break into shielded clean-up, and leave
processes, folders and half-closed pipes behind. Decides nothing about words and exit codes.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType, TracebackType
from typing import TypeVar, TypeVarTuple, Unpack

import anyio

from perstack.core.errors import PerstackError
from perstack.infrastructure.process import watch_without_threads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Handler = Callable[[int, FrameType | None], object]

# Who means it says it again. What comes sooner is one wish told twice: to the process, and to its group.
_AGAIN_S = 1.0


class Interrupted(KeyboardInterrupt):
    """A signal ended the work, which has cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _Ear:
    """Hears signals while the work is on: the first cancels it, one that comes later insists."""

    def __init__(self, numbers: Sequence[int], insist: Handler | None) -> None:
        self.number = 0
        self._insist = insist
        self._since = 0.0
        self._cancel: Callable[[], object] | None = None
        self._before = {number: signal.getsignal(number) for number in numbers}

    def __enter__(self) -> _Ear:
        for number in self._before:
            signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def cancels(self, cancel: Callable[[], object] | None) -> None:
        """What a signal calls from now on; at once where one was heard already."""
        self._cancel = cancel
        if self.number and cancel:
            cancel()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number, self._since = number, time.monotonic()
            if self._cancel:
                self._cancel()
        elif self._insist and time.monotonic() - self._since >= _AGAIN_S:
            self._insist(number, frame)


def numbers_of_ctrl_c() -> tuple[int, ...]:
    """SIGINT, where a program has left it to Python and this thread gets it."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return (signal.SIGINT,) if is_ours and threading.current_thread() is threading.main_thread() else ()


def run_interruptibly(
    work: Callable[[Unpack[Ts]], Awaitable[T]],
    *args: *Ts,
    numbers: Sequence[int] = (),
    insist: Handler | None = None,
) -> T:
    """Run asynchronous work to its end in an event loop of its own, in the main thread where there are `numbers`.

    The first of these signals cancels the work. One at least a second later calls `insist`; without it, none counts.
    Work that came to its end nevertheless has its result.

    Raises: Interrupted where it was cancelled; what `work` raises.
    """
    results: list[T] = []
    ear = _Ear(numbers, insist)
    watch_without_threads()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            ear.cancels(functools.partial(loop.call_soon_threadsafe, scope.cancel))
            try:
                results.append(await work(*args))
            finally:
                ear.cancels(None)

    with ear:
        try:
            anyio.run(main)
        except PerstackError as error:
            if ear.number:  # what broke while everything was taken down is no news
                raise Interrupted(ear.number) from error
            raise
    if not results:
        raise Interrupted(ear.number)
    return results[0]
