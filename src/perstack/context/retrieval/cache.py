"""Where indexes lie, and what of them is kept. Below the harness's cache, out of every sandbox's and expert's reach."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

_MAX_BYTES = 4_000_000_000
_MAX_AGE_S = 30 * 86_400


def folder_of(cache: Path, repository: str) -> Path:
    """The folder of one repository's index, made where it is missing and marked as used now."""
    key = hashlib.sha256(repository.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    folder = cache / "retrieval" / "v1" / key
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.utime(folder)
    return folder


@contextlib.contextmanager
def locked(folder: Path, name: str = "lock") -> Iterator[None]:
    """Exclusive among processes; the system lets go of it when one dies."""
    fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def poisoned(folder: Path) -> frozenset[str]:
    """Digests of contents that ended a worker."""
    try:
        return frozenset((folder / "poison").read_text("ascii").split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def poison(folder: Path, digest: str) -> None:
    """Remember one."""
    with (folder / "poison").open("a", encoding="ascii") as file:
        file.write(f"{digest}\n")


def current_file(folder: Path, name: str) -> Path:
    """Where the worker of this name says which content it is learning."""
    return folder / f"current.{name}"


def collect(cache: Path, now: float | None = None) -> int:
    """Remove indexes that nobody used for long, then the oldest while all together are too large; how many were.

    One that is being written is left alone.
    """
    top, removed, total = cache / "retrieval" / "v1", 0, 0
    moment = time.time() if now is None else now
    with contextlib.suppress(OSError):
        folders = [(path.stat().st_mtime, path) for path in top.iterdir() if path.is_dir()]
        for used, path in sorted(folders, reverse=True):
            total += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            old = moment - used > _MAX_AGE_S
            if (old or total > _MAX_BYTES) and moment - used > 3600:
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    return removed
