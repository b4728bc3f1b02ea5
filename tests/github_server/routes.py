"""Repositories, branches, issues, comments, reactions and pull requests. Each route says which permission it needs."""

from __future__ import annotations

import base64
from typing import Any

from tests.github_server.answers import Answer, Call, Handler, forbidden, invalid, not_found, utf16
from tests.github_server.git_data import branch_sha, branches, git, run_git
from tests.github_server.state import CLOCK, GITHUB_ACTIONS, Comment, Issue, Pull, Repository, now

COMMENT_LIMIT = 65_536
_TITLE_LIMIT = 256
_LEGACY_ROLES = {"maintain": "write", "triage": "read"}
_R = "/repos/{owner}/{repo}"


def _user(call: Call) -> Answer:
    if call.token.app is not None:
        raise forbidden()
    document = call.documents.user(call.token.user)
    return Answer(200, {**(document or {}), "name": None, "plan": {"name": "free"}})


def _repository(call: Call) -> Answer:
    return Answer(200, call.documents.repository(call.repository))


def _permission(call: Call) -> Answer:
    user = call.state.users.get(call.path["username"])
    if user is None:
        raise not_found()
    role = call.repository.roles.get(user.id, "none")
    known = {"admin", "maintain", "write", "triage", "read", "none"}
    legacy = _LEGACY_ROLES.get(role, role if role in known else "read")
    document = {**(call.documents.user(user) or {}), "role_name": role}
    return Answer(200, {"permission": legacy, "role_name": role, "user": document})


def _ref(call: Call) -> Answer:
    ref = call.path["ref"]
    if not ref.startswith("heads/"):
        raise not_found()
    sha = branch_sha(call.repository.git, ref.removeprefix("heads/"))
    if not sha:
        raise not_found()
    return Answer(200, {"ref": f"refs/{ref}", "object": {"type": "commit", "sha": sha}})


def _branch(call: Call) -> Answer:
    name, repository = call.path["branch"], call.repository
    sha = branches(repository.git).get(name)
    if sha is None:
        raise not_found()
    return Answer(200, {"name": name, "protected": name in repository.protected, "commit": {"sha": sha}})


def _rules(call: Call) -> Answer:
    rules = call.repository.rules.get(call.path["branch"], [])
    return Answer(200, [{"type": rule, "ruleset_id": 1, "ruleset_source_type": "Repository"} for rule in rules])


def _contents(call: Call) -> Answer:
    repository, path = call.repository, call.path["path"]
    ref = call.query.get("ref", repository.default_branch)
    sha = branches(repository.git).get(ref, ref)
    kind = git("cat-file", "-t", f"{sha}:{path}", cwd=repository.git, check=False)
    if kind == "tree":
        return Answer(200, [])
    if kind != "blob":
        raise not_found()
    data = run_git("cat-file", "blob", f"{sha}:{path}", cwd=repository.git).stdout
    blob = git("rev-parse", f"{sha}:{path}", cwd=repository.git)
    document = {
        "type": "file", "encoding": "base64", "size": len(data), "name": path.rpartition("/")[2], "path": path,
        "content": base64.encodebytes(data).decode(), "sha": blob,
    }  # fmt: skip
    return Answer(200, document)


def _issue(call: Call) -> Answer:
    return Answer(200, call.documents.issue(call.repository, call.issue))


def _comments(call: Call) -> Answer:
    issue = call.issue
    return Answer(200, [call.documents.comment(call.repository, issue, c) for c in issue.comments])


def _all_comments(call: Call) -> Answer:
    since = call.query.get("since", "")
    found = [(c, i) for i in call.repository.issues.values() for c in i.comments if c.updated_at >= since]
    by_time = call.query.get("sort") == "updated"
    found.sort(key=lambda pair: (pair[0].updated_at if by_time else "", pair[0].id))
    if call.query.get("direction") == "desc":
        found.reverse()
    return Answer(200, [call.documents.comment(call.repository, issue, comment) for comment, issue in found])


def _checked_body(body: str) -> str:
    if not body.strip():
        raise invalid("IssueComment", "data", "Body can't be blank", "unprocessable")
    if utf16(body) > COMMENT_LIMIT:
        raise invalid("IssueComment", "data", f"Body is too long (maximum is {COMMENT_LIMIT} characters)")
    return body


def _add_comment(call: Call) -> Answer:
    issue = call.issue
    if issue.locked:
        raise forbidden("Unable to create comment because issue is locked.")
    comment = Comment(call.state.new_id(), call.token.user, _checked_body(call.body["body"]), call.token.app)
    issue.comments.append(comment)
    return Answer(201, call.documents.comment(call.repository, issue, comment))


def _find_comment(call: Call) -> tuple[Issue, Comment]:
    for issue in call.repository.issues.values():
        for comment in issue.comments:
            if comment.id == int(call.path["comment_id"]):
                return issue, comment
    raise not_found()


def _comment(call: Call) -> Answer:
    return Answer(200, call.documents.comment(call.repository, *_find_comment(call)))


def _edit_comment(call: Call) -> Answer:
    issue, comment = _find_comment(call)
    comment.body = _checked_body(call.body["body"])
    comment.edits += 1
    comment.editor = call.token.user
    comment.updated_at = now()
    return Answer(200, call.documents.comment(call.repository, issue, comment))


def _delete_comment(call: Call) -> Answer:
    issue, comment = _find_comment(call)
    issue.comments.remove(comment)
    return Answer(204)


def react(call: Call, reactions: list[dict[str, Any]]) -> Answer:
    """Add a reaction; the same one of the same account is there already."""
    for reaction in reactions:
        if (reaction["user"]["id"], reaction["content"]) == (call.token.user.id, call.body["content"]):
            return Answer(200, reaction)
    reaction = {
        "id": call.state.new_id(), "node_id": "", "user": call.documents.user(call.token.user),
        "content": call.body["content"], "created_at": CLOCK,
    }  # fmt: skip
    reactions.append(reaction)
    return Answer(201, reaction)


def _react_to_comment(call: Call) -> Answer:
    return react(call, _find_comment(call)[1].reactions)


def _react_to_issue(call: Call) -> Answer:
    return react(call, call.issue.reactions)


def pull_document(call: Call, issue: Issue) -> dict[str, Any]:
    """A pull request as it is now."""
    call.repository.sync_pulls()
    assert issue.pull is not None
    base_sha = branch_sha(call.repository.git, issue.pull.base_ref)
    return call.documents.pull(call.repository, issue, base_sha)


def _pull(call: Call) -> Answer:
    return Answer(200, pull_document(call, call.issue))


def _pulls(call: Call) -> Answer:
    state, head, base = (call.query.get(name, "") for name in ("state", "head", "base"))
    found = []
    for issue in call.repository.issues.values():
        pull = issue.pull
        if pull is None or state not in {"all", issue.state} or (base and base != pull.base_ref):
            continue
        if head in {"", f"{pull.head_owner.login}:{pull.head_ref}"}:
            found.append(pull_document(call, issue))
    return Answer(200, found)


def _open_pull(call: Call) -> Answer:
    repository, body = call.repository, call.body
    if call.token.app == GITHUB_ACTIONS and not repository.actions_may_open_pulls:
        raise forbidden("GitHub Actions is not permitted to create or approve pull requests.")
    head, base, title = body["head"], body["base"], body.get("title", "")
    if not title or utf16(title) > _TITLE_LIMIT:
        raise invalid("PullRequest", "title", "title is too long (maximum is 256 characters)")
    if utf16(body.get("body") or "") > COMMENT_LIMIT:
        raise invalid("PullRequest", "body", "body is too long (maximum is 65536 characters)")
    known = branches(repository.git)
    for name, value in (("head", head), ("base", base)):
        if value not in known:
            raise invalid("PullRequest", name, "", "invalid")
    if git("rev-list", "--count", f"{base}..{head}", cwd=repository.git) == "0":
        raise invalid("PullRequest", "base", f"No commits between {base} and {head}")
    for issue in repository.issues.values():
        if issue.pull and issue.state == "open" and (issue.pull.head_ref, issue.pull.base_ref) == (head, base):
            reason = f"A pull request already exists for {repository.owner.login}:{head}."
            raise invalid("PullRequest", "base", reason)
    issue = _new_pull(repository, call)
    return Answer(201, pull_document(call, issue))


def _new_pull(repository: Repository, call: Call) -> Issue:
    body = call.body
    number = max(repository.issues, default=0) + 1
    issue = repository.add_issue(number, body["title"], body.get("body"), user=call.token.user)
    sha = branch_sha(repository.git, body["head"])
    issue.pull = Pull(repository, body["head"], body["base"], sha, repository.owner, draft=bool(body.get("draft")))
    return issue


def _edit_pull(call: Call) -> Answer:
    issue = call.issue
    issue.title = call.body.get("title", issue.title)
    issue.body = call.body.get("body", issue.body)
    issue.state = call.body.get("state", issue.state)
    return Answer(200, pull_document(call, issue))


# Operation → needed permission (name, level) and what answers it.
ROUTES: dict[str, tuple[tuple[str, str], Handler]] = {
    "GET /user": (("metadata", "read"), _user),
    f"GET {_R}": (("metadata", "read"), _repository),
    f"GET {_R}/collaborators/{{username}}/permission": (("metadata", "read"), _permission),
    f"GET {_R}/git/ref/{{ref}}": (("contents", "read"), _ref),
    f"GET {_R}/branches/{{branch}}": (("contents", "read"), _branch),
    f"GET {_R}/rules/branches/{{branch}}": (("metadata", "read"), _rules),
    f"GET {_R}/contents/{{path}}": (("contents", "read"), _contents),
    f"GET {_R}/issues/{{issue_number}}": (("issues", "read"), _issue),
    f"GET {_R}/issues/{{issue_number}}/comments": (("issues", "read"), _comments),
    f"POST {_R}/issues/{{issue_number}}/comments": (("issues", "write"), _add_comment),
    f"GET {_R}/issues/comments": (("issues", "read"), _all_comments),
    f"GET {_R}/issues/comments/{{comment_id}}": (("issues", "read"), _comment),
    f"PATCH {_R}/issues/comments/{{comment_id}}": (("issues", "write"), _edit_comment),
    f"DELETE {_R}/issues/comments/{{comment_id}}": (("issues", "write"), _delete_comment),
    f"POST {_R}/issues/comments/{{comment_id}}/reactions": (("issues", "write"), _react_to_comment),
    f"POST {_R}/issues/{{issue_number}}/reactions": (("issues", "write"), _react_to_issue),
    f"GET {_R}/pulls": (("pull-requests", "read"), _pulls),
    f"POST {_R}/pulls": (("pull-requests", "write"), _open_pull),
    f"GET {_R}/pulls/{{pull_number}}": (("pull-requests", "read"), _pull),
    f"PATCH {_R}/pulls/{{pull_number}}": (("pull-requests", "write"), _edit_pull),
}
