"""Docker images for sandboxes: find, pull or build one, run set-up in it, keep the result. Blocking; run in a thread.

Set-up commands of the base commit run as root of a container that holds no secret, and whose only network is the
proxy. What a Dockerfile or a pull reaches is the engine's own affair, unless set-up may reach nothing: then commands
of a Dockerfile have no network, and nothing is fetched.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound
from docker.models.containers import Container
from docker.types import Mount as DockerMount
from docker.utils import parse_repository_tag
from requests.exceptions import RequestException

from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.json import JsonObject
from perstack.core.sandbox import ExecResult, Network, SandboxSpec
from perstack.infrastructure.egress.inside import behind
from perstack.infrastructure.owned import owned_name, remove_tree
from perstack.infrastructure.process import BoundedBuffer
from perstack.infrastructure.sandbox import snapshot
from perstack.infrastructure.sandbox.compose import Build, Service
from perstack.infrastructure.sandbox.devcontainer import resolved
from perstack.infrastructure.sandbox.disk import DISK_EXIT, watched
from perstack.infrastructure.sandbox.docker_beside import kept
from perstack.infrastructure.sandbox.docker_build import built
from perstack.infrastructure.sandbox.docker_container import bounds, create, is_rootless
from perstack.infrastructure.sandbox.docker_disk import layers_of, stopped_at, volumes_of
from perstack.infrastructure.sandbox.docker_stream import raw_socket, read_frames
from perstack.infrastructure.sandbox.dockerfile import fetched
from perstack.infrastructure.sandbox.installing import outward_mounts, outward_variables
from perstack.infrastructure.sandbox.memory import MEMORY, MemoryWatch, of_process
from perstack.infrastructure.sandbox.snapshot_store import Made

BASE_IMAGE = "perstack-base"
SNAPSHOTS = "perstack-snapshot"
FOLDER = "perstack.folder"  # a label: where the rest of a snapshot is
_LABEL = "perstack"
_END_S = 60
_OWN = (snapshot.WORKSPACE, snapshot.HOME)
_STOPPED = 137  # 128 + SIGKILL


@dataclass(frozen=True, slots=True)
class Start:
    """What a set-up starts from: the image, the tag its result is to have, the way out, a folder for the rest.

    `place` is where that folder will be.
    """

    image: str
    tag: str
    network: Network | None
    draft: Path
    place: Path


@dataclass(frozen=True, slots=True)
class Sources:
    """What a specification comes to: with its files read, its image found or built, and its services."""

    spec: SandboxSpec
    image: str
    services: tuple[JsonObject, ...]
    rootless: bool = False
    runtime: str = ""  # what containers run with, the engine's own where none is named


def sources_of(client: docker.DockerClient, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Sources:
    """Read the files that `spec` names, find, pull or build the image before its set-up, and those of services.

    Raises: UserError for what is wrong with them, SandboxUnavailable for a failing engine.
    """
    found = resolved(spec, source)
    for line in found.told:
        log(line)
    engine = _Engine(client, log, spec.network.open)
    image = _build(engine, found.build, source) if found.build else _find(engine, found.spec.image)
    services = tuple(_service(engine, each, source) for each in found.services)
    about = client.info()
    runtime = found.spec.runtime or str(about.get("DefaultRuntime") or "")
    return Sources(found.spec, image, services, is_rootless(about), runtime)


@dataclass(frozen=True, slots=True)
class _Engine:
    """Who is asked for images, who hears of it, and whether anything may be fetched for them."""

    client: docker.DockerClient
    log: Callable[[str], None]
    is_open: bool


def _service(engine: _Engine, service: Service, source: Path) -> JsonObject:
    return kept(service, _build(engine, service.build, source) if service.build else _find(engine, service.image))


def tag_of(key: str, folder: Path) -> str:
    """What the image of a snapshot is called. Another place of snapshots has images of its own: neither takes the
    other's away.
    """
    return f"{SNAPSHOTS}:{key[:32]}-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]}"


def has(client: docker.DockerClient, name: str) -> bool:
    """Whether the engine has an image."""
    with contextlib.suppress(ImageNotFound):
        return bool(identity(client, name))
    return False


def remove_image(client: docker.DockerClient, name: str) -> bool:
    """Whether an image is gone; one that a container uses stays."""
    try:
        client.images.remove(name)
    except ImageNotFound:
        return True
    except APIError:
        return False
    return True


def identity(client: docker.DockerClient, name: str) -> str:
    return str(client.images.get(name).id)


def _find(engine: _Engine, wanted: str) -> str:
    name, client = wanted or BASE_IMAGE, engine.client
    try:
        return identity(client, name)
    except ImageNotFound:
        if not wanted:
            raise UserError(
                "[sandbox] names no image", hint='Write image = "…" (or build = "Dockerfile") in perstack.toml.'
            ) from None
    if not engine.is_open:
        raise UserError(
            f'[sandbox] image {name} is not on this machine, and setupNetwork = "none" keeps it from being pulled',
            hint=f'Pull it before the job (`docker pull {name}`), or write setupNetwork = "proxy".',
        )
    engine.log(f"pulling {name}")
    try:
        repository, tag = parse_repository_tag(name)
        client.images.pull(repository, tag=tag or "latest")
        return identity(client, name)
    except (ImageNotFound, APIError) as error:
        raise UserError(f"[sandbox] image {name} cannot be had: {error.explanation or error}") from error


def _build(engine: _Engine, build: Build, source: Path) -> str:
    name, context, top = build.dockerfile, source / build.context, source.resolve()
    for path, there in ((source / name, (source / name).is_file()), (context, context.is_dir())):
        if not there or not path.resolve().is_relative_to(top):
            raise UserError(f"[sandbox] build: there is no {path.relative_to(source)} in the base commit")
    if not engine.is_open:
        _refuse_fetching(engine.client, name, (source / name).read_text("utf-8", "replace"))
    engine.log(f"building {name}")
    try:
        options = {
            "path": str(context),
            "dockerfile": os.path.relpath(source / name, context),
            "buildargs": dict(build.args),
            "target": build.target or None,
            "network_mode": None if engine.is_open else "none",
            "rm": True,
            "forcerm": True,
            "labels": {_LABEL: "build"},
        }
        return built(engine.client, options)
    except BuildError as error:
        lines = [str(part.get("stream", "")).strip() for part in error.build_log]
        tail = "\n".join(f"  {line}" for line in [line for line in lines if line][-10:])
        raise UserError(f"[sandbox] build: {name} does not build: {error.msg}\n{tail}") from error


def _refuse_fetching(client: docker.DockerClient, name: str, text: str) -> None:
    if wanted := fetched(text, lambda image: has(client, image)):
        raise UserError(
            f'[sandbox] build: {name} needs {wanted}, and setupNetwork = "none" keeps it from being fetched',
            hint='Have the image here (`docker pull`), take the address out, or write setupNetwork = "proxy".',
        )


def set_up(
    client: docker.DockerClient, spec: SandboxSpec, source: Path, log: Callable[[str], None], start: Start
) -> Made:
    """Run the commands in a container, then keep its image, and in the draft what it made in the workspace."""
    base = client.images.get(start.image).attrs
    options = _setup_options(spec, start.network, base)
    labels = {**options["labels"], FOLDER: str(start.place.resolve())}  # the image keeps them
    container = create(client, {"image": start.image, **options, "labels": labels})
    try:
        container.put_archive("/", _packed(source))
        container.start()
        deadline = time.monotonic() + spec.setup_timeout_s
        values = {**outward_variables(start.network), **dict(spec.env)}
        layers = layers_of(client, [container])
        with watched(spec.limits, layers.folders, layers) as disk:
            disk.begin_here()
            memory = MemoryWatch(of_process(container.attrs["State"].get("Pid") or 0, str(container.id)))
            memory.begin()
            for command in spec.setup:
                log(f"set-up: {command}")
                with stopped_at(disk, container) as stop:
                    result = _execute(client, container, behind(start.network, command), deadline, values)
                if stop.limit:
                    result = replace(result, exit_code=DISK_EXIT, limit=stop.limit)
                elif result.exit_code and memory.counted():
                    result = replace(result, limit=MEMORY)
                if result.exit_code:
                    raise snapshot.setup_failed(command, result, start.draft)
        _keep_products(container, source, start.draft)
        mend = f"rm -rf {snapshot.WORKSPACE}; mkdir -p {snapshot.WORKSPACE}; mv {snapshot.HOME} {snapshot.KEPT_HOME}"
        mend += f"; mkdir -m 1777 {snapshot.HOME}; chmod -R a+rX {snapshot.KEPT_HOME}"
        _execute(client, container, ["sh", "-c", f"cd / && {mend}"], time.monotonic() + 300, {})
        container.kill()  # nobody writes meanwhile; and not every engine can hold a running one still
        container.wait(timeout=_END_S)
        before = next((image for image in client.images.list(start.tag) if start.tag in image.tags), None)
        changes = [f"LABEL {_LABEL}=snapshot"]
        image = container.commit(repository=SNAPSHOTS, tag=start.tag.partition(":")[2], changes=changes)
        if before:  # nameless by now, and wanted by nobody: its folder is gone
            remove_image(client, str(before.id))
    finally:
        with contextlib.suppress(DockerException, RequestException):
            container.remove(force=True, v=True)
    added = int(image.attrs["Size"]) - int(base["Size"])
    return Made(start.tag, max(0, added))


def _setup_options(spec: SandboxSpec, network: Network | None, image: Mapping[str, Any]) -> dict[str, Any]:
    """Root inside, since package programs want to be; and no network of the engine's."""
    mounts, limits = outward_mounts(network), spec.limits
    return {
        "entrypoint": ["/bin/sh", "-c", "exec sleep 2147483647"],
        "command": [],
        "user": "0:0",
        "working_dir": snapshot.WORKSPACE,
        # Kept in the image, so nothing of the proxy.
        "environment": {
            "HOME": snapshot.HOME, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **dict(spec.env),
        },
        "init": True,
        "network_mode": "none",
        "tmpfs": volumes_of(image, _OWN, f"rw,exec,nosuid,nodev,mode=1777,size={limits.tmp_mb}m"),
        "mounts": [DockerMount(m.target, str(m.source.resolve()), type="bind", read_only=True) for m in mounts],
        "stop_signal": "SIGKILL",
        "labels": {_LABEL: "setup", f"{_LABEL}.owner": owned_name()},
        "security_opt": ["no-new-privileges"],
        **bounds(limits),
    }  # fmt: skip


def _packed(source: Path) -> bytes:
    """The source as an archive below the workspace, and an empty HOME."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for folder in (snapshot.HOME, snapshot.WORKSPACE):
            entry = tarfile.TarInfo(folder.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(source, arcname=snapshot.WORKSPACE.lstrip("/"), filter=_as_root)
    return data.getvalue()


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _execute(
    client: docker.DockerClient, container: Container, words: list[str], deadline: float, env: Mapping[str, str]
) -> ExecResult:
    """Run one command in a running container; past the deadline the container is killed."""
    started = time.monotonic()
    made = client.api.exec_create(container.id, words, environment=dict(env))
    output = BoundedBuffer(100_000)
    timed_out = False
    sock = raw_socket(client.api.exec_start(made["Id"], socket=True))
    try:
        for data in read_frames(sock, deadline):
            output.feed(data)
        # None where the container was killed under it.
        code = int(_STOPPED if (told := client.api.exec_inspect(made["Id"])["ExitCode"]) is None else told)
    except TimeoutError:
        timed_out, code = True, 124
        container.kill()
    finally:
        sock.close()
    return ExecResult(code, output.value(), b"", time.monotonic() - started, timed_out=timed_out)


def _keep_products(container: Container, source: Path, draft: Path) -> None:
    """Copy what set-up made in the workspace to this machine, where sessions mount it from."""
    workspace = draft / "workspace"
    try:
        chunks, _ = container.get_archive(snapshot.WORKSPACE)
        with tempfile.TemporaryFile(dir=draft) as spool:
            for chunk in chunks:
                spool.write(chunk)
            spool.seek(0)
            with tarfile.open(fileobj=spool) as archive:
                _unpack(archive, workspace)
        snapshot.keep_products(source, workspace, draft)
    except tarfile.TarError as error:
        raise SandboxUnavailable(f"Docker: the workspace cannot be copied out: {error}") from error
    finally:
        remove_tree(workspace)


def _unpack(archive: tarfile.TarFile, into: Path) -> None:
    """Unpack an archive made by hostile programs: nothing special, nothing outside, links last and never followed."""
    links: list[tuple[Path, str]] = []
    into.mkdir(parents=True, exist_ok=True)
    for entry in archive:
        parts = Path(entry.name).parts[1:]  # the archive's top folder is the workspace itself
        if ".." in parts or not parts:
            continue
        target = into.joinpath(*parts)
        if entry.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif entry.issym():
            links.append((target, entry.linkname))
        elif entry.isreg() or entry.islnk():
            _unpack_file(archive, entry, target)
    for path, destination in links:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.symlink_to(destination)


def _unpack_file(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(entry)
    if content is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod((entry.mode | 0o444) & 0o755)


def snapshots(client: docker.DockerClient) -> Iterator[str]:
    """Tags of all kept snapshots, for `doctor` and for cleaning up."""
    for image in client.images.list(name=SNAPSHOTS):
        yield from image.tags
