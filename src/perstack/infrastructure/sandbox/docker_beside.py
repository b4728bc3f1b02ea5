"""Services beside a sandbox: containers that share its network, which has loopback only, and end with it. Blocking.

One network namespace without a way out takes the place of an internal bridge: through a bridge's own address this
machine could be reached. So every service is 127.0.0.1 under its name, and two cannot listen on one port.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit
from docker.types import Mount as DockerMount
from requests.exceptions import RequestException

from perstack.core.errors import SandboxUnavailable
from perstack.core.json import JsonObject
from perstack.core.sandbox import Limits
from perstack.infrastructure.owned import owned_name
from perstack.infrastructure.sandbox.compose import Health, Service
from perstack.infrastructure.sandbox.docker_disk import volumes_of

HOSTS = "/etc/hosts"
_LABEL = "perstack"
_READY_S = 120.0
_PAUSE_S = 0.1
# What official images of databases need to become their own user; no power over anything but their own files.
_POWERS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")


def kept(service: Service, image: str) -> JsonObject:
    """A service with its image, as it lies in a snapshot."""
    return {**asdict(service), "build": None, "image": image}


def hosts_file(folder: Path, services: Sequence[Mapping[str, Any]]) -> Path:
    """A hosts file that knows the services."""
    path = folder / "hosts"
    names = " ".join(["localhost", *(str(service["name"]) for service in services)])
    path.write_text(f"127.0.0.1 {names}\n::1 localhost ip6-localhost ip6-loopback\n", "utf-8")
    path.chmod(0o644)
    return path


def start_all(
    client: docker.DockerClient,
    sandbox: Container,
    services: Sequence[Mapping[str, Any]],
    *,
    hosts: Path,
    limits: Limits,
    into: list[Container],
) -> None:
    """Start the services in order, each ready before the next; `into` has all that were made, whatever happens.

    Raises: SandboxUnavailable with the service's last words where one does not become ready.
    """
    for service in services:
        try:
            image = client.images.get(service["image"]).attrs
            container = client.containers.create(**_options(service, str(sandbox.id), hosts, limits, image))
            into.append(container)
            container.start()
            _wait(container, service)
        except (DockerException, RequestException) as error:
            words = str(getattr(error, "explanation", None) or error).strip().splitlines()[0][:300]
            raise SandboxUnavailable(f"service {service['name']} could not be started: {words}") from error


def remove_all(containers: Sequence[Container]) -> None:
    """Take services away, with the nameless volumes of their images."""
    for container in reversed(containers):
        with contextlib.suppress(DockerException, RequestException):
            container.remove(force=True, v=True)


def _options(
    service: Mapping[str, Any], sandbox: str, hosts: Path, limits: Limits, image: Mapping[str, Any]
) -> dict[str, Any]:
    size = f"rw,nosuid,nodev,size={limits.tmp_mb}m,mode=1777"
    # Where a database keeps its data. Part of its memory, whose limit is the service's.
    data = f"rw,nosuid,nodev,size={limits.memory_mb // 2}m,nr_inodes={limits.tmp_mb * 256},mode=1777"
    return {
        "image": service["image"],
        **({"entrypoint": list(service["entrypoint"])} if service["entrypoint"] is not None else {}),
        **({"command": list(service["command"])} if service["command"] is not None else {}),
        "environment": dict(service["env"]),
        **({"user": service["user"]} if service["user"] else {}),
        **({"working_dir": service["working_dir"]} if service["working_dir"] else {}),
        "labels": {_LABEL: "session", f"{_LABEL}.owner": owned_name()},
        "network_mode": f"container:{sandbox}",
        "mounts": [DockerMount(HOSTS, str(hosts), type="bind", read_only=True)],
        "tmpfs": {**_volumes(service, image, data), **dict.fromkeys(service["tmpfs"], size)},
        "cap_drop": ["ALL"],
        "cap_add": list(_POWERS),
        "security_opt": ["no-new-privileges"],
        "ipc_mode": "private",
        "pids_limit": limits.processes,
        "mem_limit": f"{limits.memory_mb}m",
        "memswap_limit": f"{limits.memory_mb}m",
        "stop_signal": "SIGKILL",
        "ulimits": [
            Ulimit(name="fsize", soft=limits.file_mb * 2**20, hard=limits.file_mb * 2**20),
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=4096, hard=4096),
            Ulimit(name="nproc", soft=32768, hard=32768),
        ],
        "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
    }


def _volumes(service: Mapping[str, Any], image: Mapping[str, Any], options: str) -> dict[str, str]:
    """In memory where the service begins as root, and can make itself at home; left to be watched otherwise."""
    user = service["user"] or image.get("Config", {}).get("User") or "root"
    is_root = str(user).partition(":")[0] in {"root", "0"}
    return volumes_of(image, (HOSTS, *service["tmpfs"]), options) if is_root else {}


def _wait(container: Container, service: Mapping[str, Any]) -> None:
    health = _health(container, service)
    began, refusals, last = time.monotonic(), 0, ""
    while True:
        container.reload()
        if container.status not in {"running", "created"}:
            code = container.attrs["State"].get("ExitCode")
            raise _failed(container, service, f"ended with {code} before it was ready")
        if health is None:
            if container.status == "running":
                return
        else:
            code, output = container.exec_run(list(health.test))
            if code == 0:
                return
            last = output.decode("utf-8", "replace").strip()[-200:] if isinstance(output, bytes) else ""
            waited = time.monotonic() - began
            refusals += waited > health.start_period
            if waited > _READY_S or (refusals > health.retries and waited > health.interval * health.retries):
                raise _failed(container, service, f"is not healthy after {waited:.0f} s: {last}")
        time.sleep(min(health.interval, 1.0) if health else _PAUSE_S)


def _health(container: Container, service: Mapping[str, Any]) -> Health | None:
    """As the compose file says, else as the image says."""
    if service["health"]:
        return Health(**{**service["health"], "test": tuple(service["health"]["test"])})
    own = (container.image.attrs if container.image else {}).get("Config", {}).get("Healthcheck") or {}
    test = own.get("Test") or []
    if len(test) > 1 and test[0] == "CMD":
        return Health(tuple(test[1:]))
    return Health(("/bin/sh", "-c", test[1])) if len(test) > 1 and test[0] == "CMD-SHELL" else None


def _failed(container: Container, service: Mapping[str, Any], what: str) -> SandboxUnavailable:
    words = ""
    with contextlib.suppress(DockerException, RequestException):
        words = container.logs(tail=10, stream=False).decode("utf-8", "replace").strip()
    tail = "".join(f"\n  {line[:300]}" for line in words.splitlines()[-10:])
    return SandboxUnavailable(
        f"service {service['name']} {what}{tail}", hint="Mend the service in the compose file of the base commit."
    )
