"""Where jobs are kept: the contract of a storage, and what it holds. Nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from perstack.core.events import Event
from perstack.core.json import Json, JsonObject
from perstack.core.usage import Usage

# The chain before the first line of a log.
CHAIN_SEED = "0" * 64
# How a run's end (`Checkpoint.status`) is told of its job (`Job.status`); while a run has no end, its job is running.
JOB_STATUS: Mapping[str, str] = {
    "completed": "completed",
    "stoppedByInteractiveTool": "stoppedByInteractiveTool",
    "stoppedByExceededMaxSteps": "stoppedByMaxSteps",
    "stoppedByError": "stoppedByError",
}


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
        return {**data, **{key: value for key, value in self.extra.items() if key not in data}}


@dataclass(frozen=True, slots=True)
class LogContents:
    """What a job's log holds. `head` is the chain after the last intact line, `size` the bytes up to there.

    `problem` says what is wrong after that, with file and line; empty where nothing is. `truncated` where only the
    last line was cut: it was being written when the process ended, and the log can be continued.
    """

    events: tuple[Event, ...]
    head: str = CHAIN_SEED
    size: int = 0
    problem: str = ""
    line: int = 0
    truncated: bool = False


class EventWriter(Protocol):
    """Appends the events of one job. The only one of its job at a time."""

    @property
    def head(self) -> str:
        """The chain after the last event."""
        ...

    def __call__(self, event: Event) -> None:
        """Append one event; durable at the latest when its step ends.

        Raises: InfrastructureError where it cannot be written.
        """
        ...

    def close(self) -> None:
        """Make everything durable and let others write."""
        ...


class Store(Protocol):
    """The jobs of one place."""

    def create(self, record: JobRecord) -> None:
        """Make a new job.

        Raises: UserError where the id is unusable or taken; InfrastructureError where nothing can be written.
        """
        ...

    def save(self, record: JobRecord) -> None:
        """Replace a job's record in one step. Raises: InfrastructureError where it cannot be written."""
        ...

    def load(self, job_id: str) -> JobRecord:
        """One job's record. Raises: UserError where there is no such job or its record is unreadable."""
        ...

    def jobs(self) -> tuple[JobRecord, ...]:
        """All jobs that can be read, newest first."""
        ...

    def open_log(self, job_id: str) -> EventWriter:
        """Go on with a job's log; a cut last line is dropped.

        Raises: UserError where another process writes it; InfrastructureError where it is damaged or unwritable.
        """
        ...

    def read(self, job_id: str) -> LogContents:
        """Everything intact in a job's log. Never raises for its content.

        Raises: UserError where there is no such job; InfrastructureError where its log cannot be read.
        """
        ...

    def folder(self, job_id: str) -> Path:
        """A directory for the job's own files (evidence, patches). Raises: UserError where the id is unusable."""
        ...
