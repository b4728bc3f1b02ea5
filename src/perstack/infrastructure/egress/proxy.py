"""The deciding proxy of one skill or set-up, from its start to its end: a squid, and the road to it from a socket.

Squid listens on loopback, where other programs of this machine could speak to it as well. It answers only to a source
address that is random and told in the PROXY header by us alone; a sandbox reaches the socket, and never loopback.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path

import anyio
from anyio.abc import ByteStream, Process, SocketStream, TaskGroup

from perstack.core.contracts import Tell
from perstack.core.errors import InvariantBroken, SandboxUnavailable, UserError
from perstack.core.json import JsonObject
from perstack.core.sandbox import Network, SetupNetwork
from perstack.infrastructure import process as host_process
from perstack.infrastructure.egress.domains import mirror, proxy_names
from perstack.infrastructure.egress.own_networks import own_networks
from perstack.infrastructure.egress.squid import STOPPED, Reach, Settings, configuration, decision
from perstack.infrastructure.owned import owned_folder
from perstack.infrastructure.sandbox.toolchain import SYSTEM_PATH

_INSTALL = "Install squid (`apt-get install squid`, `dnf install squid`; its service need not run), "
INSTALL_HINT = _INSTALL + "or take allowedDomains out of the skill: then it has no network."
_SETUP_HINT = _INSTALL + 'or write setupNetwork = "none" under [sandbox]: then nothing can be fetched.'
# Squid, and a shell whose input ends when we do, however that happens: then both are gone, and with them the shared
# memory that squid makes even where it shares it with nobody. Its name is $0: two squids may not have the same.
_LEASH = """trap : TERM
{ "$@" </dev/null; kill $$; } &
read -r _
rm -f /dev/shm/"$0"-*.shm
kill -s KILL -- -$$"""
_START_S = 15.0
_END_S = 1.0
_POLL_S = 0.01
_CONNECTIONS = 64
_MOST_TOLD = 500
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


@contextlib.asynccontextmanager
async def open_egress(
    domains: Sequence[str], tell: Tell, *, path: Sequence[str] = SYSTEM_PATH
) -> AsyncIterator[Network]:
    """A network that reaches only `domains` (exact, or `*.` and a name), and tells each decision as `proxyAccess`.

    To be left by the task that entered it, after the sandbox that uses it has ended. A connection that was allowed is
    told when it closes. `path` is where squid is looked for.
    Raises: UserError for a wrong domain, or where no proxy is installed; SandboxUnavailable where it does not start.
    """
    reach = Reach(proxy_names(domains))
    program = _program(path, "allowedDomains", INSTALL_HINT)
    async with _opened(program, reach, tell) as network:
        yield network


@contextlib.asynccontextmanager
async def open_setup_egress(
    wanted: SetupNetwork, tell: Tell, *, path: Sequence[str] = SYSTEM_PATH
) -> AsyncIterator[Network | None]:
    """The network of one set-up or installation; None where it is to have none. Otherwise as `open_egress`."""
    if not wanted.open:
        yield None
        return
    names = proxy_names(wanted.domains, where="setupDomains")
    reach = Reach(names, setup=True, mirrors=tuple(mirror(url) for url in wanted.mirrors))
    program = _program(path, "set-up", _SETUP_HINT)
    async with _opened(program, reach, named(tell, {"setup": True})) as network:
        yield network


def named(tell: Tell, whose: JsonObject) -> Tell:
    """`tell` whose payloads also say whose decisions they are."""
    return lambda kind, payload: tell(kind, {**payload, **whose})


def _program(path: Sequence[str], what: str, hint: str) -> str:
    program = shutil.which("squid", path=":".join(path))
    if program is None:
        raise UserError(f"{what} needs a proxy that decides, and squid is not installed", hint=hint)
    return program


@contextlib.asynccontextmanager
async def _opened(program: str, reach: Reach, tell: Tell) -> AsyncIterator[Network]:
    with _folder() as folder:
        proxy = _Proxy(folder, tell)
        owner = _owner()
        proxy.write(reach, owner)
        log = os.open(proxy.log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            async with _squid(program, proxy, owner) as child, _beside() as tasks:
                tasks.start_soon(proxy.hear, child)
                await proxy.started(child)
                tasks.start_soon(proxy.read_log, log)
                listener = await anyio.create_unix_listener(proxy.socket, mode=0o666)
                tasks.start_soon(listener.serve, proxy.relay)
                try:
                    yield Network(proxy.socket)
                finally:
                    # Shielded throughout: a wait that is cancelled here would take the place of the body's own error.
                    with anyio.CancelScope(shield=True):
                        await proxy.settle()
                        tasks.cancel_scope.cancel()
                        await listener.aclose()
        finally:
            os.close(log)


@contextlib.asynccontextmanager
async def _squid(program: str, proxy: _Proxy, owner: tuple[int, int] | None) -> AsyncIterator[Process]:
    squid = [program, "-N", "-n", proxy.name, "-d", "1", "-f", str(proxy.conf)]
    argv = ["/bin/sh", "-c", _LEASH, proxy.name, *squid]
    env = {"PATH": ":".join(SYSTEM_PATH), "LC_ALL": "C"}
    async with contextlib.AsyncExitStack() as stack:
        try:
            opened = host_process.open_process(argv, cwd=proxy.folder, env=env, owner=owner)
            child = await stack.enter_async_context(opened)
        except PermissionError as error:
            raise SandboxUnavailable(f"{program} cannot be started: {error.strerror}", hint=INSTALL_HINT) from error
        try:
            yield child
        finally:
            with anyio.move_on_after(_END_S, shield=True):
                if child.stdin is not None:
                    await child.stdin.aclose()
                await child.wait()


def _free_place() -> tuple[str, int]:
    """An address of 127/8 and a port where nobody listens, nor at every address at once: a squid of the system does so
    at its port, and would get what is meant for ours."""
    address = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.1"
    with socket.socket() as probe:
        probe.bind((address, 0))
        return address, int(probe.getsockname()[1])


@dataclass(slots=True)
class _Proxy:
    """One squid: its files, its secret, and what it has decided."""

    folder: Path
    tell: Tell
    place: tuple[str, int] = field(default_factory=_free_place)
    secret: IPv6Address = field(default_factory=lambda: IPv6Address(b"\x2a" + secrets.token_bytes(15)))
    name: str = field(default_factory=lambda: f"perstack{secrets.token_hex(8)}")
    last: str = field(default_factory=lambda: f"{secrets.token_hex(8)}.invalid")
    words: host_process.BoundedBuffer = field(default_factory=lambda: host_process.BoundedBuffer(20_000))
    silent: anyio.Event = field(default_factory=anyio.Event)
    settled: anyio.Event = field(default_factory=anyio.Event)
    limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_CONNECTIONS))
    told: int = 0

    @property
    def conf(self) -> Path:
        return self.folder / "squid.conf"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def socket(self) -> Path:
        """In a folder that only we can enter: a sandbox has it mounted, other users of this machine have not."""
        return self.folder / "way" / "out"

    def write(self, reach: Reach, owner: tuple[int, int] | None) -> None:
        """The configuration, the pipe of the log, the socket's folder."""
        self.socket.parent.mkdir(mode=0o700)
        os.mkfifo(self.log, 0o600)
        self.conf.touch(0o600)
        settings = Settings(f"{self.place[0]}:{self.place[1]}", self.secret, self.log, reach, own_networks())
        self.conf.write_text(configuration(settings), "ascii")
        if owner:
            os.chown(self.log, *owner)
            os.chown(self.conf, *owner)

    async def hear(self, child: Process) -> None:
        """Take what squid says besides its log."""
        if child.stderr is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        with contextlib.suppress(*_GONE):
            while True:
                self.words.feed(await child.stderr.receive())
        self.silent.set()

    async def started(self, child: Process) -> None:
        """Wait until it listens. Raises: SandboxUnavailable."""
        with anyio.move_on_after(_START_S):
            while child.returncode is None:
                try:
                    await (await anyio.connect_tcp(*self.place)).aclose()
                except OSError:
                    await anyio.sleep(_POLL_S)
                else:
                    return
        with anyio.move_on_after(_END_S):
            await self.silent.wait()
        lines = self.words.value().decode("utf-8", "replace").strip().splitlines()
        reason = next((line for line in lines if "FATAL" in line or "ERROR" in line), lines[-1] if lines else "no word")
        raise SandboxUnavailable(f"squid does not start: {reason}", hint=INSTALL_HINT)

    async def relay(self, client: SocketStream) -> None:
        """One connection out of the sandbox, as bytes: what it asks for is squid's to judge."""
        async with self.limit, client:
            try:
                connected = await anyio.connect_tcp(*self.place)
            except OSError:
                self._decided(STOPPED)
                return
            with contextlib.suppress(*_GONE):
                async with connected as proxy:
                    await proxy.send(self._header())
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(_pump, proxy, client)
                        tasks.start_soon(_pump, client, proxy)

    async def read_log(self, log: int) -> None:
        """Tell each decision as squid writes it down."""
        rest = b""
        while True:
            await anyio.wait_readable(log)
            data = os.read(log, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._decided(line.decode("utf-8", "replace"))

    async def settle(self) -> None:
        """Wait until what was decided is told: the log is in order, and this question comes last."""
        with anyio.move_on_after(_END_S), contextlib.suppress(*_GONE):
            async with await anyio.connect_tcp(*self.place) as proxy:
                await proxy.send(self._header() + f"CONNECT {self.last}:443 HTTP/1.1\r\n\r\n".encode())
                await self.settled.wait()
        if self.told > _MOST_TOLD:
            more = f"{self.told - _MOST_TOLD} further decisions are not listed"
            self.tell("proxyAccess", {"action": "blocked", "domain": "", "port": 0, "reason": more})

    def _decided(self, line: str) -> None:
        found = decision(line)
        if found is None:
            return
        if found["domain"] == self.last:
            self.settled.set()
            return
        self.told += 1
        if self.told <= _MOST_TOLD:
            self.tell("proxyAccess", found)

    def _header(self) -> bytes:
        return f"PROXY TCP6 {self.secret.compressed} ::1 1 {self.place[1]}\r\n".encode()


@contextlib.asynccontextmanager
async def _beside() -> AsyncIterator[TaskGroup]:
    """Tasks beside a body whose own error comes out as it is, not as a group of one."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


async def _pump(source: ByteStream, target: ByteStream) -> None:
    with contextlib.suppress(*_GONE):
        while True:
            await target.send(await source.receive())
    with contextlib.suppress(*_GONE):
        await target.send_eof()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A short path, as sockets need it, that squid's own user can enter."""
    with owned_folder("e", mode=0o711) as folder:
        yield folder


def _owner() -> tuple[int, int] | None:
    """Whom squid runs as: ourselves, but never root."""
    if os.getuid() != 0:
        return None
    for name in ("proxy", "squid", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise SandboxUnavailable("squid needs a user that is not root", hint="Make a user `proxy`, or do not run as root.")
