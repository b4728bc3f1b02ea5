"""Workflow runs on GitHub: red jobs, logs and artifacts from another host, cancelling; and uploads of SARIF."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile

import pytest

from perstack.core.errors import ForgeError
from tests.forge.bench import SECRET, Bench
from tests.github_server import WRITE_ALL, Fault
from tests.github_server.routes_actions import packed
from tests.github_server.state import Artifact, Job, Run

LOG = b"##[group]Run make\nFAILED test_add\n##[error]Process completed with exit code 1.\nPost job cleanup.\n"


def run(bench: Bench, jobs: list[Job] | None = None, **fields: object) -> Run:
    made = Run(77, bench.scene.head_sha, "topic", bench.scene.source, jobs=jobs or [])
    for name, value in fields.items():
        setattr(made, name, value)
    bench.scene.repository.runs[made.id] = made
    return made


def test_a_run_is_read_as_it_is_now(fork_bench: Bench) -> None:
    run(fork_bench, attempt=3)
    found = fork_bench.forge.workflow_run(77)
    assert (found.id, found.name, found.event, found.attempt) == (77, "CI", "pull_request", 3)
    assert (found.status, found.conclusion, found.path) == ("completed", "failure", ".github/workflows/ci.yml")
    assert (found.head_sha, found.head_branch) == (fork_bench.scene.head_sha, "topic")
    assert found.head_repository_id == fork_bench.scene.source.id
    with pytest.raises(ForgeError, match="cannot read workflow run 78: not found"):
        fork_bench.forge.workflow_run(78)


def test_red_jobs_come_with_the_end_of_their_log_up_to_the_last_error(bench: Bench) -> None:
    jobs = [Job(1, "lint", "success"), Job(2, "test", "failure", "Run make", LOG), Job(3, "slow", "timed_out")]
    run(bench, jobs)
    failed, slow = bench.forge.failed_jobs(77)
    assert (failed.id, failed.name, failed.step) == (2, "test", "Run make")
    assert failed.log == "##[group]Run make\nFAILED test_add\n##[error]Process completed with exit code 1."
    assert (slow.name, slow.log) == ("slow", "")


def test_long_logs_are_cut_at_a_line_and_secrets_are_redacted(bench: Bench) -> None:
    log = b"x" * 99 + b"\n" + f"{SECRET} line\n".encode() * 100_000 + b"##[error]end\n"
    run(bench, [Job(2, "test", "failure", "make", log)])
    (failed,) = bench.forge.failed_jobs(77)
    assert len(failed.log.encode()) <= 64 * 1024
    assert failed.log.startswith("*** line\n")
    assert failed.log.endswith("##[error]end")


def test_a_thousand_jobs_cost_few_requests_and_ten_logs(bench: Bench) -> None:
    run(bench, [Job(n, f"job {n}", "failure" if n % 7 == 0 else "success", "x", LOG) for n in range(1, 1001)])
    found = bench.forge.failed_jobs(77)
    assert len(found) == 10
    assert len(bench.requests("GET")) == 11
    run(bench, [Job(n, f"job {n}", "success") for n in range(1, 1001)])
    assert bench.make().failed_jobs(77) == ()
    assert len(bench.requests("GET", "/jobs")) == 6


def test_an_artifact_is_the_newest_of_its_name(bench: Bench) -> None:
    artifacts = [
        Artifact(5, "result", packed({"a": "new"})), Artifact(4, "result", packed({"a": "old"})),
        Artifact(6, "result", packed({"a": "gone"}), expired=True), Artifact(7, "other", b""),
    ]  # fmt: skip
    run(bench, artifacts=artifacts)
    data = bench.forge.artifact(77, "result")
    assert data is not None
    assert zipfile.ZipFile(io.BytesIO(data)).read("a") == b"new"
    assert bench.forge.artifact(77, "nothing") is None
    assert bench.forge.artifact_names(77) == ("result", "other")


def test_an_artifact_that_is_too_large_is_not_fetched(bench: Bench) -> None:
    run(bench, artifacts=[Artifact(5, "result", bytes((64 << 20) + 1))])
    with pytest.raises(ForgeError, match="larger than 64 MiB"):
        bench.forge.artifact(77, "result")
    assert not bench.requests("GET", "/zip")


def test_storage_that_fails_or_drops_is_asked_again(bench: Bench) -> None:
    run(bench, [Job(2, "test", "failure", "make", LOG)], artifacts=[Artifact(5, "result", packed({"a": "x"}))])
    for kind in ("drop", "status"):
        bench.scene.server.faults.add(Fault(kind, path="/_storage/", status=503))
    assert "FAILED" in bench.forge.failed_jobs(77)[0].log
    bench.scene.server.faults.add(Fault("status", path="/_storage/", times=9, status=500))
    with pytest.raises(ForgeError, match="cannot fetch the artifact"):
        bench.forge.artifact(77, "result")


def test_a_log_that_is_gone_is_empty(bench: Bench) -> None:
    run(bench, [Job(2, "test", "failure", "make", LOG)])
    bench.scene.server.faults.add(Fault("status", path="/logs$", status=410))
    assert bench.forge.failed_jobs(77)[0].log == ""


def test_an_address_that_is_no_web_address_is_not_fetched(bench: Bench) -> None:
    bench.scene.server.state.storage_url = "file:///etc"
    run(bench, artifacts=[Artifact(5, "result", b"x")])
    with pytest.raises(ForgeError, match="not HTTPS"):
        bench.forge.artifact(77, "result")


def test_a_run_is_cancelled_where_the_token_may(bench: Bench) -> None:
    working = run(bench, status="in_progress", conclusion=None)
    assert not bench.forge.cancel_run(77)
    assert working.status == "in_progress"
    forge = bench.make({**WRITE_ALL, "actions": "write"})
    assert forge.cancel_run(77)
    assert working.conclusion == "cancelled"
    assert not forge.cancel_run(77)
    assert not forge.cancel_run(78)


def test_sarif_is_uploaded_where_the_repository_takes_it(bench: Bench) -> None:
    forge = bench.make({**WRITE_ALL, "security-events": "write"})
    assert forge.upload_sarif(bench.scene.head_sha, "refs/pull/2/head", f'{{"a": "{SECRET}"}}') == "sarif-1"
    (sent,) = bench.scene.repository.sarif
    assert (sent["commit_sha"], sent["ref"]) == (bench.scene.head_sha, "refs/pull/2/head")
    assert gzip.decompress(base64.b64decode(sent["sarif"])) == b'{"a": "***"}'
    forge.upload_sarif(bench.scene.head_sha, "topic", "{}")
    assert bench.scene.repository.sarif[1]["ref"] == "refs/heads/topic"


def test_sarif_that_is_not_permitted_is_nothing(bench: Bench) -> None:
    assert bench.forge.upload_sarif(bench.scene.head_sha, "refs/heads/topic", "{}") == ""
    bench.scene.repository.code_scanning = False
    forge = bench.make({**WRITE_ALL, "security-events": "write"})
    assert forge.upload_sarif(bench.scene.head_sha, "refs/heads/topic", "{}") == ""
