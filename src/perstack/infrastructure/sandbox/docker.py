"""The Docker back end: sessions. What an image is made of is in `docker_image.py`.

One container per session: no network, no capabilities, not root, read-only root, everything limited. The engine must
be on this machine, since the workspace is a directory of this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import docker
from docker.errors import DockerException
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit
from docker.types import Mount as DockerMount
from requests.exceptions import RequestException

from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import Limits, Mount, SandboxSpec, Snapshot
from perstack.infrastructure.sandbox import docker_image, snapshot
from perstack.infrastructure.sandbox.channel import DRIVER, Channel, Inside
from perstack.infrastructure.sandbox.docker_stream import Attached, raw_socket
from perstack.infrastructure.sandbox.ownership import open_up
from perstack.infrastructure.sandbox.session import ChannelSession

LABEL = "perstack"
_UID = 10001
_START_S = 60.0


async def probe_docker() -> str:
    """ "" when an engine answers, else a sentence that says why not."""

    def ask() -> str:
        try:
            with contextlib.closing(docker.from_env(timeout=10)) as client:
                client.ping()
        except (DockerException, RequestException, OSError) as error:
            return f"no Docker engine answers ({_first_sentence(error)})"
        return ""

    return await anyio.to_thread.run_sync(ask)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one container is made of."""

    image: str
    workspace: Path
    mounts: tuple[Mount, ...]
    env: Mapping[str, str]
    limits: Limits
    runtime: str = ""


class Docker:
    """`cache` is where products of set-up are kept; `runtime` such as `runsc` comes from the specification."""

    def __init__(self, *, cache: Path | None = None) -> None:
        self._cache = cache or Path(tempfile.gettempdir()) / f"perstack-snapshots-{os.getuid()}"

    @property
    def name(self) -> str:
        return "docker"

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """See `core.contracts.Sandbox.prepare`. Also takes away containers that a killed harness left behind."""

        def work() -> Snapshot:
            with _client() as client:
                reap(client)
                made = docker_image.make(client, spec, source, self._cache, log)
            reference = json.dumps({"image": made.image, "products": str(made.products or ""), "runtime": spec.runtime})
            return Snapshot(reference, made.digest, spec.limits, spec.env)

        return await anyio.to_thread.run_sync(work)

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
        return self._opened(
            snapshot, workspace, tuple(mounts), {**dict(snapshot.env), **(env or {})}, limits or snapshot.limits
        )

    @contextlib.asynccontextmanager
    async def _opened(
        self, made: Snapshot, workspace: Path, mounts: tuple[Mount, ...], env: Mapping[str, str], limits: Limits
    ) -> AsyncIterator[ChannelSession]:
        reference = json.loads(made.reference)
        products = snapshot.product_mounts(Path(reference["products"])) if reference["products"] else ()
        plan = _Plan(reference["image"], workspace, (*products, *mounts), env, limits, reference["runtime"])
        control = Path(tempfile.mkdtemp(prefix="perstack-control-"))
        client = await anyio.to_thread.run_sync(_connect)
        started: tuple[Container, socket.socket, Inside] | None = None
        try:
            with anyio.CancelScope(shield=True):  # never lose hold of a container that was just made
                parts = started = await anyio.to_thread.run_sync(_start, client, plan, control)
            container, sock, inside = parts
            channel = Channel(Attached(sock), inside, _post_mortem(container))
            await channel.run(["true"], timeout_s=_START_S)
            yield ChannelSession(channel)
        finally:
            with anyio.CancelScope(shield=True):
                if started:
                    started[1].close()
                await anyio.to_thread.run_sync(_remove, client, started[0] if started else None)
                shutil.rmtree(control, ignore_errors=True)
                await anyio.to_thread.run_sync(snapshot.remove_mount_points, workspace, products)


def reap(client: docker.DockerClient) -> None:
    """Remove our containers whose harness is gone. Other machines' containers cannot be seen here."""
    for container in client.containers.list(all=True, filters={"label": f"{LABEL}=session"}):
        owner = container.labels.get(f"{LABEL}.owner", "")
        if owner and not _alive(owner):
            with contextlib.suppress(DockerException, RequestException):
                container.remove(force=True)


def _owner() -> str:
    """This process, told apart from a later one with the same number by its start time, and by its PID namespace."""
    return _identity(os.getpid())


def _identity(pid: int) -> str:
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid}:{started}:{Path('/proc/self/ns/pid').readlink()}"


def _alive(owner: str) -> bool:
    pid, _, rest = owner.partition(":")
    if not rest.endswith(str(Path("/proc/self/ns/pid").readlink())):
        return True  # of another PID namespace: cannot be judged from here
    try:
        return _identity(int(pid)) == owner
    except (OSError, ValueError, IndexError):
        return False


def _connect() -> docker.DockerClient:
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        raise SandboxUnavailable(
            f"no Docker engine answers ({_first_sentence(error)})",
            hint="Start Docker, or use `--sandbox bubblewrap`.",
        ) from error
    return client


@contextlib.contextmanager
def _client() -> Iterator[docker.DockerClient]:
    client = _connect()
    try:
        yield client
    except (DockerException, RequestException) as error:
        raise SandboxUnavailable(f"Docker: {_first_sentence(error)}") from error
    finally:
        client.close()


def _start(client: docker.DockerClient, plan: _Plan, control: Path) -> tuple[Container, socket.socket, Inside]:
    """Make, attach to, and start the container."""
    uid, gid = (_UID, _UID) if os.getuid() == 0 else (os.getuid(), os.getgid())
    open_up(plan.workspace, plan.mounts, uid, gid)
    control.chmod(0o755)
    shutil.copyfile(DRIVER, control / "driver")
    container: Container | None = None
    try:
        image = client.images.get(plan.image)
        container = client.containers.create(**_options(plan, control, (uid, gid)))
        raw = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        sock = raw_socket(raw)
        container.start()
    except (DockerException, RequestException, OSError) as error:
        _remove(None, container)
        raise SandboxUnavailable(f"Docker could not start a sandbox: {_first_sentence(error)}") from error
    environment = {**_image_path(image.attrs), **_environment(), **plan.env}
    return container, sock, Inside(control, snapshot.CONTROL, snapshot.WORKSPACE, environment)


def _options(plan: _Plan, control: Path, owner: tuple[int, int]) -> dict[str, Any]:
    limits = plan.limits
    size, (uid, gid) = f"size={limits.tmp_mb}m", owner
    mounts = [
        DockerMount(snapshot.WORKSPACE, str(plan.workspace.resolve()), type="bind"),
        DockerMount(snapshot.CONTROL, str(control), type="bind", read_only=True),
        *(DockerMount(m.target, str(m.source.resolve()), type="bind", read_only=not m.writable) for m in plan.mounts),
    ]
    return {
        "image": plan.image,
        "entrypoint": ["/bin/sh"],
        "command": [f"{snapshot.CONTROL}/driver", snapshot.CONTROL, snapshot.KEPT_HOME],
        "environment": _environment(),
        "user": f"{uid}:{gid}",
        "working_dir": snapshot.WORKSPACE,
        "hostname": "sandbox",
        "labels": {LABEL: "session", f"{LABEL}.owner": _owner()},
        "stdin_open": True,
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {
            "/tmp": f"rw,exec,nosuid,nodev,mode=1777,{size}",  # noqa: S108  # a path inside
            snapshot.HOME: f"rw,exec,nosuid,nodev,mode=0700,uid={uid},gid={gid},{size}",
        },
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
        "ipc_mode": "private",
        "pids_limit": limits.processes,
        "mem_limit": f"{limits.memory_mb}m",
        "memswap_limit": f"{limits.memory_mb}m",
        "nano_cpus": int(min(limits.cpus, os.cpu_count() or 1) * 1_000_000_000),
        "ulimits": [
            Ulimit(name="fsize", soft=limits.file_mb * 2**20, hard=limits.file_mb * 2**20),
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=4096, hard=4096),
        ],
        "log_config": LogConfig(type="none"),
        "mounts": mounts,
        **({"runtime": plan.runtime} if plan.runtime else {}),
    }


def _environment() -> dict[str, str]:
    return {
        "HOME": snapshot.HOME, "USER": "perstack", "LOGNAME": "perstack", "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108  # a path inside
    }  # fmt: skip


def _image_path(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The image's own environment (its PATH, its JAVA_HOME), with the user's own programs in front."""
    values = dict(entry.split("=", 1) for entry in attributes["Config"].get("Env") or [] if "=" in entry)
    path = values.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return {**values, "PATH": f"{snapshot.HOME}/.local/bin:{path}"}


def _remove(client: docker.DockerClient | None, container: Container | None) -> None:
    if container is not None:
        with contextlib.suppress(DockerException, RequestException):
            container.remove(force=True)
    if client is not None:
        client.close()


def _post_mortem(container: Container) -> Callable[[str], Awaitable[str]]:
    def look() -> str:
        try:
            container.reload()
        except (DockerException, RequestException) as error:
            return f"the engine does not answer ({_first_sentence(error)})"
        state = container.attrs["State"]
        if state.get("OOMKilled"):
            return "out of memory"
        return f"its first process ended (status {state.get('ExitCode')}); a command may have killed it"

    async def words(last_line: str) -> str:
        del last_line  # what the container wrote is the command's word, not the engine's
        return await anyio.to_thread.run_sync(look)

    return words


def _first_sentence(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error).strip().splitlines()[0][:300]
