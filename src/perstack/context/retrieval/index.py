"""One repository's index, kept up with its files: lists, lets each part learn what is new, and answers from them.

Runs in the worker. A content that is being learnt is named in a file first, so that whoever finds the worker dead knows
which one it was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from perstack.context.retrieval import beside
from perstack.context.retrieval.cache import current_file, locked, poisoned
from perstack.context.retrieval.contract import MAX_FILE, DamagedIndex, Holding, Listing, Part, SourceFile, Spelled
from perstack.context.retrieval.listing import Tree

_DIGEST = 40
_LISTINGS = 8  # kept listings: one for each place that the repository was last asked about in
_FEW = 32  # contents that are only held in memory while questions come
_MANY = 5_000  # contents that are worth a second process
_BATCH = 20_000  # contents a commit: what an interruption can cost


class RepositoryIndex:
    """The parts over one root. `folder` is this repository's, from `cache.folder_of`."""

    def __init__(self, root: Path, folder: Path, parts: Iterable[Part], name: str = "", many: int = _MANY) -> None:
        """`name` tells this worker from others over the same folder. Two processes read `many` new contents."""
        self._many = many
        self.tree = Tree(root)
        self._folder, self._current = folder, current_file(folder, name)
        self._parts = tuple(parts)
        self._pending: dict[str, dict[str, SourceFile]] = {part.name: {} for part in self._parts}
        self._late: dict[str, tuple[Holding, SourceFile]] = {}
        self._saved = False
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        self._stats = folder / f"listing.{name}"
        self.tree.load(self._stats)
        with locked(folder):
            for part in self._parts:
                self._open(part)

    def listing(self) -> Listing:
        """The files of now."""
        found = self.tree.listing()
        fresh = {file.digest: file for file in self.tree.fresh() if file.size <= MAX_FILE}
        for waiting in self._pending.values():
            waiting.update(fresh)
        return found

    def rest(self) -> float:
        """What can wait until nobody asks: keep the listing, look for changes nobody told of. Seconds to the next."""
        if self._late:
            self._learn_late()
        elif not self._saved:
            self._saved = True
            self.tree.save(self._stats)
            _keep_newest(self._folder)
        elif self.tree.due() <= 0:
            self.tree.listing(everything=True)
        return self.tree.due()

    def learn(self, part: Holding, listing: Listing) -> tuple[str, ...]:
        """Have a part know every content of a listing, a few of them in memory only until nobody asks; sentences about
        those it does not know.
        """
        bad, waiting = poisoned(self._folder), self._pending[part.name]
        notes: tuple[str, ...] = ()
        if bad:
            paths = [file.path for file in listing.files if file.digest in bad]
            notes = tuple(f"{path}: not indexed, reading it ended the reader" for path in paths)
        if waiting:
            # What was edited once more is dropped: its path no longer holds what its digest says.
            self._late = {
                digest: (own, file)
                for digest, (own, file) in self._late.items()
                if listing.by_path.get(file.path) == file
            }
            unknown = [file for file in part.missing(waiting.values()) if file.digest not in bad]
            few = [file for file in unknown if file.digest not in self._late]
            if len(few) + len(self._late) <= _FEW:
                part.hold(self._contents(few), keep=self._late)
                self._late.update({file.digest: (part, file) for file in few})
            else:
                self.learn_some(part, waiting.values())
            waiting.clear()
        return notes

    def _learn_late(self) -> None:
        """Have parts store what they hold in memory, as far as it is still there."""
        now = self.listing().by_path
        late, self._late = self._late, {}
        for part in {id(part): part for part, _ in late.values()}.values():
            mine = [file for own, file in late.values() if own is part]
            self.learn_some(part, [file for file in mine if now.get(file.path) == file])

    def learn_some(self, part: Part, files: Collection[SourceFile]) -> None:
        """Have a part know some contents, for a question that needs no more."""
        bad = poisoned(self._folder)
        wanted = [file for file in files if file.size <= MAX_FILE and file.digest not in bad]
        if part.missing(wanted):
            with locked(self._folder):
                missing = part.missing(wanted)
                for start in range(0, len(missing), _BATCH):
                    self._add(part, missing[start : start + _BATCH])

    def _add(self, part: Part, files: list[SourceFile]) -> None:
        if isinstance(part, Spelled) and len(files) >= self._many:
            part.add_bodies(beside.Bodies(self.tree.root, files, self._contents))
        else:
            part.add(self._contents(files))

    def _contents(self, files: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, bytes]]:
        marker = os.open(self._current, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for file, data in self.tree.contents(files):
                os.pwrite(marker, file.digest.encode().ljust(_DIGEST), 0)
                signal.setitimer(signal.ITIMER_REAL, beside.SECONDS_A_FILE)
                yield file, data
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.close(marker)
            self._current.unlink(missing_ok=True)

    def _open(self, part: Part) -> None:
        place = self._folder / f"{part.name}-{part.version}"
        place.mkdir(exist_ok=True)
        try:
            part.open(place)
        except DamagedIndex:
            shutil.rmtree(place)
            place.mkdir()
            part.open(place)


def _keep_newest(folder: Path) -> None:
    """Remove the listings of places that were left: each job's copy lies somewhere else."""
    found = sorted(folder.glob("listing.*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[_LISTINGS:]:
        path.unlink(missing_ok=True)
