"""Asynchronous work of a command: an event loop that signals end cleanly. The one place where commands start one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple, Unpack

from perstack import api
from perstack.interface import leaving

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def carry_through(work: Callable[[Unpack[Ts]], Awaitable[T]], *args: *Ts, has_last_words: bool = False) -> T:
    """Do it, and return its result. A signal cancels it; who repeats one later ends the process at once.

    With `has_last_words` nothing does: the work says them and ends.
    Raises: KeyboardInterrupt where a signal ended it; what `work` raises.
    """
    insist = None if has_last_words else leaving.leave
    return api.run_interruptibly(work, *args, numbers=leaving.heard(), insist=insist)
