"""The one place where host processes start. Not a sandbox: what runs here is ours (git, bwrap), never the checkout's.

Every process gets its own session, so its whole group can be killed; it gets exactly the environment it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import anyio
from anyio.abc import ByteReceiveStream, Process

from perstack.core.errors import InvariantBroken
from perstack.core.sandbox import ExecResult

NOT_FOUND = 127
TIMED_OUT = 124

# A daemon that left its group may hold a pipe open after the process has ended: wait so long for the rest, no longer.
_DRAIN_S = 0.5


class BoundedBuffer:
    """Keeps the first and the last half of what it is fed, at most `limit` bytes; counts what it drops."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    @property
    def truncated(self) -> bool:
        return self._excess() > 0

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 4 * self._tail_limit + 65_536:
            self._trim()

    def value(self) -> bytes:
        """What was kept, with one line in the middle that says how much is missing."""
        self._trim()
        if not self._dropped:
            return bytes(self._head + self._tail)
        return bytes(self._head) + b"\n[... %d bytes left out ...]\n" % self._dropped + bytes(self._tail)

    def _excess(self) -> int:
        return self._dropped + max(0, len(self._tail) - self._tail_limit)

    def _trim(self) -> None:
        extra = len(self._tail) - self._tail_limit
        if extra > 0:
            del self._tail[:extra]
            self._dropped += extra


def exit_code_of(returncode: int) -> int:
    """A shell's exit code: 128+n where signal n ended the process."""
    return 128 - returncode if returncode < 0 else returncode


def kill_group(pid: int) -> None:
    """Kill every process of the group that `pid` leads; gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def output_of(argv: Sequence[str], *, env: Mapping[str, str], timeout_s: float, limit: int) -> tuple[int | None, bytes]:
    """Run a program of the operator's to its end: exit code (None: out of time, or too much said), and its output.

    It reads nothing, its stderr is nobody's, and it works in `/`: no checkout can put itself in its way.
    """
    with subprocess.Popen(
        list(argv), cwd="/", env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            data, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None, b""
        finally:
            kill_group(process.pid)
    return exit_code_of(process.returncode), data[:limit]


@contextlib.contextmanager
def piped(argv: Sequence[str], *, wait_s: float = 5.0) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A child of ours with an empty environment: its stdin and stdout. In the end both are closed and it is gone."""
    with subprocess.Popen(list(argv), env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:
            raise InvariantBroken("a child has no pipes")
        try:
            yield process.stdin, process.stdout
        finally:
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what was not sent any more
                    pipe.close()
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                process.kill()


if sys.version_info < (3, 12):

    class _Descriptors(asyncio.AbstractChildWatcher):
        """Tells the loop that started a child of its end, whichever thread that runs in. As newer Pythons do."""

        def add_child_handler(self, pid: int, callback: Callable[..., object], *args: object) -> None:
            loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(pid)

            def ended() -> None:
                loop.remove_reader(descriptor)
                os.close(descriptor)
                try:
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                except ChildProcessError:  # somebody else took its end
                    code = 255
                callback(pid, code, *args)

            loop.add_reader(descriptor, ended)

        def remove_child_handler(self, pid: int) -> bool:  # noqa: ARG002
            return True  # nobody calls it

        def attach_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:  # noqa: ARG002
            return

        def close(self) -> None:
            return

        def is_active(self) -> bool:
            return True

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return


def watch_without_threads() -> None:
    """Let event loops of this process learn of a child's end by its descriptor, as newer Pythons do by themselves.

    Before that a thread waited for each child: where no thread could start, one ran on that nobody knew of.
    """
    if sys.version_info >= (3, 12) or not hasattr(os, "pidfd_open"):
        return
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # a kernel or a filter that has none
        return
    if isinstance(asyncio.get_child_watcher(), asyncio.ThreadedChildWatcher):
        asyncio.set_child_watcher(_Descriptors())


@contextlib.asynccontextmanager
async def open_process(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str],
    pass_fds: Sequence[int] = (),
    owner: tuple[int, int] | None = None,
) -> AsyncIterator[Process]:
    """A long-lived process with three pipes; its group is dead when the context ends.

    `owner` is another user and group to be, for a harness that is root.

    Raises: FileNotFoundError, PermissionError, NotADirectoryError when it cannot start.
    """
    with anyio.CancelScope(shield=True):  # cancelled halfway, asyncio kills the process alone and not its children
        process = await anyio.open_process(
            list(argv),
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            user=owner[0] if owner else None,
            group=owner[1] if owner else None,
            extra_groups=() if owner else None,
        )
    try:
        yield process
    finally:
        kill_group(process.pid)
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout_s: float = 60.0,
    output_limit: int = 1_000_000,
    pass_fds: Sequence[int] = (),
) -> ExecResult:
    """Run one host process to its end. `output_limit` is bytes per stream; the rest is drained and dropped.

    Never raises for what the process does: a missing program is exit code 127, a time-out 124.
    """
    started = time.monotonic()
    try:
        async with open_process(argv, cwd=cwd, env=env, pass_fds=pass_fds) as process:
            return await ended(process, stdin=stdin, timeout_s=timeout_s, output_limit=output_limit)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        return ExecResult(
            NOT_FOUND, b"", f"{error.filename or argv[0]}: {error.strerror}\n".encode(), time.monotonic() - started
        )


async def ended(
    process: Process, *, stdin: bytes = b"", timeout_s: float = 60.0, output_limit: int = 1_000_000
) -> ExecResult:
    """Stay with a process of `open_process` to its end; see `run`."""
    started = time.monotonic()
    out, err = BoundedBuffer(output_limit), BoundedBuffer(output_limit)
    timed_out = await _converse(process, stdin, (out, err), timeout_s)
    return ExecResult(
        TIMED_OUT if timed_out else exit_code_of(process.returncode or 0),
        out.value(),
        err.value(),
        time.monotonic() - started,
        timed_out=timed_out,
        truncated=out.truncated or err.truncated,
    )


async def _converse(
    process: Process, stdin: bytes, buffers: tuple[BoundedBuffer, BoundedBuffer], timeout_s: float
) -> bool:
    """Feed and drain until the process has ended. True when time ran out."""
    stdout, stderr = process.stdout, process.stderr
    if stdout is None or stderr is None:
        raise InvariantBroken("a process of open_process has all three pipes")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_feed, process, stdin)
        tasks.start_soon(_drain, stdout, buffers[0])
        tasks.start_soon(_drain, stderr, buffers[1])
        with anyio.move_on_after(timeout_s) as scope:
            await process.wait()
        timed_out = scope.cancelled_caught
        kill_group(process.pid)
        tasks.cancel_scope.deadline = anyio.current_time() + _DRAIN_S
    if timed_out:
        await process.wait()
    return timed_out


async def _feed(process: Process, data: bytes) -> None:
    if process.stdin is None:
        raise InvariantBroken("a process of open_process has all three pipes")
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError, ConnectionError):
        if data:
            await process.stdin.send(data)
        await process.stdin.aclose()


async def _drain(stream: ByteReceiveStream, into: BoundedBuffer) -> None:
    with contextlib.suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        while True:
            into.feed(await stream.receive())
