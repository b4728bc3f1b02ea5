"""One machine's share of a verification: the same trees and the same runs, and no verdict.

The policy is asked first, as ever: what it refuses outright is run nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import anyio
import anyio.to_thread

from perstack.core.errors import InvariantBroken
from perstack.core.json import Json
from perstack.signals.ground import Workbench
from perstack.signals.measure import Measured, Subject
from perstack.signals.preparation import Prepared, VerifyRequest
from perstack.signals.shards import Question, ShardWriter, Unit, units_of
from perstack.signals.spec_digest import patch_digest
from perstack.signals.suites.contract import Divisible
from perstack.signals.verification import Verification


class Sharing:
    """One request as one of several machines sees it; used once."""

    def __init__(self, bench: Workbench, request: VerifyRequest) -> None:
        self._bench = bench
        self._request = request
        self._verification = Verification(bench, request)

    async def shares(self, of: int) -> tuple[tuple[Unit, ...], ...]:
        """What each of `of` machines measures; fewer machines where there is less to do, at least one."""
        prepared = await self._verification.prepare()
        if prepared is None:
            return ((),)
        units = self._units(prepared, of)
        busy = sum(1 for share in units if share)
        return units if busy == of else self._units(prepared, max(1, busy))

    async def measure(self, number: int, of: int) -> tuple[Unit, ...]:
        """Measure a share and write it to the request's `out`."""
        request = self._request
        if request.out is None:
            raise InvariantBroken("BUG: a share that is written nowhere")
        prepared = await self._verification.prepare()
        found: dict[Unit, tuple[Question, Measured]] = {}

        async def one(ready: Prepared, unit: Unit, rank: int) -> None:
            found[unit] = await self._measured(ready, unit, rank)

        units: tuple[Unit, ...] = ()
        if prepared is not None:
            units = self._units(prepared, of)[number - 1]
            async with anyio.create_task_group() as group:
                for rank, unit in enumerate(units):
                    group.start_soon(one, prepared, unit, rank)
        writer = ShardWriter(request.out, number, of, about(request.base, request.patch))

        def write() -> None:
            for unit in units:
                writer.add(unit, *found[unit])
            writer.close()

        await anyio.to_thread.run_sync(write)
        return units

    def _units(self, prepared: Prepared, of: int) -> tuple[tuple[Unit, ...], ...]:
        return units_of(self._request.specs, prepared.ground.plans, of, own=prepared.own is not None)

    async def _measured(self, prepared: Prepared, unit: Unit, rank: int) -> tuple[Question, Measured]:
        """Past the cache of results: what is kept there is whole signals."""
        bench, snapshot = self._bench, self._request.snapshot
        spec = next(spec for spec in self._request.specs if spec.name == unit.signal)
        [subject] = prepared.subjects([spec], unit.tree)
        runs = prepared.runs_on(unit.tree)
        question = Question(spec, subject.tree.digest, bench.setting(prepared.ground, snapshot), runs)
        return question, await bench.meter(snapshot, rank).measure(_only(subject, unit), runs=runs)


def _only(subject: Subject, unit: Unit) -> Subject:
    if unit.part.of == 1:
        return subject
    plan: object = subject.plan
    if not isinstance(plan, Divisible):
        raise InvariantBroken(f"BUG: {unit} is part of a suite that cannot be divided")
    return replace(subject, plan=plan.part(unit.part))


def about(base: str, patch: str) -> Mapping[str, Json]:
    """What a share is about: shares of anything else are refused where they are merged."""
    return {"base": base, "candidate": patch_digest(patch)}
