"""Keeps what is ours out of reach of the experts that work around it: records of jobs, caches. Starts nothing.

Threat: by default jobs are kept in `./perstack`, inside the workspace; with a HOME that is the workspace, caches lie
there too. A command in the sandbox could rewrite the log that the job is resumed from, the records of other jobs, or
what later jobs take from a cache. The base tools refuse these folders by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from perstack.core.sandbox import Mount
from perstack.infrastructure.sandbox.snapshot import WORKSPACE


def inside(folders: Iterable[Path], workspace: Path) -> tuple[str, ...]:
    """Those folders that lie in a workspace, as names relative to it; never the workspace itself."""
    place = workspace.resolve()
    found = (folder.resolve() for folder in folders)
    return tuple(
        dict.fromkeys(each.relative_to(place).as_posix() for each in found if place in each.parents),
    )


def cover(folders: Iterable[Path], workspace: Path, scratch: Path) -> tuple[Mount, ...]:
    """An empty read-only folder over each of `folders` that lies in the workspace; made where it is to come yet.

    The folders above are mounted over themselves: what is a mount cannot be renamed, with the jobs in it, to make room
    for others. The `host` back end has no isolation and shows them all the same.
    """
    place, empty = workspace.resolve(), scratch / "no-jobs"
    mounts: dict[str, Mount] = {}
    for name in inside(folders, workspace):
        empty.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = place / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for above in reversed(folder.parents):
            if place in above.parents:
                target = _inside(above, place)
                mounts.setdefault(target, Mount(above, target, writable=True))
        mounts[_inside(folder, place)] = Mount(empty, _inside(folder, place))
    return tuple(mounts.values())


def _inside(folder: Path, place: Path) -> str:
    return f"{WORKSPACE}/{folder.relative_to(place).as_posix()}"
