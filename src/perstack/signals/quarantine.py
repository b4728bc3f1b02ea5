"""Flaky tests that are known: run, told, and set aside for a while. The list comes from the base alone.

Pure. A test that is set aside proves nothing and breaks nothing; it can never be what a candidate has to turn green.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from perstack.core.experts import Quarantined
from perstack.core.signals import Measurement, SignalRun, SignalStatus, TestCase, TestStatus
from perstack.core.verdict import Reason, ReasonCode

_RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Entries that hold on the day of the verification, and those whose time is over."""

    active: tuple[Quarantined, ...] = ()
    expired: tuple[Quarantined, ...] = ()

    @classmethod
    def on(cls, day: date, entries: Iterable[Quarantined]) -> Quarantine:
        """An entry holds until the end of its day."""
        listed = tuple(entries)
        active = tuple(entry for entry in listed if day <= date.fromisoformat(entry.until))
        return cls(active, tuple(entry for entry in listed if entry not in active))

    def entry(self, identity: str) -> Quarantined | None:
        """The entry that holds for a test."""
        return next((entry for entry in self.active if names(entry, identity)), None)

    def set_aside(self, measurement: Measurement) -> Measurement:
        """The measurement without the tests in quarantine: what is judged."""
        if not self.active:
            return measurement
        return replace(measurement, runs=tuple(self._without(run) for run in measurement.runs))

    def cases(self, measurement: Measurement) -> tuple[TestCase, ...]:
        """The tests in quarantine that a measurement ran, each at its worst."""
        worst: dict[str, TestCase] = {}
        for run in measurement.runs:
            for identity, case in run.tests.items():
                known = worst.get(identity)
                if self.entry(identity) and (known is None or case.status.badness > known.status.badness):
                    worst[identity] = case
        return tuple(worst.values())

    def _without(self, run: SignalRun) -> SignalRun:
        kept = {identity: case for identity, case in run.tests.items() if self.entry(identity) is None}
        if len(kept) == len(run.tests):
            return run
        # red for nothing else than tests that do not count; a run that is red beyond its tests stays red
        told = any(case.status in _RED for case in run.tests.values())
        healed = run.status is SignalStatus.FAIL and told and not any(case.status in _RED for case in kept.values())
        return replace(run, tests=kept, status=SignalStatus.PASS if healed else run.status)


def names(entry: Quarantined, identity: str) -> bool:
    """Whether an entry means a test: its id, or a glob in which only `*` and `?` are special (ids have brackets)."""
    if "*" not in entry.test and "?" not in entry.test:
        return entry.test == identity
    words = {"*": ".*", "?": "."}
    pattern = "".join(words.get(character) or re.escape(character) for character in re.sub(r"\*+", "*", entry.test))
    return re.fullmatch(pattern, identity, re.DOTALL) is not None


def forbidden_targets(quarantine: Quarantine, targets: Sequence[str]) -> tuple[Reason, ...]:
    """Targets that nothing can prove: they are in quarantine."""
    found = []
    for target in targets:
        entry = quarantine.entry(target)
        if entry is not None:
            detail = f"{target} is in quarantine until {entry.until}, so it cannot be a target"
            found.append(Reason(ReasonCode.NOTHING_RED, detail))
    return tuple(found)


def remarks(quarantine: Quarantine, known: Iterable[str], after: Iterable[TestCase]) -> tuple[str, ...]:
    """What people are told: tests set aside and how they ended, entries that are over, entries that name nothing.

    `known` are the ids of the base's tests, `after` the tests in quarantine as they ended on the candidate.
    """
    identities = tuple(known)
    told = [
        f"{case.id} is in quarantine until {entry.until} ({entry.reason}): {case.status.value}, and does not count"
        for case in after
        if (entry := quarantine.entry(case.id)) is not None
    ]
    told += [f"{entry.test}: its quarantine ended on {entry.until}; it counts again" for entry in quarantine.expired]
    told += [
        f"{entry.test} is in quarantine, and the base has no such test"
        for entry in (*quarantine.active, *quarantine.expired)
        if not any(names(entry, identity) for identity in identities)
    ]
    return tuple(told)
