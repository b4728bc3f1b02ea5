"""Notices that a sandbox stopped a command for one of its limits, whatever the adapter that ran it makes of the result.

A run that the disk's limit stopped proves nothing, and says which limit it was: it is no failed test. A process that
was killed for memory is told where nothing else says what happened: a test that lost one of its own has its result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from perstack.core.contracts import Sandbox, Service, Session
from perstack.core.sandbox import ExecResult, Limits, Mount, Network, SandboxSpec, Snapshot
from perstack.core.signals import SignalRun, SignalStatus
from perstack.core.verdict import ReasonCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class NotedSession:
    """A session whose results are looked at on their way."""

    inner: Session
    into: list[str]

    @property
    def workspace(self) -> str:
        """See `core.contracts.Session.workspace`."""
        return self.inner.workspace

    def inside(self, mount: Mount) -> str:
        """See `core.contracts.Session.inside`."""
        return self.inner.inside(mount)

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float = 60.0,
        output_limit: int = 1_000_000,
    ) -> ExecResult:
        """See `core.contracts.Session.run`."""
        result = await self.inner.run(
            argv, cwd=cwd, env=env, stdin=stdin, timeout_s=timeout_s, output_limit=output_limit
        )
        if result.limit:
            self.into.append(result.limit)
        return result


@dataclass(frozen=True, slots=True)
class Noted:
    """A back end for one run of a signal. `reached` are the names of limits that stopped a command."""

    inner: Sandbox
    reached: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """See `core.contracts.Sandbox`."""
        return self.inner.name

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """See `core.contracts.Sandbox.prepare`."""
        return await self.inner.prepare(spec, source, log)

    @asynccontextmanager
    async def open(
        self,
        snapshot: Snapshot,
        workspace: Path,
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> AsyncIterator[Session]:
        """See `core.contracts.Sandbox.open`."""
        async with self.inner.open(snapshot, workspace, mounts=mounts, env=env, limits=limits) as session:
            yield NotedSession(session, self.reached)

    def serve(
        self,
        snapshot: Snapshot,
        workspace: Path,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        network: Network | None = None,
    ) -> AbstractAsyncContextManager[Service]:
        """See `core.contracts.Sandbox.serve`."""
        return self.inner.serve(snapshot, workspace, argv, mounts=mounts, env=env, limits=limits, network=network)

    async def install(
        self, snapshot: Snapshot, argv: Sequence[str], folder: Mount, *, timeout_s: float = 600.0
    ) -> ExecResult:
        """See `core.contracts.Sandbox.install`."""
        return await self.inner.install(snapshot, argv, folder, timeout_s=timeout_s)

    def judged(self, run: SignalRun, limits: Limits) -> SignalRun:
        """The run, or what it is where a limit stopped a command of it."""
        if not self.reached:
            return run
        if set(self.reached) == {MEMORY}:
            return _out_of_memory(run, limits)
        text = f"stopped at the sandbox's disk limit: {limits.disk_mb} MiB or {limits.disk_files} files"
        return replace(run, status=SignalStatus.ERROR, problem=text, problem_code=ReasonCode.DISK_LIMIT.value)


def _out_of_memory(run: SignalRun, limits: Limits) -> SignalRun:
    """A run without a result of its own, or a command that failed: on the base, the latter is red as any other."""
    if run.status is not SignalStatus.ERROR and (run.status is not SignalStatus.FAIL or run.tests or run.diagnostics):
        return run
    text = f"a process was killed at the sandbox's memory limit: {limits.memory_mb} MiB"
    problem = f"{text}; {run.problem}" if run.problem else text
    return replace(run, problem=problem, problem_code=ReasonCode.MEMORY_LIMIT.value)
