"""The Forge Protocol and its data: what a trigger asks for and what results look like. Knows no runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from perstack.core.commits import CommitContents
from perstack.core.json import Json
from perstack.core.signals import Diagnostic

MARKER = "<!-- perstack:key="  # how every comment of ours begins; anybody can write it, so the author counts as well


class Action(StrEnum):
    """What a trigger asks for."""

    FIX = "fix"
    VERIFY = "verify"
    PLAN = "plan"
    REVIEW = "review"
    RUN = "run"
    APPROVE = "approve"
    RETRY = "retry"
    STOP = "stop"
    EXPLAIN = "explain"
    CREATE_EXPERT = "create-expert"
    HELP = "help"
    PUBLISH = "publish"  # the result that an unprivileged run left; asked for by a workflow, never by a comment


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused the event. Identified by numeric id; a name can be changed or imitated."""

    login: str
    id: int
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Trigger:
    """A request read from one event, before any permission was asked.

    `number` is the issue or pull request (0: none, `ref` says what to work on). `head_sha` is set where the
    payload itself pins it. `comment_id` is the comment that carries the command, 0 for none.
    `title`, `text` (the body) and `arguments` are untrusted; `hidden` pieces (comments, invisible characters,
    images) were taken out of them. `notes` are lines to tell the person who asked: mistyped commands, commands
    that were not run.
    """

    event: str
    action: Action
    repository: str
    repository_id: int
    actor: Actor
    number: int = 0
    is_pull_request: bool = False
    comment_id: int = 0
    is_review_comment: bool = False  # the comment hangs on a line of the diff: other addresses on the forge
    arguments: str = ""
    expert: str = ""  # whom `run` asks for, without the @
    approved: str = ""  # the commit that `approve` names, 7 to 40 hex digits
    failed_run: int = 0  # the workflow run whose failing jobs are the task, or whose artifact is published
    run_attempt: int = 0
    commands: int = 1  # which command of one comment this is, from 1
    title: str = ""
    text: str = ""
    head_sha: str = ""
    base_sha: str = ""  # what a push was pushed on, empty for a new branch
    head_repository_id: int = 0  # where the head of a workflow run lies, 0 where the payload does not say
    ref: str = ""
    label: str = ""  # the label that was added; whether it asks for anything is `[github] label`
    assignee: str = ""  # likewise, `[github] assignee`
    place: str = ""  # `path:line` of a review comment
    url: str = ""
    default_branch: str = ""
    edited: bool = False  # the command came in by an edit
    actor_checked: bool = False  # True where the forge itself lets only writers cause the event
    hidden: int = 0
    source: str = ""  # who wrote title and text, as what, and when they were last changed
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event asks for nothing; `why` is for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the API told it now."""

    number: int
    state: str
    head_sha: str
    head_ref: str
    head_repository_id: int
    base_sha: str
    base_ref: str
    title: str = ""
    body: str = ""
    is_fork: bool = False
    draft: bool = False
    head_exists: bool = True
    url: str = ""


class CheckStatus(StrEnum):
    """State of a check run."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class CheckOutput:
    """What a check run shows. The forge cuts texts to its limits and sends annotations in batches."""

    title: str
    summary: str
    text: str = ""
    annotations: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """A commit that already exists in `repository` (a bare git directory on this machine), to be published.

    `expected` is the SHA the branch must have now ("" for a new branch): an optimistic lock.
    `commits` is how: `api` (made again there, signed by the forge), `push` (as it is), `auto` (`api` where it can
    say everything the commit says).
    """

    repository: Path
    commit: str
    branch: str
    expected: str
    commits: str = "auto"


@dataclass(frozen=True, slots=True)
class PullRequestRequest:
    """A pull request to open from `branch` into `base`."""

    branch: str
    base: str
    title: str
    body: str
    draft: bool = False


@dataclass(frozen=True, slots=True)
class ReviewComment:
    """One remark at lines of the new side of a pull request's diff. `start` of 0 is a single line.

    `body` is Markdown; a suggestion is a fenced block in it that replaces exactly these lines.
    """

    path: str
    line: int
    body: str
    start: int = 0


@dataclass(frozen=True, slots=True)
class OwnComment:
    """A comment that we wrote ourselves, by author id. `data` is what we hid in it (see `upsert_comment`)."""

    id: int
    number: int
    key: str
    body: str
    url: str = ""
    updated_at: str = ""  # ISO 8601
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A workflow run as the API told it now. Branch and repository of the head are a stranger's words."""

    id: int
    name: str
    event: str
    status: str
    conclusion: str
    head_sha: str
    head_branch: str
    head_repository_id: int
    attempt: int = 1
    path: str = ""  # the workflow file
    url: str = ""


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A red job of a workflow run with the end of its log (untrusted, redacted, at most some 64 KiB)."""

    id: int
    name: str
    step: str
    log: str


@dataclass(frozen=True, slots=True)
class Ref:
    """Something created on the forge: its id and where people see it."""

    id: int
    url: str = ""
    extra: Mapping[str, Json] = field(default_factory=dict)


class Remote(Protocol):
    """Git for the forge: traffic with its repository, and looks into ours. Handed in by `api`."""

    def fetch(self, sha: str, into: Path, *, history: bool = False) -> None: ...

    def push(self, commit: CommitRequest) -> None:
        """Raises: Superseded when the branch is not at `commit.expected`; ForgeError when it is refused."""
        ...

    def contents(self, commit: CommitRequest, most_bytes: int) -> CommitContents:
        """What the commit changes; no contents where they are more than `most_bytes` together."""
        ...


class Forge(Protocol):
    """Where triggers are checked and results go. Calls block; callers run them in a thread.

    Every method raises ForgeError when the forge refuses or does not answer after retries.
    """

    @property
    def repository(self) -> str: ...

    def role_of(self, actor: Actor) -> str:
        """The actor's exact role in the repository (`admin`, `write`, …), `none` where there is none."""
        ...

    def default_branch(self) -> str: ...

    def branch_sha(self, branch: str) -> str:
        """The SHA a branch points to now, empty where it does not exist."""
        ...

    def is_protected(self, branch: str) -> bool: ...

    def read_file(self, path: str, ref: str) -> bytes | None:
        """One file of the repository at a commit or branch, None where it does not exist."""
        ...

    def pull_request(self, number: int) -> PullRequest: ...

    def pulls_of(self, sha: str) -> tuple[PullRequest, ...]:
        """The open pull requests into this repository whose head is this commit, forks' included; at most ten."""
        ...

    def issue_text(self, number: int) -> tuple[str, str]:
        """Title and body of an issue or pull request."""
        ...

    def react(self, trigger: Trigger, content: str) -> None:
        """Add a reaction (`eyes`, `confused`, …) to what carried the trigger; nothing to react to is fine."""
        ...

    def upsert_comment(self, number: int, key: str, body: str, data: Mapping[str, Json] | None = None) -> Ref:
        """Create or edit in place our one comment with this key, recognised by marker and author id.

        `data` is hidden in it, for later jobs: public, small (4 KiB), no secret. None keeps what is there.
        """
        ...

    def own_comment(self, number: int, key: str) -> OwnComment | None:
        """Our comment with this key, None where there is none."""
        ...

    def edited_by_others(self, comment: OwnComment) -> bool:
        """Whether somebody else changed this comment of ours last: whoever may write here can, and it stays ours."""
        ...

    def own_comments_since(self, since: str) -> tuple[OwnComment, ...]:
        """Our comments of the whole repository that changed since a time (ISO 8601), newest first, at most 1,000."""
        ...

    def review(self, number: int, head_sha: str, body: str, comments: Sequence[ReviewComment]) -> Ref:
        """Post one review (a comment, never an approval). What the forge refuses is sent without it; none twice."""
        ...

    def start_check(self, name: str, head_sha: str, output: CheckOutput, *, external_id: str) -> Ref: ...

    def update_check(self, check: Ref, output: CheckOutput, *, status: CheckStatus, conclusion: str = "") -> None: ...

    def fetch(self, sha: str, into: Path, *, history: bool = False) -> None:
        """Fetch a commit into the bare git directory `into` (created when missing), with its history if asked."""
        ...

    def push(self, commit: CommitRequest) -> str:
        """Publish a commit, through the API (signed there) where it can say everything the commit says, else by git.

        Returns the SHA the branch has now: a commit made by the API has another one, with the same tree.
        Raises Superseded when the branch is no longer at `expected`; ForgeError with a sentence for people.
        """
        ...

    def open_pull_request(self, request: PullRequestRequest) -> Ref:
        """Open a pull request, or find the open one of the same branch and update it."""
        ...

    def teams_of(self, actor: Actor, teams: Sequence[str]) -> frozenset[str]:
        """Which of these teams (`org/slug`) the actor is an active member of; none that could not be asked for."""
        ...

    def account(self) -> int:
        """Id of the account that our writes are made as, 0 where it cannot be told."""
        ...

    def commit_author(self, sha: str) -> int:
        """Account id of a commit's committer, 0 where nothing but the commit's own words says who that is."""
        ...

    def find_checks(self, head_sha: str, name: str) -> tuple[tuple[Ref, str, CheckStatus], ...]:
        """Our check runs of this name on a commit: the run, its external id, its state. Bounded."""
        ...

    def workflow_run(self, run_id: int) -> WorkflowRun: ...

    def failed_jobs(self, run_id: int) -> tuple[FailedJob, ...]:
        """The red jobs of a workflow run with the ends of their logs; at most ten."""
        ...

    def artifact_names(self, run_id: int) -> tuple[str, ...]:
        """Names of a workflow run's artifacts that can still be had; at most a hundred."""
        ...

    def artifact(self, run_id: int, name: str) -> bytes | None:
        """The ZIP of a workflow run's artifact, None where there is none. Untrusted; at most 64 MiB."""
        ...

    def cancel_run(self, run_id: int) -> bool:
        """Ask for a workflow run to be cancelled; False where the token may not."""
        ...

    def upload_sarif(self, sha: str, ref: str, sarif: str) -> str:
        """Upload SARIF 2.1.0 text to code scanning; the id of the upload, empty where it is not permitted."""
        ...

    def write_summary(self, markdown: str) -> None: ...

    def set_outputs(self, outputs: Mapping[str, str]) -> None: ...

    def annotate_log(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Annotations through the job log: what remains where check runs are not permitted."""
        ...
