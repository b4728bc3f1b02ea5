"""A program served at the end of pipes, and the shell words with which it starts inside. Knows no back end.

Nothing is read ahead of who asks: a program that writes more than is taken waits on its own full pipe.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio
from anyio.abc import Process

from perstack.core.contracts import Service
from perstack.core.errors import InvariantBroken, SandboxUnavailable, UserError
from perstack.core.sandbox import ExecResult
from perstack.infrastructure.process import TIMED_OUT, BoundedBuffer
from perstack.infrastructure.sandbox import snapshot

# First words of a program that is served: what set-up left in HOME is linked into the new one.
KEPT_HOME_SCRIPT = f"""for kept in {snapshot.KEPT_HOME}/* {snapshot.KEPT_HOME}/.[!.]*; do
  [ -e "$kept" ] && ln -s "$kept" "$HOME/" 2>/dev/null
done"""

SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

ENDED = "the program in the sandbox has ended"


def passable(env: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """An environment that a shell hands on, and its words that give the next program the names it would drop."""
    plain = {name: value for name, value in env.items() if SHELL_NAME.fullmatch(name)}
    odd = [f"{name}={value}" for name, value in env.items() if name not in plain]
    lines = [f'set -- "$_odd_{number}" "$@"; unset _odd_{number}' for number in range(len(odd))]
    script = "\n".join([*lines, 'set -- env "$@"']) if odd else ""
    return {**plain, **{f"_odd_{number}": value for number, value in enumerate(odd)}}, script


def check_words(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Refuse what no program can be started with. Raises: UserError."""
    if not argv or not argv[0]:
        raise UserError("there is no program to start", hint="Name one in the skill's `command`.")
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise UserError(f"{name!r}: this is no environment variable that a program can have")
    if any("\0" in word for word in argv):
        raise UserError(f"{argv[0]!r}: a command has no null bytes")


@dataclass(frozen=True, slots=True)
class PipeService:
    """A process with three pipes as a service. `verdict` makes an exit code of the process's own return code."""

    process: Process
    verdict: Callable[[int], int]

    async def send(self, data: bytes) -> None:
        """See `core.contracts.Service.send`."""
        if self.process.stdin is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        try:
            await self.process.stdin.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError) as error:
            raise SandboxUnavailable(ENDED) from error

    async def receive(self) -> bytes:
        """See `core.contracts.Service.receive`."""
        if self.process.stdout is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        try:
            return await self.process.stdout.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return b""

    async def receive_errors(self) -> bytes:
        """See `core.contracts.Service.receive_errors`."""
        if self.process.stderr is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        try:
            return await self.process.stderr.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return b""

    async def wait(self) -> int:
        """See `core.contracts.Service.wait`."""
        return self.verdict(await self.process.wait())


async def collect(service: Service, timeout_s: float, output_limit: int) -> ExecResult:
    """Take all that a program writes, and its end. `output_limit` is bytes per stream; the rest is dropped."""
    started = time.monotonic()
    out, err = BoundedBuffer(output_limit), BoundedBuffer(output_limit)
    code = TIMED_OUT
    with anyio.move_on_after(timeout_s) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_drain, service.receive, out)
            tasks.start_soon(_drain, service.receive_errors, err)
        code = await service.wait()
    return ExecResult(
        code,
        out.value(),
        err.value(),
        time.monotonic() - started,
        timed_out=scope.cancelled_caught,
        truncated=out.truncated or err.truncated,
    )


async def _drain(read: Callable[[], Awaitable[bytes]], into: BoundedBuffer) -> None:
    while data := await read():
        into.feed(data)
