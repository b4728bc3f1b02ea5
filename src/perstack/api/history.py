"""The jobs of a storage as they are on record: for looking back, for going on. Changes nothing, runs nothing.

Reads what is there: a job without `job.json`, one that is still being written, one whose log is damaged, and one in
the layout of files that the public format describes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perstack.core.errors import InvariantBroken, UserError
from perstack.core.events import Event
from perstack.core.json import Json, JsonObject
from perstack.core.storage import JobRecord, LogContents
from perstack.runtime.fold import JobState, fold
from perstack.runtime.store import LOG, JobStore
from perstack.runtime.wire import call_json, instruction_json, message_json, object_of, result_json

RUNNING = "running"


@dataclass(frozen=True, slots=True)
class JobHistory:
    """One job on record. `record` counts what the log holds where the job never ended.

    `problem` says what is wrong with the log, with file and line; `events` are the intact ones before it. `is_live`
    where a process works on the job now; a job that is `running` without one was interrupted.
    """

    record: JobRecord
    events: tuple[Event, ...]
    problem: str = ""
    is_cut: bool = False
    is_live: bool = False

    @property
    def is_damaged(self) -> bool:
        """Whether the log is not as it was written. A last line that was cut off is no damage: it can go on."""
        return bool(self.problem) and not self.is_cut

    @property
    def is_interrupted(self) -> bool:
        """Whether nobody works on a job that has not ended."""
        return self.record.status == RUNNING and not self.is_live

    def checkpoints(self) -> tuple[JsonObject, ...]:
        """Every checkpoint of the job in the order of writing, without its messages."""
        return tuple(found for event in self.events if (found := object_of(event.payload.get("checkpoint"))))

    def checkpoint(self, checkpoint_id: str = "") -> JsonObject | None:
        """One checkpoint with its messages, calls and results in full; without an id the last of a top-level run.

        None where there is none.
        """
        delegated = {event.run_id for event in self.events if _is_delegated(event)}
        for place in range(len(self.events) - 1, -1, -1):
            event = self.events[place]
            found = object_of(event.payload.get("checkpoint"))
            if found and (found.get("id") == checkpoint_id if checkpoint_id else event.run_id not in delegated):
                return _in_full(found, fold(self.events[: place + 1]), event.run_id)
        return None


class Archive:
    """The jobs under one storage root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._store = JobStore(root, redact=str)

    def jobs(self) -> tuple[JobRecord, ...]:
        """All jobs, newest first, with the counts of those that never ended taken from their logs."""
        found = {record.id: record for record in self._store.jobs()}
        for job_id in self._folders():
            if job_id not in found or found[job_id].status == RUNNING:
                found[job_id] = self.read(job_id).record
        return tuple(sorted(found.values(), key=lambda record: (record.started_at, record.id), reverse=True))

    def latest(self, *, kind: str = "") -> str:
        """The id of the job that was worked on last, empty where there is none; `kind` leaves out those of others."""
        kinds = {record.id: str(record.extra.get("kind", kind)) for record in self._store.jobs()} if kind else {}
        jobs = (job_id for job_id in self._folders() if kinds.get(job_id, kind) == kind)
        return max(jobs, key=lambda job_id: (self._touched(job_id), job_id), default="")

    def read(self, job_id: str) -> JobHistory:
        """One job.

        Raises: UserError where there is no such job; InfrastructureError where its log cannot be read.
        """
        contents = self._store.read(job_id)
        record = self._record(job_id, contents)
        is_live = record.status == RUNNING and self.is_live(job_id)
        return JobHistory(record, contents.events, contents.problem, contents.truncated, is_live)

    def is_live(self, job_id: str) -> bool:
        """Whether a process writes the job's log now."""
        return _is_locked(self._store.folder(job_id) / LOG)

    def _record(self, job_id: str, contents: LogContents) -> JobRecord:
        try:
            record = self._store.load(job_id)
        except UserError:
            record = JobRecord(job_id, "", 0, status=RUNNING)
            if _has_ended(contents.events):
                record = replace(record, status="completed", finished_at=contents.events[-1].timestamp)
        if record.status != RUNNING and record.started_at:
            return record
        return _counted(record, contents.events) if contents.events else self._dated(record)

    def _dated(self, record: JobRecord) -> JobRecord:
        return record if record.started_at else replace(record, started_at=self._touched(record.id) // 1_000_000)

    def _folders(self) -> Sequence[str]:
        try:
            return [entry.name for entry in os.scandir(self.root / "jobs") if entry.is_dir()]
        except OSError:
            return ()

    def _touched(self, job_id: str) -> int:
        """When the job was last written to, in nanoseconds; 0 where that is not known."""
        folder, newest = self.root / "jobs" / job_id, 0
        for path in (folder, folder / LOG, folder / "job.json"):
            with contextlib.suppress(OSError):
                newest = max(newest, path.stat().st_mtime_ns)
        return newest


def _is_delegated(event: Event) -> bool:
    return event.type == "startRun" and bool(object_of(event.payload.get("initialCheckpoint")).get("delegatedBy"))


def _in_full(checkpoint: JsonObject, job: JobState, run_id: str) -> JsonObject:
    """The checkpoint as the public format has it, from the state of its run at its time."""
    run = next((run for run in job.runs.values() if run.run_id == run_id), None)
    if run is None:
        return checkpoint
    system: list[Json] = [instruction_json(f"{run.origin_run_id}.system", run.system)] if run.system else []
    full: dict[str, Json] = {**checkpoint, "messages": [*system, *map(message_json, run.history)]}
    full.pop("messageCount", None)
    if run.pending:
        full["pendingToolCalls"] = [call_json(call) for call in run.pending]
    if run.partial:
        full["partialToolResults"] = [result_json(result) for result in run.partial]
    return full


def _counted(record: JobRecord, events: Sequence[Event]) -> JobRecord:
    """The record with what only the log knows."""
    first = next((event for event in events if event.type == "startRun"), None)
    usage = record.usage
    with contextlib.suppress(InvariantBroken):
        usage = fold(events).usage
    return replace(
        record,
        coordinator_expert_key=record.coordinator_expert_key or (first.expert_key if first else ""),
        started_at=record.started_at or events[0].timestamp,
        total_steps=max(record.total_steps, *(event.step_number for event in events)),
        usage=usage,
    )


def _has_ended(events: Sequence[Event]) -> bool:
    return any(event.type == "finishJob" for event in events[-1:])


def _is_locked(path: Path) -> bool:
    """Whether a process holds the log to write it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
