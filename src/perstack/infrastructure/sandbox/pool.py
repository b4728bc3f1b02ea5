"""Sandboxes made ready before they are asked for: the next one like the last starts while the last one works.

Each is used once: what ran code is never used again. A ready sandbox has empty folders where the workspace and the
mounts will be. Taking it moves the files of the wanted folder into the bound one, and that one into the wanted
folder's place: a bind mount follows its folder, whatever name it has. What cannot be had so is started afresh.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from perstack.core.contracts import Sandbox, Service, Session
from perstack.core.errors import PerstackError
from perstack.core.sandbox import ExecResult, Limits, Mount, Network, SandboxSpec, Snapshot
from perstack.infrastructure.owned import new_owned_folder, remove_tree
from perstack.infrastructure.sandbox import snapshot as places
from perstack.infrastructure.sandbox.ownership import open_up

_WORTH_IT = frozenset({"docker"})  # the others start about as fast as files move
_MOST_READY = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """What sandboxes have in common that can stand in for each other."""

    snapshot: Snapshot
    limits: Limits | None
    mounts: tuple[tuple[str, bool], ...]  # target, writable


@dataclass(slots=True)
class Place:
    """A sandbox in the making, then waiting, then used: its empty folders, and signals between holder and user."""

    session: Session | None = None
    folders: tuple[Path, ...] = ()
    owner: tuple[int, int] = (0, 0)
    made: anyio.Event = field(default_factory=anyio.Event)
    leave: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)


@dataclass(frozen=True, slots=True)
class WarmSession:
    """A session that was there before its variables were known."""

    inner: Session
    variables: Mapping[str, str]

    @property
    def workspace(self) -> str:
        """See `core.contracts.Session.workspace`."""
        return self.inner.workspace

    def inside(self, mount: Mount) -> str:
        """See `core.contracts.Session.inside`."""
        return mount.target

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout_s: float = 60.0,
        output_limit: int = 1_000_000,
    ) -> ExecResult:
        """Run one command; see `core.contracts.Session.run`."""
        values = {**self.variables, **(env or {})}
        return await self.inner.run(
            argv, cwd=cwd, env=values, stdin=stdin, timeout_s=timeout_s, output_limit=output_limit
        )


@contextlib.asynccontextmanager
async def warmed(sandbox: Sandbox) -> AsyncIterator[Sandbox]:
    """The same back end with the next sandbox at hand, for as long as the context lasts; then none is left."""
    if sandbox.name not in _WORTH_IT:
        yield sandbox
        return
    try:
        async with anyio.create_task_group() as tasks:
            try:
                yield Pool(sandbox, tasks)
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:  # what the context's own body raised, as if there were no pool
            raise group.exceptions[0] from None
        raise


class Pool:
    """A back end that keeps ready what was asked for last. Everything else goes to `inner`."""

    def __init__(self, inner: Sandbox, tasks: TaskGroup) -> None:
        self._inner = inner
        self._tasks = tasks
        self._places: dict[Shape, Place] = {}
        self._users: Counter[Path] = Counter()

    @property
    def name(self) -> str:
        return self._inner.name

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """See `core.contracts.Sandbox.prepare`."""
        return await self._inner.prepare(spec, source, log)

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
    ) -> AbstractAsyncContextManager[Service]:
        """See `core.contracts.Sandbox.serve`."""
        return self._serving(workspace, self._inner.serve(
            snapshot, workspace, argv, mounts=mounts, env=env, limits=limits, network=network
        ))  # fmt: skip

    async def install(
        self, snapshot: Snapshot, argv: Sequence[str], folder: Mount, *, timeout_s: float = 600.0
    ) -> ExecResult:
        """See `core.contracts.Sandbox.install`."""
        return await self._inner.install(snapshot, argv, folder, timeout_s=timeout_s)

    @contextlib.asynccontextmanager
    async def open(
        self,
        snapshot: Snapshot,
        workspace: Path,
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> AsyncIterator[Session]:
        """See `core.contracts.Sandbox.open`."""
        shape = _shape(snapshot, limits, mounts)
        with self._counted(workspace) as alone:
            place = await self._taken(shape, workspace, mounts) if shape and alone else None
            if place is not None and place.session is not None:
                try:
                    self._make_next(shape)
                    yield WarmSession(place.session, env or {})
                finally:
                    place.leave.set()
                    with anyio.CancelScope(shield=True):  # what ran in it must be dead when this context ends
                        await place.gone.wait()
                return
            async with self._inner.open(snapshot, workspace, mounts=mounts, env=env, limits=limits) as session:
                self._make_next(shape)
                yield session

    @contextlib.asynccontextmanager
    async def _serving(self, workspace: Path, service: AbstractAsyncContextManager[Service]) -> AsyncIterator[Service]:
        with self._counted(workspace):
            async with service as started:
                yield started

    @contextlib.contextmanager
    def _counted(self, workspace: Path) -> Iterator[bool]:
        """Whether nobody else has a sandbox over the workspace."""
        key = workspace.resolve()
        self._users[key] += 1
        try:
            yield self._users[key] == 1
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]

    async def _taken(self, shape: Shape, workspace: Path, mounts: Sequence[Mount]) -> Place | None:
        """The ready sandbox of this shape with the wanted folders in it; None where there is none, or they do not fit.

        One in the making is waited for: it is ahead of any that is started now. A folder that another sandbox has
        bound must not be moved: only whoever is alone over a workspace gets here.
        """
        place = self._places.pop(shape, None)
        if place is None:
            return None
        await place.made.wait()
        wanted = (workspace, *(mount.source for mount in mounts))
        if place.session is None or not all(map(_fits, wanted, place.folders)):
            place.leave.set()
            return None
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_move_in, wanted, place.folders)
            await anyio.to_thread.run_sync(open_up, workspace, tuple(mounts), *place.owner)
        return place

    def _make_next(self, shape: Shape | None) -> None:
        if shape and shape not in self._places:
            while len(self._places) >= _MOST_READY:
                self._places.pop(next(iter(self._places))).leave.set()
            place = self._places[shape] = Place()
            self._tasks.start_soon(self._keep, shape, place)

    async def _keep(self, shape: Shape, place: Place) -> None:
        """Start a sandbox over empty folders and hold it until it was used or the job ends."""
        base = new_owned_folder("w")
        try:
            base.chmod(0o711)
            place.folders = tuple(base / str(number) for number in range(len(shape.mounts) + 1))
            for folder in place.folders:
                folder.mkdir()
            mounts = [
                Mount(folder, target, writable=writable)
                for folder, (target, writable) in zip(place.folders[1:], shape.mounts, strict=True)
            ]
            opened = self._inner.open(shape.snapshot, place.folders[0], mounts=mounts, limits=shape.limits)
            async with opened as session:
                about = place.folders[0].stat()
                place.session, place.owner = session, (about.st_uid, about.st_gid)
                place.made.set()
                await place.leave.wait()
        except (PerstackError, OSError):
            return  # whoever needs one starts it himself, and is told why it does not work
        finally:
            remove_tree(base)
            place.made.set()
            place.gone.set()


def _shape(snapshot: Snapshot, limits: Limits | None, mounts: Sequence[Mount]) -> Shape | None:
    """None where a sandbox cannot be made before its folders are known: files, and mounts in the workspace."""
    if any(mount.source.is_file() or mount.target.startswith(f"{places.WORKSPACE}/") for mount in mounts):
        return None
    return Shape(snapshot, limits, tuple((mount.target, mount.writable) for mount in mounts))


def _fits(wanted: Path, bound: Path) -> bool:
    """Whether everything can be moved: one disk, no mount point, and no name that the bound folder has already."""
    if wanted.is_symlink() or not wanted.is_dir() or wanted.stat().st_dev != bound.stat().st_dev:
        return False
    with os.scandir(bound) as entries:
        return not any((wanted / entry.name).exists() for entry in entries)


def _move_in(wanted: Sequence[Path], bound: Sequence[Path]) -> None:
    """Put the contents of each wanted folder into the bound one, and that one into its place."""
    for old, new in zip(wanted, bound, strict=True):
        about = old.stat()
        with os.scandir(old) as entries:
            for entry in entries:
                Path(entry.path).rename(new / entry.name)
        new.chmod(about.st_mode & 0o7777)
        old.rmdir()
        new.rename(old)
