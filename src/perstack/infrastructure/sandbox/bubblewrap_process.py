"""One process of `bwrap`: its pipes, how it comes into its control groups, and what it says of its end.

Moving a process into a control group waits for the whole kernel (some 10 ms), as long as bwrap needs for its mounts.
So both happen at once: bwrap holds the first program back until its process is in every group.
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


@contextlib.asynccontextmanager
async def started(argv: Sequence[str], fds: Sequence[int], groups: Groups) -> AsyncIterator[Process]:
    """bwrap with these arguments, dead in the end. Nothing inside has run before all of it is in the groups.

    Raises: SandboxUnavailable where there is no bwrap, or a group does not take it: without limits nothing may run.
    """
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        about, held, options = _gate(ours, theirs) if groups.places else (None, None, ())
        passed = (*fds, *(int(word) for word in options if word.isdigit()))
        try:
            async with host_process.open_process(["bwrap", *options, *argv], env=OWN_ENV, pass_fds=passed) as child:
                theirs.close()
                if about and held:
                    await _pass(child.pid, groups, about, held)
                yield child
        except FileNotFoundError as error:
            raise SandboxUnavailable("bubblewrap (bwrap) is not installed", hint=INSTALL_HINT) from error


def _gate(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO, tuple[str, ...]]:
    """Two pipes: bwrap writes on one what runs inside, and waits at the other before that goes on."""
    about, tells = os.pipe2(os.O_CLOEXEC)
    waits, held = os.pipe2(os.O_CLOEXEC)
    for fd in (tells, waits):
        theirs.callback(os.close, fd)
    reader = ours.enter_context(os.fdopen(about, "rb", buffering=0))
    writer = ours.enter_context(os.fdopen(held, "wb", buffering=0))
    return reader, writer, ("--info-fd", str(tells), "--block-fd", str(waits))


async def _pass(pid: int, groups: Groups, about: BinaryIO, held: BinaryIO) -> None:
    """Put bwrap and the first process inside into the groups, then let that one go on. Who died says so elsewhere."""
    await anyio.to_thread.run_sync(control_group.join, groups, pid)
    await anyio.wait_readable(about)
    if first := re.search(rb'"child-pid": *(\d+)', about.read(_ABOUT) or b""):
        await anyio.to_thread.run_sync(control_group.join, groups, int(first[1]))
        with contextlib.suppress(BrokenPipeError):
            held.write(b"1")
