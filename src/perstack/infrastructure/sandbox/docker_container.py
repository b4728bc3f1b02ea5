"""One container of a sandbox: how it is made, attached to, found again after a kill, and taken away. Blocking.

No network, no capabilities, not root, read-only root, everything limited. What runs in it is not said here.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit
from docker.types import Mount as DockerMount
from requests.exceptions import RequestException

from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import Limits, Mount
from perstack.infrastructure.egress.inside import SOCKET
from perstack.infrastructure.owned import is_gone, owned_name
from perstack.infrastructure.sandbox import memory, snapshot
from perstack.infrastructure.sandbox.docker_disk import volumes_of
from perstack.infrastructure.sandbox.docker_podman import behind_shell, limited, narrowed
from perstack.infrastructure.sandbox.docker_stream import raw_socket
from perstack.infrastructure.sandbox.ownership import open_up

LABEL = "perstack"
_UID = 10001
# Of one user, on the whole machine; `pids_limit` is the one that counts. Unless told, Podman asks for more than some
# machines allow, and starts nothing.
_MOST_PROCESSES = 32768
_OPEN_FILES = 4096
_OPEN_FILES_AND_PROCESSES = (
    Ulimit(name="nofile", soft=_OPEN_FILES, hard=_OPEN_FILES),
    Ulimit(name="nproc", soft=_MOST_PROCESSES, hard=_MOST_PROCESSES),
)
_TIMEOUT_S = 120
_NO_SOCKETS = (
    "The way out is a socket of this machine, which gVisor takes only with `--host-uds=open` among its "
    'runtimeArgs, and old ones not at all: do without network there (`setupNetwork = "none"`), or without `runtime`.'
)
# What the libraries between us and an engine say of a connection.
_BROKEN_OFF = "the engine broke the connection off"
_MEANT = {
    "Read timed out": "the engine did not answer in time",
    "Connection aborted": _BROKEN_OFF,
    "Connection reset by peer": _BROKEN_OFF,
    "Expecting value: ": "the answer cannot be read: it is none of a Docker engine",
}

# What a container is attached to: each entry is a connection of its own.
TOGETHER = ({"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1},)
APART = ({"stdin": 1, "stdout": 1, "stream": 1}, {"stderr": 1, "stream": 1})


@dataclass(frozen=True, slots=True)
class Plan:
    """What one container is made of. Without a `workspace` there is none inside."""

    image: str
    workspace: Path | None
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    runtime: str = ""
    place: str = snapshot.WORKSPACE  # the working directory
    before: str = ""  # shell lines before the program
    engine: str = ""  # the address of the engine; empty is Docker's own default
    rootless: bool = False  # the engine's
    podman: bool = False  # whether the engine is one
    profile: str = ""  # its own seccomp profile, where a narrower one is to take its place


@dataclass(frozen=True, slots=True)
class Started:
    """A running container, its connections, the environment its programs are to have, and its control groups."""

    container: Container
    sockets: tuple[socket.socket, ...]
    environment: Mapping[str, str]
    groups: tuple[Path, ...] = ()


def start(
    client: docker.DockerClient, plan: Plan, command: Sequence[str], attachments: Sequence[Mapping[str, int]]
) -> Started:
    """Make a container whose first program is `/bin/sh` with the words of `command`, attach to it, and start it."""
    owner = owner_of_files()
    if plan.workspace:
        open_up(plan.workspace, plan.mounts, *owner)
    for mount in plan.mounts:
        if mount.writable and not plan.workspace:
            open_up(mount.source, (), *owner)
    container: Container | None = None
    sockets: list[socket.socket] = []
    try:
        image = client.images.get(plan.image)
        # Who we are is root inside what a rootless engine starts, and nobody else there may write what is ours.
        options = _options(plan, command, (0, 0) if plan.rootless else owner, image.attrs)
        with narrowed(plan.profile) as option:
            container = create(client, {**options, "security_opt": [*options["security_opt"], *option]})
        for attachment in attachments:
            stream = container.attach_socket(params=attachment)
            sockets.append(raw_socket(stream))
        container.start()
        container.reload()
    except (DockerException, RequestException, OSError) as error:
        for sock in sockets:
            sock.close()
        remove(None, container)
        told = f"Docker could not start a sandbox: {first_sentence(error)}"
        raise SandboxUnavailable(told, hint=hint_of(error)) from error
    environment = {**_image_values(image.attrs), **_environment(), **plan.env}
    groups = memory.of_process(container.attrs["State"].get("Pid") or 0, str(container.id))
    return Started(container, tuple(sockets), environment, groups)


def owner_of_files() -> tuple[int, int]:
    """Who of this machine owns what the inside may write: user and group."""
    return (_UID, _UID) if os.getuid() == 0 else (os.getuid(), os.getgid())


def writable(plan: Plan) -> tuple[Path, ...]:
    """Folders of this machine that the inside can fill."""
    given = (mount.source for mount in plan.mounts if mount.writable)
    return tuple(folder for folder in (plan.workspace, *given) if folder)


def create(client: docker.DockerClient, options: Mapping[str, Any]) -> Container:
    """A container of these options, without those few that Podman refuses.

    Without an init program a shell is the first one and reaps; where a tmpfs's files are not counted, its size bounds
    them.
    """
    left = dict(_REFUSED)
    while True:
        try:
            return client.containers.create(**options)
        except APIError as error:
            word = next((word for word in left if word in str(error.explanation)), None)
            if word is None:
                raise
            options = left.pop(word)(options)


def _without_inodes(options: Mapping[str, Any]) -> dict[str, Any]:
    plain = {
        place: ",".join(part for part in text.split(",") if not part.startswith("nr_inodes="))
        for place, text in options.get("tmpfs", {}).items()
    }
    return {**options, "tmpfs": plain}


_REFUSED: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "container-init binary not found": behind_shell,
    '"nr_inodes=': _without_inodes,
}


def bounds(limits: Limits) -> dict[str, Any]:
    """What every container of ours may use, as the Docker library takes it."""
    return {
        "pids_limit": limits.processes,
        "mem_limit": f"{limits.memory_mb}m",
        "memswap_limit": f"{limits.memory_mb}m",
        "nano_cpus": int(min(limits.cpus, os.cpu_count() or 1) * 1_000_000_000),
        "ulimits": [
            Ulimit(name="fsize", soft=limits.file_mb * 2**20, hard=limits.file_mb * 2**20),
            Ulimit(name="core", soft=0, hard=0),
            *_OPEN_FILES_AND_PROCESSES,
        ],
    }


def _options(plan: Plan, command: Sequence[str], owner: tuple[int, int], image: Mapping[str, Any]) -> dict[str, Any]:
    limits = plan.limits
    # One entry for each block of 4 KiB: no more names than bytes.
    size, (uid, gid) = f"size={limits.tmp_mb}m,nr_inodes={limits.tmp_mb * 256}", owner
    mounts = [
        *([DockerMount(snapshot.WORKSPACE, str(plan.workspace.resolve()), type="bind")] if plan.workspace else []),
        *(DockerMount(m.target, str(m.source.resolve()), type="bind", read_only=not m.writable) for m in plan.mounts),
    ]
    own = f"rw,exec,nosuid,nodev,mode=1777,{size}"
    taken = ("/tmp", snapshot.HOME, *(mount["Target"] for mount in mounts))  # noqa: S108  # paths inside
    return {
        "image": plan.image,
        "entrypoint": ["/bin/sh"],
        "command": limited(command, _own_limits(limits)) if plan.podman and plan.rootless else list(command),
        "environment": _environment(),
        "user": f"{uid}:{gid}",
        "working_dir": plan.place,
        "hostname": "sandbox",
        "labels": {LABEL: "session", f"{LABEL}.owner": owned_name()},
        "stdin_open": True,
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {
            "/tmp": own,  # noqa: S108  # a path inside
            snapshot.HOME: own,  # Podman knows no owner of a tmpfs
            **volumes_of(image, taken, own),
            # Podman makes these writable beside a read-only root.
            **(dict.fromkeys(("/run", "/var/tmp"), "ro,nosuid,nodev,noexec,size=64k") if plan.podman else {}),  # noqa: S108  # paths inside
        },
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
        "stop_signal": "SIGKILL",  # Podman asks nicely first, and waits ten seconds
        "ipc_mode": "private",
        **bounds(limits),
        "log_config": LogConfig(type="none"),
        "mounts": mounts,
        **({"runtime": plan.runtime} if plan.runtime else {}),
    }


def _own_limits(limits: Limits) -> dict[str, int]:
    """As `ulimits`, by the letters of a shell: a Podman without root ignores those over its API."""
    return {"c": 0, "n": _OPEN_FILES, "f": limits.file_mb * 2048}


def _environment() -> dict[str, str]:
    return {
        "HOME": snapshot.HOME, "USER": "perstack", "LOGNAME": "perstack", "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108  # a path inside
    }  # fmt: skip


def _image_values(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The image's own environment (its PATH, its JAVA_HOME), with the user's own programs in front."""
    values = dict(entry.split("=", 1) for entry in attributes["Config"].get("Env") or [] if "=" in entry)
    path = values.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return {**values, "PATH": f"{snapshot.HOME}/.local/bin:{path}"}


def remove(client: docker.DockerClient | None, container: Container | None) -> None:
    if container is not None:
        with contextlib.suppress(DockerException, RequestException):
            container.remove(force=True, v=True)  # with the nameless volumes of its image
    if client is not None:
        client.close()


def first_sentence(error: Exception) -> str:
    """What the engine said, in one line; where it said nothing that can be read, what it did."""
    if said := str(getattr(error, "explanation", None) or "").strip():
        return said.splitlines()[0][:300]
    told = str(error).strip() or type(error).__name__
    return next((meant for words, meant in _MEANT.items() if words in told), told.splitlines()[0][:300])


def hint_of(error: Exception) -> str:
    """What to do where an image went away under a job, where a runtime takes no proxy, and in all other cases."""
    if SOCKET in str(getattr(error, "explanation", None) or error):
        return _NO_SOCKETS
    if not isinstance(error, ImageNotFound):
        return "Look at the engine (`docker info`, its log) and run it again, or use `--sandbox bubblewrap`."
    return "The image was removed while the job ran (`docker rmi`, a prune): run it again, and it is made again."


def is_rootless(info: Mapping[str, Any]) -> bool:
    """Whether the engine that says this of itself runs as a user without power over the machine."""
    options = info.get("SecurityOptions") or []
    return bool(info.get("Rootless")) or any("rootless" in str(option) for option in options)  # Podman, Docker


def reap(client: docker.DockerClient) -> None:
    """Remove our containers whose harness is gone. Other machines' containers cannot be seen here."""
    # Others start and remove theirs meanwhile.
    for container in client.containers.list(all=True, filters={"label": f"{LABEL}.owner"}, ignore_removed=True):
        owner = container.labels.get(f"{LABEL}.owner", "")
        if is_gone(owner):
            with contextlib.suppress(DockerException, RequestException):
                container.remove(force=True, v=True)


def connect(engine: str = "", timeout_s: int = _TIMEOUT_S) -> docker.DockerClient:
    """A client of the engine at this address. Raises: SandboxUnavailable where none answers."""
    client: docker.DockerClient | None = None
    try:
        if engine.startswith("unix://"):  # the SDK leaves a socket open where nobody listens
            with socket.socket(socket.AF_UNIX) as trying:
                trying.connect(engine.removeprefix("unix://"))
        made = docker.DockerClient(base_url=engine, timeout=timeout_s) if engine else docker.from_env(timeout=timeout_s)
        client = made
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        if client is not None:
            client.close()
        raise SandboxUnavailable(
            f"no Docker engine answers ({first_sentence(error)})",
            hint="Start Docker or `podman system service`, or use `--sandbox bubblewrap`.",
        ) from error
    return client


@contextlib.contextmanager
def connected(engine: str = "", timeout_s: int = _TIMEOUT_S) -> Iterator[docker.DockerClient]:
    """As `connect`, closed at the end; the engine's errors become ours."""
    client = connect(engine, timeout_s)
    try:
        yield client
    except (DockerException, RequestException) as error:
        raise SandboxUnavailable(f"Docker: {first_sentence(error)}", hint=hint_of(error)) from error
    finally:
        client.close()
