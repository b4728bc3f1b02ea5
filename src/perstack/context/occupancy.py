"""How many tokens a call will hold: an estimate that needs no network and errs on the high side. Pure.

Where a server has counted a part of it, its count goes first (`runtime/compacting.py`); this is for the rest. No
tokenizer: each model has another one, and fetching it would need the network.
"""

from __future__ import annotations

import base64
import binascii
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perstack.core.json import JsonObject, compact
from perstack.core.messages import (
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    ToolResult,
)

# Tokens a character, a little above what the tokenizers in use need: prose has about 4 letters a token, digits go by
# one to three, signs mostly one each. Where nothing separates words (base64, hashes), letters cost twice as much.
_LETTER, _DENSE_LETTER, _DIGIT, _SIGN, _SPACE = 0.3, 0.62, 0.6, 0.7, 0.06
_TWO_BYTES, _THREE_BYTES, _FOUR_BYTES = 0.7, 1.25, 3.0  # Greek or Cyrillic; Chinese, Japanese, Hindi; emoji
_LETTERS, _DIGITS, _SPACES = string.ascii_letters.encode(), string.digits.encode(), b" \t\r\n"
_ASCII = bytes(range(0x80))
_DENSE = 40  # letters and digits for each space, from which on a text is no prose
_MESSAGE, _CALL = 8, 16  # what surrounds each on the wire
_IMAGE = 2_000
_PDF_PAGE, _PDF_BYTES = 4_000, 40
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_SAMPLE = 200_000


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What a call holds: `tokens` of a `window` (0 where that is not known). `tools` is the part of the tools.

    `measured` where the greatest part was counted by the server, not estimated.
    """

    tokens: int
    window: int = 0
    measured: bool = False
    tools: int = 0

    @property
    def share(self) -> float:
        """The part of the window that is taken; 0 where the window is not known."""
        return self.tokens / self.window if self.window else 0.0

    def to_json(self) -> JsonObject:
        """As events and reports carry it."""
        known: JsonObject = {"window": self.window, "share": round(self.share, 4)} if self.window else {}
        return {"tokens": self.tokens, "measured": self.measured, "toolTokens": self.tools, **known}


def text_tokens(text: str) -> int:
    """An estimate for plain text of any language. A very long text is judged by its beginning, middle and end."""
    if len(text) <= _SAMPLE:
        return _tokens(text)
    third = _SAMPLE // 3
    middle = len(text) // 2
    sample = text[:third] + text[middle : middle + third] + text[-third:]
    return round(_tokens(sample) * len(text) / len(sample))


def _tokens(text: str) -> int:
    data = text.encode("utf-8", "replace")
    plain = data if text.isascii() else bytes(data).translate(None, bytes(range(0x80, 0x100)))
    spaces = len(plain) - len(plain.translate(None, _SPACES))
    letters = len(plain) - len(plain.translate(None, _LETTERS))
    digits = len(plain) - len(plain.translate(None, _DIGITS))
    signs = len(plain) - spaces - letters - digits
    dense = letters + digits > _DENSE * (spaces + 1)
    total = (
        letters * (_DENSE_LETTER if dense else _LETTER) + digits * _DIGIT + signs * _SIGN + spaces * _SPACE
    )  # fmt: skip
    if len(plain) < len(data):
        lead = data.translate(None, _ASCII)
        two, three, four = (_between(lead, *ends) for ends in ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0x100)))
        total += two * _TWO_BYTES + three * _THREE_BYTES + four * _FOUR_BYTES
    return int(total) + 1 if text else 0


def _between(data: bytes, first: int, end: int) -> int:
    return len(data) - len(data.translate(None, bytes(range(first, end))))


def message_tokens(message: Message) -> int:
    """An estimate for one message with all its parts."""
    if isinstance(message, ToolMessage):
        return _MESSAGE + sum(result_tokens(result) for result in message.results)
    return _MESSAGE + sum(_part(part) for part in message.contents)


def result_tokens(result: ToolResult) -> int:
    """An estimate for one tool result."""
    return _CALL + sum(_part(part) for part in result.contents)


def tools_tokens(definitions: Sequence[ToolDefinition]) -> int:
    """An estimate for the definitions of tools."""
    return sum(
        _CALL + text_tokens(tool.name) + text_tokens(tool.description) + text_tokens(compact(tool.input_schema))
        for tool in definitions
    )


def messages_tokens(messages: Iterable[Message]) -> int:
    """An estimate for several messages."""
    return sum(map(message_tokens, messages))


def _part(part: TextPart | ImagePart | FilePart | ThinkingPart | ToolCall) -> int:
    match part:
        case TextPart(text=text):
            return text_tokens(text)
        case ThinkingPart(thinking=thinking, redacted=redacted):
            return text_tokens(thinking) + text_tokens(redacted)
        case ToolCall():
            return _CALL + text_tokens(part.tool_name) + text_tokens(compact(part.args))
        case ImagePart():
            return _IMAGE
        case FilePart():
            return _file(part)


def _file(part: FilePart) -> int:
    """A PDF is read page by page, as text and as a picture; a text file as its text."""
    try:
        data = base64.b64decode(part.data)
    except binascii.Error:
        return text_tokens(part.data)
    if part.mime_type.startswith("text/"):
        return text_tokens(data.decode("utf-8", "replace"))
    pages = len(_PAGE.findall(data))
    return _PDF_PAGE * pages if pages else max(_PDF_PAGE, len(data) // _PDF_BYTES)
