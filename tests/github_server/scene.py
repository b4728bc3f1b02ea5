"""A ready-made repository with a pull request and an issue, and events about them made from published payloads.

Everything an event says (ids, names, commits) is true on the server.
"""

from __future__ import annotations

from typing import Any

from tests.forge.payloads import Payload, example, published
from tests.github_server.git_data import commit_files, set_branch
from tests.github_server.server import GithubServer
from tests.github_server.state import CLOCK, Comment, Issue, Repository, User

PULL_NUMBER = 2
ISSUE_NUMBER = 1
WRITE_ALL = {"contents": "write", "issues": "write", "pull-requests": "write", "checks": "write",
             "actions": "read"}  # fmt: skip
READ_ALL = dict.fromkeys(WRITE_ALL, "read")
_BASE = {"calc.py": "def add(a, b):\n    return a - b\n", "README.md": "# Calculator\n"}
_HEAD = {"calc.py": "def add(a, b):\n    return a - b\n\n\ndef twice(a):\n    return add(a, a)\n"}


class Scene:
    """One repository on a server: `main`, the branch `topic` with pull request 2, and issue 1."""

    def __init__(
        self,
        server: GithubServer,
        *,
        base: dict[str, str] | None = None,
        head: dict[str, str] | None = None,
        role: str = "write",
        fork: bool = False,
    ) -> None:
        published_comment = example("issue_comment", "created")
        about = published_comment["repository"]
        self.server = server
        self.actor: User = server.state.user("maintainer", 4711)
        self.repository: Repository = server.state.repository(about["full_name"], repository_id=about["id"])
        self.repository.roles[self.actor.id] = role
        git = self.repository.git
        self.base_sha = commit_files(git, base or _BASE, message="Base")
        set_branch(git, "main", self.base_sha)
        self.source = self.repository
        if fork:
            self.source = server.state.repository(f"contributor/{self.repository.name}", parent=self.repository)
        self.head_sha = commit_files(self.source.git, head or _HEAD, self.base_sha, message="Change")
        set_branch(self.source.git, "topic", self.head_sha)
        self.issue: Issue = self.repository.add_issue(ISSUE_NUMBER, "Sums are wrong", "add(1, 2) is -1")
        self.pull: Issue = self.repository.add_pull(PULL_NUMBER, "topic", head=self.source)

    @property
    def name(self) -> str:
        return self.repository.full_name

    @property
    def clone_url(self) -> str:
        return f"{self.server.url}/{self.name}.git"

    def comment(self, body: str, *, number: int = PULL_NUMBER, user: User | None = None) -> tuple[Comment, Payload]:
        """Somebody comments: the comment on the server, and the event GitHub sends about it."""
        issue = self.repository.issues[number]
        comment = Comment(self.server.state.new_id(), user or self.actor, body)
        issue.comments.append(comment)
        payload = example("issue_comment", "created")
        payload["comment"] |= {
            "id": comment.id, "body": body, "user": self._user(comment.user), "performed_via_github_app": None,
            "html_url": f"{self.server.url}/{self.name}/issues/{number}#issuecomment-{comment.id}",
        }  # fmt: skip
        self._common(payload, user)
        self._issue(payload, issue)
        return comment, payload

    def pull_request_event(self, action: str = "opened") -> Payload:
        """The event of something that happened to the pull request."""
        payload = example("pull_request", action)
        pull = self.pull.pull
        assert pull is not None
        about = payload["pull_request"] | {
            "number": self.pull.number, "id": self.pull.id, "title": self.pull.title, "body": self.pull.body,
            "state": self.pull.state, "html_url": f"{self.server.url}/{self.name}/pull/{self.pull.number}",
        }  # fmt: skip
        about["head"] |= {"ref": pull.head_ref, "sha": pull.head_sha, "repo": self._repository(self.source)}
        about["base"] |= {"ref": pull.base_ref, "sha": self.base_sha, "repo": self._repository(self.repository)}
        payload |= {"number": self.pull.number, "pull_request": about}
        return self._common(payload, None)

    def issue_event(self, action: str = "labeled", *, label: str = "perstack") -> Payload:
        """The event of something that happened to the issue."""
        payload = example("issues", action)
        if "label" in payload:
            payload["label"]["name"] = label
        self._common(payload, None)
        return self._issue(payload, self.issue)

    def dispatch_event(self, **inputs: str) -> Payload:
        """The event of a workflow started by hand; `_` in names stands for `-`."""
        payload = published("workflow_dispatch")[0]
        payload |= {"inputs": {k.replace("_", "-"): v for k, v in inputs.items()}, "ref": "refs/heads/main"}
        return self._common(payload, None)

    def push_to_topic(self, files: dict[str, str]) -> str:
        """Somebody pushes to the pull request's branch; the new head."""
        pull = self.pull.pull
        assert pull is not None
        sha = commit_files(self.source.git, files, pull.head_sha, message="More")
        set_branch(self.source.git, "topic", sha)
        self.repository.sync_pulls()
        return sha

    def _common(self, payload: Payload, user: User | None) -> Payload:
        payload["repository"] |= self._repository(self.repository)
        payload["sender"] = self._user(user or self.actor)
        return payload

    def _issue(self, payload: Payload, issue: Issue) -> Payload:
        payload["issue"] |= {
            "number": issue.number, "id": issue.id, "title": issue.title, "body": issue.body, "state": issue.state,
            "user": self._user(issue.user), "created_at": CLOCK, "updated_at": CLOCK,
            "html_url": f"{self.server.url}/{self.name}/issues/{issue.number}",
        }  # fmt: skip
        payload["issue"].pop("pull_request", None)
        if issue.pull:
            payload["issue"]["pull_request"] = {"url": f"{self.server.url}/repos/{self.name}/pulls/{issue.number}"}
        return payload

    def _user(self, user: User | None) -> dict[str, Any] | None:
        return self.server.rest.documents.user(user)

    def _repository(self, repository: Repository) -> dict[str, Any]:
        return self.server.rest.documents.repository(repository)
