"""One job as the forge shows it: data for the texts and the outputs. Pure; renders nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perstack.core.json import Json
from perstack.core.outcome import Candidate, FixOutcome
from perstack.core.usage import Usage
from perstack.core.verdict import Report, Verdict
from perstack.interface.progress import JobView


@dataclass(frozen=True, slots=True)
class PlanText:
    """A plan as it was posted: `text` is an expert's, cut to what can be kept; `sha256` is its digest."""

    text: str
    head: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Story:
    """One job as the forge shows it. Empty fields are left out of the texts.

    `base` is the commit that was looked at. `answer` is what an expert said, untrusted. `candidate` is a change that
    no fix job made (`run`), judged by `report`. `earlier` are records of results that this one replaces, newest first.
    """

    action: str
    actor: str
    base: str
    outcome: FixOutcome | None = None
    report: Report | None = None
    commit: str = ""
    branch: str = ""
    pull_url: str = ""
    check_url: str = ""
    run_url: str = ""
    note: str = ""
    warnings: tuple[str, ...] = ()
    number: int = 0
    expert: str = ""
    plan: PlanText | None = None
    answer: str = ""
    candidate: Candidate | None = None
    test_change: str = ""  # the part of a change that is about tests, for a person to decide (`needs-test-change`)
    fix_updated: bool = False  # an open fix pull request was updated, none was opened
    usage: Usage = field(default_factory=Usage)  # of a job that has no `outcome`
    cost_usd: float | None = None  # None where it is not known
    seconds: float = 0.0
    ending: str = ""  # the word of the outputs where there is no fix outcome: verified, planned, reviewed, …
    claimed: str = ""  # the verdict that an unprivileged job claimed; `report` is what we measured ourselves
    view: JobView = field(default_factory=JobView)
    earlier: tuple[Mapping[str, Json], ...] = ()

    @property
    def verdict(self) -> Verdict:
        if self.outcome is not None:
            return self.outcome.verdict
        return self.report.verdict if self.report else Verdict.ERROR

    @property
    def used(self) -> Usage:
        """Tokens of the whole job."""
        return self.outcome.usage if self.outcome is not None else self.usage
