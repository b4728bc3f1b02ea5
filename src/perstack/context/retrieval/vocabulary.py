"""Every word that an index holds, in one text: which words hold a piece is one pass over it, not one over a dictionary.

A superset: words of contents that are gone stay in it. It lies beside the index and is written before it. What was lost
of it would hide lines from a search, so its size and sum are kept beside it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection
from pathlib import Path

from perstack.context.retrieval.pieces import Piece

_LARGE = 32_000_000  # bytes; from here on, repeated words are taken out when it is opened
_MANY = 20_000  # words; so many at once are compared with those that are known


class Vocabulary:
    """The words in one file, a line each, in lower case."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._check = place.with_suffix(".sum")
        self._text = b"\n"
        self._read = 0

    @property
    def kept(self) -> bool:
        """Whether anything was ever written down."""
        return self._check.exists()

    def sound(self) -> bool:
        """Whether all is still there that was written down for good; the index's lock is held."""
        self.refresh()
        try:
            size, told = map(int, self._check.read_text("ascii").split())
        except FileNotFoundError:
            return self._read == 0
        except (OSError, ValueError):
            return False
        return size <= self._read and zlib.crc32(self._text[1 : size + 1]) == told

    def refresh(self) -> None:
        """Take in what other processes wrote."""
        size = self._place.stat().st_size if self._place.exists() else 0
        if size < self._read:
            self._text, self._read = b"\n", 0
        if size > self._read:
            with self._place.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._text += whole
            self._read += len(whole)

    def tidy(self) -> None:
        """Take repeated words out of a large file; the index's lock is held."""
        self.refresh()
        if self._read < _LARGE:
            return
        words = set(self._text.split())
        if sum(map(len, words)) + len(words) < self._read // 2:
            temporary = self._place.with_suffix(".new")
            temporary.write_bytes(b"".join(b"%s\n" % word for word in words))
            temporary.replace(self._place)
            self._text, self._read = b"\n", 0
            self.refresh()
            self._sum()

    def add(self, words: Collection[bytes]) -> None:
        """Write words down for good; the index's lock is held, and what holds them is committed after this."""
        self.refresh()
        fresh = set(words) - set(self._text.split()) if len(words) > _MANY else words
        with self._place.open("ab") as file:
            file.truncate(self._read)  # half a line of a writer that was killed
            file.write(b"".join([b"%s\n" % word for word in fresh]))
            file.flush()
            os.fsync(file.fileno())
        self.refresh()
        self._sum()

    def _sum(self) -> None:
        temporary = self._check.with_suffix(".new")
        temporary.write_text(f"{self._read} {zlib.crc32(self._text[1:])}", "ascii")
        temporary.replace(self._check)

    def holding(self, piece: Piece, most: int) -> list[str] | None:
        """The words that hold a piece; None where they are more than `most`."""
        text, first = self._text, int(piece.first)
        wanted, found = b"\n" * first + piece.text.encode() + b"\n" * piece.last, dict[bytes, None]()
        at = text.find(wanted)
        while at >= 0:
            start, end = text.rfind(b"\n", 0, at + first) + 1, text.find(b"\n", at + first)
            found[text[start:end]] = None
            if len(found) > most:
                return None
            at = text.find(wanted, end)
        return [word.decode("ascii") for word in found]
