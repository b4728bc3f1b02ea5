"""Interruptions and faults: however a job ends, check run and comment say how, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.act.conftest import MakeScene
from tests.act.process import Step, alive, descendants, run
from tests.github_server import READ_ALL, WRITE_ALL, Fault, Scene
from tests.interface.scene import FILES, FIXED

pytestmark = pytest.mark.slow

PATIENCE_S = 90.0
BETWEEN_SIGNALS_S = 7.5  # what Actions waits after SIGINT before it sends SIGTERM


def until(condition: Callable[[], object], step: Step) -> None:
    """Wait, not longer than patience, for what the running step must come to."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert step.process.poll() is None, step.log
        assert time.monotonic() < end, step.log
        time.sleep(0.02)


@pytest.mark.threat("F6")
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_says_so_before_the_next_signal(which: signal.Signals, scene: Scene, tmp_path: Path) -> None:
    payload = scene.comment("/perstack fix")[1]
    with Step(tmp_path, scene, "issue_comment", payload) as step:
        until(lambda: scene.repository.checks, step)
        until(lambda: "perstack: baseline" in step.log, step)
        until(lambda: descendants(step.process.pid), step)
        below = descendants(step.process.pid)
        sent = time.monotonic()
        step.process.send_signal(which)
        ended = step.wait(BETWEEN_SIGNALS_S)
        took = time.monotonic() - sent
    assert ended.code == 130, ended.log
    assert took < BETWEEN_SIGNALS_S
    (check,) = scene.repository.checks.values()
    assert (check.status, check.conclusion) == ("completed", "cancelled")
    _, answer = scene.pull.comments
    assert "interrupted" in answer.body
    assert "interrupted" in ended.summary
    assert ended.outputs == {"verdict": "error", "outcome": "error"}
    assert scene.repository.pushes == []
    assert {pid for pid in below if alive(pid)} == set()
    assert step.left == []


def test_a_cancelled_job_takes_no_step_after_its_last_words(scene: Scene, tmp_path: Path) -> None:
    """A signal while the first answers are being written: whatever was created is also finished."""
    payload = scene.comment("/perstack fix")[1]
    scene.server.faults.add(Fault("slow", "POST", "/check-runs", seconds=1.5))
    with Step(tmp_path, scene, "issue_comment", payload) as step:
        until(lambda: scene.server.faults.faults[0].hits, step)
        step.process.send_signal(signal.SIGINT)
        ended = step.wait(BETWEEN_SIGNALS_S)
    assert ended.code == 130, ended.log
    assert [c.conclusion for c in scene.repository.checks.values()] == ["cancelled"]
    assert "interrupted" in scene.pull.comments[1].body
    assert scene.repository.pushes == []


def test_what_is_pushed_is_told_although_the_job_was_cancelled_meanwhile(make_scene: MakeScene, tmp_path: Path) -> None:
    by_git = {**FILES, "calc.py": FIXED, "perstack.toml": '[github]\ncommits = "push"\n'}
    scene = make_scene(base=by_git, head=FILES)
    payload = scene.comment("/perstack fix")[1]
    push = scene.server.faults.add(Fault("slow", "POST", "/git-receive-pack", seconds=1.0))
    with Step(tmp_path, scene, "issue_comment", payload) as step:
        until(lambda: push.hits, step)
        step.process.send_signal(signal.SIGINT)
        step.process.send_signal(signal.SIGTERM)
        ended = step.wait(BETWEEN_SIGNALS_S)
    assert ended.code in {0, 130}, ended.log
    (pushed,) = scene.repository.pushes
    red, *new = scene.repository.checks.values()
    assert (red.head_sha, red.conclusion) == (scene.head_sha, "failure")
    # The new head's own judgement is another verification, which a cancelled job has no time for.
    assert all((c.head_sha, c.status) == (pushed["after"], "completed") for c in new)
    assert "Fixed, and proved" in scene.pull.comments[1].body
    assert ended.outputs["head-sha"] == pushed["after"]


def test_what_a_killed_job_left_is_ended_by_the_step_that_always_runs(scene: Scene, tmp_path: Path) -> None:
    payload = scene.comment("/perstack fix")[1]
    with Step(tmp_path, scene, "issue_comment", payload) as step:
        until(lambda: "perstack: baseline" in step.log, step)
        step.process.kill()
        step.process.wait(10)
    (check,) = scene.repository.checks.values()
    assert check.status == "in_progress", "the killed job could not say so"
    ended = run(tmp_path, scene, "issue_comment", payload, command="finish", token=step.token)
    assert ended.code == 0, ended.log
    assert (check.status, check.conclusion) == ("completed", "cancelled")
    assert "ended before it had a result" in scene.pull.comments[1].body
    assert ended.outputs["artifact"] == ""
    known = len(scene.server.state.requests)
    assert run(tmp_path, scene, "issue_comment", payload, command="finish", token=step.token).code == 0
    assert len(scene.server.state.requests) == known, "what is ended once is not ended again"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"action": "created",\n  oops}', ":2:3: the event payload is not JSON"),
        (b'{"action": "\xff"}', "not UTF-8"),
        (b"[1]", "is not a JSON object"),
        (b"{}", "action"),
        (json.dumps({"action": "created", "issue": 3, "comment": {"body": "/perstack fix"}}).encode(), "issue"),
    ],
)
def test_an_unreadable_payload_is_one_annotation_a_summary_and_exit_2(
    data: bytes, words: str, scene: Scene, tmp_path: Path
) -> None:
    ended = run(tmp_path, scene, "issue_comment", data)
    assert ended.code == 2, ended.log
    (error,) = ended.errors
    assert words in error
    assert words in ended.summary
    assert "Traceback" not in ended.log
    assert scene.server.state.requests == []


@pytest.mark.threat("F10")
def test_faults_on_the_way_leave_one_comment_one_reaction_and_the_result(scene: Scene, tmp_path: Path) -> None:
    payload = scene.comment("/perstack help")[1]
    for fault in (
        Fault("status", "GET", "/contents/", status=502),
        Fault("secondary", "POST", "/reactions", retry_after="1"),
        Fault("hidden", "POST", "/issues/2/comments", status=502),
        Fault("drop", "GET", "/permission"),
    ):
        scene.server.faults.add(fault)
    ended = run(tmp_path, scene, "issue_comment", payload)
    assert ended.code == 0, ended.log
    assert [fault.hits for fault in scene.server.faults.faults] == [1, 1, 1, 1]
    asked, answer = scene.pull.comments
    assert [r["content"] for r in asked.reactions] == ["eyes"]
    assert "/perstack fix" in answer.body


def no_token(scene: Scene) -> str:
    return "ghs_expired_long_ago"


def too_weak(scene: Scene) -> str:
    return scene.server.token({"contents": "read"})


def no_comments(scene: Scene) -> str:
    return scene.server.token({**READ_ALL, "contents": "write", "checks": "write"})


@pytest.mark.parametrize(
    ("make", "words"),
    [(no_token, "token"), (too_weak, "pull-requests: read")],
)
def test_a_token_that_may_not_is_told_with_the_permission_to_add(
    make: Callable[[Scene], str], words: str, scene: Scene, tmp_path: Path
) -> None:
    payload = scene.comment("/perstack fix")[1]
    ended = run(tmp_path, scene, "issue_comment", payload, token=make(scene))
    assert ended.code == 4, ended.log
    assert words in ended.summary
    assert any(words in line for line in ended.errors), ended.log
    assert "Traceback" not in ended.log
    assert scene.repository.pushes == []
    assert len(scene.pull.comments) == 1


def test_a_token_that_may_not_comment_ends_no_job_and_is_told(scene: Scene, tmp_path: Path) -> None:
    payload = scene.comment("/perstack verify")[1]
    ended = run(tmp_path, scene, "issue_comment", payload, token=no_comments(scene))
    assert ended.code == 1, ended.log
    assert "issues: write" in ended.summary
    (check,) = scene.repository.checks.values()
    assert (check.status, check.conclusion) == ("completed", "failure")
    assert len(scene.pull.comments) == 1


def test_a_payload_about_another_repository_is_refused(scene: Scene, tmp_path: Path) -> None:
    payload: Any = scene.comment("/perstack fix")[1]
    ended = run(tmp_path, scene, "issue_comment", payload, GITHUB_REPOSITORY="somebody/else")
    assert ended.code == 2
    assert "nothing was done" in ended.summary
    assert len(ended.errors) == 1
    assert scene.server.state.requests == []


def test_without_a_token_the_message_says_what_to_pass(scene: Scene, tmp_path: Path) -> None:
    scene.server.token(WRITE_ALL)
    payload = scene.comment("/perstack fix")[1]
    ended = run(tmp_path, scene, "issue_comment", payload, PERSTACK_GITHUB_TOKEN="")
    assert ended.code == 2
    assert "there is no GitHub token" in ended.summary
    assert len(ended.errors) == 1
