"""Writing a lock file: every expert's tools, asked of servers that run where they would in a run. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from perstack.api.configuration import brought_experts, read_config
from perstack.api.engine import Engine, Job
from perstack.api.host import Host
from perstack.api.kit import Kit, Shared
from perstack.api.locked import Locked, package_of
from perstack.api.stamps import now_ms
from perstack.api.writing import put
from perstack.core.contracts import Skill
from perstack.core.errors import InfrastructureError, PerstackError, UserError
from perstack.core.events import EventSink
from perstack.core.experts import BASE_SKILL, Config, Expert
from perstack.core.json import JsonObject, canonical
from perstack.core.messages import ToolDefinition
from perstack.definition.load import load_file, read_experts
from perstack.definition.lock import (
    INTERACTIVE,
    LOCK_NAME,
    Lock,
    LockedExpert,
    LockedSkill,
    differences,
    locked_expert,
    source,
)
from perstack.definition.lock_file import read_lock
from perstack.definition.lock_text import render_lock
from perstack.definition.topology import resolve_expert
from perstack.runtime.concurrency import in_order
from perstack.runtime.offers import interactive_tools
from perstack.runtime.store import JobStore
from perstack.skills.mcp.skill import AbsentSkill
from perstack.skills.team import Team

_PARALLEL_STARTS = 8


@dataclass(frozen=True, slots=True)
class Installation:
    """What was collected. `changes` are what it says otherwise than the lock that was there, one line each.

    `left_out` are skills whose tools could not be asked for, and why.
    """

    path: Path
    lock: Lock
    changes: tuple[str, ...]
    left_out: tuple[str, ...] = ()


async def collect(
    host: Host, config: Path, say: Callable[[str], None], watch: EventSink | None = None, *, upgrade: bool = False
) -> Installation:
    """Start every skill of every expert of a definition, delegates of any depth included, and ask for its tools.

    `say` gets the public lines of progress; nothing is written. Packages stay at the versions of the lock that is
    there; with `upgrade` they become the newest that fit.
    Raises: UserError (definition, package), InfrastructureErrors (no sandbox, a server that does not start).
    """
    say("Resolving experts...")
    settings = read_config(config)
    experts = _reached(settings, {**load_file(config).experts, **brought_experts(config)})
    say(f"Found {len(experts)} expert(s)")
    path = config.with_name(LOCK_NAME)
    old, problem = _old(path)
    # Its log is of no use to anybody later. The storage stays named: what is in it is kept from the servers.
    passing = replace(host, store=JobStore(host.scratch / "install", redact=str))
    async with Engine(passing).job("install", watch) as job:
        team = Team(settings.experts, read_experts)
        shared = Shared(team=team, locked=Locked(old, ask=True, renew=upgrade))
        async with job.kit(settings, config.resolve().parent, shared) as kit:
            collector = _Collector(job, kit)
            locked = {expert.key: await collector.expert(expert, say) for expert in experts}
    lock = Lock(now_ms(), config.name, locked, old.dependencies if old else {})
    changes = differences(old, lock) if old is not None else (problem,)
    if old is not None and not changes:
        lock = replace(lock, generated_at=old.generated_at)  # the same lock gives the same file
    return Installation(path, lock, changes, tuple(collector.left_out))


def write(installation: Installation) -> None:
    """Put the lock file in its place in one step.

    Raises: InfrastructureError where it cannot be written; the old one stays as it was.
    """
    put(installation.path, render_lock(installation.lock).encode())


@dataclass(slots=True)
class _Collector:
    """Asks skills for their tools; a server that several experts use in the same way is asked once."""

    job: Job
    kit: Kit
    left_out: list[str] = field(default_factory=list)
    known: dict[str, LockedSkill] = field(default_factory=dict)

    async def expert(self, expert: Expert, say: Callable[[str], None]) -> LockedExpert:
        say(f"Collecting tool definitions for {expert.key}...")
        fresh = {name: spec for name, spec in expert.skills.items() if canonical(source(spec)) not in self.known}
        # What may start late in a run has to be here now.
        started = {name: replace(spec, lazy_init=False) for name, spec in fresh.items()}
        asked = replace(expert, skills={BASE_SKILL: expert.skills[BASE_SKILL], **started})
        skills = await self.kit.skills_of(asked)
        found = await in_order([partial(self._tools, expert.key, skill) for skill in skills], limit=_PARALLEL_STARTS)
        tools: dict[str, tuple[ToolDefinition, ...] | None] = dict(zip((s.name for s in skills), found, strict=True))
        for name, spec in expert.skills.items():
            if spec.type == INTERACTIVE:
                tools[name] = tuple(tool for tool, _ in interactive_tools(expert) if tool.skill_name == name)
        locked: dict[str, LockedSkill] = {}
        for name, spec in expert.skills.items():
            origin = canonical(source(spec))
            if name in tools and name != BASE_SKILL:
                package = package_of(spec, self.kit.launch_of(spec))
                self.known.setdefault(origin, LockedSkill(spec, tools[name], package))
            shared = self.known.get(origin)
            locked[name] = replace(shared, spec=spec) if shared else LockedSkill(spec, tools.get(name))
        say(f"  Found {sum(len(skill.tools or ()) for skill in locked.values())} tool(s)")
        return locked_expert(expert, locked)

    async def _tools(self, key: str, skill: Skill) -> tuple[ToolDefinition, ...] | None:
        """Its tools, sorted by nothing but itself; None where it cannot be there (a variable is missing)."""
        place = f'skill "{skill.name}" of expert "{key}"'
        if isinstance(skill, AbsentSkill):
            self.left_out.append(f"{place}: {skill.reason}")
            return None

        def tell(kind: str, payload: JsonObject) -> None:
            self.job.emit(kind, payload)

        try:
            await skill.open(tell)
            return tuple(await skill.definitions())
        except PerstackError as error:
            kind = UserError if isinstance(error, UserError) else InfrastructureError
            raise kind(f"{place}: {error.message}", hint=error.hint) from error
        finally:
            await skill.close()


def _reached(config: Config, own: Mapping[str, Expert]) -> Sequence[Expert]:
    """The definition's own experts and everybody they may delegate to, directly or not.

    Raises: UserError where one is not defined.
    """
    found: dict[str, Expert] = {}
    waiting = list(own)
    while waiting:
        key = waiting.pop(0)
        if key not in found:
            found[key] = resolve_expert(config, key)
            waiting.extend(found[key].delegates)
    return tuple(found.values())


def _old(path: Path) -> tuple[Lock | None, str]:
    """The lock that is there, or why there is none that can be compared with."""
    try:
        old = read_lock(path)
    except UserError as error:
        return None, error.message
    return old, "" if old else f"there is no {path.name} yet"
