"""The streams of a container or of a command in it: one socket, whose output comes in frames that name the stream.

Or a pipe with a name, which a program inside opens in place of its standard error.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from perstack.core.errors import SandboxUnavailable

_HEADER = struct.Struct(">BxxxL")
_CHUNK = 256 * 1024
_PIPE = 64 * 1024


def raw_socket(stream: object) -> socket.socket:
    """A non-blocking socket of our own out of the file object that Docker hands out; the rest is closed.

    Raises: SandboxUnavailable where the engine is reached by other means than a local socket.
    """
    inner = getattr(stream, "_sock", None)
    if not isinstance(inner, socket.socket):
        raise SandboxUnavailable("this kind of connection to Docker is not supported; use its local socket")
    own = inner.dup()
    own.setblocking(False)
    for part in (getattr(stream, "_response", None), stream, inner):
        close = getattr(part, "close", None)
        if close is not None:
            close()
    return own


def take_frame(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take one whole frame off the front: its stream (1 or 2) and its bytes. None where it is not complete yet."""
    if len(buffer) < _HEADER.size:
        return None
    stream, length = _HEADER.unpack_from(buffer)
    end = _HEADER.size + length
    if len(buffer) < end:
        return None
    data = bytes(buffer[_HEADER.size : end])
    del buffer[:end]
    return (2 if stream == 2 else 1), data


def read_frames(sock: socket.socket, deadline: float) -> Iterator[bytes]:
    """Every frame's bytes until the other end closes, blocking. `deadline` is a time of `time.monotonic()`.

    Raises: TimeoutError past the deadline.
    """
    buffer = bytearray()
    while True:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        data = sock.recv(_CHUNK)
        if not data:
            return
        buffer += data
        while (frame := take_frame(buffer)) is not None:
            yield frame[1]


@dataclass(slots=True)
class Attached:
    """The container's streams: one socket, whose output comes in frames that name the stream."""

    sock: socket.socket
    _buffer: bytearray = field(default_factory=bytearray)

    @property
    def readers(self) -> Sequence[Callable[[], Awaitable[tuple[int, bytes]]]]:
        return (self._frame,)

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self.sock)

    async def _frame(self) -> tuple[int, bytes]:
        """One whole frame; bytes are only taken from the buffer when the frame is complete, so cancelling is safe."""
        while (frame := take_frame(self._buffer)) is None:
            await self._more()
        return frame

    async def _more(self) -> None:
        try:
            data = self.sock.recv(_CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(self.sock)
            return
        if not data:
            raise anyio.EndOfStream
        self._buffer += data


@dataclass(slots=True)
class NamedPipe:
    """The reading end of a pipe that the inside opens for writing; 2, since it stands for standard error."""

    path: Path
    fd: int

    @property
    def readers(self) -> Sequence[Callable[[], Awaitable[tuple[int, bytes]]]]:
        return (self._read,)

    def release(self) -> None:
        """Let a reader see the end even where nobody ever opened the other side."""
        with contextlib.suppress(OSError):
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))

    def close(self) -> None:
        anyio.notify_closing(self.fd)
        os.close(self.fd)

    async def _read(self) -> tuple[int, bytes]:
        """What is there, at most 64 KiB. Readable means: bytes, or that the last writer has gone."""
        while True:
            await anyio.wait_readable(self.fd)
            with contextlib.suppress(BlockingIOError):
                return 2, os.read(self.fd, _PIPE)


def named_pipe(path: Path, owner: tuple[int, int]) -> NamedPipe:
    """A new pipe at `path` that `owner` may write."""
    os.mkfifo(path, 0o600)
    if os.getuid() == 0:
        os.chown(path, *owner)
    return NamedPipe(path, os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
