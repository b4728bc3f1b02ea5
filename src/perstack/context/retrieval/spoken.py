"""Words as they are indexed: in lower case, and with the pieces of names that are made of several. No I/O here."""

from __future__ import annotations

import re
from collections import Counter

from perstack.context.retrieval.decoded import text_of

LONG = 120
"""Characters of a word that is indexed; contents with longer ones hold `MARK` instead."""

MARK = "\x01long"

STOP = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "do", "does", "for", "from", "how", "i", "in", "is", "it", "not"}
    | {"of", "on", "or", "that", "the", "this", "to", "was", "what", "when", "where", "which", "why", "with"}
)
"""Words of a question that say nothing about code."""

_WORD = re.compile(rb"[A-Za-z0-9_]+")
_APART = bytes(c if chr(c).isascii() and (chr(c).isalnum() or c == 95) else 32 for c in range(256))
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_REMEMBERED = 300_000
_REPEATS = 4  # how often one word of a content counts at most


class Spoken(dict[bytes, bytes]):
    """Each word that was met, with what is indexed for it."""

    def __init__(self) -> None:
        super().__init__()
        self._met: set[bytes] = set()

    def __missing__(self, word: bytes) -> bytes:
        if len(self) > _REMEMBERED:
            self._met = self.words()
            self.clear()
        text = word.decode("ascii")
        pieces = _PIECE.findall(text)
        made = f"{text} {' '.join(pieces)}" if len(pieces) > 1 else text
        self[word] = found = (made.lower() if len(word) <= LONG else MARK).encode()
        return found

    def words(self) -> set[bytes]:
        """All words of the contents that were given to `body`, in lower case."""
        return self._met | {word.lower() for word in self if len(word) <= LONG}

    def body(self, data: bytes) -> str:
        """What of a content is indexed; nothing of a binary one."""
        text = text_of(data)
        if text is None:
            return ""
        counts = Counter(text.translate(_APART).split())
        parts = [*map(self.__getitem__, counts)]
        for word, count in [one for one in counts.items() if one[1] > 1]:
            parts += [self[word]] * (min(count, _REPEATS) - 1)
        return b" ".join(parts).decode("ascii")


def terms(text: str) -> dict[str, None]:
    """The words and pieces of a question, each once, in their order."""
    words, spoken = _WORD.findall(text.encode("utf-8", "replace")), Spoken()
    return dict.fromkeys(part for word in words if len(word) <= LONG for part in spoken[word].decode().split())
