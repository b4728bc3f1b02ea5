"""Jobs at the same place at the same time: one of them writes, the others say so, and nothing stays in progress."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from perstack.core.errors import ExitCode
from perstack.core.events import Event
from perstack.core.json import Json
from perstack.forge.contract import Action, CheckOutput, WorkflowRun
from perstack.interface.jobs.desk import Process
from tests.interface.scene import ADA, Scene

pytestmark = pytest.mark.anyio
RUN = Process("https://github.com/ada/calc/actions/runs/900", 900, 2)


def once(kind: str, act: Callable[[], object]) -> Callable[[Event], None]:
    """Act at the first event of a type."""
    left = [act]

    def watch(event: Event) -> None:
        if event.type == kind and left:
            left.pop()()

    return watch


def at_work(number: int, scene: Scene) -> WorkflowRun:
    """A workflow run of ours that is not over."""
    return WorkflowRun(number, "Perstack", "issue_comment", "in_progress", "", scene.main, "main", 1)


@pytest.mark.slow
async def test_a_job_that_somebody_stops_ends_before_it_writes(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    scene.forge.add_workflow_run(at_work(900, scene))
    seen: list[str] = []

    def stop() -> None:
        (left,) = json.loads((tmp_path / "runner" / "open-checks.json").read_text())
        seen.append(left["key"])
        data: dict[str, Json] = {"v": 1, "at": "2999-01-01T00:00:00.000Z", "login": "ada", "run": 901}
        scene.forge.upsert_comment(7, "stop-7", "Stopping", data)

    result = await scene.run(Action.VERIFY, watch=once("decideVerdict", stop), process=RUN)
    assert seen == ["verify-7"]
    assert (result.exit_code, result.outcome) == (ExitCode.OK, "stopped")
    (check,) = scene.record("check-runs")
    assert (check["status"], check["conclusion"]) == ("completed", "cancelled")
    comment = scene.forge.own_comment(7, "verify-7")
    assert comment is not None
    assert "stopped by `ada`" in comment.body
    assert comment.data["state"] == "cancelled"
    assert not (tmp_path / "runner" / "open-checks.json").exists()


async def test_stop_leaves_word_and_has_the_workflow_run_cancelled(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    nothing = await scene.run(Action.STOP)
    assert nothing.outcome == "stopped"
    scene.forge.add_workflow_run(at_work(880, scene))
    data: dict[str, Json] = {
        "v": 1,
        "command": "fix",
        "actor": ADA.id,
        "login": "ada",
        "state": "working",
        "run": 880,
        "attempt": 1,
        "started": "2026-01-01T00:00:00.000Z",
    }
    scene.forge.upsert_comment(7, "fix-7", "working", data)
    await scene.run(Action.STOP)
    assert scene.forge.workflow_run(880).conclusion == "cancelled"
    word = scene.forge.own_comment(7, "stop-7")
    assert word is not None
    assert str(word.data["at"]) > "2026-01-01T00:00:00.000Z"


@pytest.mark.slow
async def test_an_older_job_does_not_write_over_a_newer_ones_comment(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    newer: dict[str, Json] = {
        "v": 1,
        "command": "verify",
        "state": "working",
        "run": 901,
        "attempt": 1,
        "started": "2026-01-01T00:00:00.000Z",
    }
    take_over = once("decideVerdict", lambda: scene.forge.upsert_comment(7, "verify-7", "the newer job", newer))
    result = await scene.run(Action.VERIFY, watch=take_over, process=RUN)
    assert result.outcome == "superseded"
    assert scene.comment() == "the newer job"
    (check,) = scene.record("check-runs")
    assert check["conclusion"] == "cancelled"
    assert "newer job took over" in scene.summary()


async def test_a_job_that_starts_after_a_newer_one_does_not_begin(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    newer: dict[str, Json] = {
        "v": 1,
        "command": "fix",
        "state": "done",
        "run": 901,
        "attempt": 1,
        "started": "2026-01-01T00:00:00.000Z",
    }
    scene.forge.upsert_comment(7, "fix-7", "the newer job", newer)
    result = await scene.run(process=RUN)
    assert result.outcome == "superseded"
    assert scene.comment() == "the newer job"
    assert scene.record("check-runs") == []


@pytest.mark.slow
async def test_a_second_attempt_ends_what_the_first_left_in_progress(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    other = CheckOutput("verify", "working")
    mine = scene.forge.start_check("perstack", scene.head, other, external_id="perstack:verify-7:900.1")
    foreign = scene.forge.start_check("perstack", scene.head, other, external_id="perstack:verify-70:900.1")
    await scene.run(Action.VERIFY, event="pull_request", comment_id=0, process=RUN)
    checks = {check["id"]: check for check in scene.record("check-runs")}
    assert (checks[mine.id]["status"], checks[mine.id]["conclusion"]) == ("completed", "cancelled")
    assert checks[foreign.id]["status"] == "in_progress"
    assert scene.record("comments") == [], "a pull request event is answered by its check run alone"


async def test_the_budget_of_a_day_is_told_with_what_is_left(tmp_path: Path) -> None:
    toml = '[signals.tests]\nkind = "test"\nrun = "python3 -m pytest -q"\n[github]\njobsPerActor = 1\n'
    scene = await Scene.make(tmp_path, files={"perstack.toml": toml, "a.py": ""}, main={"perstack.toml": toml})
    done: dict[str, Json] = {
        "v": 1,
        "command": "fix",
        "actor": ADA.id,
        "bot": False,
        "run": 1,
        "attempt": 1,
        "state": "done",
        "started": scene.now(),
        "finished": scene.now(),
    }
    scene.forge.upsert_comment(3, "fix-3", "done", done)
    result = await scene.run()
    assert result.outcome == "refused"
    assert "1 " in result.message
    assert scene.record("check-runs") == []


@pytest.mark.slow
async def test_a_cancelled_process_says_its_last_words_and_leaves_nothing_open(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    with anyio.CancelScope() as scope:
        await scene.run(watch=once("startStage", scope.cancel), process=RUN)
    assert scope.cancelled_caught
    (check,) = scene.record("check-runs")
    assert (check["status"], check["conclusion"]) == ("completed", "cancelled")
    assert "interrupted" in scene.comment()
    comment = scene.forge.own_comment(7, "fix-7")
    assert comment is not None
    assert comment.data["state"] == "cancelled"
    assert not (tmp_path / "runner" / "open-checks.json").exists()
