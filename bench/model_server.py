"""A model server that takes no time: canned replies, keep-alive, no parsing of what is sent. A process of its own.

`/s/SESSION/STEPS/…` is the base URL of one run: STEPS tool calls, then an answer. `/arrivals/SESSION` gives when each
of its requests came, so that both sides of a comparison are timed by the same clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping

from bench import replies

PROTOCOLS: Mapping[str, replies.Reply] = {
    "/messages": replies.anthropic,
    "/chat/completions": replies.chat,
    "/responses": replies.responses,
}


class ModelServer:
    """What the connections share: the arrivals of every session."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[float]] = {}

    def answer(self, path: str) -> bytes:
        """A whole HTTP response."""
        _, kind, session, *rest = path.partition("?")[0].split("/")
        if kind == "arrivals":
            data = json.dumps(self.arrivals.get(session, [])).encode()
            return _response("200 OK", "application/json", data)
        reply = next((reply for end, reply in PROTOCOLS.items() if path.endswith(end)), None)
        if kind != "s" or reply is None or not rest or not rest[0].isdigit():
            return _response("404 Not Found", "application/json", b'{"error":{"message":"unknown path"}}')
        times = self.arrivals.setdefault(session, [])
        times.append(time.perf_counter())
        turn = len(times) - 1
        return _response("200 OK", "text/event-stream", reply(turn, turn >= int(rest[0])))


def _response(status: str, kind: str, data: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n{len(data):x}\r\n"
    return head.encode() + data + b"\r\n0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._missing = 0  # bytes of the current request's body that have not come yet
        self._path = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._missing:
            taken = min(self._missing, len(data))
            self._missing -= taken
            data = data[taken:]
            if not self._missing:
                self._reply()
        self._buffer += data
        while not self._missing and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            del self._buffer[: end + 4]
            self._path = head.split(" ", 2)[1]
            taken = min(_length(head), len(self._buffer))
            self._missing = _length(head) - taken
            del self._buffer[:taken]
            if not self._missing:
                self._reply()

    def _reply(self) -> None:
        if self._transport is not None:
            self._transport.write(self._server.answer(self._path))


def _length(head: str) -> int:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


async def serve(server: ModelServer) -> tuple[asyncio.Server, str]:
    """Listen on loopback: the server and its URL."""
    listener = await asyncio.get_running_loop().create_server(lambda: _Connection(server), "127.0.0.1", 0)
    return listener, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def _main() -> None:
    listener, url = await serve(ModelServer())
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    async with listener:
        await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
