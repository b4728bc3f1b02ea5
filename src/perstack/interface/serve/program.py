"""A server put together from settings, and its words: the ready line, the token, what is left at the end."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import UserError
from perstack.core.experts import Config
from perstack.core.json import compact
from perstack.core.version import __version__
from perstack.interface.options import storage_root, warn
from perstack.interface.running import command_line
from perstack.interface.serve.handlers import Handlers
from perstack.interface.serve.limits import Access, Limits
from perstack.interface.serve.openapi import text as openapi_text
from perstack.interface.serve.routes import application, operations
from perstack.interface.serve.server import Service, Stopped, bound, names_of, serve
from perstack.interface.serve.starting import Starter
from perstack.interface.serve.token import new_token, token_of
from perstack.interface.serve.views import Views
from perstack.interface.serve.waiting import WaitingRoom
from perstack.interface.serve.work import LEFT, Machine, Workshop
from perstack.interface.settings import Settings
from perstack.interface.working import carry_through


@dataclass(frozen=True, slots=True)
class Front:
    """Where and to whom a server answers, as given on the command line."""

    address: str = "127.0.0.1"
    port: int = 0
    token_file: Path | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


def handlers_of(
    settings: Settings, config: Config, archive: api.Archive, workshop: Workshop, limits: Limits
) -> Handlers:
    """The operations of a server."""
    views, starter = Views(archive, workshop), Starter(settings, config, archive, workshop, warn)
    it = Handlers(starter, views, workshop, limits, lambda: openapi_text(operations(it)).encode())
    return it


def run(settings: Settings, config: Config, env: Mapping[str, str], front: Front, limits: Limits) -> Stopped:
    """Serve until a signal. Raises: UserError for an address, port or token file that cannot be used."""
    _check(front)
    token = token_of(front.token_file) if front.token_file else new_token()
    with bound(front.address, front.port) as opened:
        port = opened.getsockname()[1]
        access = Access(token, names_of(front.address, port, front.hosts), frozenset(front.origins))
        _warn_of_reach(front)
        if front.token_file is None:
            click.echo(f"perstack: the token, shown this once: {token}", err=True)
        machine = partial(_machine, settings, env)
        served = partial(_served, settings, config, machine, front, opened, access=access, limits=limits)
        return carry_through(served, has_last_words=True)


async def _served(
    settings: Settings, config: Config, machine: Machine, front: Front, opened: socket.socket, *, access: Access,
    limits: Limits,
) -> Stopped:  # fmt: skip
    archive = api.Archive(storage_root(settings.storage))
    with WaitingRoom(archive.root) as room, Workshop(machine, limits, room) as workshop:
        for one in room.all_left():
            click.echo(f"perstack: {one.kind} job {one.job_id} was taken by an earlier server and has not begun; "
                       f"{_onward(one.job_id)}", err=True)  # fmt: skip
        it = handlers_of(settings, config, archive, workshop, limits)
        ready = partial(_tell_ready, front, opened.getsockname()[1], archive.root)
        return await serve(Service(application(it, limits), access, workshop, limits), opened, ready)


def tell_end(stopped: Stopped, settings: Settings) -> None:
    """Which jobs were interrupted, and how to go on with them."""
    for ticket in stopped.jobs:
        if ticket.state == LEFT:
            click.echo(f"perstack: {ticket.kind} job {ticket.job_id} has not begun, and is kept for the next server; "
                       f"{_onward(ticket.job_id)}", err=True)  # fmt: skip
            continue
        can_go_on = ticket.kind == "run"
        again = command_line("resume", [ticket.job_id], settings) if can_go_on else "start it again"
        told = "go on with: " if can_go_on else ""
        click.echo(f"perstack: {ticket.kind} job {ticket.job_id} was at work; {told}{again}", err=True)


def _onward(job_id: str) -> str:
    return f"begin it with POST /v1/jobs/{job_id}/resume, or drop it with …/cancel"


def _machine(settings: Settings, env: Mapping[str, str]) -> AbstractContextManager[api.Host]:
    """A machine for one job, with a scratch directory of its own."""
    return api.surroundings(
        env,
        sandbox=settings.sandbox,
        provider=settings.provider,
        model=settings.model,
        storage=storage_root(settings.storage),
    )


def _tell_ready(front: Front, port: int, storage: Path) -> None:
    ip = ipaddress.ip_address(front.address)
    host = "127.0.0.1" if ip.is_unspecified else f"[{ip}]" if ip.version == 6 else str(ip)
    url = f"http://{host}:{port}"
    click.echo(
        compact(
            {
                "type": "ready",
                "url": url,
                "openapi": f"{url}/openapi.json",
                "port": port,
                "pid": os.getpid(),
                "version": __version__,
                "storage": str(storage),
                **({"tokenFile": str(front.token_file.absolute())} if front.token_file else {}),
            }
        )
    )


def _check(front: Front) -> None:
    try:
        ip = ipaddress.ip_address(front.address)
    except ValueError:
        raise UserError(
            f"--address {front.address}: not an IP address", hint="Give one as 127.0.0.1, ::1 or 0.0.0.0."
        ) from None
    if ip.is_unspecified and not front.hosts:
        raise UserError(
            f"--address {front.address} answers on every address, and needs the names it may be called by",
            hint="Give them: --allow-host ci.example.org (repeatable).",
        )
    for origin in front.origins:
        if origin == "*" or not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
            raise UserError(
                f"--allow-origin {origin}: not an origin", hint="Give one as https://tool.example, without a path."
            )


def _warn_of_reach(front: Front) -> None:
    if not ipaddress.ip_address(front.address).is_loopback:
        warn(
            f"{front.address} can be reached from other machines, and nothing is encrypted: the token and everything "
            "else can be read on the way. Put a proxy with TLS before it"
        )
