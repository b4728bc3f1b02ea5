"""An admitted job: who asked for what, at which pinned commit, by which configuration, what it may do. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from perstack.core.experts import Config
from perstack.core.json import JsonObject
from perstack.core.usage import ModelUsage, Usage
from perstack.forge.contract import Action, PullRequest, Trigger
from perstack.forge.trust import Allowed
from perstack.interface.jobs.desk import Desk
from perstack.interface.jobs.record import MAX_ARGUMENTS, Record, timestamp
from perstack.interface.story import Story

# Where somebody wrote to us.
_COMMENTED = frozenset(
    {"issue_comment", "pull_request_review_comment", "issues", "workflow_dispatch", "repository_dispatch"}
)
_JUDGED = frozenset({Action.VERIFY, Action.FIX, Action.PUBLISH})


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that somebody approved."""

    text: str
    sha256: str
    approved_by: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """One job to do. `head` is pinned: everything is about it. `branch` is its branch where no pull request is."""

    trigger: Trigger
    config: Config
    head: str
    allowed: Allowed
    pull: PullRequest | None = None
    branch: str = ""
    plan: Plan | None = None
    note: str = ""

    @property
    def action(self) -> Action:
        return self.trigger.action

    @property
    def number(self) -> int:
        """The issue or pull request, 0 where there is none."""
        return self.trigger.number or (self.pull.number if self.pull else 0)

    @property
    def key(self) -> str:
        """The name of the comment: one for each kind of job and place."""
        word = f"{self.action}-{self.trigger.expert}" if self.trigger.expert else self.action.value
        return f"{word}-{self.number}"

    @property
    def comments(self) -> bool:
        """Whether a comment is written; a plain pull request event is answered by its check run."""
        return bool(self.number) and (self.trigger.event in _COMMENTED or self.action is not Action.VERIFY)

    @property
    def check_name(self) -> str:
        """The name of the check run. A required check waits for pull requests and merge queues, each against its base:
        what is judged against an earlier commit of the same branch has another name, so that it satisfies none."""
        name, event = self.config.github.check_name, self.trigger.event
        return name if self.pull is not None or event == "merge_group" else f"{name} ({event})"

    @property
    def judges(self) -> bool:
        """Whether the pinned commit gets a check run: never where nothing is judged, nor on a branch to be fixed."""
        return self.action in _JUDGED and (self.pull is not None or self.action is Action.VERIFY)

    def record(self, desk: Desk) -> Record:
        """What the comment remembers of this job while it works."""
        trigger = self.trigger
        return Record(
            command=trigger.action.value,
            actor=trigger.actor.id,
            login=trigger.actor.login,
            bot=trigger.actor.is_bot,
            arguments=trigger.arguments[:MAX_ARGUMENTS],
            expert=trigger.expert,
            head=self.head,
            run=desk.process.run,
            attempt=desk.process.attempt,
            started=timestamp(desk.now()),
            plan_sha256=self.plan.sha256 if self.plan else "",
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """How a job without a verdict ended: its comment, the word of the outputs, what later jobs need to know.

    `pull_url` and `commit` where it opened a pull request; `patch` is what an expert changed and nobody pushed.
    """

    text: str
    outcome: str
    usage: Usage = field(default_factory=Usage)
    data: JsonObject = field(default_factory=dict)
    models: tuple[ModelUsage, ...] = ()
    pull_url: str = ""
    commit: str = ""
    patch: str = ""


Done = Story | Answer


@dataclass(slots=True)
class Work:
    """A job under way. `published` is a result that must be told whatever happens next."""

    desk: Desk
    assignment: Assignment
    published: Done | None = None
    folder: Path | None = None  # the engine's, with the log and the evidence

    @property
    def repository_path(self) -> Path:
        """Where commits are fetched to: one a job, for a shallow fetch would cut what an earlier job had."""
        return self.desk.scratch / f"repository-{self.assignment.trigger.commands}.git"

    def story(self, **facts: object) -> Story:
        """A story of this job with these facts."""
        one, trigger = self.assignment, self.assignment.trigger
        plain = {
            "action": trigger.action.value,
            "actor": trigger.actor.login,
            "base": one.head,
            "run_url": self.desk.process.url,
            "warnings": (*one.config.warnings, *trigger.notes),
            "number": one.number,
            "fork": bool(one.pull and one.pull.is_fork),
            "note": one.note,
            "plan_sha256": one.plan.sha256 if one.plan else "",
            "approved_by": one.plan.approved_by if one.plan else "",
            "cost_usd": getattr(facts.get("outcome"), "cost_usd", None),
        }
        return Story(**{**plain, **facts})  # type: ignore[arg-type]  # the constructor checks the names
