"""Reading files that ran code may have made: what a run left, what a patch brought, what an artifact held.

Threat: a link to a file of this machine, a FIFO that never answers, a device, a folder, a gigabyte of nothing. Not for
paths that somebody else chose: those go through `workspace.py`.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

from perstack.infrastructure.beneath import open_beneath

MOST = 64 << 20  # bytes, unless told otherwise
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotPlain(OSError):
    """What is there is no file that may be read: a link, a special file, or larger than expected."""

    def __str__(self) -> str:
        return f"{Path(os.fsdecode(self.filename)).name}: {self.strerror}"


def opened(place: Path, *, below: Path | None = None) -> io.BufferedReader:
    """Open a regular file for reading. Its name is no link; with `below`, a folder, no part of the path under it is.

    Raises: NotPlain; FileNotFoundError and other OSErrors.
    """
    try:
        fd = _descriptor(place, below)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EXDEV, errno.ENXIO, errno.ENOTDIR}:
            raise NotPlain(error.errno, "is a link or a special file, and not read", str(place)) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotPlain(errno.EINVAL, "is no regular file", str(place))
    return os.fdopen(fd, "rb")


def read(place: Path, most: int = MOST, *, below: Path | None = None) -> bytes:
    """A file's content; see `opened`. Raises: NotPlain also where it has more than `most` bytes."""
    with opened(place, below=below) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise NotPlain(errno.EFBIG, f"has more than {most} bytes", str(place))
    return data


def read_text(place: Path, most: int = MOST, *, below: Path | None = None, errors: str = "replace") -> str:
    """A file's content as UTF-8, every kind of line end as `\\n`; see `read`."""
    return read(place, most, below=below).decode("utf-8", errors).replace("\r\n", "\n").replace("\r", "\n")


def digest(place: Path, *, below: Path | None = None) -> str:
    """SHA-256 of a file of any size, in hexadecimal; see `opened`."""
    with opened(place, below=below) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _descriptor(place: Path, below: Path | None) -> int:
    if below is None:
        return os.open(place, _READ)
    root = os.open(below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_beneath(root, str(place.relative_to(below)), _READ)
    finally:
        os.close(root)
