"""Reading a baseline: what is red, and whether there is anything to work against. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from perstack.core.signals import Measurement, Priority, SignalKind, SignalStatus, TestCase, TestStatus
from perstack.signals.compare_diagnostics import gating_severities

RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})


def gating(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Only signals that gate can define what a fix is."""
    return tuple(m for m in measurements if m.spec.priority is Priority.MUST and not m.spec.reject)


def is_red(measurement: Measurement) -> bool:
    """Red in any run: a flaky red is still something a person asked about; the verdict sorts it out later.

    A compiler or linter is red with its diagnostics as well: some end with 0 whatever they find.
    """
    gates = gating_severities(measurement.spec) if measurement.spec.kind is SignalKind.COMPILER else frozenset[str]()
    return any(
        run.status is SignalStatus.FAIL or any(d.severity in gates for d in run.diagnostics) for run in measurement.runs
    )


def failing_tests(measurements: Iterable[Measurement]) -> tuple[TestCase, ...]:
    """Tests red in some run, each once, in the order of the report."""
    seen: dict[str, TestCase] = {}
    for measurement in measurements:
        for run in measurement.runs:
            for case in run.tests.values():
                if case.status in RED:
                    seen.setdefault(case.id, case)
    return tuple(seen.values())


def first_output(measurements: Iterable[Measurement]) -> str:
    """The output of the first red run, for signals that have no tests."""
    for measurement in measurements:
        for run in measurement.runs:
            if (run.status is not SignalStatus.PASS or run.diagnostics) and run.output:
                return run.output
    return ""


def unusable(measurements: Iterable[Measurement]) -> str:
    """One sentence when no signal gates, or one that does could not be run on the base at all; empty otherwise."""
    listed = tuple(measurements)
    if not listed:
        return 'no signal can prove a fix: set `priority = "must"` for one that checks the product and does not reject'
    for measurement in listed:
        for run in measurement.runs:
            if run.status is SignalStatus.ERROR:
                return f"signal `{measurement.spec.name}` could not be measured on the base commit: {run.problem}"
    return ""
