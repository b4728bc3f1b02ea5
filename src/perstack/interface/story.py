"""One job as the forge shows it: data for the texts and the outputs. Pure; renders nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perstack.core.json import Json
from perstack.core.outcome import Candidate, FixOutcome
from perstack.core.signals import Diagnostic
from perstack.core.usage import Usage
from perstack.core.verdict import Report, Verdict
from perstack.forge.contract import ReviewComment
from perstack.interface.progress import JobView


@dataclass(frozen=True, slots=True)
class InlineReview:
    """Remarks that fit the lines of a diff, most useful first, and what is left for a comment to tell.

    `suggestions` counts changes to apply among the comments, `rest_changes` those that no line could carry.
    """

    comments: tuple[ReviewComment, ...] = ()
    rest: tuple[Diagnostic, ...] = ()
    suggestions: int = 0
    rest_changes: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """One job as the forge shows it. Empty fields are left out of the texts.

    `base` is the commit that was looked at.
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
    fork: bool = False
    evidence_url: str = ""  # page of the evidence artifact
    plan_sha256: str = ""  # of the approved plan that this fix carried out
    approved_by: str = ""
    test_change: str = ""  # the part of a change that is about tests, for a person to decide (`needs-test-change`)
    fix_updated: bool = False  # an open fix pull request was updated, none was opened
    cost_usd: float | None = None  # None where it is not known
    claimed: str = ""  # the verdict that an unprivileged job claimed; `report` is what we measured ourselves
    claimed_url: str = ""
    view: JobView = field(default_factory=JobView)
    history: tuple[Mapping[str, Json], ...] = ()  # earlier results of the same comment, newest first
    inline: InlineReview | None = None
    doubt: str = ""  # why the commit is not green though its change is proved: other pull requests show its check

    @property
    def verdict(self) -> Verdict:
        judged = self.outcome or self.report
        if judged is None:
            return Verdict.ERROR
        return Verdict.INCONCLUSIVE if self.doubt and judged.verdict is Verdict.PASS else judged.verdict

    @property
    def judged(self) -> Report | None:
        """The report that the texts are about."""
        return self.report or (self.outcome.report if self.outcome else None)


@dataclass(frozen=True, slots=True)
class PlanStory:
    """A plan that waits for a word of a person. `text` is a model's; `sha256` is its digest."""

    actor: str
    head: str
    text: str
    sha256: str
    approval_needed: bool = True
    is_pull_request: bool = True
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    run_url: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewStory:
    """A model's remarks about a pull request: soft, never a conclusion."""

    actor: str
    head: str
    text: str
    inline: InlineReview | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    run_url: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerStory:
    """What an expert answered to `run`. `candidate` is what it changed, `report` what the protocol says of that."""

    expert: str
    actor: str
    head: str
    text: str
    candidate: Candidate | None = None
    report: Report | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    run_url: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MadeStory:
    """An expert that somebody wished for. `error` says why there is none; `query` and `signal` are how it was tried.

    `rights` are what its experts may do, key by key; `head` is the commit that the change is over.
    """

    actor: str
    head: str
    key: str = ""
    query: str = ""
    signal: str = ""
    rounds: int = 0
    rights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    candidate: Candidate | None = None
    branch: str = ""
    pull_url: str = ""
    updated: bool = False
    note: str = ""
    error: str = ""
    number: int = 0
    usage: Usage = field(default_factory=Usage)
    run_url: str = ""
    warnings: tuple[str, ...] = ()
