"""What every match of a pattern must hold, as pieces of words, so that an index can choose the files. Pure.

Reads RE2's syntax as far as it needs to. Says less where it is not sure: a file that is read in vain costs time, one
that is passed over hides a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SHORTEST = 3  # characters of a piece that chooses anything, where its word is not known to be no longer
_MOST = 24  # alternatives; more choose hardly anything
_DEEPEST = 40  # nested groups
_LONGEST = 20_000  # characters of a pattern that is looked into
_ANY = "\0"  # nobody knows what is here, or whether anything is
_APART = "\n"  # here is no character of a word
_PIECE = re.compile(r"[a-z0-9_]+")
_AHEAD = re.compile(r"\(\?(?:(P?<\w+>)|([imsU-]*)(:)|([imsU-]+)\))")
_COUNTED = re.compile(r"\{\d+(?:,\d*)?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_PROPERTY = re.compile(r"\\[pP](?:\{[^}]*\}|.)|\\x(?:\{[0-9a-fA-F]*\}|..)|\\[0-7]{1,3}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a word, in lower case; `first`: the word begins with it, `last`: it ends with it."""

    text: str
    first: bool = False
    last: bool = False


Needed = tuple[Piece, ...]
"""Of these, every match holds one."""


def needed(pattern: str, *, fixed: bool, word: bool = False) -> list[Needed]:
    """What every match holds, all of it; empty where that is not known. Case is ignored."""
    if len(pattern) > _LONGEST:
        return []
    if fixed:
        found = _Known(_plain(pattern))
    else:
        reader = _Reader(pattern)
        try:
            found = reader.alternatives(0)
        except _Unsure:
            return []
        if reader.at < len(pattern):
            return []
    if word:
        found.text = f"{_APART}{found.text}{_APART}"
    return found.all()


@dataclass(slots=True)
class _Known:
    """Of a part of a pattern: its text with `_ANY` and `_APART`, and what it holds besides."""

    text: str = ""
    besides: list[Needed] = field(default_factory=list)

    def all(self) -> list[Needed]:
        return [*self.besides, *_pieces(self.text)]


class _Unsure(Exception):
    """The pattern has something that is not understood here."""


class _Reader:
    """Reads one pattern from `at` on."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def alternatives(self, depth: int) -> _Known:
        """Up to the end, or the bracket that ends a group."""
        if depth > _DEEPEST:
            raise _Unsure
        found = [self._row(depth)]
        while self._pattern[self.at : self.at + 1] == "|":
            self.at += 1
            found.append(self._row(depth))
        if len(found) == 1:
            return found[0]
        each = [max(known.all(), key=_worth, default=()) for known in found]
        joined = tuple(dict.fromkeys(piece for pieces in each for piece in pieces))
        return _Known(_ANY, [joined] if all(each) and len(joined) <= _MOST else [])

    def _row(self, depth: int) -> _Known:
        made = _Known()
        while self.at < len(self._pattern) and self._pattern[self.at] not in "|)":
            one = self._one(depth)
            counted = self._counted()
            if counted == "":
                made.text += one.text
                made.besides += one.besides
            elif counted == "+" and one.text == _APART:
                made.text += _APART
            elif counted == "+":
                made.text += f"{one.text}{_ANY}" if len(one.text) == 1 else _ANY
                made.besides += one.all()
            else:
                made.text += _ANY
        return made

    def _one(self, depth: int) -> _Known:
        character = self._pattern[self.at]
        if character == "(":
            return self._group(depth)
        if character == "[":
            found = _CLASS.match(self._pattern, self.at)
            if found is None:
                raise _Unsure
            self.at = found.end()
            return _Known(_ANY)
        if character == "\\":
            return self._escape()
        self.at += 1
        if character in "^$":
            return _Known(_APART)
        return _Known(_ANY if character == "." else _plain(character))

    def _escape(self) -> _Known:
        following = self._pattern[self.at + 1 : self.at + 2]
        found = _PROPERTY.match(self._pattern, self.at)
        if found is not None:
            self.at = found.end()
            return _Known(_ANY)
        if not following or following in "QEC":
            raise _Unsure
        self.at += 2
        if following in "sWbAznrtfv":
            return _Known(_APART)
        return _Known(_ANY if following.isalnum() else _plain(following))

    def _group(self, depth: int) -> _Known:
        self.at += 1
        if self._pattern[self.at : self.at + 1] == "?":
            ahead = _AHEAD.match(self._pattern, self.at - 1)
            if ahead is None:
                raise _Unsure
            self.at = ahead.end()
            if ahead[4] is not None:  # flags for what follows
                return _Known()
        inside = self.alternatives(depth + 1)
        if self._pattern[self.at : self.at + 1] != ")":
            raise _Unsure
        self.at += 1
        return inside

    def _counted(self) -> str:
        """How often what was just read may come: "" once, "+" at least once, "*" perhaps not at all."""
        often = ""
        while self.at < len(self._pattern):
            found = _COUNTED.match(self._pattern, self.at)
            if found is None and self._pattern[self.at] not in "*+?":
                break
            self.at = found.end() if found is not None else self.at + 1
            often = "+" if self._pattern[self.at - 1] == "+" and often != "*" else "*"
        return often


def _plain(text: str) -> str:
    """Text as it stands. What is beyond ASCII is no part of a word, as in the index."""
    return "".join(
        letter.lower() if letter.isascii() and (letter.isalnum() or letter == "_") else _APART for letter in text
    )


def _pieces(text: str) -> list[Needed]:
    found: list[Needed] = []
    for each in _PIECE.finditer(text):
        first, last = text[each.start() - 1 : each.start()] == _APART, text[each.end() : each.end() + 1] == _APART
        if len(each.group()) >= _SHORTEST or (first and last):
            found.append((Piece(each.group(), first, last),))
    return found


def _worth(pieces: Needed) -> int:
    """How much an alternative's own demand chooses, roughly."""
    return min(len(piece.text) + 4 * piece.first + 4 * piece.last for piece in pieces)
