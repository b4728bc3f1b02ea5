"""Installed packages between jobs: leased while somebody uses them, taken away when nobody did for long.

Beside a folder and its record lies a lock, held shared by who installs or serves, and alone by who removes. Knows
nothing of installing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from perstack.infrastructure.file_lock import lock, try_lock
from perstack.infrastructure.owned import owned_name, remove_tree, sweep
from perstack.infrastructure.sandbox.snapshot_store import Keeping, Kept, size_of

_KEY = re.compile(r"[0-9a-f]{32}")
_USED = ".used"
_HALF = "an installation that did not end"


class Lease:
    """Keeps an installation where it is until this is gone, or the process is."""

    def __init__(self, fd: int) -> None:
        weakref.finalize(self, os.close, fd)


async def leased(cache: Path, key: str) -> Lease:
    """Use an installation, which is there or will be."""
    fd = await lock(cache / f"{key}{_USED}", shared=True)
    os.utime(fd)
    return Lease(fd)


def kept(cache: Path) -> tuple[Kept, ...]:
    """Every installation, whole or not, the one used longest ago first."""
    return tuple(sorted(_kept(cache), key=lambda one: (one.used, one.name)))


def prune(
    cache: Path, keeping: Keeping, *, now: float | None = None, most: int | None = None, dry_run: bool = False
) -> tuple[Kept, ...]:
    """Remove what is too old, then what is too much; what was or would be removed. What somebody uses stays."""
    every = kept(cache)
    if not dry_run:
        sweep(cache)
        for name in _names(cache) - {one.name for one in every}:  # locks of what did not come to anything
            _removed(cache, name, dry_run=False)
    clock, total = time.time() if now is None else now, sum(one.bytes for one in every)
    gone: list[Kept] = []
    for one in every:
        if most is not None and len(gone) >= most:
            break
        if clock - one.used <= keeping.max_age_s and total <= keeping.max_bytes and one.about != _HALF:
            continue
        if _removed(cache, one.name, dry_run=dry_run):
            gone.append(one)
            total -= one.bytes
    return tuple(gone)


def _names(cache: Path) -> set[str]:
    with contextlib.suppress(OSError):
        return set(filter(_KEY.fullmatch, (path.name.partition(".")[0] for path in cache.iterdir())))
    return set()


def _kept(cache: Path) -> Iterator[Kept]:
    for name in _names(cache):
        record, folder = cache / f"{name}.json", cache / name
        about, size = _HALF, 0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(record.read_text("utf-8"))
            about, size = str(told.get("about") or told["program"]), int(told.get("bytes") or 0)
        if record.exists() or folder.exists():
            yield Kept(name, about, size or size_of(folder), _last_use(cache, name))


def _last_use(cache: Path, name: str) -> float:
    for place in (cache / f"{name}{_USED}", cache / f"{name}.json", cache / name):
        with contextlib.suppress(OSError):
            return place.stat().st_mtime
    return 0.0


def _removed(cache: Path, name: str, *, dry_run: bool) -> bool:
    gate, parts = cache / f"{name}{_USED}", [cache / f"{name}{end}" for end in (".json", "", ".draft", ".lock")]
    was_there = gate.exists()
    if (fd := try_lock(gate)) is None:
        return False
    try:
        there = any(os.path.lexists(part) for part in parts)  # another prune may have been faster
        if dry_run or not there:
            if not was_there or not there:
                gate.unlink(missing_ok=True)
            return there
        # Out of sight at once, then away: who is killed in between leaves what the next one sweeps.
        trash = Path(tempfile.mkdtemp(prefix=f"{owned_name('trash')}-", dir=cache))
        for place in (*parts, gate):
            with contextlib.suppress(FileNotFoundError):
                place.rename(trash / place.name)
        remove_tree(trash)
        return True
    finally:
        os.close(fd)
