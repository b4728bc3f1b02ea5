"""A dev container's file as a `SandboxSpec`: what is taken over, what is left out and why, what is refused.

Nothing of it runs on this machine, and nothing of it makes a sandbox weaker.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from perstack.core.errors import UserError
from perstack.core.json import Json
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure.sandbox import snapshot
from perstack.infrastructure.sandbox.compose import Build, Service, build_of, chosen, pairs, services_of
from perstack.infrastructure.sandbox.compose_text import Text, commented_json, read_file, yaml_text

_LIFE = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
_USED = frozenset({"image", "build", "dockerFile", "context", "containerEnv", "workspaceFolder", "dockerComposeFile",
                   "service", "runServices", "name", "$schema", *_LIFE})  # fmt: skip
_REFUSED = {
    "privileged": "a sandbox has no powers",
    "capAdd": "a sandbox has no powers",
    "securityOpt": "what keeps a sandbox closed is not changed",
    "runArgs": "options of the engine could open the sandbox; use [sandbox] for limits and variables",
    "mounts": "nothing of the machine enters a sandbox",
    "workspaceMount": "the workspace is mounted by Perstack",
}
_LEFT_OUT = {
    "initializeCommand": "it would run on this machine, and nothing of a repository does",
    "features": "they are not installed; put what tests need into a Dockerfile or into `setup`",
    "postStartCommand": "sandboxes start for each command anew; put what tests need into postCreateCommand",
    "postAttachCommand": "nobody attaches",
    "remoteEnv": "it is for editors; containerEnv is used",
    "remoteUser": "commands run as a user of the sandbox's own",
    "containerUser": "commands run as a user of the sandbox's own",
    "forwardPorts": "no port is opened",
    "appPort": "no port is opened",
}
_QUIET = "it is for editors"
_LOCAL = re.compile(r"\$\{([^}:]+)(?::([^}:]*))?(?::([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What to run in. `build` is there where the image is to be built; `services` run beside; `told` is for people."""

    spec: SandboxSpec
    build: Build | None = None
    services: tuple[Service, ...] = ()
    told: tuple[str, ...] = ()


def resolved(spec: SandboxSpec, source: Path) -> Resolved:
    """`spec` with what its files in the base commit say: devcontainer.json and the compose file.

    Raises: UserError with file:line for what is refused.
    """
    found = _dev_container(spec, source) if spec.devcontainer else Resolved(spec)
    if spec.build:
        read_file(source, spec.build, "build")
        found = replace(found, build=Build(dockerfile=spec.build))
    if spec.compose:
        text = yaml_text(read_file(source, spec.compose, "compose"), spec.compose)
        more = chosen(text, spec.services)
        found = replace(found, services=(*found.services, *more.services), told=(*found.told, *more.told))
    return found


def _dev_container(spec: SandboxSpec, source: Path) -> Resolved:
    text = commented_json(read_file(source, spec.devcontainer, "devcontainer"), spec.devcontainer)
    told = list(_judged(text))
    values = text.values
    folder = str(values.get("workspaceFolder") or snapshot.WORKSPACE)
    folder = folder.replace("${localWorkspaceFolderBasename}", "workspace")
    life = [line for key in _LIFE for line in _commands(text, key, values.get(key))]
    linked = _linked(text, folder)
    setup = (*linked, *(_filled(text, "postCreateCommand", line, folder) for line in life), *spec.setup)
    env = [(name, _filled(text, "containerEnv", value, folder)) for name, value in
           pairs(text, ("containerEnv",), _escaped(values.get("containerEnv")))]  # fmt: skip
    made = replace(spec, devcontainer="", setup=setup, env=(*env, *spec.env))
    if values.get("dockerComposeFile"):
        return _composed(made, text, source, told)
    if isinstance(values.get("build"), dict):
        return Resolved(made, build_of(text, ("build",), _known_build(text, values["build"], told)), told=tuple(told))
    if values.get("dockerFile"):
        given: dict[str, Json] = {"dockerfile": values["dockerFile"], "context": values.get("context") or "."}
        return Resolved(made, _beside(text, given), told=tuple(told))
    if not values.get("image"):
        raise UserError(f"{text.at()}: neither `image`, `build` nor `dockerComposeFile` says what to run in")
    return Resolved(replace(made, image=str(values["image"])), told=tuple(told))


def _judged(text: Text) -> Iterator[str]:
    """Sentences on what is left out. Raises: UserError on what is refused."""
    for key, value in text.values.items():
        if key in _USED:
            continue
        if key in _REFUSED and value:
            raise UserError(
                f"{text.at(key)}: `{key}` is refused: {_REFUSED[key]}",
                hint="Remove it, or give Perstack a devcontainer.json of its own: [sandbox] devcontainer = …",
            )
        if value not in (None, False, [], {}) and key not in _REFUSED:
            yield f"{text.at(key)}: `{key}` is left out: {_LEFT_OUT.get(key, _QUIET)}"


_DROPPED_OF_BUILD = {
    "cacheFrom": "the engine's own cache is used",
    "options": "the engine's own settings are used; write arguments under `args`",
}


def _known_build(text: Text, given: Json, told: list[str]) -> Json:
    """`build` without what only makes building faster; its paths are relative to each other as the format says."""
    kept = dict(given) if isinstance(given, dict) else {}
    dropped = [key for key in _DROPPED_OF_BUILD if kept.pop(key, None)]
    told += [f"{text.at('build', key)}: `{key}` is left out: {_DROPPED_OF_BUILD[key]}" for key in dropped]
    return _paths(text, kept)


def _beside(text: Text, given: dict[str, Json]) -> Build:
    return build_of(text, ("build",), _paths(text, given))


def _paths(text: Text, given: dict[str, Json]) -> Json:
    """Here the Dockerfile is relative to the file, not to the context: said again relative to the context."""
    context, dockerfile = str(given.get("context") or "."), str(given.pop("dockerfile", None) or "Dockerfile")
    folder = PurePosixPath(text.name).parent
    try:
        depth = len(_flat(folder / context))
        back = "/".join([".."] * depth) or "."
        given["dockerfile"] = f"{back}/{'/'.join(_flat(folder / dockerfile))}"
    except ValueError as error:
        raise UserError(f"{text.at('build')}: {error}") from error
    return given


def _flat(path: PurePosixPath) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                raise ValueError(f"`{path}` leads out of the repository")
            parts.pop()
        elif part == "/":
            raise ValueError(f"`{path}` leads out of the repository")
        elif part != ".":
            parts.append(part)
    return parts


def _composed(made: SandboxSpec, text: Text, source: Path, told: list[str]) -> Resolved:
    """One service of a compose file is what to run in; the others run beside it."""
    named = text.values["dockerComposeFile"]
    if isinstance(named, list) and len(named) != 1:
        raise UserError(f"{text.at('dockerComposeFile')}: only one compose file is possible; name one")
    file = str(named[0] if isinstance(named, list) else named)
    try:
        name = "/".join(_flat(PurePosixPath(text.name).parent / file))
    except ValueError as error:
        raise UserError(f"{text.at('dockerComposeFile')}: {error}") from error
    compose = yaml_text(read_file(source, name, "devcontainer"), name)
    own, known = str(text.values.get("service") or ""), services_of(compose)
    given = known.get(own)
    if not isinstance(given, dict):
        raise UserError(f"{text.at('service')}: there is no service `{own}` in {name}")
    for key in ("privileged", "cap_add", "security_opt", "devices", "pid", "ipc", "userns_mode"):
        if given.get(key):
            raise UserError(f"{compose.at('services', own, key)}: `{key}` is refused: a sandbox has no powers")
    path = ("services", own)
    kept = {"image", "build", "environment", "depends_on"}
    left = [compose.at(*path, key) + f": `{key}`" for key in given if key not in kept]
    told = [*told, *(f"{each} is left out: the sandbox has its own" for each in left)]
    env = (*pairs(compose, (*path, "environment"), given.get("environment")), *made.env)
    run = text.values.get("runServices")
    others = [str(each) for each in run] if isinstance(run, list) else list(known)
    beside = chosen(compose, [each for each in (*others, *made.services) if each != own])
    build = build_of(compose, (*path, "build"), given["build"]) if given.get("build") else None
    spec = replace(made, image="" if build else str(given.get("image") or ""), env=env)
    services = tuple(each for each in beside.services if each.name != own)
    return Resolved(spec, build, services, (*told, *beside.told))


def _commands(text: Text, key: str, value: Json) -> Iterator[str]:
    """A command line, an argument list, or several by name."""
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list) and value:
        yield shlex.join(map(str, value))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _commands(text, key, each)
    elif value:
        raise UserError(f"{text.at(key)}: expected a command, a list of words, or several commands by name")


def _linked(text: Text, folder: str) -> Sequence[str]:
    """The place where a project expects itself leads to the workspace."""
    if folder == snapshot.WORKSPACE:
        return ()
    place = PurePosixPath(folder)
    if not place.is_absolute() or ".." in place.parts or len(place.parts) < 2 or "$" in folder:
        raise UserError(f"{text.at('workspaceFolder')}: expected an absolute path, not `{folder}`")
    words = shlex.quote(str(place.parent)), shlex.quote(str(place))
    return (f"mkdir -p {words[0]} && ln -sfn {snapshot.WORKSPACE} {words[1]}",)


def _escaped(given: Json) -> Json:
    """Variables are written otherwise than in compose files, and filled in afterwards."""
    return {name: str(value).replace("$", "$$") for name, value in given.items()} if isinstance(given, dict) else None


def _filled(text: Text, key: str, value: str, folder: str) -> str:
    def fill(found: re.Match[str]) -> str:
        name, of, default = found[1], found[2], found[3]
        if name in {"containerWorkspaceFolder", "localWorkspaceFolder"}:
            return folder
        if name in {"containerWorkspaceFolderBasename", "localWorkspaceFolderBasename"}:
            return PurePosixPath(folder).name
        if name in {"localEnv", "env"}:
            if default is None:
                raise UserError(
                    f"{text.at(key)}: ${{{name}:{of}}} has no default; this machine's variables never enter"
                )
            return default
        return found[0]

    return _LOCAL.sub(fill, value)
