"""Which files were changed before for the like of a question: past commits ranked by their messages. Pure.

A hint, no answer: messages and names are untrusted text, and nothing but an order of hits comes of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from perstack.context.retrieval.spoken import STOP, terms

MAX_COMMITS = 1_500
"""Commits that are looked at; older ones tell little of where things are now."""

_ALIKE = 20  # commits that count
_WIDE = 30  # files of a commit; one that changed more says of none what it was for
_FILES = 50


@dataclass(frozen=True, slots=True)
class Change:
    """A commit: its message, and the paths that it changed."""

    message: str
    paths: tuple[str, ...]


class Precedents:
    """The changes up to one commit, newest first."""

    def __init__(self, changes: Sequence[Change]) -> None:
        kept = [change for change in changes[:MAX_COMMITS] if 0 < len(change.paths) <= _WIDE]
        self._said = [(frozenset(terms(change.message)) - STOP, change.paths) for change in kept]
        self._often = Counter(word for words, _ in self._said for word in words)
        self._usual = sum(len(words) for words, _ in self._said) / len(self._said) if self._said else 1.0

    def of(self, query: str) -> dict[str, float]:
        """Paths with their weight, the best one 1: those of commits whose messages speak of the words of a query."""
        asked = frozenset(terms(query)) & self._often.keys()
        alike = sorted(
            ((score, number) for number in range(len(self._said)) if (score := self._score(number, asked))),
            key=lambda one: (-one[0], one[1]),
        )
        found: dict[str, float] = {}
        for score, number in alike[:_ALIKE]:
            paths = self._said[number][1]
            for path in paths:
                found[path] = found.get(path, 0.0) + score * score / math.sqrt(len(paths))
        best = sorted(found.items(), key=lambda one: (-one[1], one[0]))[:_FILES]
        return {path: weight / best[0][1] for path, weight in best}

    def _score(self, number: int, asked: frozenset[str]) -> float:
        words, total = self._said[number][0], len(self._said)
        rare = sum(
            math.log(1 + (total - self._often[word] + 0.5) / (self._often[word] + 0.5)) for word in asked & words
        )
        return rare / (1 + 1.2 * (0.25 + 0.75 * len(words) / max(1.0, self._usual)))
