"""A small HTTP server for what aimock cannot do: exact bytes, exact timing, and noticing that a client left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Act = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request, and the means to answer it."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        self.path = path
        self.headers = headers
        self.body = body
        self.left = asyncio.Event()
        self._writer = writer

    async def begin(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """Send the head of a chunked response; underscores in names stand for hyphens."""
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "transfer-encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self._send("\r\n".join(lines).encode() + b"\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        await self._send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        await self._send(b"0\r\n\r\n")

    def cut(self) -> None:
        self._writer.transport.abort()

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


def stream(data: bytes) -> Act:
    """Answer with a whole event stream."""

    async def act(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(data)
        await exchange.end()

    return act


def refuse(status: int, body: object, **headers: str) -> Act:
    """Answer with an error status and a JSON body."""

    async def act(exchange: Exchange) -> None:
        await exchange.begin(status, "application/json", **headers)
        await exchange.chunk(json.dumps(body).encode())
        await exchange.end()

    return act


class Loopback:
    """The running server: `url`, and every exchange so far."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self.url = ""
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self._acts = list(acts)
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def close(self) -> None:
        """Drop every connection and wait until its handler has ended."""
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        await self.serve(reader, writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        exchange: Exchange | None = None
        pending: asyncio.Task[None] | None = None
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                exchange = Exchange(first.split(" ")[1], headers, body, writer)
                act = self._acts[min(len(self.exchanges), len(self._acts) - 1)]
                self.exchanges.append(exchange)
                self.asked.set()
                pending = asyncio.ensure_future(act(exchange))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if exchange is not None:
                exchange.left.set()
            if pending is not None:
                await asyncio.gather(pending, return_exceptions=True)
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def loopback(*acts: Act) -> AsyncIterator[Loopback]:
    """A server on loopback that does one act for each request, the last one for all that follow."""
    server = Loopback(acts)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, limit=1 << 24)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.close()
