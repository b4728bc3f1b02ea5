"""The files of a job's folder, for reading only. Writes nothing; follows no link.

Threat: a path out of the folder, by `..`, by an absolute path, or by a link that something put into it. Each part of a
path is opened below the one before it, and a link anywhere in it is refused by the system itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from perstack.interface.serve.problems import Problem

EVIDENCE = "evidence.json"
PATCH = "candidate.patch"
_DEEPEST = 6
_MOST = 5000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def listed(folder: Path) -> list[tuple[str, int]]:
    """Path and size in bytes of every regular file, in order; at most 5,000 of them."""
    found: list[tuple[str, int]] = []
    for path, size in _walk(folder, "", _DEEPEST):
        found.append((path, size))
        if len(found) >= _MOST:
            break
    return sorted(found)


def content(folder: Path, path: str, most: int) -> bytes:
    """One file's bytes.

    Raises: Problem where the path leads to no regular file below the folder, or to one of more than `most` bytes.
    """
    parts = path.split("/")
    unknown = Problem("no-such-file", f"the job has no file {path[:300]!r}", "GET its /files lists them.")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts) or len(parts) > _DEEPEST:
        raise unknown
    try:
        file = _opened(folder, parts)
    except (OSError, ValueError):
        raise unknown from None
    with os.fdopen(file, "rb") as opened:
        facts = os.fstat(opened.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise unknown
        if facts.st_size > most:
            raise Problem(
                "no-such-file", f"{path[:300]} has {facts.st_size:,} bytes, and {most:,} are sent", "Read it on disk."
            )
        return opened.read(most)


def _opened(folder: Path, parts: list[str]) -> int:
    place = os.open(folder, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=place)
            os.close(place)
            place = inner
        # Not waiting: a named pipe would hold up the thread for ever.
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)


def _walk(folder: Path, before: str, depth: int) -> Iterator[tuple[str, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            path = f"{before}{entry.name}"
            if entry.is_file(follow_symlinks=False):
                yield path, entry.stat(follow_symlinks=False).st_size
            elif depth > 1 and entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{path}/", depth - 1)
