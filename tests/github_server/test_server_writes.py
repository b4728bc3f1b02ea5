"""The test server holds what GitHub holds about commits, branches, reviews, workflow runs and GraphQL."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.github_server import WRITE_ALL, GithubServer, Scene
from tests.github_server.client import Reply, send
from tests.github_server.git_data import branch_sha, tree_of
from tests.github_server.openapi import PACKAGE
from tests.github_server.routes_actions import stored
from tests.github_server.state import Job, Run

COMMIT = "mutation ($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }"


class Client:
    """Requests to one scene's repository."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.token = scene.server.token(WRITE_ALL)
        self.git = scene.repository.git

    def __call__(self, path: str, method: str = "GET", body: Any = None, *, root: str = "") -> Reply:
        url = f"{self.scene.server.url}{root or f'/repos/{self.scene.name}'}{path}"
        return send(url, method, body, token=self.token)

    def graphql(self, query: str, **variables: Any) -> Reply:
        return self("/graphql", "POST", {"query": query, "variables": variables}, root="/api")

    def commit(self, **changes: Any) -> str:
        """Try to commit one file to `topic`; the kind of the error, empty where there is none."""
        added = {"path": "new.py", "contents": base64.b64encode(b"x = 1\n").decode()}
        asked = {
            "branch": {"repositoryNameWithOwner": self.scene.name, "branchName": "topic"},
            "expectedHeadOid": self.scene.head_sha, "message": {"headline": "One"},
            "fileChanges": {"additions": [added]}, **changes,
        }  # fmt: skip
        errors = self.graphql(COMMIT, input=asked).body.get("errors")
        return str(errors[0]["type"]) if errors else ""

    def violations(self) -> str:
        """What was objected to so far; forgotten afterwards."""
        found = "\n".join(self.scene.server.state.violations)
        self.scene.server.state.violations.clear()
        return found


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    with GithubServer(tmp_path) as server:
        yield Client(Scene(server))
        assert server.state.violations == []


def test_commits_are_refused_as_github_refuses_them(client: Client) -> None:
    name = {"repositoryNameWithOwner": client.scene.name}
    assert client.commit(branch={**name, "branchName": "gone"}) == "NOT_FOUND"
    assert client.commit(expectedHeadOid=client.scene.base_sha) == "STALE_DATA"
    assert client.commit(message={"headline": " "}) == "UNPROCESSABLE"
    assert client.commit(fileChanges={"deletions": [{"path": "gone.py"}]}) == "UNPROCESSABLE"
    assert client.commit(fileChanges={"additions": [{"path": "a", "contents": "%"}]}) == "UNPROCESSABLE"
    twice = {"path": "calc.py"}
    assert (
        client.commit(fileChanges={"additions": [{**twice, "contents": ""}], "deletions": [twice]}) == "UNPROCESSABLE"
    )
    assert branch_sha(client.git, "topic") == client.scene.head_sha
    assert client.commit() == ""
    assert branch_sha(client.git, "topic") != client.scene.head_sha


def test_documents_that_are_not_sent_are_violations(client: Client) -> None:
    client.graphql("query { viewer { login secretField } }")
    client.commit(surprise=1)
    found = client.violations()
    assert "unknown field `secretField`" in found
    assert "unknown input ['surprise']" in found


def test_trees_keep_modes_and_are_checked(client: Client) -> None:
    base = tree_of(client.git, client.scene.head_sha)

    def tree(**entry: Any) -> int:
        return client(
            "/git/trees", "POST", {"base_tree": base, "tree": [{"mode": "100644", "type": "blob", **entry}]}
        ).status

    assert tree(path="x", mode="100755", content="x") == 201
    assert tree(path="gone", sha=None) == 422
    assert tree(path="x", sha=base) == 422
    assert tree(path="x") == 422
    assert client("/git/blobs", "POST", {"content": "%", "encoding": "base64"}).status == 422


def test_branches_move_forward_only_and_are_made_once(client: Client) -> None:
    head, base = client.scene.head_sha, client.scene.base_sha
    assert client("/git/refs/heads/topic", "PATCH", {"sha": base}).body["message"] == "Update is not a fast forward"
    assert client("/git/refs/heads/topic", "PATCH", {"sha": base, "force": True}).status == 200
    assert client("/git/refs/heads/gone", "PATCH", {"sha": base}).status == 422
    assert client("/git/refs", "POST", {"ref": "refs/heads/topic", "sha": head}).status == 422
    assert client("/git/refs", "POST", {"ref": "refs/heads/a..b", "sha": head}).status == 422
    assert client("/git/refs", "POST", {"ref": "refs/heads/new", "sha": head}).status == 201
    assert client("/git/refs/heads/new", "DELETE").status == 204
    assert branch_sha(client.git, "new") == ""


def test_one_line_outside_the_diff_refuses_a_whole_review(client: Client) -> None:
    good = {"path": "calc.py", "line": 5, "side": "RIGHT", "body": "x"}
    review = {"event": "COMMENT", "body": "r", "commit_id": client.scene.head_sha}
    for bad in (
        {"line": 99},
        {"path": "README.md", "line": 1},
        {"body": " "},
        {"start_line": 6, "start_side": "RIGHT"},
    ):
        assert client("/pulls/2/reviews", "POST", {**review, "comments": [good, {**good, **bad}]}).status == 422
    assert client("/pulls/2/comments").body == []
    assert client("/pulls/2/reviews", "POST", {**review, "comments": [good]}).status == 200
    assert client("/pulls/2/comments").body[0]["line"] == 5
    client("/pulls/2/reviews", "POST", {**review, "event": "APPROVE"})
    assert "a review that is not a comment" in client.violations()


def test_logs_lie_on_another_host_that_takes_no_token(client: Client) -> None:
    scene = client.scene
    scene.repository.runs[7] = Run(7, scene.head_sha, "topic", None, jobs=[Job(8, "test", "failure", "make", b"log\n")])
    assert client("/actions/runs/7/jobs").body["jobs"][0]["steps"][1]["name"] == "make"
    where = f"{scene.server.state.storage_url}/log/8"
    assert where.split("/")[2] != scene.server.url.split("/")[2]
    status, data = stored(scene.server.state, "/_storage/log/8", {})
    assert (status, data) == (200, b"2026-01-01T00:00:00.1234567Z log\n")
    stored(scene.server.state, "/_storage/log/8", {"Authorization": "Bearer x"})
    assert "a token was sent to the storage host" in client.violations()
