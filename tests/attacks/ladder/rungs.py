"""The ladder: what gates of growing strength would accept. Every rung really runs; none is worked out from another.

G0 to G4 are the gates of `plain.py`. G5 to G9 are assembled from the product's own parts, here and only here: the
product has no switch that leaves one out. G10 is the whole protocol, asked by `suite.py`. A patch that one rung
refuses is not shown to the next, except that G8 and G9 each add one thing to G7.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from perstack.core.errors import UserError
from perstack.core.sandbox import Snapshot
from perstack.core.signals import Measurement, SignalRun, SignalSpec, SignalStatus, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.infrastructure.git import Repository
from perstack.signals.compare import compare
from perstack.signals.ground import Ground, Workbench
from perstack.signals.held_out.check import Fixed, check_held_out
from perstack.signals.judged import judged_measurement
from perstack.signals.measure import Measured, Subject
from perstack.signals.policy import check_policy
from perstack.signals.protected import Protection
from perstack.signals.tree import Tree, effective_tree, make_tree
from tests.attacks.ladder.plain import REPORT, Known, Place, all_passed, report_is_green, restore
from tests.attacks.ladder.record import Case

RUNGS = {
    "G0": "exit code of the repository's test command",
    "G1": "exit code of pytest",
    "G2": "+ JUnit file present, no failure in it",
    "G3": "+ every test of the base is there and passed",
    "G4": "+ tests and configuration restored in a fresh checkout",
    "G5": "+ results over a channel, runner loaded before the repository",
    "G6": "+ canaries, replaced functions",
    "G7": "+ four runs in varied circumstances",
    "G8": "G7 + policy on the text of the patch",
    "G9": "G7 + held-out checks",
    "G10": "the whole protocol",
}
_REPEATS = 4
Rungs = dict[str, bool | None]


@dataclass
class Climb:
    """One world's ladder: the base measured once, then any number of cases."""

    repository: Repository
    base: str
    spec: SignalSpec
    snapshot: Snapshot
    bench: Workbench
    place: Place
    scratch: Path
    _checkout: Path = field(init=False)

    def __post_init__(self) -> None:
        self._checkout = self.scratch / f"base-{uuid4().hex[:8]}"

    async def command(self, case: Case, patch: str) -> Rungs:
        """G0 alone, which is the same in every language."""
        rungs: Rungs = dict.fromkeys(RUNGS)
        tree = await self._apply(patch)
        if tree is None:
            return rungs | {"G0": False}
        workspace = await self._export(tree)
        try:
            return rungs | {
                "G0": await self.place.exit_code(workspace, self.spec.run, "", _limit(case, self.spec)) == 0
            }
        finally:
            shutil.rmtree(workspace, ignore_errors=True)

    async def climb(self, case: Case, patch: str) -> Rungs:
        """Which of G0 to G9 accept a patch."""
        rungs: Rungs = dict.fromkeys(RUNGS)
        tree = await self._apply(patch)
        if tree is None:
            return rungs | {"G0": False}
        ground = await self.bench.ground(self.repository, self.base, (self.spec,))
        before = (await self.bench.measure_base(ground, (self.spec,), self.snapshot))[self.spec.name]
        known = Known.of(before.measurement.runs[0].tests, case.targets)
        workspaces = [await self._export(tree) for _ in range(3)]
        try:
            accepted = await self._plain(rungs, workspaces, known, _limit(case, self.spec))
        finally:
            for workspace in workspaces:
                shutil.rmtree(workspace, ignore_errors=True)
        if accepted:
            await self._protocol(rungs, case, tree, ground, before)
        return rungs

    async def _plain(self, rungs: Rungs, workspaces: Sequence[Path], known: Known, limit: float) -> bool:
        command = ("make", "test") if (workspaces[0] / "Makefile").is_file() else self.spec.run
        rungs["G0"] = await self.place.exit_code(workspaces[0], command, known.options, limit) == 0
        if not rungs["G0"]:
            return False
        reporting = ("python3", "-m", "pytest", "-q", f"--junitxml={REPORT}")
        rungs["G1"] = await self.place.exit_code(workspaces[1], reporting, known.options, limit) == 0
        if rungs["G1"]:
            rungs["G2"] = report_is_green(workspaces[1])
        if rungs["G2"]:
            rungs["G3"] = all_passed(workspaces[1], known.required)
        if not rungs["G3"]:
            return False
        if not self._checkout.exists():
            await self.repository.export(self.base, self._checkout)
        restore(workspaces[2], self._checkout)
        green = await self.place.exit_code(workspaces[2], reporting, known.options, limit) == 0
        rungs["G4"] = green and report_is_green(workspaces[2]) and all_passed(workspaces[2], known.required)
        return bool(rungs["G4"])

    async def _protocol(self, rungs: Rungs, case: Case, tree: str, ground: Ground, before: Measured) -> None:
        protection = Protection.of(case.verify, (self.spec,), ground.paths)
        effective = await effective_tree(self.repository, self.base, tree, protection, ground.paths)
        if not effective.sections:
            rungs["G5"] = False
            return
        name = f"rung-{uuid4().hex[:8]}"
        candidate = await make_tree(self.repository, effective.tree, "candidate", self.scratch / name)
        subject = Subject(self.spec, candidate, ground.plans.get(self.spec.name))
        meter = self.bench.meter(self.snapshot)
        first = await meter.measure(subject, runs=1)
        trusted = replace(first, measurement=Measurement(self.spec, tuple(map(_forgiven, first.measurement.runs))))
        rungs["G5"] = bool(self._fixed(before, trusted, case.targets))
        if rungs["G5"]:
            rungs["G6"] = bool(self._fixed(before, first, case.targets)) and not first.replaced - before.replaced
        if not rungs["G6"]:
            return
        every = await meter.measure(subject, runs=_REPEATS)
        fixed = self._fixed(before, every, case.targets)
        rungs["G7"] = bool(fixed) and not every.replaced - before.replaced
        if not rungs["G7"]:
            return
        rungs["G8"] = await self._policy(case, tree, ground, protection)
        rungs["G9"] = await self._held_out(ground, candidate, protection, fixed, every.measurement.runs[0])

    def _fixed(self, before: Measured, after: Measured, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Tests that turned green, empty where anything speaks against the candidate."""
        found = compare(self.spec, before.measurement, judged_measurement(before, after), targets)
        delta = found.report.tests
        return () if found.reasons or found.claim or delta is None else delta.fail_to_pass

    async def _policy(self, case: Case, tree: str, ground: Ground, protection: Protection) -> bool:
        difference = await self.repository.diff(self.base, tree)
        findings = check_policy(
            difference.text,
            base_files={entry.path: entry.mode for entry in ground.entries},
            protection=protection,
            verify=case.verify,
            read_base=ground.tree.read,
            specs=(self.spec,),
        )
        return not any(finding.blocks for finding in findings)

    async def _held_out(
        self, ground: Ground, candidate: Tree, protection: Protection, fixed: tuple[str, ...], run: SignalRun
    ) -> bool:
        asker = self.bench.asker(self.snapshot, protection.is_test_file)
        subject = Fixed(self.spec.name, ground.plans.get(self.spec.name), fixed, run)
        return not (await check_held_out(subject, ground.tree, candidate, asker)).reasons

    async def _apply(self, patch: str) -> str | None:
        try:
            return await self.repository.apply(self.base, patch)
        except UserError:
            return None

    async def _export(self, tree: str) -> Path:
        workspace = self.scratch / f"workspace-{uuid4().hex[:8]}"
        await self.repository.export(tree, workspace)
        return workspace


def accepted_by(rungs: Mapping[str, bool | None], name: str) -> bool:
    """Whether a rung accepts: one that was not reached would have been asked after one that refused."""
    return rungs.get(name) is True


def _limit(case: Case, spec: SignalSpec) -> float:
    return (case.spec or spec).timeout_s


def _forgiven(run: SignalRun) -> SignalRun:
    """The same run, with nobody looking at the canaries."""
    if run.problem_code != ReasonCode.CANARY_FAILED.value:
        return run
    red = any(case.status in {TestStatus.FAILED, TestStatus.ERROR} for case in run.tests.values())
    status = SignalStatus.FAIL if red else SignalStatus.PASS
    return replace(run, status=status, problem="", problem_code="", exit_code=int(red))
