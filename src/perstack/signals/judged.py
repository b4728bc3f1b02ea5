"""What of the candidate's runs is compared with the base's. Pure; compares nothing itself: that is `compare.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perstack.core.signals import Measurement, SignalRun, TestCase, TestStatus
from perstack.signals.compare_tests import lies_in
from perstack.signals.measure import Measured


def judged_measurement(before: Measured, after: Measured) -> Measurement:
    """What of the candidate's runs is judged.

    A run in another order of files counts where a test that passed on the base in any order depends on it now.
    """
    base_runs = before.measurement.runs
    runs = tuple(_with_collected_files(base_runs, run) for run in after.measurement.runs)
    newly = [
        identity
        for identity in after.order_dependent - before.order_dependent
        if all(identity in run.tests and run.tests[identity].status is TestStatus.PASSED for run in base_runs)
    ]
    shuffled = (after.shuffled,) if after.shuffled is not None and newly else ()
    return replace(after.measurement, runs=(*runs, *shuffled))


def _with_collected_files(base_runs: Sequence[SignalRun], run: SignalRun) -> SignalRun:
    """Files that could not be collected on the base and hold tests now: they did not vanish."""
    broken = {i for r in base_runs for i, case in r.tests.items() if case.status is TestStatus.ERROR and "::" not in i}
    holding = {file for file in broken if any(lies_in(identity, file) for identity in run.tests)}
    collected = {file: TestCase(file, TestStatus.PASSED) for file in holding if file not in run.tests}
    return replace(run, tests={**run.tests, **collected}) if collected else run
