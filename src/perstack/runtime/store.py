"""Where jobs live on disk: `<root>/jobs/<jobId>/` with `job.json` and `events.jsonl`.

The layout of the public format, where the root is the `perstack` folder beside the configuration; the log replaces
its checkpoint and event files. Jobs that have those instead of a log are read as well, but not gone on with. Root must
be outside anything a sandbox can write.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from perstack.core.errors import InfrastructureError, UserError
from perstack.core.json import Json
from perstack.core.storage import EventWriter, JobRecord, LogContents
from perstack.runtime import public_layout
from perstack.runtime.log import EventLog, load_log, redacted
from perstack.runtime.wire import int_of, object_of, text_of, usage_from

RECORD = "job.json"
LOG = "events.jsonl"
# Ids become directory names: no separators, no dots, nothing a shell or a path would read otherwise.
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class JobStore:
    """The jobs under one root. `redact` is applied to every text before it is written."""

    def __init__(self, root: Path, redact: Callable[[str], str]) -> None:
        self._jobs = root / "jobs"
        self._redact = redact

    def create(self, record: JobRecord) -> None:
        """Make a new job's directory and record.

        Raises: UserError where the id is unusable or taken; InfrastructureError where nothing can be written.
        """
        folder = self.folder(record.id)
        try:
            self._jobs.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            raise UserError(
                f"job {record.id} already exists in {self._jobs}", hint="Choose another --job-id or continue that job."
            ) from None
        except OSError as error:
            raise _unwritable(folder, error) from error
        self.save(record)

    def save(self, record: JobRecord) -> None:
        """Replace a job's record in one step.

        Raises: InfrastructureError where it cannot be written.
        """
        target = self.folder(record.id) / RECORD
        fresh = target.with_suffix(".json.new")
        data = redacted(record.to_json(), self._redact)
        text = json.dumps(data, ensure_ascii=False, indent=2, default=dict) + "\n"
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # else a power failure could leave the new name with nothing in it
            fresh.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise _unwritable(target, error) from error

    def load(self, job_id: str) -> JobRecord:
        """One job's record.

        Raises: UserError where there is no such job or its record is unreadable.
        """
        path = self.folder(job_id) / RECORD
        try:
            return record_from(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            if public_layout.is_public(path.parent):
                return public_layout.record(path.parent)
            raise self._unknown(job_id) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not a readable job record: {error}") from error

    def jobs(self) -> tuple[JobRecord, ...]:
        """All readable jobs, newest first. A damaged record hides its job only from this list."""
        found: list[JobRecord] = []
        for folder in self._folders():
            with contextlib.suppress(UserError, InfrastructureError):
                found.append(self.load(folder.name))
        return tuple(sorted(found, key=lambda record: (record.started_at, record.id), reverse=True))

    def open_log(self, job_id: str) -> EventWriter:
        """Go on with a job's log, made where it is not there yet.

        Raises: UserError where there is no such job or another process writes its log; LogDamaged where the log was
        changed; InfrastructureError where it cannot be written.
        """
        folder = self.folder(job_id)
        if not folder.is_dir():
            raise self._unknown(job_id)
        if not (folder / LOG).exists() and public_layout.is_public(folder):
            raise UserError(
                f"job {job_id} is kept in the layout of the TypeScript runtime: it can be read, not gone on with",
                hint="Start a new job.",
            )
        return EventLog(folder / LOG, self._redact)

    def read(self, job_id: str) -> LogContents:
        """Everything intact in a job's log.

        Raises: UserError where there is no such job; InfrastructureError where its log cannot be read.
        """
        path = self.folder(job_id) / LOG
        if not path.exists():
            if not path.parent.is_dir():
                raise self._unknown(job_id)
            return public_layout.read(path.parent) if public_layout.is_public(path.parent) else LogContents(())
        return load_log(path)

    def folder(self, job_id: str) -> Path:
        """Where a job is or would be.

        Raises: UserError where the id cannot name a directory.
        """
        if not is_job_id(job_id):
            raise UserError(f"job id {job_id!r} is not usable", hint="Use up to 128 letters, digits, `-` and `_`.")
        return self._jobs / job_id

    def _folders(self) -> list[Path]:
        try:
            return [entry for entry in self._jobs.iterdir() if entry.is_dir()]
        except OSError:
            return []

    def _unknown(self, job_id: str) -> UserError:
        return UserError(f"job {job_id} not found in {self._jobs}", hint="`perstack log --jobs` lists them.")


def is_job_id(name: str) -> bool:
    """Whether a job may have this id."""
    return _JOB_ID.fullmatch(name) is not None


def record_from(value: Json) -> JobRecord:
    """A record as written by `JobRecord.to_json`, here or by the public format's own runtime.

    Raises: ValueError where it is none.
    """
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
        f"{path}: cannot be written: {error.strerror}", hint="Free some space, or choose a directory you may write."
    )
