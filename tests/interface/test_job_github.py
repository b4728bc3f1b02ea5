"""Whole jobs from a GitHub event to what GitHub shows: a server that knows GitHub's contract, real git, the search."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from perstack import api
from perstack.core.errors import ExitCode
from perstack.forge.contract import Forge, Ignored
from perstack.forge.trigger import Workflow, read_event
from perstack.interface.jobs.desk import Desk, JobResult, Process
from perstack.interface.jobs.life import answer
from perstack.interface.main import run as command
from tests.forge.bench import Bench
from tests.forge.payloads import Payload
from tests.github_server import READ_ALL, GithubServer, Scene
from tests.github_server.openapi import PACKAGE
from tests.github_server.state import Artifact, Job, Run
from tests.interface.scene import BUGGY, FILES, FIXED, mender
from tests.interface.test_job_experts import EXPERT, maker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
GREEN = {**FILES, "calc.py": FIXED}
RED = {"calc.py": BUGGY}
RUN = 700
PLAIN = Workflow()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GithubServer]:
    if not PACKAGE.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    with GithubServer(tmp_path / "github") as running:
        yield running
    assert running.state.violations == []


async def happen(
    bench: Bench, name: str, payload: Payload, workflow: Workflow = PLAIN, forge: Forge | None = None, **host: Any
) -> JobResult:  # fmt: skip
    """Let our action answer an event, as a new process would."""
    triggers = read_event(name, payload, workflow)
    assert not isinstance(triggers, Ignored), triggers
    scratch = bench.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    path = (Path(sys.executable).parent, Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin"))
    storage = bench.folder / "runner"
    settings: dict[str, Any] = {"sandbox": "bubblewrap", "provider": "search", **host}
    machine = api.Host(env={}, path=path, scratch=scratch, storage=storage, **settings)
    process = Process(f"https://github.com/{bench.scene.name}/actions/runs/{RUN}", RUN, 1)
    desk = Desk(forge or bench.make(), api.Engine(machine), scratch, process, folder=storage)
    with anyio.fail_after(240):
        return await answer(desk, triggers)


def in_progress(bench: Bench) -> list[Any]:
    return [check for check in bench.checks if check.status != "completed"]


async def test_two_commands_of_one_comment_are_done_in_order_each_with_its_comment(
    server: GithubServer, tmp_path: Path
) -> None:
    bench = Bench(Scene(server, base=GREEN, head=RED), tmp_path)
    _, payload = bench.scene.comment("/perstack verify\n/perstack fix the even case")
    result = await happen(bench, "issue_comment", payload)
    assert result.exit_code is ExitCode.FAIL, "the verification was red, and the worst counts"
    pull = bench.scene.pull.pull
    assert pull is not None
    assert pull.head_sha != bench.scene.head_sha, "the fix was pushed"
    forge = bench.make()
    for key, verdict in (("verify-2", "fail"), ("fix-2", "pass")):
        comment = forge.own_comment(2, key)
        assert comment is not None
        assert (comment.data["state"], comment.data["verdict"], comment.data["run"]) == ("done", verdict, RUN)
    assert in_progress(bench) == []
    shown = [(c.conclusion, c.output["summary"]) for c in bench.checks if c.head_sha == pull.head_sha]
    assert [conclusion for conclusion, _ in shown] == ["success"], shown
    assert not (tmp_path / "runner" / "open-checks.json").exists()


@pytest.mark.nightly
async def test_a_red_ci_run_of_a_pull_request_is_fixed_on_its_branch(server: GithubServer, tmp_path: Path) -> None:
    bench = Bench(Scene(server, base=GREEN, head=RED), tmp_path)
    scene = bench.scene
    log = b"2026-01-01T00:00:00Z E assert 3.5 == 2.5\n"
    run = Run(81, scene.head_sha, "topic", scene.repository, jobs=[Job(82, "test", "failure", "pytest", log)])
    scene.repository.runs[81] = run
    result = await happen(bench, "workflow_run", run_event(scene, run), **mender())
    assert result.exit_code is ExitCode.OK, bench.summary.read_text()
    pull = scene.pull.pull
    assert pull is not None
    assert pull.head_sha != scene.head_sha
    assert in_progress(bench) == []
    assert bench.make().own_comment(2, "fix-2") is not None


async def test_a_forks_result_is_published_by_commit_and_measured_again(server: GithubServer, tmp_path: Path) -> None:
    bench = Bench(Scene(server, base=GREEN, head=RED, fork=True), tmp_path)
    scene = bench.scene
    # First what the fork's own event does: a token that may only read.
    verified = await happen(bench, "pull_request", scene.pull_request_event(), forge=bench.make(READ_ALL))
    assert verified.exit_code is ExitCode.FAIL
    assert (bench.checks, bench.comments) == ([], [])
    assert any("::error" in line for line in bench.log), "findings go to the job log instead"
    left = tmp_path / "runner" / "result"
    forged = json.loads((left / "result.json").read_text()) | {"verdict": "pass", "reasons": []}
    (left / "result.json").write_text(json.dumps(forged))
    run = Run(83, scene.head_sha, "topic", scene.source, conclusion="success", artifacts=[packed(84, left)])
    scene.repository.runs[83] = run
    result = await happen(bench, "workflow_run", run_event(scene, run), Workflow(command="publish"))
    assert result.exit_code is ExitCode.FAIL, "a forged pass is not believed"
    assert [(c.head_sha, c.conclusion) for c in bench.checks] == [(scene.head_sha, "failure")]
    scene.push_to_topic({"calc.py": FIXED})
    late = await happen(bench, "workflow_run", run_event(scene, run), Workflow(command="publish"))
    assert late.outcome == "refused", "the head moved: the run is about nothing that is open"


async def test_what_a_push_brought_is_verified_against_what_was_there(server: GithubServer, tmp_path: Path) -> None:
    bench = Bench(Scene(server, base=GREEN, head=RED), tmp_path)
    scene = bench.scene
    payload = scene.dispatch_event()
    payload |= {"ref": "refs/heads/topic", "before": scene.base_sha, "after": scene.head_sha, "deleted": False}
    result = await happen(bench, "push", payload)
    assert result.exit_code is ExitCode.FAIL
    assert [(c.head_sha, c.conclusion) for c in bench.checks] == [(scene.head_sha, "failure")]
    assert bench.comments == []


def run_event(scene: Scene, run: Run) -> Payload:
    """The event of a run that ended. The pull requests it names are a lie: they are not to be used."""
    payload = scene.dispatch_event()
    person = payload["sender"]
    assert run.head_repository is not None
    head = scene.server.rest.documents.repository(run.head_repository)
    return payload | {
        "action": "completed",
        "workflow_run": {
            "id": run.id, "name": run.name, "event": run.event, "status": "completed", "conclusion": run.conclusion,
            "head_sha": run.head_sha, "head_branch": run.head_branch, "head_repository": head, "run_attempt": 1,
            "repository": payload["repository"], "actor": person, "triggering_actor": person,
            "html_url": f"https://github.com/{scene.name}/actions/runs/{run.id}",
            "pull_requests": [{"number": 99, "head": {"sha": run.head_sha}}],
        },
    }  # fmt: skip


def packed(artifact_id: int, folder: Path) -> Artifact:
    """The result folder as upload-artifact packs it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return Artifact(artifact_id, "perstack-result", data.getvalue())


async def test_a_token_that_may_not_comment_leaves_the_answer_in_check_and_summary(
    server: GithubServer, tmp_path: Path
) -> None:
    bench = Bench(Scene(server, base=GREEN, head=RED), tmp_path)
    poor = {"contents": "write", "checks": "write", "pull-requests": "read", "issues": "read"}
    _, payload = bench.scene.comment("/perstack verify")
    before = len(bench.comments)
    result = await happen(bench, "issue_comment", payload, forge=bench.make(poor))
    assert result.exit_code is ExitCode.FAIL
    assert len(bench.comments) == before
    assert [c.conclusion for c in bench.checks] == ["failure"]
    assert "No comment: " in bench.summary.read_text()
    _, payload = bench.scene.comment("/perstack help")
    assert (await happen(bench, "issue_comment", payload, forge=bench.make(poor))).exit_code is ExitCode.OK


async def test_a_base_with_a_dependency_is_worked_with_as_it_is_pinned_and_a_new_expert_becomes_a_pull_request(
    server: GithubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, own = tmp_path / "near", tmp_path / "own"
    near.mkdir()
    own.mkdir()
    (near / "perstack.toml").write_text(EXPERT.replace("tidy", "sec"))
    monkeypatch.chdir(own)
    assert await to_thread.run_sync(command, ["add", "../near", "--yes"]) == 0
    monkeypatch.chdir(tmp_path)
    (near / "perstack.toml").unlink()  # what is pinned needs its source no more
    files = {name: (own / name).read_text() for name in ("perstack.toml", "perstack.lock")}
    bench = Bench(Scene(server, base={**GREEN, **files}, head=RED), tmp_path)
    _, payload = bench.scene.comment("/perstack create-expert adds numbers\n/perstack run @sec look", number=1)
    result = await happen(bench, "issue_comment", payload, model_provider=maker())
    assert result.exit_code is ExitCode.OK, bench.summary.read_text()
    forge = bench.make()
    made = server.state.repositories[bench.scene.name].issues[3]
    assert made.pull is not None
    assert (made.pull.base_ref, made.pull.head_ref) == ("main", "perstack/fix-expert-1-adder")
    assert "Asked for in #1." in (made.body or "")
    assert "pr-url<<" in bench.outputs.read_text()
    tip = forge.branch_sha("perstack/fix-expert-1-adder")
    after = forge.read_file("perstack.toml", tip) or b""
    assert after.startswith(files["perstack.toml"].encode())
    assert forge.read_file("perstack.lock", tip) == files["perstack.lock"].encode()
    said = forge.own_comment(1, "run-sec-1")
    assert said is not None
    assert "I think it is 4." in said.body
    assert forge.branch_sha("main") == bench.scene.base_sha
