"""Finds every piece of known texts, from twelve characters on, wherever it begins and ends. Linear in the text.

A table holds all groups of eight characters of the known texts. A piece of twelve holds one group of four that begins
at a multiple of eight, and with it the group of eight before or after: fours are looked for first, as numbers, which is
the only thing that happens to every part of a text, and costs a tenth of a second for 20 MB. Pure.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import compress

PIECE = 12
_GROUP = 8
_MARK = 4
# A group of fewer different characters says nothing (a line of dashes), and could cost time without end.
_DIFFERENT = 4
_PLACES = 8
_CHUNK = 1 << 18

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
        halves = b"".join(map(_bytes, self._places))
        self._marks = frozenset(memoryview(halves).cast("I"))

    def spans(self, text: str, least: int = PIECE) -> list[Span]:
        """Where pieces of at least `least` characters lie, in order."""
        table = self._places
        if not table or len(text) < _GROUP:
            return []
        found: list[Span] = []
        end = 0
        for mark in self._marked(text):
            if mark + _MARK <= end:
                continue
            span = max((self._longest(text, at) for at in (mark, mark - _MARK)), key=_length)
            if _length(span) >= least:
                found.append(span)
                end = span[1]
        return found

    def _marked(self, text: str) -> Iterator[int]:
        """Multiples of eight where four characters lie that some known group begins or ends with."""
        marks = self._marks
        for begin in range(0, len(text), _CHUNK):
            data = _bytes(text[begin : begin + _CHUNK])
            data += bytes(-len(data) % _GROUP)
            fours = array("I")
            fours.frombytes(data)
            yield from compress(range(begin, begin + len(data), _GROUP), map(marks.__contains__, fours[::2]))

    def _longest(self, text: str, at: int) -> Span:
        """The longest piece around the group that begins there, if it is one."""
        best = (0, 0)
        for number, inside in self._places.get(text[at : at + _GROUP], ()) if at >= 0 else ():
            known = self._known[number]
            if at >= inside and text.startswith(known, at - inside):
                span = (at - inside, at - inside + len(known))
            else:
                span = self._grown(text, at, known, inside)
            if _length(span) > _length(best):
                best = span
            if _length(best) == len(known):
                break
        return best

    def _grown(self, text: str, at: int, known: str, inside: int) -> Span:
        """The longest common stretch around a common group."""
        start, begin = at, inside
        while start > 0 and begin > 0 and text[start - 1] == known[begin - 1]:
            start, begin = start - 1, begin - 1
        end, finish = at + _GROUP, inside + _GROUP
        while end < len(text) and finish < len(known) and text[end] == known[finish]:
            end, finish = end + 1, finish + 1
        return start, end


def _length(span: Span) -> int:
    return span[1] - span[0]


def _bytes(text: str) -> bytes:
    """One byte a character, the same for the same character: others may share it."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        # The place of the low byte is the same in all; the order of the machine is not asked for.
        return text.encode("utf-32-le", "surrogatepass")[::4]
