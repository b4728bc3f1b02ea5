"""`action.yml` under act, from the event file to the pushed commit, judged by what the server holds afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.act.conftest import MakeScene
from tests.act.runner import ROOT, Act
from tests.github_server import WRITE_ALL, Scene
from tests.github_server.git_data import git
from tests.interface.scene import BUGGY, FILES, FIXED

pytestmark = pytest.mark.slow

RED = "tests/test_calc.py::test_even"


def test_a_fix_comment_becomes_a_proved_commit(act: Act, scene: Scene) -> None:
    token = scene.server.token(WRITE_ALL)
    job = act.run(scene, "issue_comment", scene.comment("/perstack fix")[1], token=token)
    assert job.code == 0, job.text
    _the_commit_is_the_fix_and_nothing_else(scene)
    _the_conversation_has_one_answer(scene)
    _both_commits_have_their_check(scene)
    (push,) = scene.repository.pushes
    assert (job.outputs["verdict"], job.outputs["outcome"]) == ("pass", "fixed")
    assert job.outputs["head-sha"] == push["after"]
    assert json.loads(job.outputs["reasons"]) == []
    assert "return (xs[n // 2 - 1]" in job.outputs["patch"]
    assert f"`{RED}` | 🔴 | 🟢" in job.summary
    assert "perstack: verdict pass" in job.log
    assert token not in job.text
    assert act.leftovers() == set()


def _the_commit_is_the_fix_and_nothing_else(scene: Scene) -> None:
    repository = scene.repository
    (push,) = repository.pushes
    assert (push["branch"], push["before"], push["by"]) == ("topic", scene.head_sha, "github-actions[bot]")
    assert git("log", "--format=%H", f"{scene.head_sha}..topic", cwd=repository.git).split() == [push["after"]]
    assert git("diff", "--name-only", scene.head_sha, push["after"], cwd=repository.git) == "calc.py"
    assert git("show", f"{push['after']}:calc.py", cwd=repository.git).strip() == FIXED.strip()
    message = git("log", "-1", "--format=%B", push["after"], cwd=repository.git)
    assert RED in message
    assert f"Perstack-Base: {scene.head_sha}" in message
    assert git("rev-parse", "main", cwd=repository.git) == scene.base_sha


def _the_conversation_has_one_answer(scene: Scene) -> None:
    asked, answer = scene.pull.comments
    assert [(r["content"], r["user"]["login"]) for r in asked.reactions] == [("eyes", "github-actions[bot]")]
    assert answer.edits >= 1, "the first answer is edited in place"
    assert f"`{RED}` | 🔴 | 🟢" in answer.body
    assert "Fixed, and proved" in answer.body
    created = [r for r in scene.server.state.requests if r["method"] == "POST" and r["path"].endswith("/comments")]
    assert len(created) == 1
    assert "fix" in created[0]["body"]["body"]
    assert scene.issue.comments == []
    assert set(scene.repository.issues) == {1, 2}


def _both_commits_have_their_check(scene: Scene) -> None:
    (push,) = scene.repository.pushes
    red, green = scene.repository.checks.values()
    assert (red.head_sha, red.conclusion) == (scene.head_sha, "failure")
    assert (red.history[0], red.history[-1]) == ("in_progress", "completed:failure")
    (where,) = red.annotations
    line = 1 + FILES["tests/test_calc.py"].splitlines().index("    assert median([4, 1, 2, 3]) == 2.5")
    assert (where["path"], where["start_line"], where["annotation_level"]) == ("tests/test_calc.py", line, "failure")
    assert (green.head_sha, green.status, green.conclusion) == (push["after"], "completed", "success")


def test_an_issue_becomes_a_fix_pull_request(act: Act, make_scene: MakeScene) -> None:
    scene = make_scene(base=FILES, head={**FILES, "other.py": "x = 1\n"})
    job = act.run(scene, "issues", scene.issue_event(), token=scene.server.token(WRITE_ALL))
    assert job.code == 0, job.text
    (opened,) = [issue for number, issue in scene.repository.issues.items() if number > 2]
    assert opened.pull is not None
    assert (opened.pull.head_ref, opened.pull.base_ref) == ("perstack/fix-1", "main")
    assert "Fixes #1" in (opened.body or "")
    assert git("rev-parse", "main", cwd=scene.repository.git) == scene.base_sha
    assert git("diff", "--name-only", "main", "perstack/fix-1", cwd=scene.repository.git) == "calc.py"
    (answer,) = scene.issue.comments
    assert "Fixed, and proved" in answer.body
    assert [r["content"] for r in scene.issue.reactions] == ["eyes"]
    assert job.outputs["pr-url"].endswith(f"/pull/{opened.number}")


def test_a_pull_request_is_verified_with_a_check_run_and_no_comment(act: Act, make_scene: MakeScene) -> None:
    scene = make_scene(base=FILES, head={"calc.py": FIXED})
    assert BUGGY != FIXED
    job = act.run(scene, "pull_request", scene.pull_request_event(), token=scene.server.token(WRITE_ALL))
    assert job.code == 0, job.text
    (check,) = scene.repository.checks.values()
    assert (check.head_sha, check.status, check.conclusion) == (scene.head_sha, "completed", "success")
    assert (job.outputs["verdict"], job.outputs["outcome"]) == ("pass", "verified")
    assert job.outputs["check-url"].endswith(f"/runs/{check.id}")
    assert scene.pull.comments == []
    assert scene.repository.pushes == []


def test_a_stranger_leaves_a_green_job_and_nothing_else(act: Act, scene: Scene) -> None:
    stranger = scene.server.state.user("mallory", 66)
    payload = scene.comment("/perstack fix", user=stranger)[1]
    job = act.run(scene, "issue_comment", payload, token=scene.server.token(WRITE_ALL))
    assert job.code == 0, job.text
    assert job.outputs["outcome"] == "refused"
    assert "did not act" in job.summary
    assert len(scene.pull.comments) == 1
    assert scene.repository.checks == {}
    assert scene.repository.pushes == []


def test_an_event_that_is_not_githubs_ends_in_one_annotation(act: Act, scene: Scene) -> None:
    payload = {"action": "created", "issue": "two", "repository": {"full_name": scene.name, "default_branch": "main"}}
    job = act.run(scene, "issue_comment", payload, token=scene.server.token(WRITE_ALL))
    assert job.code == 1
    assert scene.server.state.requests == []
    (told,) = [line for line in job.lines if line.get("command") == "error"]
    assert "issue" in told["msg"]
    assert "Traceback" not in job.text


@pytest.mark.parametrize("path", sorted((ROOT / "docs/workflows").glob("*.yml")), ids=lambda p: p.stem)
def test_a_reference_workflow_is_valid_and_has_one_job(act: Act, path: Path) -> None:
    listed = act.command("--list", "-W", str(path))
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.strip().splitlines()) == 2, listed.stdout
    checked = act.command("--validate", "--strict", "-W", str(path))
    assert (checked.returncode, checked.stdout.strip()) == (0, ""), checked.stderr
