"""The text of a Python file as Python reads it: by the encoding that it declares.

Pure. Under some encodings a comment holds code; under others one byte keeps a reader of UTF-8 from parsing at all.
"""

from __future__ import annotations

import codecs
import re

_DECLARED = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
# spellings that one codec or the other turns into something else
_SAMPLE = b"\\x0a \\u000a \\N{LINE FEED} +AAo- =0A ~{ }~ \\n &#10; " + bytes(range(32, 127))


def declared_encoding(text: str) -> str:
    """The encoding that one of the first two lines declares; empty for none."""
    lines = text.split("\n", 2)[:2]
    for number, line in enumerate(lines):
        match = _DECLARED.match(line)
        if match:
            return match[1].lower()
        if number == 0 and line.strip() and not line.lstrip().startswith("#"):
            break
    return ""


def is_plain(name: str) -> bool:
    """Whether ASCII stays ASCII under an encoding; an unknown one is not."""
    try:
        return codecs.lookup(name).decode(_SAMPLE)[0] == _SAMPLE.decode("ascii")
    except (LookupError, ValueError, TypeError):
        return False


def as_read(text: str) -> str:
    """The text (undecodable bytes as surrogates) decoded as declared; what cannot be decoded becomes a mark."""
    raw = text.encode("utf-8", "surrogateescape")
    name = declared_encoding(text)
    return raw.decode(name if name and is_plain(name) else "utf-8", "replace")
