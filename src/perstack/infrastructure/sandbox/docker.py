"""The Docker back end. What an image is made of is in `docker_image.py`, what a container is in `docker_container.py`.

The engine must be on this machine, since the workspace is a directory of this machine.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import docker
from docker.errors import DockerException
from docker.models.containers import Container
from requests.exceptions import RequestException

from perstack.core.contracts import Tell
from perstack.core.errors import InvariantBroken, SandboxUnavailable, UserError
from perstack.core.sandbox import ExecResult, Limits, Mount, Network, SandboxSpec, Snapshot
from perstack.infrastructure.egress.inside import network_mounts, network_script, network_variables
from perstack.infrastructure.egress.proxy import open_setup_egress
from perstack.infrastructure.owned import new_owned_folder, owned_folder, remove_tree
from perstack.infrastructure.sandbox import docker_image, snapshot
from perstack.infrastructure.sandbox.channel import DRIVER, Channel, Inside
from perstack.infrastructure.sandbox.disk import watched
from perstack.infrastructure.sandbox.docker_beside import HOSTS, hosts_file, remove_all, start_all
from perstack.infrastructure.sandbox.docker_container import (
    APART,
    TOGETHER,
    Plan,
    Started,
    connect,
    connected,
    first_sentence,
    owner_of_files,
    reap,
    remove,
    start,
    writable,
)
from perstack.infrastructure.sandbox.docker_disk import Layers, layers_of
from perstack.infrastructure.sandbox.docker_leftovers import remove_orphans
from perstack.infrastructure.sandbox.docker_podman import own_profile
from perstack.infrastructure.sandbox.docker_service import DockerService, first_lines, first_words
from perstack.infrastructure.sandbox.docker_stream import Attached, NamedPipe, named_pipe
from perstack.infrastructure.sandbox.installing import (
    INSTALL_OUTPUT,
    installing,
    outward_mounts,
    outward_variables,
    silent,
)
from perstack.infrastructure.sandbox.memory import MemoryWatch
from perstack.infrastructure.sandbox.ownership import given_back
from perstack.infrastructure.sandbox.service import check_words, collect
from perstack.infrastructure.sandbox.session import ChannelSession
from perstack.infrastructure.sandbox.snapshot_store import (
    PRUNED_AT_START,
    Keeping,
    Kept,
    Made,
    SnapshotStore,
    default_root,
)

_START_S = 60.0
_PROBE_S = 10
_ERRORS = f"{snapshot.CONTROL}/errors"


async def probe_docker() -> str:
    """ "" when an engine answers, else a sentence that says why not."""

    def ask() -> str:
        try:
            connect(timeout_s=_PROBE_S).close()
        except SandboxUnavailable as error:
            return error.message
        return ""

    return await anyio.to_thread.run_sync(ask)


class Docker:
    """`cache` is where set-up snapshots are kept; `runtime` such as `runsc` comes from the specification.

    `engine` is the address of a socket; left out, it is Docker's default. `tell` hears what set-up and installations
    reached, and what they were refused.
    """

    def __init__(
        self, *, cache: Path | None = None, keeping: Keeping | None = None, tell: Tell = silent, engine: str = ""
    ) -> None:
        self._store = SnapshotStore(cache or default_root())
        self._keeping = keeping or Keeping()
        self._tell = tell
        self._engine = engine
        self._points = snapshot.MountPoints()

    @property
    def name(self) -> str:
        return "docker"

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """See `core.contracts.Sandbox.prepare`. Also takes away containers that a killed harness left behind."""

        def find() -> tuple[docker_image.Sources, str | None]:
            with connected(self._engine) as client:
                reap(client)
                remove_orphans(client, most=PRUNED_AT_START)
                return docker_image.sources_of(client, spec, source, log), own_profile(client)

        def use(tag: str) -> str:
            with connected(self._engine) as client:
                return docker_image.identity(client, tag)

        found, profile = await anyio.to_thread.run_sync(find)
        if found.services and found.runtime.startswith("runsc"):
            raise UserError(
                "[sandbox] services: gVisor shares no network between containers",
                hint='Remove `runtime`, or name another one where runsc is the engine\'s own (`runtime = "runc"`).',
            )
        spec, image, services = found.spec, found.image, found.services
        identity = "\0".join([image, *map(json.dumps, services)])
        key = await anyio.to_thread.run_sync(snapshot.digest, identity, spec, source)
        place = ""
        if spec.setup:
            name = f"docker-{key[:32]}"
            tag = docker_image.tag_of(key, self._store.root)
            drop = partial(drop_image, engine=self._engine)
            await anyio.to_thread.run_sync(partial(self._store.prune, self._keeping, drop, most=PRUNED_AT_START))
            made = partial(self._set_up, spec, source, log, (image, tag, self._store.root / name))
            folder, there = await self._store.obtain(name, spec.setup[0], made, self._has_image)
            if there:
                log("set-up is cached")
            image, place = await anyio.to_thread.run_sync(use, tag), str(folder)
        told = {
            "image": image,
            "products": place,
            "runtime": spec.runtime,
            "engine": self._engine,
            "services": services,
            "rootless": found.rootless,
            "podman": profile is not None,
            "profile": profile or "",
        }
        reference = json.dumps(told)
        return Snapshot(reference, key, spec.limits, spec.env, spec.network)

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
        plan = _plan(snapshot, workspace, tuple(mounts), env or {}, limits)
        return self._opened(snapshot, plan)

    def serve(
        self,
        snapshot: Snapshot,
        workspace: Path,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        network: Network | None = None,
    ) -> AbstractAsyncContextManager[DockerService]:
        """See `core.contracts.Sandbox.serve`: a container whose first program becomes `argv`."""
        values = {**network_variables(network), **dict(snapshot.env), **(env or {})}
        plan = _plan(snapshot, workspace, (*network_mounts(network), *mounts), values, limits)
        return self._served(snapshot, replace(plan, before=network_script(network)), argv)

    async def install(
        self, snapshot: Snapshot, argv: Sequence[str], folder: Mount, *, timeout_s: float = 600.0
    ) -> ExecResult:
        """See `core.contracts.Sandbox.install`."""
        check_words(argv, {})
        with given_back(folder.source), installing(folder) as values:
            async with open_setup_egress(snapshot.network, self._tell) as network:
                base = _plan(snapshot, None, (folder, *outward_mounts(network)), {}, None)
                env = {**outward_variables(network), **base.env, **values}
                plan = replace(base, env=env, place=folder.target, before=network_script(network))
                words = ["/bin/sh", "-c", 'exec "$@" </dev/null', "sh", *argv]
                async with self._program(plan, words) as service:
                    return await collect(service, timeout_s, INSTALL_OUTPUT)

    async def _set_up(
        self,
        spec: SandboxSpec,
        source: Path,
        log: Callable[[str], None],
        names: tuple[str, str, Path],  # the image, the tag of its result, where the rest will be
        draft: Path,
    ) -> Made:
        image, tag, place = names
        async with open_setup_egress(spec.network, self._tell) as network:
            start = docker_image.Start(image, tag, network, draft, place)

            def work() -> Made:
                with connected(self._engine) as client:
                    return docker_image.set_up(client, spec, source, log, start)

            return await anyio.to_thread.run_sync(work)

    @contextlib.asynccontextmanager
    async def _opened(self, made: Snapshot, plan: Plan) -> AsyncIterator[ChannelSession]:
        control = new_owned_folder("c")
        control.chmod(0o755)
        shutil.copyfile(DRIVER, control / "driver")
        try:
            with self._products(made, plan) as dressed:
                services = json.loads(made.reference)["services"]
                names = (Mount(hosts_file(control, services), HOSTS),) if services else ()
                whole = replace(dressed, mounts=(Mount(control, snapshot.CONTROL), *names, *dressed.mounts))
                command = [f"{snapshot.CONTROL}/driver", snapshot.CONTROL, snapshot.KEPT_HOME]
                async with (
                    _running(whole, command, TOGETHER) as (client, started),
                    _beside(client, started, services, control / "hosts", plan.limits) as layers,
                ):
                    inside = Inside(control, snapshot.CONTROL, snapshot.WORKSPACE, started.environment)
                    channel = Channel(Attached(started.sockets[0]), inside, _post_mortem(started.container))
                    await channel.begin(_START_S)
                    with watched(plan.limits, (*writable(whole), *layers.folders), layers) as disk:
                        yield ChannelSession(
                            channel, disk, MemoryWatch(started.groups, _short_of_memory(started.container))
                        )
        finally:
            remove_tree(control)

    @contextlib.asynccontextmanager
    async def _served(self, made: Snapshot, plan: Plan, argv: Sequence[str]) -> AsyncIterator[DockerService]:
        with self._products(made, plan) as dressed:
            async with self._program(dressed, argv) as service:
                yield service

    @contextlib.asynccontextmanager
    async def _program(self, plan: Plan, argv: Sequence[str]) -> AsyncIterator[DockerService]:
        check_words(argv, plan.env)
        with _pipe_of(plan) as pipe:
            mark, command = first_words(argv, plan.before, _ERRORS if pipe else "")
            mounts = (*plan.mounts, Mount(pipe.path.parent, str(Path(_ERRORS).parent))) if pipe else plan.mounts
            async with _running(replace(plan, mounts=mounts), command, APART[: 1 if pipe else 2]) as (client, started):
                out, *others = (Attached(sock) for sock in started.sockets)
                service = DockerService(client, started.container, out, pipe or others[0])
                await service.send(first_lines(started.environment, mark))
                yield service

    def _has_image(self, one: Kept) -> bool:
        with connected(self._engine) as client:
            return docker_image.has(client, one.image)

    @contextlib.contextmanager
    def _products(self, made: Snapshot, plan: Plan) -> Iterator[Plan]:
        """The plan with what set-up left in the workspace."""
        if plan.workspace is None:
            raise InvariantBroken("a session needs a workspace")
        kept = json.loads(made.reference)["products"]
        with self._points.dressed(plan.workspace, Path(kept) if kept else None) as products:
            yield replace(plan, mounts=(*products, *plan.mounts))


def drop_image(one: Kept, engine: str = "") -> bool:
    """Take away the image of a snapshot; False where the engine (at this address) keeps it or does not answer."""
    if not one.image:
        return True
    try:
        with connected(engine) as client:
            return docker_image.remove_image(client, one.image)
    except SandboxUnavailable:
        return False


def _plan(
    made: Snapshot, workspace: Path | None, mounts: tuple[Mount, ...], env: Mapping[str, str], limits: Limits | None
) -> Plan:
    reference = json.loads(made.reference)
    values = {**dict(made.env), **env}
    return Plan(
        reference["image"],
        workspace,
        mounts,
        values,
        limits or made.limits,
        reference["runtime"],
        engine=reference["engine"],
        rootless=reference["rootless"],
        podman=reference["podman"],
        profile=reference["profile"],
    )


@contextlib.contextmanager
def _pipe_of(plan: Plan) -> Iterator[NamedPipe | None]:
    """A way of their own for the errors of a program, where Podman would send both streams over each connection."""
    if not plan.podman:
        yield None
        return
    with (
        owned_folder("e", mode=0o755) as folder,
        contextlib.closing(named_pipe(folder / Path(_ERRORS).name, owner_of_files())) as pipe,
    ):
        yield pipe


@contextlib.asynccontextmanager
async def _beside(
    client: docker.DockerClient, sandbox: Started, services: Sequence[Mapping[str, Any]], hosts: Path, limits: Limits
) -> AsyncIterator[Layers]:
    """The services, ready, in the sandbox's own network; gone when the context ends. What they write to the disk."""
    made: list[Container] = []
    try:
        if services:
            begin = partial(start_all, client, sandbox.container, services, hosts=hosts, limits=limits, into=made)
            await anyio.to_thread.run_sync(begin)
        yield await anyio.to_thread.run_sync(layers_of, client, made) if made else Layers(client)
    finally:
        if made:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(remove_all, made)


@contextlib.asynccontextmanager
async def _running(
    plan: Plan, command: Sequence[str], attachments: Sequence[Mapping[str, int]]
) -> AsyncIterator[tuple[docker.DockerClient, Started]]:
    """A running container; gone, with everything in it, when the context ends."""
    client = await anyio.to_thread.run_sync(connect, plan.engine)
    started: Started | None = None
    try:
        with anyio.CancelScope(shield=True):  # never lose hold of a container that was just made
            found = started = await anyio.to_thread.run_sync(start, client, plan, command, attachments)
        yield client, found
    finally:
        with anyio.CancelScope(shield=True):
            for sock in started.sockets if started else ():
                anyio.notify_closing(sock)
                sock.close()
            await anyio.to_thread.run_sync(remove, client, started.container if started else None)


def _short_of_memory(container: Container) -> Callable[[], Awaitable[bool]]:
    def look() -> bool:
        with contextlib.suppress(DockerException, RequestException):
            container.reload()
        return bool(container.attrs["State"].get("OOMKilled"))

    async def asked() -> bool:
        return await anyio.to_thread.run_sync(look)

    return asked


def _post_mortem(container: Container) -> Callable[[str], Awaitable[str]]:
    def look() -> str:
        try:
            container.reload()
        except (DockerException, RequestException) as error:
            return f"the engine does not answer ({first_sentence(error)})"
        state = container.attrs["State"]
        if state.get("OOMKilled"):
            return "out of memory"
        return f"its first process ended (status {state.get('ExitCode')}); a command may have killed it"

    async def words(last_line: str) -> str:
        del last_line  # what the container wrote is the command's word, not the engine's
        return await anyio.to_thread.run_sync(look)

    return words
