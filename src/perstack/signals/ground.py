"""The ground a job stands on: the base on disk, how its suites are run, and what they said there.

Shared by the baseline and all candidates of a job, so that rounds do not pay for the base again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import anyio

from perstack.core.contracts import Sandbox
from perstack.core.json import JsonObject
from perstack.core.sandbox import Snapshot
from perstack.core.signals import Measurement, SignalSpec
from perstack.infrastructure.git import Repository, TreeEntry
from perstack.infrastructure.secrets import Redactor
from perstack.signals.cache import ResultCache, Setting
from perstack.signals.held_out.run import Asker
from perstack.signals.measure import Measured, Meter, Subject
from perstack.signals.protected import Protection
from perstack.signals.schedule import Slots, in_order
from perstack.signals.sensitivity import Sensitivity, sensitivity
from perstack.signals.shards import Question, Shards
from perstack.signals.spec_digest import spec_digest
from perstack.signals.suites.contract import OnBase, SuitePlan
from perstack.signals.suites.registry import framework_of
from perstack.signals.tree import Tree, make_tree

_SLOTS = 2


@dataclass(frozen=True, slots=True)
class Baseline:
    """The signals on the base commit. `measurements` by signal name."""

    base: str
    measured: Mapping[str, Measured]

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        return {name: measured.measurement for name, measured in self.measured.items()}


@dataclass(slots=True)
class Ground:
    """One base with one set of signals. `plans` by signal name, for pytest suites."""

    tree: Tree
    entries: tuple[TreeEntry, ...]
    plans: Mapping[str, SuitePlan]
    locks: dict[str, anyio.Lock] = field(default_factory=dict)
    measured: dict[str, Measured] = field(default_factory=dict)

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(entry.path for entry in self.entries)


class Workbench:
    """Where trees are made and signals are run, at most two at a time."""

    def __init__(
        self,
        sandbox: Sandbox,
        emit: Callable[[str, JsonObject], None],
        scratch: Path,
        cache: ResultCache | None = None,
        shards: Shards | None = None,
        *,
        secrets: Redactor | None = None,
    ) -> None:
        self.secrets = secrets or Redactor()
        self._sandbox = sandbox
        self._shards = shards
        # on the bare host the code under test could write results of its own there
        self.cache = None if sandbox.name == "host" else cache
        self._emit = emit
        self.scratch = scratch / f"verify-{uuid4().hex[:8]}"
        self._grounds: dict[tuple[str, str], Ground] = {}
        self._lock = anyio.Lock()
        self._slots: Slots | None = None

    async def ground(self, repository: Repository, base: str, specs: Sequence[SignalSpec]) -> Ground:
        """The base on disk and how its suites are run; nothing has been run yet.

        Raises: UserError for a test configuration of the base that cannot be read.
        """
        async with self._lock:
            key = (base, "".join(map(spec_digest, specs)))
            if key not in self._grounds:
                entries = await repository.list_files(base)
                plans = await _plans(repository, base, specs, entries)
                tree = await make_tree(repository, base, "base", self.scratch / f"base-{len(self._grounds)}", entries)
                plans = {name: plan.on(tree.path) if isinstance(plan, OnBase) else plan for name, plan in plans.items()}
                self._grounds[key] = Ground(tree, entries, plans)
            return self._grounds[key]

    async def measure_base(
        self, ground: Ground, specs: Sequence[SignalSpec], snapshot: Snapshot
    ) -> Mapping[str, Measured]:
        """What of the signals has not been measured on the base before is measured now, cheapest first."""
        found = dict[str, Measured]()

        async def one(rank: int, spec: SignalSpec) -> None:
            found[spec.name] = await self.base_of(ground, spec, snapshot, rank=rank)

        async with anyio.create_task_group() as group:
            for rank, spec in enumerate(in_order(specs, lambda spec: self.seconds_of(ground, spec, snapshot))):
                group.start_soon(one, rank, spec)
        return {spec.name: found[spec.name] for spec in specs}

    async def base_of(self, ground: Ground, spec: SignalSpec, snapshot: Snapshot, *, rank: int = 0) -> Measured:
        """One signal on the base, measured once for all candidates."""
        key = _key(spec, snapshot)
        async with ground.locks.setdefault(key, anyio.Lock()):
            if key not in ground.measured:
                subject = Subject(spec, ground.tree, ground.plans.get(spec.name))
                setting = self.setting(ground, snapshot)
                ground.measured[key] = await self.measure_one(subject, snapshot, setting=setting, rank=rank)
            return ground.measured[key]

    def seconds_of(self, ground: Ground, spec: SignalSpec, snapshot: Snapshot) -> float | None:
        """How long a run of a signal took on the base; None where none was seen yet."""
        known = ground.measured.get(_key(spec, snapshot))
        return known.measurement.runs[0].seconds if known and known.measurement.runs else None

    async def measure_one(
        self,
        subject: Subject,
        snapshot: Snapshot,
        *,
        runs: int | None = None,
        setting: Setting | None = None,
        rank: int = 0,
    ) -> Measured:
        """Measure one signal on one tree. With `setting`, kept results count and are kept."""
        spec, tree, slots = subject.spec, subject.tree.digest, self._places()
        if self._shards is not None and setting is not None:
            question = Question(spec, tree, setting, runs)
            if (shared := await anyio.to_thread.run_sync(self._shards.measured, question)) is not None:
                return shared
        cache = self.cache if setting is not None and runs is None else None
        if cache is None or setting is None:
            return await self.meter(snapshot, rank).measure(subject, runs=runs)
        async with slots.at(rank):  # so that whoever comes first also asks first
            known = await anyio.to_thread.run_sync(cache.measured, spec, tree, setting)
        found = known or await self.meter(snapshot, rank).measure(subject)
        await anyio.to_thread.run_sync(cache.keep, found, tree, setting)
        return found

    async def sensitivity(
        self, ground: Ground, spec: SignalSpec, snapshot: Snapshot, protection: Protection
    ) -> Sensitivity:
        """Whether a signal can be red. What was shown once is remembered: it is about the signal, not about a tree."""
        key = replace(self.setting(ground, snapshot), base="").key("sensitivity", spec_digest(replace(spec, repeat=1)))
        known = await anyio.to_thread.run_sync(self.cache.checked, key) if self.cache else None
        if known is not None:
            return Sensitivity(spec.name, known.get("canFail") is True, str(known.get("why", "")))
        base = (await self.base_of(ground, spec, snapshot)).measurement
        subject = Subject(spec, ground.tree, ground.plans.get(spec.name))
        found = await sensitivity(subject, base, protection, self.meter(snapshot))
        if self.cache and found.can_fail is not None:
            await anyio.to_thread.run_sync(self.cache.keep_checked, key, found.to_json())
        return found

    def setting(self, ground: Ground, snapshot: Snapshot) -> Setting:
        """What beside a tree decides about results on this ground."""
        return Setting(self._sandbox.name, snapshot, ground.tree.digest)

    def meter(self, snapshot: Snapshot, rank: int = 0) -> Meter:
        """A meter that shares this workbench's slots."""
        slots = self._places()
        return Meter(self._sandbox, snapshot, self.scratch, self._emit, slots=slots, rank=rank, secrets=self.secrets)

    def asker(self, snapshot: Snapshot, is_test: Callable[[str], bool]) -> Asker:
        """What puts held-out questions to trees, within the same slots."""
        return Asker(self._sandbox, snapshot, self.scratch, self._places(), is_test)

    def _places(self) -> Slots:
        if self._slots is None:
            self._slots = Slots(_SLOTS)
        return self._slots


def _key(spec: SignalSpec, snapshot: Snapshot) -> str:
    return f"{spec_digest(spec)}:{snapshot.digest}"


async def _plans(
    repository: Repository, base: str, specs: Sequence[SignalSpec], entries: Sequence[TreeEntry]
) -> dict[str, SuitePlan]:
    """How each suite that has an adapter is run, from the base alone."""
    paths = [entry.path for entry in entries]
    regular = [entry.path for entry in entries if entry.mode.startswith("100")]
    plans: dict[str, SuitePlan] = {}
    for spec in specs:
        framework = framework_of(spec)
        if framework is not None:
            files = {path: await repository.read_file(base, path) or b"" for path in regular if framework.reads(path)}
            more = set(framework.names(files, regular)) - files.keys()
            files |= {path: await repository.read_file(base, path) or b"" for path in sorted(more)}
            plans[spec.name] = framework.plan(spec, files, paths)
    return plans
