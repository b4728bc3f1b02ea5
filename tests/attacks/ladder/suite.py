"""Running cases: each through the real `Verifier` in bubblewrap, and up the ladder where its world has one.

One base a world, measured once a process. Processes are `__main__.py`'s matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.core.verdict import ReasonCode, Report
from perstack.infrastructure.git import Repository
from perstack.signals.ground import Workbench
from perstack.signals.protocol import Verifier, VerifyRequest
from tests.attacks.ladder.collect import collect
from tests.attacks.ladder.plain import Place
from tests.attacks.ladder.record import Case, Result, World
from tests.attacks.ladder.rungs import RUNGS, Climb
from tests.attacks.project import Specimen

# one at a time in a process: threads that parse Python at once disturb each other in CPython 3.11 (issue 106905)
_SIDE_BY_SIDE = 1


async def run_cases(
    keys: Sequence[str], tell: Callable[[Result], None], *, languages: Sequence[str] = (), ladder: bool
) -> None:
    """Judge cases of one world, by key. `tell` hears of each as it is done; `ladder`: every rung, not only the top."""
    known = {case.key: case for case in collect(languages)}
    await _run([known[key] for key in keys], tell, ladder)


async def _run(cases: Sequence[Case], tell: Callable[[Result], None], ladder: bool) -> None:
    with TemporaryDirectory(prefix="perstack-attacks-", ignore_cleanup_errors=True) as folder:
        hall = await Hall.open(cases[0].world, Path(folder), ladder=ladder)
        limiter = anyio.CapacityLimiter(_SIDE_BY_SIDE)

        async def one(case: Case) -> None:
            async with limiter:
                tell(await hall.judge(case))

        async with anyio.create_task_group() as group:
            for case in cases:
                group.start_soon(one, case)


def _fits(case: Case, codes: Sequence[str]) -> bool:
    """Whether the reasons are about the patch: nothing was stopped where the base itself could not be measured."""
    unmeasured = ReasonCode.BASELINE_ERROR.value
    wanted = not case.codes or bool(case.codes & set(codes))
    return wanted and (unmeasured not in codes or unmeasured in case.codes)


@dataclass
class Hall:
    """One world on disk, with what verifies its patches."""

    world: World
    specimen: Specimen
    repository: Repository
    snapshot: Snapshot
    verifier: Verifier
    climb: Climb
    ladder: bool

    @classmethod
    async def open(cls, world: World, folder: Path, *, ladder: bool) -> Hall:
        """Make the repository and everything about it."""
        specimen = world.make(folder / "project")
        box = world.sandbox()
        repository = await Repository.from_checkout(specimen.root, folder / "bare.git")
        snapshot = await box.prepare(SandboxSpec(), specimen.root, lambda line: None)
        climb = Climb(
            repository=repository,
            base=specimen.base,
            spec=world.spec,
            snapshot=snapshot,
            bench=Workbench(box, lambda kind, payload: None, folder),
            place=Place(box, snapshot),
            scratch=folder,
        )
        verifier = Verifier(box, lambda kind, payload: None, folder)
        return cls(world, specimen, repository, snapshot, verifier, climb, ladder)

    async def judge(self, case: Case) -> Result:
        """The whole protocol's verdict on one case, and what each rung says."""
        started = time.monotonic()
        changes = case.from_files(self.specimen.files) if case.from_files else case.changes
        patch = self.specimen.patch(changes, case.modes)
        rungs: dict[str, bool | None] = dict.fromkeys(RUNGS)
        if self.ladder:
            rungs = await (self.climb.climb if self.world.laddered else self.climb.command)(case, patch)
        report = await self._verify(case, patch)
        codes = tuple(dict.fromkeys(reason.code.value for reason in report.reasons))
        return Result(
            key=case.key,
            language=self.world.language,
            attack=case.attack,
            verdict=report.verdict.value,
            codes=codes,
            fitting=_fits(case, codes),
            rungs={**rungs, "G10": report.verdict.value == "pass"},
            seconds=time.monotonic() - started,
        )

    async def _verify(self, case: Case, patch: str) -> Report:
        return await self.verifier.verify(
            VerifyRequest(
                repository=self.repository,
                base=self.specimen.base,
                patch=patch,
                specs=(case.spec or self.world.spec,),
                verify=case.verify,
                snapshot=self.snapshot,
                targets=case.targets,
            )
        )
