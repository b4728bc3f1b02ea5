"""The bubblewrap back end: the host's toolchain, read-only, in new namespaces. Needs no engine and no image.

What it cannot do: run a configured image, or bound memory of all processes together where control groups are closed
to this user (then the limit holds per process).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import Process

from perstack.core.contracts import Tell
from perstack.core.errors import InvariantBroken, SandboxUnavailable
from perstack.core.sandbox import ExecResult, Limits, Mount, Network, SandboxSpec, Snapshot
from perstack.infrastructure import process as host_process
from perstack.infrastructure.egress.inside import (
    behind,
    network_mounts,
    network_script,
    network_variables,
)
from perstack.infrastructure.egress.proxy import open_setup_egress
from perstack.infrastructure.owned import new_owned_folder, owned_folder, remove_tree
from perstack.infrastructure.sandbox import control_group, snapshot, toolchain
from perstack.infrastructure.sandbox.bubblewrap_process import INSTALL_HINT, OWN_ENV, Command, Pipes, joined, started
from perstack.infrastructure.sandbox.bubblewrap_view import (
    Machine,
    Plan,
    environment,
    limits_script,
    look,
    options,
    passed,
    writable,
)
from perstack.infrastructure.sandbox.channel import Channel, Inside
from perstack.infrastructure.sandbox.control_group import Groups
from perstack.infrastructure.sandbox.disk import watched
from perstack.infrastructure.sandbox.installing import (
    INSTALL_OUTPUT,
    installing,
    outward_mounts,
    outward_variables,
    silent,
)
from perstack.infrastructure.sandbox.memory import watched_groups
from perstack.infrastructure.sandbox.ownership import open_up
from perstack.infrastructure.sandbox.service import KEPT_HOME_SCRIPT, PipeService, check_words, passable
from perstack.infrastructure.sandbox.session import ChannelSession
from perstack.infrastructure.sandbox.snapshot_store import (
    PRUNED_AT_START,
    Keeping,
    Made,
    SnapshotStore,
    default_root,
    without_image,
)
from perstack.infrastructure.sandbox.system_calls import passed_program

_START_S = 20.0


async def probe_bubblewrap(path: Sequence[Path] = ()) -> str:
    """Start one sandbox for real: "" when it works, else a sentence that says why not."""
    with owned_folder("p") as folder:
        try:
            async with Bubblewrap(tuple(path), scratch=folder).open(Snapshot("", ""), folder) as session:
                result = await session.run(["true"], timeout_s=10)
        except SandboxUnavailable as error:
            return error.message
    return "" if result.exit_code == 0 else f"bubblewrap starts, but `true` fails in it: {result.text().strip()}"


class Bubblewrap:
    """`path` are directories of programs beyond the system's own; `cache` is where set-up snapshots are kept.

    `tell` hears what set-up and installations reached, and what they were refused. `scratch` is for what ends with the
    job, whose owner removes it.
    """

    def __init__(
        self,
        path: tuple[Path, ...] = (),
        *,
        cache: Path | None = None,
        keeping: Keeping | None = None,
        tell: Tell = silent,
        scratch: Path | None = None,
    ) -> None:
        self._scratch = scratch
        self._path = tuple(folder for folder in path if str(folder) not in toolchain.SYSTEM_PATH)
        self._store = SnapshotStore(cache or default_root())
        self._keeping = keeping or Keeping()
        self._tell = tell
        self._points = snapshot.MountPoints()
        self._machine: Machine | None = None  # asked for once, not for every sandbox

    @property
    def name(self) -> str:
        return "bubblewrap"

    async def prepare(self, spec: SandboxSpec, source: Path, log: Callable[[str], None]) -> Snapshot:
        """See `core.contracts.Sandbox.prepare`."""
        if spec.image or spec.build:
            log("bubblewrap uses this machine's own programs; [sandbox] image and build are not used")
        version = await host_process.run(["bwrap", "--version"], env=OWN_ENV, timeout_s=10)
        if version.exit_code:
            raise SandboxUnavailable("bubblewrap (bwrap) is not installed", hint=INSTALL_HINT)
        identity = "\0".join(["bubblewrap", version.text(), _os_release(), *map(str, self._path)])
        key = await anyio.to_thread.run_sync(snapshot.digest, identity, spec, source)
        if not spec.setup:
            return Snapshot("", key, spec.limits, spec.env, spec.network)
        await anyio.to_thread.run_sync(partial(self._store.prune, self._keeping, without_image, most=PRUNED_AT_START))
        made = partial(self._set_up, spec, source, log)
        place, there = await self._store.obtain(f"bubblewrap-{key[:32]}", spec.setup[0], made)
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
    ) -> AbstractAsyncContextManager[ChannelSession]:
        """See `core.contracts.Sandbox.open`."""
        return self._opened(
            snapshot,
            Plan(workspace, tuple(mounts), {**dict(snapshot.env), **(env or {})}, limits or snapshot.limits),
        )

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
    ) -> AbstractAsyncContextManager[PipeService]:
        """See `core.contracts.Sandbox.serve`. bwrap itself holds the pipes: there is no driver in between."""
        values = {**network_variables(network), **dict(snapshot.env), **(env or {})}
        whole = (*network_mounts(network), *mounts)
        plan = Plan(workspace, whole, values, limits or snapshot.limits, before=network_script(network))
        return self._served(snapshot, plan, argv)

    async def install(
        self, snapshot: Snapshot, argv: Sequence[str], folder: Mount, *, timeout_s: float = 600.0
    ) -> ExecResult:
        """See `core.contracts.Sandbox.install`."""
        await anyio.to_thread.run_sync(open_up, folder.source, (), os.getuid(), os.getgid())
        with installing(folder) as values:
            async with open_setup_egress(snapshot.network, self._tell) as network:
                plan = Plan(
                    None,
                    (folder, *outward_mounts(network)),
                    {**outward_variables(network), **dict(snapshot.env), **values},
                    snapshot.limits,
                    kept_home=_kept_home(snapshot),
                    place=folder.target,
                    before=network_script(network),
                )
                with self._command(plan, argv, await self._known()) as command:
                    async with joined(command.argv, command.fds, command.groups) as child:
                        result = await host_process.ended(child, timeout_s=timeout_s, output_limit=INSTALL_OUTPUT)
                    if not result.timed_out:
                        command.check(result.exit_code)
                return result

    @contextlib.asynccontextmanager
    async def _opened(self, made: Snapshot, plan: Plan) -> AsyncIterator[ChannelSession]:
        with control_group.limited(plan.limits) as groups:
            async with self._dressed(made, plan) as whole, self._started(whole, groups) as session:
                yield session

    @contextlib.asynccontextmanager
    async def _served(self, made: Snapshot, plan: Plan, argv: Sequence[str]) -> AsyncIterator[PipeService]:
        async with self._dressed(made, plan) as whole:
            await _taken_back(plan)
            with self._command(whole, argv, await self._known()) as command:
                async with joined(command.argv, command.fds, command.groups) as child:
                    yield PipeService(child, command.check)

    @contextlib.asynccontextmanager
    async def _dressed(self, made: Snapshot, plan: Plan) -> AsyncIterator[Plan]:
        """The plan with what set-up left, over a workspace that the inside may write."""
        if plan.workspace is None:
            raise InvariantBroken("a session needs a workspace")
        with self._points.dressed(plan.workspace, Path(made.reference) if made.reference else None) as products:
            yield replace(plan, mounts=(*products, *plan.mounts), kept_home=_kept_home(made))

    async def _set_up(self, spec: SandboxSpec, source: Path, log: Callable[[str], None], draft: Path) -> Made:
        """Run the commands over a copy of the source, behind the proxy, and keep what they made."""
        copy, home = draft / "workspace", draft / "home"
        await anyio.to_thread.run_sync(lambda: shutil.copytree(source, copy, symlinks=True))
        home.mkdir()
        async with open_setup_egress(spec.network, self._tell) as network:
            values = {**outward_variables(network), **dict(spec.env)}
            plan = Plan(copy, outward_mounts(network), values, spec.limits, home=home)
            with control_group.limited(plan.limits) as groups:
                async with self._started(plan, groups) as session:
                    for command in spec.setup:
                        log(f"set-up: {command}")
                        result = await session.run(behind(network, command), timeout_s=spec.setup_timeout_s)
                        if result.exit_code:
                            raise snapshot.setup_failed(command, result, draft)
        await anyio.to_thread.run_sync(snapshot.keep_products, source, copy, draft)
        await anyio.to_thread.run_sync(remove_tree, copy)
        return Made()

    @contextlib.asynccontextmanager
    async def _started(self, plan: Plan, groups: Groups) -> AsyncIterator[ChannelSession]:
        control = new_owned_folder("c")
        try:
            machine = await self._known()
            inside = Inside(control, snapshot.CONTROL, snapshot.WORKSPACE, environment(plan, self._path))
            words = options(plan, machine, control)
            with passed_program() as filtered:
                argv = [*words, *_filter(filtered), *_driver(plan, groups, machine.driver)]
                async with started(argv, _open(filtered), groups) as running:
                    child = running.process
                    await _taken_back(plan)
                    channel = Channel(Pipes(child), inside, _post_mortem(child))
                    await channel.begin(_START_S)
                    await running.join()  # the driver waits for its first command
                    with watched(plan.limits, writable(plan)) as disk:
                        yield ChannelSession(channel, disk, watched_groups(groups.places))
        finally:
            remove_tree(control)

    @contextlib.contextmanager
    def _command(self, plan: Plan, argv: Sequence[str], machine: Machine) -> Iterator[Command]:
        """The command line that runs one program inside, straight over the pipes of bwrap."""
        check_words(argv, plan.env or {})
        words = options(plan, machine)
        values, odd = passable(environment(plan, self._path))
        with (
            control_group.limited(plan.limits) as groups,
            passed_program() as filtered,
            passed([*words, *_filter(filtered)], values) as args,
            os.fdopen(os.memfd_create("bwrap-status"), "w+b") as status,
        ):
            own = ["--args", str(args), "--json-status-fd", str(status.fileno()), "--"]
            whole = (*own, *_program(plan, groups, odd), *argv)
            yield Command(whole, (args, status.fileno(), *_open(filtered)), groups, status)

    async def _known(self) -> Machine:
        if self._machine is None:
            control_group.sweep()
            features = (await host_process.run(["bwrap", "--help"], env=OWN_ENV, timeout_s=10)).text()
            etc = new_owned_folder("etc", self._scratch)
            if self._scratch is None:
                weakref.finalize(self, _remove_own, etc, os.getpid())
            self._machine = look(features, self._path, etc)
        return self._machine


def _remove_own(folder: Path, pid: int) -> None:
    """Only where it was made: a forked process has the name too."""
    if os.getpid() == pid:
        remove_tree(folder)


async def _taken_back(plan: Plan) -> None:
    """Inside, root is a user without powers: what a Docker session gave away must come back first."""
    if plan.workspace:
        await anyio.to_thread.run_sync(open_up, plan.workspace, plan.mounts, os.getuid(), os.getgid())


def _kept_home(made: Snapshot) -> Path | None:
    return Path(made.reference) / "home" if made.reference else None


def _filter(filtered: int | None) -> list[str]:
    return [] if filtered is None else ["--seccomp", str(filtered)]


def _open(filtered: int | None) -> tuple[int, ...]:
    return () if filtered is None else (filtered,)


def _driver(plan: Plan, groups: Groups, driver: str) -> list[str]:
    """The first program inside: set per-process limits, then be the driver."""
    path = f"PATH={':'.join(toolchain.SYSTEM_PATH)} HOME={snapshot.HOME}; export PATH HOME"
    whole = "\n".join([limits_script(plan.limits, groups), path, driver])
    return ["/bin/sh", "-c", whole, "sh", snapshot.CONTROL, snapshot.KEPT_HOME]


def _program(plan: Plan, groups: Groups, odd: str) -> list[str]:
    """The first program inside where one is served: set per-process limits, then become what follows."""
    kept = KEPT_HOME_SCRIPT if plan.kept_home else ""
    wanted = [limits_script(plan.limits, groups), kept, plan.before, odd, 'exec "$@"']
    return ["/bin/sh", "-c", "\n".join(filter(None, wanted)), "sh"]


def _post_mortem(child: Process) -> Callable[[str], Awaitable[str]]:
    async def words(last_line: str) -> str:
        with anyio.move_on_after(2):
            await child.wait()
        if last_line.startswith("bwrap:"):
            return last_line
        return f"its first process ended (status {child.returncode}); a command may have killed it"

    return words


def _os_release() -> str:
    try:
        return hashlib.sha256(Path("/etc/os-release").read_bytes()).hexdigest()
    except OSError:
        return ""
