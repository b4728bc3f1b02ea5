"""Where jobs live on disk: `<root>/jobs/<jobId>/` with `job.json` and `events.jsonl`.

The layout of the public format, where the root is the `perstack` folder beside the configuration; the log replaces
its checkpoint and event files. Root must be outside anything a sandbox can write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perstack.core.errors import InfrastructureError, UserError
from perstack.core.json import Json, JsonObject
from perstack.core.usage import Usage
from perstack.runtime.wire import int_of, object_of, text_of, usage_from

# Ids become directory names: no separators, no dots, nothing a shell or a path would read otherwise.
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True, slots=True)
class JobRecord:
    """`job.json`. Times in milliseconds since 1970, 0 where not yet; `status` as in the public format.

    `extra` holds what a caller wants to find again (task, kind); kept as it is.
    """

    id: str
    coordinator_expert_key: str
    started_at: int
    status: str = "running"
    total_steps: int = 0
    max_steps: int = 0
    usage: Usage = field(default_factory=Usage)
    finished_at: int = 0
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Public keys first."""
        data: dict[str, Json] = {
            "id": self.id,
            "status": self.status,
            "coordinatorExpertKey": self.coordinator_expert_key,
            "totalSteps": self.total_steps,
            "usage": self.usage.to_json(),
            "startedAt": self.started_at,
        }
        if self.max_steps:
            data["maxSteps"] = self.max_steps
        if self.finished_at:
            data["finishedAt"] = self.finished_at
        return {**self.extra, **data}


@dataclass(frozen=True, slots=True)
class JobPaths:
    """The files of one job."""

    directory: Path

    @property
    def record(self) -> Path:
        return self.directory / "job.json"

    @property
    def events(self) -> Path:
        return self.directory / "events.jsonl"


class JobStore:
    """The jobs under one root."""

    def __init__(self, root: Path) -> None:
        self._jobs = root / "jobs"

    def create(self, record: JobRecord) -> JobPaths:
        """Make a new job's directory and record.

        Raises: UserError where the id is unusable or taken; InfrastructureError where nothing can be written.
        """
        paths = self.paths(record.id)
        try:
            self._jobs.mkdir(parents=True, exist_ok=True)
            paths.directory.mkdir()
        except FileExistsError:
            raise UserError(
                f"job {record.id} already exists in {self._jobs}", hint="Choose another --job-id or continue that job."
            ) from None
        except OSError as error:
            raise _unwritable(paths.directory, error) from error
        self.save(record)
        return paths

    def save(self, record: JobRecord) -> None:
        """Replace a job's record in one step.

        Raises: InfrastructureError where it cannot be written.
        """
        target = self.paths(record.id).record
        fresh = target.with_suffix(".json.new")
        try:
            fresh.write_text(json.dumps(record.to_json(), ensure_ascii=False, indent=2, default=dict) + "\n", "utf-8")
            fresh.replace(target)
        except OSError as error:
            raise _unwritable(target, error) from error

    def load(self, job_id: str) -> JobRecord:
        """One job's record.

        Raises: UserError where there is no such job or its record is unreadable.
        """
        path = self.paths(job_id).record
        try:
            return _record_from(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise UserError(f"job {job_id} not found in {self._jobs}", hint="`perstack log` lists jobs.") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not a readable job record: {error}") from error

    def jobs(self) -> tuple[JobRecord, ...]:
        """All readable jobs, newest first. A damaged record hides its job only from this list."""
        found: list[JobRecord] = []
        for path in self._jobs.glob("*/job.json"):
            try:
                found.append(_record_from(json.loads(path.read_text("utf-8"))))
            except (OSError, ValueError):
                continue
        return tuple(sorted(found, key=lambda record: (record.started_at, record.id), reverse=True))

    def paths(self, job_id: str) -> JobPaths:
        """Where a job is or would be.

        Raises: UserError where the id cannot name a directory.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise UserError(f"job id {job_id!r} is not usable", hint="Use up to 128 letters, digits, `-` and `_`.")
        return JobPaths(self._jobs / job_id)


def _record_from(value: Json) -> JobRecord:
    data = object_of(value)
    if not text_of(data.get("id")):
        raise ValueError("no object with an `id`")
    known = {
        "id", "status", "coordinatorExpertKey", "totalSteps", "maxSteps", "usage", "startedAt", "finishedAt",
    }  # fmt: skip
    return JobRecord(
        id=text_of(data["id"]),
        coordinator_expert_key=text_of(data.get("coordinatorExpertKey")),
        started_at=int_of(data.get("startedAt")),
        status=text_of(data.get("status"), "running"),
        total_steps=int_of(data.get("totalSteps")),
        max_steps=int_of(data.get("maxSteps")),
        usage=usage_from(data.get("usage")),
        finished_at=int_of(data.get("finishedAt")),
        extra={key: value for key, value in data.items() if key not in known},
    )


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"{path}: cannot be written: {error.strerror}", hint="Choose a directory you may write with --out."
    )
