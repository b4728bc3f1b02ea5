"""The bubblewrap back end: the host's toolchain, read-only, in new namespaces. Needs no engine and no image.

What it cannot do: run a configured image, or bound memory of all processes together where control groups are closed
to this user (then the limit holds per process).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import Process

from perstack.core.errors import InvariantBroken, SandboxUnavailable
from perstack.core.sandbox import Limits, Mount, SandboxSpec, Snapshot
from perstack.infrastructure import process as host_process
from perstack.infrastructure.sandbox import control_group, snapshot, toolchain
from perstack.infrastructure.sandbox.channel import DRIVER, STDERR, STDOUT, Channel, Inside
from perstack.infrastructure.sandbox.ownership import open_up
from perstack.infrastructure.sandbox.session import ChannelSession

INSTALL_HINT = (
    "Install Docker and start it, or install bubblewrap (`apt-get install bubblewrap`, `dnf install bubblewrap`). "
    "`--sandbox host` runs without any isolation."
)
_UID = 10001
_START_S = 20.0
_ENV = {"PATH": ":".join(toolchain.SYSTEM_PATH), "LC_ALL": "C"}


async def probe_bubblewrap(path: Sequence[Path] = ()) -> str:
    """Start one sandbox for real: "" when it works, else a sentence that says why not."""
    with tempfile.TemporaryDirectory(prefix="perstack-probe-") as folder:
        try:
            async with Bubblewrap(tuple(path)).open(Snapshot("", ""), Path(folder)) as session:
                result = await session.run(["true"], timeout_s=10)
        except SandboxUnavailable as error:
            return error.message
    return "" if result.exit_code == 0 else f"bubblewrap starts, but `true` fails in it: {result.text().strip()}"


@dataclass(frozen=True, slots=True)
class _Pipes:
    """A driver at the end of a process's pipes."""

    process: Process

    @property
    def readers(self) -> Sequence[Callable[[], Awaitable[tuple[int, bytes]]]]:
        return (self._out, self._err)

    async def send(self, data: bytes) -> None:
        if self.process.stdin is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        await self.process.stdin.send(data)

    async def _out(self) -> tuple[int, bytes]:
        if self.process.stdout is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        return STDOUT, await self.process.stdout.receive()

    async def _err(self) -> tuple[int, bytes]:
        if self.process.stderr is None:
            raise InvariantBroken("a process of open_process has all three pipes")
        return STDERR, await self.process.stderr.receive()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one sandbox is made of, beyond the host's toolchain."""

    workspace: Path
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] | None = None
    limits: Limits = field(default_factory=Limits)
    network: bool = False
    home: Path | None = None  # a host directory as HOME, for set-up only
    kept_home: Path | None = None


class Bubblewrap:
    """`path` are directories of programs beyond the system's own; `cache` is where set-up snapshots are kept."""

    def __init__(self, path: tuple[Path, ...] = (), *, cache: Path | None = None) -> None:
        self._path = tuple(folder for folder in path if str(folder) not in toolchain.SYSTEM_PATH)
        self._cache = cache
        self._features = ""  # of the installed bwrap: asked for once, not for every sandbox

    @property
    def name(self) -> str:
        return "bubblewrap"

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """See `core.contracts.Sandbox.prepare`."""
        if spec.image or spec.build:
            log("bubblewrap uses this machine's own programs; [sandbox] image and build are not used")
        version = await host_process.run(["bwrap", "--version"], env=_ENV, timeout_s=10)
        if version.exit_code:
            raise SandboxUnavailable("bubblewrap (bwrap) is not installed", hint=INSTALL_HINT)
        identity = "\0".join(["bubblewrap", version.text(), _os_release(), *map(str, self._path)])
        key = await anyio.to_thread.run_sync(snapshot.digest, identity, spec, source)
        if not spec.setup:
            return Snapshot("", key, spec.limits, spec.env)
        cache = self._cache or Path(tempfile.gettempdir()) / f"perstack-snapshots-{os.getuid()}"
        place = cache / key[:32]
        if (place / "products.list").is_file():
            log("set-up is cached")
        else:
            await self._set_up(spec, source, place, log)
        return Snapshot(str(place), key, spec.limits, spec.env)

    def open(
        self,
        snapshot: Snapshot,
        workspace: Path,
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> AbstractAsyncContextManager[ChannelSession]:
        """See `core.contracts.Sandbox.open`."""
        return self._open_snapshot(
            snapshot,
            _Plan(workspace, tuple(mounts), {**dict(snapshot.env), **(env or {})}, limits or snapshot.limits),
        )

    @contextlib.asynccontextmanager
    async def _open_snapshot(self, made: Snapshot, plan: _Plan) -> AsyncIterator[ChannelSession]:
        place = Path(made.reference) if made.reference else None
        products = snapshot.product_mounts(place / "products") if place else ()
        kept = place / "home" if place else None
        # Inside, root is a user without powers: what a Docker session gave away must come back first.
        await anyio.to_thread.run_sync(open_up, plan.workspace, plan.mounts, os.getuid(), os.getgid())
        whole = _Plan(plan.workspace, (*products, *plan.mounts), plan.env, plan.limits, kept_home=kept)
        try:
            async with self._started(whole) as session:
                yield session
        finally:
            snapshot.remove_mount_points(plan.workspace, products)

    async def _set_up(self, spec: SandboxSpec, source: Path, place: Path, log: Callable[[str], None]) -> None:
        """Run the commands with network over a copy of the source, and keep what they made."""
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="setup-", dir=place.parent))
        try:
            copy, home = work / "workspace", work / "home"
            await anyio.to_thread.run_sync(lambda: shutil.copytree(source, copy, symlinks=True))
            home.mkdir()
            plan = _Plan(copy, env=dict(spec.env), limits=spec.limits, network=True, home=home)
            async with self._started(plan) as session:
                for command in spec.setup:
                    log(f"set-up: {command}")
                    result = await session.run(["sh", "-c", command], timeout_s=spec.setup_timeout_s)
                    if result.exit_code:
                        raise snapshot.setup_failed(command, result)
            names = snapshot.products(source, copy)
            await anyio.to_thread.run_sync(snapshot.keep, copy, names, work / "products")
            shutil.rmtree(copy)
            snapshot.write_list(work / "products", names)
            with contextlib.suppress(OSError):  # another process made the same one meanwhile
                work.rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def _started(self, plan: _Plan) -> AsyncIterator[ChannelSession]:
        control = Path(tempfile.mkdtemp(prefix="perstack-control-"))
        try:
            inside = _prepare_control(control, self._environment(plan))
            with control_group.limited(plan.limits) as groups:
                argv = [*_joining(groups), "bwrap", *await self._options(plan, control), *_driver(plan, bool(groups))]
                async with self._process(argv) as child:
                    channel = Channel(_Pipes(child), inside, _post_mortem(child))
                    started = await channel.run(["true"], timeout_s=_START_S)
                    if started.exit_code:
                        raise SandboxUnavailable(f"bubblewrap: nothing runs inside: {started.text().strip()}")
                    yield ChannelSession(channel)
        finally:
            shutil.rmtree(control, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def _process(self, argv: Sequence[str]) -> AsyncIterator[Process]:
        try:
            async with host_process.open_process(argv, env=_ENV) as child:
                yield child
        except FileNotFoundError as error:
            raise SandboxUnavailable("bubblewrap (bwrap) is not installed", hint=INSTALL_HINT) from error

    async def _options(self, plan: _Plan, control: Path) -> list[str]:
        features = self._features = self._features or await _features()
        size = ["--size", str(plan.limits.tmp_mb * 1024 * 1024)] if "--size " in features else []
        options = ["--unshare-all", "--unshare-user", "--uid", str(_UID), "--gid", str(_UID), "--hostname", "sandbox"]
        options += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        options += ["--disable-userns"] if "--disable-userns" in features else []
        options += ["--share-net"] if plan.network else []
        options += ["--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/tmp"]  # noqa: S108  # a path inside
        options += ["--symlink", "/tmp", "/var/tmp"]  # noqa: S108  # paths inside
        options += toolchain.system_binds()
        for name in ("passwd", "group", "hosts"):
            options += ["--ro-bind", str(control / name), f"/etc/{name}"]
        if plan.network:
            options += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
        options += ["--bind", str(plan.home), snapshot.HOME] if plan.home else [*size, "--tmpfs", snapshot.HOME]
        options += toolchain.tool_binds(self._path)
        if plan.kept_home:
            options += ["--ro-bind", str(plan.kept_home), snapshot.KEPT_HOME]
        options += ["--ro-bind", str(control), snapshot.CONTROL, "--bind", str(plan.workspace), snapshot.WORKSPACE]
        for mount in plan.mounts:
            options += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
        return [*options, "--remount-ro", "/", "--chdir", snapshot.WORKSPACE, "--clearenv"]

    def _environment(self, plan: _Plan) -> dict[str, str]:
        own = {
            "PATH": ":".join([f"{snapshot.HOME}/.local/bin", *map(str, self._path), *toolchain.SYSTEM_PATH]),
            "HOME": snapshot.HOME, "USER": "perstack", "LOGNAME": "perstack", "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",  # noqa: S108  # a path inside
        }  # fmt: skip
        return {**own, **(plan.env or {})}


def _prepare_control(control: Path, environment: Mapping[str, str]) -> Inside:
    """Fill the control directory: the driver, and small files of /etc. The inside may read it, not write it."""
    control.chmod(0o755)
    shutil.copyfile(DRIVER, control / "driver")
    (control / "passwd").write_text(
        f"root:x:0:0::/nonexistent:/bin/false\nperstack:x:{_UID}:{_UID}::{snapshot.HOME}:/bin/sh\n"
    )
    (control / "group").write_text(f"root:x:0:\nperstack:x:{_UID}:\n")
    (control / "hosts").write_text("127.0.0.1 localhost sandbox\n::1 localhost\n")
    return Inside(control, snapshot.CONTROL, snapshot.WORKSPACE, environment)


async def _features() -> str:
    return (await host_process.run(["bwrap", "--help"], env=_ENV, timeout_s=10)).text()


def _joining(groups: Sequence[Path]) -> list[str]:
    """A prefix that puts a process into control groups before it becomes what follows."""
    if not groups:
        return []
    script = 'for g in $1; do echo $$ >"$g/cgroup.procs" || :; done; shift; exec "$@"'
    return ["/bin/sh", "-c", script, "sh", " ".join(str(group) for group in groups)]


def _driver(plan: _Plan, grouped: bool) -> list[str]:
    """The first program inside: set per-process limits, then become the driver."""
    limits = plan.limits
    wanted = [f"ulimit -c 0; ulimit -f {limits.file_mb * 2048}; ulimit -n 4096"]
    if not grouped:
        # Bytes of data, not of address space: runtimes reserve far more of that than they use.
        wanted.append(f"ulimit -d {limits.memory_mb * 1024}")
        wanted.append(f"ulimit -u {limits.processes} 2>/dev/null || ulimit -p {limits.processes} 2>/dev/null")
    wanted.append(f"PATH={':'.join(toolchain.SYSTEM_PATH)} HOME={snapshot.HOME}; export PATH HOME")
    wanted.append('exec /bin/sh "$@"')
    words = [f"{snapshot.CONTROL}/driver", snapshot.CONTROL, snapshot.KEPT_HOME]
    return ["/bin/sh", "-c", "\n".join(wanted), "sh", *words]


def _post_mortem(child: Process) -> Callable[[str], Awaitable[str]]:
    async def words(last_line: str) -> str:
        with anyio.move_on_after(2):
            await child.wait()
        if last_line.startswith("bwrap:"):
            return last_line
        return f"its first process ended (status {child.returncode}); a command may have killed it"

    return words


def _os_release() -> str:
    try:
        return hashlib.sha256(Path("/etc/os-release").read_bytes()).hexdigest()
    except OSError:
        return ""
