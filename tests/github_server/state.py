"""What the in-memory GitHub knows. Git data lies in real bare repositories; everything else is here."""

from __future__ import annotations

import itertools
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.github_server.git_data import bare_repository, branch_sha, git, has_commit

CLOCK = "2026-01-01T00:00:00Z"  # of everything whose time nobody asks for


def now() -> str:
    """The time as GitHub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class User:
    """An account."""

    login: str
    id: int
    type: str = "User"


@dataclass(frozen=True)
class App:
    """A GitHub App; `user` is the account its tokens act as."""

    id: int
    slug: str
    user: User


GITHUB_ACTIONS = App(15368, "github-actions", User("github-actions[bot]", 41898282, "Bot"))
WEB_FLOW = User("web-flow", 19864447)  # committer of what is committed on GitHub itself


@dataclass(frozen=True)
class Token:
    """What a token may do. `permissions`: name → `read` or `write`; `app` is None for a person's token."""

    value: str
    user: User
    app: App | None
    permissions: dict[str, str]

    def may(self, permission: str, level: str) -> bool:
        """Whether the token has at least this level."""
        have = self.permissions.get(permission)
        return have == "write" or (have == "read" and level == "read")


@dataclass
class Comment:
    """A comment of an issue's conversation."""

    id: int
    user: User | None
    body: str
    app: App | None = None
    edits: int = 0
    editor: User | None = None
    reactions: list[dict[str, Any]] = field(default_factory=list)
    updated_at: str = field(default_factory=now)


@dataclass
class ReviewComment:
    """A comment at lines of a pull request's diff. `start_line` is 0 for a single line."""

    id: int
    user: User
    body: str
    commit_id: str
    path: str
    line: int
    start_line: int = 0
    review_id: int = 0
    reactions: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Review:
    """A review of a pull request."""

    id: int
    user: User
    body: str
    commit_id: str


@dataclass
class Pull:
    """What makes an issue a pull request. `head_repository` is None for a deleted fork."""

    head_repository: Repository | None
    head_ref: str
    base_ref: str
    head_sha: str
    head_owner: User
    draft: bool = False
    reviews: list[Review] = field(default_factory=list)
    review_comments: list[ReviewComment] = field(default_factory=list)


@dataclass
class Issue:
    """An issue or pull request."""

    number: int
    id: int
    title: str
    body: str | None
    user: User | None
    state: str = "open"
    locked: bool = False
    comments: list[Comment] = field(default_factory=list)
    reactions: list[dict[str, Any]] = field(default_factory=list)
    pull: Pull | None = None


@dataclass
class CheckRun:
    """A check run. `history` has every status it was in."""

    id: int
    name: str
    head_sha: str
    app: App
    external_id: str = ""
    details_url: str = ""
    status: str = "queued"
    conclusion: str | None = None
    output: dict[str, Any] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    history: list[str] = field(default_factory=list)


@dataclass
class Job:
    """A job of a workflow run. `log` lies on another host, without the time before each line."""

    id: int
    name: str
    conclusion: str
    step: str = ""
    log: bytes = b""


@dataclass
class Artifact:
    """A ZIP that a workflow run left."""

    id: int
    name: str
    data: bytes
    expired: bool = False


@dataclass
class Run:
    """A workflow run."""

    id: int
    head_sha: str
    head_branch: str
    head_repository: Repository | None
    name: str = "CI"
    event: str = "pull_request"
    status: str = "completed"
    conclusion: str | None = "failure"
    attempt: int = 1
    jobs: list[Job] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)


@dataclass(frozen=True)
class Authorship:
    """Whose accounts a commit belongs to, and whether GitHub signed it."""

    author: User | None
    committer: User | None
    verified: bool = False


@dataclass
class Repository:
    """A repository with its real git directory."""

    id: int
    owner: User
    name: str
    git: Path
    default_branch: str = "main"
    roles: dict[int, str] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    rules: dict[str, list[str]] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    checks: dict[int, CheckRun] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    authors: dict[str, Authorship] = field(default_factory=dict)
    sarif: list[dict[str, str]] = field(default_factory=list)
    code_scanning: bool = True
    spoils_trees: bool = False  # commits made by the API get one file more than was asked for
    knows_commit_mutation: bool = True  # old enterprise servers do not
    actions_may_open_pulls: bool = True
    pushes: list[dict[str, str]] = field(default_factory=list)
    parent: Repository | None = None

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def protect(self, branch: str) -> None:
        """Protect a branch, for the API and for pushes."""
        self.protected.add(branch)
        (self.git / "protected-branches").write_text("\n".join(sorted(self.protected)) + "\n", encoding="utf-8")

    def add_issue(self, number: int, title: str, body: str | None = "", *, user: User | None = None) -> Issue:
        """Add an issue."""
        issue = Issue(number, self.id * 1000 + number, title, body, user or self.owner)
        self.issues[number] = issue
        return issue

    def add_pull(self, number: int, head_ref: str, *, base_ref: str = "", head: Repository | None = None) -> Issue:
        """Add a pull request from a branch of this repository or of a fork."""
        source = head or self
        issue = self.add_issue(number, f"Change {number}", "What it does")
        issue.pull = Pull(
            source, head_ref, base_ref or self.default_branch, branch_sha(source.git, head_ref), source.owner
        )
        self.sync_pulls()
        return issue

    def sync_pulls(self) -> None:
        """Let open pull requests follow their branches, as a push does."""
        for issue in self.issues.values():
            if issue.pull is None or issue.state != "open":
                continue
            source = issue.pull.head_repository
            sha = branch_sha(source.git, issue.pull.head_ref) if source else ""
            issue.pull.head_sha = sha or issue.pull.head_sha
            if sha and not has_commit(self.git, sha) and source:
                git("fetch", "-q", str(source.git), sha, cwd=self.git)
            if has_commit(self.git, issue.pull.head_sha):
                git("update-ref", f"refs/pull/{issue.number}/head", issue.pull.head_sha, cwd=self.git)


class State:
    """Everything, and one lock over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.users: dict[str, User] = {GITHUB_ACTIONS.user.login: GITHUB_ACTIONS.user}
        self.repositories: dict[str, Repository] = {}
        self.tokens: dict[str, Token] = {}
        self.requests: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.storage_url = ""  # of the host that has logs and artifacts
        self.rate_remaining = 5000
        self.rate_reset = 1_767_225_600
        self.teams: dict[str, dict[int, str]] = {}  # "org/slug" → user id → active | pending
        self._ids = itertools.count(1001)

    def new_id(self) -> int:
        """An id that nothing else has."""
        return next(self._ids)

    def user(self, login: str, user_id: int | None = None, kind: str = "User") -> User:
        """An account, made when it is not known yet."""
        if login not in self.users:
            self.users[login] = User(login, user_id or self.new_id(), kind)
        return self.users[login]

    def repository(
        self, full_name: str, *, repository_id: int | None = None, parent: Repository | None = None
    ) -> Repository:
        """A new repository with an empty git directory, or a fork's copy of its parent's."""
        owner, name = full_name.split("/")
        path = self.folder / owner / f"{name}.git"
        path.parent.mkdir(parents=True, exist_ok=True)
        bare_repository(path)
        if parent is not None:
            git("fetch", "-q", str(parent.git), "refs/heads/*:refs/heads/*", cwd=path)
        with (path / "config").open("a", encoding="utf-8") as file:
            file.write("[http]\nreceivepack = true\n[uploadpack]\nallowAnySHA1InWant = true\n")
            file.write("[receive]\nhideRefs = refs/pull\n")
        hook = path / "hooks" / "pre-receive"
        hook.parent.mkdir()
        hook.write_text((Path(__file__).parent / "pre-receive.sh").read_text(encoding="utf-8"), encoding="utf-8")
        hook.chmod(0o755)
        repository = Repository(repository_id or self.new_id(), self.user(owner), name, path, parent=parent)
        repository.roles[repository.owner.id] = "admin"
        self.repositories[full_name] = repository
        return repository

    def token(
        self, permissions: dict[str, str] | None = None, *, app: App | None = GITHUB_ACTIONS, user: User | None = None
    ) -> str:
        """A new token: of an App (default: Actions' own), or of a person with `user` and `app=None`."""
        value = ("ghp_" if app is None else "ghs_") + secrets.token_hex(18)
        actor = user or (app.user if app else GITHUB_ACTIONS.user)
        self.tokens[value] = Token(value, actor, app, {"metadata": "read", **(permissions or {})})
        return value
