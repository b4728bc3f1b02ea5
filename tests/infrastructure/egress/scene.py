"""A small internet in a network namespace of its own: names, servers on public and on private addresses, and one
sandbox that tries to get out. Run as a program by `world.py`; writes what happened as one JSON object.

Everything that must not be reached is really there and would answer.
"""

from __future__ import annotations

import json
import shlex
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import anyio

from perstack.core.contracts import Sandbox
from perstack.core.json import JsonObject
from perstack.core.sandbox import Mount, SandboxSpec, SetupNetwork, Snapshot
from perstack.infrastructure.egress.proxy import open_egress
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from perstack.infrastructure.sandbox.docker import Docker
from tests.infrastructure.egress.scene_addresses import ABSTRACT, OTHER, PRIVATE, PRIVATE6, PUBLIC, PUBLIC6

NAMES = {
    "allowed.example": (PUBLIC,),
    "api.wild.example": (PUBLIC,),
    "six.example": (PUBLIC6,),
    "other.example": (OTHER,),
    "inside.example": ("10.1.2.3",),
    "metadata.example": ("169.254.169.254",),
    "loop.example": ("127.0.0.1",),
    "inside6.example": ("fd00::1",),
    "mapped.example": ("::ffff:10.1.2.3",),
    "azure.example": ("168.63.129.16",),
    "translated.example": ("::ffff:0:a01:203",),
    "mixed.example": (PUBLIC, "169.254.169.254"),
    "mixed6.example": (PUBLIC, "fd00::1"),
    "late6.example": (PUBLIC, "fd00::1"),
    "metadata.google.internal": ("169.254.169.254",),
    "host.docker.internal": ("172.17.0.1",),
    "kubernetes.default.svc": ("10.1.2.3",),
}
# A name that is another one's: asked for itself, it answers with that one's addresses.
ALIASES = {"alias.example": "metadata.example", "alias6.example": "inside6.example"}
ALLOWED = [
    "allowed.example", "*.wild.example", "six.example", "inside.example", "metadata.example", "loop.example",
    "inside6.example", "mapped.example", "azure.example", "translated.example", "mixed.example", "mixed6.example",
    "late6.example", "rebind.example", "missing.example",
    *ALIASES,
]  # fmt: skip


# What somebody may say who does not know the secret address.
STRANGE = (b"PROXY TCP6 2a00::1 ::1 1 3128\r\n", b"PROXY UNKNOWN\r\n", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n")


LATE_S = 1.0  # how long a private address comes after the public one
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


class Names(socketserver.BaseRequestHandler):
    """Answers for names. `rebind.example` is public the first time it is asked for, and private ever after."""

    asked: ClassVar[Counter[str]] = Counter()

    def handle(self) -> None:
        data, sock = self.request
        labels, place = [], 12
        while size := data[place]:
            labels.append(data[place + 1 : place + 1 + size].decode())
            place += 1 + size
        (kind,) = struct.unpack_from(">H", data, place + 1)
        question = data[12 : place + 5]
        name = ".".join(labels).lower()
        self.asked[f"{name} {kind}"] += 1
        alias = ALIASES.get(name, "")
        addresses: tuple[str, ...] = NAMES.get(alias or name, ())
        if name == "rebind.example":
            addresses = (PUBLIC if self.asked[f"{name} {kind}"] == 1 else "169.254.169.254",)
        if name == "late6.example" and kind == 28:
            time.sleep(LATE_S)
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        wanted = [a for a in addresses if family and (":" in a) == (family == socket.AF_INET6)]
        asked_for, led = b"\xc0\x0c", b""
        owner = b"".join(bytes([len(label)]) + label.encode() for label in f"{alias}.".split("."))
        if alias:
            led = asked_for + struct.pack(">HHIH", 5, 1, 0, len(owner)) + owner
        answers = led + b"".join(
            (owner if alias else asked_for)
            + struct.pack(">HHIH", kind, 1, 0, 4 if kind == 1 else 16)
            + socket.inet_pton(family, a)
            for a in wanted
            if family
        )
        code, count = 0x8180 if addresses else 0x8183, len(wanted) + bool(alias)
        head = data[:2] + struct.pack(">HHHHH", code, 1, count, 0, 0)
        sock.sendto(head + question + answers, self.client_address)


class Web(socketserver.BaseRequestHandler):
    """Says where it was reached, over TLS on port 443 and plainly elsewhere."""

    reached: ClassVar[Counter[str]] = Counter()

    def handle(self) -> None:
        address, port = self.request.getsockname()[:2]
        self.reached[f"{address} {port}"] += 1
        connection = self.request
        try:
            if port == 443:
                connection = CONTEXT.wrap_socket(connection, server_side=True)
            connection.recv(4096)
            body = f"hello from {address}".encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except OSError:
            pass
        finally:
            connection.close()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Server6(Server):
    address_family = socket.AF_INET6


def serve(folder: Path) -> None:
    """Start every server on a thread of its own."""
    CONTEXT.load_cert_chain(folder / "authority.pem", folder / "key.pem")
    names = socketserver.ThreadingUDPServer(("127.0.0.53", 53), Names)
    threading.Thread(target=names.serve_forever, daemon=True).start()
    engine = socketserver.UnixStreamServer(ABSTRACT, socketserver.BaseRequestHandler)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    for address in (PUBLIC, OTHER, PUBLIC6, "127.0.0.1", *PRIVATE, *PRIVATE6):
        for port in (80, 443, 2375):
            server = (Server6 if ":" in address else Server)((address, port), Web)
            threading.Thread(target=server.serve_forever, daemon=True).start()


async def attack(sandbox: Sandbox, snapshot: Snapshot, folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """One sandbox with the way out tries everything in `wanted`."""
    events: list[dict[str, Any]] = []
    work = folder / "work"
    work.mkdir(exist_ok=True)
    words = [wanted.get("python", "python3"), "/given/attack.py", json.dumps(wanted)]
    output, errors = b"", b""
    async with open_egress(ALLOWED, lambda kind, payload: events.append({"kind": kind, **payload})) as network:
        async with sandbox.serve(
            snapshot, work, [str(word) for word in words], mounts=[Mount(folder / "given", "/given")], network=network
        ) as service:
            while data := await service.receive():
                output += data
            while data := await service.receive_errors():
                errors += data
            await service.wait()
        stranger = _stranger()
    found = json.loads(output) if output else {"errors": errors.decode()}
    return {**found, "events": events, "stranger": stranger, "reached": dict(Web.reached), "asked": dict(Names.asked)}


async def set_up(sandbox: Sandbox, folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The same as a command of set-up, which may reach what `wanted["network"]` says."""
    words = [wanted.get("python", "python3"), "attack.py", json.dumps(wanted)]
    open_, domains, mirrors = wanted["network"]
    network = SetupNetwork(open_, tuple(domains), tuple(mirrors))
    spec = SandboxSpec(setup=(f"{shlex.join(words)} >found.json",), network=network)
    made = await sandbox.prepare(spec, folder / "given", lambda _: None)
    (folder / "work").mkdir()
    async with sandbox.open(made, folder / "work") as session:
        found: dict[str, Any] = json.loads((await session.run(["cat", "found.json"])).stdout)
    return {**found, "reached": dict(Web.reached), "asked": dict(Names.asked)}


def _stranger() -> list[str]:
    """What another program of this machine is told by squid, which it finds in the list of listening sockets."""
    answers = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        address, port = line.split()[1].split(":")
        place = socket.inet_ntoa(bytes.fromhex(address)[::-1])
        if place.startswith("127.") and place not in {"127.0.0.1", "127.0.0.53"} and line.split()[3] == "0A":
            request = b"CONNECT allowed.example:443 HTTP/1.1\r\n\r\n"
            for header in (
                b"",
                b"PROXY TCP6 2a00::1 ::1 1 3128\r\n",
                b"PROXY UNKNOWN\r\n",
                b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n",
            ):
                with socket.create_connection((place, int(port, 16)), timeout=5) as squid:
                    squid.sendall(header + request)
                    answers.append(squid.recv(100).split(b"\r\n")[0].decode())
    return answers


async def main() -> None:
    """Arguments: the back end, a folder with `given`, the directory of Python, the snapshot, what to try."""
    name, place, python, snapshot, wanted = sys.argv[1:]
    folder = Path(place)
    serve(folder)
    events: list[dict[str, Any]] = []

    def tell(kind: str, payload: JsonObject) -> None:
        events.append({"kind": kind, **payload})

    cache, asked = folder / "cache", json.loads(wanted)
    box = Docker(cache=cache, tell=tell) if name == "docker" else Bubblewrap((Path(python),), cache=cache, tell=tell)
    sandbox: Sandbox = box
    with anyio.fail_after(120):
        if "network" in asked:
            found = {**await set_up(sandbox, folder, asked), "events": events}
        else:
            found = await attack(sandbox, Snapshot(snapshot, ""), folder, asked)
        sys.stdout.write(json.dumps(found))


anyio.run(main)
