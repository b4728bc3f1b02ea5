"""Docker images for sandboxes: find, pull or build one, run set-up in it, keep the result. Blocking; run in a thread.

Only here does anything of the checkout meet the network: set-up commands of the base commit, as root of a container
that holds no secret.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound
from docker.models.containers import Container
from docker.utils import parse_repository_tag
from requests.exceptions import RequestException

from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.sandbox import ExecResult, SandboxSpec
from perstack.infrastructure.process import BoundedBuffer
from perstack.infrastructure.sandbox import snapshot
from perstack.infrastructure.sandbox.docker_stream import raw_socket, read_frames

BASE_IMAGE = "perstack-base"
_REPOSITORY = "perstack-snapshot"
_LABEL = "perstack"


@dataclass(frozen=True, slots=True)
class Made:
    """An image that sessions start from. `products` is the folder of what set-up left in the workspace."""

    image: str
    digest: str
    products: Path | None = None


def make(client: docker.DockerClient, spec: SandboxSpec, source: Path, cache: Path, log: Callable[[str], None]) -> Made:
    """The image for `spec`, from the cache where nothing it depends on has changed.

    Raises: UserError for a wrong image or a failing command, SandboxUnavailable for a failing engine.
    """
    image = _build(client, spec, source, log) if spec.build else _find(client, spec, log)
    key = snapshot.digest(image, spec, source)
    if not spec.setup:
        return Made(image, key)
    products = cache / f"docker-{key[:32]}"
    tag = f"{_REPOSITORY}:{key[:32]}"
    if products.with_suffix(".list").is_file():
        with contextlib.suppress(ImageNotFound):
            log("set-up is cached")
            return Made(_id(client, tag), key, products)
    _set_up(client, spec, source, log, (image, tag, products))
    return Made(_id(client, tag), key, products)


def _id(client: docker.DockerClient, name: str) -> str:
    return str(client.images.get(name).id)


def _find(client: docker.DockerClient, spec: SandboxSpec, log: Callable[[str], None]) -> str:
    name = spec.image or BASE_IMAGE
    try:
        return _id(client, name)
    except ImageNotFound:
        if not spec.image:
            raise UserError(
                "[sandbox] names no image", hint='Write image = "…" (or build = "Dockerfile") in perstack.toml.'
            ) from None
    log(f"pulling {name}")
    try:
        repository, tag = parse_repository_tag(name)
        client.images.pull(repository, tag=tag or "latest")
        return _id(client, name)
    except (ImageNotFound, APIError) as error:
        raise UserError(f"[sandbox] image {name} cannot be had: {error.explanation or error}") from error


def _build(client: docker.DockerClient, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> str:
    dockerfile = source / spec.build
    if not dockerfile.is_file() or not dockerfile.resolve().is_relative_to(source.resolve()):
        raise UserError(f"[sandbox] build: there is no {spec.build} in the base commit")
    log(f"building {spec.build}")
    try:
        image, _ = client.images.build(
            path=str(source), dockerfile=spec.build, rm=True, forcerm=True, labels={_LABEL: "build"}
        )
    except BuildError as error:
        lines = [str(part.get("stream", "")).strip() for part in error.build_log]
        tail = "\n".join(f"  {line}" for line in [line for line in lines if line][-10:])
        raise UserError(f"[sandbox] build: {spec.build} does not build: {error.msg}\n{tail}") from error
    return str(image.id)


def _set_up(
    client: docker.DockerClient,
    spec: SandboxSpec,
    source: Path,
    log: Callable[[str], None],
    target: tuple[str, str, Path],
) -> None:
    """Run the commands in a container with network, then keep its image and what it made in the workspace."""
    image, tag, products = target
    environment = {"HOME": snapshot.HOME, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **dict(spec.env)}
    container = client.containers.create(
        image,
        entrypoint=["/bin/sh", "-c", "exec sleep 2147483647"],
        command=[],
        user="0:0",
        working_dir=snapshot.WORKSPACE,
        environment=environment,
        init=True,
        labels={_LABEL: "setup"},
        security_opt=["no-new-privileges"],
    )
    try:
        container.put_archive("/", _packed(source))
        container.start()
        deadline = time.monotonic() + spec.setup_timeout_s
        for command in spec.setup:
            log(f"set-up: {command}")
            result = _execute(client, container, command, deadline)
            if result.exit_code:
                raise snapshot.setup_failed(command, result)
        _keep_products(container, source, products)
        mend = f"rm -rf {snapshot.WORKSPACE}; mkdir -p {snapshot.WORKSPACE}; mv {snapshot.HOME} {snapshot.KEPT_HOME}"
        mend += f"; mkdir -p {snapshot.HOME}; chmod -R a+rX {snapshot.KEPT_HOME}"
        _execute(client, container, f"cd / && {mend}", time.monotonic() + 300)
        container.commit(repository=_REPOSITORY, tag=tag.partition(":")[2], changes=[f"LABEL {_LABEL}=snapshot"])
    finally:
        with contextlib.suppress(DockerException, RequestException):
            container.remove(force=True)


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


def _execute(client: docker.DockerClient, container: Container, command: str, deadline: float) -> ExecResult:
    """Run one shell command in a running container; past the deadline the container is killed."""
    started = time.monotonic()
    made = client.api.exec_create(container.id, ["/bin/sh", "-c", command])
    output = BoundedBuffer(100_000)
    timed_out = False
    sock = raw_socket(client.api.exec_start(made["Id"], socket=True))
    try:
        for data in read_frames(sock, deadline):
            output.feed(data)
        code = int(client.api.exec_inspect(made["Id"])["ExitCode"] or 0)
    except TimeoutError:
        timed_out, code = True, 124
        container.kill()
    finally:
        sock.close()
    return ExecResult(code, output.value(), b"", time.monotonic() - started, timed_out=timed_out)


def _keep_products(container: Container, source: Path, products: Path) -> None:
    """Copy what set-up made in the workspace to this machine, where sessions mount it from."""
    products.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="setup-", dir=products.parent))
    try:
        chunks, _ = container.get_archive(snapshot.WORKSPACE)
        with tempfile.TemporaryFile(dir=work) as spool:
            for chunk in chunks:
                spool.write(chunk)
            spool.seek(0)
            with tarfile.open(fileobj=spool) as archive:
                _unpack(archive, work / "workspace")
        names = snapshot.products(source, work / "workspace")
        snapshot.keep(work / "workspace", names, work / "products")
        shutil.rmtree(products, ignore_errors=True)
        (work / "products").rename(products)
        snapshot.write_list(products, names)
    except tarfile.TarError as error:
        raise SandboxUnavailable(f"Docker: the workspace cannot be copied out: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


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
    for image in client.images.list(name=_REPOSITORY):
        yield from image.tags
