"""Holds what lives longer than a command to the disk's limit: programs that are served, installations of packages.

The same for every back end, from outside: whoever is in the context is cancelled, and its sandbox ends with it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.sandbox import Limits
from perstack.infrastructure.sandbox.disk import MACHINE, watched

_OFTEN_S = 60.0  # there may be many servers: looked at where the disk shrinks, else this often


@dataclass(frozen=True, slots=True)
class DiskBound:
    """What programs may add to the disk from now on, all together: one that is started again begins with no more."""

    limits: Limits
    began: int = field(default_factory=time.time_ns)

    @asynccontextmanager
    async def held(self, what: str, folders: Sequence[Path], *, lasting: bool = False) -> AsyncIterator[None]:
        """Cancel the body when these folders grow past the limit. One that is `lasting` does little most of the time.

        Raises: UserError that names `what` and the limit; SandboxUnavailable where the machine's disk is nearly full.
        """
        with watched(self.limits, folders) as disk:
            disk.since, disk.often_s = self.began, _OFTEN_S if lasting else disk.often_s
            await disk.begin()
            exceeded = ""
            try:
                async with anyio.create_task_group() as tasks:

                    async def look() -> None:
                        nonlocal exceeded
                        exceeded = await disk.exceeded()
                        tasks.cancel_scope.cancel()

                    tasks.start_soon(look)
                    yield
                    exceeded = exceeded or await disk.check(at_last=not lasting)
                    tasks.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                if len(group.exceptions) == 1:  # what the body raised, as if there were no task group
                    raise group.exceptions[0] from None
                raise
        if exceeded:
            raise self._error(what, exceeded)

    def _error(self, what: str, exceeded: str) -> UserError | SandboxUnavailable:
        if exceeded == MACHINE:
            return SandboxUnavailable(
                f"the disk of this machine is nearly full: {what} was stopped",
                hint="Free some space (`perstack prune` removes old snapshots and packages), and run it again.",
            )
        return UserError(
            f"{what} was stopped at the sandbox's disk limit: {self.limits.disk_mb} MiB or "
            f"{self.limits.disk_files} files",
            hint="diskMb and diskFiles of [sandbox.limits] say how much it may take.",
        )
