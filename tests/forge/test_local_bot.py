"""The forge in a folder as the bot's home: hidden data, reviews, check runs, teams, authors, workflow runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perstack.core.errors import ForgeError
from perstack.forge.contract import (
    Actor,
    CheckOutput,
    CheckStatus,
    CommitRequest,
    FailedJob,
    ReviewComment,
    WorkflowRun,
)
from perstack.forge.local import OWN_ID, LocalForge
from tests.forge.git import GitRemote
from tests.forge.local_scene import Scene
from tests.github_server.git_data import commit_files

OCTOCAT = Actor("octocat", 583231)
RUN = WorkflowRun(77, "CI", "push", "in_progress", "", "a" * 40, "topic", 1)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_hidden_data_is_kept_by_later_texts_and_not_shown(scene: Scene) -> None:
    scene.forge.upsert_comment(5, "fix", "working", {"run": 1})
    page = scene.forge.upsert_comment(5, "fix", "done")
    own = scene.forge.own_comment(5, "fix")
    assert own is not None
    assert (own.id, own.number, own.key, own.body, own.data) == (page.id, 5, "fix", "done", {"run": 1})
    assert Path(own.url).read_text(encoding="utf-8") == "done\n"
    assert scene.forge.own_comment(5, "verify") is None


def test_an_unchanged_comment_counts_no_edit(scene: Scene) -> None:
    for _ in range(3):
        scene.forge.upsert_comment(5, "fix", "same", {"run": 1})
    assert [c["edits"] for c in scene.json("comments.json")] == [0]


def test_recent_comments_are_listed_newest_first(scene: Scene) -> None:
    times = iter(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(9))
    forge = LocalForge(
        scene.root, "o/r", git=scene.git, remote=GitRemote(str(scene.git)), read_file=lambda *_: None,
        clock=lambda: next(times),
    )  # fmt: skip
    for key in ("a", "b", "c", "a"):
        forge.upsert_comment(5, key, f"{key}{datetime.now(UTC).timestamp()}")
    assert [c.key for c in forge.own_comments_since("2026-01-01T02:00:00Z")] == ["a", "c"]


def test_a_review_says_nothing_twice(scene: Scene) -> None:
    first, second = ReviewComment("a.py", 1, "one"), ReviewComment("a.py", 2, "two", start=1)
    scene.forge.review(5, scene.head, "Noticed", [first])
    again = scene.forge.review(5, scene.head, "Noticed", [first])
    more = scene.forge.review(5, scene.head, "Noticed", [first, second])
    assert (again.id, more.id) == (1, 2)
    assert more.extra == {"posted": 1, "repeated": 1, "refused": 0}
    assert "two" in Path(more.url).read_text(encoding="utf-8")
    assert "[#5](reviews/2.md), 1 remarks" in scene.page()


def test_check_runs_are_found_by_commit_and_name(scene: Scene) -> None:
    for name, external in (("perstack", "a"), ("other", "b"), ("perstack", "c")):
        check = scene.forge.start_check(name, scene.head, CheckOutput("t", "s"), external_id=external)
    scene.forge.update_check(check, CheckOutput("t", "s"), status=CheckStatus.COMPLETED, conclusion="success")
    found = scene.forge.find_checks(scene.head, "perstack")
    assert [(ref.id, external, status.value) for ref, external, status in found] == [
        (3, "c", "completed"), (1, "a", "in_progress"),
    ]  # fmt: skip
    assert scene.forge.find_checks(scene.base, "perstack") == ()


def test_teams_go_by_account_id(scene: Scene) -> None:
    scene.forge.set_team("org/core", OCTOCAT)
    assert scene.forge.teams_of(OCTOCAT, ["org/core", "org/docs"]) == {"org/core"}
    assert scene.forge.teams_of(replace(OCTOCAT, id=1), ["org/core"]) == set()


def test_pushed_commits_are_ours_and_others_have_their_author(scene: Scene, tmp_path: Path) -> None:
    into = tmp_path / "work.git"
    scene.forge.fetch(scene.head, into)
    new = commit_files(into, {"a.py": "4\n"}, scene.head)
    assert scene.forge.push(CommitRequest(into, new, "topic", scene.head)) == new
    scene.forge.set_author(scene.base, OCTOCAT)
    assert scene.forge.commit_author(new) == scene.forge.account() == OWN_ID
    assert scene.forge.commit_author(scene.base) == OCTOCAT.id
    assert scene.forge.commit_author(scene.head) == 0
    assert [pull.number for pull in scene.forge.pulls_of(new)] == [5]
    assert scene.forge.pulls_of(scene.base) == ()


def test_workflow_runs_are_read_and_cancelled(scene: Scene) -> None:
    scene.forge.add_workflow_run(RUN, [FailedJob(1, "test", "make", "log")], {"result one": b"PK"})
    assert scene.forge.workflow_run(77) == RUN
    assert scene.forge.failed_jobs(77) == (FailedJob(1, "test", "make", "log"),)
    assert scene.forge.artifact_names(77) == ("result one",)
    assert scene.forge.artifact(77, "result one") == b"PK"
    assert scene.forge.artifact(77, "none") is None
    assert scene.forge.cancel_run(77)
    assert scene.forge.workflow_run(77).conclusion == "cancelled"
    assert not scene.forge.cancel_run(77)
    with pytest.raises(ForgeError, match="no workflow run 78"):
        scene.forge.workflow_run(78)


def test_sarif_is_kept_as_a_file(scene: Scene) -> None:
    assert scene.forge.upload_sarif(scene.head, "refs/heads/topic", '{"runs": []}') == "1"
    assert scene.page("sarif/1.sarif") == '{"runs": []}'
    assert scene.json("sarif.json") == [{"id": "1", "sha": scene.head, "ref": "refs/heads/topic"}]
