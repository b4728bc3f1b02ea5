"""Where snapshots of set-up are kept between jobs: made once, published whole, never taken from under a user.

One folder a snapshot, with a record in it; beside it a lock, held shared by who uses it and alone by who makes or
removes it. A folder appears by one rename, so half of a snapshot is never seen. What a killed process left is a
draft that names it, and is swept. Knows nothing of what a snapshot is made of.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from perstack.infrastructure.file_lock import lock, try_lock
from perstack.infrastructure.owned import owned_name, remove_tree, sweep

RECORD = "snapshot.json"
PRUNED_AT_START = 3  # a job must not wait for what others left
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long and how much is kept. Seconds since a snapshot was last used, and bytes of all together."""

    max_age_s: float = 30 * 86_400
    max_bytes: int = 20_000 * _MB


@dataclass(frozen=True, slots=True)
class Kept:
    """One snapshot as its record tells it. `used` is seconds since the epoch; `image` an engine's, where it has one."""

    name: str
    about: str
    bytes: int
    used: float
    image: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What a maker says of a finished draft: the bytes outside the folder, and where they are."""

    image: str = ""
    image_bytes: int = 0


def default_root() -> Path:
    """Where snapshots are kept if nobody says where."""
    return Path(tempfile.gettempdir()) / f"perstack-snapshots-{os.getuid()}"


def without_image(one: Kept) -> bool:
    """Whether a snapshot is its folder and nothing else."""
    return not one.image


class SnapshotStore:
    """The snapshots below one folder. What it has handed out stays until it is gone itself, or the process is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._leases: dict[str, int] = {}
        weakref.finalize(self, _close, self._leases)

    async def obtain(
        self,
        name: str,
        about: str,
        make: Callable[[Path], Awaitable[Made]],
        usable: Callable[[Kept], bool] = lambda _: True,
    ) -> tuple[Path, bool]:
        """The folder of a snapshot, and whether it was there. `make` fills an empty one; others wait for it meanwhile.

        Raises: what `make` raises; then nothing is kept.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        place, gate = self.root / name, self.root / f"{name}.lock"
        if name in self._leases and self._found(name, usable):
            return place, True
        if name in self._leases:  # unusable by now: our own lease would keep us from making it anew
            os.close(self._leases.pop(name))
        there = True
        while True:
            await self._lease(name, gate)
            if self._found(name, usable):
                return place, there
            os.close(self._leases.pop(name))
            fd = await lock(gate)
            try:
                if not self._found(name, usable):
                    await self._make(place, about, make)
                    there = False
            finally:
                os.close(fd)

    def kept(self) -> tuple[Kept, ...]:
        """Every finished snapshot, the one used longest ago first."""
        found: list[Kept] = []
        with contextlib.suppress(OSError):
            found = [one for place in self.root.iterdir() if (one := self._read(place.name))]
        return tuple(sorted(found, key=lambda one: (one.used, one.name)))

    def prune(
        self,
        keeping: Keeping,
        drop: Callable[[Kept], bool] = lambda _: True,
        *,
        now: float | None = None,
        dry_run: bool = False,
        most: int | None = None,
    ) -> tuple[Kept, ...]:
        """Remove what is too old, then what is too much, the one used longest ago first; what was or would be removed.

        What somebody uses stays, and so does what `drop` (which takes an image away) says no to. `most` bounds the
        work.
        """
        if not dry_run:
            sweep(self.root)
            self._sweep_locks()
        every = self.kept()
        clock, total = time.time() if now is None else now, sum(one.bytes for one in every)
        gone: list[Kept] = []
        for one in every:
            if most is not None and len(gone) >= most:
                break
            old = clock - one.used > keeping.max_age_s
            if (old or total > keeping.max_bytes) and self._remove(one, drop, dry_run=dry_run):
                gone.append(one)
                total -= one.bytes
        return tuple(gone)

    async def _lease(self, name: str, gate: Path) -> None:
        fd = await lock(gate, shared=True)
        os.utime(fd)
        self._leases[name] = fd

    async def _make(self, place: Path, about: str, make: Callable[[Path], Awaitable[Made]]) -> None:
        draft = Path(tempfile.mkdtemp(prefix=f"{owned_name('setup')}-", dir=self.root))
        try:
            made = await make(draft)
            size = made.image_bytes + await anyio.to_thread.run_sync(size_of, draft)
            record = {"about": about, "bytes": size, "image": made.image}
            (draft / RECORD).write_text(json.dumps(record), "utf-8")
            if place.exists():  # its image is gone, or its record cannot be read
                self._discard(place)
            draft.chmod(0o755)
            draft.rename(place)
        finally:
            remove_tree(draft)

    def _found(self, name: str, usable: Callable[[Kept], bool]) -> bool:
        one = self._read(name)
        return one is not None and usable(one)

    def _read(self, name: str) -> Kept | None:
        try:
            told = json.loads((self.root / name / RECORD).read_text("utf-8"))
            used = (self.root / f"{name}.lock").stat().st_mtime
            return Kept(name, str(told["about"]), int(told["bytes"]), used, str(told["image"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remove(self, one: Kept, drop: Callable[[Kept], bool], *, dry_run: bool) -> bool:
        gate = self.root / f"{one.name}.lock"
        if one.name in self._leases or (fd := try_lock(gate)) is None:
            return False
        try:
            if self._read(one.name) is None:  # another prune was faster
                gate.unlink(missing_ok=True)
                return False
            if dry_run:
                return True
            if not drop(one):
                return False
            self._discard(self.root / one.name)
            gate.unlink(missing_ok=True)
            return True
        finally:
            os.close(fd)

    def _sweep_locks(self) -> None:
        """Take away locks of what was never made, or is gone."""
        for gate in self.root.glob("*.lock"):
            if not gate.with_suffix("").exists() and (fd := try_lock(gate)) is not None:
                gate.unlink(missing_ok=True)
                os.close(fd)

    def _discard(self, place: Path) -> None:
        """Out of sight at once, then away: who is killed in between leaves what the next one sweeps."""
        trash = Path(tempfile.mkdtemp(prefix=f"{owned_name('trash')}-", dir=self.root))
        with contextlib.suppress(FileNotFoundError):
            place.rename(trash / "snapshot")
        remove_tree(trash)


def size_of(folder: Path) -> int:
    """Bytes that a folder takes on its disk."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    waiting = [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                with contextlib.suppress(OSError):
                    yield entry.stat(follow_symlinks=False).st_blocks * 512


def _close(leases: dict[str, int]) -> None:
    for fd in leases.values():
        os.close(fd)
