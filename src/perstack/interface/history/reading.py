"""Reading the JSON of events without trusting its shape. What is not as expected reads as empty."""

from __future__ import annotations

from collections.abc import Container, Mapping

from perstack.core.events import Event
from perstack.core.json import Json, JsonObject
from perstack.core.usage import Usage

# The parts that a tool may answer with.
ANY = ("textPart", "imageInlinePart", "fileInlinePart")
# A call of a tool: its run (segment), its step, its id. Some models number the calls of every reply from 1.
CallKey = tuple[str, int, str]


def call_key(event: Event, call_id: Json) -> CallKey:
    """The call that an event speaks of."""
    return event.run_id, event.step_number, text_of(call_id)


def text_of(value: Json) -> str:
    """`value` where it is a text."""
    return value if isinstance(value, str) else ""


def object_of(value: Json) -> JsonObject:
    """`value` where it is an object."""
    return value if isinstance(value, Mapping) else {}


def objects_of(value: Json) -> tuple[JsonObject, ...]:
    """The objects in a list."""
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list | tuple) else ()


def usage_of(value: Json) -> Usage:
    """Usage from its public JSON; what is missing counts 0."""
    data = object_of(value)
    names = (
        "inputTokens", "outputTokens", "reasoningTokens", "cachedInputTokens", "cacheWrittenTokens", "estimatedTokens",
    )  # fmt: skip
    return Usage(*(number if isinstance(number := data.get(name), int) else 0 for name in names))


def message_text(message: JsonObject) -> str:
    """The text of a message; where it has none, the tools it calls, or what they answered."""
    parts = objects_of(message.get("contents"))
    text = contents_text(parts, kinds=("textPart",))
    if text:
        return text
    calls = [text_of(part.get("toolName")) for part in parts if part.get("type") == "toolCallPart"]
    if calls:
        return f"→ {', '.join(calls)}"
    results = (contents_text(part.get("contents")) for part in parts if part.get("type") == "toolResultPart")
    return " ".join(results)


def contents_text(value: Json, *, kinds: Container[str] = ANY) -> str:
    """The text of parts of some kinds; media by their type."""
    parts = (part for part in objects_of(value) if part.get("type") in kinds)
    return " ".join(text_of(part.get("text")) or f"({text_of(part.get('mimeType')) or 'nothing'})" for part in parts)
