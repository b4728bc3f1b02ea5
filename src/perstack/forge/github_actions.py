"""Workflow runs on GitHub: their state, the logs of red jobs, artifacts, cancelling. All of it is a stranger's words.

Logs and artifacts lie on other hosts. They are fetched without our token, within limits of size and time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from perstack.core.errors import ForgeError
from perstack.forge.contract import FailedJob, WorkflowRun
from perstack.forge.github_rest import PAGE, Rest

_READ = "actions: read"
_JOBS = 10
_PAGES = 5  # 500 jobs: two matrices of the largest size
_LOG_BYTES = 64 * 1024
_LOG_READ = 64 * 1024 * 1024  # what is read of a log to find its end
_LOG_KEPT = 512 * 1024
ARTIFACT_LIMIT = 64 * 1024 * 1024
_RED = frozenset({"failure", "timed_out"})
_TIME = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ", re.MULTILINE)


class WorkflowRuns:
    """The workflow runs of one repository."""

    def __init__(self, rest: Rest, redact: Callable[[str], str]) -> None:
        self._rest = rest
        self._redact = redact

    def read(self, run_id: int) -> WorkflowRun:
        """A run as it is now. Raises: ForgeError."""
        data = self._rest.get(f"/actions/runs/{run_id}", f"read workflow run {run_id}", permission=_READ)
        return WorkflowRun(
            id=data["id"],
            name=data.get("name") or "",
            event=data["event"],
            status=data.get("status") or "",
            conclusion=data.get("conclusion") or "",
            head_sha=data["head_sha"],
            head_branch=data.get("head_branch") or "",
            head_repository_id=(data.get("head_repository") or {}).get("id") or 0,
            attempt=data.get("run_attempt") or 1,
            path=data.get("path") or "",
            url=data["html_url"],
        )

    def failed_jobs(self, run_id: int) -> tuple[FailedJob, ...]:
        """The red jobs of the run's latest attempt with the ends of their logs. Raises: ForgeError."""
        path, what = f"/actions/runs/{run_id}/jobs", f"list the jobs of workflow run {run_id}"
        red: list[Mapping[str, Any]] = []
        for job in self._rest.pages(
            path, what, most=_PAGES, items="jobs", query={"filter": "latest"}, permission=_READ
        ):
            if job.get("conclusion") in _RED:
                red.append(job)
            if len(red) == _JOBS:
                break
        return tuple(self._failed(job) for job in red)

    def _failed(self, job: Mapping[str, Any]) -> FailedJob:
        steps = (str(step["name"]) for step in job.get("steps") or () if step.get("conclusion") in _RED)
        step = next(steps, "")
        return FailedJob(job["id"], self._redact(str(job["name"])), self._redact(step), self._log(job["id"]))

    def _log(self, job_id: int) -> str:
        """The end of a log up to its last error; empty where GitHub keeps none (any more)."""
        path, what = f"/actions/jobs/{job_id}/logs", f"read the log of job {job_id}"
        try:
            data = self._rest.download(path, what, most=_LOG_READ, keep_end=_LOG_KEPT, permission=_READ)
        except ForgeError as error:
            if error.status in {404, 410}:
                return ""
            raise
        text = _TIME.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))
        at = text.rfind("##[error]")  # what follows is cleaning up
        end = text.find("\n", at) if at >= 0 else -1
        text = self._redact(text[:end] if end >= 0 else text)
        kept = text.encode()[-_LOG_BYTES:].decode("utf-8", "ignore")
        return kept if len(kept) == len(text) else kept.partition("\n")[2] or kept

    def artifact_names(self, run_id: int) -> tuple[str, ...]:
        """Names of the artifacts that are still there, newest last, at most a hundred. Raises: ForgeError."""
        path, what = f"/actions/runs/{run_id}/artifacts", f"list the artifacts of workflow run {run_id}"
        listed = self._rest.get(path, what, {"per_page": PAGE}, permission=_READ)["artifacts"]
        present = sorted((a for a in listed if not a["expired"]), key=lambda artifact: int(artifact["id"]))
        return tuple(dict.fromkeys(str(artifact["name"]) for artifact in present))

    def artifact(self, run_id: int, name: str) -> bytes | None:
        """The newest artifact of this name as a ZIP, None without one. Raises: ForgeError, also for a larger one."""
        path, what = f"/actions/runs/{run_id}/artifacts", f"list the artifacts of workflow run {run_id}"
        listed = self._rest.get(path, what, {"name": name, "per_page": PAGE}, permission=_READ)["artifacts"]
        same = [a for a in listed if a["name"] == name and not a["expired"]]
        if not same:
            return None
        newest = max(same, key=lambda artifact: artifact["id"])
        if newest["size_in_bytes"] > ARTIFACT_LIMIT:
            raise ForgeError(
                f"the artifact `{name}` of workflow run {run_id} is larger than {ARTIFACT_LIMIT >> 20} MiB",
                hint="It was not made by Perstack, or holds more than its result.",
            )
        path = f"/actions/artifacts/{newest['id']}/zip"
        try:
            return self._rest.download(path, f"fetch the artifact `{name}`", most=ARTIFACT_LIMIT, permission=_READ)
        except ForgeError as error:
            if error.status in {404, 410}:
                return None
            raise

    def cancel(self, run_id: int) -> bool:
        """Ask for a run to be cancelled; False where it is over or the token may not. Raises: ForgeError."""
        path = f"/actions/runs/{quote(str(run_id))}/cancel"
        try:
            self._rest.post(path, None, f"cancel workflow run {run_id}", permission="actions: write")
        except ForgeError as error:
            if error.status in {403, 404, 409}:
                return False
            raise
        return True
