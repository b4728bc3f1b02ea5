"""The GraphQL side: the few documents the project sends, checked by hand where a schema would check them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from tests.github_server.answers import Answer
from tests.github_server.branch_rules import refusal
from tests.github_server.git_data import (
    branches,
    change_tree,
    run_git,
    set_branch,
    tree_of,
    write_blob,
    write_blobs,
    write_commit,
)
from tests.github_server.state import WEB_FLOW, Authorship, Repository, State, Token

_LIMIT = 45 * 1024 * 1024  # of one request
_INPUT = {"branch", "expectedHeadOid", "message", "fileChanges", "clientMutationId"}
_SELECTIONS = re.compile(r"^(?:login|databaseId|commit|oid|tree|url|viewer|createCommitOnBranch"
                         r"|node|on|IssueComment|editor|Bot|User)$")  # fmt: skip


class Problem(Exception):
    """One entry of `errors`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Graphql:
    """Answers GraphQL documents from the state. What a schema would refuse is a violation."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, token: Token, body: Any, size: int) -> Answer:
        """Answer one document. Errors come with status 200, as on GitHub."""
        if size > _LIMIT:
            return Answer(413, {"message": "Payload too large"})
        problems = list(_shape(body))
        self._state.violations.extend(f"POST /graphql: {problem}" for problem in problems)
        if problems:
            return Answer(400, {"message": "Problems parsing JSON"})
        try:
            if "createCommitOnBranch" in body["query"]:
                return Answer(200, {"data": {"createCommitOnBranch": self._commit(token, body["variables"]["input"])}})
            if "node(" in body["query"]:
                return Answer(200, {"data": {"node": self._comment(str(body["variables"]["id"]))}})
            viewer = {"login": token.user.login, "databaseId": token.user.id}
            return Answer(200, {"data": {"viewer": viewer}})
        except Problem as problem:
            error = {"type": problem.kind, "path": ["createCommitOnBranch"], "message": str(problem)}
            return Answer(200, {"data": {"createCommitOnBranch": None}, "errors": [error]})

    def _comment(self, node: str) -> dict[str, Any] | None:
        """A comment of any conversation by its global id; `editor` is who edited it last."""
        for repository in self._state.repositories.values():
            for issue in repository.issues.values():
                for comment in issue.comments:
                    if f"IC_{comment.id}" == node:
                        return {"editor": {"databaseId": comment.editor.id} if comment.editor else None}
        return None

    def _commit(self, token: Token, asked: Mapping[str, Any]) -> dict[str, Any]:
        unknown = asked.keys() - _INPUT
        if unknown:
            self._state.violations.append(f"createCommitOnBranch: unknown input {sorted(unknown)}")
        repository = self._state.repositories.get(asked["branch"]["repositoryNameWithOwner"])
        branch = asked["branch"]["branchName"]
        if repository is None or not token.may("contents", "read"):
            raise Problem("NOT_FOUND", "Could not resolve to a Repository")
        if not token.may("contents", "write"):
            raise Problem("FORBIDDEN", "Resource not accessible by integration")
        if not repository.knows_commit_mutation:
            raise Problem("", "Field 'createCommitOnBranch' doesn't exist on type 'Mutation'")
        head = branches(repository.git).get(branch)
        if head is None:
            raise Problem("NOT_FOUND", f"No ref found for `refs/heads/{branch}`")
        if head != asked["expectedHeadOid"]:
            raise Problem("STALE_DATA", f'Expected branch to point to "{asked["expectedHeadOid"]}" but it did not. '
                          f'Pull and try again.')  # fmt: skip
        headline = asked["message"]["headline"]
        if not headline.strip() or "\n" in headline:
            raise Problem("UNPROCESSABLE", "A commit message headline is required and has one line")
        changes = asked.get("fileChanges") or {}
        tree = change_tree(repository.git, tree_of(repository.git, head), _entries(repository, head, changes))
        if repository.spoils_trees:
            tree = change_tree(repository.git, tree, [("100644", write_blob(repository.git, b"spoiled"), "spoiled")])
        body = asked["message"].get("body") or ""
        message = f"{headline}\n\n{body}" if body else headline
        sha = write_commit(repository.git, tree, [head], message, author=token.user.login)
        repository.authors[sha] = Authorship(token.user, WEB_FLOW, verified=True)
        reason = refusal(repository, token, branch, sha)
        if reason:  # for workflow files GitHub does not say which permission is missing
            raise Problem("FORBIDDEN", "Resource not accessible by integration" if "workflow" in reason else reason)
        set_branch(repository.git, branch, sha)
        entry = {"branch": branch, "before": head, "after": sha, "by": token.user.login, "through": "graphql"}
        repository.pushes.append(entry)
        for each in self._state.repositories.values():
            each.sync_pulls()
        return {"commit": {"oid": sha, "tree": {"oid": tree}, "url": f"https://github.test/{sha}"}}


def _shape(body: Any) -> list[str]:
    if not isinstance(body, Mapping) or set(body) - {"query", "variables", "operationName"} or "query" not in body:
        return ["the body must have a query and variables"]
    names = re.findall(r"[A-Za-z]\w*", re.sub(r"\([^)]*\)|\$\w+|^\s*(?:query|mutation)\s*\w*", "", body["query"]))
    return [f"unknown field `{name}`" for name in names if not _SELECTIONS.match(name)]


def _entries(repository: Repository, head: str, changes: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Index lines; the API knows plain files only, so everything it writes loses its mode."""
    additions, deletions = changes.get("additions") or [], changes.get("deletions") or []
    paths = [entry["path"] for entry in (*additions, *deletions)]
    if len(paths) != len(set(paths)):
        raise Problem("UNPROCESSABLE", "A path was given more than once")
    entries = []
    for deletion in deletions:
        path = deletion["path"]
        if run_git("cat-file", "-e", f"{head}:{path}", cwd=repository.git, check=False).returncode:
            raise Problem("UNPROCESSABLE", f"A path was requested for deletion which does not exist: {path}")
        entries.append(("0", "", path))
    try:
        contents = [base64.b64decode(addition["contents"], validate=True) for addition in additions]
    except binascii.Error as error:
        raise Problem("UNPROCESSABLE", "the contents of a file are not base64") from error
    shas = write_blobs(repository.git, contents) if contents else []
    return entries + [("100644", sha, added["path"]) for sha, added in zip(shas, additions, strict=True)]
