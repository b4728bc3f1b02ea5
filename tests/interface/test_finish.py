"""`perstack finish` on the GitHub server: it ends what a killed job left open, and touches nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from perstack.core.errors import ExitCode
from perstack.core.json import JsonObject
from perstack.forge.contract import CheckOutput, CheckStatus, Forge, Ref
from perstack.interface import unfinished
from perstack.interface.github import repository_forge
from perstack.interface.main import run
from tests.act.process import read_outputs
from tests.github_server import WRITE_ALL, Fault, GithubServer, Scene
from tests.github_server.openapi import PACKAGE

pytestmark = pytest.mark.slow

OUTPUT = CheckOutput(title="Working", summary="Working")
OURS: JsonObject = {"v": 1, "command": "fix", "run": 99, "attempt": 1, "state": "working"}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    with GithubServer(tmp_path / "git") as server:
        yield Scene(server)
        assert server.state.violations == []


@pytest.fixture
def folder(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the job kept what it left; the environment is that of a step of run 99."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "PERSTACK_")):
            monkeypatch.delenv(name)
    values = {
        "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": scene.name, "GITHUB_API_URL": scene.server.url,
        "GITHUB_SERVER_URL": scene.server.url, "GITHUB_RUN_ID": "99", "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_OUTPUT": str(tmp_path / "output"), "RUNNER_TEMP": str(tmp_path), "PERSTACK_WRITE_SPACING": "0",
        "PERSTACK_GITHUB_TOKEN": scene.server.token(WRITE_ALL),
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "perstack"


@pytest.fixture
def forge(scene: Scene, folder: Path) -> Forge:
    return repository_forge(os.environ, scene.name, redact=str)


def check_of(forge: Forge, scene: Scene) -> Ref:
    return forge.start_check("perstack", scene.head_sha, OUTPUT, external_id="perstack:fix-2:99.1")


def test_a_comment_that_another_job_took_over_and_an_ended_check_run_stay_as_they_are(
    scene: Scene, folder: Path, forge: Forge
) -> None:
    check = check_of(forge, scene)
    forge.update_check(check, OUTPUT, status=CheckStatus.COMPLETED, conclusion="success")
    for state in ({"run": 100}, {"attempt": 2}, {"state": "done"}):
        forge.upsert_comment(2, "fix-2", "The newer job's words", {**OURS, **state})
        unfinished.write(folder, [unfinished.Unfinished(check.id, "perstack", scene.head_sha, 2, "fix-2")])
        assert run(["finish"]) == ExitCode.OK
        assert unfinished.read(folder) == ()
    assert scene.repository.checks[check.id].conclusion == "success"
    assert "The newer job's words" in scene.pull.comments[0].body


def test_the_comment_of_the_killed_job_says_so_for_people_and_for_later_jobs(
    scene: Scene, folder: Path, forge: Forge
) -> None:
    check = check_of(forge, scene)
    forge.upsert_comment(2, "fix-2", "Working on it", OURS)
    unfinished.write(folder, [unfinished.Unfinished(check.id, "perstack", scene.head_sha, 2, "fix-2")])
    assert run(["finish"]) == ExitCode.OK
    assert scene.repository.checks[check.id].conclusion == "cancelled"
    comment = forge.own_comment(2, "fix-2")
    assert comment is not None
    assert "ended before it had a result" in comment.body
    assert (comment.data["state"], comment.data["command"], bool(comment.data["finished"])) == (
        "cancelled",
        "fix",
        True,
    )


def test_what_could_not_be_ended_is_told_and_kept_for_another_try(
    scene: Scene, folder: Path, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    check = check_of(forge, scene)
    left = [unfinished.Unfinished(check.id, "perstack", scene.head_sha)]
    unfinished.write(folder, left)
    scene.server.faults.add(Fault("status", "PATCH", "/check-runs", status=422))
    assert run(["finish"]) == ExitCode.INFRASTRUCTURE
    assert capsys.readouterr().out.startswith("::error title=Perstack::")
    assert unfinished.read(folder) == tuple(left)
    assert run(["finish"]) == ExitCode.OK
    assert scene.repository.checks[check.id].conclusion == "cancelled"


def test_without_anything_left_nobody_is_asked_and_the_result_is_found(
    scene: Scene, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["finish"]) == ExitCode.OK
    assert read_outputs((tmp_path / "output").read_text("utf-8")) == {"artifact": ""}
    (folder / "result").mkdir(parents=True)
    (folder / "result" / "result.json").write_text("{}", "utf-8")
    (folder / "open-checks.json").write_text("[3", "utf-8")
    assert run(["finish"]) == ExitCode.INFRASTRUCTURE
    assert "open-checks.json" in capsys.readouterr().out
    assert read_outputs((tmp_path / "output").read_text("utf-8")) == {"artifact": str(folder / "result")}
    assert scene.server.state.requests == []
