"""What happened to each diagnostic between base and candidate. Pure. Not a reader of output: it gets records.

Sets are compared, as multisets of fingerprints, so that moved lines and old findings are no news. A diagnostic counts
as fixed only where the exit code is green, or where the verifier itself asked the tool for a structured form and the
exit code is as on the base: a line of text that is missing proves nothing. Old errors that nobody asked about may
stay; no file, target or stage of the base may disappear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from perstack.core.signals import Diagnostic, DiagnosticDelta, SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import Reason, ReasonCode

_SHOWN = 500  # diagnostics in a report
_STRUCTURED = frozenset({"json", "sarif"})
_SAID: Final = frozenset({"error", "warning"})


@dataclass(frozen=True, slots=True)
class DiagnosticComparison:
    """The delta; why it is not good enough; why red cannot be shown; diagnostics of the candidate, new ones first."""

    delta: DiagnosticDelta
    reasons: tuple[Reason, ...]
    claim: tuple[Reason, ...]
    worth_showing: tuple[Diagnostic, ...]


def compare_diagnostics(
    spec: SignalSpec,
    base_runs: Sequence[SignalRun],
    candidate_runs: Sequence[SignalRun],
    targets: Sequence[str],
    gone: Collection[str] = (),
) -> DiagnosticComparison:
    """Judge all runs on the candidate against all runs on the base.

    `targets` that name a file (`a.c`), a place (`a.c:3`), a folder or a code must be gone from the candidate; others
    are not about this signal. `gone` are files that the candidate removes.
    """
    gating = gating_severities(spec)
    marked_base = [_Marked.of(run, gating) for run in base_runs]
    marked = [_Marked.of(run, gating) for run in candidate_runs]
    base, now = _Seen.of(marked_base), _Seen.of(marked)
    fixed, removed = _left(base, now, gone)
    new = _beyond(marked, base)
    delta = DiagnosticDelta(fixed=fixed, new=new, gone=removed, unchanged=sum((now.most & base.most).values()))
    reasons = [*_new(new), *_disagreement(base_runs, candidate_runs)]
    reasons += [] if new else _silent(base_runs, candidate_runs)
    reasons += _vanished(base_runs, candidate_runs, gone)
    reasons += _wanted(base, now, targets)
    if not reasons and _is_flaky(marked):
        reasons.append(Reason(ReasonCode.TEST_FLAKY, "repeated runs on the candidate disagree"))
    if _is_flaky(marked_base):
        claim: tuple[Reason, ...] = (Reason(ReasonCode.BASELINE_FLAKY, "repeated runs on the base disagree"),)
    else:
        claim = _claim(base_runs, candidate_runs, base, delta)
    if any(reason.code in {ReasonCode.STILL_FAILING, ReasonCode.BASELINE_FLAKY} for reason in claim):
        delta = DiagnosticDelta(new=new, gone=removed, unchanged=delta.unchanged)
    return DiagnosticComparison(delta, tuple(reasons), claim, _worth_showing(candidate_runs, new))


def gating_severities(spec: SignalSpec) -> frozenset[str]:
    """The severities whose diagnostics count: errors, and warnings where the signal says so."""
    return _SAID if spec.expect.get("new") == "warning" else frozenset({"error"})


def is_target(diagnostic: Diagnostic, targets: Sequence[str]) -> bool:
    """Whether a target names this diagnostic, its file, its folder or its code."""
    path = diagnostic.path
    return any(
        target in {path, f"{path}:{diagnostic.line}", diagnostic.code} or path.startswith(f"{target.rstrip('/')}/")
        for target in targets
        if target
    )


@dataclass(frozen=True, slots=True)
class _Marked:
    """One run, each of its diagnostics with its fingerprint and whether its severity gates."""

    run: SignalRun
    rows: tuple[tuple[str, Diagnostic, bool], ...]

    @classmethod
    def of(cls, run: SignalRun, gating: Collection[str]) -> _Marked:
        return cls(run, tuple((d.fingerprint, d, d.severity in gating) for d in run.diagnostics))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Fingerprints over several runs: at gating severities at least and at most, and at any severity at most."""

    least: Counter[str]
    most: Counter[str]
    anyhow: Counter[str]
    sample: dict[str, Diagnostic]

    @classmethod
    def of(cls, runs: Sequence[_Marked]) -> _Seen:
        counted = [Counter(fingerprint for fingerprint, _, gates in run.rows if gates) for run in runs]
        anyhow = [Counter(fingerprint for fingerprint, _, _ in run.rows) for run in runs]
        sample = {fingerprint: d for run in reversed(runs) for fingerprint, d, gates in reversed(run.rows) if gates}
        least, most = _fold(counted, Counter.__and__), _fold(counted, Counter.__or__)
        return cls(least, most, _fold(anyhow, Counter.__or__), sample)


def _fold(counters: Iterable[Counter[str]], join: Callable[[Counter[str], Counter[str]], Counter[str]]) -> Counter[str]:
    result: Counter[str] | None = None
    for counter in counters:
        result = counter if result is None else join(result, counter)
    return result if result is not None else Counter()


def _left(base: _Seen, now: _Seen, gone: Collection[str]) -> tuple[tuple[Diagnostic, ...], tuple[Diagnostic, ...]]:
    """What every base run had and no candidate run has at any severity: fixed, and with its file removed."""
    left = [base.sample[fingerprint] for fingerprint in (base.least - now.anyhow).elements()]
    fixed = tuple(d for d in left if d.path not in gone)
    return fixed, tuple(d for d in left if d.path in gone)


def _beyond(runs: Sequence[_Marked], base: _Seen) -> tuple[Diagnostic, ...]:
    """Diagnostics above the number in which any base run had them; the last ones in order count as the new ones."""
    found: dict[tuple[str, int], Diagnostic] = {}
    for run in runs:
        seen: Counter[str] = Counter()
        for fingerprint, diagnostic, gates in run.rows:
            seen[fingerprint] += gates
            if gates and seen[fingerprint] > base.most[fingerprint]:
                found.setdefault((fingerprint, seen[fingerprint]), diagnostic)
    return tuple(found.values())


def _new(new: Sequence[Diagnostic]) -> Iterable[Reason]:
    for diagnostic in new:
        where = f"{diagnostic.path or 'no file'}:{diagnostic.line}" if diagnostic.line else diagnostic.path or "no file"
        yield Reason(ReasonCode.NEW_DIAGNOSTIC, f"{where}: {diagnostic.message}")


def _silent(base_runs: Sequence[SignalRun], candidate_runs: Sequence[SignalRun]) -> Iterable[Reason]:
    """Runs that fail and do not say why."""
    silent_base = any(_fails_silently(run) for run in base_runs)
    green_base = all(run.status is SignalStatus.PASS for run in base_runs)
    for run in candidate_runs:
        if _fails_silently(run):
            if silent_base:
                yield Reason(ReasonCode.STILL_FAILING, f"exit code {run.exit_code}, as on the base")
            else:
                detail = f"exit code {run.exit_code} without any diagnostic: a stage did not run"
                yield Reason(ReasonCode.COMMAND_FAILED, detail)
        elif run.status is SignalStatus.FAIL and green_base:
            yield Reason(ReasonCode.COMMAND_FAILED, f"exit code {run.exit_code}, green on the base")


def _fails_silently(run: SignalRun) -> bool:
    return run.status is SignalStatus.FAIL and not any(d.severity in _SAID for d in run.diagnostics)


def _lies(run: SignalRun) -> bool:
    """Whether the exit code is green beside an error."""
    return run.status is SignalStatus.PASS and any(d.severity == "error" for d in run.diagnostics)


def _disagreement(base_runs: Sequence[SignalRun], candidate_runs: Sequence[SignalRun]) -> Iterable[Reason]:
    """Exit code and diagnostics of the candidate that contradict each other, where the base's do not."""
    lying = next((run for run in candidate_runs if _lies(run)), None)
    if lying is not None and not any(map(_lies, base_runs)):
        error = next(d for d in lying.diagnostics if d.severity == "error")
        detail = f"exit code {lying.exit_code} beside an error: {error.path}:{error.line}: {error.message}"
        yield Reason(ReasonCode.RESULTS_DISAGREE, detail)
    asked = {run.coverage.form for run in base_runs if run.coverage.asked}
    if asked and {run.coverage.form for run in candidate_runs} - asked:
        yield Reason(ReasonCode.RESULTS_DISAGREE, "the tool answers in another form than on the base")


def _vanished(
    base_runs: Sequence[SignalRun],
    candidate_runs: Sequence[SignalRun],
    gone: Collection[str],
) -> Iterable[Reason]:
    """What the tool looked at on the base and no longer does. A removed file is no stage; its errors are not fixed."""
    if not base_runs or not candidate_runs:
        return
    before = set.intersection(*(set(run.coverage.units) for run in base_runs))
    after = set.intersection(*(set(run.coverage.units) for run in candidate_runs))
    for unit in sorted(before - after):
        if unit not in gone:
            yield Reason(ReasonCode.STAGE_VANISHED, f"{unit.removeprefix('target ')} is no longer looked at")
    fewest_before = min(run.coverage.files for run in base_runs)
    fewest_after = min(run.coverage.files for run in candidate_runs)
    if fewest_before > 0 and fewest_before - len(gone) > fewest_after:
        detail = f"the base was checked in {fewest_before} files or runs, the candidate in {max(fewest_after, 0)}"
        yield Reason(ReasonCode.STAGE_VANISHED, detail)


def _green(runs: Sequence[SignalRun]) -> bool:
    return all(run.status is SignalStatus.PASS for run in runs)


def _wanted(base: _Seen, now: _Seen, targets: Sequence[str]) -> Iterable[Reason]:
    """Targets of the base that are still there."""
    for fingerprint, diagnostic in base.sample.items():
        if is_target(diagnostic, targets) and now.anyhow[fingerprint] >= base.least[fingerprint] > 0:
            where = f"{diagnostic.path}:{diagnostic.line}: {diagnostic.message}"
            yield Reason(ReasonCode.STILL_FAILING, where)


def _is_flaky(runs: Sequence[_Marked]) -> bool:
    kinds = {(m.run.status, frozenset(Counter(fingerprint for fingerprint, _, _ in m.rows).items())) for m in runs}
    return len(kinds) > 1


def _claim(
    base_runs: Sequence[SignalRun], candidate_runs: Sequence[SignalRun], base: _Seen, delta: DiagnosticDelta
) -> tuple[Reason, ...]:
    """Why nothing can be proved to be fixed."""
    found: list[Reason] = []
    for diagnostic in delta.gone:
        detail = f"{diagnostic.path}: the file is gone, with its error: {diagnostic.message}"
        found.append(Reason(ReasonCode.STAGE_VANISHED, detail))
    if any(run.coverage.asked and _fails_silently(run) for run in base_runs):
        detail = "the tool fails on the base and does not say why"
        found.append(Reason(ReasonCode.RED_NOT_BEHAVIOURAL, detail))
    if _green(candidate_runs) and base.least and not (delta.fixed or delta.gone):
        found.append(
            Reason(ReasonCode.NOTHING_RED, "the exit code is green, yet every error of the base is still said")
        )
    if not _green(candidate_runs) and not _may_stay_red(base_runs, candidate_runs):
        detail = f"exit code {candidate_runs[-1].exit_code} on the candidate: in text, nothing shows what was fixed"
        found.append(Reason(ReasonCode.STILL_FAILING, detail))
    return tuple(found)


def _may_stay_red(base_runs: Sequence[SignalRun], candidate_runs: Sequence[SignalRun]) -> bool:
    """Whether old errors explain the candidate's exit code: a form of our own asking, and the base's exit code."""
    runs = (*base_runs, *candidate_runs)
    asked = all(run.coverage.asked and run.coverage.form in _STRUCTURED for run in runs)
    return asked and len({run.exit_code for run in runs}) == 1


def _worth_showing(runs: Sequence[SignalRun], new: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """New ones, then errors, then warnings; notes are left out."""
    known = next((run.diagnostics for run in runs if run.diagnostics), ())
    first = set(new)
    rest = sorted((d for d in known if d.severity in _SAID and d not in first), key=lambda d: d.severity)
    return (*new, *rest)[:_SHOWN]
