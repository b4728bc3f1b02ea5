"""Services of a compose file as data: what may run beside a sandbox, and what is refused or left out. Starts nothing.

A service gets nothing of the machine: no port, no folder, no power. A key that asks for that is an error at its line;
a key that means nothing here is told as left out. Unknown keys are errors: one might ask for more than we know.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from perstack.core.errors import UserError
from perstack.core.json import Json, JsonObject
from perstack.infrastructure.sandbox.compose_text import Text, read_file, yaml_text

_USED = frozenset(
    {
        "image", "build", "command", "entrypoint", "environment", "healthcheck", "working_dir", "user", "tmpfs",
        "volumes", "depends_on", "expose",
    }
)  # fmt: skip
_LEFT_OUT = {
    "container_name": "a sandbox names its own", "hostname": "the service's name is used",
    "restart": "a service that ends has failed", "labels": "nobody reads them", "networks": "there is only one, inside",
    "profiles": "services are named in [sandbox]", "platform": "the machine's own is used",
    "stop_grace_period": "services are killed", "stop_signal": "services are killed", "init": "always on",
    "logging": "nothing is kept", "pull_policy": "what is here is used", "attach": "nothing is attached",
    "mem_limit": "limits are those of [sandbox.limits]", "cpus": "limits are those of [sandbox.limits]",
    "deploy": "limits are those of [sandbox.limits]", "shm_size": "limits are those of [sandbox.limits]",
    "pids_limit": "limits are those of [sandbox.limits]", "ulimits": "limits are those of [sandbox.limits]",
    "stdin_open": "nothing is attached", "tty": "nothing is attached", "read_only": "a service writes its own files",
}  # fmt: skip
_WHY = {
    "ports": "it would open this machine; services are reached by name without it, so remove it (`expose` is fine)",
    "env_file": "write the values under `environment`",
    "network_mode": "services share a network of their own, without a way out",
    "extends": "write the service out in this file",
}
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?-)([^}]*))?\}|\{([^}]*)\}|(\w+))")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|us|s|m|h)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Build:
    """How an image is built. Paths are relative to the base commit."""

    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str = ""
    args: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """How a service is asked whether it is ready: words of a program inside it. Times in seconds."""

    test: tuple[str, ...]
    interval: float = 1.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0


@dataclass(frozen=True, slots=True)
class Service:
    """One service; `image` or `build` is there. None means: as the image has it."""

    name: str
    image: str = ""
    build: Build | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    tmpfs: tuple[str, ...] = ()
    health: Health | None = None
    user: str = ""
    working_dir: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """What to start, in order, and sentences on what was left out."""

    services: tuple[Service, ...] = ()
    told: tuple[str, ...] = field(default=())


def read(source: Path, name: str, wanted: Sequence[str]) -> Services:
    """The services named `wanted`, those they depend on before them. Raises: UserError with file:line."""
    return chosen(yaml_text(read_file(source, name, "compose"), name), wanted)


def chosen(text: Text, wanted: Sequence[str]) -> Services:
    """As `read`, from a text that was read."""
    told: list[str] = []
    order = _order(text, wanted)
    return Services(tuple(_service(text, name, told) for name in order), tuple(told))


def services_of(text: Text) -> JsonObject:
    """All services of a file. Raises: UserError where there are none."""
    if "include" in text.values:
        raise UserError(f"{text.at('include')}: `include` is not followed; name one file that holds the services")
    found = text.values.get("services")
    if not isinstance(found, dict) or not found:
        raise UserError(f"{text.at('services')}: there are no `services`")
    return found


def depends_on(text: Text, name: str) -> tuple[str, ...]:
    """The names a service depends on."""
    service = services_of(text).get(name)
    named = service.get("depends_on") if isinstance(service, dict) else None
    return tuple(str(each) for each in named) if isinstance(named, list | dict) else ()


def build_of(text: Text, path: tuple[str, ...], value: Json) -> Build:
    """`build` of a service or a dev container, relative to the folder of its file."""
    given: JsonObject = value if isinstance(value, dict) else {"context": value}
    for key in given:
        if key not in {"context", "dockerfile", "dockerFile", "target", "args"}:
            raise UserError(f"{text.at(*path, key)}: `{key}` of `build` is not possible here; remove it")
    context = _inside(text, (*path, "context"), str(given.get("context") or "."), str(PurePosixPath(text.name).parent))
    named = str(given.get("dockerfile") or given.get("dockerFile") or "Dockerfile")
    dockerfile = _inside(text, (*path, "dockerfile"), named, context)
    args = tuple(pairs(text, (*path, "args"), given.get("args")))
    return Build(context, dockerfile, str(given.get("target") or ""), args)


def pairs(text: Text, path: tuple[str, ...], value: Json) -> Iterator[tuple[str, str]]:
    """A mapping, or a list of NAME=VALUE. A name without a value would take this machine's: an error."""
    entries: Iterable[tuple[str | int, str, Json]]
    if isinstance(value, list):
        entries = [(n, str(e).partition("=")[0], str(e).partition("=")[2] if "=" in str(e) else None)
                   for n, e in enumerate(value)]  # fmt: skip
    else:
        entries = [(key, key, each) for key, each in value.items()] if isinstance(value, dict) else []
    for place, name, each in entries:
        if each is None:
            raise UserError(f"{text.at(*path, place)}: {name} has no value; those of this machine never enter")
        shown = str(each).lower() if isinstance(each, bool) else str(each)
        yield name, _filled(text, (*path, place), shown)


def words(text: Text, path: tuple[str, ...], value: Json) -> tuple[str, ...] | None:
    """A command: a list, or a string that is split as by a shell. None where it is not written."""
    if value is None:
        return None
    if isinstance(value, list):
        return tuple(_filled(text, path, str(each)) for each in value)
    try:
        return tuple(shlex.split(_filled(text, path, str(value))))
    except ValueError as error:
        raise UserError(f"{text.at(*path)}: cannot split the command: {error}") from error


def _service(text: Text, name: str, told: list[str]) -> Service:
    path = ("services", name)
    given = services_of(text).get(name)
    if not isinstance(given, dict):
        raise UserError(f"{text.at(*path)}: service {name} is empty")
    for key in given:
        where = text.at(*path, key)
        if key in _LEFT_OUT:
            told.append(f"{where}: `{key}` is left out: {_LEFT_OUT[key]}")
        elif key not in _USED and not key.startswith("x-"):
            why = _WHY.get(key, "it asks for more than a service beside a sandbox may have; remove it")
            raise UserError(f"{where}: `{key}` of service {name} is refused: {why}")
    build = build_of(text, (*path, "build"), given["build"]) if given.get("build") else None
    image = "" if build else _filled(text, (*path, "image"), str(given.get("image") or ""))
    if not (image or build):
        raise UserError(f"{text.at(*path)}: service {name} has neither `image` nor `build`")
    return Service(
        name=name,
        image=image,
        build=build,
        entrypoint=words(text, (*path, "entrypoint"), given.get("entrypoint")),
        command=words(text, (*path, "command"), given.get("command")),
        env=tuple(pairs(text, (*path, "environment"), given.get("environment"))),
        tmpfs=tuple(_volatile(text, path, given, told)),
        health=_health(text, (*path, "healthcheck"), given.get("healthcheck")),
        user=str(given.get("user") or ""),
        working_dir=str(given.get("working_dir") or ""),
    )


def _volatile(text: Text, path: tuple[str, ...], given: JsonObject, told: list[str]) -> Iterator[str]:
    """Folders in memory: `tmpfs`, and volumes that are named or nameless. A folder of the machine is refused."""
    written = given.get("tmpfs") or []
    for each in [written] if isinstance(written, str) else written if isinstance(written, list) else []:
        yield str(each).partition(":")[0]
    volumes = given.get("volumes")
    for number, volume in enumerate(volumes if isinstance(volumes, list) else ()):
        where = text.at(*path, "volumes", number)
        if isinstance(volume, dict):
            kind, source, target = volume.get("type", "volume"), str(volume.get("source") or ""), volume.get("target")
        else:
            parts = _filled(text, (*path, "volumes"), str(volume)).split(":")
            kind, (source, target) = "volume", parts[:2] if len(parts) > 1 else ("", parts[0])
        if kind not in {"volume", "tmpfs"} or re.fullmatch(r"[A-Za-z0-9][\w.-]*", source or "x") is None:
            raise UserError(
                f"{where}: volume `{source or kind}` is refused: nothing of the machine enters a service",
                hint="Copy what it needs into its image with `build`.",
            )
        if not str(target).startswith("/"):
            raise UserError(f"{where}: a volume needs an absolute path inside")
        told.append(f"{where}: volume {target} is empty at each start, and gone afterwards")
        yield str(target)


def _health(text: Text, path: tuple[str, ...], value: Json) -> Health | None:
    if not isinstance(value, dict) or value.get("disable") is True:
        return None
    test = value.get("test")
    if isinstance(test, str):
        found: tuple[str, ...] = ("/bin/sh", "-c", _filled(text, path, test))
    elif isinstance(test, list) and len(test) > 1 and test[0] in {"CMD", "CMD-SHELL"}:
        rest = tuple(_filled(text, path, str(word)) for word in test[1:])
        found = rest if test[0] == "CMD" else ("/bin/sh", "-c", *rest)
    elif test == ["NONE"] or test is None:
        return None
    else:
        raise UserError(f'{text.at(*path, "test")}: expected a command, ["CMD", …] or ["CMD-SHELL", …]')
    return Health(
        found,
        _seconds(text, (*path, "interval"), value.get("interval"), 1.0),
        _seconds(text, (*path, "timeout"), value.get("timeout"), 30.0),
        int(str(value.get("retries", 3))) if str(value.get("retries", 3)).isdecimal() else 3,
        _seconds(text, (*path, "start_period"), value.get("start_period"), 0.0),
    )


def _seconds(text: Text, path: tuple[str, ...], value: Json, default: float) -> float:
    if value is None:
        return default
    parts = _TIME.findall(str(value))
    if "".join(number + unit for number, unit in parts) != str(value):
        raise UserError(f'{text.at(*path)}: expected a time, such as "5s"')
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def _filled(text: Text, path: tuple[str | int, ...], value: str) -> str:
    """The value with its variables' defaults: this machine's environment is never read."""

    def fill(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        if found[3] is None:
            name = found[2] or found[5] or found[6]
            raise UserError(
                f"{text.at(*path)}: ${{{name}}} has no default; this machine's variables never enter",
                hint=f"Write ${{{name}:-value}}, or $$ for a dollar sign.",
            )
        return found[4]

    return _VARIABLE.sub(fill, value)


def _inside(text: Text, path: tuple[str, ...], value: str, folder: str) -> str:
    parts: list[str] = [part for part in PurePosixPath(folder).parts if part != "."]
    for part in PurePosixPath(value).parts:
        if part == ".." and parts:
            parts.pop()
        elif part in {"..", "/"} or "://" in value:
            raise UserError(f"{text.at(*path)}: `{value}` leads out of the repository")
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."


def _order(text: Text, wanted: Sequence[str]) -> list[str]:
    """Names with what they depend on first. Raises: UserError for an unknown name or a circle."""
    known, order = services_of(text), list[str]()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise UserError(f"{text.at('services', name)}: services depend on each other: {' → '.join((*above, name))}")
        if name not in known:
            raise UserError(f"{text.at('services')}: there is no service {name}, only {', '.join(known)}")
        for each in depends_on(text, name):
            visit(each, (*above, name))
        if name not in order:
            order.append(name)

    for name in wanted:
        visit(name, ())
    return order
