"""Workflow runs of the local forge: recorded by whoever sets the scene, read as GitHub's would be. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from perstack.core.errors import ForgeError
from perstack.forge.contract import FailedJob, WorkflowRun
from perstack.forge.records import Records

_NAME = "workflow-runs.json"
Change = Callable[[str, Any, Callable[[Any], Any]], None]


class Runs:
    """Workflow runs with their red jobs and artifacts. `change` updates a document under the forge's lock."""

    def __init__(self, records: Records, change: Change) -> None:
        self._records = records
        self._change = change

    def add(self, run: WorkflowRun, jobs: Sequence[FailedJob], artifacts: Mapping[str, bytes]) -> None:
        """Record a run."""
        for name, data in artifacts.items():
            self._records.write_bytes(_artifact(run.id, name), data)
        entry = {"run": asdict(run), "jobs": [asdict(job) for job in jobs], "artifacts": sorted(artifacts)}
        self._change(_NAME, {}, lambda runs: {**runs, str(run.id): entry})

    def read(self, run_id: int) -> WorkflowRun:
        """One run. Raises: ForgeError where there is none."""
        return WorkflowRun(**self._entry(run_id)["run"])

    def failed_jobs(self, run_id: int) -> tuple[FailedJob, ...]:
        """Its red jobs. Raises: ForgeError where there is no such run."""
        return tuple(FailedJob(**job) for job in self._entry(run_id)["jobs"][:10])

    def artifact_names(self, run_id: int) -> tuple[str, ...]:
        """Names of its artifacts. Raises: ForgeError where there is no such run."""
        return tuple(self._entry(run_id)["artifacts"])

    def artifact(self, run_id: int, name: str) -> bytes | None:
        """An artifact's ZIP, None where there is none. Raises: ForgeError where there is no such run."""
        if name not in self._entry(run_id)["artifacts"]:
            return None
        return self._records.read_bytes(_artifact(run_id, name))

    def cancel(self, run_id: int) -> bool:
        """Cancel a run that is not over. Raises: ForgeError where there is no such run."""
        if self.read(run_id).status == "completed":
            return False

        def change(runs: dict[str, Any]) -> dict[str, Any]:
            runs[str(run_id)]["run"].update(status="completed", conclusion="cancelled")
            return runs

        self._change(_NAME, {}, change)
        return True

    def _entry(self, run_id: int) -> Mapping[str, Any]:
        found: Mapping[str, Any] | None = self._records.load(_NAME, {}).get(str(run_id))
        if found is None:
            raise ForgeError(f"there is no workflow run {run_id}", status=404)
        return found


def _artifact(run_id: int, name: str) -> str:
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
    return f"artifacts/{run_id}-{safe}.zip"
