"""One process of `bwrap`: its pipes, how it comes into its control groups, and what it says of its end.

Moving a process into a control group waits for the whole kernel (some 10 ms), as long as bwrap needs for its mounts.
So both happen at once, and no command has begun before all that runs inside is in every group.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import anyio
import anyio.to_thread
from anyio.abc import Process

from perstack.core.errors import InvariantBroken, SandboxUnavailable
from perstack.infrastructure import process as host_process
from perstack.infrastructure.sandbox import control_group, toolchain
from perstack.infrastructure.sandbox.channel import STDERR, STDOUT
from perstack.infrastructure.sandbox.control_group import Groups

INSTALL_HINT = (
    "Install Docker and start it, or install bubblewrap (`apt-get install bubblewrap`, `dnf install bubblewrap`). "
    "`--sandbox host` runs without any isolation."
)
OWN_ENV = {"PATH": ":".join(toolchain.SYSTEM_PATH), "LC_ALL": "C"}
_ABOUT = 4096  # bytes that bwrap says of itself at most


@dataclass(frozen=True, slots=True)
class Pipes:
    """A driver at the end of a process's pipes."""

    process: Process

    @property
    def readers(self) -> Sequence[Callable[[], Awaitable[tuple[int, bytes]]]]:
        return (self._out, self._err)

    async def send(self, data: bytes) -> None:
        if self.process.stdin is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        await self.process.stdin.send(data)

    async def _out(self) -> tuple[int, bytes]:
        if self.process.stdout is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        return STDOUT, await self.process.stdout.receive()

    async def _err(self) -> tuple[int, bytes]:
        if self.process.stderr is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        return STDERR, await self.process.stderr.receive()


@dataclass(frozen=True, slots=True)
class Command:
    """A command line of bwrap, and the descriptors it needs."""

    argv: tuple[str, ...]
    fds: tuple[int, ...]
    groups: Groups
    status: BinaryIO

    def check(self, returncode: int) -> int:
        """The program's exit code. bwrap reports one only where the program was started.

        Raises: SandboxUnavailable where bwrap could not start it.
        """
        if returncode > 0 and not self.status.closed and b'"exit-code"' not in self._told():
            raise SandboxUnavailable(
                "bubblewrap could not start the program; its reason is on standard error", hint=INSTALL_HINT
            )
        return host_process.exit_code_of(returncode)

    def _told(self) -> bytes:
        return os.pread(self.status.fileno(), _ABOUT, 0)


@dataclass(frozen=True, slots=True)
class Running:
    """A bwrap, and where it says what runs inside."""

    process: Process
    groups: Groups
    about: BinaryIO | None

    async def join(self) -> None:
        """Put what runs inside into the groups: the first process and its children, none of which may start others yet.

        What limits hold is read from the first one. Who died says so elsewhere.

        Raises: SandboxUnavailable where a group takes none: without limits nothing may run.
        """
        if self.about is None:
            return
        await anyio.wait_readable(self.about)
        if not (told := self.about.read(_ABOUT)):
            return
        first = re.search(rb'"child-pid": *(\d+)', told)
        if first is None:
            raise SandboxUnavailable(
                "bubblewrap does not say which process it started, so a sandbox would have no limits"
            )
        await anyio.to_thread.run_sync(control_group.join, self.groups, int(first[1]))


@contextlib.asynccontextmanager
async def started(argv: Sequence[str], fds: Sequence[int], groups: Groups) -> AsyncIterator[Running]:
    """bwrap with these arguments, dead in the end. What runs inside is in no group until it is told to `join`.

    Raises: SandboxUnavailable where there is no bwrap.
    """
    with contextlib.ExitStack() as ours:
        about, tells = _pipe(ours) if groups.places else (None, None)
        own = ("--info-fd", str(tells.fileno())) if tells else ()
        passed = (*fds, tells.fileno()) if tells else fds
        try:
            async with host_process.open_process(["bwrap", *own, *argv], env=OWN_ENV, pass_fds=passed) as child:
                if tells:
                    tells.close()
                yield Running(child, groups, about)
        except FileNotFoundError as error:
            raise SandboxUnavailable("bubblewrap (bwrap) is not installed", hint=INSTALL_HINT) from error


@contextlib.asynccontextmanager
async def joined(argv: Sequence[str], fds: Sequence[int], groups: Groups) -> AsyncIterator[Process]:
    """The same where the program inside is not ours: bwrap holds it back until it is in the groups.

    Raises: SandboxUnavailable, see `Running.join`.
    """
    with contextlib.ExitStack() as ours:
        waits, held = _pipe(ours)
        async with started(["--block-fd", str(waits.fileno()), *argv], (*fds, waits.fileno()), groups) as running:
            waits.close()
            await running.join()
            with contextlib.suppress(BrokenPipeError):
                held.write(b"1")
            yield running.process


def _pipe(ours: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    reads, writes = os.pipe2(os.O_CLOEXEC)
    reader = ours.enter_context(os.fdopen(reads, "rb", buffering=0))
    return reader, ours.enter_context(os.fdopen(writes, "wb", buffering=0))
