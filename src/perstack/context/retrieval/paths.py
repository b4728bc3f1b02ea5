"""The paths of one listing, made ready to be searched for words, and brought up to date where a few files changed."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from perstack.context.retrieval.contract import Listing, SourceFile

_path = attrgetter("path")
_MANY = 500  # changed paths that are worth sorting all
_NAMED = 200  # a word that more paths hold tells nothing about a file that its contents do not tell


def revised(
    files: Sequence[SourceFile], changed: Collection[str], now: Mapping[str, SourceFile]
) -> tuple[SourceFile, ...]:
    """Files sorted by path after some paths came, went or changed; `now` has those that are there."""
    if len(changed) > _MANY:
        kept = [file for file in files if file.path not in changed]
        return tuple(sorted([*kept, *(now[path] for path in changed if path in now)], key=_path))
    made = list(files)
    for path in changed:
        at = bisect.bisect_left(made, path, key=_path)
        made[at : at + (at < len(made) and made[at].path == path)] = [now[path]] if path in now else []
    return tuple(made)


class Paths:
    """Files of one listing by content and by words of their paths. `unknown` are those whose contents are not known."""

    def __init__(self, listing: Listing, known: Collection[str]) -> None:
        self.listing = listing
        self.by_digest: dict[str, list[SourceFile]] = {}
        for file in listing.files:
            self.by_digest.setdefault(file.digest, []).append(file)
        self.unknown = [file for file in listing.files if file.digest not in known]
        self._lines: tuple[bytes, list[int]] | None = None
        self._names: tuple[str, list[int]] | None = None

    def follow(self, listing: Listing, known: Collection[str]) -> bool:
        """Take over the listing that came after this one; whether it is that."""
        if not listing.before or listing.before != self.listing.digest:
            return False
        old, new = self.listing.by_path, listing.by_path
        named, changed = False, dict[str, SourceFile]()
        for path in listing.changed:
            was, now = old.get(path), new.get(path)
            named = named or (was is None) != (now is None)
            if was is not None:
                left = [file for file in self.by_digest[was.digest] if file.path != path]
                if left:
                    self.by_digest[was.digest] = left
                else:
                    del self.by_digest[was.digest]
            if now is not None:
                self.by_digest.setdefault(now.digest, []).append(now)
                changed[path] = now
        waiting = [file for file in self.unknown if file.path not in listing.changed]
        self.unknown = [file for file in (*waiting, *changed.values()) if file.digest not in known]
        self.listing = listing
        if named:
            self._names = self._lines = None
        return True

    def naming(self, words: Collection[str]) -> list[SourceFile]:
        """Files with one of the words in their path; a word that very many have is passed over."""
        if self._names is None:
            lowered = [file.path.lower() for file in self.listing.files]
            self._names = "\n".join(lowered), list(itertools.accumulate((len(path) + 1 for path in lowered), initial=0))
        (text, starts), found = self._names, dict[int, None]()
        for word in words:
            at, those = text.find(word), dict[int, None]()
            while at >= 0:
                number = bisect.bisect_right(starts, at) - 1
                those[number] = None
                if len(those) > _NAMED:
                    those.clear()
                    break
                at = text.find(word, starts[number + 1])
            found |= those
        return [self.listing.files[number] for number in found]

    def matching(self, expression: Any) -> Iterator[SourceFile]:
        """Files on whose path (bytes, a line) an expression of RE2 matches, in order, found as they are asked for."""
        if self._lines is None:
            plain = [file.path.replace("\n", "\0").encode("utf-8", "surrogateescape") for file in self.listing.files]
            starts = list(itertools.accumulate((len(path) + 1 for path in plain), initial=0))
            self._lines = b"\n".join(plain), starts
        (text, starts), at = self._lines, 0
        while at < len(text) and (found := expression.search(text, at)):
            number = bisect.bisect_right(starts, found.start()) - 1
            yield self.listing.files[number]
            at = starts[number + 1]
