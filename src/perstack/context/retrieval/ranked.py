"""Ranked search: which contents speak of the words of a query (BM25, by tantivy). Knows contents, ranks paths too."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import tantivy

from perstack.context.retrieval.contract import Contents, DamagedIndex, Found, Hit, Listing, Rejected, SourceFile

_WORD = re.compile(rb"[A-Za-z0-9_]+")
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONG = 120  # characters of a word that is indexed; files with longer ones are candidates of every text search
_MARK = "\x01long"
_REPEATS = 4  # how often one word of a content counts at most
_HEAP, _THREADS = 128_000_000, 1
_STOP = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "do", "does", "for", "from", "how", "i", "in", "is", "it", "not"}
    | {"of", "on", "or", "that", "the", "this", "to", "was", "what", "when", "where", "which", "why", "with"}
)
_POOL, _WINDOW = 120, 12


class RankedIndex:
    """The part `words`: answers ranked queries, and which files hold a word."""

    name, version = "words", 1

    def __init__(self) -> None:
        self._digests: list[str] = []
        self._ids: dict[str, int] = {}

    def open(self, folder: Path) -> None:
        """Raises: DamagedIndex."""
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("id", fast=True)
        builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
        self._schema: Any = builder.build()
        self._names, place = folder / "digests", folder / "tantivy"
        place.mkdir(exist_ok=True)
        try:
            self._index: Any = tantivy.Index(self._schema, path=str(place))
            self._refresh()
        except (OSError, ValueError) as error:
            raise DamagedIndex(str(error)) from error

    def close(self) -> None:
        """Nothing is held between two commits."""

    def missing(self, files: Collection[SourceFile]) -> list[SourceFile]:
        """One file for each content that is not indexed."""
        wanted = {file.digest: file for file in files if file.digest not in self._ids}
        if wanted and self._names.exists():
            self._refresh()
        return [file for digest, file in wanted.items() if digest not in self._ids]

    def add(self, contents: Iterable[tuple[SourceFile, bytes]]) -> None:
        """Index contents; the commit makes all of them visible at once."""
        self._refresh()
        writer, added = self._index.writer(_HEAP, _THREADS), list[str]()
        for file, data in contents:
            document = tantivy.Document()
            document.add_unsigned("id", len(self._digests) + len(added))
            document.add_text("body", _body(data))
            writer.add_document(document)
            added.append(file.digest)
        with self._names.open("a", encoding="ascii") as names:
            names.writelines(f"{digest}\n" for digest in added)
        writer.commit()
        self._refresh()

    def files_with(self, words: Collection[str], listing: Listing, *, limit: int) -> tuple[SourceFile, ...]:
        """Files that hold all words; what cannot be known by the index is among them."""
        terms = [self._term(word.lower()) for word in words]
        found = self._matching([[term] for term in terms], limit)
        return tuple(file for file in listing.files if file.digest in found)[:limit]

    def holding(self, fragments: Collection[tuple[str, bool]], limit: int) -> set[str] | None:
        """Digests of contents with every fragment (lower case; True: as a whole word); None: too many to help."""
        groups = [
            [self._term(text) if whole else tantivy.Query.regex_query(self._schema, "body", f".*{text}.*")]
            for text, whole in fragments
        ]
        found = self._matching(groups, limit)
        return None if len(found) >= limit else found

    def knows(self, digest: str) -> bool:
        """Whether a content is indexed."""
        return digest in self._ids

    def search(self, query: str, listing: Listing, contents: Contents, *, limit: int) -> Found:
        """The best files for a question or identifiers, each with the lines that speak most of it.

        Raises: Rejected where the query has no word.
        """
        words = [w for w in _terms(query) if w not in _STOP] or list(_terms(query))
        if not words:
            raise Rejected("The query has no word to look for; name what the code is about.")
        scores = self._scores(words)
        total = self._index.searcher().num_docs + 1
        weights = {w: math.log(1 + total / (1 + self._index.searcher().doc_freq("body", w))) for w in words}
        ranked: list[tuple[float, SourceFile]] = []
        for file in listing.files:
            score = scores.get(file.digest, 0.0)
            lowered = file.path.lower()
            bonus = sum(weight for word, weight in weights.items() if len(word) > 2 and word in lowered)
            if score or bonus:
                ranked.append((score + bonus * (1.2 if score else 0.6), file))
        ranked.sort(key=lambda one: (-one[0], one[1].path))
        hits = [_region(file, score, weights, contents) for score, file in ranked[: min(limit, 50)]]
        return Found(tuple(hits), len(ranked))

    def _scores(self, words: Collection[str]) -> dict[str, float]:
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, self._term(word)) for word in words])
        searcher = self._index.searcher()
        hits = searcher.search(query, _POOL, count=False).hits
        ids = searcher.fast_field_values("id", [address for _, address in hits])
        return {self._digests[i]: score for (score, _), i in zip(hits, ids, strict=True) if i < len(self._digests)}

    def _matching(self, groups: list[list[Any]], limit: int) -> set[str]:
        must = [
            (
                tantivy.Occur.Must,
                tantivy.Query.boolean_query([(tantivy.Occur.Should, q) for q in (*group, self._term(_MARK))]),
            )
            for group in groups
        ]
        hits = self._index.searcher().search(
            tantivy.Query.boolean_query(must), limit, count=False, order_by_field="id"
        ).hits  # fmt: skip
        return {self._digests[int(i)] for i, _ in hits if int(i) < len(self._digests)}

    def _term(self, word: str) -> Any:
        return tantivy.Query.term_query(self._schema, "body", word)

    def _refresh(self) -> None:
        """What other processes added. A name without its document (a writer was killed) is forgotten."""
        self._index.reload()
        count = self._index.searcher().num_docs
        names = self._names.read_text("ascii").split() if self._names.exists() else []
        if count > len(names):
            raise DamagedIndex("documents without a name")
        if len(names) > count:
            self._names.write_text("".join(f"{name}\n" for name in names[:count]), "ascii")
        self._digests = names[:count]
        self._ids = {digest: number for number, digest in enumerate(self._digests)}


@lru_cache(200_000)
def _spoken(word: str) -> str:
    """A word and, where it is made of several, its pieces; all in lower case."""
    pieces = _PIECE.findall(word)
    low = word.lower()
    return f"{low} {' '.join(pieces).lower()}" if len(pieces) > 1 else low


def _terms(text: str) -> dict[str, None]:
    return dict.fromkeys(
        part for word in _WORD.findall(text.encode("utf-8", "replace")) for part in _spoken(word.decode()).split()
    )


def _body(data: bytes) -> str:
    """What of a content is indexed; nothing of a binary one."""
    if b"\0" in data[:8192]:
        return ""
    parts, long = [], False
    for word, count in Counter(_WORD.findall(data)).items():
        if len(word) > _LONG:
            long = True
            continue
        parts += [_spoken(word.decode())] * min(count, _REPEATS)
    return " ".join([*parts, _MARK] if long else parts)


def _region(file: SourceFile, score: float, weights: dict[str, float], contents: Contents) -> Hit:
    """The window of lines with most of the words."""
    data = contents.read(file) or b""
    if b"\0" in data[:8192]:
        return Hit(file.path, 1, 1, "", score, "name")
    lines = data.decode("utf-8", "replace").split("\n")
    values = [sum(weight for word, weight in weights.items() if word in line.lower()) for line in lines]
    best = max(range(len(values)), key=lambda i: values[i])
    start = max(0, best - 2)
    end = min(len(lines), start + _WINDOW // 2)
    why = ", ".join(word for word in weights if word in "\n".join(lines[start:end]).lower())
    return Hit(file.path, start + 1, max(end, start + 1), "\n".join(lines[start:end]), score, why or "name")
