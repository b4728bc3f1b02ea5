"""A session over a channel: what the container back ends hand out. Knows neither Docker nor bubblewrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import ExecResult, Mount
from perstack.infrastructure.sandbox.channel import Channel
from perstack.infrastructure.sandbox.disk import DISK_EXIT, MACHINE, DiskWatch
from perstack.infrastructure.sandbox.memory import MEMORY, MemoryWatch
from perstack.infrastructure.sandbox.snapshot import WORKSPACE


@dataclass(frozen=True, slots=True)
class ChannelSession:
    """A live sandbox, one command at a time."""

    channel: Channel
    disk: DiskWatch
    memory: MemoryWatch

    @property
    def workspace(self) -> str:
        """The workspace as seen inside."""
        return WORKSPACE

    def inside(self, mount: Mount) -> str:
        """Where a mount is seen inside: exactly where it was asked for."""
        return mount.target

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
        """Run one command; see `core.contracts.Session.run`.

        Raises: SandboxUnavailable when the sandbox itself died, or the machine's disk is nearly full.
        """
        await self.disk.begin()
        self.memory.begin()
        result = await self.channel.run(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            timeout_s=timeout_s,
            output_limit=output_limit,
            watch=self.disk.exceeded,
        )
        limit = result.limit or await self.disk.check()
        if limit == MACHINE:
            raise SandboxUnavailable(
                "the disk of this machine is nearly full: the command was stopped",
                hint="Free some space where workspaces are (`perstack prune` removes snapshots), and run it again.",
            )
        if limit:
            return replace(result, exit_code=DISK_EXIT, limit=limit)
        # A command that got over the loss of a process was not stopped.
        return (
            replace(result, limit=MEMORY) if result.exit_code and await self.memory.killed(result.exit_code) else result
        )
