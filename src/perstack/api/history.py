"""The jobs of a storage as they are on record: for looking back, for going on. Runs nothing.

Reads what is there: a job without `job.json`, one that is still being written, one whose log is damaged, and one in
the layout of files that the public format describes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from perstack.core.errors import InfrastructureError, InvariantBroken, UserError
from perstack.core.events import Event
from perstack.core.json import JsonObject
from perstack.core.messages import ToolCall
from perstack.core.storage import JOB_STATUS, JobRecord, LogContents
from perstack.runtime import public_layout
from perstack.runtime.checkpoints import in_full
from perstack.runtime.fold import JobState, fold
from perstack.runtime.public_export import export
from perstack.runtime.state import RunState, RunStatus
from perstack.runtime.store import LOG, RECORD, JobStore, is_job_id
from perstack.runtime.wire import object_of, text_of

RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job's newest top-level run stands. `status` is that of the public checkpoint.

    `pending` are calls of its last reply without a result; `lost` are calls, its delegates' included, that had begun
    when the process ended and that may not be made twice: nobody knows whether they took effect.
    """

    expert: str
    status: str
    steps: int
    pending: tuple[ToolCall, ...] = ()
    lost: tuple[ToolCall, ...] = ()

    @property
    def is_resumable(self) -> bool:
        """Whether its last word is not spoken: it can go on by itself."""
        return self.status in {RunStatus.PROCEEDING, RunStatus.STOPPED_BY_DELEGATE}

    @property
    def question(self) -> ToolCall | None:
        """The interactive call it waits for an answer to."""
        return self.pending[0] if self.pending and self.status == RunStatus.STOPPED_BY_INTERACTIVE_TOOL else None


@dataclass(frozen=True, slots=True)
class JobHistory:
    """One job on record. `record` counts what the log holds where the job never ended.

    `problem` says what is wrong with the log, with file and line; `events` are the intact ones before it. `is_live`
    where a process works on the job now; a job that is `running` without one was interrupted. `is_foreign` where it is
    kept in the public layout: such a job is looked at only.
    """

    record: JobRecord
    events: tuple[Event, ...]
    problem: str = ""
    is_cut: bool = False
    is_live: bool = False
    is_foreign: bool = False

    @property
    def is_damaged(self) -> bool:
        """Whether the log is not as it was written. A last line that was cut off is no damage: it can go on."""
        return bool(self.problem) and not self.is_cut

    @property
    def is_interrupted(self) -> bool:
        """Whether nobody works on a job that has not ended."""
        return self.record.status == RUNNING and not (self.is_live or self.is_foreign)

    def checkpoints(self) -> tuple[JsonObject, ...]:
        """Every checkpoint of the job in the order of writing, without its messages."""
        return tuple(found for event in self.events if (found := object_of(event.payload.get("checkpoint"))))

    def checkpoint(self, checkpoint_id: str = "") -> JsonObject | None:
        """One checkpoint with its messages, calls and results in full; without an id the last of a top-level run.

        None where there is none.
        """
        delegated = {event.run_id for event in self.events if _is_delegated(event)}
        for event in reversed(self.events):
            for name in ("checkpoint", "nextCheckpoint"):
                found = object_of(event.payload.get(name))
                if found and (found.get("id") == checkpoint_id if checkpoint_id else event.run_id not in delegated):
                    whole = {**object_of(event.payload.get("checkpoint")), **found}
                    return in_full(whole, self.state().checkpoints[text_of(found.get("id"))])
        return None

    def state(self) -> JobState:
        """The job folded from its events. Raises: InvariantBroken where they cannot follow on each other."""
        return fold(self.events)

    def standing(self) -> Standing | None:
        """Where its newest top-level run stands, None where it holds none.

        Raises: InvariantBroken where the events cannot follow on each other.
        """
        job = self.state()
        run = job.latest_run()
        if run is None:
            return None
        going = [one for one in job.runs.values() if one is run or _is_below(one, run, job)]
        lost = [call for one in going for call in one.pending if call.id in one.started]
        return Standing(run.expert_key, run.status.value, job.steps, run.pending, tuple(lost))


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
                with contextlib.suppress(InfrastructureError):  # one that cannot be read hides no other
                    found[job_id] = self.read(job_id).record
        return tuple(sorted(found.values(), key=lambda record: (record.started_at, record.id), reverse=True))

    def recent(self, *, kind: str = "") -> tuple[str, ...]:
        """The ids of all jobs, the one that was worked on last first; `kind` leaves out those of another."""
        kinds = {record.id: str(record.extra.get("kind", kind)) for record in self._store.jobs()} if kind else {}
        jobs = (job_id for job_id in self._folders() if kinds.get(job_id, kind) == kind)
        return tuple(sorted(jobs, key=lambda job_id: (self._touched(job_id), job_id), reverse=True))

    def read(self, job_id: str) -> JobHistory:
        """One job.

        Raises: UserError where there is no such job; InfrastructureError where its log cannot be read.
        """
        contents, is_foreign = self.contents(job_id), self._is_foreign(job_id)
        record = self._record(job_id, contents)
        is_live = record.status == RUNNING and self.is_live(job_id)
        problem = "" if is_live and contents.truncated else contents.problem  # a line that is being written
        return JobHistory(record, contents.events, problem, contents.truncated, is_live, is_foreign)

    def interrupted(self, records: Sequence[JobRecord]) -> frozenset[str]:
        """The ids of those jobs that never ended and that nobody works on."""
        open_ones = [record.id for record in records if record.status == RUNNING]
        return frozenset(one for one in open_ones if not (self._is_foreign(one) or self.is_live(one)))

    def contents(self, job_id: str) -> LogContents:
        """A job's log as it is; files of the public layout as if they were one.

        Raises: UserError where there is no such job; InfrastructureError where it cannot be read.
        """
        return public_layout.read(self._store.folder(job_id)) if self._is_foreign(job_id) else self._store.read(job_id)

    def export(self, job_id: str, directory: Path) -> None:
        """Write a job in the public layout into a new or empty directory.

        Raises: UserError where there is no such job, or the directory holds something; InfrastructureError where a
        file cannot be read or written; InvariantBroken where the events cannot follow on each other.
        """
        job = self.read(job_id)
        export(self.contents(job_id), directory, job.record)

    def drop_damaged(self, job_id: str) -> Path:
        """Let a job go on after the intact part of its log. The damaged log is kept: the file that is returned.

        Raises: UserError where there is no such job, or it is worked on; InfrastructureError where nothing can be
        written.
        """
        if self.is_live(job_id):
            raise UserError(f"job {job_id} is being worked on by another process", hint="End it first.")
        contents, path = self._store.read(job_id), self._store.folder(job_id) / LOG
        kept = next(one for number in count(1) if not (one := path.with_name(f"{LOG}.damaged-{number}")).exists())
        fresh = path.with_name(f"{LOG}.new")
        try:
            with path.open("rb") as damaged:
                fresh.touch(mode=0o600)
                fresh.write_bytes(damaged.read(contents.size))
            path.rename(kept)
            fresh.rename(path)
        except OSError as error:
            raise InfrastructureError(f"{error.filename}: {error.strerror}", hint="Make it writable first.") from error
        return kept

    def is_there(self, job_id: str) -> bool:
        """Whether anything is on record of a job. Raises: UserError where the id is unusable."""
        return self._store.folder(job_id).is_dir()

    def is_live(self, job_id: str) -> bool:
        """Whether a process writes the job's log now."""
        return _is_locked(self._store.folder(job_id) / LOG)

    def _record(self, job_id: str, contents: LogContents) -> JobRecord:
        try:
            record = replace(self._store.load(job_id), id=job_id)  # the folder's name counts: it may be a copy
        except UserError:
            if self._is_foreign(job_id):
                return public_layout.record(self._store.folder(job_id))
            record = _ended(JobRecord(job_id, "", 0, status=RUNNING), contents.events)
        if record.status != RUNNING and record.started_at:
            return record  # it was counted when it ended
        return _counted(record, contents.events) if contents.events else self._dated(record)

    def _dated(self, record: JobRecord) -> JobRecord:
        return record if record.started_at else replace(record, started_at=self._touched(record.id) // 1_000_000)

    def _is_foreign(self, job_id: str) -> bool:
        folder = self._store.folder(job_id)
        return public_layout.is_public(folder) and not (folder / LOG).exists()

    def _folders(self) -> Sequence[str]:
        try:
            names = [entry.name for entry in os.scandir(self.root / "jobs") if entry.is_dir()]
        except OSError:
            return ()
        return [name for name in names if is_job_id(name)]

    def _touched(self, job_id: str) -> int:
        """When the job was last written to, in nanoseconds; 0 where that is not known."""
        folder, newest = self.root / "jobs" / job_id, 0
        for path in (folder, *(folder / name for name in (LOG, RECORD, "runs", "checkpoints"))):
            with contextlib.suppress(OSError):
                newest = max(newest, path.stat().st_mtime_ns)
        return newest


def _is_delegated(event: Event) -> bool:
    return event.type == "startRun" and bool(object_of(event.payload.get("initialCheckpoint")).get("delegatedBy"))


def _is_below(run: RunState, top: RunState, job: JobState) -> bool:
    """Whether `run` is a delegate that has not ended, of `top` or of one such."""
    by = run.delegated_by
    if by is None or run.status not in {RunStatus.PROCEEDING, RunStatus.STOPPED_BY_DELEGATE}:
        return False
    caller = next((one for one in job.runs.values() if one.run_id == by.run_id), None)
    return caller is not None and (caller is top or _is_below(caller, top, job))


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


def _ended(record: JobRecord, events: Sequence[Event]) -> JobRecord:
    """The record with how the job has ended by its log: a pipeline by its last fact, a run by its own end."""
    status = RUNNING
    if any(event.type == "finishJob" for event in events):
        status = "completed"
    else:
        with contextlib.suppress(InvariantBroken):
            run = fold(events).latest_run()
            status = JOB_STATUS.get(run.status, RUNNING) if run else RUNNING
    return record if status == RUNNING else replace(record, status=status, finished_at=events[-1].timestamp)


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
