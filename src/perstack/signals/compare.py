"""Base against candidate, one signal at a time, by identity.

Pure. Only `passed` is passed, identities come from the base, disagreement between repeats is never resolved in the
candidate's favour. What a difference means for the verdict is decided in `verdict.py`.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from perstack.core.signals import (
    DiagnosticDelta,
    Measurement,
    SignalKind,
    SignalRun,
    SignalSpec,
    SignalStatus,
    TestCase,
    TestDelta,
    TestStatus,
)
from perstack.core.verdict import Reason, ReasonCode, SignalReport
from perstack.signals.compare_diagnostics import compare_diagnostics
from perstack.signals.compare_diagnostics import is_target as names_diagnostic
from perstack.signals.compare_tests import compare_tests, excused, is_target

_RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})
_LOOKED_AT = 5000  # tests of which one is looked for that resembles a name
_PER_CODE = 50  # reasons of one code and signal that are listed one by one


@dataclass(frozen=True, slots=True)
class Comparison:
    """One signal's row of the report, and why it is not good enough; no reasons means nothing got worse."""

    report: SignalReport
    reasons: tuple[Reason, ...]
    claim: tuple[Reason, ...] = ()
    """Why this signal cannot show red before green; counts only where that has to be shown."""
    rejects: bool = False


def compare(
    spec: SignalSpec,
    baseline: Measurement,
    candidate: Measurement,
    targets: tuple[str, ...] = (),
    *,
    gone: Collection[str] = (),
) -> Comparison:
    """Compare all runs on the base with all runs on the candidate.

    `targets` are test ids (a prefix up to `[` or `::` names all below it) that must turn green; without any,
    everything red on the base must. Tests red on the base and not targets are shown and not judged. For diagnostics
    see `compare_diagnostics`. `gone` are files that the candidate removes.
    """
    reasons = [*_base_problems(spec, baseline), *_candidate_problems(spec, candidate)]
    delta: TestDelta | None = None
    changes: DiagnosticDelta | None = None
    diagnostics = next((run.diagnostics for run in candidate.runs if run.diagnostics), ())
    failures: tuple[str, ...] = ()
    claim: tuple[Reason, ...] = ()
    if not reasons:
        if spec.kind is SignalKind.TEST:
            tests = compare_tests(baseline.runs, candidate.runs, targets)
            delta, failures = tests.delta, tests.worth_showing
            reasons += [replace(reason, signal=spec.name) for reason in tests.reasons]
            claim = tuple(replace(reason, signal=spec.name) for reason in tests.claim)
        elif spec.kind is SignalKind.COMPILER and not spec.reject:
            found = compare_diagnostics(spec, baseline.runs, candidate.runs, targets, gone)
            changes, diagnostics = found.delta, found.worth_showing
            reasons += list(dict.fromkeys(replace(reason, signal=spec.name) for reason in found.reasons))
            claim = tuple(replace(reason, signal=spec.name) for reason in found.claim)
        else:
            reasons += _command_reasons(spec, baseline, candidate)
    elif spec.kind is SignalKind.TEST:
        delta = TestDelta()
    last = candidate.runs[-1] if candidate.runs else None
    cases = [_worst_case(candidate, identity) for identity in failures]
    report = SignalReport(
        name=spec.name,
        kind=spec.kind,
        priority=spec.priority,
        status=_reported_status(spec, candidate, reasons),
        baseline=measured_status(baseline),
        runs=len(candidate.runs),
        seconds=sum(run.seconds for run in candidate.runs),
        tests=delta,
        diagnostics=diagnostics,
        failures=tuple(case for case in cases if case is not None),
        output=last.output if last else "",
        changes=changes,
        pictures=tuple(dict.fromkeys(picture.path for run in candidate.runs for picture in run.pictures)),
    )
    return Comparison(report, _capped(reasons), _capped(list(claim)), spec.reject)


def not_run(spec: SignalSpec, why: str, baseline: Measurement) -> Comparison:
    """The row of a signal that nobody tried on the candidate. Never better than `inconclusive`."""
    before = measured_status(baseline) if baseline.runs else SignalStatus.NOT_RUN
    report = SignalReport(spec.name, spec.kind, spec.priority, SignalStatus.NOT_RUN, before, 0, 0.0, note=why)
    return Comparison(report, (Reason(ReasonCode.NOT_RUN, why, spec.name),), (), spec.reject)


def unasked(comparisons: Iterable[Comparison], targets: Collection[str]) -> tuple[str, ...]:
    """What to do where a change fixes something and other tests are as red as on the base: name what it is about."""
    found = []
    for comparison in comparisons:
        delta = comparison.report.tests
        if delta is None or targets or not (delta.fail_to_pass and delta.still_failing):
            continue
        found.append(
            f"{comparison.report.name}: {len(delta.fail_to_pass)} test(s) are fixed, {len(delta.still_failing)} are as"
            " red as on the base; where the change is not about those, name what it has to fix, and only that counts:"
            f" --target {delta.fail_to_pass[0]}"
        )
    return tuple(found)


def unknown_targets(baselines: Sequence[Measurement], targets: Sequence[str]) -> tuple[Reason, ...]:
    """Targets that mean no test and no diagnostic of the base: a slip of the pen must not prove anything."""
    runs = [run for baseline in baselines for run in baseline.runs]
    return tuple(
        Reason(
            ReasonCode.NOTHING_RED,
            f"{target!r} is neither a test nor a finding of the base commit{_near(target, runs)}",
        )
        for target in targets
        if not any(is_target(identity, (target,)) for run in runs for identity in run.tests)
        and not any(names_diagnostic(diagnostic, (target,)) for run in runs for diagnostic in run.diagnostics)
    )


def _near(target: str, runs: Sequence[SignalRun]) -> str:
    """The test that was probably meant; else one that is red, to show how tests are named."""
    names = dict.fromkeys(identity for run in runs for identity in run.tests)
    found = difflib.get_close_matches(target, islice(names, _LOOKED_AT), n=1)
    if found:
        return f"; there is {found[0]!r}"
    red = next((one for run in runs for one, case in run.tests.items() if case.status in _RED), "")
    return f"; red there is {red!r}" if red else ""


def with_test_change(restored: Comparison, own_tests: Measurement, changed_tests: Collection[str]) -> Comparison:
    """Turn failures that the candidate's own test changes resolve into `test-change-needed`.

    `restored` was measured with the base's tests, `own_tests` with the candidate's version of `changed_tests`
    (paths of existing test files that were edited, not deleted). A failure outside these files stays a failure.
    The result is never better than `needs-test-change`: a human has to look at the edits.
    """
    delta = restored.report.tests
    if delta is None or any(run.problem_code or run.status is SignalStatus.ERROR for run in own_tests.runs):
        return restored
    healed = excused(delta, own_tests.runs, changed_tests)
    if not healed:
        return restored
    kept = [reason for reason in restored.reasons if reason.detail not in healed]
    asked = Reason(
        ReasonCode.TEST_CHANGE_NEEDED,
        f"{len(healed)} test(s) pass only with the edited tests: {', '.join(sorted(healed)[:5])}",
        restored.report.name,
    )
    return replace(restored, reasons=(*kept, asked))


def measured_status(measurement: Measurement) -> SignalStatus:
    """All runs as one status: an error anywhere is an error, disagreement is flaky."""
    statuses = {run.status for run in measurement.runs}
    if not statuses or SignalStatus.ERROR in statuses:
        return SignalStatus.ERROR
    return statuses.pop() if len(statuses) == 1 else SignalStatus.FLAKY


def _reported_status(spec: SignalSpec, candidate: Measurement, reasons: Iterable[Reason]) -> SignalStatus:
    codes = {reason.code for reason in reasons}
    measured = measured_status(candidate)
    if measured is SignalStatus.ERROR or ReasonCode.SIGNAL_ERROR in codes:
        return SignalStatus.ERROR
    if codes and codes <= {ReasonCode.TEST_FLAKY}:
        return SignalStatus.FLAKY
    if codes - {ReasonCode.BASELINE_ERROR, ReasonCode.BASELINE_FLAKY, ReasonCode.TEST_FLAKY, ReasonCode.NOTHING_RED}:
        return SignalStatus.FAIL
    # tests red before and after that nobody asked about do not make the signal red
    return SignalStatus.PASS if spec.kind is SignalKind.TEST or spec.reject else measured


def _base_problems(spec: SignalSpec, baseline: Measurement) -> list[Reason]:
    if not baseline.runs:
        return [Reason(ReasonCode.BASELINE_ERROR, "the signal was not measured on the base", spec.name)]
    found: list[Reason] = []
    for run in baseline.runs:
        if run.status is not SignalStatus.ERROR and (not run.problem_code or _is_red(run)):
            continue
        code = {
            ReasonCode.NO_TESTS.value: ReasonCode.NO_TESTS,
            ReasonCode.COLLECTION_ERROR.value: ReasonCode.RED_NOT_BEHAVIOURAL,
        }.get(run.problem_code, ReasonCode.BASELINE_ERROR)
        found.append(Reason(code, f"on the base: {run.problem or run.problem_code or 'no result'}", spec.name))
    if not found and spec.kind is SignalKind.TEST and not any(run.tests for run in baseline.runs):
        found.append(Reason(ReasonCode.NO_TESTS, "no test was found on the base", spec.name))
    return list(dict.fromkeys(found))


def _is_red(run: SignalRun) -> bool:
    """Whether a limit ended a suite in one of its tests, or a command: on the base, that is red as anything else."""
    limits = (ReasonCode.TIMED_OUT.value, ReasonCode.MEMORY_LIMIT.value)
    return run.problem_code in limits and run.status is SignalStatus.FAIL


def _candidate_problems(spec: SignalSpec, candidate: Measurement) -> list[Reason]:
    if not candidate.runs:
        return [Reason(ReasonCode.SIGNAL_ERROR, "the signal was not measured on the candidate", spec.name)]
    found = [
        Reason(problem_reason(run), run.problem or run.problem_code or "no result", spec.name)
        for run in candidate.runs
        if run.status is SignalStatus.ERROR or run.problem_code
    ]
    return list(dict.fromkeys(found))


def problem_reason(run: SignalRun) -> ReasonCode:
    """The reason code of a run that went wrong; `signal-error` where the run does not say which."""
    try:
        return ReasonCode(run.problem_code)
    except ValueError:
        return ReasonCode.SIGNAL_ERROR


def _command_reasons(spec: SignalSpec, baseline: Measurement, candidate: Measurement) -> list[Reason]:
    before, after = measured_status(baseline), measured_status(candidate)
    if after is SignalStatus.FLAKY:
        return [Reason(ReasonCode.TEST_FLAKY, "repeated runs on the candidate disagree", spec.name)]
    if spec.reject:
        matched = after is SignalStatus.PASS
        return [Reason(ReasonCode.COMMAND_FAILED, "the reject signal matched", spec.name)] if matched else []
    if before is SignalStatus.FLAKY:
        return [Reason(ReasonCode.BASELINE_FLAKY, "repeated runs on the base disagree", spec.name)]
    if before is SignalStatus.FAIL and spec.kind is SignalKind.SCREENSHOT and not spec.expect.get("baseline"):
        texts = _details(spec, baseline.runs[-1])
        return [
            Reason(ReasonCode.BASELINE_FLAKY, f"two pictures of the base differ: {text}", spec.name) for text in texts
        ]
    if after is SignalStatus.PASS:
        return []
    code = ReasonCode.STILL_FAILING if before is SignalStatus.FAIL else ReasonCode.COMMAND_FAILED
    return [Reason(code, detail, spec.name) for detail in _details(spec, candidate.runs[-1])]


def _details(spec: SignalSpec, run: SignalRun) -> list[str]:
    """What is wrong, one sentence a finding, where the signal says more than an exit code."""
    if spec.kind in {SignalKind.COMMAND, SignalKind.COMPILER} or not run.diagnostics:
        return [f"exit code {run.exit_code}"]
    places = [f"{d.path}:{d.line}" if d.line else d.path for d in run.diagnostics]
    return [f"{place}: {d.message}" if place else d.message for place, d in zip(places, run.diagnostics, strict=True)]


def _worst_case(measurement: Measurement, identity: str) -> TestCase | None:
    cases = [run.tests[identity] for run in measurement.runs if identity in run.tests]
    return max(cases, key=lambda case: case.status.badness, default=None)


def _capped(reasons: list[Reason]) -> tuple[Reason, ...]:
    """At most `_PER_CODE` of each code, then one line that counts the rest."""
    kept: list[Reason] = []
    totals: Counter[ReasonCode] = Counter()
    for reason in reasons:
        totals[reason.code] += 1
        if totals[reason.code] <= _PER_CODE:
            kept.append(reason)
    for code, total in totals.items():
        if total > _PER_CODE:
            signal = next(reason.signal for reason in reasons if reason.code is code)
            kept.append(Reason(code, f"and {total - _PER_CODE} more", signal))
    return tuple(kept)
