"""The symbols of contents as a part of the index: outlines by digest in one SQLite file, names looked up by index.

It learns what it is given and never parses anew what it knows. Which files there are now is the listing's matter.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from itertools import islice
from pathlib import Path
from typing import TypeVar

from perstack.context.retrieval.contract import DamagedIndex, SourceFile
from perstack.context.retrieval.languages import LANGUAGES, language_of
from perstack.context.retrieval.outline import Definition, Outline, read

_BATCH = 500
_KEPT = 20_000
_Item = TypeVar("_Item")
_SCHEMA = """
create table if not exists content (id integer primary key, digest text not null, language text not null,
                                    outline blob not null, unique (digest, language));
create table if not exists definition (name text not null, content integer not null,
                                       primary key (name, content)) without rowid;
"""


class SymbolIndex:
    """A `contract.Part`. Languages are told by path: a digest counts once for each language it was read in."""

    name = "symbols"
    version = 1

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None
        self._outlines: dict[tuple[str, str], Outline] = {}

    def open(self, folder: Path) -> None:
        """Use a folder of this part. Raises: DamagedIndex."""
        with _damage():
            self._database = sqlite3.connect(folder / "symbols.sqlite", timeout=10.0)
            self._database.executescript(f"pragma journal_mode=wal; pragma synchronous=normal; {_SCHEMA}")

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None
        self._outlines.clear()

    def missing(self, files: Collection[SourceFile]) -> list[SourceFile]:
        """Files in a language that is read here, whose contents are not known yet; one a digest and language."""
        wanted = {key: file for file in files if (key := _key(file))[1]}
        known = self._ids(wanted)
        return [file for key, file in wanted.items() if key not in known]

    def add(self, contents: Iterable[tuple[SourceFile, bytes]]) -> None:
        """Read outlines and store them, some hundred a transaction."""
        source, more = iter(contents), True
        while more:
            more = False
            with _damage(), self._open:
                # One at a time: whoever hands them out bounds the time of each, and knows which one is being read.
                for file, data in islice(source, _BATCH):
                    more = True
                    digest, language = _key(file)
                    if language:
                        self._store(digest, language, read(language, data))

    def outlines(self, files: Collection[SourceFile]) -> Mapping[str, Outline]:
        """Outlines by path, of those files that are known."""
        keys = {file.path: _key(file) for file in files}
        if len(self._outlines) > _KEPT:
            self._outlines.clear()
        fresh = {key for key in keys.values() if key[1] and key not in self._outlines}
        with _damage():
            for group in _batches(sorted(fresh)):
                marks = ",".join("?" * len(group))
                rows = self._open.execute(
                    f"select digest, language, outline from content where digest in ({marks})",  # noqa: S608
                    [digest for digest, _ in group],
                )
                self._outlines.update({(digest, language): _unpack(blob) for digest, language, blob in rows})
        return {path: self._outlines[key] for path, key in keys.items() if key in self._outlines}

    def defining(self, name: str, files: Sequence[SourceFile], *, prefix: bool = False) -> list[SourceFile]:
        """Those of `files` that define a name (case ignored), or one that begins with it."""
        folded = name.lower()
        condition = "name >= ? and name < ?" if prefix else "name = ?"
        values = (folded, f"{folded}\U0010ffff") if prefix else (folded,)
        with _damage():
            rows = self._open.execute(
                f"select distinct digest, language from definition join content on id = content where {condition}",  # noqa: S608
                values,
            )
            found = set(rows)
        return [file for file in files if _key(file) in found]

    @property
    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise DamagedIndex("the symbol index is not open")
        return self._database

    def _ids(self, wanted: Mapping[tuple[str, str], SourceFile]) -> set[tuple[str, str]]:
        known: set[tuple[str, str]] = set()
        with _damage():
            for group in _batches(sorted({digest for digest, _ in wanted})):
                marks = ",".join("?" * len(group))
                rows = self._open.execute(f"select digest, language from content where digest in ({marks})", group)  # noqa: S608
                known.update(rows)
        return known

    def _store(self, digest: str, language: str, outline: Outline) -> None:
        cursor = self._open.execute(
            "insert or ignore into content (digest, language, outline) values (?, ?, ?)",
            (digest, language, _pack(outline)),
        )
        if cursor.rowcount == 1:
            names = {definition.name.lower() for definition in outline.definitions}
            self._open.executemany(
                "insert or ignore into definition values (?, ?)", [(name, cursor.lastrowid) for name in sorted(names)]
            )


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    source = iter(items)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _key(file: SourceFile) -> tuple[str, str]:
    language = language_of(file.path)
    return file.digest, language if language in LANGUAGES else ""


def _pack(outline: Outline) -> bytes:
    body = [[astuple(each) for each in outline.definitions], dict(outline.names), outline.partial]
    return zlib.compress(json.dumps(body, separators=(",", ":")).encode("utf-8", "surrogatepass"), 1)


def _unpack(blob: bytes) -> Outline:
    try:
        definitions, names, partial = json.loads(zlib.decompress(blob))
        lines = {name: tuple(at) for name, at in names.items()}
        return Outline(tuple(Definition(*each) for each in definitions), lines, partial)
    except (zlib.error, ValueError, TypeError) as error:
        raise DamagedIndex(f"an outline in the symbol index cannot be read: {error}") from error


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise DamagedIndex(f"the symbol index cannot be used: {error}") from error
