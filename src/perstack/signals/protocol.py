"""The verification protocol: policy, fresh trees, baseline, candidate, comparison, necessity, verdict, evidence.

Every step can only make the verdict worse; what is unknown is not passed. The judging itself is pure and lies in
`policy.py`, `compare.py` and `verdict.py`; the running lies in `measure.py`. Nothing of a builder comes in here but
the text of a patch.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import anyio

from perstack.core.contracts import Sandbox
from perstack.core.errors import UserError
from perstack.core.experts import VerifySpec
from perstack.core.json import JsonObject
from perstack.core.sandbox import Snapshot
from perstack.core.signals import Measurement, SignalKind, SignalSpec
from perstack.core.verdict import HunkNecessity, PolicyFinding, Reason, ReasonCode, Report, Verdict
from perstack.infrastructure.git import Repository, TreeEntry
from perstack.signals.compare import Comparison, compare
from perstack.signals.concurrency import plain_errors
from perstack.signals.evidence import Evidence, write_evidence
from perstack.signals.measure import Measured, Meter, Subject
from perstack.signals.necessity import Budget, Probe, check_hunks, is_red_on_base
from perstack.signals.policy import check_policy
from perstack.signals.protected import Protection
from perstack.signals.pytest.configuration import CONFIG_NAMES, PytestPlan, plan_pytest
from perstack.signals.spec_digest import spec_digest
from perstack.signals.tree import Effective, Tree, effective_tree, make_tree
from perstack.signals.verdict import decide, worst

_CAPACITY = 2
# Findings after which running the candidate would be dangerous or pointless.
_STOP = frozenset(
    {ReasonCode.PATH_ESCAPE, ReasonCode.SPECIAL_FILE, ReasonCode.PATCH_TOO_LARGE, ReasonCode.PATCH_DOES_NOT_APPLY}
)


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What to verify. `patch` is text against `base`; `targets` are test ids that must turn green.

    `needs_red`: something must be red on the base and green on the candidate. False for pull requests, where all
    green before and after is a pass. `out` is where results and evidence are written, None for nowhere.
    """

    repository: Repository
    base: str
    patch: str
    specs: tuple[SignalSpec, ...]
    verify: VerifySpec
    snapshot: Snapshot
    out: Path | None = None
    targets: tuple[str, ...] = ()
    needs_red: bool = True


@dataclass(frozen=True, slots=True)
class Baseline:
    """The signals on the base commit. `measurements` by signal name."""

    base: str
    tree: Tree
    entries: tuple[TreeEntry, ...]
    plans: Mapping[str, PytestPlan]
    measured: Mapping[str, Measured]

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        return {name: measured.measurement for name, measured in self.measured.items()}


@dataclass(slots=True)
class _Ground:
    """What is known of a base before anything has run: shared by its baseline and all its candidates."""

    tree: Tree
    entries: tuple[TreeEntry, ...]
    plans: Mapping[str, PytestPlan]
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    measured: dict[str, Measured] = field(default_factory=dict)


class Verifier:
    """Computes verdicts. One instance serves one job; baselines are measured once for all its rounds."""

    def __init__(self, sandbox: Sandbox, emit: Callable[[str, JsonObject], None], scratch: Path) -> None:
        self._sandbox = sandbox
        self._emit = emit
        self.scratch = scratch / f"verify-{uuid4().hex[:8]}"
        self._grounds: dict[tuple[str, str], _Ground] = {}
        self._lock = anyio.Lock()
        self._limiter: anyio.CapacityLimiter | None = None

    async def baseline(
        self, repository: Repository, base: str, specs: Sequence[SignalSpec], snapshot: Snapshot
    ) -> Baseline:
        """Measure the signals on the base commit, or take what was measured before.

        Raises: SandboxUnavailable; UserError for a test configuration of the base that cannot be read.
        """
        with plain_errors():
            ground = await self.ground(repository, base, specs)
            measured = await self.measure_base(ground, specs, snapshot)
        self._emit("measureBaseline", {"signals": {n: _statuses(m) for n, m in measured.items()}})
        return Baseline(base, ground.tree, ground.entries, ground.plans, measured)

    async def verify(self, request: VerifyRequest) -> Report:
        """Run the whole protocol on one candidate.

        Raises: SandboxUnavailable; UserError for a test configuration of the base that cannot be read.
        """
        started = time.monotonic()
        work = _Work(self, request, started)
        with plain_errors():
            report = await work.run()
        if request.out is None:
            return report
        return await write_evidence(request.out, work.evidence(report))

    async def ground(self, repository: Repository, base: str, specs: Sequence[SignalSpec]) -> _Ground:
        """The base on disk and how its suites are run; nothing has been run yet."""
        async with self._lock:
            key = (base, "".join(map(spec_digest, specs)))
            if key not in self._grounds:
                entries = await repository.list_files(base)
                plans = await _plans(repository, base, specs, entries)
                tree = await make_tree(repository, base, "base", self.scratch / f"base-{len(self._grounds)}")
                self._grounds[key] = _Ground(tree, entries, plans)
            return self._grounds[key]

    async def measure_base(
        self, ground: _Ground, specs: Sequence[SignalSpec], snapshot: Snapshot
    ) -> Mapping[str, Measured]:
        """What of the signals has not been measured on the base before is measured now."""
        async with ground.lock:
            missing = [spec for spec in specs if _key(spec, snapshot) not in ground.measured]
            fresh = await self.measure_all(missing, ground.tree, ground.plans, snapshot)
            ground.measured.update({_key(spec, snapshot): fresh[spec.name] for spec in missing})
            return {spec.name: ground.measured[_key(spec, snapshot)] for spec in specs}

    async def measure_all(
        self, specs: Sequence[SignalSpec], tree: Tree, plans: Mapping[str, PytestPlan], snapshot: Snapshot
    ) -> dict[str, Measured]:
        """Measure signals on a tree, side by side."""
        meter, found = self.meter(snapshot), dict[str, Measured]()

        async def one(spec: SignalSpec) -> None:
            found[spec.name] = await meter.measure(Subject(spec, tree, plans.get(spec.name)))

        async with anyio.create_task_group() as group:
            for spec in specs:
                group.start_soon(one, spec)
        return found

    def meter(self, snapshot: Snapshot) -> Meter:
        """A meter that shares this verifier's capacity."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_CAPACITY)
        return Meter(self._sandbox, snapshot, self.scratch, self._emit, limiter=self._limiter)


class _Work:
    """One verification: the steps in order, and what they found."""

    def __init__(self, verifier: Verifier, request: VerifyRequest, started: float) -> None:
        self._verifier = verifier
        self._request = request
        self._started = started
        self._ground: _Ground | None = None
        self._policy: tuple[PolicyFinding, ...] = ()
        self._base: Mapping[str, Measured] = {}
        self._candidate: dict[str, Measured] = {}
        self._candidate_tree: Tree | None = None
        self._comparisons: tuple[Comparison, ...] = ()
        self._extra: list[Reason] = []
        self._remarks: list[str] = []

    async def run(self) -> Report:
        request = self._request
        if not request.patch.strip():
            return self._refuse(ReasonCode.EMPTY_PATCH, "the candidate changes nothing")
        if not request.specs:
            return self._refuse(ReasonCode.NO_SIGNALS, "no signal is configured or was detected")
        try:
            tree = await request.repository.apply(request.base, request.patch)
        except UserError as error:
            return self._refuse(ReasonCode.PATCH_DOES_NOT_APPLY, error.message)
        self._ground = ground = await self._verifier.ground(request.repository, request.base, request.specs)
        paths = frozenset(entry.path for entry in ground.entries)
        protection = Protection.of(request.verify, request.specs, paths)
        self._policy = await self._check_policy(tree, protection)
        if any(finding.code in _STOP and finding.blocks for finding in self._policy):
            return self._conclude(())
        effective = await effective_tree(request.repository, request.base, tree, protection, paths)
        if not effective.sections:
            detail = "nothing is left of the patch without protected files, tests and caches"
            self._extra.append(Reason(ReasonCode.EMPTY_PATCH, detail))
            return self._conclude(())
        await self._measure(ground, effective)
        self._compare()
        report = self._conclude(())
        if report.verdict is not Verdict.PASS:
            return report
        return self._conclude(await self._necessity(effective, report, ground))

    async def _check_policy(self, tree: str, protection: Protection) -> tuple[PolicyFinding, ...]:
        request, ground = self._request, self._ground
        assert ground is not None
        modes = {entry.path: entry.mode for entry in ground.entries}
        touched = (await request.repository.diff(request.base, tree)).files
        stored = {path: await request.repository.read_file(request.base, path) for path in touched if path in modes}
        return check_policy(
            request.patch,
            base_files=modes,
            protection=protection,
            verify=request.verify,
            read_base=stored.get,
            specs=request.specs,
        )

    async def _measure(self, ground: _Ground, effective: Effective) -> None:
        """Base and candidate, side by side and in exactly the same configuration."""
        request, verifier = self._request, self._verifier
        folder = verifier.scratch / f"candidate-{uuid4().hex[:8]}"
        self._candidate_tree = tree = await make_tree(request.repository, effective.tree, "candidate", folder)

        async def base() -> None:
            self._base = await verifier.measure_base(ground, request.specs, request.snapshot)

        async def candidate() -> None:
            self._candidate = await verifier.measure_all(request.specs, tree, ground.plans, request.snapshot)

        async with anyio.create_task_group() as group:
            group.start_soon(base)
            group.start_soon(candidate)

    def _compare(self) -> None:
        comparisons = []
        for spec in self._request.specs:
            before, after = self._base[spec.name], self._candidate[spec.name]
            measurement = self._with_new_order_dependence(before, after)
            comparisons.append(compare(spec, before.measurement, measurement, self._request.targets))
            strange = sorted(after.replaced - before.replaced)
            if strange:
                detail = f"the code under test replaced functions of the test runner: {', '.join(strange[:5])}"
                self._extra.append(Reason(ReasonCode.RESULTS_DISAGREE, detail, spec.name))
        self._comparisons = tuple(comparisons)

    def _with_new_order_dependence(self, before: Measured, after: Measured) -> Measurement:
        """Put the shuffled run back where a test that passed on the base in any order now depends on the order."""
        if after.shuffled is None:
            return after.measurement
        name = after.measurement.spec.name
        stable = {
            identity
            for identity in after.order_dependent - before.order_dependent
            if all(identity in run.tests and run.tests[identity].status.badness == 0 for run in before.measurement.runs)
        }
        known = len(after.order_dependent) - len(stable)
        if known:
            self._remarks.append(f"{name}: {known} test(s) give another result when test files run in another order")
        if not stable:
            return after.measurement
        return replace(after.measurement, runs=(*after.measurement.runs, after.shuffled))

    async def _necessity(self, effective: Effective, report: Report, ground: _Ground) -> tuple[HunkNecessity, ...]:
        """Take the patch back, whole and in parts: what it fixed must be red again."""
        request = self._request
        fixed = {s.name: s.tests.fail_to_pass for s in report.signals if s.tests and s.tests.fail_to_pass}
        specs = [spec for spec in request.specs if spec.name in fixed]
        if not specs:
            return ()
        spec = min(specs, key=lambda s: self._candidate[s.name].measurement.runs[0].seconds)
        probe = Probe(
            subject=Subject(spec, ground.tree, ground.plans.get(spec.name)),
            targets=fixed[spec.name],
            meter=self._verifier.meter(request.snapshot),
            scratch=self._verifier.scratch,
        )
        if not await is_red_on_base(probe):
            detail = "the tests that the patch fixes are green on the base as well, measured again"
            self._extra.append(Reason(ReasonCode.REVERT_STILL_GREEN, detail, spec.name))
            return ()
        return await check_hunks(request.repository, request.base, effective.sections, probe=probe, budget=Budget())

    def _refuse(self, code: ReasonCode, detail: str) -> Report:
        reasons = (Reason(code, detail),)
        return self._report(worst(reasons), reasons, ())

    def _conclude(self, necessity: tuple[HunkNecessity, ...]) -> Report:
        extra = list(self._extra)
        if not self._comparisons:
            reasons = (*extra, *(Reason(f.code, f"{f.path}: {f.detail}") for f in self._policy if f.blocks))
            return self._report(worst(reasons), reasons, necessity)
        verdict, ranked = decide(
            comparisons=self._comparisons,
            policy=self._policy,
            extra=extra,
            verify=self._request.verify,
            needs_red=self._request.needs_red,
        )
        return self._report(verdict, ranked, necessity)

    def _report(self, verdict: Verdict, reasons: tuple[Reason, ...], necessity: tuple[HunkNecessity, ...]) -> Report:
        return Report(
            verdict=verdict,
            reasons=reasons,
            signals=tuple(comparison.report for comparison in self._comparisons),
            policy=self._policy,
            necessity=necessity,
            base=self._request.base,
            candidate_digest=hashlib.sha256(self._request.patch.encode("utf-8", "surrogateescape")).hexdigest(),
            seconds=time.monotonic() - self._started,
            remarks=tuple(self._remarks),
        )

    def evidence(self, report: Report) -> Evidence:
        """Everything a third party needs to derive the verdict again."""
        ground = self._ground
        return Evidence(
            request_specs=self._request.specs,
            verify=self._request.verify,
            targets=self._request.targets,
            needs_red=self._request.needs_red,
            patch=self._request.patch,
            snapshot=self._request.snapshot,
            base_tree=ground.tree.digest if ground else "",
            candidate_tree=self._candidate_tree.digest if self._candidate_tree else "",
            base={name: measured.measurement for name, measured in self._base.items()},
            candidate={
                name: self._with_new_order_dependence(self._base[name], measured)
                for name, measured in self._candidate.items()
            },
            extra=tuple(self._extra),
            report=report,
        )


def _key(spec: SignalSpec, snapshot: Snapshot) -> str:
    return f"{spec_digest(spec)}:{snapshot.digest}"


def _statuses(measured: Measured) -> str:
    return "/".join(run.status.value for run in measured.measurement.runs)


async def _plans(
    repository: Repository, base: str, specs: Sequence[SignalSpec], entries: Sequence[TreeEntry]
) -> dict[str, PytestPlan]:
    """How each pytest suite is run, from the base alone."""
    suites = [spec for spec in specs if spec.kind is SignalKind.TEST and _is_pytest(spec)]
    if not suites:
        return {}
    named = [e.path for e in entries if e.path.rpartition("/")[2] in CONFIG_NAMES and e.mode.startswith("100")]
    files = {path: await repository.read_file(base, path) or b"" for path in named}
    paths = [entry.path for entry in entries]
    return {spec.name: plan_pytest(spec, files, paths) for spec in suites}


def _is_pytest(spec: SignalSpec) -> bool:
    if spec.framework:
        return spec.framework == "pytest"
    return any(word.rpartition("/")[2] in {"pytest", "py.test"} for word in spec.run) and "report" not in spec.expect
