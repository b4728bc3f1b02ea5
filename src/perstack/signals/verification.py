"""The steps of the protocol on one candidate, in order: policy, trees, runs, comparison, necessity, verdict.

Every step can only make the verdict worse; what is unknown is not passed. The judging itself is pure and lies in
`policy.py`, `compare.py` and `verdict.py`; the running lies in `measure.py`. Nothing of a builder comes in here but
the text of a patch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread

from perstack.core.errors import UserError
from perstack.core.json import JsonObject
from perstack.core.signals import Measurement, Priority, SignalKind, SignalRun, SignalSpec, SignalStatus, TestStatus
from perstack.core.verdict import HunkNecessity, PolicyFinding, Reason, ReasonCode, Report, SignalReport, Verdict
from perstack.signals.cache import checks_key
from perstack.signals.compare import Comparison, compare, not_run, unasked, unknown_targets, with_test_change
from perstack.signals.compiler import tool_of
from perstack.signals.configuration_chain import configuration_chain
from perstack.signals.evidence import Evidence
from perstack.signals.ground import Ground, Workbench
from perstack.signals.held_out.check import Fixed, check_held_out
from perstack.signals.held_out.written_check import Pair, check_written
from perstack.signals.judged import judged_measurement
from perstack.signals.loosened import TYPE_CHECKERS, looser_types
from perstack.signals.measure import Subject
from perstack.signals.moved import followed, moves
from perstack.signals.necessity import Bench, Claim, check_necessity
from perstack.signals.planted import Trees, check_planted
from perstack.signals.policy_check import judge_difference
from perstack.signals.preparation import Prepared, VerifyRequest
from perstack.signals.protected import Protection
from perstack.signals.quarantine import Quarantine, forbidden_targets, remarks
from perstack.signals.sensitivity import Sensitivity, gates
from perstack.signals.side_by_side import Found, Seen, SideBySide
from perstack.signals.spec_digest import patch_digest
from perstack.signals.tree import Effective, Tree, effective_tree, make_tree
from perstack.signals.verdict import decide, settles, worst

# Findings after which running the candidate would be dangerous or pointless.
_STOP = frozenset(
    {ReasonCode.PATH_ESCAPE, ReasonCode.SPECIAL_FILE, ReasonCode.PATCH_TOO_LARGE, ReasonCode.PATCH_DOES_NOT_APPLY}
)


class Verification:
    """One verification; used once."""

    def __init__(self, bench: Workbench, request: VerifyRequest) -> None:
        self._bench = bench
        self._request = request
        self._started = time.monotonic()
        self._base_tree = ""
        self._policy: tuple[PolicyFinding, ...] = ()
        self._changed_tests: tuple[str, ...] = ()
        self._removed: frozenset[str] = frozenset()
        self._moved: Mapping[str, str] = {}
        self._candidate_tree: Tree | None = None
        self._found = Found({}, {}, {})
        self._comparisons: tuple[Comparison, ...] = ()
        self._extra: list[Reason] = []
        self._remarks: list[str] = []
        self._quarantine = Quarantine.on(request.today, request.verify.quarantine)

    async def run(self) -> Report:
        """All steps; stops early only where going on is pointless."""
        prepared = await self.prepare()
        if prepared is None:
            return self._conclude(())
        await self._measure(prepared)
        ground, request = prepared.ground, self._request
        self._comparisons = tuple(self._compare(spec) for spec in request.specs)
        self._extra += forbidden_targets(self._quarantine, request.targets)
        if not self._found.not_run:
            self._extra += unknown_targets([m.measurement for m in self._found.base.values()], request.targets)
        self._remark_quarantine()
        self._remarks += unasked(self._comparisons, request.targets)
        report = self._conclude(())
        if report.verdict is not Verdict.PASS:
            return report
        report = await self._checked(prepared.effective, ground, prepared.protection)
        if report.verdict is Verdict.PASS:
            await self._look_for_blind(ground, prepared.protection)
        return replace(report, remarks=tuple(self._remarks))

    async def prepare(self) -> Prepared | None:
        """Everything before the first run: policy and trees. None where nothing is to be run; `run` says why."""
        request = self._request
        if not request.patch.strip():
            self._refuse(ReasonCode.EMPTY_PATCH, "the candidate changes nothing")
            return None
        if not request.specs:
            self._refuse(ReasonCode.NO_SIGNALS, "no signal is configured or was detected")
            return None
        try:
            tree = await request.repository.apply(request.base, request.patch)
        except UserError as error:
            self._refuse(ReasonCode.PATCH_DOES_NOT_APPLY, error.message)
            return None
        ground = await self._bench.ground(request.repository, request.base, request.specs)
        self._base_tree = ground.tree.digest
        referred = await anyio.to_thread.run_sync(configuration_chain, ground.tree.files, ground.tree.read)
        protection = Protection.of(request.verify, request.specs, ground.paths, referred)
        difference = (await request.repository.diff(request.base, tree)).text
        self._policy = await judge_difference(
            request, ground, protection, tree, difference, secrets=self._bench.secrets
        )
        if any(finding.code in _STOP and finding.blocks for finding in self._policy):
            return None
        effective = await effective_tree(
            request.repository, request.base, tree, protection, ground.paths, difference=difference
        )
        self._changed_tests = effective.changed_tests
        self._moved = moves(effective.sections)
        self._removed = frozenset(s.path for s in effective.sections if s.deleted) - self._moved.keys()
        if not effective.sections and not effective.own_tests_tree:
            detail = "nothing is left of the patch without protected files and caches"
            self._refuse(ReasonCode.EMPTY_PATCH, detail)
            return None
        candidate = await make_tree(request.repository, effective.tree, "candidate", self._folder("candidate"))
        own = None
        if effective.own_tests_tree:
            name = "candidate with its own tests"
            own = await make_tree(request.repository, effective.own_tests_tree, name, self._folder("own"))
        self._candidate_tree = candidate
        # a candidate that the policy refused cannot pass any more: one run tells its builder enough
        runs = 1 if any(finding.blocks for finding in self._policy) else None
        return Prepared(ground, effective, protection, candidate, own, runs)

    async def _checked(self, effective: Effective, ground: Ground, protection: Protection) -> Report:
        """What is asked once every signal is content; an answer for exactly the same question is kept."""
        request, cache = self._request, self._bench.cache
        own_tests = effective.own_tests_tree
        asked = {"patch": request.patch, "verify": asdict(request.verify), "targets": request.targets, "own": own_tests,
                 "red": request.needs_red, "checks": request.checks}  # fmt: skip
        setting = self._bench.setting(ground, request.snapshot)
        key = checks_key(setting, request.specs, self._found.candidate_tree, **asked)
        all_known = all(m.cached for found in (self._found.base, self._found.candidate) for m in found.values())
        known = await anyio.to_thread.run_sync(cache.checked, key) if cache and all_known else None
        if known is not None:
            self._remarks.append("what follows the signals' own results was checked by an earlier job")
            return self._conclude(tuple(HunkNecessity(**entry) for entry in _rows(known, "necessity")))
        report = await self._check(effective, ground, protection)
        if cache is not None and report.verdict is Verdict.PASS:
            said: JsonObject = {"necessity": [asdict(entry) for entry in report.necessity]}
            await anyio.to_thread.run_sync(cache.keep_checked, key, said)
        return report

    async def _check(self, effective: Effective, ground: Ground, protection: Protection) -> Report:
        """Planted errors, held-out questions, necessity; each as long as nothing speaks against the candidate."""
        request, report = self._request, self._conclude(())
        if report.verdict is Verdict.PASS:
            await self._look_for_silence(effective, ground)
            report = self._conclude(())
        if report.verdict is Verdict.PASS and request.verify.held_out != "off":
            await self._hold_out(report, ground, protection)
            report = self._conclude(())
        if report.verdict is Verdict.PASS and request.verify.held_out != "off":
            await self._ask_written(report, effective, ground, protection)
            report = self._conclude(())
        if report.verdict is not Verdict.PASS:
            return report
        return self._conclude(await self._necessity(effective, report, ground))

    async def _measure(self, prepared: Prepared) -> None:
        """Base and candidate, side by side and in exactly the same configuration; the candidate's own tests apart."""
        measuring = SideBySide(self._bench, prepared, self._request.snapshot)
        everything = self._request.everything
        self._found = await measuring.run(self._request.specs, None if everything else self._settles)

    def _settles(self, spec: SignalSpec, seen: Seen) -> bool:
        """Whether a signal refuses the candidate, whatever the others say."""
        return settles(self._judged(spec, seen), needs_red=self._request.needs_red)

    def _judged(self, spec: SignalSpec, seen: Seen) -> Comparison:
        """One signal, judged without any remark."""
        aside = self._quarantine.set_aside
        judged = judged_measurement(seen.base, seen.candidate)
        base = aside(followed(seen.base.measurement, self._moved))
        comparison = compare(spec, base, aside(judged), self._request.targets, gone=self._removed)
        report = replace(comparison.report, quarantined=self._quarantine.cases(judged))
        comparison = replace(comparison, report=report)
        if seen.own is None:
            return comparison
        return with_test_change(comparison, aside(seen.own.measurement), self._changed_tests)

    def _compare(self, spec: SignalSpec) -> Comparison:
        """One signal's row; what is strange or worth telling goes to the others."""
        found = self._found
        if why := found.not_run.get(spec.name):
            known = found.base.get(spec.name)
            return not_run(spec, why, known.measurement if known else Measurement(spec, ()))
        before, after, own = found.base[spec.name], found.candidate[spec.name], found.own.get(spec.name)
        if before.cached or after.cached:
            which = " and ".join(name for name, m in (("base", before), ("candidate", after)) if m.cached)
            self._remarks.append(f"{spec.name}: the results of {which} are an earlier job's, for the same trees")
        strange = sorted(after.replaced - before.replaced)
        if strange:
            detail = f"the code under test replaced functions of the test runner: {', '.join(strange[:5])}"
            self._extra.append(Reason(ReasonCode.RESULTS_DISAGREE, detail, spec.name))
        known_orders = len(after.order_dependent & before.order_dependent)
        if known_orders:
            self._remarks.append(f"{spec.name}: {known_orders} test(s) depend on the order in which test files run")
        if own is not None:
            self._remark_added(spec.name, before.measurement.runs[0], own.measurement.runs[0])
        return self._judged(spec, Seen(before, after, own))

    def _remark_quarantine(self) -> None:
        """Tests that do not count are told, each time."""
        runs = [run for measured in self._found.base.values() for run in measured.measurement.runs]
        aside = [case for comparison in self._comparisons for case in comparison.report.quarantined]
        self._remarks += remarks(self._quarantine, (identity for run in runs for identity in run.tests), aside)

    def _remark_added(self, name: str, before: SignalRun, own: SignalRun) -> None:
        """Tests that the candidate brings are told, and never count."""
        added = [case for identity, case in own.tests.items() if identity not in before.tests]
        passed = sum(case.status is TestStatus.PASSED for case in added)
        if added:
            self._remarks.append(f"{name}: the candidate brings {len(added)} test(s) of its own, {passed} pass")

    async def _look_for_silence(self, effective: Effective, ground: Ground) -> None:
        """Gating compilers and linters must notice an error that is planted now."""
        if self._candidate_tree is None:
            return
        changed = [section.path for section in effective.sections if not section.deleted]
        trees = Trees(ground.tree, self._candidate_tree, changed, self._moved)
        meter = self._bench.meter(self._request.snapshot)
        for spec, comparison in zip(self._request.specs, self._comparisons, strict=True):
            if spec.kind is SignalKind.COMPILER and spec.priority is Priority.MUST and not spec.reject:
                finding = await check_planted(comparison, spec, trees, meter)
                self._extra += finding.reasons
                self._remarks += [finding.remark] if finding.remark else []
                if tool_of(spec) in TYPE_CHECKERS:
                    self._extra += await anyio.to_thread.run_sync(
                        looser_types, comparison.report, trees.base, trees.candidate
                    )

    async def _look_for_blind(self, ground: Ground, protection: Protection) -> None:
        """Gating signals that were green before and after, and would be with anything else: people are told."""
        found: dict[str, Sensitivity] = {}

        async def one(spec: SignalSpec) -> None:
            found[spec.name] = await self._bench.sensitivity(ground, spec, self._request.snapshot, protection)

        green = {c.report.name for c in self._comparisons if c.report.baseline is SignalStatus.PASS}
        async with anyio.create_task_group() as group:
            for spec in self._request.specs:
                if gates(spec) and spec.name in green:
                    group.start_soon(one, spec)
        self._remarks += [one.sentence for one in found.values() if one.can_fail is False]

    async def _hold_out(self, report: Report, ground: Ground, protection: Protection) -> None:
        """Calls of the fixed tests, and calls near to them, where no test runner is loaded."""
        if self._candidate_tree is None:
            return
        asker = self._bench.asker(self._request.snapshot, protection.is_test_file)
        for signal in report.signals:
            fixed = _fixed(signal)
            if signal.tests is None or not fixed:
                continue
            run = self._found.candidate[signal.name].measurement.runs[0]
            subject = Fixed(signal.name, ground.plans.get(signal.name), fixed, run)
            found = await check_held_out(subject, ground.tree, self._candidate_tree, asker)
            strict = self._request.verify.held_out == "must"
            self._extra += found.strictly(signal.name) if strict else found.reasons
            if found.calls:
                asked = f"{found.calls} call(s) of its tests and {found.neighbours} near to them"
                self._remarks.append(f"{signal.name}: held-out checks asked {asked} without the test runner")
            if found.moved:
                what = f"{found.moved} call(s) near to what other tests call give something else than before"
                self._remarks.append(f"{signal.name}: {what}; a person may want to look")

    async def _ask_written(self, report: Report, effective: Effective, ground: Ground, protection: Protection) -> None:
        """What an expert wrote from the task alone: at worst a doubt."""
        written, candidate = self._request.checks, self._candidate_tree
        if written is None or candidate is None or written.signal not in self._found.base:
            return
        changed = [section.path for section in effective.sections]
        fixed = [test for signal in report.signals for test in _fixed(signal) if signal.tests is not None]
        asker = self._bench.asker(self._request.snapshot, protection.is_test_file)
        base_run = self._found.base[written.signal].measurement.runs[0]
        found = await check_written(written, Pair(ground.tree, candidate, changed, fixed), base_run, asker)
        self._extra += found.reasons
        self._remarks += found.remarks

    async def _necessity(self, effective: Effective, report: Report, ground: Ground) -> tuple[HunkNecessity, ...]:
        """Take the patch back, whole and in parts: what it fixed must be red again."""
        request, found = self._request, self._found
        claims = []
        for spec, signal in zip(request.specs, report.signals, strict=True):
            targets = (*_fixed(signal), *self._old_names(signal))
            whole = signal.tests is None and signal.changes is None and gates(spec)
            if targets or (whole and signal.baseline is SignalStatus.FAIL and signal.status is SignalStatus.PASS):
                subject = Subject(spec, ground.tree, ground.plans.get(spec.name))
                seconds = found.candidate[spec.name].measurement.runs[0].seconds
                claims.append(Claim(subject, targets, found.base[spec.name], seconds))
        bench = Bench(self._bench.meter(request.snapshot), self._bench.scratch)
        answer = await check_necessity(request.repository, request.base, effective.sections, claims=claims, bench=bench)
        self._extra += answer.reasons
        self._remarks += [answer.remark] if answer.remark else []
        return answer.parts

    def _old_names(self, signal: SignalReport) -> tuple[str, ...]:
        """Fingerprints of what is fixed in moved files, as the base says them."""
        before = {new: old for old, new in self._moved.items()}
        fixed = signal.changes.fixed if signal.changes and _fixed(signal) else ()
        return tuple(replace(d, path=before[d.path]).fingerprint for d in fixed if d.path in before)

    def _folder(self, name: str) -> Path:
        return self._bench.scratch / f"{name}-{uuid4().hex[:8]}"

    def _refuse(self, code: ReasonCode, detail: str) -> None:
        self._extra.append(Reason(code, detail))

    def _conclude(self, necessity: tuple[HunkNecessity, ...]) -> Report:
        """The verdict of what is known now."""
        reasons = (*self._extra, *(Reason(f.code, f"{f.path}: {f.detail}") for f in self._policy if f.blocks))
        verdict = worst(reasons)
        if self._comparisons:
            verdict, reasons = decide(
                comparisons=self._comparisons,
                policy=self._policy,
                extra=self._extra,
                verify=self._request.verify,
                needs_red=self._request.needs_red,
            )
        return Report(
            verdict=verdict,
            reasons=reasons,
            signals=tuple(comparison.report for comparison in self._comparisons),
            policy=self._policy,
            necessity=necessity,
            base=self._request.base,
            candidate_digest=patch_digest(self._request.patch),
            seconds=time.monotonic() - self._started,
            remarks=tuple(self._remarks),
        )

    def evidence(self, report: Report) -> Evidence:
        """Everything a third party needs to derive the verdict again."""
        found, request = self._found, self._request
        measurements = {
            "base": {name: measured.measurement for name, measured in found.base.items()},
            "candidate": {
                name: judged_measurement(found.base[name], measured) for name, measured in found.candidate.items()
            },
            "own": {name: measured.measurement for name, measured in found.own.items()},
        }
        return Evidence(
            specs=request.specs,
            verify=request.verify,
            targets=request.targets,
            needs_red=request.needs_red,
            changed_tests=self._changed_tests,
            patch=request.patch,
            snapshot=request.snapshot,
            base_tree=self._base_tree,
            candidate_tree=found.candidate_tree,
            measurements=measurements,
            extra=tuple(self._extra),
            report=report,
            removed=self._removed,
            moved=self._moved,
            checks=request.checks.to_json() if request.checks else None,
            not_run=found.not_run,
            quarantine=self._quarantine.active,
            cached=tuple(
                f"{tree}/{name}"
                for tree, measured in (("base", found.base), ("candidate", found.candidate))
                for name in measured
                if measured[name].cached
            ),
        )


def _rows(known: JsonObject, name: str) -> list[dict[str, Any]]:
    rows = known.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _fixed(signal: SignalReport) -> tuple[str, ...]:
    """What a gating signal says is fixed: test ids, or fingerprints of diagnostics."""
    if signal.priority is not Priority.MUST:
        return ()
    if signal.tests is not None:
        return signal.tests.fail_to_pass
    return tuple(d.fingerprint for d in signal.changes.fixed) if signal.changes else ()
