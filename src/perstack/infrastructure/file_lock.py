"""Locks on files, between tasks and processes alike. The kernel lets go of them when a process ends, even by a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

_WAIT_S = 0.05


def try_lock(place: Path, *, shared: bool = False) -> int | None:
    """A descriptor that holds the lock until it is closed; None where somebody else has it."""
    while True:
        fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if _is(fd, place):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        os.close(fd)  # somebody took the file away while we opened it


async def lock(place: Path, *, shared: bool = False) -> int:
    """The same, waiting for as long as it takes."""
    while (fd := try_lock(place, shared=shared)) is None:  # noqa: ASYNC110  # other processes set no event of ours
        await anyio.sleep(_WAIT_S)
    return fd


@contextlib.asynccontextmanager
async def locked(place: Path) -> AsyncIterator[None]:
    """One at a time, in this process and others."""
    fd = await lock(place)
    try:
        yield
    finally:
        os.close(fd)


def _is(fd: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), place.stat())
    except OSError:
        return False
