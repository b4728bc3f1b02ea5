"""Workflow runs, their jobs, logs and artifacts. Logs and artifacts lie on another host, which takes no token."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from tests.github_server.answers import Answer, Call, Handler, Refused, not_found
from tests.github_server.state import CLOCK, Artifact, Job, Run, State

_R = "/repos/{owner}/{repo}"


def packed(files: Mapping[str, str]) -> bytes:
    """A ZIP as an artifact is."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return target.getvalue()


def _find(call: Call) -> Run:
    run = call.repository.runs.get(int(call.path["run_id"]))
    if run is None:
        raise not_found()
    return run


def _run(call: Call) -> Answer:
    run = _find(call)
    source = run.head_repository
    document = {
        "id": run.id, "name": run.name, "event": run.event, "status": run.status, "conclusion": run.conclusion,
        "head_sha": run.head_sha, "head_branch": run.head_branch, "run_attempt": run.attempt, "run_number": 1,
        "path": ".github/workflows/ci.yml", "workflow_id": 1, "created_at": CLOCK, "updated_at": CLOCK,
        "html_url": f"https://github.test/{call.repository.full_name}/actions/runs/{run.id}", "pull_requests": [],
        "repository": call.documents.repository(call.repository), "display_title": "Change", "head_commit": None,
        "head_repository": call.documents.repository(source) if source else call.documents.repository(call.repository),
    }  # fmt: skip
    return Answer(200, document)


def _jobs(call: Call) -> Answer:
    run = _find(call)
    documents = [_job(run, job) for job in run.jobs]
    return Answer(200, {"total_count": len(documents), "jobs": documents})


def _job(run: Run, job: Job) -> dict[str, Any]:
    steps = [{"name": "Set up job", "status": "completed", "conclusion": "success", "number": 1}]
    if job.step:
        steps.append({"name": job.step, "status": "completed", "conclusion": job.conclusion, "number": 2})
    return {
        "id": job.id, "run_id": run.id, "name": job.name, "status": "completed", "conclusion": job.conclusion,
        "steps": steps, "head_sha": run.head_sha, "run_attempt": run.attempt, "started_at": CLOCK,
        "completed_at": CLOCK, "labels": [],
    }  # fmt: skip


def _log(call: Call) -> Answer:
    number = int(call.path["job_id"])
    for run in call.repository.runs.values():
        for job in run.jobs:
            if job.id == number:
                return Answer(302, None, {"Location": f"{call.state.storage_url}/log/{number}"})
    raise not_found()


def _artifacts(call: Call) -> Answer:
    found = [a for a in _find(call).artifacts if call.query.get("name", a.name) == a.name]
    documents = [
        {
            "id": artifact.id, "name": artifact.name, "size_in_bytes": len(artifact.data), "expired": artifact.expired,
            "created_at": CLOCK, "expires_at": CLOCK, "updated_at": CLOCK,
        }
        for artifact in found
    ]  # fmt: skip
    return Answer(200, {"total_count": len(documents), "artifacts": documents})


def _artifact(call: Call) -> Answer:
    artifact = _artifact_of(call.state, int(call.path["artifact_id"]))
    if artifact is None:
        raise not_found()
    if artifact.expired:
        raise Refused(Answer(410, {"message": "Artifact has expired"}))
    return Answer(302, None, {"Location": f"{call.state.storage_url}/artifact/{artifact.id}"})


def _artifact_of(state: State, number: int) -> Artifact | None:
    runs = [run for repository in state.repositories.values() for run in repository.runs.values()]
    return next((a for run in runs for a in run.artifacts if a.id == number), None)


def _cancel(call: Call) -> Answer:
    run = _find(call)
    if run.status == "completed":
        raise Refused(Answer(409, {"message": "Cannot cancel a workflow run that is completed."}))
    run.status, run.conclusion = "completed", "cancelled"
    return Answer(202, {})


def _upload_sarif(call: Call) -> Answer:
    repository = call.repository
    if not repository.code_scanning:
        message = "Code scanning is not enabled for this repository."
        raise Refused(Answer(403, {"message": message, "documentation_url": "https://docs.github.com/rest"}))
    repository.sarif.append(dict(call.body))
    return Answer(202, {"id": f"sarif-{len(repository.sarif)}", "url": "https://github.test/sarif"})


def stored(state: State, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """What the storage host has at a path. A token of ours has no business there."""
    if headers.get("Authorization"):
        state.violations.append(f"a token was sent to the storage host: {path}")
        return 400, b"AuthenticationFailed"
    kind, _, number = path.removeprefix("/_storage/").partition("/")
    if kind == "artifact":
        artifact = _artifact_of(state, int(number))
        return (200, artifact.data) if artifact else (404, b"")
    runs = [run for repository in state.repositories.values() for run in repository.runs.values()]
    job = next((job for run in runs for job in run.jobs if job.id == int(number)), None)
    if job is None:
        return 404, b""
    return 200, b"".join(b"2026-01-01T00:00:00.1234567Z " + line for line in job.log.splitlines(keepends=True))


ACTIONS_ROUTES: dict[str, tuple[tuple[str, str], Handler]] = {
    f"GET {_R}/actions/runs/{{run_id}}": (("actions", "read"), _run),
    f"GET {_R}/actions/runs/{{run_id}}/jobs": (("actions", "read"), _jobs),
    f"GET {_R}/actions/jobs/{{job_id}}/logs": (("actions", "read"), _log),
    f"GET {_R}/actions/runs/{{run_id}}/artifacts": (("actions", "read"), _artifacts),
    f"GET {_R}/actions/artifacts/{{artifact_id}}/{{archive_format}}": (("actions", "read"), _artifact),
    f"POST {_R}/actions/runs/{{run_id}}/cancel": (("actions", "write"), _cancel),
    f"POST {_R}/code-scanning/sarifs": (("security-events", "write"), _upload_sarif),
}
