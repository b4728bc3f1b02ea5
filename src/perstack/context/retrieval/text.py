"""Text search as ripgrep does it: lines that match, by RE2 (linear time, whatever the pattern). Walks nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types

from perstack.context.retrieval.contract import MAX_LINE, Contents, Found, Hit, Listing, Rejected, SourceFile
from perstack.context.retrieval.decoded import text_of
from perstack.context.retrieval.globs import Chosen
from perstack.context.retrieval.pieces import needed
from perstack.context.retrieval.ranked import RankedIndex

_LARGEST = 64_000_000
_SECONDS = 5.0
_FEW = 1_000  # so few contents are looked up at once
_FIRST = 300  # files read before more are looked up: what is common is found in them
_MEMORY = 32 << 20
_LONGEST = 20_000  # characters of a pattern
_BESIDE = 100  # characters before the match, where a line is too long to be shown from its start


@dataclass(frozen=True, slots=True)
class TextQuery:
    """What to look for. `paths` are globs as in `.gitignore` (`!` leaves out); `types` are languages or suffixes."""

    pattern: str
    fixed: bool = False
    word: bool = False
    ignore_case: bool | None = None  # None: smart, as long as the pattern has no capital letter
    paths: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    hidden: bool = False
    context: int = 0
    limit: int = 50
    skip: int = 0


def search_text(
    query: TextQuery,
    listing: Listing,
    contents: Contents,
    index: RankedIndex | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Matching lines in the order of paths. A pattern with a line break may match over several.

    Raises: Rejected where the pattern or a glob is none.
    """
    pattern, files = _compiled(query), _files(query, listing, index)
    deadline, hits, seen, notes = clock() + _SECONDS, list[Hit](), 0, list[str]()
    for file, data in contents.contents(files, _LARGEST):
        text = text_of(data)
        if text is None:
            continue
        for hit in _lines(pattern, file, text.replace(b"\r\n", b"\n"), query.context):
            seen += 1
            if seen <= query.skip:
                continue
            if len(hits) == query.limit:
                notes.append(f"There are more matches: repeat with skip={query.skip + query.limit}, or narrow it down.")
                return Found(tuple(hits), -1, tuple(notes))
            hits.append(hit)
        if file.size > _LARGEST:
            notes.append(f"{file.path}: only its first {_LARGEST // 10**6} MB were searched.")
        if clock() > deadline:
            notes.append(f"Stopped after {_SECONDS:g} s at {file.path}; narrow it down with paths.")
            return Found(tuple(hits), -1, tuple(notes))
    return Found(tuple(hits), seen, tuple(notes))


def _compiled(query: TextQuery) -> Any:
    if not query.pattern:
        raise Rejected("The pattern is empty.")
    if len(query.pattern) > _LONGEST:
        raise Rejected(f"The pattern has {len(query.pattern)} characters, of {_LONGEST}: search for a part of it.")
    options = re2.Options()
    options.never_nl, options.log_errors, options.max_mem = not _breaks(query), False, _MEMORY
    ignore = query.ignore_case
    plain = re.sub(r"\\.", "", query.pattern) if not query.fixed else query.pattern
    options.case_sensitive = not (plain == plain.lower() if ignore is None else ignore)
    text = re2.escape(query.pattern) if query.fixed else query.pattern
    if query.word:
        text = rf"\b(?:{text})\b"
    try:
        return re2.compile(f"(?m){text}", options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args and isinstance(error, re2.error) else "it is not text"
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise Rejected(f"Not a pattern: {said[:300]}. For text as it stands, set fixed.") from None


def _breaks(query: TextQuery) -> bool:
    """Whether a pattern names a line break."""
    return "\n" in query.pattern or (not query.fixed and re.search(r"(?<!\\)(?:\\\\)*\\n", query.pattern) is not None)


def _files(query: TextQuery, listing: Listing, index: RankedIndex | None) -> Iterator[SourceFile]:
    """Files that can match, in the order of their paths.

    What is common is found soon by reading; looking up which of very many contents can match is for what is not.
    """
    chosen = Chosen(query.paths, query.types, hidden=query.hidden)
    files = chosen.among(listing, index.matching if index is not None else None)
    groups = index.words_of(needed(query.pattern, fixed=query.fixed, word=query.word)) if index is not None else []
    return _narrowed(files, chosen, listing, index, groups) if index is not None and groups else files


def _narrowed(
    files: Iterator[SourceFile], chosen: Chosen, listing: Listing, index: RankedIndex, groups: list[list[str]]
) -> Iterator[SourceFile]:
    last = ""
    if index.often(groups[0]) > _FEW:
        for file in islice(files, _FIRST):
            yield file
            last = file.path
        some = list(islice(files, _FEW))
        if len(some) < _FEW:
            yield from some
            return
    yield from (file for file in index.files(index.holding(groups), listing) if file.path > last and file in chosen)


def _lines(pattern: Any, file: SourceFile, data: bytes, context: int) -> Iterator[Hit]:
    position, line, counted = 0, 1, 0
    while position <= len(data) and (found := pattern.search(data, position)):
        at = found.start()
        start = data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", max(at, found.end() - 1))
        end = len(data) if end < 0 else end
        if at == len(data) and start == at and at:  # after the last line break there is no line
            return
        line += data.count(b"\n", counted, start)
        counted, position = start, end + 1
        yield _hit(file.path, data, (start, at, end), line, context)


def _hit(path: str, data: bytes, span: tuple[int, int, int], line: int, context: int) -> Hit:
    start, at, end = span
    top, bottom, first, last = start, end, line, line + data.count(b"\n", start, end)
    for _ in range(context):
        if top == 0:
            break
        top, first = data.rfind(b"\n", 0, top - 1) + 1, first - 1
    for _ in range(context):
        after = data.find(b"\n", bottom + 1)
        if bottom >= len(data) - 1:
            break
        bottom, last = (after if after >= 0 else len(data)), last + 1
    far = start if at - start < MAX_LINE - _BESIDE else at - _BESIDE
    most = 40 * MAX_LINE
    shown = (
        data[max(top, start - most) : start] + ("…".encode() if far > start else b"") + data[far : min(end, far + most)]
    )
    return Hit(
        path, first, last, (shown + data[end : min(bottom, end + most)]).decode("utf-8", "replace"), why=str(line)
    )
