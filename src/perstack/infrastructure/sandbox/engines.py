"""Engines that speak Docker's API on this machine: where they listen, which of them answer. Starts none.

Only local sockets: the workspace is a directory of this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perstack.core.errors import SandboxUnavailable, UserError
from perstack.infrastructure.sandbox.docker_container import connected, is_rootless

KINDS = ("docker", "podman")
_ANSWER_S = 10
_HINTS = {
    "auto": "Start Docker or `podman system service`, or use `--sandbox bubblewrap`.",
    "docker": "Start Docker, or leave `engine` under [sandbox] out to take Podman too.",
    "podman": "Start it: systemctl --user start podman.socket (or: podman system service -t 0).",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered. An empty `address` is Docker's own default."""

    address: str
    kind: str
    version: str
    rootless: bool
    runtimes: tuple[str, ...] = ()
    runtime: str = ""  # the one it uses unless asked
    facts: str = ""  # what else may change with its set-up; two of the same are the same engine

    @property
    def name(self) -> str:
        """For people, such as `Podman 4.3.1, rootless`."""
        return f"{self.kind.capitalize()} {self.version}{', rootless' if self.rootless else ''}"


def addresses(env: Mapping[str, str]) -> tuple[str, ...]:
    """Where engines may listen, those of this user before those of root. DOCKER_HOST is the only one where it is set.

    An engine without root is the stronger one: who leaves its container is nobody on the machine.
    """
    if named := env.get("DOCKER_HOST", ""):
        return (named,)
    own = env.get("XDG_RUNTIME_DIR", "")
    places = [*((f"{own}/docker.sock", f"{own}/podman/podman.sock") if own.startswith("/") else ())]
    places += ["/var/run/docker.sock", "/run/podman/podman.sock"]
    return tuple(f"unix://{place}" for place in places if Path(place).is_socket())


def choose(wanted: str, env: Mapping[str, str], runtime: str = "") -> Engine:
    """The first engine of the wanted kind (`auto`: any) that answers and has the runtime. Blocking.

    Raises: SandboxUnavailable with what each of them said.
    """
    if wanted not in ("auto", *KINDS):
        raise UserError(f"[sandbox] engine: `{wanted}` is none of auto, {', '.join(KINDS)}")
    problems: list[str] = []
    for address in _of_kind(wanted, addresses(env)):
        try:
            found = ask(address)
        except SandboxUnavailable as error:
            problems.append(f"{address}: {error.message}")
            continue
        if wanted not in ("auto", found.kind):
            problems.append(f"{address}: this is {found.name}")
        elif problem := lacks_runtime(found, runtime):
            problems.append(f"{address}: {problem}")
        else:
            return found
    reasons = "; ".join(problems) or "no socket of one is there, and DOCKER_HOST is not set"
    what = "Docker" if wanted == "auto" else wanted.capitalize()
    raise SandboxUnavailable(f"no {what} engine can be used ({reasons})", hint=_hint(wanted, runtime))


def ask(address: str) -> Engine:
    """What the engine at `address` says of itself. Raises: SandboxUnavailable where it does not answer."""
    with connected(address, _ANSWER_S) as client:
        return _told(address, client.version(), client.info())


def lacks_runtime(engine: Engine, runtime: str) -> str:
    """Why containers cannot run under `runtime`, or "". Podman takes its one runtime, whatever a request names."""
    if not runtime or runtime == engine.runtime or (engine.kind == "docker" and runtime in engine.runtimes):
        return ""
    if engine.kind == "podman":
        return f"{engine.name} runs everything with {engine.runtime or 'its own runtime'}, not with {runtime}"
    return f"{engine.name} has no runtime {runtime}, only {', '.join(sorted(engine.runtimes))}"


def _of_kind(wanted: str, places: Sequence[str]) -> Sequence[str]:
    """Those first that are named after what is wanted: others are asked only when nothing else is there."""
    return sorted(places, key=lambda place: wanted != "auto" and wanted not in place)


def _told(address: str, version: Mapping[str, Any], info: Mapping[str, Any]) -> Engine:
    parts = {str(part.get("Name", "")): str(part.get("Version", "")) for part in version.get("Components") or []}
    kind = "podman" if any(name.startswith("Podman") for name in parts) else "docker"
    options = sorted(map(str, info.get("SecurityOptions") or []))
    runtimes = tuple(sorted(map(str, info.get("Runtimes") or {})))
    facts = [str(info.get(key)) for key in ("ID", "KernelVersion", "CgroupVersion", "CgroupDriver", "MemoryLimit")]
    return Engine(
        address=address,
        kind=kind,
        version=str(version.get("Version", "")),
        rootless=is_rootless(info),
        runtimes=runtimes,
        runtime=str(info.get("DefaultRuntime") or ""),
        facts="\0".join([*facts, *options, *runtimes]),
    )


def _hint(wanted: str, runtime: str) -> str:
    if not runtime:
        return _HINTS[wanted]
    return (
        f"Install {runtime} and name it under `runtimes` in the engine's configuration "
        "(Docker: /etc/docker/daemon.json; Podman: `podman --runtime … system service`), or remove `runtime`."
    )
