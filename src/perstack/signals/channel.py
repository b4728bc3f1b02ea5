"""The channel over which a runner inside a sandbox reports: a socket, one connection, authenticated records.

Not a parser of results: it only says which records were genuine and whether any was not.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from perstack.core.json import JsonObject

_LINE_LIMIT = 1_000_000
_TOTAL_LIMIT = 300_000_000
_GRACE_S = 2.0


@dataclass(slots=True)
class Channel:
    """What came in so far. `problem` says why the rest cannot be trusted; empty for nothing wrong."""

    path: Path
    records: list[JsonObject] = field(default_factory=list)
    problem: str = ""
    connected: bool = False
    _closed: anyio.Event = field(default_factory=anyio.Event)

    @property
    def finish(self) -> JsonObject | None:
        """The finish record, if it is the last one."""
        last = self.records[-1] if self.records else None
        return last if last is not None and last.get("type") == "finish" else None

    async def settle(self) -> None:
        """Wait, bounded, for what the ended process has sent already."""
        if self.connected:
            with anyio.move_on_after(_GRACE_S):
                await self._closed.wait()


@contextlib.asynccontextmanager
async def listening(folder: Path, nonce: str) -> AsyncIterator[Channel]:
    """Listen in `folder` until the context ends. Exactly one connection is accepted, then the socket is gone."""
    channel = Channel(folder / "s")
    listener = _bind(folder)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_serve, listener, channel, nonce)
            try:
                yield channel
            finally:
                group.cancel_scope.cancel()
    finally:
        listener.close()
        channel.path.unlink(missing_ok=True)


def _bind(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # through /proc because the folder's own path may be longer than a socket address can be
        listener.bind(f"/proc/self/fd/{directory}/s")
    finally:
        os.close(directory)
    (folder / "s").chmod(0o777)  # the sandbox's user is another one
    listener.listen(1)
    listener.setblocking(False)
    return listener


async def _serve(listener: socket.socket, channel: Channel, nonce: str) -> None:
    await anyio.wait_readable(listener)
    connection, _ = listener.accept()
    channel.connected = True
    channel.path.unlink(missing_ok=True)
    listener.close()
    with connection:
        connection.setblocking(False)
        await _read(connection, channel, nonce.encode())
    channel._closed.set()


async def _read(connection: socket.socket, channel: Channel, key: bytes) -> None:
    pending, total = bytearray(), 0
    while not channel.problem and channel.finish is None:
        await anyio.wait_readable(connection)
        try:
            data = connection.recv(1 << 18)
        except BlockingIOError:
            continue
        except ConnectionError:
            return
        if not data:
            return
        total += len(data)
        pending += data
        *lines, rest = pending.split(b"\n")
        pending = bytearray(rest)
        if total > _TOTAL_LIMIT or len(pending) > _LINE_LIMIT:
            channel.problem = "the runner sent more than a run can have to say"
            return
        for line in lines:
            _accept(channel, bytes(line), key)


def _accept(channel: Channel, line: bytes, key: bytes) -> None:
    """Take one line. Anything that is not the next genuine record spoils the channel for good."""
    if channel.problem:
        return
    mac, _, body = line.partition(b" ")
    if not hmac.compare_digest(mac, hmac.new(key, body, hashlib.sha256).hexdigest().encode()):
        channel.problem = "a record on the results channel was forged"
        return
    try:
        number, record = json.loads(body)
    except ValueError:
        channel.problem = "a record on the results channel is not JSON"
        return
    if number != len(channel.records) or not isinstance(record, dict) or channel.finish is not None:
        channel.problem = "a record on the results channel is out of sequence"
        return
    channel.records.append(record)
