"""Questions about names: where one is defined, where it is used and by whom, what a file holds. No I/O of its own.

Names are told apart by spelling, not by types: two methods of one name are both told, those that fit a qualified
name first. Only what the listing holds now is told.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from perstack.context.retrieval.contract import Found, Hit, Listing, Rejected, SourceFile, Words
from perstack.context.retrieval.languages import language_of
from perstack.context.retrieval.outline import Definition, Outline

MAX_FILES = 2_000
"""Files that one question about a name looks into; a name in more of them is told in part."""


class Symbols(Protocol):
    """What is known of contents: `symbols.SymbolIndex`."""

    def outlines(self, files: Collection[SourceFile]) -> Mapping[str, Outline]: ...


Learn = Callable[[Collection[SourceFile]], None]
"""Brings the symbols of some files into the index, where they are not in it."""


class Names:
    """Answers about one listing. Outlines are made when first asked for: `words` says which files can matter."""

    def __init__(self, listing: Listing, words: Words, symbols: Symbols, learn: Learn) -> None:
        self._listing = listing
        self._words = words
        self._symbols = symbols
        self._learn = learn

    def definitions(self, name: str, *, kind: str = "", path: str = "", limit: int = 20) -> Found:
        """Where a name is defined. `name` may be qualified (`Class.method`, `a::b`); `kind` and `path` (a glob or a
        folder) narrow it. Prototypes come after what has a body.

        Raises: Rejected for a name that cannot be one.
        """
        parts = _parts(name)
        outlines, notes = self._looked(parts[-1], path)
        hits = [
            Hit(file, each.line, each.end, each.signature, _closeness(each, parts), f"{each.kind} {each.qualified}")
            for file, outline in outlines.items()
            for each in outline.definitions
            if _fits(each, parts) and kind in {"", each.kind}
        ]
        return _best(hits, limit, notes)

    def references(self, name: str, *, path: str = "", limit: int = 50) -> Found:
        """Where a name is used, and inside which definition; the definitions themselves are left out.

        Raises: Rejected for a name that cannot be one.
        """
        last = _parts(name)[-1]
        outlines, notes = self._looked(last, path)
        hits = []
        for file, outline in outlines.items():
            for line in outline.names.get(last, ()):
                inside = outline.around(line)
                hits.append(
                    Hit(file, line, line, why=f"in {inside.kind} {inside.qualified}" if inside else "in the file")
                )
        return _best(hits, limit, notes)

    def outline(self, path: str) -> Found:
        """All definitions of one file, in order.

        Raises: Rejected where there is no such file, or no grammar for it.
        """
        file = self._listing.by_path.get(path)
        if file is None:
            raise Rejected(f"no file {path} in the repository: name a path as the other tools show it")
        if not language_of(path):
            raise Rejected(f"{path}: symbols of this kind of file are not read; read it or search its text")
        self._learn([file])
        known = self._symbols.outlines([file]).get(path)
        if known is None:
            return Found((), 0, (f"{path} could not be read as code",))
        hits = tuple(
            Hit(path, each.line, each.end, each.signature, why=f"{each.kind} {each.qualified}")
            for each in known.definitions
        )
        return Found(
            hits, len(hits), ("the file has syntax errors: this is what its sound parts hold",) * known.partial
        )

    def _looked(self, word: str, path: str) -> tuple[Mapping[str, Outline], tuple[str, ...]]:
        files = self._words.files_with([word], self._listing, limit=MAX_FILES + 1)
        notes = (f"the name is in more than {MAX_FILES} files; not all were looked at: narrow it with path",)
        cut = len(files) > MAX_FILES
        files = tuple(file for file in files[:MAX_FILES] if language_of(file.path) and _below(file.path, path))
        self._learn(files)
        return self._symbols.outlines(files), notes if cut else ()


def _parts(name: str) -> list[str]:
    parts = [part for part in name.strip().replace("::", ".").replace("#", ".").replace("->", ".").split(".") if part]
    if not parts or any(character.isspace() for character in name.strip()):
        raise Rejected(f"not a name: {name!r}; give one identifier, with the names around it where you know them (A.b)")
    return [part.removesuffix("()") for part in parts]


def _fits(each: Definition, parts: list[str]) -> bool:
    return each.name == parts[-1] or each.name.lower() == parts[-1].lower()


def _closeness(each: Definition, parts: list[str]) -> float:
    own = each.qualified.split(".")
    same = 0
    for mine, asked in zip(reversed(own), reversed(parts), strict=False):
        if mine != asked:
            break
        same += 1
    return same - (0.5 if each.kind == "prototype" else 0.0)


def _below(path: str, wanted: str) -> bool:
    folder = wanted.rstrip("/")
    return not folder or path == folder or path.startswith(f"{folder}/") or fnmatch.fnmatchcase(path, wanted)


def _best(hits: list[Hit], limit: int, notes: tuple[str, ...]) -> Found:
    hits.sort(key=lambda hit: (-hit.score, hit.path, hit.line))
    if len(hits) > limit:
        notes += (f"{len(hits) - limit} more: narrow it with path, or ask for more with limit",)
    return Found(tuple(hits[:limit]), len(hits), notes)
