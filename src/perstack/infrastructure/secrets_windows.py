"""Finds every piece of known texts, from twelve characters on, wherever it begins and ends. Linear in the text.

A table holds all groups of eight characters of the known texts; a text is looked at every fifth character, so that
twelve in a row are never missed. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

PIECE = 12
_GROUP = 8
_STRIDE = PIECE - _GROUP + 1
# A group of fewer different characters says nothing (a line of dashes), and could cost time without end.
_DIFFERENT = 4
_PLACES = 8

Span = tuple[int, int]


def recognisable(text: str) -> bool:
    """Whether pieces of it can be told from ordinary text."""
    return len(text) >= PIECE and all(len(set(text[at : at + _GROUP])) >= _DIFFERENT for at in (0, len(text) - _GROUP))


class Windows:
    """Pieces of `known` in texts."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(sorted({text for text in known if len(text) >= PIECE}))
        self._places: dict[str, list[tuple[int, int]]] = {}
        for number, text in enumerate(self._known):
            for at in range(len(text) - _GROUP + 1):
                group = text[at : at + _GROUP]
                if len(set(group)) >= _DIFFERENT:
                    places = self._places.setdefault(group, [])
                    if len(places) < _PLACES:
                        places.append((number, at))

    def spans(self, text: str, least: int = PIECE) -> list[Span]:
        """Where pieces of at least `least` characters lie, in order."""
        table = self._places
        if not table:
            return []
        found: list[Span] = []
        end = 0
        for at in [at for at in range(0, len(text) - _GROUP + 1, _STRIDE) if text[at : at + _GROUP] in table]:
            if at + _GROUP <= end:
                continue
            span = max((self._grown(text, at, *place) for place in table[text[at : at + _GROUP]]), key=_length)
            if _length(span) >= least:
                found.append(span)
                end = span[1]
        return found

    def _grown(self, text: str, at: int, number: int, inside: int) -> Span:
        """The longest common stretch around a common group."""
        known = self._known[number]
        start, begin = at, inside
        while start > 0 and begin > 0 and text[start - 1] == known[begin - 1]:
            start, begin = start - 1, begin - 1
        end, finish = at + _GROUP, inside + _GROUP
        while end < len(text) and finish < len(known) and text[end] == known[finish]:
            end, finish = end + 1, finish + 1
        return start, end


def _length(span: Span) -> int:
    return span[1] - span[0]
