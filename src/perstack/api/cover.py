"""Keeps a job's record out of reach of the experts that work in it. Starts nothing.

Threat: by default jobs are kept in `./perstack`, inside the workspace. A command in the sandbox could then rewrite the
log that the job is resumed from, or the records of other jobs. The base tools refuse the folder by themselves.
"""

from __future__ import annotations

from pathlib import Path

from perstack.core.sandbox import Mount
from perstack.infrastructure.sandbox.snapshot import WORKSPACE

_JOBS = "jobs"


def cover(storage: Path, workspace: Path, scratch: Path) -> tuple[Mount, ...]:
    """An empty read-only folder over the jobs of a storage, where these lie in the workspace; else nothing.

    The `host` back end has no isolation and shows them all the same.
    """
    jobs, place = (storage / _JOBS).resolve(), workspace.resolve()
    if not jobs.is_dir() or not jobs.is_relative_to(place):
        return ()
    empty = scratch / "no-jobs"
    empty.mkdir(mode=0o755, parents=True, exist_ok=True)
    return (Mount(empty, f"{WORKSPACE}/{jobs.relative_to(place).as_posix()}"),)
