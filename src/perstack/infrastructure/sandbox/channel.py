"""One long-lived channel for a sandbox's commands: no process of the engine's is started per command.

The other end is `driver.sh`. It shares a user with the commands, so a hostile command can kill it or write on its
streams; it cannot know the random marks of its own reply, and it is dead before the next command starts. A sandbox is
one trust domain: who must not be fooled by an earlier command opens a new session.
"""

from __future__ import annotations

import posixpath
import re
import secrets
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio

from perstack.core.errors import SandboxUnavailable, ToolError
from perstack.core.sandbox import ExecResult
from perstack.infrastructure.process import TIMED_OUT, BoundedBuffer

DRIVER = Path(__file__).with_name("driver.sh")

STDOUT, STDERR = 1, 2

# How long killing everything and closing the streams may take before the sandbox counts as dead.
_SEAL_S = 15.0
_LONGEST_SEAL = 64
_WORDS = 10_000  # bytes of each stream that are kept until the driver answers
_DEAD = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)

# A line that may end a reply. One pattern for all: making one for each mark takes longer than to find it. The newline
# at the end stays for the next line.
_MARKED = re.compile(rb"\n([0-9a-f]{32}) (\d{1,3})(?=\n)")
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Transport(Protocol):
    """Bytes to and from the driver."""

    @property
    def readers(self) -> Sequence[Callable[[], Awaitable[tuple[int, bytes]]]]:
        """Each waits for bytes of one or both streams: (1 or 2, bytes). Raises EndOfStream when the other end died."""
        ...

    async def send(self, data: bytes) -> None:
        """Raises: BrokenResourceError when the other end died."""
        ...


@dataclass(frozen=True, slots=True)
class Inside:
    """What the inside looks like: the control directory on both sides, the workspace, the whole environment."""

    control: Path
    control_inside: str
    workspace: str
    environment: Mapping[str, str]


class ReplyStream:
    """One stream of one reply: output up to the seal, with the mark taken out."""

    def __init__(self, mark: str, seal: str, limit: int) -> None:
        self.output = BoundedBuffer(limit)
        self.sealed = False
        self.code: int | None = None
        self._mark, self._seal = mark.encode(), seal.encode()
        self._pending = b""

    def last_line(self) -> str:
        """The last line that was read, for saying why the other end died."""
        lines = (self.output.value() + self._pending).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def feed(self, data: bytes) -> None:
        """Take bytes; what follows the seal would be forged, and is dropped."""
        if self.sealed:
            return
        self._pending += data
        taken = 0
        for match in _MARKED.finditer(self._pending):
            if match[1] not in (self._mark, self._seal):
                continue
            self.output.feed(self._pending[taken : match.start()])
            taken = match.end() + 1
            if match[1] == self._seal:
                self._pending = self._pending[taken:]
                self.sealed = True
                return
            self.code = int(match[2])
        self._pending = self._pending[taken:]
        keep = _LONGEST_SEAL
        if len(self._pending) > keep:
            self.output.feed(self._pending[:-keep])
            self._pending = self._pending[-keep:]


_DIED = "Look whether the engine still runs and the machine has memory left (`perstack doctor`), then run it again."


class Channel:
    """Runs commands one after another over a transport. `died` makes words of the last error line and what it knows."""

    def __init__(self, transport: Transport, inside: Inside, died: Callable[[str], Awaitable[str]]) -> None:
        self._transport = transport
        self._inside = inside
        self._died = died
        self._turn = anyio.Lock()
        self._broken = ""
        self._count = 0

    async def begin(self, timeout_s: float) -> None:
        """Wait until the driver answers. Starts no program.

        Raises: SandboxUnavailable where it died, or does not answer in time.
        """
        mark, seal = secrets.token_hex(16), secrets.token_hex(16)
        streams = (ReplyStream(mark, seal, _WORDS), ReplyStream(mark, seal, _WORDS))
        async with self._turn:
            try:
                with anyio.move_on_after(timeout_s):
                    await self._transport.send(f"- {mark} {seal}\n".encode())
                    await self._read(streams, lambda: all(stream.sealed for stream in streams))
            except _DEAD as error:
                raise await self._dead(streams[1]) from error
            if not all(stream.sealed for stream in streams):
                self._broken = f"nothing answers in the sandbox: {streams[1].last_line()}"
                raise SandboxUnavailable(self._broken)

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float = 60.0,
        output_limit: int = 1_000_000,
        watch: Callable[[], Awaitable[str]] | None = None,
    ) -> ExecResult:
        """Run one command; see `core.contracts.Session.run`. When `watch` returns a limit's name, it is stopped."""
        async with self._turn:
            if self._broken:
                raise SandboxUnavailable(self._broken)
            self._count += 1
            name = f"{self._count}"
            paths = self._write_request(name, argv, cwd, env or {}, stdin)
            started = time.monotonic()
            try:
                streams, timed_out, reached = await self._exchange(name, timeout_s, output_limit, watch)
            finally:
                for path in paths:
                    path.unlink(missing_ok=True)
        out, err = streams
        return ExecResult(
            TIMED_OUT if timed_out or out.code is None else out.code,
            out.output.value(),
            err.output.value(),
            time.monotonic() - started,
            timed_out=timed_out,
            truncated=out.output.truncated or err.output.truncated,
            limit=reached,
        )

    def _write_request(
        self, name: str, argv: Sequence[str], cwd: str, env: Mapping[str, str], stdin: bytes
    ) -> tuple[Path, ...]:
        """The request as a script of quoted words. Nothing in it is read by a shell as more than a word."""
        if not argv or any("\0" in word for word in (*argv, cwd, *env, *env.values())):
            raise ToolError("a command needs a program, and no null bytes")
        place = posixpath.normpath(posixpath.join(self._inside.workspace, cwd))
        if place != self._inside.workspace and not place.startswith(f"{self._inside.workspace}/"):
            raise ToolError(f"{cwd}: outside the workspace")
        # The driver's own environment was made from nothing by the back end, so adding to it is enough.
        values = {**self._inside.environment, **env}
        odd = [f"{key}={value}" for key, value in values.items() if not _SHELL_NAME.fullmatch(key)]
        exports = [f"export {key}={shlex.quote(value)}" for key, value in values.items() if _SHELL_NAME.fullmatch(key)]
        prefix = f"env {' '.join(map(shlex.quote, odd))} " if odd else ""
        lines = [
            f"cd -- {shlex.quote(place)} || exit 127",
            *exports,
            f"exec {prefix}$alone {' '.join(map(shlex.quote, argv))}",
        ]
        script = self._inside.control / name
        paths = [script]
        if stdin:
            data = self._inside.control / f"{name}.in"
            data.write_bytes(stdin)
            paths.append(data)
            lines[-1] += f" <{shlex.quote(f'{self._inside.control_inside}/{name}.in')}"
        script.write_text("\n".join(lines) + "\n", "utf-8", "surrogateescape")
        return tuple(paths)

    async def _exchange(
        self, name: str, timeout_s: float, limit: int, watch: Callable[[], Awaitable[str]] | None
    ) -> tuple[tuple[ReplyStream, ReplyStream], bool, str]:
        """Send a request and read both streams to their seals. Also whether time ran out, and what `watch` said."""
        mark, seal = secrets.token_hex(16), secrets.token_hex(16)
        streams = (ReplyStream(mark, seal, limit), ReplyStream(mark, seal, limit))
        finished = False
        reached: list[str] = []
        try:
            await self._transport.send(f"{name} {mark} {seal}\n".encode())
            with anyio.move_on_after(timeout_s) as scope:
                await self._read(streams, lambda: streams[0].code is not None, _asked(watch, reached))
            finished = True
            await self._finish(streams)
        except _DEAD as error:
            raise await self._dead(streams[1]) from error
        finally:
            if not finished and not self._broken:  # cancelled: leave the channel ready for the next command
                with anyio.CancelScope(shield=True):
                    await self._abandon(streams)
        return streams, scope.cancelled_caught, "".join(reached)

    async def _dead(self, errors: ReplyStream) -> SandboxUnavailable:
        self._broken = f"the sandbox died: {await self._died(errors.last_line())}"
        return SandboxUnavailable(self._broken, hint=_DIED)

    async def _finish(self, streams: tuple[ReplyStream, ReplyStream]) -> None:
        await self._transport.send(b"end\n")
        with anyio.move_on_after(_SEAL_S):
            await self._read(streams, lambda: all(stream.sealed for stream in streams))
        if not all(stream.sealed for stream in streams):
            self._broken = "the sandbox does not answer any more"
            raise SandboxUnavailable(self._broken)

    async def _abandon(self, streams: tuple[ReplyStream, ReplyStream]) -> None:
        try:
            await self._finish(streams)
        except (SandboxUnavailable, *_DEAD):
            self._broken = self._broken or "the sandbox died while a command was cancelled"

    async def _read(
        self,
        streams: tuple[ReplyStream, ReplyStream],
        enough: Callable[[], bool],
        watch: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Read with all readers at once until there is enough, or `watch` returns; the first dead end stops all."""
        failures: list[Exception] = []

        async def pump(reader: Callable[[], Awaitable[tuple[int, bytes]]], scope: anyio.CancelScope) -> None:
            try:
                while not enough():
                    stream, data = await reader()
                    streams[stream - 1].feed(data)
            except _DEAD as error:
                failures.append(error)
            scope.cancel()

        async def oversee(ends: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
            await ends()
            scope.cancel()

        if enough():
            return
        async with anyio.create_task_group() as tasks:
            if watch is not None:
                tasks.start_soon(oversee, watch, tasks.cancel_scope)
            for reader in self._transport.readers:
                tasks.start_soon(pump, reader, tasks.cancel_scope)
        if failures and not enough():
            raise failures[0]


def _asked(watch: Callable[[], Awaitable[str]] | None, into: list[str]) -> Callable[[], Awaitable[None]] | None:
    """The watch as something that returns nothing, and keeps what it said."""
    if watch is None:
        return None

    async def ends() -> None:
        into.append(await watch())

    return ends
