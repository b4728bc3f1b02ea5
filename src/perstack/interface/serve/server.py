"""The server: a socket, the guard before the routes, signals, and an orderly end. Decides nothing about jobs."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import anyio
import uvicorn
from starlette.types import ASGIApp

from perstack.core.errors import UserError
from perstack.interface.serve.connections import Connection, Patient
from perstack.interface.serve.guard import Guard
from perstack.interface.serve.limits import Access, Limits
from perstack.interface.serve.work import Ticket, Workshop

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a server ended: by which signal, and which jobs were at work or waited then."""

    by: signal.Signals | None
    jobs: tuple[Ticket, ...]


def bound(address: str, port: int) -> socket.socket:
    """A socket on an address; port 0 is any that is free.

    Raises: UserError where the address is none of this machine's, or the port is in use or not allowed.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        raise UserError(
            f"{address} port {port}: {error.strerror}",
            hint="Choose another --port; 0 takes one that is free, and the ready line says which.",
        ) from error
    return opened


def names_of(address: str, port: int, more: tuple[str, ...] = ()) -> frozenset[str]:
    """The names a server may be called by in `Host`: loopback's on loopback, else its address, and `more`."""
    ip = ipaddress.ip_address(address)
    own = {"127.0.0.1", "localhost", "[::1]"} if ip.is_loopback or ip.is_unspecified else set()
    if not ip.is_unspecified:
        own.add(f"[{ip}]" if ip.version == 6 else str(ip))
    given = {name.lower() for name in more}
    # Without a port only where the port is HTTP's own: a browser then leaves it out.
    return frozenset({f"{name}:{port}" for name in own | given} | (own | given if port == 80 else set()) | {
        name for name in given if ":" in name.rpartition("]")[2]
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Service:
    """What answers: the routes, who may ask, the jobs, how much of each."""

    app: ASGIApp
    access: Access
    workshop: Workshop
    limits: Limits


async def serve(it: Service, opened: socket.socket, ready: Callable[[], None]) -> Stopped:
    """Answer until SIGINT or SIGTERM; then end jobs, tell those who follow them, and close. A second signal hurries."""
    server = _Server(
        uvicorn.Config(
            Patient(Guard(it.app, it.access), it.limits),
            http=partial(Connection, limits=it.limits),  # type: ignore[arg-type]  # called as a class is
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # who has no token must not fill a log with what is no request
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        ),
        ready,
    )
    caught: list[signal.Signals] = []
    jobs: list[Ticket] = []
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                async for number in signals:
                    caught.append(number)
                    if len(caught) > 1:
                        server.force_exit = True
                        return
                    tasks.start_soon(end)

            async def end() -> None:
                jobs.extend(await it.workshop.stop())
                server.should_exit = True

            tasks.start_soon(watch)
            await server.serve(sockets=[opened])
            tasks.cancel_scope.cancel()
    return Stopped(caught[0] if caught else None, tuple(jobs))


class _Server(uvicorn.Server):
    """A server that leaves signals to us, and says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
