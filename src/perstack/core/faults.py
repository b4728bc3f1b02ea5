"""Faults of the machine (a full disk, no memory, too many open files): told as such, and never as bugs or verdicts.

Only what no line of ours can cause or mend is named here. Everything else stays a bug, with its traceback.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from perstack.core.errors import InfrastructureError, PerstackError

_ROOM = "Free some space (or inodes: `df -h`, `df -i`) there, or choose another place: TMPDIR, --out, --storage."
_READER = "Look at where the output goes: its disk, its quota."
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "Raise the limit of file sizes (`ulimit -f`).",
    errno.EROFS: "Choose a place that can be written: TMPDIR, --out, --storage.",
    errno.EACCES: "Choose a place that you may use: TMPDIR, --out, --storage.",
    errno.EMFILE: "Raise the limit of open files (`ulimit -n`).",
    errno.ENFILE: "Close other programs: the machine has too many files open.",
    errno.EIO: "Look at the disk's health (`dmesg`).",
    errno.ENOMEM: "Give the process more memory, or stop others.",
    errno.EAGAIN: "Raise the limit of processes (`ulimit -u`), or stop others.",
}
_NO_MEMORY = "perstack ran out of memory"
_NO_THREAD = "can't start new thread"  # all that Python says of it
_MARK = "[Errno "
_COMPLAINTS = {
    number: (os.strerror(number), *more)
    for number, *more in (
        (errno.ENOSPC,), (errno.EDQUOT,), (errno.EMFILE,), (errno.ENFILE,), (errno.EIO,),
        (errno.ENOMEM, "Out of memory"),
        (errno.EAGAIN, "unable to fork", "unable to create thread"),
    )
}  # fmt: skip


def fault_of(error: BaseException) -> PerstackError | None:
    """What `error` says about the machine; None for a bug.

    In a group every part has to be a fault or an error of ours: then the machine's fault is told, as the cause of all.
    """
    if isinstance(error, BaseExceptionGroup):
        found = [each if isinstance(each, PerstackError) else fault_of(each) for each in error.exceptions]
        if None in found:
            return None
        faults = [each for each, part in zip(found, error.exceptions, strict=True) if each is not part]
        return (faults or found)[0]
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return InfrastructureError(f"perstack {_NO_THREAD}", hint=_HINTS[errno.EAGAIN])
    if isinstance(error, MemoryError):
        return InfrastructureError(_NO_MEMORY, hint=_HINTS[errno.ENOMEM])
    if isinstance(error, OSError) and (number := _number(error)) in _HINTS:
        name = error.filename2 or error.filename  # of two files the second is the one that is written
        place = os.fsdecode(name) if isinstance(name, str | bytes) else "the machine"
        hint = _READER if place == "stdout" else _HINTS[number]
        return InfrastructureError(f"{place}: {os.strerror(number)}", hint=hint)
    return None


def fault_in(words: str) -> tuple[str, str] | None:
    """What a program that ended without its answer says of the machine, with what to do; None for anything else.

    Only the ends of its own complaints count, or their very first words: names of files stand in between.
    """
    for line in words.splitlines():
        kind, _, said = line.partition(": ")
        if kind not in {"fatal", "error"}:
            continue
        for number, ends in _COMPLAINTS.items():
            if said.endswith(ends) or said.startswith(ends):
                return said, _HINTS[number]
    return None


@contextmanager
def machine_faults() -> Iterator[None]:
    """Raises an InfrastructureError in place of what the machine did to the block. Errors of ours leave their group."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError, BaseExceptionGroup) as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault from error


def _number(error: OSError) -> int:
    """The number of an error; copying a tree hands its parts over as text."""
    if error.errno is not None:
        return error.errno
    digits = str(error).partition(_MARK)[2].partition("]")[0]
    return int(digits) if digits.isdecimal() else 0
