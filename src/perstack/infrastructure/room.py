"""Whether a place on disk is full: said beside the error of a program that does not say it. Measures nothing else."""

from __future__ import annotations

import os
from pathlib import Path

_BYTES = 64 * 1024
_NAMES = 8


def lack_of_room(place: Path, variable: str = "TMPDIR") -> str:
    """A hint where the disk of `place` (which `variable` names) has next to no room or inodes left; else empty."""
    try:
        found = os.statvfs(place)
    except OSError:
        return ""
    if found.f_bavail * found.f_frsize < _BYTES:
        return f"The disk of {place} is full: free some space, or choose another place with {variable}."
    if found.f_files and found.f_favail < _NAMES:
        return f"The disk of {place} has no inodes left: remove files, or choose another place with {variable}."
    return ""
