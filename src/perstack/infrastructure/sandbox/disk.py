"""How much of the machine's disk a sandbox may take: watched while a command runs, since a bind mount has no quota.

Counted are files and folders that changed after the first command (by their change time, which no program can set), and
files without a name that its processes hold open. Asking the file system for its free space is nearly free; trees are
only walked where that shrank. Not a quota: a fast writer gets past the limit for about a tenth of a second.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from perstack.core.sandbox import Limits

DISK = "disk"
DISK_EXIT = 153  # 128 + SIGXFSZ: what a shell says of a program that wrote past a limit of its files
MACHINE = "machine"

_EVERY_S = 0.1
_STEPS = 8  # a tree is walked when the disk lost this part of the limit, at the latest when it lost all of it
_REST = 20.0  # walking takes at most one part in so many of the time, but for that
_SLEW_NS = 1_000_000_000  # a clock that is only corrected differs by less
_OFTEN_S = 5.0  # and is done anyway after so long: who deletes elsewhere at the same pace hides what is written here
_FLOOR = 1 << 30  # bytes and
_FLOOR_FILES = 10_000  # entries that stay free for the machine, where it has twice as much to begin with
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Used:
    """What a sandbox takes: bytes of disk, and entries of directories."""

    size: int = 0
    files: int = 0

    def exceeds(self, other: Used) -> bool:
        """Whether there is more of either."""
        return self.size > other.size or self.files > other.files


class Beyond(Protocol):
    """What a sandbox takes elsewhere than in folders of its own, as somebody else counts it."""

    def used(self) -> Used:
        """What it takes now. Blocking."""
        ...


@dataclass(slots=True)
class DiskWatch:
    """Watches the writable folders of one sandbox, given as descriptors: a folder may be moved meanwhile."""

    folders: tuple[int, ...]
    most: Used
    floor: Used
    beyond: Beyond | None = None
    often_s: float = _OFTEN_S
    since: int = 0  # nanoseconds, of the first command
    allowed: Used = field(default_factory=Used)
    _reference: Used = field(default_factory=Used)
    _started: int = 0  # `since`, on a clock that nobody sets
    _walked: float = 0.0
    _rest: float = 0.0
    _before: Used = field(default_factory=Used)

    async def begin(self) -> None:
        """A command is about to run. What is there already does not stop one that cleans up."""
        if not self.since:
            await anyio.to_thread.run_sync(self.begin_here)
        elif self.allowed is not self.most:
            used = await anyio.to_thread.run_sync(self.used, abandon_on_cancel=True)
            self.allowed = used if used.exceeds(self.most) else self.most

    def begin_here(self) -> None:
        """The first command is about to run. Blocking, as far as others are asked."""
        self.since, self._started = time.time_ns(), time.monotonic_ns()
        self.allowed, self._reference, self._walked = self.most, _taken(self.folders), time.monotonic()
        self._before = self.beyond.used() if self.beyond else Used()

    async def exceeded(self) -> str:
        """Wait for the limit; its name."""
        while True:
            if name := await self.check():
                return name
            await anyio.sleep(_EVERY_S)

    async def check(self, *, at_last: bool = False) -> str:
        """The name of the limit that is exceeded; "" for none. The last look measures in any case."""
        if _short_of(self.folders, self.floor):
            return MACHINE
        if not self._is_due() and not at_last:
            return ""
        started = time.monotonic()
        # Left behind where the command ends first: it reads through descriptors of its own.
        return self._judged(await anyio.to_thread.run_sync(self.used, abandon_on_cancel=True), started)

    def check_here(self, *, at_last: bool = False) -> str:
        """The same for a thread that may wait."""
        if _short_of(self.folders, self.floor):
            return MACHINE
        started = time.monotonic()
        if self._is_due() or at_last:
            return self._judged(self.used(), started)
        return ""

    def _is_due(self) -> bool:
        """Whether it is time to walk the trees."""
        lost = _taken(self.folders)
        before = self._reference
        # What others delete must not hide what is written here.
        self._reference = Used(min(before.size, lost.size), min(before.files, lost.files))
        grown = Used(lost.size - before.size, lost.files - before.files)
        part = Used(self.most.size // _STEPS, self.most.files // _STEPS)
        since = time.monotonic() - self._walked
        due = since >= self._rest and (since >= self.often_s or grown.exceeds(part))
        if due or grown.exceeds(self.most):
            self._reference = lost
            return True
        return False

    def _judged(self, used: Used, started: float) -> str:
        self._walked = time.monotonic()
        self._rest = (self._walked - started) * _REST
        if not used.exceeds(self.allowed):
            return ""
        self.allowed = used
        return DISK

    def used(self) -> Used:
        """Walk everything. Stops early where there are far too many entries."""
        total = Used()
        with _duplicates(self.folders) as folders:
            for folder in folders:
                total = self._walk(f"/proc/self/fd/{folder}", total)
            nameless = _nameless(folders)
        beyond = self.beyond.used() if self.beyond else Used()
        size = total.size + nameless + max(0, beyond.size - self._before.size)
        return Used(size, total.files + max(0, beyond.files - self._before.files))

    def _changed_since(self) -> int:
        """A machine's clock that was set back meanwhile dates what is new before the first command."""
        set_back = (time.monotonic_ns() - self._started) - (time.time_ns() - self.since)
        return self.since - (set_back if set_back > _SLEW_NS else 0)

    def _walk(self, top: str, total: Used) -> Used:
        size, files = total.size, total.files
        waiting = [top]
        enough, since = 2 * max(self.most.files, self.allowed.files), self._changed_since()
        while waiting and files <= enough:
            # A path that is too long, or gone: what it holds is caught by the floor.
            with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        about = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(about.st_mode):
                            waiting.append(entry.path)
                        if about.st_ctime_ns > since:
                            files += 1
                            size += about.st_blocks * _BLOCK // max(1, about.st_nlink)
        return Used(size, files)


@contextlib.contextmanager
def watched(limits: Limits, folders: Sequence[Path], beyond: Beyond | None = None) -> Iterator[DiskWatch]:
    """A watch over these folders, and what is `beyond` them. Begin it before each command."""
    opened: list[int] = []
    try:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        opened.extend(os.open(folder, flags) for folder in folders if folder.is_dir())
        free = _free(tuple(opened))
        floor = Used(min(_FLOOR, free.size // 2), min(_FLOOR_FILES, free.files // 2))
        yield DiskWatch(tuple(opened), Used(limits.disk_mb << 20, limits.disk_files), floor, beyond)
    finally:
        for fd in opened:
            os.close(fd)


@contextlib.contextmanager
def _duplicates(folders: Sequence[int]) -> Iterator[tuple[int, ...]]:
    own: list[int] = []
    try:
        with contextlib.suppress(OSError):  # closed meanwhile: nobody waits for the answer
            own.extend(os.dup(fd) for fd in folders)
        yield tuple(own)
    finally:
        for fd in own:
            os.close(fd)


def _disks(folders: Sequence[int]) -> Iterator[os.statvfs_result]:
    """Each file system once."""
    seen = set()
    for fd in folders:
        device = os.fstat(fd).st_dev
        if device not in seen:
            seen.add(device)
            yield os.fstatvfs(fd)


def _taken(folders: Sequence[int]) -> Used:
    disks = list(_disks(folders))
    return Used(
        sum((one.f_blocks - one.f_bfree) * one.f_frsize for one in disks),
        sum(one.f_files - one.f_ffree for one in disks),
    )


def _free(folders: Sequence[int]) -> Used:
    disks = list(_disks(folders))
    return Used(
        min((one.f_bavail * one.f_frsize for one in disks), default=0),
        min((one.f_favail for one in disks), default=0),  # file systems without a number of their own say 0
    )


def _short_of(folders: Sequence[int], floor: Used) -> bool:
    return floor.exceeds(_free(folders)) if folders else False


def _nameless(folders: Sequence[int]) -> int:
    """Bytes of files without a name that processes of this sandbox hold open: those that see our first folder."""
    if not folders:
        return 0
    own = os.fstat(folders[0])
    return nameless_bytes(lambda process: _sees(process, own), own.st_dev)


def nameless_bytes(belongs: Callable[[Path], bool], device: int) -> int:
    """Bytes of files without a name on this device, held open by those processes (`/proc/<number>`) that belong."""
    found: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and belongs(process):
            with contextlib.suppress(OSError), os.scandir(process / "fd") as opened:
                for entry in opened:
                    with contextlib.suppress(OSError):
                        about = entry.stat()
                        if stat.S_ISREG(about.st_mode) and not about.st_nlink and about.st_dev == device:
                            found[about.st_ino] = about.st_blocks * _BLOCK
    return sum(found.values())


def _sees(process: Path, folder: os.stat_result) -> bool:
    try:
        if is_same(process / "cwd", folder):
            return True
        return is_same(process / "root" / "workspace", folder)
    except OSError:
        return False


def is_same(place: Path, other: os.stat_result) -> bool:
    """Whether a place is that very file or folder. Raises: OSError."""
    about = place.stat()
    return (about.st_dev, about.st_ino) == (other.st_dev, other.st_ino)
