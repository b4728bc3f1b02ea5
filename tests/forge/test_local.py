"""The forge in a folder: the Protocol over records and a real bare repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.errors import ForgeError, Superseded
from perstack.core.signals import Diagnostic
from perstack.forge.contract import (
    Action,
    Actor,
    CheckOutput,
    CheckStatus,
    CommitRequest,
    Forge,
    PullRequestRequest,
    Ref,
    Trigger,
)
from tests.forge.local_scene import Scene
from tests.github_server.git_data import commit_files, git, set_branch

OCTOCAT = Actor("octocat", 583231)
TRIGGER = Trigger("issue_comment", Action.FIX, "o/r", 1, OCTOCAT, number=5, is_pull_request=True, comment_id=3)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_it_is_a_forge(scene: Scene) -> None:
    forge: Forge = scene.forge
    assert forge.repository == "o/r"
    assert forge.default_branch() == "main"
    assert not forge.is_protected("main")


def test_branches_are_read_loose_and_packed(scene: Scene) -> None:
    assert scene.forge.branch_sha("topic") == scene.head
    git("pack-refs", "--all", cwd=scene.git)
    assert scene.forge.branch_sha("topic") == scene.head
    for name in ("gone", "../../x", "a b", "", "to"):
        assert scene.forge.branch_sha(name) == ""


def test_files_are_read_at_branches_and_commits(scene: Scene) -> None:
    assert scene.forge.read_file("perstack.toml", "main") == b"x = 1"
    assert scene.forge.read_file("a.py", scene.head) == b"2"
    assert scene.forge.read_file("a.py", "gone") is None


def test_roles_go_by_account_id(scene: Scene) -> None:
    assert scene.forge.role_of(OCTOCAT) == "none"
    scene.forge.set_role(OCTOCAT, "write")
    assert scene.forge.role_of(OCTOCAT) == "write"
    assert scene.forge.role_of(replace(OCTOCAT, id=1)) == "none"


def test_a_pull_request_follows_its_branch(scene: Scene) -> None:
    assert scene.forge.pull_request(5).head_exists
    newer = commit_files(scene.git, {"a.py": "3\n"}, scene.head)
    set_branch(scene.git, "topic", newer)
    assert scene.forge.pull_request(5).head_sha == newer
    git("update-ref", "-d", "refs/heads/topic", cwd=scene.git)
    assert not scene.forge.pull_request(5).head_exists
    with pytest.raises(ForgeError, match="#6"):
        scene.forge.pull_request(6)


def test_reactions_are_recorded_once(scene: Scene) -> None:
    for _ in range(2):
        scene.forge.react(TRIGGER, "eyes")
    scene.forge.react(replace(TRIGGER, comment_id=0, event="pull_request"), "eyes")
    assert scene.json("reactions.json") == [{"to": "comment 3", "content": "eyes"}]


def test_a_comment_is_edited_in_place(scene: Scene) -> None:
    first = scene.forge.upsert_comment(5, "fix", "working")
    second = scene.forge.upsert_comment(5, "fix", "done")
    other = scene.forge.upsert_comment(5, "verify", "x" * 70_000)
    assert first.id == second.id != other.id
    assert Path(second.url).read_text(encoding="utf-8") == "done\n"
    assert [len(c["body"]) <= 65_536 for c in scene.json("comments.json")] == [True, True]
    assert "edited 1 times" in scene.page()


def test_a_check_run_keeps_the_history_of_its_states(scene: Scene) -> None:
    finding = Diagnostic("a.py", 1, "error", "wrong | `total`")
    check = scene.forge.start_check("perstack", scene.head, CheckOutput("Working", "…"), external_id="x")
    done = CheckOutput("Proved", "red → green", "details", (finding,))
    for _ in range(2):
        scene.forge.update_check(check, done, status=CheckStatus.COMPLETED, conclusion="success")
    (record,) = scene.json("check-runs.json")
    assert [state["status"] for state in record["history"]] == ["in_progress", "completed", "completed"]
    assert len(record["annotations"]) == 1
    page = Path(check.url).read_text(encoding="utf-8")
    assert "in_progress → completed (success)" in page
    assert "`a.py`:1" in page
    with pytest.raises(ForgeError):
        scene.forge.update_check(Ref(9), done, status=CheckStatus.COMPLETED)


def test_commits_are_fetched_and_pushed_with_a_lock(scene: Scene, tmp_path: Path) -> None:
    into = tmp_path / "work.git"
    scene.forge.fetch(scene.head, into, history=True)
    new = commit_files(into, {"a.py": "4\n"}, scene.head)
    scene.forge.push(CommitRequest(into, new, "topic", scene.head))
    assert scene.forge.branch_sha("topic") == new
    late = commit_files(into, {"a.py": "5\n"}, scene.head)
    with pytest.raises(Superseded):
        scene.forge.push(CommitRequest(into, late, "topic", scene.head))
    assert [c["commit"] for c in scene.json("commits.json")] == [new]


def test_a_pull_request_is_opened_once_a_branch(scene: Scene) -> None:
    scene.forge.add_issue(7, "Broken", "very")
    set_branch(scene.git, "perstack/fix-7", scene.head)
    request = PullRequestRequest("perstack/fix-7", "main", "Fix it", "Closes #7")
    first = scene.forge.open_pull_request(request)
    second = scene.forge.open_pull_request(replace(request, title="Fix it better"))
    assert first.id == second.id == 8
    assert scene.forge.pull_request(8).title == "Fix it better"
    assert scene.forge.issue_text(8) == ("Fix it better", "Closes #7")
    assert scene.forge.issue_text(7) == ("Broken", "very")
    with pytest.raises(ForgeError, match="nowhere"):
        scene.forge.open_pull_request(replace(request, branch="nowhere"))


def test_summary_outputs_and_log_annotations_are_kept(scene: Scene) -> None:
    scene.forge.write_summary("# One")
    scene.forge.write_summary("# Two")
    scene.forge.set_outputs({"verdict": "pass"})
    scene.forge.set_outputs({"patch": "+`x`\n"})
    scene.forge.annotate_log([Diagnostic("a.py", 1, "error", "m")])
    assert scene.page("summary.md") == "# One\n\n# Two\n\n"
    assert scene.json("outputs.json") == {"verdict": "pass", "patch": "+`x`\n"}
    assert len(scene.json("log-annotations.json")) == 1
    assert "`verdict`: `pass`" in scene.page()


def test_a_damaged_record_is_named(scene: Scene) -> None:
    (scene.root / "roles.json").write_text("{", encoding="utf-8")
    with pytest.raises(ForgeError, match=r"roles\.json"):
        scene.forge.role_of(OCTOCAT)
