"""Which files may be searched, and what they hold: walks a root below its ignore rules, hashes what changed.

Threat: links, loops, FIFOs and swapped folders in a workspace that somebody writes to meanwhile. Nothing is followed,
every file is opened beneath the root, and only regular files are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from perstack.context.retrieval.contract import MAX_FILE, Listing, SourceFile
from perstack.context.retrieval.languages import language_of
from perstack.infrastructure.beneath import open_beneath

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_NEVER = frozenset({".git", ".hg", ".svn"})
_RULES = (".gitignore", ".ignore")
_MAX_RULES = 200_000
_FRESH_NS = 2_000_000_000  # a file that changed so shortly before it was hashed may change again unnoticed

_Stat = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Rules:
    """Ignore rules of one folder. `base` is its path with a trailing slash, "" for the root."""

    base: str
    spec: GitIgnoreSpec


@dataclass(slots=True)
class Tree:
    """The files below one root, remembered between two looks. `skip` are names at the root that are not looked at."""

    root: Path
    skip: frozenset[str] = frozenset({"perstack"})
    _known: dict[str, tuple[_Stat, SourceFile]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)
    _listing: Listing = field(default_factory=lambda: Listing((), ""))

    def read(self, file: SourceFile, limit: int = MAX_FILE) -> bytes | None:
        """At most `limit` bytes of a listed file as they are now."""
        return self._bytes(file.path, limit)

    def listing(self) -> Listing:
        """The files of now. Only what has another stat than before is read again."""
        self._notes = []
        root = os.open(self.root, _FOLDER | os.O_CLOEXEC)
        try:
            found = dict(self._files(root))
            before, known = self._known, {}
            for path, about in found.items():
                old = before.get(path)
                entry = old if old and old[0] == about else self._hashed(root, path, about)
                if entry is not None:
                    known[path] = entry
        finally:
            os.close(root)
        if known != before or not self._listing.digest:
            self._known = known
            files = tuple(known[path][1] for path in sorted(known))
            named = hashlib.sha256()
            for file in files:
                named.update(f"{file.digest} {file.path}\0".encode("utf-8", "surrogateescape"))
            self._listing = Listing(files, named.hexdigest(), tuple(self._notes), {file.path: file for file in files})
        return self._listing

    def save(self, place: Path) -> None:
        """Keep what was hashed, for the next process over this root."""
        rows = [(path, *about, file.digest) for path, (about, file) in self._known.items()]
        temporary = place.with_suffix(f".{os.getpid()}")
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
                    self._known[path] = ((size, changed, born, inode), file)
        except (OSError, ValueError, TypeError):
            self._known.clear()

    def _files(self, root: int) -> Iterator[tuple[str, _Stat]]:
        pending: list[tuple[str, tuple[_Rules, ...]]] = [("", self._excludes())]
        while pending:
            folder, rules = pending.pop()
            entries = self._entries(root, folder)
            names = {name for name, _ in entries}
            for name in _RULES:
                if name in names:
                    rules = (*rules, *self._rules(folder, name))
            for name, about in entries:
                if name in _NEVER or (not folder and name in self.skip):
                    continue
                path = f"{folder}{name}"
                is_folder = stat.S_ISDIR(about.st_mode)
                if not (is_folder or stat.S_ISREG(about.st_mode)) or _ignored(path, rules, is_folder=is_folder):
                    continue
                if is_folder:
                    pending.append((f"{path}/", rules))
                else:
                    yield path, (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)

    def _entries(self, root: int, folder: str) -> list[tuple[str, os.stat_result]]:
        try:
            fd = open_beneath(root, folder or ".", _FOLDER)
        except OSError as error:
            self._notes.append(f"{folder or '.'}: not searched ({error.strerror})")
            return []
        found = []
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    try:
                        found.append((entry.name, entry.stat(follow_symlinks=False)))
                    except FileNotFoundError:
                        continue
        finally:
            os.close(fd)
        return found

    def _excludes(self) -> tuple[_Rules, ...]:
        return self._rules("", ".git/info/exclude")

    def _rules(self, folder: str, name: str) -> tuple[_Rules, ...]:
        data = self._bytes(f"{folder}{name}", _MAX_RULES)
        if not data:
            return ()
        spec = GitIgnoreSpec.from_lines(_patterns(data))
        return (_Rules(folder, spec),)

    def _hashed(self, root: int, path: str, about: _Stat) -> tuple[_Stat, SourceFile] | None:
        size = about[0]
        if size > MAX_FILE:  # not indexed: its digest only has to change when it does
            digest = hashlib.sha1(repr(about).encode(), usedforsecurity=False).hexdigest()
        else:
            data = self._bytes(path, MAX_FILE, root)
            if data is None:
                return None
            digest = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        return about, SourceFile(path, digest, size, language_of(path))

    def _bytes(self, path: str, limit: int, root: int = -1) -> bytes | None:
        own = os.open(self.root, _FOLDER | os.O_CLOEXEC) if root < 0 else root
        try:
            fd = open_beneath(own, path, _READ)
            with os.fdopen(fd, "rb") as file:
                return file.read(limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        except OSError:
            return None
        finally:
            if root < 0:
                os.close(own)


def hidden(path: str) -> bool:
    """Whether a name on the way begins with a dot."""
    return path.startswith(".") or "/." in path


def _patterns(data: bytes) -> list[str]:
    """The lines that are patterns; one that is none must not take the others with it."""
    kept = []
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        kept.append(line)
    return kept


def _ignored(path: str, rules: tuple[_Rules, ...], *, is_folder: bool) -> bool:
    """The deepest rule that says anything decides; `.ignore` of a folder comes after its `.gitignore`."""
    name = f"{path}/" if is_folder else path
    for each in reversed(rules):
        include = each.spec.check_file(name[len(each.base) :]).include
        if include is not None:
            return include
    return False
