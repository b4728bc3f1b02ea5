"""State as the JSON documents GitHub answers with. Required fields nobody here cares about are filled in later."""

from __future__ import annotations

from typing import Any

from tests.github_server.state import CLOCK, App, CheckRun, Comment, Issue, Repository, User


class Documents:
    """Builds documents whose links lead to this server."""

    def __init__(self, url: str) -> None:
        self._url = url

    def user(self, user: User | None) -> dict[str, Any] | None:
        """An account; None for a deleted one."""
        if user is None:
            return None
        return {
            "login": user.login, "id": user.id, "node_id": f"U_{user.id}", "type": user.type, "site_admin": False,
            "url": f"{self._url}/users/{user.login}", "html_url": f"{self._url}/{user.login}", "gravatar_id": "",
        }  # fmt: skip

    def app(self, app: App | None) -> dict[str, Any] | None:
        """A GitHub App."""
        if app is None:
            return None
        return {
            "id": app.id, "slug": app.slug, "node_id": f"A_{app.id}", "name": app.slug, "description": "",
            "owner": self.user(app.user), "events": [], "permissions": {}, "html_url": f"{self._url}/apps/{app.slug}",
            "external_url": self._url, "created_at": CLOCK, "updated_at": CLOCK,
        }  # fmt: skip

    def repository(self, repository: Repository) -> dict[str, Any]:
        """A repository."""
        url = f"{self._url}/repos/{repository.full_name}"
        return {
            "id": repository.id, "node_id": f"R_{repository.id}", "name": repository.name,
            "full_name": repository.full_name, "owner": self.user(repository.owner), "private": False,
            "html_url": f"{self._url}/{repository.full_name}", "description": None, "url": url,
            "fork": repository.parent is not None, "default_branch": repository.default_branch,
            "clone_url": f"{self._url}/{repository.full_name}.git", "visibility": "public", "archived": False,
            "disabled": False, "homepage": None, "language": None, "mirror_url": None, "license": None,
            "created_at": CLOCK, "updated_at": CLOCK, "pushed_at": CLOCK,
        }  # fmt: skip

    def issue(self, repository: Repository, issue: Issue) -> dict[str, Any]:
        """An issue; pull requests are issues with one more field."""
        url = f"{self._url}/repos/{repository.full_name}/issues/{issue.number}"
        kind = "pull" if issue.pull else "issues"
        document: dict[str, Any] = {
            "id": issue.id, "node_id": f"I_{issue.id}", "number": issue.number, "title": issue.title,
            "body": issue.body, "user": self.user(issue.user), "state": issue.state, "locked": issue.locked,
            "labels": [], "assignee": None, "assignees": [], "milestone": None, "comments": len(issue.comments),
            "created_at": CLOCK, "updated_at": CLOCK, "closed_at": CLOCK if issue.state == "closed" else None,
            "author_association": "NONE", "url": url, "comments_url": f"{url}/comments",
            "repository_url": f"{self._url}/repos/{repository.full_name}",
            "html_url": f"{self._url}/{repository.full_name}/{kind}/{issue.number}",
        }  # fmt: skip
        if issue.pull:
            pull = f"{self._url}/repos/{repository.full_name}/pulls/{issue.number}"
            document["pull_request"] = {"url": pull, "html_url": None, "diff_url": None, "patch_url": None}
        return document

    def pull(self, repository: Repository, issue: Issue, base_sha: str) -> dict[str, Any]:
        """A pull request."""
        pull = issue.pull
        assert pull is not None
        source = pull.head_repository
        label = f"{pull.head_owner.login}:{pull.head_ref}"
        document = self.issue(repository, issue)
        for name in ("comments_url", "pull_request", "repository_url", "labels"):
            del document[name]
        url = f"{self._url}/repos/{repository.full_name}/pulls/{issue.number}"
        return document | {
            "url": url, "draft": pull.draft, "merged": False, "merged_at": None, "merged_by": None, "mergeable": True,
            "mergeable_state": "clean", "merge_commit_sha": None, "auto_merge": None, "labels": [],
            "comments_url": f"{self._url}/repos/{repository.full_name}/issues/{issue.number}/comments",
            "head": {
                "label": label, "ref": pull.head_ref, "sha": pull.head_sha, "user": self.user(pull.head_owner),
                "repo": self.repository(source) if source else None,
            },
            "base": {
                "label": f"{repository.owner.login}:{pull.base_ref}", "ref": pull.base_ref, "sha": base_sha,
                "user": self.user(repository.owner), "repo": self.repository(repository),
            },
        }  # fmt: skip

    def comment(self, repository: Repository, issue: Issue, comment: Comment) -> dict[str, Any]:
        """A comment."""
        url = f"{self._url}/repos/{repository.full_name}/issues/comments/{comment.id}"
        kind = "pull" if issue.pull else "issues"
        return {
            "id": comment.id, "node_id": f"IC_{comment.id}", "url": url, "body": comment.body,
            "html_url": f"{self._url}/{repository.full_name}/{kind}/{issue.number}#issuecomment-{comment.id}",
            "issue_url": f"{self._url}/repos/{repository.full_name}/issues/{issue.number}",
            "user": self.user(comment.user), "created_at": CLOCK, "updated_at": comment.updated_at,
            "author_association": "NONE",
            "performed_via_github_app": self.app(comment.app),
        }  # fmt: skip

    def check(self, repository: Repository, run: CheckRun) -> dict[str, Any]:
        """A check run."""
        url = f"{self._url}/repos/{repository.full_name}/check-runs/{run.id}"
        done = run.status == "completed"
        return {
            "id": run.id, "node_id": f"CR_{run.id}", "name": run.name, "head_sha": run.head_sha, "url": url,
            "html_url": f"{self._url}/{repository.full_name}/runs/{run.id}", "external_id": run.external_id,
            "details_url": run.details_url or f"{self._url}/{repository.full_name}/runs/{run.id}",
            "status": run.status, "conclusion": run.conclusion, "started_at": CLOCK,
            "completed_at": CLOCK if done else None, "check_suite": {"id": 1}, "app": self.app(run.app),
            "pull_requests": [],
            "output": {
                "title": run.output.get("title"), "summary": run.output.get("summary"), "text": run.output.get("text"),
                "annotations_count": len(run.annotations), "annotations_url": f"{url}/annotations",
            },
        }  # fmt: skip
