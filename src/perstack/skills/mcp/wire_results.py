"""From a tool's result on the wire to parts for a model: cleaned, bounded, and saying what was left out. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import mcp_types as types

from perstack.core.json import Json, compact
from perstack.core.messages import FilePart, ImagePart, TextPart
from perstack.skills.mcp.contract import Answer
from perstack.skills.mcp.words import plain, result_text
from perstack.skills.media import SIGNATURES
from perstack.skills.truncation import MAX_OUTPUT, truncate_middle

MAX_PARTS = 64
MAX_MEDIA = 24 * 1024 * 1024
"""Bytes of all images and files of one result together, in base64."""
_LEAST_TEXT = 500
_LOOKED_AT = 500
_MIME = re.compile(r"[a-z0-9][\w.+-]*/[\w.+-]+", re.IGNORECASE)

Part = TextPart | ImagePart | FilePart


def answer(result: types.CallToolResult) -> Answer:
    """Everything a model can be shown of one result. No parts at all means that the tool returned nothing."""
    budget = _Budget(MAX_MEDIA)
    parts = [_part(block, budget) for block in result.content[:MAX_PARTS]]
    if len(result.content) > MAX_PARTS:
        parts.append(TextPart(f"[{len(result.content) - MAX_PARTS} more parts: left out]"))
    if result.structured_content is not None and not _is_told(result.structured_content, result.content):
        parts.append(TextPart(result_text(compact(result.structured_content))))
    return Answer(_fitting(parts), result.is_error)


class _Budget:
    """How much media one result may still hold."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, size: int) -> bool:
        fits = size <= self._left
        if fits:
            self._left -= size
        return fits


def _part(block: types.ContentBlock, budget: _Budget) -> Part:
    match block:
        case types.TextContent(text=text):
            return TextPart(result_text(text) or "Error: No content")
        case types.ImageContent(data=data, mime_type=mime):
            return _media("image", data, mime, budget)
        case types.AudioContent(data=data, mime_type=mime):
            return TextPart(f"[audio of type {_type(mime)}, {_size(data)}: left out, it cannot be shown to a model]")
        case types.ResourceLink():
            kind = f", {_type(block.mime_type)}" if block.mime_type else ""
            return TextPart(
                f"[link to the resource {plain(block.name, 200)} at {plain(block.uri, 500)}{kind}: not read]"
            )
        case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
            return TextPart(result_text(text) or "Error: No content")
        case types.EmbeddedResource(resource=types.BlobResourceContents(blob=data, mime_type=mime)):
            return _media("file", data, mime or "", budget)
    return TextPart("[a part of an unknown kind: left out]")


def _media(what: str, data: str, mime: str, budget: _Budget) -> Part:
    """An image or a file by what its bytes are, whatever the server calls it: a wrong type ends a model's request."""
    if not budget.take(len(data)):
        return TextPart(f"[{what} of type {_type(mime)}, {_size(data)}: left out, the result is too large]")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return TextPart(f"[{what} of type {_type(mime)}: left out, it is not base64]")
    found = next((known for known, fits in SIGNATURES.items() if fits(content)), "")
    if found.startswith("image/"):
        return ImagePart(data, found)
    if found:
        return FilePart(data, found)
    if what == "image":
        return TextPart(f"[image of type {_type(mime)}, {_size(data)}: left out, models take png, jpeg, gif and webp]")
    if mime.startswith("text/") or mime in ("application/json", "application/xml"):
        return TextPart(result_text(content.decode("utf-8", errors="replace")) or "Error: No content")
    return FilePart(data, _type(mime))


def _type(mime: str | None) -> str:
    return mime.lower() if mime and len(mime) <= 100 and _MIME.fullmatch(mime) else "application/octet-stream"


def _size(data: str) -> str:
    return f"about {len(data) * 3 // 4:,} bytes"


def _is_told(structured: Json, content: Sequence[types.ContentBlock]) -> bool:
    """Whether the text already says what the structured value says: the protocol wants both, a model needs one."""
    text = "\n".join(block.text for block in content if isinstance(block, types.TextContent))
    if not text.strip():
        return False
    try:
        if json.loads(text) == structured:
            return True
    except (ValueError, RecursionError):
        pass
    return all(leaf in text for leaf in islice(_leaves(structured), _LOOKED_AT))


def _leaves(value: Json) -> Iterator[str]:
    """The texts and numbers of a JSON value, as they would stand in a sentence."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield value if isinstance(value, str) else compact(value)


def _fitting(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts with all their texts together at most `MAX_OUTPUT` characters (`_LEAST_TEXT` each), cut in the middle.

    What a short text leaves is there for the long ones.
    """
    texts = sorted(len(part.text) for part in parts if isinstance(part, TextPart))
    left, share = MAX_OUTPUT, MAX_OUTPUT
    for count, size in zip(range(len(texts), 0, -1), texts, strict=True):
        share = max(left // count, _LEAST_TEXT)
        if size > share:
            break
        left -= size
    return tuple(TextPart(truncate_middle(part.text, share)) if isinstance(part, TextPart) else part for part in parts)
