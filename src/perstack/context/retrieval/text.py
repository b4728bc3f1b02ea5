"""Text search as ripgrep does it: lines that match, by RE2 (linear time, whatever the pattern). Walks nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types
from pathspec import GitIgnoreSpec

from perstack.context.retrieval.contract import MAX_LINE, Contents, Found, Hit, Listing, Rejected, SourceFile
from perstack.context.retrieval.listing import hidden
from perstack.context.retrieval.ranked import RankedIndex

_LARGEST = 64_000_000
_SECONDS = 5.0
_CANDIDATES = 16_000  # more are not looked up: soon enough, files read in their order hold what is asked for
_MEMORY = 32 << 20
_UNSURE = re.compile(r"\||\(\?(?!:|i\)|P?<)|\\[QExpP]")


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
    """Matching lines in the order of paths.

    Raises: Rejected where the pattern or a glob is none.
    """
    pattern, wanted = _compiled(query), _filter(query)
    held = _held(query, index)
    deadline, hits, seen, notes = clock() + _SECONDS, list[Hit](), 0, list[str]()
    files: Iterable[SourceFile] = listing.files
    if held is not None and index is not None:
        files = index.files(held, listing)
    for file in files:
        if not wanted(file):
            continue
        data = contents.read(file, _LARGEST)
        if data is None or b"\0" in data[:8192]:
            continue
        for hit in _lines(pattern, file, data, query.context):
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
    options = re2.Options()
    options.never_nl, options.log_errors, options.max_mem = True, False, _MEMORY
    ignore = query.ignore_case
    plain = re.sub(r"\\.", "", query.pattern) if not query.fixed else query.pattern
    options.case_sensitive = not (plain == plain.lower() if ignore is None else ignore)
    text = re2.escape(query.pattern) if query.fixed else query.pattern
    if query.word:
        text = rf"\b(?:{text})\b"
    try:
        return re2.compile(f"(?m){text}", options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not valid"
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise Rejected(f"Not a pattern: {said}. For text as it stands, set fixed.") from None


def _filter(query: TextQuery) -> Callable[[SourceFile], bool]:
    include = [glob for glob in query.paths if not glob.startswith("!")]
    exclude = [glob[1:] for glob in query.paths if glob.startswith("!")]
    try:
        inside, outside = GitIgnoreSpec.from_lines(include), GitIgnoreSpec.from_lines(exclude)
    except ValueError as error:
        raise Rejected(f"Not a glob: {error}") from None
    types = {kind.lower().lstrip(".") for kind in query.types}

    def wanted(file: SourceFile) -> bool:
        if not query.hidden and hidden(file.path):
            return False
        if types and file.language not in types and file.path.rpartition(".")[2].lower() not in types:
            return False
        return (not include or inside.match_file(file.path)) and not (exclude and outside.match_file(file.path))

    return wanted


def _lines(pattern: Any, file: SourceFile, data: bytes, context: int) -> Iterator[Hit]:
    position, line, counted = 0, 1, 0
    while position <= len(data) and (found := pattern.search(data, position)):
        at = found.start()
        start = data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        if at == len(data) and start == at and at:  # after the last line break there is no line
            return
        line += data.count(b"\n", counted, start)
        counted, position = start, end + 1
        yield _hit(file.path, data, (start, end), line, context)


def _hit(path: str, data: bytes, span: tuple[int, int], line: int, context: int) -> Hit:
    first, (start, end) = line, span
    for _ in range(context):
        if start == 0:
            break
        start, first = data.rfind(b"\n", 0, start - 1) + 1, first - 1
    last = line
    for _ in range(context):
        after = data.find(b"\n", end + 1)
        if end >= len(data) - 1:
            break
        end, last = (after if after >= 0 else len(data)), last + 1
    shown = data[start : min(end, start + 40 * MAX_LINE)].decode("utf-8", "replace")
    return Hit(path, first, last, shown, why=str(line))


def _held(query: TextQuery, index: RankedIndex | None) -> set[str] | None:
    """Contents that can match at all, where the pattern says words that must be there."""
    fragments = fragments_of(query.pattern, fixed=query.fixed, word=query.word)
    if index is None or not fragments:
        return None
    return index.holding(fragments, _CANDIDATES)


def fragments_of(pattern: str, *, fixed: bool, word: bool = False) -> Sequence[tuple[str, bool]]:
    """Runs of word characters that every match holds, in lower case; True where one is a whole word.

    Says nothing (an empty answer) rather than something doubtful.
    """
    if fixed or re.fullmatch(r"[A-Za-z0-9_]+", pattern):
        found = []
        for each in re.finditer(r"[A-Za-z0-9_]+", pattern):
            left = each.start() > 0 or word
            right = each.end() < len(pattern) or word
            found.append((each.group().lower(), left and right))
        return [one for one in found if len(one[0]) > 2 or one[1]]
    if _UNSURE.search(pattern):
        return ()
    bare = re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "\0", pattern)  # classes
    if "[" in bare or "]" in bare:
        return ()
    while (inner := re.sub(r"\([^()]*\)(?:[*+?]|\{[^}]*\})?\??", "\0", bare)) != bare:
        bare = inner
    if "(" in bare or ")" in bare:
        return ()
    bare = re.sub(
        r".(?:[*?]|\{[^}]*\})\??", "\0", re.sub(r"\\[A-Za-z0-9]", "\0", re.sub(r"\\[^A-Za-z0-9]", "\0", bare))
    )
    return [(each.lower(), False) for each in re.findall(r"[A-Za-z0-9_]{3,}", bare)]
