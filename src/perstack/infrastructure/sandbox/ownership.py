"""Whose a sandbox's files are. Only a harness that is root has to care: others share their own user with the inside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from perstack.core.errors import InfrastructureError
from perstack.core.sandbox import Mount


def open_up(workspace: Path, mounts: Sequence[Mount], uid: int, gid: int) -> None:
    """Let the sandbox's user own the workspace and writable mounts, and read the others. Does nothing unless root."""
    if os.getuid() != 0:
        return
    _give(workspace, uid, gid)
    for mount in mounts:
        if mount.writable:
            _give(mount.source, uid, gid)
        elif mount.source.exists():
            mode = mount.source.stat().st_mode
            wanted = 0o555 if mount.source.is_dir() else 0o444
            if mode & wanted != wanted:
                mount.source.chmod((mode & 0o777) | wanted)


@contextlib.contextmanager
def given_back(place: Path) -> Iterator[None]:
    """A user's own directory belongs to its owner again when the sandbox is done with it."""
    before = place.stat()
    try:
        yield
    finally:
        if os.getuid() == 0:
            _give(place, before.st_uid, before.st_gid)


def _give(place: Path, uid: int, gid: int) -> None:
    """Links themselves change hands, not what they point at. Passed by where the owner is right already."""
    _chown(str(place), uid, gid, None)
    if place.is_symlink() or not place.is_dir():
        return
    try:
        for _, folders, files, fd in os.fwalk(place, follow_symlinks=False):
            for name in (*folders, *files):
                _chown(name, uid, gid, fd)
    except (RecursionError, OSError) as error:
        raise InfrastructureError(
            f"{place}: cannot be given to the sandbox's user ({error})", hint="Are its folders nested too deeply?"
        ) from error


def _chown(name: str, uid: int, gid: int, folder: int | None) -> None:
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (status.st_uid, status.st_gid) != (uid, gid):
            os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
