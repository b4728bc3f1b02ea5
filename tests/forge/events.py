"""The smallest event payloads that hold what GitHub's hold, as far as we read them; each a fresh copy."""

from __future__ import annotations

from typing import Any

Payload = dict[str, Any]
HEAD, BASE, NONE = "a" * 40, "b" * 40, "0" * 40
HERE, FORK = 9, 10


def account(login: str = "octocat", number: int = 1, kind: str = "User") -> Payload:
    """A user, bot or organisation."""
    return {"login": login, "id": number, "type": kind}


def event(**parts: Any) -> Payload:
    """What every payload has: repository and sender."""
    repository = {
        "id": HERE, "full_name": "o/r", "default_branch": "main", "html_url": "https://github.com/o/r",
    }  # fmt: skip
    return {"repository": repository, "sender": account(), **parts}


def issue(*, pull_request: bool = False, **more: Any) -> Payload:
    """Issue 5, or pull request 5 as issues see it."""
    marks = {"pull_request": {"url": "https://api.github.com/repos/o/r/pulls/5"}} if pull_request else {}
    plain = {"number": 5, "title": "Sums are wrong", "body": "They are.", "user": account("reporter", 4)}
    return {**plain, "html_url": "https://github.com/o/r/issues/5", **marks, **more}


def comment(body: str, *, before: str | None = None, pull_request: bool = True, **more: Any) -> Payload:
    """A comment of the sender on issue 5; with `before` it is an edit."""
    written = {"id": 3, "body": body, "user": account(), "html_url": "https://github.com/o/r/issues/5#c"}
    edit = {} if before is None else {"changes": {"body": {"from": before}}}
    action = "created" if before is None else "edited"
    return event(action=action, issue=issue(pull_request=pull_request), comment={**written, **more}, **edit)


def opened(body: str, **more: Any) -> Payload:
    """An issue that the sender opened."""
    return event(action="opened", issue=issue(body=body, user=account(), **more))


def pull(**more: Any) -> Payload:
    """A pull request as its own events have it."""
    head = {"sha": HEAD, "ref": "topic", "repo": {"id": HERE}}
    base = {"sha": BASE, "ref": "main", "repo": {"id": HERE}}
    return {"number": 5, "title": "Sums", "body": "", "state": "open", "head": head, "base": base, **more}


def review_comment(body: str, **more: Any) -> Payload:
    """A comment at line 12 of the diff."""
    written = {"id": 8, "body": body, "user": account(), "path": "src/sums.py", "line": 12, "original_line": 11}
    return event(action="created", comment={**written, **more}, pull_request=pull())


def check_run(external_id: str, *, pulls: list[Payload] | None = None) -> Payload:
    """Somebody pressed "Re-run"."""
    run = {"id": 6, "external_id": external_id, "head_sha": HEAD, "pull_requests": pulls or [], "name": "perstack"}
    return event(action="rerequested", check_run=run)


def small_pull(number: int, *, head: str = HEAD, repository: int = HERE) -> Payload:
    """A pull request as lists of runs have it."""
    return {"number": number, "head": {"sha": head, "repo": {"id": HERE}}, "base": {"repo": {"id": repository}}}


def workflow_run(conclusion: str | None = "failure", *, cause: str = "push", where: int = HERE, **more: Any) -> Payload:
    """A workflow run that ended."""
    run = {
        "id": 77, "name": "CI", "event": cause, "conclusion": conclusion, "head_sha": HEAD, "head_branch": "topic",
        "head_repository": {"id": where}, "repository": {"id": HERE}, "run_attempt": 2, "pull_requests": [],
        "actor": account("pusher", 2), "triggering_actor": account("rerunner", 3),
        "html_url": "https://github.com/o/r/actions/runs/77",
    }  # fmt: skip
    return event(action="completed", workflow_run={**run, **more})


def push(ref: str = "refs/heads/main", *, before: str = BASE, after: str = HEAD, **more: Any) -> Payload:
    """Commits on a branch."""
    return event(ref=ref, before=before, after=after, deleted=False, **more)


def merge_group() -> Payload:
    """The merge queue asks for checks."""
    group = {"head_sha": HEAD, "base_sha": BASE, "base_ref": "refs/heads/main", "head_ref": "refs/heads/gh-queue/x"}
    return event(action="checks_requested", merge_group=group)
