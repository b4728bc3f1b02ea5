"""All signals on base and candidate, side by side, cheapest first, until one of them decides. Judges nothing itself.

What decides is asked of the caller. Signals that had no result by then are given up: they are reported as not run,
which can never be better than `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from perstack.core.sandbox import Snapshot
from perstack.core.signals import SignalSpec
from perstack.signals.ground import Workbench
from perstack.signals.measure import Measured
from perstack.signals.preparation import Prepared
from perstack.signals.schedule import in_order
from perstack.signals.tree import BASE, CANDIDATE, OWN


@dataclass(frozen=True, slots=True)
class Found:
    """What the runs said, by signal name. `own` is the candidate with its own edits and additions of tests.

    `not_run` says why a signal has no result on the candidate.
    """

    base: Mapping[str, Measured]
    candidate: Mapping[str, Measured]
    own: Mapping[str, Measured]
    candidate_tree: str = ""
    not_run: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """One signal, completely measured."""

    base: Measured
    candidate: Measured
    own: Measured | None


Settles = Callable[[SignalSpec, Seen], bool]


class SideBySide:
    """One round of measuring; used once."""

    def __init__(self, bench: Workbench, prepared: Prepared, snapshot: Snapshot) -> None:
        self._bench = bench
        self._prepared = prepared
        self._snapshot = snapshot
        self._found: dict[str, dict[str, Measured]] = {BASE: {}, CANDIDATE: {}, OWN: {}}
        self._open: dict[str, anyio.CancelScope] = {}
        self._not_run: dict[str, str] = {}

    async def run(self, specs: Sequence[SignalSpec], settles: Settles | None) -> Found:
        """Measure. `settles` says whether a signal's result decides alone; with None everything is run."""
        ground = self._prepared.ground
        ordered = in_order(specs, lambda spec: self._bench.seconds_of(ground, spec, self._snapshot))
        self._open = {spec.name: anyio.CancelScope() for spec in ordered}
        async with anyio.create_task_group() as group:
            for rank, spec in enumerate(ordered):
                group.start_soon(self._signal, spec, rank, settles)
        for name in self._not_run:
            self._found[CANDIDATE].pop(name, None)
            self._found[OWN].pop(name, None)
        return Found(
            self._found[BASE],
            self._found[CANDIDATE],
            self._found[OWN],
            self._prepared.candidate.digest,
            self._not_run,
        )

    async def _signal(self, spec: SignalSpec, rank: int, settles: Settles | None) -> None:
        with self._open[spec.name]:
            async with anyio.create_task_group() as trees:
                for tree in (BASE, CANDIDATE, OWN):
                    trees.start_soon(self._tree, spec, rank, tree)
            del self._open[spec.name]
            if settles is not None and settles(spec, self._seen(spec.name)):
                self._give_up(f"`{spec.name}` was refused first, which decides the verdict")

    async def _tree(self, spec: SignalSpec, rank: int, tree: str) -> None:
        bench, ground, snapshot = self._bench, self._prepared.ground, self._snapshot
        if tree == BASE:
            self._found[BASE][spec.name] = await bench.base_of(ground, spec, snapshot, rank=rank)
            return
        setting = bench.setting(ground, snapshot)
        runs = self._prepared.runs_on(tree)
        for subject in self._prepared.subjects([spec], tree):
            measured = await bench.measure_one(subject, snapshot, runs=runs, setting=setting, rank=rank)
            self._found[tree][spec.name] = measured

    def _seen(self, name: str) -> Seen:
        found = self._found
        return Seen(found[BASE][name], found[CANDIDATE][name], found[OWN].get(name))

    def _give_up(self, why: str) -> None:
        """Nothing else is started, and what is under way is stopped."""
        for name, scope in self._open.items():
            self._not_run[name] = why
            scope.cancel()
