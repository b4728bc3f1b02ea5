"""A text as a reader takes it in: letters that look alike as one, signs left out. Every view knows where it came from.

Pure. What a view finds is a place in the original text, so that it can be taken out there.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from functools import cache
from itertools import chain

_CHUNK = 1 << 16
_RUN = re.compile(r"[A-Za-z0-9]+")
_LOWER = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
_OTHERS = bytes(byte for byte in range(256) if not (byte < 128 and chr(byte).isalnum()))
# Where letters lie that are an ASCII letter or digit in another dress: with accents, raised, lowered, in circles, wide,
# bold, italic, in frames.
_DRESSED = (
    range(0xA0, 0x250), range(0x1E00, 0x1F00), range(0x2070, 0x20A0), range(0x2100, 0x2150), range(0x2460, 0x2500),
    range(0xFF01, 0xFF5F), range(0x1D400, 0x1D800), range(0x1F100, 0x1F18A),
)  # fmt: skip
# Letters of other scripts that look the same, as pairs.
_ALIKE = (
    "аaеeоoрpсcхxуyіiјjѕsԁdԛqԝwһhАAВBЕEКKМMНHОOРPСCТTХXУYІIЈJЅSԚQԜW"
    "οoαaνvιiκkρpυuχxΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXցgոnսuօoհh"
)  # fmt: skip
_TAGS = range(0xE0020, 0xE007F)
_SCRIPTS = (range(0x370, 0x588),)
# Whole languages are written in them: looked for there letter by letter, unless it is longer than anybody reads.
_LONG = 1 << 20


def folded(text: str) -> str:
    """`text` with letters in another dress as plain ones, character by character."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").translate(_latin()).decode("latin-1")
    except UnicodeEncodeError:
        dress, pattern = _dress(with_scripts=len(text) <= _LONG)
        return pattern.sub(lambda match: match.group().translate(dress), text)


def squeezed(text: str) -> str:
    """Letters and digits of `text` in lower case, nothing else."""
    return folded(text).encode("latin-1", "replace").translate(_LOWER, _OTHERS).decode("ascii")


class Squeezed:
    """A squeezed text, and where its characters come from."""

    def __init__(self, original: str) -> None:
        parts = [squeezed(original[at : at + _CHUNK]) for at in range(0, len(original), _CHUNK)]
        self.text = "".join(parts)
        self._original = original
        self._before = array("q", [0])
        for part in parts:
            self._before.append(self._before[-1] + len(part))
        self._chunk, self._starts, self._totals = -1, array("q"), array("q")

    def original(self, span: tuple[int, int]) -> tuple[int, int]:
        """A span of the squeezed text in the original."""
        return self._place(span[0]), self._place(span[1] - 1) + 1

    def _place(self, index: int) -> int:
        chunk = bisect_right(self._before, index) - 1
        if chunk != self._chunk:
            self._look_at(chunk)
        inside = index - self._before[chunk]
        run = bisect_right(self._totals, inside) - 1
        return chunk * _CHUNK + self._starts[run] + inside - self._totals[run]

    def _look_at(self, chunk: int) -> None:
        self._chunk, self._starts, self._totals, total = chunk, array("q"), array("q"), 0
        for match in _RUN.finditer(folded(self._original[chunk * _CHUNK : (chunk + 1) * _CHUNK])):
            self._starts.append(match.start())
            self._totals.append(total)
            total += match.end() - match.start()


@cache
def _latin() -> bytes:
    dress, _ = _dress(with_scripts=False)
    return bytes(ord(dress.get(code, chr(code))) for code in range(256))


@cache
def _dress(*, with_scripts: bool) -> tuple[dict[int, str], re.Pattern[str]]:
    """What each letter of these ranges reads as, most as themselves; and the pattern of a run of them."""
    ranges = (*_DRESSED, _TAGS, *(_SCRIPTS if with_scripts else ()))
    found = {code: chr(code) for code in chain(*ranges)}
    for code in chain(*_DRESSED):
        plain = "".join(one for one in unicodedata.normalize("NFKD", chr(code)) if not unicodedata.combining(one))
        if len(plain) == 1 and plain.isascii():
            found[code] = plain
    found |= {code: chr(code - _TAGS.start + 0x20) for code in _TAGS}
    if with_scripts:
        found |= {ord(_ALIKE[at]): _ALIKE[at + 1] for at in range(0, len(_ALIKE), 2)}
    return found, re.compile("[" + "".join(f"{chr(part.start)}-{chr(part.stop - 1)}" for part in ranges) + "]+")
