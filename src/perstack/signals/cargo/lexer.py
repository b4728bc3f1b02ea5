"""Rust source as tokens: enough to know what is code, what is text, and where items end. No parser.

Conservative: what cannot be read raises `Unreadable`, and the caller has to suspect the worst.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Unreadable(Exception):
    """The text is not Rust that this reader understands."""


class Kind(Enum):
    """What a token is. Comments of documentation are tokens; other comments and blanks are not."""

    WORD = "word"
    TEXT = "text"
    MARK = "mark"
    DOC = "doc"


@dataclass(frozen=True, slots=True)
class Token:
    """One token with its place in the text, in characters."""

    kind: Kind
    text: str
    start: int
    end: int


_BLANK: Final = re.compile(r"\s+")
_LINE: Final = re.compile(r"//[^\n]*")
_RAW: Final = re.compile(r"(?:b|c)?r(#*)\"")
_STRING: Final = re.compile(r"(?:b|c)?\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_CHARACTER: Final = re.compile(r"b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]{1,8}\}|.)|[^'\\\n])'", re.DOTALL)
_LIFETIME: Final = re.compile(r"'(?:r#)?[^\W\d]\w*")
_WORD: Final = re.compile(r"(?:r#)?[^\W\d]\w*|\d[\w.]*?(?=\.\.|\.[^\W\d]|[^\w.]|$)")
_DOC: Final = re.compile(r"///(?!/)|//!|/\*\*(?![*/])|/\*!")


def tokens(text: str) -> Sequence[Token]:
    """All tokens of a source.

    Raises: Unreadable.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        kind, end = _next(text, at)
        if kind is not None:
            found.append(Token(kind, text[at:end], at, end))
        at = end
    return found


def _next(text: str, at: int) -> tuple[Kind | None, int]:
    blank = _BLANK.match(text, at)
    if blank:
        return None, blank.end()
    if text.startswith(("//", "/*"), at):
        kind = Kind.DOC if _DOC.match(text, at) else None
        line = _LINE.match(text, at)
        return kind, line.end() if line else _block_comment(text, at)
    raw = _RAW.match(text, at)
    if raw:
        close = text.find('"' + raw[1], raw.end())
        if close < 0:
            raise Unreadable("a raw string does not end")
        return Kind.TEXT, close + 1 + len(raw[1])
    for pattern in (_STRING, _CHARACTER):
        match = pattern.match(text, at)
        if match:
            return Kind.TEXT, match.end()
    if text[at] == '"' or text.startswith(('b"', 'c"'), at):
        raise Unreadable("a string does not end")
    match = _LIFETIME.match(text, at) or _WORD.match(text, at)
    if match and match.end() > at:
        return Kind.WORD, match.end()
    return Kind.MARK, at + 1


def _block_comment(text: str, at: int) -> int:
    depth, place = 1, at + 2
    while depth:
        opening, closing = text.find("/*", place), text.find("*/", place)
        if closing < 0:
            raise Unreadable("a comment does not end")
        if 0 <= opening < closing:
            depth, place = depth + 1, opening + 2
        else:
            depth, place = depth - 1, closing + 2
    return place
