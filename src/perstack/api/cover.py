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

    The folders above are mounted over themselves: what is a mount cannot be renamed, with the jobs in it, to make room
    for others. The `host` back end has no isolation and shows the jobs all the same.
    """
    jobs, place = (storage / _JOBS).resolve(), workspace.resolve()
    if not jobs.is_dir() or not jobs.is_relative_to(place):
        return ()
    empty = scratch / "no-jobs"
    empty.mkdir(mode=0o755, parents=True, exist_ok=True)
    above = [folder for folder in reversed(jobs.parents) if folder != place and folder.is_relative_to(place)]
    fixed = (Mount(folder, _inside(folder, place), writable=True) for folder in above)
    return (*fixed, Mount(empty, _inside(jobs, place)))


def _inside(folder: Path, place: Path) -> str:
    return f"{WORKSPACE}/{folder.relative_to(place).as_posix()}"
