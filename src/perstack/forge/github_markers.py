"""What we hide in our texts on GitHub, so that a later job knows them again. Public, and believed only by author id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from perstack.core.errors import InvariantBroken
from perstack.core.json import Json, compact
from perstack.forge.contract import ReviewComment
from perstack.forge.trigger import MARKER

DATA_LIMIT = 16 * 1024  # bytes of JSON; a quarter of what a comment may have
_FIRST_LINE = re.compile(rf"{re.escape(MARKER)}(?P<key>\S*)(?: data=(?P<data>\{{.*\}}))? -->\r?(?:\n|$)")
_REMARK = re.compile(r"<!-- perstack:remark=([0-9a-f]{24}) -->")


def first_line(key: str, data: Mapping[str, Json]) -> str:
    """The line a comment of ours begins with. Raises: InvariantBroken when the data is too large."""
    text = compact(dict(data)) if data else ""
    # A comment ends at `-->`; two dashes and angle brackets occur only inside JSON's strings.
    for character, escaped in (("--", "-\\u002d"), ("<", "\\u003c"), (">", "\\u003e")):
        text = text.replace(character, escaped)
    size = len(text.encode("utf-8", "replace"))
    if size > DATA_LIMIT:
        raise InvariantBroken(f"BUG: the data of comment {key} has {size} bytes; {DATA_LIMIT} fit")
    return f"{MARKER}{quote(key, safe='')}{f' data={text}' if text else ''} -->"


def read_first_line(body: str) -> tuple[str, dict[str, Json], str] | None:
    """Key, data and the rest of a comment; None for a comment without our line. Unreadable data counts as none."""
    match = _FIRST_LINE.match(body)
    if match is None:
        return None
    try:
        data = json.loads(match["data"] or "{}")
    except ValueError:
        data = {}
    rest = body[match.end() :].replace("\r\n", "\n")
    return unquote(match["key"]), data if isinstance(data, dict) else {}, rest


def starts_with_key(body: str, key: str) -> bool:
    """Whether a comment carries this key; much cheaper than reading it."""
    start = f"{MARKER}{quote(key, safe='')}"
    return body.startswith((f"{start} data=", f"{start} -->"))


def remark(comment: ReviewComment) -> str:
    """The mark of one review remark: the same words at the same lines have the same one."""
    about = f"{comment.path}\0{comment.start}\0{comment.line}\0{comment.body}"
    return hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def mark_remark(body: str, mark: str) -> str:
    """A text that carries a mark at its end."""
    return f"{body}\n\n<!-- perstack:remark={mark} -->"


def read_remark(body: str) -> str:
    """The mark at the end of a text, empty where there is none."""
    found = _REMARK.findall(body)
    return found[-1] if found else ""
