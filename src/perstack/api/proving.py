"""Fixing and verifying, for `engine.py`: loaded when a job first proves something, since plain runs never do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from perstack.api.host import Fix, Ground, Host, Review, Verify
from perstack.api.kit import Workplace, open_kit
from perstack.context.retrieval.history import History
from perstack.core.contracts import Sandbox, Session
from perstack.core.errors import UserError
from perstack.core.experts import PipelineSpec, VerifySpec
from perstack.core.json import JsonObject
from perstack.core.outcome import FixOutcome, Planned, Reviewed
from perstack.core.verdict import Report
from perstack.infrastructure.git import Repository
from perstack.infrastructure.sandbox.pool import warmed
from perstack.runtime.kits import OpenKit
from perstack.runtime.pipeline import FixPipeline, FixRequest, Tools
from perstack.runtime.request import MakeSkills
from perstack.runtime.review import ReviewRequest, ReviewTools, review
from perstack.runtime.staff import Staff
from perstack.signals.cache import ResultCache, toolchain_of
from perstack.signals.held_out.written import WrittenChecks
from perstack.signals.protocol import Verifier, VerifyRequest
from perstack.signals.sensitivity import Sensitivity
from perstack.signals.shards import Shards, Unit
from perstack.signals.sharing import about
from perstack.skills.retrieval_facts import Known, LastReport


async def fixed(fix: Fix, pipeline: PipelineSpec, staff: Staff, ground: Ground, *, host: Host, out: Path) -> FixOutcome:
    """Plan, build and verify. Raises: InfrastructureErrors."""
    async with warmed(ground.sandbox) as sandbox:
        return await _pipeline(fix, pipeline, staff, ground, host=host, out=out, warm=sandbox).run()


async def planned(fix: Fix, pipeline: PipelineSpec, staff: Staff, ground: Ground, *, host: Host, out: Path) -> Planned:
    """Measure the base and have a plan made. Raises: InfrastructureErrors."""
    return await _pipeline(fix, pipeline, staff, ground, host=host, out=out, warm=ground.sandbox).plan()


def _pipeline(
    fix: Fix, pipeline: PipelineSpec, staff: Staff, ground: Ground, *, host: Host, out: Path, warm: Sandbox
) -> FixPipeline:
    """The verifier measures in `warm`; experts work in the back end itself."""
    request = FixRequest(
        repository=fix.repository,
        base=fix.base,
        title=fix.title,
        text=fix.text,
        config=fix.config,
        specs=ground.specs,
        snapshot=ground.snapshot,
        scratch=ground.scratch / "fix",
        out=out,
        targets=fix.targets,
        plan=fix.plan,
    )

    report = LastReport(ground.emit)
    ground = replace(ground, emit=report.emit)
    past = Known(str(fix.repository.path), History(fix.repository, fix.base), report.text)
    verifier, kit = _verifier(replace(ground, sandbox=warm), host, fix.config.verify), _kit(ground, host, past)
    return FixPipeline(
        request, pipeline, Tools(ground.sandbox, verifier, staff, ground.emit, time.monotonic, kit)
    )  # fmt: skip


async def reviewed(asked: Review, staff: Staff, ground: Ground, *, host: Host) -> Reviewed:
    """One expert's remarks on a change. Raises: InfrastructureErrors."""
    request = ReviewRequest(
        repository=asked.repository,
        head=asked.head,
        patch=asked.patch,
        title=asked.title,
        text=asked.text,
        expert=asked.config.experts[asked.expert],
        snapshot=ground.snapshot,
        workspace=ground.scratch / "review",
    )
    return await review(
        request,
        ReviewTools(
            ground.sandbox, staff, _kit(ground, host, Known(str(asked.repository.path))), ground.emit, time.monotonic
        ),
    )  # fmt: skip


def _kit(ground: Ground, host: Host, known: Known) -> OpenKit:
    @asynccontextmanager
    async def kit(session: Session, workspace: Path, *, read_only: bool) -> AsyncIterator[MakeSkills]:
        place = Workplace(ground.sandbox, ground.snapshot, session, workspace, read_only, known=known)
        async with open_kit(host, place, ground.emit) as made:
            yield made.skills_of

    return kit


async def verified(verify: Verify, ground: Ground, *, host: Host, out: Path) -> Report:
    """The verification protocol on one patch. Raises: UserError, InfrastructureErrors."""
    shards = None
    if verify.shards:
        shards = await to_thread.run_sync(Shards.load, verify.shards, about(verify.base, verify.patch))
        if shards.missing:
            ground.emit("progress", {"message": f"shards {shards.missing} of {shards.of} left nothing: measured here"})
    async with warmed(ground.sandbox) as sandbox:
        verifier = _verifier(replace(ground, sandbox=sandbox), host, verify.config.verify, shards)
        return await verifier.verify(_request(verify, ground, out))


async def shares(verify: Verify, ground: Ground, of: int, *, host: Host) -> tuple[tuple[Unit, ...], ...]:
    """What each of `of` machines would measure. Raises: UserError, InfrastructureErrors."""
    return await _verifier(ground, host, verify.config.verify).shares(_request(verify, ground, None), of)


async def measured_share(
    verify: Verify, ground: Ground, share: tuple[int, int], *, host: Host, out: Path
) -> tuple[Unit, ...]:
    """Measure one machine's share into `out`. Raises: UserError, InfrastructureErrors."""
    async with warmed(ground.sandbox) as sandbox:
        verifier = _verifier(replace(ground, sandbox=sandbox), host, verify.config.verify)
        return await verifier.measure_share(_request(verify, ground, out), *share)


def _request(verify: Verify, ground: Ground, out: Path | None) -> VerifyRequest:
    return VerifyRequest(
        repository=verify.repository,
        base=verify.base,
        patch=verify.patch,
        specs=ground.specs,
        verify=verify.config.verify,
        snapshot=ground.snapshot,
        out=out,
        targets=verify.targets,
        needs_red=verify.needs_red,
        everything=verify.everything,
        checks=_written(verify.checks),
    )


def _written(checks: JsonObject | None) -> WrittenChecks | None:
    """Raises: UserError where evidence holds something else than checks."""
    try:
        return WrittenChecks.from_json(checks) if checks else None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the checks of an expert have an unknown form: {error!r}") from error


async def sensed(repository: Repository, base: str, verify: VerifySpec, ground: Ground) -> tuple[Sensitivity, ...]:
    """Whether each signal can be red. Raises: UserError, InfrastructureErrors."""
    verifier = Verifier(ground.sandbox, ground.emit, ground.scratch / "sense")
    return await verifier.sense(repository, base, ground.specs, ground.snapshot, verify)


def _verifier(ground: Ground, host: Host, verify: VerifySpec, shards: Shards | None = None) -> Verifier:
    cache = ResultCache(host.cache / "results", toolchain_of(host.path)) if verify.cache == "auto" else None
    if cache is not None:
        cache.collect()
    return Verifier(ground.sandbox, ground.emit, ground.scratch / "verify", cache, shards, secrets=host.redactor())
