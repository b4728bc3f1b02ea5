"""A content's bytes as the text that is searched. Pure.

UTF-16 and UTF-32 are known by their byte order mark, as ripgrep does it; every other content stays as its bytes are.
"""

from __future__ import annotations

import codecs

_LOOKED_AT = 8192  # bytes; a null byte in them makes a content binary
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def text_of(data: bytes) -> bytes | None:
    """The text, its lines as in the file, without a byte order mark; None of a binary content."""
    if data[:1] in (b"\xef", b"\xff", b"\xfe", b"\0"):
        if data.startswith(codecs.BOM_UTF8):
            data = data[3:]
        for mark, name in _WIDE:
            if data.startswith(mark):
                data = data.decode(name, "replace").encode()
                break
    return None if b"\0" in data[:_LOOKED_AT] else data
