"""Where a process does its jobs: the forge, the engine, its folders, and which workflow run it is. Data only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from perstack import api
from perstack.core.errors import ExitCode
from perstack.core.events import EventSink
from perstack.forge.contract import Forge
from perstack.interface.story import Story


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Process:
    """Which attempt of which workflow run this process is; zeros outside of a workflow."""

    url: str = ""
    run: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that the jobs of one process share.

    `scratch` is private and temporary. `folder` outlives the process within its workflow job: what was left open and
    the result to upload lie there; None: neither is written. `shards` are folders of measurements that other machines
    made for the change that is to be verified.
    """

    forge: Forge
    engine: api.Jobs
    scratch: Path
    process: Process = field(default_factory=Process)
    watch: EventSink | None = None
    folder: Path | None = None
    now: Callable[[], datetime] = utc_now
    shards: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended, for the process that ran it."""

    exit_code: ExitCode
    story: Story | None = None
    message: str = ""
    outcome: str = ""
