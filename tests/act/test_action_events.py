"""`perstack action` on every event and by everybody: what the server holds afterwards. Nothing is pushed by mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.act.conftest import MakeScene
from tests.act.process import run
from tests.github_server import READ_ALL, Scene
from tests.interface.scene import FILES, FIXED

pytestmark = pytest.mark.slow

Make = Callable[[Scene], Any]


def untouched(scene: Scene, *, comments: int = 1) -> None:
    """Nothing was written but reactions; `comments` are those of people."""
    assert scene.repository.pushes == []
    assert scene.repository.checks == {}
    written = [c for issue in scene.repository.issues.values() for c in issue.comments]
    assert len(written) == comments
    assert set(scene.repository.issues) == {1, 2}


def by_a_bot(scene: Scene) -> Any:
    bot = scene.server.state.user("helper[bot]", 99, "Bot")
    scene.repository.roles[bot.id] = "admin"
    return scene.comment("/perstack fix", user=bot)[1]


def by_a_stranger(scene: Scene) -> Any:
    return scene.comment("/perstack fix", user=scene.server.state.user("mallory", 66))[1]


def by_a_reader(scene: Scene) -> Any:
    scene.repository.roles[scene.actor.id] = "triage"
    return scene.comment("/perstack fix")[1]


def by_a_namesake(scene: Scene) -> Any:
    """The login now belongs to another account than the one that commented."""
    payload = scene.comment("/perstack fix")[1]
    payload["sender"]["id"] = payload["comment"]["user"]["id"] = 4712
    return payload


@pytest.mark.parametrize(
    ("make", "words", "reactions"),
    [
        (by_a_bot, "came from a bot (account id 99)", []),
        (by_a_stranger, "has `none`", ["confused"]),
        (by_a_reader, "has `triage`", ["confused"]),
        (by_a_namesake, "has `none`", ["confused"]),
    ],
)
def test_who_may_not_gets_nothing_but_a_sentence_in_the_summary(
    make: Make, words: str, reactions: list[str], scene: Scene, tmp_path: Path
) -> None:
    ended = run(tmp_path, scene, "issue_comment", make(scene))
    assert ended.code == 0, ended.log
    assert words in ended.summary
    assert words in ended.log
    assert ended.outputs == {"verdict": "", "outcome": "refused"}
    assert [r["content"] for r in scene.pull.comments[0].reactions] == reactions
    untouched(scene)


def closed(scene: Scene) -> Any:
    scene.pull.state = "closed"
    return scene.comment("/perstack fix")[1]


def branch_deleted(scene: Scene) -> Any:
    (scene.repository.git / "refs" / "heads" / "topic").unlink()
    return scene.comment("/perstack fix")[1]


@pytest.mark.parametrize(
    ("make", "words"),
    [(closed, "is closed; reopen it"), (branch_deleted, "branch was deleted; restore it")],
)
def test_who_may_is_told_in_a_comment_why_it_was_not_done(make: Make, words: str, scene: Scene, tmp_path: Path) -> None:
    ended = run(tmp_path, scene, "issue_comment", make(scene))
    assert ended.code == 0, ended.log
    assert words in scene.pull.comments[1].body
    assert ended.outputs["outcome"] == "refused"
    untouched(scene, comments=2)


def just_talk(scene: Scene) -> Any:
    return scene.comment("Please do not run\n\n> /perstack fix\n")[1]


def our_own(scene: Scene) -> Any:
    return scene.comment("<!-- perstack:key=fix-2 -->\n/perstack fix")[1]


def edited(scene: Scene, before: str) -> Any:
    payload = scene.comment("/perstack help")[1]
    return payload | {"action": "edited", "changes": {"body": {"from": before}}}


@pytest.mark.parametrize(
    ("event", "make"),
    [
        ("issue_comment", just_talk),
        ("issue_comment", our_own),
        ("issue_comment", lambda scene: edited(scene, "/perstack help")),
        ("pull_request", lambda scene: scene.pull_request_event("closed")),
        ("watch", lambda scene: {}),
    ],
)
def test_what_asks_for_nothing_is_not_answered(event: str, make: Make, scene: Scene, tmp_path: Path) -> None:
    payload = make(scene)
    ended = run(tmp_path, scene, event, payload)
    assert (ended.code, ended.errors) == (0, [])
    assert "nothing to do" in ended.log
    assert scene.server.state.requests == []


def test_another_label_asks_for_nothing_and_is_told_in_the_log_alone(scene: Scene, tmp_path: Path) -> None:
    """Which label asks is read from the configuration: that takes reading, and nothing is written."""
    ended = run(tmp_path, scene, "issues", scene.issue_event(label="bug"))
    assert (ended.code, ended.errors) == (0, [])
    assert "only the label `perstack` asks for a fix" in ended.log
    assert {request["method"] for request in scene.server.state.requests} <= {"GET"}


def test_a_command_that_an_edit_added_is_answered_once(scene: Scene, tmp_path: Path) -> None:
    payload = edited(scene, "Hello")
    for folder in (tmp_path / "first", tmp_path / "again"):
        folder.mkdir()
        assert run(folder, scene, "issue_comment", payload).outputs == {"verdict": "", "outcome": "help"}
    asked, answer = scene.pull.comments
    assert [r["content"] for r in asked.reactions] == ["eyes"]
    assert "/perstack verify" in answer.body
    untouched(scene, comments=2)


def test_a_mistyped_command_is_answered_with_its_place(scene: Scene, tmp_path: Path) -> None:
    ended = run(tmp_path, scene, "issue_comment", scene.comment("Well,\n\n/perstack fxi the sum")[1])
    assert ended.code == 0
    assert "line 3" in scene.pull.comments[1].body
    assert [r["content"] for r in scene.pull.comments[0].reactions] == ["confused"]


def test_an_event_about_an_old_head_leaves_the_work_to_the_newer_event(scene: Scene, tmp_path: Path) -> None:
    payload = scene.pull_request_event("synchronize")
    scene.push_to_topic({"calc.py": FIXED})
    ended = run(tmp_path, scene, "pull_request", payload)
    assert ended.code == 0
    assert "the head moved" in ended.summary
    assert scene.repository.checks == {}


def test_a_fork_with_a_read_only_token_gets_its_verdict_in_log_and_summary(
    make_scene: MakeScene, tmp_path: Path
) -> None:
    scene = make_scene(fork=True)
    token = scene.server.token(READ_ALL)
    ended = run(tmp_path, scene, "pull_request", scene.pull_request_event(), token=token)
    assert ended.code == 1, ended.log
    assert ended.outputs["verdict"] == "fail"
    assert "checks: write" in ended.summary
    assert "test_even" in ended.summary
    (error,) = ended.errors
    assert "file=tests/test_calc.py,line=" in error
    assert any(line.startswith("::notice") and "check run" in line for line in ended.log.splitlines())
    untouched(scene, comments=0)


def test_a_fork_is_not_fixed_unless_configured(make_scene: MakeScene, tmp_path: Path) -> None:
    refusing = '\n[github]\nforkPolicy = "deny"\n'
    scene = make_scene(base={**FILES, "calc.py": FIXED, "perstack.toml": FILES["perstack.toml"] + refusing}, fork=True)
    ended = run(tmp_path, scene, "issue_comment", scene.comment("/perstack fix")[1])
    assert ended.code == 0, ended.log
    assert "forks are not fixed here (`forkPolicy`" in scene.pull.comments[1].body
    untouched(scene, comments=2)


def test_a_pull_request_cannot_change_how_it_is_judged(make_scene: MakeScene, tmp_path: Path) -> None:
    """Its own perstack.toml would let everybody ask, and would call anything green."""
    toml = '[signals.tests]\nkind = "command"\nrun = "true"\n[github]\nroles = ["none", "read"]\n'
    scene = make_scene(head={**FILES, "perstack.toml": toml})
    ended = run(tmp_path, scene, "issue_comment", by_a_stranger(scene))
    assert ended.outputs["outcome"] == "refused"
    untouched(scene)


def test_a_dispatch_that_names_nothing_useful_says_what_to_give(scene: Scene, tmp_path: Path) -> None:
    ended = run(tmp_path, scene, "workflow_dispatch", scene.dispatch_event(command="verify"))
    assert ended.code == 2
    (error,) = ended.errors
    assert "needs the input `pull-request`" in error
    assert "needs the input `pull-request`" in ended.summary
    untouched(scene, comments=0)
