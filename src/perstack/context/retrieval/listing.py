"""Which files may be searched, and what they hold: walks a root below its ignore rules, hashes what changed.

Between two looks the system tells which folders changed (`watch.py`); only those are read again, and everything now and
then. Threat: links, loops, FIFOs and swapped folders in a workspace that somebody writes to meanwhile. Nothing is
followed, every file is opened beneath the root, and only regular files are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from perstack.context.retrieval.contract import MAX_FILE, Listing, SourceFile
from perstack.context.retrieval.ignoring import RULE_FILES, Rules, ignored, rules_of
from perstack.context.retrieval.languages import language_of
from perstack.context.retrieval.paths import revised
from perstack.context.retrieval.watch import FolderWatch
from perstack.infrastructure.beneath import open_beneath

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEVER = frozenset({".git", ".hg", ".svn"})
_MAX_RULES = 200_000
_FRESH_NS = 2_000_000_000  # what another process hashed so shortly after a change is not taken over
_RACY_NS = 50_000_000  # a file hashed so shortly after its change may change again with the same times
_ALL_S, _ALL_SHARE = 10.0, 50.0  # everything is looked at again after so long, and for at most 1/50 of the time

_Stat = tuple[int, int, int, int]


@dataclass(slots=True)
class _Folder:
    """One folder as it was seen: the rules that hold in it, its files with their stat, what of it is ignored."""

    inherited: tuple[Rules, ...]
    rules: tuple[Rules, ...]
    said: tuple[_Stat | None, ...]
    files: dict[str, tuple[_Stat, SourceFile, bool]] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)  # with their inodes: one may take another's place
    ignored: dict[tuple[str, bool], bool] = field(default_factory=dict)


class Tree:
    """The files below one root, remembered between two looks. `skip` are names at the root that are not looked at."""

    def __init__(self, root: Path, skip: frozenset[str] = frozenset({"perstack"})) -> None:
        self.root, self._skip = root, skip
        self._folders: dict[str, _Folder] = {}
        self._known: dict[str, SourceFile] = {}
        self._kept: dict[str, tuple[_Stat, SourceFile]] = {}
        self._notes: dict[str, str] = {}
        self._fresh: list[SourceFile] = []
        self._changes = 0
        self._changed: set[str] = set()
        self._listing = Listing((), "")
        self._watch: FolderWatch | None = None
        self._place = (0, 0)
        self._looked, self._took = 0.0, 0.0

    def read(self, file: SourceFile, limit: int = MAX_FILE) -> bytes | None:
        """At most `limit` bytes of a listed file as they are now."""
        root = os.open(self.root, _FOLDER)
        try:
            fd = open_beneath(root, file.path, _READ)
            try:
                return _regular(fd, limit)
            finally:
                os.close(fd)
        except OSError:
            return None
        finally:
            os.close(root)

    def contents(self, files: Iterable[SourceFile], limit: int = MAX_FILE) -> Iterator[tuple[SourceFile, bytes]]:
        """At most `limit` bytes of each file that can be read; quick where files of one folder come together."""
        root = os.open(self.root, _FOLDER)
        folder, opened = -1, ""
        try:
            for file in files:
                parent, _, name = file.path.rpartition("/")
                try:
                    if folder < 0 or parent != opened:
                        if folder >= 0:
                            os.close(folder)
                            folder = -1
                        folder, opened = open_beneath(root, parent or ".", _FOLDER), parent
                    data = _contents(folder, name, limit)
                except OSError:
                    continue
                if data is not None:
                    yield file, data
        finally:
            if folder >= 0:
                os.close(folder)
            os.close(root)

    def due(self) -> float:
        """Seconds until everything should be looked at again, though nobody told of a change."""
        return max(0.0, self._looked + max(_ALL_S, _ALL_SHARE * self._took) - time.monotonic())

    def listing(self, *, everything: bool = False) -> Listing:
        """The files of now. Only what has another stat than before is read again."""
        root = os.open(self.root, _FOLDER)
        try:
            about = os.fstat(root)
            place = (about.st_dev, about.st_ino)
            if self._watch is None or place != self._place:
                if self._watch is not None:
                    self._watch.close()
                self._watch, self._place = FolderWatch(root), place
            changed = self._watch.changed()
            if everything or changed is None or not self._listing.digest:
                self._all(root)
            else:
                self._some(root, changed)
        finally:
            os.close(root)
        if self._changes or not self._listing.digest:
            self._tell()
        return self._listing

    def fresh(self) -> list[SourceFile]:
        """Files that came or changed since this was asked last."""
        found, self._fresh = self._fresh, []
        return found

    def save(self, place: Path) -> None:
        """Keep what was hashed, for the next process over this root."""
        rows = [
            (f"{folder}{name}", *about, file.digest)
            for folder, held in self._folders.items()
            for name, (about, file, _) in held.files.items()
        ]
        temporary = place.with_suffix(f".{os.urandom(8).hex()}")
        temporary.write_text(json.dumps(rows), "utf-8")
        temporary.replace(place)

    def load(self, place: Path) -> None:
        """Use what `save` kept; what cannot be read is no loss."""
        try:
            rows = json.loads(place.read_text("utf-8"))
            written = place.stat().st_mtime_ns
            for path, size, changed, born, inode, digest in rows:
                if max(changed, born) < written - _FRESH_NS:
                    file = SourceFile(path, digest, size, language_of(path))
                    self._kept[path] = ((size, changed, born, inode), file)
        except (OSError, ValueError, TypeError):
            self._kept.clear()

    def _tell(self) -> None:
        before, known = self._listing, self._known.copy()
        files = revised(before.files, self._changed, known)
        changed, number = frozenset(self._changed), int(before.digest or "0") + 1
        self._listing = Listing(files, str(number), tuple(self._notes.values()), known, before.digest, changed)
        self._changes, self._changed = 0, set()

    def _all(self, root: int) -> None:
        started = time.monotonic()
        exclude = self._rules(root, "", ".git/info/exclude")
        pending: list[tuple[str, tuple[Rules, ...]]] = [("", exclude)]
        while pending:
            pending += self._look(root, *pending.pop(), children=True)
        self._kept = {}
        self._looked = time.monotonic()
        self._took = self._looked - started

    def _some(self, root: int, changed: Iterable[str]) -> None:
        pending = [(name, self._folders[name].inherited) for name in sorted(changed) if name in self._folders]
        while pending:
            name, rules = pending.pop()
            if name == "" or self._reached(name):
                pending += self._look(root, name, rules, children=False)

    def _reached(self, name: str) -> bool:
        """Whether a folder is still one of those that are searched."""
        parent, _, last = name[:-1].rpartition("/")
        above = self._folders.get(f"{parent}/" if parent else "")
        return above is not None and last in above.folders

    def _look(
        self, root: int, name: str, inherited: tuple[Rules, ...], *, children: bool
    ) -> list[tuple[str, tuple[Rules, ...]]]:
        """See one folder anew; the folders in it that have to be seen too: new ones, or all (`children`)."""
        try:
            fd = open_beneath(root, name or ".", _FOLDER)
        except OSError as error:
            self._drop(name)
            self._notes[name] = f"{name or '.'}: not searched ({error.strerror})"
            self._changes += 1
            return []
        try:
            if self._watch is not None:
                self._watch.add(fd, name)
            entries = _entries(fd)
            held, same = self._held(root, name, inherited, dict(entries))
            below = self._files(fd, name, held, entries)
        finally:
            os.close(fd)
        self._notes.pop(name, None)
        for each, inode in held.folders.items():
            if below.get(each) != inode:
                self._drop(f"{name}{each}/")
        held.folders = below
        paths = (f"{name}{each}/" for each in sorted(below))
        return [(path, held.rules) for path in paths if children or not same or path not in self._folders]

    def _held(
        self, root: int, name: str, inherited: tuple[Rules, ...], entries: dict[str, os.stat_result]
    ) -> tuple[_Folder, bool]:
        """What is known of a folder, and whether the rules in it are the ones of before."""
        said = tuple(_stat(entries[rule]) if rule in entries else None for rule in RULE_FILES)
        old = self._folders.get(name)
        if old is not None and old.said == said and old.inherited == inherited:
            return old, True
        rules = inherited
        for rule, there in zip(RULE_FILES, said, strict=True):
            if there is not None:
                rules = (*rules, *self._rules(root, name, rule))
        new = _Folder(inherited, rules, said)
        if old is not None:
            new.files, new.folders = old.files, old.folders
        self._folders[name] = new
        return new, False

    def _files(self, fd: int, base: str, held: _Folder, entries: list[tuple[str, os.stat_result]]) -> dict[str, int]:
        """Bring a folder's files up to date; the folders in it that are searched, with their inodes."""
        before, held.files, below = held.files, {}, dict[str, int]()
        for name, about in entries:
            if name in _NEVER or (not base and name in self._skip):
                continue
            is_folder = stat.S_ISDIR(about.st_mode)
            if not (is_folder or stat.S_ISREG(about.st_mode)) or _left_out(name, base, held, is_folder=is_folder):
                continue
            if is_folder:
                below[name] = about.st_ino
                continue
            entry = self._entry(fd, base, name, about, before.get(name))
            if entry is not None:
                held.files[name] = entry
        for name in before.keys() - held.files.keys():
            self._forget(f"{base}{name}")
        return below

    def _entry(
        self, fd: int, base: str, name: str, about: os.stat_result, old: tuple[_Stat, SourceFile, bool] | None
    ) -> tuple[_Stat, SourceFile, bool] | None:
        seen = _stat(about)
        if old is not None and old[0] == seen and not old[2]:
            return old
        path = f"{base}{name}"
        kept = self._kept.get(path)
        if kept is not None and kept[0] == seen:
            file, racy = kept[1], False
        else:
            racy = time.time_ns() - max(about.st_mtime_ns, about.st_ctime_ns) < _RACY_NS
            digest = _digest(fd, name, seen)
            if digest is None:
                return None
            file = SourceFile(path, digest, about.st_size, language_of(path))
        if old is None or old[1] != file:
            self._known[path] = file
            self._fresh.append(file)
            self._changed.add(path)
            self._changes += 1
        return seen, file, racy

    def _forget(self, path: str) -> None:
        if self._known.pop(path, None) is not None:
            self._changed.add(path)
        self._changes += 1

    def _drop(self, name: str) -> None:
        """Forget a folder and what is below it."""
        pending = [name]
        while pending:
            folder = pending.pop()
            held = self._folders.pop(folder, None)
            self._notes.pop(folder, None)
            if held is None:
                continue
            for file in held.files:
                self._forget(f"{folder}{file}")
            self._changes += 1
            pending += [f"{folder}{each}/" for each in held.folders]

    def _rules(self, root: int, folder: str, name: str) -> tuple[Rules, ...]:
        try:
            fd = open_beneath(root, f"{folder}{name}", _READ)
        except OSError:
            return ()
        try:
            return rules_of(folder, _regular(fd, _MAX_RULES) or b"")
        except OSError:
            return ()
        finally:
            os.close(fd)


def hidden(path: str) -> bool:
    """Whether a name on the way begins with a dot."""
    return path.startswith(".") or "/." in path


def _entries(folder: int) -> list[tuple[str, os.stat_result]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                found.append((entry.name, entry.stat(follow_symlinks=False)))
            except OSError:  # gone meanwhile
                continue
    return found


def _left_out(name: str, base: str, held: _Folder, *, is_folder: bool) -> bool:
    if not held.rules:
        return False
    verdict = held.ignored.get((name, is_folder))
    if verdict is None:
        verdict = held.ignored[name, is_folder] = ignored(f"{base}{name}", held.rules, is_folder=is_folder)
    return verdict


def _stat(about: os.stat_result) -> _Stat:
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def _digest(folder: int, name: str, seen: _Stat) -> str | None:
    """Git's blob id; of a file that is too large to be indexed, something that changes when it does."""
    if seen[0] > MAX_FILE:
        return hashlib.sha1(repr(seen).encode(), usedforsecurity=False).hexdigest()
    try:
        data = _contents(folder, name)
    except OSError:
        return None
    if data is None:
        return None
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _contents(folder: int, name: str, limit: int = MAX_FILE) -> bytes | None:
    fd = os.open(name, _READ, dir_fd=folder)
    try:
        return _regular(fd, limit)
    finally:
        os.close(fd)


def _regular(fd: int, limit: int) -> bytes | None:
    """At most `limit` bytes of a regular file."""
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode):
        return None
    wanted = min(limit, max(4096, about.st_size + 1))
    parts = [os.read(fd, wanted)]
    while len(parts[-1]) == wanted and (left := limit - sum(map(len, parts))) > 0:  # it grows; a short read is the end
        wanted = min(left, 1 << 20)
        parts.append(os.read(fd, wanted))
    return parts[0] if len(parts) == 1 else b"".join(parts)
