"""Reviews and comments at lines of a pull request's diff, refused where the diff has no such line; teams and users."""

from __future__ import annotations

import re
from typing import Any

from tests.github_server.answers import Answer, Call, Handler, Refused, not_found, utf16
from tests.github_server.git_data import branch_sha, has_commit, run_git
from tests.github_server.routes import COMMENT_LIMIT, pull_document, react
from tests.github_server.state import CLOCK, Pull, Repository, Review, ReviewComment

_R = "/repos/{owner}/{repo}"


def _unprocessable(*reasons: str) -> Refused:
    return Refused(Answer(422, {"message": "Unprocessable Entity", "errors": list(reasons)}))


def _pull_of(call: Call) -> Pull:
    pull = call.issue.pull
    assert pull is not None
    return pull


def shown_lines(repository: Repository, pull: Pull, path: str) -> set[int]:
    """Lines of the new side that the pull request's diff shows for a file."""
    base = branch_sha(repository.git, pull.base_ref)
    diff = run_git("diff", "--no-renames", f"{base}...{pull.head_sha}", "--", path, cwd=repository.git).stdout.decode()
    shown: set[int] = set()
    line = 0
    for row in diff.splitlines():
        hunk = re.match(r"@@ -\S+ \+(\d+)", row)
        if hunk:
            line = int(hunk[1])
        elif line and row.startswith(("+", " ")):
            shown.add(line)
            line += 1
    return shown


def _check(call: Call, comment: dict[str, Any]) -> None:
    if not comment["body"].strip() or utf16(comment["body"]) > COMMENT_LIMIT:
        raise _unprocessable("Body is too long (maximum is 65536 characters)")
    if comment.get("side", "RIGHT") != "RIGHT" or "line" not in comment:
        call.state.violations.append(f"a review comment of a kind that is not sent: {comment}")
    shown = shown_lines(call.repository, _pull_of(call), comment["path"])
    start = comment.get("start_line", comment["line"])
    if not shown:
        raise _unprocessable("Path could not be resolved")
    if comment["line"] not in shown or start not in shown or start > comment["line"]:
        raise _unprocessable("Line could not be resolved")


def _store(call: Call, comment: dict[str, Any], commit: str, review_id: int) -> ReviewComment:
    stored = ReviewComment(
        call.state.new_id(), call.token.user, comment["body"], commit, comment["path"], comment["line"],
        comment.get("start_line", 0), review_id,
    )  # fmt: skip
    _pull_of(call).review_comments.append(stored)
    return stored


def _add_review(call: Call) -> Answer:
    pull, body = _pull_of(call), call.body
    commit = body.get("commit_id", pull.head_sha)
    if body.get("event") != "COMMENT":
        call.state.violations.append(f"a review that is not a comment: {body.get('event')}")
    if not (body.get("body") or "").strip() or utf16(body["body"]) > COMMENT_LIMIT:
        raise _unprocessable("Body is required and has at most 65536 characters")
    if not has_commit(call.repository.git, commit):
        raise _unprocessable("The commit is not part of the pull request")
    for comment in body.get("comments", ()):
        _check(call, comment)
    review = Review(call.state.new_id(), call.token.user, body["body"], commit)
    pull.reviews.append(review)
    for comment in body.get("comments", ()):
        _store(call, comment, commit, review.id)
    return Answer(200, _review(call, review))


def _review(call: Call, review: Review) -> dict[str, Any]:
    url = f"https://github.test/{call.repository.full_name}/pull/{call.issue.number}"
    return {
        "id": review.id, "node_id": f"PRR_{review.id}", "user": call.documents.user(review.user), "body": review.body,
        "state": "COMMENTED", "html_url": f"{url}#pullrequestreview-{review.id}", "pull_request_url": url,
        "commit_id": review.commit_id, "author_association": "NONE", "submitted_at": CLOCK,
        "_links": {"html": {"href": url}, "pull_request": {"href": url}},
    }  # fmt: skip


def _reviews(call: Call) -> Answer:
    return Answer(200, [_review(call, review) for review in _pull_of(call).reviews])


def _add_comment(call: Call) -> Answer:
    _check(call, call.body)
    return Answer(201, _comment(call, _store(call, call.body, call.body["commit_id"], 0)))


def _comment(call: Call, comment: ReviewComment) -> dict[str, Any]:
    url = f"https://github.test/{call.repository.full_name}/pull/{call.path.get('pull_number', 0)}"
    return {
        "id": comment.id, "node_id": f"PRRC_{comment.id}", "user": call.documents.user(comment.user),
        "body": comment.body, "path": comment.path, "line": comment.line, "start_line": comment.start_line or None,
        "commit_id": comment.commit_id, "original_commit_id": comment.commit_id, "diff_hunk": "@@", "side": "RIGHT",
        "html_url": f"{url}#discussion_r{comment.id}", "pull_request_url": url, "url": url,
        "author_association": "NONE",
        "pull_request_review_id": comment.review_id or None, "created_at": CLOCK, "updated_at": CLOCK,
        "_links": {"self": {"href": url}, "html": {"href": url}, "pull_request": {"href": url}},
    }  # fmt: skip


def _comments(call: Call) -> Answer:
    comments = [_comment(call, comment) for comment in _pull_of(call).review_comments]
    return Answer(200, comments[::-1] if call.query.get("direction") == "desc" else comments)


def _react_to_comment(call: Call) -> Answer:
    number = int(call.path["comment_id"])
    for issue in call.repository.issues.values():
        for comment in issue.pull.review_comments if issue.pull else ():
            if comment.id == number:
                return react(call, comment.reactions)
    raise not_found()


def _pulls_of_commit(call: Call) -> Answer:
    repository, sha = call.repository, call.path["commit_sha"]
    if not has_commit(repository.git, sha):
        raise Refused(Answer(422, {"message": f"No commit found for SHA: {sha}"}))
    issues = [i for i in repository.issues.values() if i.pull and i.pull.head_sha == sha]
    return Answer(200, [pull_document(call, issue) for issue in issues])


def _user(call: Call) -> Answer:
    user = call.state.users.get(call.path["username"])
    if user is None:
        raise not_found()
    return Answer(200, call.documents.user(user))


def _membership(call: Call) -> Answer:
    members = call.state.teams.get(f"{call.path['org']}/{call.path['team_slug']}", {})
    user = call.state.users.get(call.path["username"])
    if user is None or user.id not in members:
        raise Refused(Answer(404))
    return Answer(200, {"url": "https://github.test/team", "role": "member", "state": members[user.id]})


REVIEW_ROUTES: dict[str, tuple[tuple[str, str], Handler]] = {
    f"POST {_R}/pulls/{{pull_number}}/reviews": (("pull-requests", "write"), _add_review),
    f"GET {_R}/pulls/{{pull_number}}/reviews": (("pull-requests", "read"), _reviews),
    f"POST {_R}/pulls/{{pull_number}}/comments": (("pull-requests", "write"), _add_comment),
    f"GET {_R}/pulls/{{pull_number}}/comments": (("pull-requests", "read"), _comments),
    f"POST {_R}/pulls/comments/{{comment_id}}/reactions": (("pull-requests", "write"), _react_to_comment),
    f"GET {_R}/commits/{{commit_sha}}/pulls": (("pull-requests", "read"), _pulls_of_commit),
    "GET /users/{username}": (("metadata", "read"), _user),
    "GET /orgs/{org}/teams/{team_slug}/memberships/{username}": (("members", "read"), _membership),
}
