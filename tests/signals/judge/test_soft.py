"""What is soft cannot change a verdict: remarks have no way into the decision, in types and in evidence."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from typing import get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from perstack.core.experts import VerifySpec
from perstack.core.sandbox import Snapshot
from perstack.core.signals import Measurement, Priority, SignalKind, SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import Reason, Report, Verdict
from perstack.signals.compare import Comparison, compare
from perstack.signals.evidence import Evidence, _statement
from perstack.signals.verdict import decide

GREEN, RED = SignalRun(SignalStatus.PASS, 1.0, 0), SignalRun(SignalStatus.FAIL, 1.0, 1)
LINT = SignalSpec("lint", SignalKind.COMMAND, ("lint",))


def compared(spec: SignalSpec, before: SignalRun, after: SignalRun) -> Comparison:
    return compare(spec, Measurement(spec, (before, before)), Measurement(spec, (after, after)))


def decided(*comparisons: Comparison, threshold: int = -1) -> Verdict:
    spec = VerifySpec(should_threshold=threshold)
    return decide(comparisons=comparisons, policy=(), extra=(), verify=spec, needs_red=False)[0]


def test_the_decision_takes_nothing_that_could_hold_a_remark() -> None:
    hints = get_type_hints(decide)
    assert set(inspect.signature(decide).parameters) == {"comparisons", "policy", "extra", "verify", "needs_red"}
    assert not any("remark" in name for name in hints)
    assert get_type_hints(Report)["remarks"] == tuple[str, ...]
    assert not any("remark" in field.name for kind in (Comparison, Reason, VerifySpec) for field in fields(kind))


@given(st.lists(st.text(max_size=40), max_size=4), st.sampled_from(list(Verdict)))
def test_remarks_leave_no_trace_in_what_a_verdict_is_derived_from(said: list[str], verdict: Verdict) -> None:
    report = Report(verdict, (), ())
    evidence = Evidence(
        (LINT,), VerifySpec(), (), False, (), "", Snapshot("r", "d"), "b", "c", {}, (), report
    )  # fmt: skip
    remarked = replace(evidence, report=replace(report, remarks=tuple(said)))
    assert _statement(remarked, []) == _statement(evidence, [])


def test_a_should_signal_counts_beyond_the_threshold_only() -> None:
    must = compared(replace(LINT, name="must"), GREEN, GREEN)
    should = [compared(replace(LINT, name=name, priority=Priority.SHOULD), GREEN, RED) for name in "abc"]
    verdicts = [decided(must, *should, threshold=limit) for limit in (-1, 0, 2, 3)]
    assert verdicts == [Verdict.PASS, Verdict.FAIL, Verdict.FAIL, Verdict.PASS]
    assert decided(compared(LINT, GREEN, RED), threshold=9) is Verdict.FAIL


def test_a_reject_signal_fails_where_it_matches_whatever_the_base_said() -> None:
    must, reject = compared(replace(LINT, name="must"), GREEN, GREEN), replace(LINT, reject=True)
    for before in (GREEN, RED):
        assert decided(must, compared(reject, before, GREEN)) is Verdict.FAIL
        assert decided(must, compared(reject, before, RED)) is Verdict.PASS
    flaky = compare(reject, Measurement(reject, (RED, RED)), Measurement(reject, (RED, GREEN)))
    assert decided(must, flaky) is Verdict.INCONCLUSIVE
