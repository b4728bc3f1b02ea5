"""What a call used, where a server does not say it: counted from the letters, rather too much than too little.

Marked as an estimate in `Usage.estimated_tokens`. Is no tokenizer.
"""

from __future__ import annotations

from perstack.core.json import compact
from perstack.core.messages import (
    ExpertMessage,
    FilePart,
    ImagePart,
    Message,
    ModelRequest,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
)
from perstack.core.usage import Usage

_BYTES_A_TOKEN = 3
_IMAGE = 1600
_MESSAGE = 8


def estimated(request: ModelRequest, written: str) -> Usage:
    """The usage of a call that read `request` and wrote `written`."""
    read = _text(request.system) + sum(_text(f"{tool.name}{tool.description}") for tool in request.tools)
    read += sum(_text(compact(tool.input_schema)) for tool in request.tools)
    read += sum(_message(message) for message in request.messages)
    wrote = _text(written)
    return Usage(read, wrote, estimated_tokens=read + wrote)


def _message(message: Message) -> int:
    if isinstance(message, ToolMessage):
        return sum(_MESSAGE + sum(map(_part, result.contents)) for result in message.results)
    if isinstance(message, ExpertMessage):
        return _MESSAGE + sum(map(_part, message.contents))
    return _MESSAGE + sum(map(_part, message.contents))


def _part(part: TextPart | ImagePart | FilePart | ThinkingPart | ToolCall) -> int:
    match part:
        case TextPart(text=text):
            return _text(text)
        case ToolCall():
            return _MESSAGE + _text(part.tool_name) + _text(compact(part.args))
        case ThinkingPart():
            return _text(part.thinking)
        case ImagePart():
            return _IMAGE
        case FilePart():
            return len(part.data) // 4


def _text(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)
