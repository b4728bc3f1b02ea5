"""The test server holds what GitHub holds: limits, permissions, pages, and the official description."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perstack.forge.contract import Action, Trigger
from perstack.forge.trigger import read_event
from tests.github_server import READ_ALL, WRITE_ALL, Fault, GithubServer, Scene
from tests.github_server.client import Reply, send
from tests.github_server.openapi import PACKAGE

ANNOTATION = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m"}


class Client:
    """Requests to one scene's repository."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.root = f"{scene.server.url}/repos/{scene.name}"
        self.token = scene.server.token(WRITE_ALL)

    def __call__(self, path: str, method: str = "GET", body: Any = None, **options: Any) -> Reply:
        return send(self.root + path, method, body, **{"token": self.token, **options})

    def check(self, **output: Any) -> Reply:
        """Try to create a check run with this output."""
        body = {"name": "x", "head_sha": self.scene.head_sha, "output": {"title": "t", "summary": "s", **output}}
        return self("/check-runs", "POST", body)

    def violations(self) -> list[str]:
        """What the description objected to so far; forgotten afterwards."""
        found = list(self.scene.server.state.violations)
        self.scene.server.state.violations.clear()
        return found


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    with GithubServer(tmp_path) as server:
        yield Client(Scene(server))
        assert server.state.violations == []


def test_answers_are_complete_documents_of_githubs_description(client: Client) -> None:
    for path in ("", "/pulls/2", "/pulls?state=all", "/issues/1", "/git/ref/heads/main", "/branches/main"):
        assert client(path).status == 200
    assert client.check(annotations=[ANNOTATION]).status == 201
    assert client(f"/commits/{client.scene.head_sha}/check-runs").body["total_count"] == 1
    run = next(iter(client.scene.repository.checks))
    assert client(f"/check-runs/{run}/annotations").body[0]["path"] == "a.py"


@pytest.mark.parametrize(
    "output",
    [
        {"annotations": [ANNOTATION | {"start_column": 1, "end_column": 2, "end_line": 3}]},
        {"annotations": [ANNOTATION | {"start_column": 3, "end_column": 2}]},
        {"annotations": [ANNOTATION | {"start_column": 3}]},
        {"annotations": [ANNOTATION | {"path": "/a.py"}]},
        {"annotations": [ANNOTATION | {"path": "../a.py"}]},
        {"annotations": [ANNOTATION | {"start_line": 0, "end_line": 0}]},
        {"annotations": [ANNOTATION | {"message": "é" * 40_000}]},
        {"annotations": [ANNOTATION | {"title": "t" * 256}]},
        {"summary": "🎉" * 32_768},
    ],
)
def test_check_runs_are_refused_as_github_refuses_them(client: Client, output: dict[str, Any]) -> None:
    assert client.check(**output).status == 422
    assert client.scene.repository.checks == {}


def test_what_the_description_itself_forbids_is_a_violation(client: Client) -> None:
    assert client.check(annotations=[ANNOTATION] * 51).status == 422
    assert client("/issues/1/comments", "POST", {"text": "x"}).status == 422
    assert client("/issues/1/comments?per_pge=3").status == 422
    assert client("/issues/one").status == 422
    assert client("/pulls/2", "GET", {"a": 1}).status == 422
    assert client("/no/such/operation").status == 404
    found = "\n".join(client.violations())
    for words in ("annotations", "'body' is a required", "unknown field `text`", "`per_pge`", "issue_number",
                  "no body", "no such operation"):  # fmt: skip
        assert words in found


def test_a_conclusion_is_needed_to_complete(client: Client) -> None:
    body = {"name": "x", "head_sha": client.scene.head_sha, "status": "completed"}
    assert "conclusion" in client("/check-runs", "POST", body).body["message"]


def test_an_app_changes_only_its_own_check_runs(client: Client) -> None:
    number = client.check().body["id"]
    person = client.scene.server.token(WRITE_ALL, app=None, user=client.scene.actor)
    assert client(f"/check-runs/{number}", "PATCH", {"status": "queued"}, token=person).status == 403


@pytest.mark.parametrize("body", ["", " \n", "x" * 65_537, "🎉" * 32_769])
def test_comments_are_refused_as_github_refuses_them(client: Client, body: str) -> None:
    assert client("/issues/2/comments", "POST", {"body": body}).status == 422
    assert client("/issues/2/comments", "POST", {"body": "x" * 65_536}).status == 201


def test_tokens_are_asked_for_and_held_to_their_permissions(client: Client) -> None:
    assert client("", token="").status == 401
    assert client("", token="ghs_made_up").body["message"] == "Bad credentials"
    read_only = client.scene.server.token(READ_ALL)
    answer = client("/issues/2/comments", "POST", {"body": "x"}, token=read_only)
    assert (answer.status, answer.body["message"]) == (403, "Resource not accessible by integration")


def test_lists_come_in_pages(client: Client) -> None:
    for number in range(5):
        client("/issues/2/comments", "POST", {"body": f"comment {number}"})
    first = client("/issues/2/comments?per_page=2")
    assert len(first.body) == 2
    assert 'rel="next"' in first.headers["Link"]
    last = client("/issues/2/comments?per_page=2&page=3")
    assert [c["body"] for c in last.body] == ["comment 4"]
    assert 'rel="next"' not in last.headers["Link"]


def test_unchanged_documents_need_not_be_sent_again(client: Client) -> None:
    tag = client("/issues/1").headers["ETag"]
    assert client("/issues/1", headers={"If-None-Match": tag}).status == 304
    client.scene.issue.title = "Other"
    assert client("/issues/1", headers={"If-None-Match": tag}).status == 200


def test_the_primary_limit_is_counted_and_held(client: Client) -> None:
    before = int(client("").headers["X-RateLimit-Remaining"])
    assert int(client("").headers["X-RateLimit-Remaining"]) == before - 1
    client.scene.server.state.rate_remaining = 0
    answer = client("")
    assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert answer.body["message"].startswith("API rate limit exceeded")


def test_faults_are_used_up(client: Client) -> None:
    client.scene.server.faults.add(Fault("status", path="/issues", status=503, times=2))
    assert [client("/issues/1").status for _ in range(3)] == [503, 503, 200]
    assert client("").status == 200


def _trigger(event: str, payload: dict[str, Any]) -> Trigger:
    """The one request that an event is."""
    triggers = read_event(event, payload)
    assert isinstance(triggers, tuple)
    (trigger,) = triggers
    return trigger


def test_events_are_about_what_is_on_the_server(client: Client) -> None:
    scene = client.scene
    comment, payload = scene.comment("/perstack fix")
    asked = _trigger("issue_comment", payload)
    assert (asked.repository, asked.number, asked.comment_id) == (scene.name, 2, comment.id)
    assert asked.actor.id == scene.actor.id
    opened = _trigger("pull_request", scene.pull_request_event())
    assert opened.head_sha == scene.head_sha
    labeled = _trigger("issues", scene.issue_event())
    assert (labeled.number, labeled.title) == (1, "Sums are wrong")
    started = _trigger("workflow_dispatch", scene.dispatch_event(command="verify", pull_request="2"))
    assert (started.action, started.number) == (Action.VERIFY, 2)


def test_it_runs_as_a_process_with_a_scene_of_given_files(tmp_path: Path) -> None:
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    base = tmp_path / "base"
    (base / "src").mkdir(parents=True)
    (base / "src" / "a.py").write_text("x = 1\n", encoding="utf-8")
    command = [sys.executable, "-m", "tests.github_server", "--folder", str(tmp_path / "run"), "--base", str(base),
               "--on", "issue", "--body", "/perstack fix it"]  # fmt: skip
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            payload = json.loads(Path(facts["event_path"]).read_text(encoding="utf-8"))
            asked = _trigger(facts["event_name"], payload)
            assert (asked.arguments, asked.is_pull_request) == ("it", False)
            url = f"{facts['url']}/repos/{facts['repository']}/contents/src/a.py"
            assert send(url, token=facts["token"]).body["size"] == 6
            state = send(f"{facts['url']}/_state").body
            assert state["violations"] == []
            assert state["repositories"][facts["repository"]]["branches"]["main"] == facts["base_sha"]
            fault = {"kind": "status", "status": 500}
            assert send(f"{facts['url']}/_faults", "POST", fault).status == 200
            assert send(url, token=facts["token"]).status == 500
        finally:
            process.terminate()
            process.wait(timeout=10)
