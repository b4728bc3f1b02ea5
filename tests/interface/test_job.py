"""Jobs on a forge from trigger to published result: real git, a real sandbox, the model-free builder or a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perstack.core.errors import ExitCode
from perstack.core.events import Event
from perstack.forge.contract import Action
from tests.interface.scene import FILES, FIXED, TESTS, TOML, Scene, mender

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_red_pull_request_is_fixed_on_its_own_branch(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    result = await scene.run()
    assert result.exit_code is ExitCode.OK, scene.comment()
    pushed = scene.branch("tidy")
    assert pushed != scene.head
    assert await scene.repository.read_file(pushed, "calc.py") == FIXED.encode()
    red, green = scene.record("check-runs")
    assert (red["head_sha"], red["conclusion"]) == (scene.head, "failure")
    assert [a["path"] for a in red["annotations"]] == ["tests/test_calc.py"]
    assert red["annotations"][0]["line"] > 1
    assert (green["head_sha"], green["conclusion"]) == (pushed, "success")
    body = scene.comment()
    assert "Fixed, and proved" in body
    assert "`tests/test_calc.py::test_even` | 🔴 | 🟢" in body
    assert scene.record("reactions") == [{"to": "comment 55", "content": "eyes"}]
    outputs = scene.record("outputs")
    assert (outputs["verdict"], outputs["outcome"], outputs["head-sha"]) == ("pass", "fixed", pushed)
    assert Path(outputs["evidence"]).is_file()


async def test_a_fix_does_not_make_a_pull_request_green_that_took_a_test_away(tmp_path: Path) -> None:
    fewer = TESTS.replace("def test_odd():\n    assert median([3, 1, 2]) == 2\n\n", "")
    main = {**FILES, "calc.py": FIXED}
    scene = await Scene.make(tmp_path, main=main, files={**FILES, "tests/test_calc.py": fewer})
    result = await scene.run(host=mender())
    assert result.exit_code is ExitCode.OK, scene.comment()
    pushed = scene.branch("tidy")
    assert pushed != scene.head
    _, as_a_whole = scene.record("check-runs")
    assert (as_a_whole["head_sha"], as_a_whole["conclusion"]) == (pushed, "failure")
    assert "as a whole is not verified" in scene.comment()


async def test_an_issue_is_answered_with_a_fix_pull_request(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path, main=FILES, files={**FILES, "other.py": "x = 1\n"})
    result = await scene.run(number=3, host=mender())
    assert result.exit_code is ExitCode.OK, scene.comment()
    assert scene.branch("main") == scene.main, "the default branch is never pushed to"
    pulls = scene.record("pull-requests")
    (fix,) = [p for n, p in pulls.items() if n != "7"]
    assert (fix["head_ref"], fix["base_ref"]) == ("perstack/fix-3", "main")
    assert "Fixes #3" in fix["body"]
    message = await scene.project.git(
        "--git-dir", str(scene.repository.path), "log", "-1", "--format=%B", fix["head_sha"]
    )
    assert "tests/test_calc.py::test_even" in message
    assert f"Perstack-Base: {scene.main}" in message


async def test_a_fork_gets_the_proved_patch_as_a_suggestion_and_no_push(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    scene.forge.add_pull_request(scene.pull(is_fork=True))
    result = await scene.run(host=mender())
    assert result.exit_code is ExitCode.OK
    assert scene.branch("tidy") == scene.head
    assert scene.record("commits") == []
    assert "Not pushed" in scene.comment()
    (check,) = scene.record("check-runs")
    assert check["conclusion"] == "failure", "the head itself is as red as it was"
    assert "n // 2 - 1" in scene.comment()


async def test_a_protected_head_branch_gets_a_fix_pull_request_instead(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    (tmp_path / "records" / "protected-branches.json").write_text('["tidy"]')
    result = await scene.run(host=mender())
    assert result.exit_code is ExitCode.OK, scene.comment()
    assert scene.branch("tidy") == scene.head
    assert scene.branch("perstack/fix-7")
    assert [p["base_ref"] for n, p in scene.record("pull-requests").items() if n != "7"] == ["tidy"]


@pytest.mark.threat("R5", "P10")
async def test_a_head_that_moves_meanwhile_ends_the_job_as_superseded(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    moved: list[str] = []

    def move(event: Event) -> None:
        if event.type == "decideVerdict" and not moved:
            moved.append("yes")
            push(scene)

    result = await scene.run(watch=move, host=mender())
    assert moved
    assert result.exit_code is ExitCode.OK
    assert "moved from" in result.message
    assert scene.record("commits") == []
    (check,) = scene.record("check-runs")
    assert check["conclusion"] == "cancelled"
    assert "moved from" in scene.comment()
    assert scene.record("outputs")["outcome"] == "superseded"


def push(scene: Scene) -> None:
    """Somebody pushes to the branch: the ref file is written as git would."""
    (scene.repository.path / "refs" / "heads" / "tidy").write_text(scene.main + "\n")


async def test_a_green_pull_request_has_nothing_to_fix_and_its_check_does_not_pass(tmp_path: Path) -> None:
    scene = await Scene.make(
        tmp_path, files={**FILES, "calc.py": FIXED, "notes.md": "x"}, main={**FILES, "calc.py": FIXED}
    )
    result = await scene.run()
    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert "Nothing to fix" in scene.comment()
    (check,) = scene.record("check-runs")
    assert check["conclusion"] not in {"success", "neutral", "skipped"}


async def test_what_the_search_cannot_fix_is_not_pushed(tmp_path: Path) -> None:
    impossible = TESTS + "\ndef test_impossible():\n    assert median([1]) == 'quite something else entirely'\n"
    scene = await Scene.make(tmp_path, files={**FILES, "tests/test_calc.py": impossible})
    result = await scene.run()
    assert result.exit_code in {ExitCode.FAIL, ExitCode.INCONCLUSIVE}
    assert scene.branch("tidy") == scene.head
    assert scene.record("commits") == []


async def test_verify_judges_a_pull_request_and_posts_a_check(tmp_path: Path) -> None:
    wanted = {**FILES, "perstack.toml": TOML + "[github]\nsarif = true\n"}
    red = await Scene.make(tmp_path / "red", files=wanted)
    result = await red.run(Action.VERIFY)
    assert result.exit_code is ExitCode.FAIL
    assert result.story is not None
    assert [(one["sha"], one["ref"]) for one in red.record("sarif")] == [(red.head, "refs/pull/7/head")]
    (check,) = red.record("check-runs")
    assert check["conclusion"] == "failure"
    assert any(a["path"] == "tests/test_calc.py" for a in check["annotations"])
    green = await Scene.make(tmp_path / "green", main=FILES, files={**FILES, "calc.py": FIXED})
    assert (await green.run(Action.VERIFY)).exit_code is ExitCode.OK
    (check,) = green.record("check-runs")
    assert check["conclusion"] == "success"


async def test_a_suite_without_tests_cannot_start_and_says_so(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path, files={**FILES, "tests/test_calc.py": "# nothing\n"})
    result = await scene.run()
    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert "Could not start" in scene.comment()
    assert scene.record("commits") == []


async def test_a_schedule_verifies_the_default_branch_against_its_parent(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path, main=FILES, files={**FILES, "calc.py": FIXED})
    await scene.project.git("push", "--quiet", str(scene.repository.path), "tidy:main")
    about: dict[str, Any] = {"event": "schedule", "number": 0, "comment_id": 0, "is_pull_request": False, "ref": "main"}
    result = await scene.run(Action.VERIFY, **about, head_sha=scene.head)
    assert result.exit_code is ExitCode.OK
    (check,) = scene.record("check-runs")
    assert (check["head_sha"], check["conclusion"]) == (scene.head, "success")
    first = await scene.run(Action.VERIFY, **about, head_sha=scene.main)
    assert "first commit" in first.message
