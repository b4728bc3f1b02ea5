"""One repository's index, kept up with its files: lists, lets each part learn what is new, and answers from them.

Runs in the worker. A content that is being learnt is named in a file first, so that whoever finds the worker dead knows
which one it was.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from perstack.context.retrieval.cache import locked, poisoned
from perstack.context.retrieval.contract import MAX_FILE, DamagedIndex, Listing, Part, SourceFile
from perstack.context.retrieval.listing import Tree

_SECONDS_A_FILE = 20.0
_DIGEST = 40
_BATCH = 20_000  # contents a commit: what an interruption can cost


class RepositoryIndex:
    """The parts over one root. `folder` is this repository's, from `cache.folder_of`."""

    def __init__(self, root: Path, folder: Path, parts: Iterable[Part]) -> None:
        self.tree = Tree(root)
        self._folder = folder
        self._parts = tuple(parts)
        self._learnt: dict[str, str] = {}
        self._saved = ""
        name = os.fsencode(root).hex()[-60:]
        self._stats = folder / f"listing.{name}"
        self.tree.load(self._stats)
        with locked(folder):
            for part in self._parts:
                self._open(part)

    def listing(self) -> Listing:
        """The files of now."""
        found = self.tree.listing()
        if found.digest != self._saved:
            if not self._saved:
                self.tree.save(self._stats)
            self._saved = found.digest
        return found

    def learn(self, part: Part, listing: Listing) -> tuple[str, ...]:
        """Have a part know every content of a listing; sentences about those it does not."""
        bad = poisoned(self._folder)
        notes = tuple(f"{f.path}: not indexed, reading it ended the reader" for f in listing.files if f.digest in bad)
        if self._learnt.get(part.name) == listing.digest:
            return notes
        files = [file for file in listing.files if file.size <= MAX_FILE and file.digest not in bad]
        if part.missing(files):
            with locked(self._folder):
                missing = part.missing(files)
                for start in range(0, len(missing), _BATCH):
                    part.add(self._contents(missing[start : start + _BATCH]))
        self._learnt[part.name] = listing.digest
        return notes

    def learn_some(self, part: Part, files: Collection[SourceFile]) -> None:
        """Have a part know some contents, for a question that needs no more."""
        bad = poisoned(self._folder)
        wanted = [file for file in files if file.size <= MAX_FILE and file.digest not in bad]
        if part.missing(wanted):
            with locked(self._folder):
                part.add(self._contents(part.missing(wanted)))

    def _contents(self, files: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, bytes]]:
        marker = os.open(current_file(self._folder, os.getpid()), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for file in files:
                data = self.tree.read(file)
                if data is None:
                    continue
                os.pwrite(marker, file.digest.encode().ljust(_DIGEST), 0)
                signal.setitimer(signal.ITIMER_REAL, _SECONDS_A_FILE)
                yield file, data
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.close(marker)
            current_file(self._folder, os.getpid()).unlink(missing_ok=True)

    def _open(self, part: Part) -> None:
        place = self._folder / f"{part.name}-{part.version}"
        place.mkdir(exist_ok=True)
        try:
            part.open(place)
        except DamagedIndex:
            shutil.rmtree(place)
            place.mkdir()
            part.open(place)


def current_file(folder: Path, pid: int) -> Path:
    """Where a worker names the content it is learning."""
    return folder / f"current.{pid}"
