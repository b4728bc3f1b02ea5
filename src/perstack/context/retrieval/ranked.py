"""Ranked search: which contents speak of the words of a query (BM25, by tantivy). Knows contents, ranks paths too."""

from __future__ import annotations

import bisect
import itertools
import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tantivy

from perstack.context.retrieval.contract import (
    Bodies,
    Contents,
    DamagedIndex,
    Found,
    Hit,
    Listing,
    Rejected,
    SourceFile,
)
from perstack.context.retrieval.decoded import text_of
from perstack.context.retrieval.paths import Paths
from perstack.context.retrieval.pieces import Needed
from perstack.context.retrieval.spoken import MARK, STOP, Spoken, terms
from perstack.context.retrieval.vocabulary import Vocabulary

_NAME = 41  # bytes of a digest and its line break in the file of names
_HEAP, _THREADS = 128_000_000, 1
_SEGMENTS = 24  # more make every query slow: the writer then stays until they are merged
_WORDS = 1_000  # a piece that more words hold chooses nothing
_USUAL = 500  # words of a content, for one that is not in the index yet
_LISTINGS = 2  # with what is hidden, and without
_POOL, _DEEPEST, _WINDOW = 120, 50_000, 12
_LONGEST, _MOST = 20_000, 64  # characters of a query, and words that are looked for
_NAME_SHARE, _NAME_ALONE = 1.2, 0.6  # what a word in a path is worth, beside words in the content and without
_PAST_SHARE = 0.15  # of the best score: what having been changed for the like before is worth at most
_TELLING = 8  # words that choose the lines shown


class RankedIndex:
    """The part `words`: answers ranked queries, and which files hold a word."""

    name, version = "words", 3

    def __init__(self) -> None:
        self._digests: list[str] = []
        self._ids: dict[str, int] = {}
        self._read = 0  # bytes of the file of names
        self._held: dict[str, Counter[str]] = {}
        self._paths: list[Paths] = []

    def open(self, folder: Path) -> None:
        """Raises: DamagedIndex."""
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("id", fast=True)
        builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
        self._schema: Any = builder.build()
        self._names, place = folder / "digests", folder / "tantivy"
        self._vocabulary = Vocabulary(folder / "vocabulary")
        place.mkdir(exist_ok=True)
        try:
            self._index: Any = tantivy.Index(self._schema, path=str(place))
            if not self._vocabulary.sound():
                raise DamagedIndex("words are missing")
            self._vocabulary.tidy()
            self._refresh(repair=True)
            if self._digests and not self._vocabulary.kept:
                raise DamagedIndex("documents without words")
        except (OSError, ValueError) as error:
            raise DamagedIndex(str(error)) from error

    def close(self) -> None:
        """Nothing is held between two commits."""

    def missing(self, files: Collection[SourceFile]) -> list[SourceFile]:
        """One file for each content that is not indexed."""
        wanted = {file.digest: file for file in files if file.digest not in self._ids}
        if wanted:
            self._refresh()
        return [file for digest, file in wanted.items() if digest not in self._ids]

    def hold(self, contents: Iterable[tuple[SourceFile, bytes]], keep: Collection[str]) -> None:
        """Know contents in memory only, until `add` is given them: a few that changed are in answers at once so."""
        spoken = Spoken()
        self._held = {digest: counts for digest, counts in self._held.items() if digest in keep}
        for file, data in contents:
            self._held[file.digest] = Counter(spoken.body(data).split())

    def add(self, contents: Iterable[tuple[SourceFile, bytes]]) -> None:
        """Index contents; the commit makes all of them visible at once."""
        self.add_bodies(_Bodies(contents))

    def add_bodies(self, bodies: Bodies) -> None:
        """As `add`, of contents whose words are made already."""
        self._refresh(repair=True)
        writer, added = self._index.writer(_HEAP, _THREADS), list[str]()
        for file, body in bodies:
            document = tantivy.Document()
            document.add_unsigned("id", len(self._digests) + len(added))
            document.add_text("body", body)
            writer.add_document(document)
            added.append(file.digest)
        with self._names.open("a", encoding="ascii") as names:
            names.writelines(f"{digest}\n" for digest in added)
        self._vocabulary.add(bodies.words())
        writer.commit()
        self._refresh()
        for digest in added:
            self._held.pop(digest, None)
        if self._index.searcher().num_segments > _SEGMENTS:
            writer.wait_merging_threads()
            self._index.reload()

    def files_with(self, words: Collection[str], listing: Listing, *, limit: int) -> tuple[SourceFile, ...]:
        """Files that hold all words; what cannot be known by the index is among them."""
        found = self._matching([[word.lower()] for word in words], limit)
        return tuple(self.files(found, listing))[:limit]

    def words_of(self, needed: Collection[Needed]) -> list[list[str]]:
        """For each demand the words that meet it, fewest contents first; demands that too many words meet left out."""
        groups: list[list[str]] = []
        for pieces in needed:
            words: list[str] | None = []
            for piece in pieces:
                more = [piece.text] if piece.first and piece.last else self._vocabulary.holding(piece, _WORDS)
                words = None if words is None or more is None else [*words, *more]
            if words is not None and len(words) <= _WORDS:
                groups.append(words)
        return sorted(groups, key=self.often)

    def often(self, words: Collection[str]) -> int:
        """In how many contents one of the words is, at most."""
        searcher = self._index.searcher()
        return sum(searcher.doc_freq("body", word) for word in words)

    def holding(self, groups: list[list[str]]) -> set[str]:
        """Digests of contents with a word of each group."""
        return self._matching(groups, max(1, len(self._digests)))

    def matching(self, listing: Listing, expression: Any) -> Iterator[SourceFile]:
        """As `Paths.matching`."""
        return self._of(listing).matching(expression)

    def files(self, digests: Collection[str], listing: Listing) -> list[SourceFile]:
        """Files with these contents, and those whose contents are not indexed, in the order of their paths."""
        paths = self._of(listing)
        found = [file for digest in digests for file in paths.by_digest.get(digest, ())]
        found += [file for file in paths.unknown if file.digest not in digests]
        return sorted(found, key=attrgetter("path"))

    def _of(self, listing: Listing) -> Paths:
        for kept in self._paths:
            if kept.listing is listing or kept.follow(listing, self._ids):
                return kept
        made = Paths(listing, self._ids)
        self._paths = [made, *self._paths[: _LISTINGS - 1]]
        return made

    def search(
        self,
        query: str,
        listing: Listing,
        contents: Contents,
        *,
        limit: int,
        precedents: Mapping[str, float] = MappingProxyType({}),
    ) -> Found:
        """The best files for a question or identifiers, each with the lines that speak most of it. `precedents` are
        paths, at most 1 each, that were changed for the like before.

        Raises: Rejected where the query has no word.
        """
        weights = self._weights(query)
        if not weights:
            raise Rejected("The query has no word to look for; name what the code is about.")
        paths = self._of(listing)
        scores = self._scores(weights, paths.by_digest, limit)
        named = paths.naming([word for word in weights if len(word) > 2])
        known = [listing.by_path[path] for path in precedents if path in listing.by_path]
        near = [paths.by_digest.get(digest, ()) for digest in scores]
        found: list[tuple[float, SourceFile]] = []
        for file in {file.path: file for files in (*near, named, known) for file in files}.values():
            score, lowered = scores.get(file.digest, 0.0), file.path.lower()
            bonus = sum(weight for word, weight in weights.items() if len(word) > 2 and word in lowered)
            found.append((score + bonus * (_NAME_SHARE if score else _NAME_ALONE), file))
        best = max((score for score, _ in found), default=0.0) or 1.0
        ranked = [(score + _PAST_SHARE * best * precedents.get(file.path, 0.0), file) for score, file in found]
        ranked.sort(key=lambda one: (-one[0], one[1].path))
        hits = [_region(file, score, weights, contents) for score, file in ranked[: min(limit, 50)]]
        return Found(tuple(_with_past(hit, precedents) for hit in hits), len(ranked))

    def _weights(self, query: str) -> dict[str, float]:
        """The words of a query that tell most, in their order, with how much each does."""
        found = terms(query[:_LONGEST])
        searcher = self._index.searcher()
        total = searcher.num_docs + 1
        weights = {
            word: math.log(1 + total / (1 + searcher.doc_freq("body", word)))
            for word in [word for word in found if word not in STOP] or found
        }
        most = frozenset(sorted(weights, key=lambda word: -weights[word])[:_MOST])
        return {word: weight for word, weight in weights.items() if word in most}

    def _scores(self, words: Collection[str], now: Collection[str], enough: int) -> dict[str, float]:
        """Scores by digest, of contents that are `now`: what other branches left in the index is passed over."""
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, self._term(word)) for word in words])
        searcher, pool = self._index.searcher(), _POOL
        held = {digest: score for digest in self._held if digest in now and (score := self._score(digest, words))}
        while True:
            hits = searcher.search(query, pool, count=False).hits
            ids = searcher.fast_field_values("id", [address for _, address in hits])
            named = [
                (self._digests[i], score) for (score, _), i in zip(hits, ids, strict=True) if i < len(self._digests)
            ]
            found = {digest: score for digest, score in named if digest in now}
            if len(found) >= enough or len(hits) < pool or pool > _DEEPEST:
                return found | held
            pool *= 8

    def _score(self, digest: str, words: Collection[str]) -> float:
        """What the index would say of a content that it does not hold yet; the mean length is taken to be usual."""
        counts, searcher, score = self._held[digest], self._index.searcher(), 0.0
        total, long = searcher.num_docs + 1, 0.25 + 0.75 * counts.total() / _USUAL
        for word in words:
            if often := counts[word]:
                having = searcher.doc_freq("body", word) + 1
                score += math.log(1 + (total - having + 0.5) / (having + 0.5)) * 2.2 * often / (often + 1.2 * long)
        return score

    def _matching(self, groups: list[list[str]], limit: int) -> set[str]:
        must = [
            (
                tantivy.Occur.Must,
                tantivy.Query.boolean_query([(tantivy.Occur.Should, self._term(word)) for word in (*group, MARK)]),
            )
            for group in groups
        ]
        hits = self._index.searcher().search(
            tantivy.Query.boolean_query(must), limit, count=False, order_by_field="id"
        ).hits  # fmt: skip
        return {self._digests[int(i)] for i, _ in hits if int(i) < len(self._digests)}

    def _term(self, word: str) -> Any:
        return tantivy.Query.term_query(self._schema, "body", word)

    def _refresh(self, *, repair: bool = False) -> None:
        """What other processes added. `repair` (the lock is held): a name without its document, left by a writer that
        was killed, is taken away; else it is one that is being written.
        """
        self._vocabulary.refresh()
        self._index.reload()
        count = self._index.searcher().num_docs
        size = self._names.stat().st_size if self._names.exists() else 0
        if size < self._read or count < len(self._digests):
            self._digests, self._ids, self._read, self._paths = [], {}, 0, []
        if count > len(self._digests):
            with self._names.open("rb") as file:
                file.seek(self._read)
                fresh = file.read((count - len(self._digests)) * _NAME).decode("ascii").split()
            self._ids.update({digest: number for number, digest in enumerate(fresh, len(self._digests))})
            self._digests += fresh
            self._read += len(fresh) * _NAME
        if count != len(self._digests):
            raise DamagedIndex("documents without a name")
        if repair and size > self._read:
            os.truncate(self._names, self._read)


class _Bodies:
    """What is indexed of contents, made here."""

    def __init__(self, contents: Iterable[tuple[SourceFile, bytes]]) -> None:
        self._contents, self._spoken = contents, Spoken()

    def __iter__(self) -> Iterator[tuple[SourceFile, str]]:
        return ((file, self._spoken.body(data)) for file, data in self._contents)

    def words(self) -> set[bytes]:
        return self._spoken.words()


def _with_past(hit: Hit, precedents: Mapping[str, float]) -> Hit:
    return replace(hit, why=f"{hit.why}; changed for the like before") if hit.path in precedents else hit


def _region(file: SourceFile, score: float, weights: dict[str, float], contents: Contents) -> Hit:
    """The window of lines with most of the words."""
    data = text_of(contents.read(file) or b"")
    if data is None:
        return Hit(file.path, 1, 1, "", score, "name")
    text = data.decode("utf-8", "replace")
    lines, lowered = text.split("\n"), text.lower()
    values = _values(lowered, weights)
    best = max(range(len(values)), key=lambda i: values[i])
    start = max(0, best - 2)
    end = min(len(lines), start + _WINDOW // 2)
    shown = "\n".join(lines[start:end])
    why = ", ".join(word for word in weights if word in shown.lower())
    return Hit(file.path, start + 1, max(end, start + 1), shown, score, why or "name")


def _values(lowered: str, weights: dict[str, float]) -> list[float]:
    """For each line the weights of the words in it."""
    starts = list(itertools.accumulate((len(line) + 1 for line in lowered.split("\n")), initial=0))
    values = [0.0] * (len(starts) - 1)
    for word, weight in sorted(weights.items(), key=lambda one: -one[1])[:_TELLING]:
        at = lowered.find(word)
        while at >= 0:
            line = bisect.bisect_right(starts, at) - 1
            values[line] += weight
            at = lowered.find(word, starts[line + 1])
    return values
