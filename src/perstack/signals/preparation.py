"""What a verification is asked, and what it has before the first run. Data only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from perstack.core.experts import VerifySpec
from perstack.core.sandbox import Snapshot
from perstack.core.signals import SignalSpec
from perstack.infrastructure.git import Repository
from perstack.signals.ground import Ground
from perstack.signals.held_out.written import WrittenChecks
from perstack.signals.measure import Subject
from perstack.signals.protected import Protection
from perstack.signals.tree import BASE, CANDIDATE, OWN, Effective, Tree


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What to verify. `patch` is text against `base`; `targets` are test ids that must turn green.

    `needs_red`: something must be red on the base and green on the candidate. False for pull requests, where all
    green before and after is a pass. `everything`: go on where a signal has decided already, for all the facts.
    `out` is where results and evidence are written, None for nowhere. `checks` were written by an expert from the
    task alone.
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
    everything: bool = False
    checks: WrittenChecks | None = None
    today: date = field(default_factory=lambda: datetime.now(UTC).date())


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a verification runs signals on, and how often on the candidate (None: as a signal says).

    `own` is the candidate with its own edits and additions of tests.
    """

    ground: Ground
    effective: Effective
    protection: Protection
    candidate: Tree
    own: Tree | None = None
    runs: int | None = None

    def runs_on(self, tree: str) -> int | None:
        """How often a signal runs on one of the trees."""
        return {BASE: None, CANDIDATE: self.runs, OWN: 1}[tree]

    def subjects(self, specs: Sequence[SignalSpec], tree: str) -> list[Subject]:
        """The signals on one of the trees. Only suites that an adapter runs are asked about own tests."""
        plans = self.ground.plans
        trees = {BASE: self.ground.tree, CANDIDATE: self.candidate, OWN: self.own}
        if (found := trees[tree]) is None:
            return []
        asked = [spec for spec in specs if tree != OWN or spec.name in plans]
        return [Subject(spec, found, plans.get(spec.name)) for spec in asked]
