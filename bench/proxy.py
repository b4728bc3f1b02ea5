"""A connection through the deciding proxy beside one without, and the proxy's start. Prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from perstack.core.errors import PerstackError
from perstack.core.sandbox import SetupNetwork
from perstack.infrastructure.egress.proxy import open_setup_egress


async def _greet(stream: SocketStream) -> None:
    async with stream:
        await stream.send(b"hello")


async def _main(connections: int) -> dict[str, object]:
    """Medians in milliseconds: `through` and `plain` to the first byte, `start` of the proxy."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port = int(listener.extra(SocketAttribute.local_port))  # noqa: S610  # no Django here
        tasks.start_soon(listener.serve, _greet)
        wanted = SetupNetwork(mirrors=(f"https://127.0.0.1:{port}",))
        request = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode()
        through, plain = list[float](), list[float]()
        at = time.perf_counter()
        async with open_setup_egress(wanted, lambda *_: None) as network:
            start = time.perf_counter() - at
            if network is None:
                raise RuntimeError("no network was opened")
            for _ in range(connections):
                at = time.perf_counter()
                async with await anyio.connect_unix(network.socket) as stream:
                    await stream.send(request)
                    await _until_hello(stream)
                through.append(time.perf_counter() - at)
                at = time.perf_counter()
                async with await anyio.connect_tcp("127.0.0.1", port) as direct:
                    await _until_hello(direct)
                plain.append(time.perf_counter() - at)
        tasks.cancel_scope.cancel()
    named = {"through": statistics.median(through), "plain": statistics.median(plain), "start": start}
    return {name: seconds * 1000 for name, seconds in named.items()}


async def _until_hello(stream: ByteStream) -> None:
    data = b""
    while not data.endswith(b"hello"):
        data += await stream.receive()


async def _measured(connections: int) -> dict[str, object]:
    try:
        return await _main(connections)
    except PerstackError as error:
        return {"unavailable": error.message}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(anyio.run(_measured, int(sys.argv[1]))) + "\n")
