"""The host back end: no isolation at all. For people who choose it in so many words; callers warn loudly.

Commands get a clean environment, a HOME of their own and time limits, and what they leave running is killed where it
can be found. They can still read and change everything the user can, and reach the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread

from perstack.core.contracts import Tell
from perstack.core.errors import ToolError
from perstack.core.sandbox import ExecResult, Limits, Mount, Network, SandboxSpec, Snapshot
from perstack.infrastructure import process
from perstack.infrastructure.owned import owned_folder, remove_tree
from perstack.infrastructure.sandbox import snapshot
from perstack.infrastructure.sandbox.installing import (
    INSTALL_OUTPUT,
    authority_mounts,
    authority_variables,
    installing,
    silent,
)
from perstack.infrastructure.sandbox.service import PipeService, check_words, passable
from perstack.infrastructure.sandbox.snapshot_store import (
    PRUNED_AT_START,
    Keeping,
    Made,
    SnapshotStore,
    default_root,
    without_image,
)
from perstack.infrastructure.sandbox.toolchain import SYSTEM_PATH

_TAG = "PERSTACK_SANDBOX"


@dataclass(frozen=True, slots=True)
class HostSession:
    """Commands as plain processes of this machine, marked so that what they leave behind can be found."""

    root: Path
    environment: Mapping[str, str]

    @property
    def workspace(self) -> str:
        """The workspace itself."""
        return str(self.root)

    def inside(self, mount: Mount) -> str:
        """The mount's source: nothing can be put anywhere else."""
        return str(mount.source)

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
        place = Path(os.path.normpath(self.root / cwd))
        if not place.is_relative_to(self.root):
            raise ToolError(f"{cwd}: outside the workspace")
        try:
            return await process.run(
                argv,
                cwd=place,
                env={**self.environment, **(env or {})},
                stdin=stdin,
                timeout_s=timeout_s,
                output_limit=output_limit,
            )
        finally:
            kill_marked(self.environment[_TAG])


def kill_marked(mark: str) -> None:
    """Kill every process that has our mark in its first environment, until none is left; daemons included."""
    wanted = f"{_TAG}={mark}".encode()
    for _ in range(20):
        found = False
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
                    found = True
        if not found:
            return


@dataclass(frozen=True, slots=True)
class HostService(PipeService):
    """A served program as a plain process. What it leaves behind is found by its mark when it has ended."""

    mark: str

    async def wait(self) -> int:
        """See `core.contracts.Service.wait`."""
        code = await PipeService.wait(self)
        process.kill_group(self.process.pid)
        kill_marked(self.mark)
        return code


class Host:
    """`path` are directories of programs beyond the system's own."""

    def __init__(
        self,
        path: tuple[Path, ...] = (),
        *,
        cache: Path | None = None,
        keeping: Keeping | None = None,
        tell: Tell = silent,
    ) -> None:
        del tell  # nothing here is between a command and the network
        self._path = path
        self._store = SnapshotStore(cache or default_root())
        self._keeping = keeping or Keeping()
        self._points = snapshot.MountPoints()

    @property
    def name(self) -> str:
        return "host"

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """Run set-up over a copy of the source. An editable install into it does not reach other workspaces."""
        if spec.image or spec.build:
            log("the host back end uses this machine's own programs; [sandbox] image and build are not used")
        identity = "\0".join(["host", platform.platform(), *map(str, self._path)])
        key = await anyio.to_thread.run_sync(snapshot.digest, identity, spec, source)
        if not spec.setup:
            return Snapshot("", key, spec.limits, spec.env, spec.network)
        await anyio.to_thread.run_sync(partial(self._store.prune, self._keeping, without_image, most=PRUNED_AT_START))
        made = partial(self._set_up, spec, source, log)
        place, there = await self._store.obtain(f"host-{key[:32]}", spec.setup[0], made)
        if there:
            log("set-up is cached")
        return Snapshot(str(place), key, spec.limits, spec.env, spec.network)

    def open(
        self,
        snapshot: Snapshot,
        workspace: Path,
        *,
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> AbstractAsyncContextManager[HostSession]:
        """See `core.contracts.Sandbox.open`. Limits and mounts cannot be enforced here."""
        del mounts, limits
        return self._opened(snapshot, workspace, {**dict(snapshot.env), **(env or {})})

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
    ) -> AbstractAsyncContextManager[HostService]:
        """See `core.contracts.Sandbox.serve`. Limits, mounts and `network` cannot be enforced here."""
        del mounts, limits, network
        return self._served(snapshot, workspace, argv, env or {})

    async def install(
        self, snapshot: Snapshot, argv: Sequence[str], folder: Mount, *, timeout_s: float = 600.0
    ) -> ExecResult:
        """See `core.contracts.Sandbox.install`. The folder is where it is: its `target` plays no part."""
        check_words(argv, {})
        with installing(Mount(folder.source, str(folder.source), writable=True)) as values:
            bundle = next((str(mount.source) for mount in authority_mounts()), "")
            env = {**authority_variables(bundle), **dict(snapshot.env), **values}
            environment = self._environment(Path(values["HOME"]), env)
            try:
                return await process.run(
                    argv, cwd=folder.source, env=environment, timeout_s=timeout_s, output_limit=INSTALL_OUTPUT
                )
            finally:
                kill_marked(environment[_TAG])

    @contextlib.asynccontextmanager
    async def _served(
        self, made: Snapshot, workspace: Path, argv: Sequence[str], env: Mapping[str, str]
    ) -> AsyncIterator[HostService]:
        check_words(argv, env)
        async with self._opened(made, workspace, {**dict(made.env), **env}) as session:
            # Through a shell, so that a missing program is an exit code here as it is in a sandbox.
            values, odd = passable(session.environment)
            words = ["/bin/sh", "-c", f'{odd}\nexec "$@"', "sh", *argv]
            async with process.open_process(words, cwd=session.root, env=values) as child:
                yield HostService(child, process.exit_code_of, session.environment[_TAG])

    @contextlib.asynccontextmanager
    async def _opened(self, made: Snapshot, workspace: Path, env: Mapping[str, str]) -> AsyncIterator[HostSession]:
        place = Path(made.reference) if made.reference else None
        links = _linked(place) if place else ()
        root = workspace.resolve()
        with owned_folder("h") as folder:
            if place:
                shutil.copytree(place / "home", folder, symlinks=True, dirs_exist_ok=True)
            session = HostSession(root, self._environment(folder, env))
            with self._points.held(root, partial(snapshot.remove_links, root, links)):
                snapshot.place_links(root, links)
                try:
                    yield session
                finally:
                    kill_marked(session.environment[_TAG])

    async def _set_up(self, spec: SandboxSpec, source: Path, log: Callable[[str], None], draft: Path) -> Made:
        copy, home = draft / "workspace", draft / "home"
        await anyio.to_thread.run_sync(lambda: shutil.copytree(source, copy, symlinks=True))
        home.mkdir()
        session = HostSession(copy, self._environment(home, dict(spec.env)))
        for command in spec.setup:
            log(f"set-up: {command}")
            result = await session.run(["sh", "-c", command], timeout_s=spec.setup_timeout_s)
            if result.exit_code:
                raise snapshot.setup_failed(command, result, draft)
        await anyio.to_thread.run_sync(snapshot.keep_products, source, copy, draft)
        await anyio.to_thread.run_sync(remove_tree, copy)
        return Made()

    def _environment(self, home: Path, env: Mapping[str, str]) -> dict[str, str]:
        temporary = home / ".tmp"
        temporary.mkdir(exist_ok=True)
        return {
            "PATH": ":".join([f"{home}/.local/bin", *map(str, self._path), *SYSTEM_PATH]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(temporary),
            _TAG: hashlib.sha256(secrets.token_bytes(16)).hexdigest()[:32],
            **env,
        }


def _linked(place: Path) -> tuple[snapshot.Link, ...]:
    """Links to what set-up made, where others have mounts, and its own links."""
    mounts = snapshot.product_mounts(place)
    own = (snapshot.Link(each.target.removeprefix(f"{snapshot.WORKSPACE}/"), str(each.source)) for each in mounts)
    return (*own, *snapshot.product_links(place))
