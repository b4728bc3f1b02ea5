"""What a text says once it is read as programs read it: escapes resolved, markup left out, packed parts unpacked.

Other views leave signs out; these put letters in their place. For texts that people and forges are shown: what is
longer than 128 KiB is a document, and is looked at as it stands. Pure.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator

MOST = 1 << 17
_MOST_UNPACKED = 1 << 16
_DEPTH = 3
# Each way begins with a letter of its own: what begins with none of them is passed over at once.
_ESCAPE = re.compile(
    r"%(?:25)*(?P<a>[0-9a-fA-F]{2})|\\\\{0,3}(?:x|u\{?0{0,6}|U0{6})(?P<b>[0-9a-fA-F]{2})\}?|\\\\{0,3}(?P<octal>[01][0-7]{2})"
    r"|&(?P<entity>(?:#0{0,6}\d{2,3}|#[xX]0{0,6}[0-9a-fA-F]{2}|[A-Za-z]{2,8});)|=(?P<c>[0-9A-F]{2})|=\r?\n"
    r"|U\+0{0,4}(?P<d>[0-9a-fA-F]{2})\b|chr\((?P<number>\d{2,3})\)"
    r"|</?[A-Za-z][^<>]{0,200}>|\x1b\[[0-9;:]{0,40}[A-Za-z]"
)
_PACKED = re.compile(r"[A-Za-z0-9+/_-]{20,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*={0,2}")
_HEX = re.compile("(?:[0-9a-fA-F]{2})+")
_BITS = re.compile(r"[01](?:[ ,]{0,2}(?:0b)?[01]){63,}")


class Read:
    """A text with its escapes resolved and its markup left out, and where its characters come from."""

    def __init__(self, original: str) -> None:
        pieces: list[str] = []
        self._starts, self._origins, self._ends = [0], [0], [0]
        position = at = 0
        for match in _ESCAPE.finditer(original):
            plain, said = original[position : match.start()], _said(match)
            pieces += (plain, said)
            at = self._follows(at, plain, position, match.start())
            at = self._follows(at, said, match.start(), match.end())
            position = match.end()
        self._follows(at, original[position:], position, len(original))
        self.text = "".join((*pieces, original[position:])) if pieces else original

    def original(self, span: tuple[int, int]) -> tuple[int, int]:
        """A span of this text in the original."""
        return self._place(span[0])[0], self._place(span[1] - 1)[1]

    def _follows(self, at: int, text: str, start: int, end: int) -> int:
        if text:
            self._starts.append(at)
            self._origins.append(start)
            self._ends.append(end)
        return at + len(text)

    def _place(self, index: int) -> tuple[int, int]:
        part = bisect_right(self._starts, index) - 1
        start, end = self._origins[part], self._ends[part]
        offset = index - self._starts[part]
        length = (self._starts[part + 1] if part + 1 < len(self._starts) else len(self.text)) - self._starts[part]
        return (start, end) if length != end - start else (start + offset, start + offset + 1)


def unpacked(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Parts of a text that are packed, and all that is in them: base64, hexadecimal, bits, gzip, zlib, nested."""
    for pattern in (_PACKED, _BITS):
        for match in pattern.finditer(text):
            said = "\n".join(_inside(match.group(), _DEPTH))
            if said:
                yield match.span(), said


def _inside(text: str, depth: int) -> Iterator[str]:
    for data in _decoded("".join(text.split())):
        said = _inflated(data).decode("latin-1")
        yield said
        if depth > 1:
            for match in _PACKED.finditer(said):
                yield from _inside(match.group(), depth - 1)


def _decoded(text: str) -> Iterator[bytes]:
    if _BITS.fullmatch(text):
        bits = re.sub("0b|[ ,]", "", text)
        for width in (7, 8):
            yield bytes(int(bits[at : at + width], 2) for at in range(0, len(bits) - width + 1, width))
        return
    if _HEX.fullmatch(text):
        yield bytes.fromhex(text)
    try:
        bare = text.rstrip("=").replace("-", "+").replace("_", "/")
        yield base64.b64decode(bare[: len(bare) // 4 * 4] + _rest(bare))
    except (binascii.Error, ValueError):
        return


def _rest(bare: str) -> str:
    left = bare[len(bare) // 4 * 4 :]
    return left + "=" * (4 - len(left)) if len(left) > 1 else ""


def _inflated(data: bytes) -> bytes:
    """What gzip or zlib packed, as far as it goes; else the data itself."""
    if not data.startswith((b"\x1f\x8b", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")):
        return data
    try:
        return zlib.decompressobj(wbits=47).decompress(data, _MOST_UNPACKED)
    except zlib.error:
        return data


def _said(match: re.Match[str]) -> str:
    """The letter that an escape stands for; nothing for markup."""
    if (code := match["a"] or match["b"] or match["c"] or match["d"]) is not None:
        return chr(int(code, 16))
    if match["octal"]:
        return chr(int(match["octal"], 8))
    if match["number"]:
        return chr(int(match["number"]) & 0xFF)
    return html.unescape(f"&{match['entity']}")[:1] if match["entity"] else ""
