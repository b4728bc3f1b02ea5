"""What the parts of retrieval share: files, hits, the parts of an index, and where an index lies. No I/O here.

An index is made of contents, not of paths: each part stores what it learnt under the digest of a content and never
removes it, so that branches, worktrees and undone edits cost nothing. A query gets the listing of now and tells only
what is in it. What nobody asked for is collected with the whole index, by age and size.

On disk, below the cache folder of the harness (never in a workspace):

    retrieval/v1/<key of the repository>/     used = its mtime, for collection
        lock                                  flock: exclusive while parts are written
        listing.*                             files of the last listing with their stat, to hash only what changed
        <part>-<version>/                     belongs to the part alone; deleted and made again when it is damaged
        poison                                a digest a line: contents that ended a worker, not tried again
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

MAX_FILE = 1_000_000
"""Bytes of a file that is indexed. Greater ones are searched as text (`searchText`), and said to be left out else."""

MAX_LINE = 300
"""Characters of a line that is shown; what is longer is cut."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file below the root. `path` is relative, with `/`; undecodable bytes are surrogate escapes.

    `digest` is git's blob id of its content, in hex; `size` is in bytes; `language` is a lower-case name such as
    `python`, "" where nobody knows it.
    """

    path: str
    digest: str
    size: int
    language: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """All files that may be searched, sorted by path. `digest` is another one for another listing of one root.

    `notes` are sentences about what was left out (a link that leads out, an unreadable folder). `changed` are the paths
    that came, went or changed since the listing `before`; where `before` is "", that is not known.
    """

    files: tuple[SourceFile, ...]
    digest: str
    notes: tuple[str, ...] = ()
    by_path: Mapping[str, SourceFile] = field(default_factory=dict, compare=False)
    before: str = field(default="", compare=False)
    changed: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class Hit:
    """A place worth reading: lines `line` to `end_line` (from 1), the text shown, and why it is here, in few words.

    `score` is comparable within one answer only; more is better.
    """

    path: str
    line: int
    end_line: int
    text: str = ""
    score: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one query: the best hits, how many there are in all (-1: not counted), and what to know of it.

    `notes` say what was left out and how to get it.
    """

    hits: tuple[Hit, ...]
    total: int = -1
    notes: tuple[str, ...] = ()


class Contents(Protocol):
    """The bytes of listed files, opened without leaving the root."""

    def read(self, file: SourceFile, limit: int = MAX_FILE) -> bytes | None:
        """At most `limit` bytes as they are now; None where the file is gone or cannot be read."""
        ...

    def contents(self, files: Iterable[SourceFile], limit: int = MAX_FILE) -> Iterator[tuple[SourceFile, bytes]]:
        """As `read`, of many files; quick where those of one folder come together. Files that are gone are missing."""
        ...


class Words(Protocol):
    """Which files hold a word, from the index: quick, also in 100,000 files."""

    def files_with(self, words: Collection[str], listing: Listing, *, limit: int) -> tuple[SourceFile, ...]:
        """Files that hold all `words` (whole identifiers, case ignored), in the order of their paths.

        A superset: read the file to be sure.
        """
        ...


class Part(Protocol):
    """One kind of knowledge about contents. One thread of the worker uses it; another process may use the folder."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Counted up when what is stored changes its form or meaning."""
        ...

    def open(self, folder: Path) -> None:
        """Use a folder that exists, empty at first.

        Raises: DamagedIndex where what lies there cannot be used; the folder is then emptied and opened again.
        """
        ...

    def missing(self, files: Collection[SourceFile]) -> list[SourceFile]:
        """The files whose contents it does not know yet, one a digest."""
        ...

    def add(self, contents: Iterable[tuple[SourceFile, bytes]]) -> None:
        """Learn contents and store them durably; called with the index's lock held.

        What was learnt before an interruption may be lost, but never leaves the folder unusable unnoticed.
        """
        ...

    def close(self) -> None: ...


class Holding(Part, Protocol):
    """A part that can know contents in memory before it stores them."""

    def hold(self, contents: Iterable[tuple[SourceFile, bytes]], keep: Collection[str]) -> None:
        """Have contents in answers from now on; `add` is given them later. Of what is held already, `keep` stays."""
        ...


class Bodies(Protocol):
    """Contents as what is indexed of them; once all are given out, the words in them."""

    def __iter__(self) -> Iterator[tuple[SourceFile, str]]: ...

    def words(self) -> set[bytes]: ...


@runtime_checkable
class Spelled(Part, Protocol):
    """A part that takes contents as words, which another process can make."""

    def add_bodies(self, bodies: Bodies) -> None:
        """As `add`, the words already made."""
        ...


class DamagedIndex(Exception):
    """What lies on disk is no index of ours, or a broken one."""


class Rejected(Exception):
    """A query that cannot be answered as it is; the text says why and what to do."""
