"""The forge's size limits and cutting to them. Sizes as GitHub counts: UTF-16 units for bodies, bytes for summaries."""

from __future__ import annotations

import re
from collections.abc import Callable

CHECK_TEXT_LIMIT = 65_535  # "Only 65535 characters are allowed", for `summary` and for `text` of a check run
COMMENT_LIMIT = 65_536  # "Body is too long (maximum is 65536 characters)"
SUMMARY_LIMIT = 1024 * 1024  # bytes of one step's job summary
ANNOTATION_MESSAGE_LIMIT = 64_000  # the API says 64 KB
ANNOTATION_TITLE_LIMIT = 255
ANNOTATIONS_PER_REQUEST = 50
TITLE_LIMIT = 256  # of pull requests
LOG_ANNOTATIONS_PER_LEVEL = 10  # the runner shows ten errors, ten warnings and ten notices a step

_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})(.*)$")
_DETAILS = re.compile(r"<(/?)details\b", re.IGNORECASE)


def utf16_units(text: str) -> int:
    """Length as JavaScript and GitHub's limits count: characters outside the basic plane count twice."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def utf8_bytes(text: str) -> int:
    """Length in bytes; lone surrogates count as they would be replaced."""
    return len(text.encode("utf-8", errors="replace"))


def fit(markdown: str, limit: int, *, size: Callable[[str], int] = utf16_units) -> str:
    """Cut Markdown to `limit`, at a line where possible, closing what is open and saying how much is missing."""
    total = size(markdown)
    if total <= limit:
        return markdown
    room = limit - size(_ending("x", total)) - 200  # fences and details still to be closed
    if room <= 0:
        return _prefix(markdown, limit, size)
    kept = _prefix(markdown, room, size)
    while True:
        kept = _at_line(kept)
        result = kept.rstrip() + _closing(kept) + _ending(kept, total - size(kept))
        if size(result) <= limit or not kept:
            return _prefix(result, limit, size)
        kept = _prefix(kept, size(kept) // 2, size)


def shorten(text: str, limit: int) -> str:
    """Cut plain text to `limit` UTF-16 units, with an ellipsis."""
    return text if utf16_units(text) <= limit else _prefix(text, limit - 1, utf16_units) + "…"


def _ending(kept: str, missing: int) -> str:
    lead = "\n\n" if kept else ""
    return f"{lead}*Cut here: {missing:,} more characters did not fit into the limit of this place.*\n"


def _prefix(text: str, limit: int, size: Callable[[str], int]) -> str:
    """The longest prefix within `limit`, by bisection: `size` need not be linear, only growing."""
    low, high = 0, min(len(text), max(limit, 0))
    while low < high:
        middle = (low + high + 1) // 2
        if size(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def _at_line(text: str) -> str:
    """End at a paragraph or line if that costs less than a tenth of the text."""
    for separator in ("\n\n", "\n", " "):
        at = text.rfind(separator)
        if at > len(text) * 0.9:
            return text[: at + 1]
    return text


def _closing(text: str) -> str:
    """What is needed to close an open code fence and open `<details>`."""
    fence = ""
    depth = 0
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if match and not fence:
            fence = match[1]
        elif match and match[1].startswith(fence) and not match[2].strip():
            fence = ""
        elif not fence:
            depth += sum(-1 if slash else 1 for slash in _DETAILS.findall(line))
    return (f"\n{fence}" if fence else "") + "\n\n</details>" * max(0, min(depth, 8))
