"""Running several things at once, bounded, with results in order and plain errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from perstack.core.errors import PerstackError

T = TypeVar("T")


async def in_order(jobs: Sequence[Callable[[], Awaitable[T]]], *, limit: int) -> list[T]:
    """Results in the order of `jobs`, at most `limit` at a time. The first failure cancels the rest.

    Raises: the first PerstackError as it is, not wrapped in a group; so any other error that comes alone.
    """
    if len(jobs) == 1:
        return [await jobs[0]()]
    results: dict[int, T] = {}
    failures: list[PerstackError] = []
    slots = anyio.Semaphore(limit)

    async def run_one(number: int, job: Callable[[], Awaitable[T]]) -> None:
        async with slots:
            try:
                results[number] = await job()
            except PerstackError as error:
                failures.append(error)
                group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for number, job in enumerate(jobs):
                group.start_soon(run_one, number, job)
    except BaseExceptionGroup as several:
        raise _alone(several) from None
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(jobs))]


def _alone(error: BaseException) -> BaseException:
    """The only error in a group of groups; the group where there are several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
