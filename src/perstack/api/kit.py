"""The skills of an expert at its place of work: base tools in its session, servers in sandboxes of their own.

Makes them; the runtime opens and closes them.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from perstack.api.cover import inside
from perstack.api.host import Host
from perstack.api.locked import Locked
from perstack.api.snapshots import PACKAGES, keeping
from perstack.core.contracts import Sandbox, Service, Session, Skill, Tell
from perstack.core.errors import PerstackError
from perstack.core.experts import BUILTIN_SKILLS, RETRIEVAL_SKILL, Expert, SkillSpec
from perstack.core.json import JsonObject, canonical
from perstack.core.messages import ToolCall, ToolDefinition, ToolResult
from perstack.core.sandbox import Mount, Snapshot
from perstack.definition.lock import source
from perstack.infrastructure import package_store
from perstack.infrastructure.egress.proxy import named, open_egress
from perstack.infrastructure.egress.ready import PROXY_GATE, make_ready
from perstack.infrastructure.packages import Launch, installed
from perstack.infrastructure.sandbox.disk_bound import DiskBound
from perstack.infrastructure.sandbox.snapshot_store import PRUNED_AT_START
from perstack.runtime.concurrency import in_order
from perstack.runtime.equipment import CLOSING_S
from perstack.skills.base import base_skill
from perstack.skills.mcp.environment import missing_variables
from perstack.skills.retrieval_facts import Known
from perstack.skills.team import Team

if TYPE_CHECKING:
    from perstack.skills.mcp.making import Surroundings

_MAKING = "perstack.skills.mcp.making"
_RETRIEVAL = "perstack.skills.retrieval"
_PARALLEL_INSTALLS = 4


@dataclass(frozen=True, slots=True)
class Workplace:
    """A workspace and the sandboxes over it: `session` for base tools, fresh ones for servers.

    `covers` hide from every sandbox what lies in the workspace and is not the experts'. `known` is what retrieval
    tools may use of the job.
    """

    sandbox: Sandbox
    snapshot: Snapshot
    session: Session
    workspace: Path
    read_only: bool = False
    covers: tuple[Mount, ...] = ()
    known: Known = field(default_factory=Known)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the experts of one job have in common: their team, the lock, skills of the caller's own for some of them.

    `patience_s` is how long a call of a server's tool may take.
    """

    team: Team | None = None
    locked: Locked = field(default_factory=Locked)
    own: Callable[[Expert], tuple[Skill, ...]] = lambda _: ()
    patience_s: float = 300.0


@asynccontextmanager
async def open_kit(
    host: Host, place: Workplace, emit: Callable[[str, JsonObject], None], shared: Shared | None = None
) -> AsyncIterator[Kit]:
    """A kit whose servers end with the context at the latest."""
    failure: PerstackError | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield Kit(host, place, emit, tasks=tasks, shared=shared or Shared())
        except PerstackError as error:
            failure = error  # past the task group, which would wrap it
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def closing(skills: Sequence[Skill]) -> AsyncIterator[None]:
    """Close skills that a program lent, also while being cancelled, but not for ever."""
    try:
        yield
    finally:
        with anyio.move_on_after(CLOSING_S, shield=True):
            for skill in skills:
                await skill.close()


class Kit:
    """Makes the skills of a job's experts."""

    def __init__(
        self,
        host: Host,
        place: Workplace,
        emit: Callable[[str, JsonObject], None],
        *,
        tasks: TaskGroup,
        shared: Shared,
    ) -> None:
        self._host = host
        self._place = place
        self._emit = emit
        self._tasks = tasks
        self._shared = shared
        self._told: set[str] = set()
        self._launches: dict[str, Launch] = {}
        self._room = DiskBound(place.snapshot.limits)

    async def skills_of(self, expert: Expert) -> tuple[Skill, ...]:
        """Base tools, MCP servers, and what the caller of the run adds; interactive tools are the runtime's.

        Raises: UserError where one of them cannot be had here.
        """
        place = self._place
        base = base_skill(
            expert,
            place.workspace,
            place.session,
            read_only=place.read_only,
            team=self._shared.team,
            kept=inside(self._host.own_places, place.workspace),
        )
        found = self._retrieval(expert)
        return (base, *found, *await self._servers(expert), *(_Lent(skill) for skill in self._shared.own(expert)))

    def _retrieval(self, expert: Expert) -> tuple[Skill, ...]:
        if RETRIEVAL_SKILL not in expert.skills:
            return ()
        skill: Skill = importlib.import_module(_RETRIEVAL).retrieval_skill(
            expert, self._place.workspace, self._host.cache, self._place.known, self._say
        )
        return (skill,)

    def launch_of(self, spec: SkillSpec) -> Launch | None:
        """How the server of a skill is started, with its packages; None where nothing was got ready for it yet."""
        return self._launches.get(canonical(source(spec)))

    def _say(self, message: str) -> None:
        self._emit("progress", {"message": message})

    async def _servers(self, expert: Expert) -> tuple[Skill, ...]:
        wanted = [spec for name, spec in expert.skills.items() if name not in BUILTIN_SKILLS]
        if all(spec.type == "interactiveSkill" for spec in wanted):
            return ()
        known = self._shared.locked.known(expert)
        for sentence in known.stale:
            if sentence not in self._told:
                self._told.add(sentence)
                self._say(sentence)
        # What has no value for a required variable is left out: nothing of it is fetched.
        startable = [spec for spec in wanted if spec.command and not missing_variables(spec, self._host.env)]
        await self._install(startable, set(known.tools))
        making = importlib.import_module(_MAKING)
        patience = making.Patience(call_s=self._shared.patience_s)
        around: Surroundings = making.Surroundings(self._tasks, self._serve, self._host.env, patience)
        skills: tuple[Skill, ...] = making.skills_of(expert, around, known.tools)
        return skills

    async def _install(self, specs: Sequence[SkillSpec], known: Collection[str]) -> None:
        """Have packages ready before a server's time to start begins. Who need not be asked is not waited for."""
        jobs: list[Callable[[], Awaitable[Launch]]] = []
        for spec in specs:
            if spec.name in known or spec.lazy_init:
                self._tasks.start_soon(self._early, spec)
            else:
                jobs.append(partial(self._launch, spec))
        await in_order(jobs, limit=_PARALLEL_INSTALLS)

    async def _early(self, spec: SkillSpec) -> None:
        with contextlib.suppress(PerstackError):  # told when the server is needed
            await self._launch(spec)

    async def _launch(self, spec: SkillSpec) -> Launch:
        origin = canonical(source(spec))
        if origin in self._launches:
            return self._launches[origin]
        place = self._place
        await self._proxy_ready(place.sandbox.name != "host" and place.snapshot.network.open)
        words = (spec.package_name,) if spec.package_name else spec.args
        cache = self._host.cache / PACKAGES
        if not self._launches:
            clear = partial(package_store.prune, cache, keeping(self._host.env), most=PRUNED_AT_START)
            await anyio.to_thread.run_sync(clear)
        launch = await installed(
            place.sandbox,
            place.snapshot,
            spec.command,
            words,
            cache=cache,
            log=self._say,
            version=self._shared.locked.version(spec),
        )
        self._shared.locked.check(spec, launch)
        self._launches[origin] = launch
        return launch

    async def _proxy_ready(self, needed: bool) -> None:
        if needed:
            await make_ready(self._host.env, self._say, self._host.scratch / PROXY_GATE)

    @asynccontextmanager
    async def _serve(self, spec: SkillSpec, env: Mapping[str, str]) -> AsyncIterator[Service]:
        """A skill's server in a sandbox of its own: its package installed before, its network its domains only."""
        place = self._place
        launch = await self._launch(spec)
        await self._proxy_ready(bool(spec.allowed_domains))
        async with AsyncExitStack() as stack:
            network = None
            if spec.allowed_domains:
                tell = named(self._emit, {"skill": spec.name})
                network = await stack.enter_async_context(open_egress(spec.allowed_domains, tell))
            service = place.sandbox.serve(
                place.snapshot,
                place.workspace,
                launch.argv,
                mounts=(*place.covers, *launch.mounts),
                env={**launch.env, **env},
                limits=place.snapshot.limits,
                network=network,
            )
            await stack.enter_async_context(self._room.held("its sandbox", [place.workspace], lasting=True))
            yield await stack.enter_async_context(service)


class _Lent:
    """A skill of the caller's. Several runs of one job may use it, so none of them closes it."""

    def __init__(self, skill: Skill) -> None:
        self._skill = skill

    @property
    def name(self) -> str:
        return self._skill.name

    async def open(self, tell: Tell) -> None:
        await self._skill.open(tell)

    async def definitions(self) -> Sequence[ToolDefinition]:
        return await self._skill.definitions()

    async def call(self, call: ToolCall) -> ToolResult:
        return await self._skill.call(call)

    async def close(self) -> None:
        """Not ours to close."""
