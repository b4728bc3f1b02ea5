"""The verification protocol as its users see it: a request in, a report out. The steps are in `verification.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread

from perstack.core.contracts import Sandbox
from perstack.core.experts import VerifySpec
from perstack.core.json import JsonObject
from perstack.core.sandbox import Snapshot
from perstack.core.signals import SignalSpec
from perstack.core.verdict import Report
from perstack.infrastructure.git import Repository
from perstack.infrastructure.secrets import Redactor
from perstack.signals.cache import ResultCache
from perstack.signals.concurrency import plain_errors
from perstack.signals.evidence import write_evidence
from perstack.signals.ground import Baseline, Workbench
from perstack.signals.held_out.written_check import Draft, draft_of, suites_of
from perstack.signals.preparation import VerifyRequest
from perstack.signals.protected import Protection
from perstack.signals.sensitivity import Sensitivity
from perstack.signals.shards import Shards, Unit
from perstack.signals.sharing import Sharing
from perstack.signals.unsaid import without_secrets
from perstack.signals.verification import Verification

__all__ = ["Baseline", "Verifier", "VerifyRequest"]


class Verifier:
    """Computes verdicts. One instance serves one job; a base is measured once for all its rounds."""

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
        self._emit = emit
        self._secrets = secrets or Redactor()
        self._bench = Workbench(sandbox, emit, scratch, cache, shards, secrets=self._secrets)

    async def baseline(
        self, repository: Repository, base: str, specs: Sequence[SignalSpec], snapshot: Snapshot
    ) -> Baseline:
        """Measure the signals on the base commit, or take what was measured before.

        Raises: SandboxUnavailable; UserError for a test configuration of the base that cannot be read.
        """
        with plain_errors():
            ground = await self._bench.ground(repository, base, specs)
            measured = await self._bench.measure_base(ground, specs, snapshot)
        statuses = {name: [run.status.value for run in m.measurement.runs] for name, m in measured.items()}
        self._emit("measureBaseline", {"signals": statuses})
        return Baseline(base, measured)

    async def draft(
        self, repository: Repository, base: str, specs: Sequence[SignalSpec], snapshot: Snapshot, verify: VerifySpec
    ) -> Draft | None:
        """What checks can be written about, from the base alone; None where no suite offers a way to ask.

        Raises: SandboxUnavailable; UserError for a test configuration of the base that cannot be read.
        """
        with plain_errors():
            ground = await self._bench.ground(repository, base, specs)
            measured = await self._bench.measure_base(ground, specs, snapshot)
        runs = {name: found.measurement.runs for name, found in measured.items()}
        is_test = Protection.of(verify, tuple(specs), ground.paths, frozenset()).is_test_file
        suites = suites_of(specs, ground.plans, runs)
        return await anyio.to_thread.run_sync(draft_of, suites, ground.tree, is_test)

    async def sense(
        self, repository: Repository, base: str, specs: Sequence[SignalSpec], snapshot: Snapshot, verify: VerifySpec
    ) -> tuple[Sensitivity, ...]:
        """Whether each signal can be red, in their order; what nobody knows yet is tried.

        Raises: SandboxUnavailable; UserError for a test configuration of the base that cannot be read.
        """
        once = [replace(spec, repeat=1) for spec in specs]
        found: dict[str, Sensitivity] = {}
        with plain_errors():
            ground = await self._bench.ground(repository, base, once)
            protection = Protection.of(verify, once, ground.paths)

            async def one(spec: SignalSpec) -> None:
                found[spec.name] = await self._bench.sensitivity(ground, spec, snapshot, protection)

            async with anyio.create_task_group() as group:
                for spec in once:
                    group.start_soon(one, spec)
        return tuple(found[spec.name] for spec in specs)

    async def verify(self, request: VerifyRequest) -> Report:
        """Run the whole protocol on one candidate.

        Raises: SandboxUnavailable; UserError for a test configuration of the base that cannot be read.
        """
        verification = Verification(self._bench, request)
        with plain_errors():
            report = await verification.run()
        if request.out is None:
            return report
        return await write_evidence(request.out, without_secrets(verification.evidence(report), self._secrets))

    async def shares(self, request: VerifyRequest, of: int) -> tuple[tuple[Unit, ...], ...]:
        """What each of `of` machines would measure. Raises: as `verify`."""
        with plain_errors():
            return await Sharing(self._bench, request).shares(of)

    async def measure_share(self, request: VerifyRequest, number: int, of: int) -> tuple[Unit, ...]:
        """Measure what falls to one of `of` machines, into `request.out`; nothing is judged. Raises: as `verify`."""
        with plain_errors():
            return await Sharing(self._bench, request).measure(number, of)
