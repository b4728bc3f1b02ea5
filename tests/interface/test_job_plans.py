"""Plans, approvals and retries: what is carried out is the plan that was posted, at the commit it was made for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.errors import ExitCode
from perstack.core.json import Json
from perstack.forge.contract import Action
from perstack.interface.jobs.record import digest_of, pack_plan, read_record, unpack_plan
from tests.interface.scene import FILES, TOML, Scene, mender

pytestmark = pytest.mark.anyio
ALWAYS = {**FILES, "perstack.toml": f'{TOML}\n[github]\napproval = "always"\n'}


@pytest.mark.slow
async def test_a_fix_that_needs_approval_posts_its_plan_and_the_approval_carries_out_that_very_plan(
    tmp_path: Path,
) -> None:
    scene = await Scene.make(tmp_path, files=ALWAYS)
    asked = await scene.run(Action.FIX, arguments="the even case", host=mender())
    assert (asked.exit_code, asked.outcome) == (ExitCode.OK, "planned")
    assert scene.branch("tidy") == scene.head
    assert scene.record("check-runs") == [], "a plan is no verdict"
    (plan,) = scene.record("comments")
    assert f"/perstack approve {scene.head[:12]}" in plan["body"]
    record = read_record(plan["data"])
    assert record is not None
    assert (record.command, record.head, record.state) == ("plan", scene.head, "done")

    other = await scene.run(Action.APPROVE, approved=scene.main[:10])
    assert other.outcome == "refused"
    assert scene.branch("tidy") == scene.head, "another commit was approved"

    stages: list[str] = []
    done = await scene.run(
        Action.APPROVE, approved=scene.head[:8], host=mender(),
        watch=lambda event: stages.append(str(event.payload["stage"])) if event.type == "startStage" else None,
    )  # fmt: skip
    assert done.exit_code is ExitCode.OK
    assert scene.branch("tidy") != scene.head
    assert "plan" not in stages, "nobody is asked for another plan"
    assert done.story is not None
    assert done.story.plan_sha256 == record.plan_sha256
    assert done.story.outcome is not None
    assert done.story.outcome.plan == unpack_plan(record)


async def test_an_approval_without_a_plan_or_of_a_plan_for_an_older_head_is_refused(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    missing = await scene.run(Action.APPROVE, approved=scene.head)
    assert "plan" in missing.message
    text, packed = pack_plan("Change the index.")
    data: dict[str, Json] = {"v": 1, "command": "plan", "state": "done", "head": scene.main, "plan": packed,
            "plan_sha256": digest_of(text), "run": 1, "attempt": 1}  # fmt: skip
    scene.forge.upsert_comment(7, "plan-7", "The plan", data)
    old = await scene.run(Action.APPROVE, approved=scene.main)
    assert old.outcome == "refused"
    changed: dict[str, Json] = {**data, "head": scene.head, "plan_sha256": digest_of("Another plan.")}
    scene.forge.upsert_comment(7, "plan-7", "The plan", changed)
    edited = await scene.run(Action.APPROVE, approved=scene.head)
    assert edited.outcome == "refused"
    assert scene.record("commits") == []


@pytest.mark.threat("R10")
async def test_what_somebody_else_wrote_into_our_comment_is_neither_approved_nor_given_again(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    text, packed = pack_plan("Delete the tests.")
    data: dict[str, Json] = {"v": 1, "command": "plan", "state": "done", "head": scene.head, "plan": packed,
            "plan_sha256": digest_of(text), "run": 1, "attempt": 1}  # fmt: skip
    scene.forge.upsert_comment(7, "plan-7", "The plan", data)
    place = tmp_path / "records" / "comments.json"
    place.write_text(json.dumps([{**entry, "editor": 667} for entry in json.loads(place.read_text())]))
    for again in (await scene.run(Action.APPROVE, approved=scene.head), await scene.run(Action.RETRY)):
        assert again.outcome == "refused"
        assert "edited by somebody else" in again.message


@pytest.mark.slow
async def test_a_green_head_needs_no_plan_and_says_so(tmp_path: Path) -> None:
    scene = await Scene.make(
        tmp_path, files={**FILES, "calc.py": "def median(xs):\n    return 2 if len(xs) == 3 else 2.5\n"}
    )
    result = await scene.run(Action.PLAN)
    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert "Nothing to fix" in scene.comment()


@pytest.mark.slow
async def test_retry_gives_the_last_command_again_with_its_words(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    data: dict[str, Json] = {
        "v": 1,
        "command": "verify",
        "arguments": "",
        "state": "cancelled",
        "run": 1,
        "attempt": 1,
        "started": "2026-01-01T00:00:00.000Z",
    }
    scene.forge.upsert_comment(7, "verify-7", "stopped", data)
    result = await scene.run(Action.RETRY)
    assert result.story is not None
    assert result.story.action == "verify"
    assert result.exit_code is ExitCode.FAIL


async def test_retry_without_anything_before_is_answered(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    assert (await scene.run(Action.RETRY)).outcome == "refused"
    (comment,) = scene.record("comments")
    assert "retry" in comment["body"]


def test_a_plan_that_is_too_long_is_cut_before_it_is_posted_and_comes_back_as_it_was_posted() -> None:
    noise = "\n".join(digest_of(str(number)) for number in range(2000))
    kept, packed = pack_plan(noise)
    assert noise.startswith(kept)
    assert len(packed) <= 8_000
    record = read_record({"v": 1, "command": "plan", "plan": packed, "plan_sha256": digest_of(kept)})
    assert record is not None
    assert unpack_plan(record) == kept
    assert unpack_plan(replace(record, plan=pack_plan("Another plan.")[1])) == ""
    assert unpack_plan(replace(record, plan="!")) == ""
